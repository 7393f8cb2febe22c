/*
 * block_log.h - changed records on their way into their blocks.
 *
 * Private to src/store, used by block.c. Events of a mailing touch the same
 * few hundred blocks in every group; writing each block each time costs half
 * a page per event. So a group appends the records it changed to one log row,
 * and the blocks are written together later ("settled"), when a few thousand
 * are owed. Nothing is less durable: the row is in the group's transaction.
 *
 *     log row = entry entry entry ...    entry = key (8 bytes: kind << 56 | number), record
 *
 * Whoever reads rows of blocks - a snapshot, a start after a crash - lays the
 * log over them: the newest entry of a record wins. The log is short (about
 * BLOCK_LOG_BYTES_MAX), so that costs little. docs/adr/0002-block-log.md tells
 * what was measured.
 */
#pragma once

#include "base/buf.h"
#include "store/block.h"

#define BLOCK_LOG_BYTES_MAX (1024 * 1024) /* of rows; above it the blocks are settled */

/* Appends an entry to the row being made. */
void block_log_entry(struct buf *row, uint64_t key, const void *record, size_t record_bytes);

/* Writes the row as number seq. */
enum err block_log_append(struct op *op, struct tx *tx, int64_t seq, struct str row);

/* Gives up all rows: their entries are in the blocks now. */
enum err block_log_clear(struct op *op, struct tx *tx);

/* Calls fn for each entry of the rows behind after_seq, oldest first; *ret_seq is the newest row (after_seq when there
 * is none), *ret_bytes what they hold together. */
enum err block_log_each(struct op *op, struct tx *tx, int64_t after_seq,
                        enum err (*fn)(struct op *op, uint64_t key, const void *record, void *arg), void *arg,
                        int64_t *ret_seq, int64_t *ret_bytes);

/* What a reading connection knows of the log: the newest entry of each record. */
struct block_overlay;
struct block_overlay *block_overlay_new(void);
void block_overlay_free(struct block_overlay *overlay);

/* Brings it to the tx's snapshot: reads only the rows that are new to it. */
enum err block_overlay_read(struct op *op, struct tx *tx, struct block_overlay *overlay);

/* The newest bytes of a record, or NULL when its block holds them. */
const void *block_overlay_find(const struct block_overlay *overlay, uint64_t key);
bool block_overlay_is_empty(const struct block_overlay *overlay);
