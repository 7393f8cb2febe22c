/*
 * spool.h - a file made and filled in advance, for what must be kept while the store cannot.
 *
 * When the disk is full or a commit does not come back, clicks go here: the
 * file has its blocks already, so writing into it needs no space, and a sync
 * makes it durable. It holds records of one size, in order:
 *
 *     header A | header B | record 0 | record 1 | ...
 *
 * A header names the generation whose records count; clearing writes the other
 * header with the next one, so a torn write never loses both. A record carries
 * its generation, its place and a CRC-32C; the first one that does not fit ends
 * what is there.
 *
 * Thread: one at a time.
 */
#pragma once

#include "base/op.h"

#define SPOOL_RECORD_BYTES  256
#define SPOOL_PAYLOAD_BYTES 236 /* of a record */
#define SPOOL_RECORDS       131072
#define SPOOL_HEADER_BYTES  8192

struct spool;

/* Opens the file, made and filled when it is not there; *ret_count records stand in it. ERR_IO with the reason; a file
 * that could not be filled is taken away again. */
enum err spool_open(struct op *op, const char *path, struct spool **ret_spool, size_t *ret_count);
void spool_close(struct spool *spool);

/* Appends a payload of n bytes; it counts once spool_sync has come back. ERR_TOO_LARGE: the spool is full. */
enum err spool_append(struct op *op, struct spool *spool, const void *payload, size_t n);

/* Makes everything appended durable. After an error what was appended since the last sync does not count. */
enum err spool_sync(struct op *op, struct spool *spool);

/* The payload of record i; ERR_NOT_FOUND behind the last one. */
enum err spool_read(struct op *op, struct spool *spool, size_t i, void *ret_payload, size_t n);

/* Empties it, durably. */
enum err spool_clear(struct op *op, struct spool *spool);

size_t spool_count(const struct spool *spool);
