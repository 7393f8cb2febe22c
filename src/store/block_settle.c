/*
 * block_settle.c - what a transaction changed goes to the log, and later to the rows of its blocks.
 *
 * Alone on its file, the writer sweeps: when half of the log is full, the blocks
 * that are owed by then are listed in order of their rows, and each group that
 * follows writes some of them, at the pace at which the other half fills. Nobody
 * waits for thousands of blocks, and no block stays in RAM to be written:
 *
 *     rows of the log     settled ... mark ... newest
 *                            |          |        `- kept: not all of it is in the blocks
 *                            |          `- where the sweep began
 *                            `- in the blocks when the sweep ends; then erased, a few rows a group
 *
 * Where several nodes write, all that is owed is settled by one transaction, and
 * a row of the log tells the others.
 */
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "store/block_parts.h"
#include "store/seq.h"

#define HALF_BYTES     (BLOCK_LOG_BYTES_MAX / 2)
#define ERASED_AT_ONCE 4 /* rows of the log */

static int by_key(const void *a, const void *b)
{
    return sort_cmp_u64((*(struct block *const *)a)->key, (*(struct block *const *)b)->key);
}

/* --- rows of blocks --------------------------------------------------------------- */

static enum err row_write(struct op *op, struct tx *tx, uint64_t key, const uint8_t *data, bool stored)
{
    const struct block_kind_of *kind = &block_kinds[key >> 56];
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, stored ? kind->set : kind->add, &stmt));
    bind_int(stmt, 1, (int64_t)(key & NUMBER_MASK));
    bind_blob(stmt, 2, data, BLOCK_BYTES);
    return stmt_later(op, stmt);
}

static enum err block_write(struct op *op, struct tx *tx, struct block *block)
{
    TRY(row_write(op, tx, block->key, block->data, block->stored));
    block->stored = true;
    block->dirty = false;
    return OK;
}

static enum err debt_write(struct op *op, struct tx *tx, const struct debt *debt)
{
    _Alignas(8) uint8_t data[BLOCK_BYTES];
    bool stored;
    TRY(block_read_row(op, tx, (enum block_kind)(debt->key >> 56), debt->key & NUMBER_MASK, data, &stored));
    debt_lay(debt, data);
    return row_write(op, tx, debt->key, data, stored);
}

static void order_fit(struct blocks *blocks, size_t n)
{
    if (n <= blocks->order_room)
        return;
    blocks->order_room = 2 * n;
    blocks->order = realloc(blocks->order, blocks->order_room * sizeof(struct block *));
    if (!blocks->order)
        abort();
}

static size_t order_sort(struct blocks *blocks, size_t n)
{
    if (n > 1)
        qsort(blocks->order, n, sizeof(struct block *), by_key);
    return n;
}

/* The blocks changed in this transaction, in key order, in blocks->order. */
static size_t collect_dirty(struct blocks *blocks)
{
    size_t n = 0;
    order_fit(blocks, blocks->touched_count);
    for (struct block *block = blocks->touched; block; block = block->touched)
        if (block->dirty)
            blocks->order[n++] = block;
    return order_sort(blocks, n);
}

/* The blocks whose rows are behind, in key order. Looks at every block in RAM, so it is for settling only. */
static size_t collect_behind(struct blocks *blocks)
{
    size_t n = 0;
    order_fit(blocks, blocks->used);
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->all[i]->key != UINT64_MAX && (blocks->all[i]->dirty || blocks->all[i]->owed))
            blocks->order[n++] = blocks->all[i];
    return order_sort(blocks, n);
}

/* --- settling all at once --------------------------------------------------------- */

static enum err name_again(struct op *op, uint64_t key, void *row)
{
    (void)op;
    block_log_whole(row, key);
    return OK;
}

/* New blocks that rows of the log name, which go now: a node that has not read them yet may hold such a block as one
 * that was never written. */
static enum err log_new_blocks(struct op *op, struct tx *tx, struct blocks *blocks)
{
    static const struct block_log_visit visit = { .whole = name_again };
    int64_t first, newest;
    buf_reset(&blocks->entries);
    TRY(block_log_read(op, tx, blocks->log.settled, &blocks->entries, &first, &newest));
    return block_log_each(op, buf_str(&blocks->entries), &visit, &blocks->row);
}

/* Gives up the log: what it held is in the blocks, n of which, in blocks->order, were just written. */
static enum err log_settle(struct op *op, struct tx *tx, struct blocks *blocks, size_t n)
{
    bool shared = blocks->shared;
    if (blocks->log.newest == blocks->log.settled && !(shared && (n > 0 || blocks->whole)))
        return OK;
    int64_t seq = (int64_t)store_seq_next(tx, SEQ_BLOCK_LOG);
    buf_reset(&blocks->row);
    block_log_settled(&blocks->row, blocks->whole ? BLOCK_LOG_FORGET : blocks->log.settled, seq);
    for (size_t i = 0; i < n && shared; i++)
        block_log_whole(&blocks->row, blocks->order[i]->key);
    if (shared && !blocks->whole)
        TRY(log_new_blocks(op, tx, blocks));
    TRY(block_log_erase(op, tx, shared ? blocks->log.settled : blocks->log.erased + 1, seq));
    TRY(block_log_append(op, tx, seq, buf_str(&blocks->row)));
    blocks->log = (struct log){ .settled = seq, .erased = seq - 1, .newest = seq };
    return OK;
}

static enum err debts_settle(struct op *op, struct tx *tx, struct blocks *blocks)
{
    for (size_t i = 0; i < CHAINS && blocks->debt_count > 0; i++)
        for (const struct debt *debt = blocks->debts[i]; debt; debt = debt->chain)
            TRY(debt_write(op, tx, debt));
    blocks->paid |= blocks->debt_count > 0;
    debts_clear(blocks);
    return OK;
}

enum err blocks_settle(struct op *op, struct tx *tx, struct blocks *blocks)
{
    size_t n = collect_behind(blocks);
    for (size_t i = 0; i < n; i++)
        TRY(block_write(op, tx, blocks->order[i]));
    TRY(debts_settle(op, tx, blocks));
    TRY(log_settle(op, tx, blocks, n));
    blocks->sweep = (struct sweep){ .keys = blocks->sweep.keys };
    blocks->settled = true;
    return OK;
}

/* --- the log ---------------------------------------------------------------------- */

static void block_to_log(struct blocks *blocks, struct block *block)
{
    const struct block_kind_of *kind = &block_kinds[block->key >> 56];
    uint64_t first = (block->key & NUMBER_MASK) * kind->per_block;
    for (size_t word = 0; word < CHANGED_MAX / 64; word++) {
        for (uint64_t bits = block->changed[word]; bits; bits &= bits - 1) {
            uint64_t at = word * 64 + (uint64_t)__builtin_ctzll(bits);
            block_log_entry(&blocks->row, block_key((enum block_kind)(block->key >> 56), first + at),
                            block->data + at * kind->record_bytes, kind->record_bytes);
        }
        block->behind[word] |= block->changed[word];
        block->changed[word] = 0;
    }
    block->dirty = false;
    block->logged = true;
}

static enum err log_add(struct op *op, struct tx *tx, struct blocks *blocks)
{
    struct log *log = &blocks->log;
    log->newest = (int64_t)store_seq_next(tx, SEQ_BLOCK_LOG);
    log->bytes += (int64_t)blocks->row.n;
    if (log->erased < 0)
        log->erased = log->newest - 1;
    return block_log_append(op, tx, log->newest, buf_str(&blocks->row));
}

static void lones_to_log(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->lone_count; i++) {
        const struct lone *lone = blocks->lones[i];
        if (!lone->gone)
            block_log_entry(&blocks->row, lone->key, lone->data, block_kinds[lone->key >> 56].record_bytes);
    }
}

/* New blocks get their rows at once, so that every entry of the log has a row to lie over. */
static enum err blocks_log(struct op *op, struct tx *tx, struct blocks *blocks, size_t n)
{
    buf_reset(&blocks->row);
    for (size_t i = 0; i < n; i++) {
        if (blocks->order[i]->stored) {
            block_to_log(blocks, blocks->order[i]);
            continue;
        }
        TRY(block_write(op, tx, blocks->order[i]));
        if (blocks->shared) /* others may hold it as one that was never written */
            block_log_whole(&blocks->row, blocks->order[i]->key);
    }
    lones_to_log(blocks);
    return blocks->row.n > 0 ? log_add(op, tx, blocks) : OK;
}

/* --- the sweep -------------------------------------------------------------------- */

static void sweep_list(struct blocks *blocks)
{
    struct sweep *sweep = &blocks->sweep;
    sweep->keys = realloc(sweep->keys, (blocks->used + blocks->debt_count + 1) * sizeof *sweep->keys);
    if (!sweep->keys)
        abort();
    sweep->count = 0;
    for (size_t i = 0; i < blocks->count; i++)
        if (blocks->all[i]->key != UINT64_MAX && (blocks->all[i]->owed || blocks->all[i]->logged))
            sweep->keys[sweep->count++] = blocks->all[i]->key;
    for (size_t i = 0; i < CHAINS && blocks->debt_count > 0; i++)
        for (const struct debt *debt = blocks->debts[i]; debt; debt = debt->chain)
            sweep->keys[sweep->count++] = debt->key;
    sort_u64(sweep->keys, sweep->count);
}

static enum err sweep_begin(struct op *op, struct tx *tx, struct blocks *blocks)
{
    sweep_list(blocks);
    buf_reset(&blocks->row);
    block_log_sweep_begins(&blocks->row);
    TRY(log_add(op, tx, blocks));
    blocks->sweep.begun = true;
    blocks->sweep.mark = blocks->log.newest;
    blocks->sweep.at = 0;
    blocks->log.bytes = 0;
    return OK;
}

static enum err sweep_end(struct op *op, struct tx *tx, struct blocks *blocks)
{
    buf_reset(&blocks->row);
    block_log_sweep_ends(&blocks->row);
    TRY(log_add(op, tx, blocks));
    blocks->sweep.begun = false;
    blocks->log.settled = blocks->sweep.mark;
    return OK;
}

static enum err sweep_one(struct op *op, struct tx *tx, struct blocks *blocks, uint64_t key)
{
    struct block *block = block_find(blocks, key);
    if (block)
        return block->owed || block->logged ? block_write(op, tx, block) : OK;
    const struct debt *debt = debt_find(blocks, key);
    return debt ? debt_write(op, tx, debt) : OK;
}

/* Does as much as the log has grown. */
static enum err sweep_go(struct op *op, struct tx *tx, struct blocks *blocks)
{
    struct sweep *sweep = &blocks->sweep;
    int64_t bytes = blocks->log.bytes;
    if (!sweep->begun) /* and none that this transaction ended: its list is still needed */
        return bytes > HALF_BYTES && !blocks->sweep_kept.begun ? sweep_begin(op, tx, blocks) : OK;
    size_t upto = bytes >= HALF_BYTES ? sweep->count : (size_t)bytes * sweep->count / HALF_BYTES;
    for (; sweep->at < upto; sweep->at++)
        TRY(sweep_one(op, tx, blocks, sweep->keys[sweep->at]));
    return sweep->at == sweep->count ? sweep_end(op, tx, blocks) : OK;
}

static enum err log_erase_some(struct op *op, struct tx *tx, struct blocks *blocks)
{
    struct log *log = &blocks->log;
    int64_t from = log->erased + 1;
    if (log->erased >= log->settled)
        return OK;
    log->erased = log->erased + ERASED_AT_ONCE < log->settled ? log->erased + ERASED_AT_ONCE : log->settled;
    return block_log_erase(op, tx, from, log->erased + 1);
}

/* --- the group -------------------------------------------------------------------- */

/* Bytes that the log would take for the blocks in blocks->order. */
static size_t log_bytes(const struct blocks *blocks, size_t n)
{
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t word = 0; word < CHANGED_MAX / 64; word++)
            bytes += (size_t)__builtin_popcountll(blocks->order[i]->changed[word]) *
                     (sizeof(uint64_t) + block_kinds[blocks->order[i]->key >> 56].record_bytes);
    return bytes;
}

/* Would the changes of this transaction cost as much in the log as in their rows, or fill it? */
static bool is_much(const struct blocks *blocks, size_t n)
{
    if (blocks->shared)
        return n + blocks->owed_count > OWED_MAX || blocks->log.bytes > SHARED_LOG_BYTES_MAX;
    return n > OWED_MAX && log_bytes(blocks, n) > HALF_BYTES / 4;
}

enum err blocks_flush(struct op *op, struct tx *tx, void *state)
{
    struct blocks *blocks = state;
    if (!blocks->touched && blocks->lone_count == 0 && !blocks->whole)
        return OK;
    pages_forget(blocks);
    size_t n = collect_dirty(blocks);
    if (is_much(blocks, n) || blocks->whole)
        return blocks_settle(op, tx, blocks);
    TRY(blocks_log(op, tx, blocks, n));
    if (blocks->shared)
        return OK;
    TRY(sweep_go(op, tx, blocks));
    return log_erase_some(op, tx, blocks);
}

/* The blocks that the sweep wrote in this transaction owe nothing any more. */
static void sweep_kept(struct blocks *blocks)
{
    struct sweep *sweep = &blocks->sweep;
    bool going = sweep->begun || blocks->sweep_kept.begun;
    for (size_t i = blocks->sweep_kept.begun ? blocks->sweep_kept.at : 0; going && i < sweep->at; i++) {
        struct block *block = block_find(blocks, sweep->keys[i]);
        struct debt *debt = block ? NULL : debt_find(blocks, sweep->keys[i]);
        if (block) {
            blocks->owed_count -= block->owed;
            block->owed = false;
            memset(block->behind, 0, sizeof block->behind);
        }
        if (debt)
            debt_forget(blocks, debt);
    }
}

static void all_settled(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->count; i++) {
        blocks->all[i]->owed = false;
        memset(blocks->all[i]->behind, 0, sizeof blocks->all[i]->behind);
    }
    blocks->owed_count = 0;
    debts_clear(blocks);
}

void blocks_settle_kept(struct blocks *blocks)
{
    if (blocks->settled)
        all_settled(blocks);
    for (struct block *block = blocks->touched; block; block = block->touched) {
        blocks->owed_count += block->logged && !block->owed;
        block->owed |= block->logged;
        block->in_touched = block->logged = false;
        memset(block->changed, 0, sizeof block->changed);
    }
    lones_kept(blocks);
    sweep_kept(blocks);
    blocks->touched = NULL;
    blocks->touched_count = 0;
    blocks->settled = blocks->whole = blocks->paid = false;
    blocks->log_kept = blocks->log;
    blocks->sweep_kept = blocks->sweep;
}

void blocks_settle_drop(struct blocks *blocks)
{
    uint64_t *keys = blocks->sweep.keys;
    blocks->reload |= blocks->paid;
    blocks->settled = blocks->whole = blocks->paid = false;
    blocks->log = blocks->log_kept;
    blocks->sweep = blocks->sweep_kept;
    blocks->sweep.keys = keys;
}
