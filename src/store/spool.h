/*
 * spool.h - a file made and filled in advance, for what must be durable before the store has it.
 *
 * The file has its blocks already, so writing into it needs no space and a sync
 * makes it durable, even while the disk is full. It is a ring of records of one
 * size:
 *
 *     header A | header B | place 0 | place 1 | ...      record n stands in place n % places
 *
 * Records are numbered for ever, so what an earlier round left in a place is
 * known by its number. A record carries its number and a CRC-32C; those that do
 * not fit were never made durable, or are damaged, and are skipped. Dropping the
 * oldest ones costs nothing: their places are used again. Whoever reads after a
 * crash may see dropped ones again and must know which of them it has. Clearing
 * writes the other header with the first number that counts from then on, so a
 * torn write never loses both. It names the owner, too, whose numbers the payloads
 * carry: another one's mean nothing. And it says how many places there are: a
 * file with records keeps its size, an empty one takes that which is asked for.
 *
 * Thread: one at a time, but for spool_each.
 */
#pragma once

#include "base/op.h"

#define SPOOL_RECORD_BYTES  80
#define SPOOL_PAYLOAD_BYTES 64 /* of a record */
#define SPOOL_HEADER_BYTES  8192
#define SPOOL_PLACES_MIN    1024
#define SPOOL_PLACES_MAX    (16 << 20)

struct spool;

/* Opens the file, made and filled when it is not there; *ret_count records stand in it. One that was left by another
 * owner is empty; an empty one gets `places` places when the disk has the space. ERR_IO with the reason; a file that
 * could not be filled is taken away again. ERR_CONFLICT: another version left it, and records in it. */
enum err spool_open(struct op *op, const char *path, struct str owner, size_t places, struct spool **ret_spool,
                    size_t *ret_count);
void spool_close(struct spool *spool);

/* How many records stand in the file, whoever's they are; 0 when there is none. For a program that must know whether
 * something was left in it: nothing is changed. ERR_IO with the reason, ERR_CONFLICT as above. */
enum err spool_look(struct op *op, const char *path, size_t *ret_count);

/* Appends a payload of n bytes; it counts once spool_sync has come back. ERR_TOO_LARGE: the spool is full. */
enum err spool_append(struct op *op, struct spool *spool, const void *payload, size_t n);

/* Makes everything appended durable. After an error what was appended since the last sync does not count. */
enum err spool_sync(struct op *op, struct spool *spool);

/* The payload of the i-th record that counts, the oldest is 0; ERR_NOT_FOUND behind the last one, and for one that is
 * damaged. */
enum err spool_read(struct op *op, struct spool *spool, size_t i, void *ret_payload, size_t n);

/* Hands out the payloads of n bytes in the records [from, to), in order; damaged ones are skipped. Any thread, while
 * those records are durable and not dropped. ERR_IO. */
enum err spool_each(struct op *op, const struct spool *spool, uint64_t from, uint64_t to, size_t n,
                    void (*take)(uint64_t number, const void *payload, void *arg), void *arg);

size_t spool_places(const struct spool *spool);

/* The number of the oldest record that counts. */
uint64_t spool_first(const struct spool *spool);

/* The number behind the newest record, appended ones included. */
uint64_t spool_next(const struct spool *spool);

/* The n oldest are needed no longer. */
void spool_drop(struct spool *spool, size_t n);

/* Empties it, durably. */
enum err spool_clear(struct op *op, struct spool *spool);

/* Durable and not dropped. */
size_t spool_count(const struct spool *spool);
