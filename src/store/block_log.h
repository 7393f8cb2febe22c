/*
 * block_log.h - changed records on their way into their blocks.
 *
 * Private to src/store, used by the files of block_parts.h. Events of a mailing
 * touch the same few hundred blocks in every group; writing each block each time
 * costs half a page per event. So a group appends the records it changed to one
 * log row, and the blocks are written later ("settled"), once for many groups
 * (block_settle.c). Nothing is less durable: the row is in the group's
 * transaction.
 *
 *     log row = entry entry entry ...
 *
 *     entry     kind << 56 | number, record                       a record has this content
 *               (0x80 | kind) << 56 | number of block             the block's row was written whole
 *               0xFE << 56, former settled row, this row          the log begins anew: all before is in the blocks
 *               0xFC << 56                                        a sweep begins (block_settle.c)
 *               0xFD << 56                                        it has ended: all before it began is settled
 *
 * Whoever reads rows of blocks - a snapshot, a start after a crash - lays the
 * log over them: the newest entry of a record wins. The log is short (about
 * BLOCK_LOG_BYTES_MAX), so that costs little. What is settled is erased from its
 * front by number: rows that are dead but cannot go yet are never walked over.
 * Where several nodes write, all is settled at once and one row says so; each
 * node reads what the others logged since its own last group, and forgets blocks
 * written whole. docs/adr/0002-block-log.md tells what was measured.
 */
#pragma once

#include "base/buf.h"
#include "store/block.h"

#define BLOCK_LOG_BYTES_MAX (8 * 1024 * 1024) /* of rows that are not settled; half as much may wait to be erased */

/* Appends an entry to the row being made. */
void block_log_entry(struct buf *row, uint64_t key, const void *record, size_t record_bytes);
void block_log_whole(struct buf *row, uint64_t block_key);

/* Begins the row that says that all rows before it are settled; `former` is the row that said so before, 0 when there
 * is none, BLOCK_LOG_FORGET when readers of the log must forget every block they hold. */
#define BLOCK_LOG_FORGET INT64_MAX
void block_log_settled(struct buf *row, int64_t former, int64_t seq);

void block_log_sweep_begins(struct buf *row);
void block_log_sweep_ends(struct buf *row);

/* Writes the row as number seq. */
enum err block_log_append(struct op *op, struct tx *tx, int64_t seq, struct str row);

/* Gives up the rows from `from` on, before seq: always the oldest. */
enum err block_log_erase(struct op *op, struct tx *tx, int64_t from, int64_t seq);

/* What to do with entries; each may be NULL. */
struct block_log_visit {
    enum err (*record)(struct op *op, uint64_t key, const void *record, void *arg);
    enum err (*whole)(struct op *op, uint64_t block_key, void *arg);
    enum err (*settled)(struct op *op, int64_t former, int64_t seq, void *arg);
    enum err (*swept)(struct op *op, bool ends, void *arg);
};

/* Asks ahead (stmt_ask) for what block_log_read will read behind the same row. */
enum err block_log_ask(struct op *op, struct tx *tx, int64_t after_seq);

/* Appends the entries of the rows behind after_seq to `entries`, oldest first; *ret_first and *ret_seq are the oldest
 * and the newest of these rows, after_seq when there is none. */
enum err block_log_read(struct op *op, struct tx *tx, int64_t after_seq, struct buf *entries, int64_t *ret_first,
                        int64_t *ret_seq);

/* After a read: gives back the memory of one that was long, as at a start, and keeps that of the ordinary few rows. */
void block_log_read_done(struct buf *entries);

/* Visits each entry. */
enum err block_log_each(struct op *op, struct str entries, const struct block_log_visit *visit, void *arg);

/* What a reading connection knows of the log: the newest entry of each record. */
struct block_overlay;
struct block_overlay *block_overlay_new(void);
void block_overlay_free(struct block_overlay *overlay);

/* Brings it to the tx's snapshot: reads only the rows that are new to it. */
enum err block_overlay_read(struct op *op, struct tx *tx, struct block_overlay *overlay);

/* The newest bytes of a record, or NULL when its block holds them. */
const void *block_overlay_find(const struct block_overlay *overlay, uint64_t key);
