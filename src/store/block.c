#include "store/block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/block_log.h"
#include "store/block_parts.h"
#include "store/core.h"
#include "store/seq.h"

static enum err block_in_ram(struct op *op, struct tx *tx, enum block_kind kind, uint64_t block_no,
                             struct block **ret_block)
{
    struct blocks *blocks = tx_state(tx, &block_family);
    uint64_t key = block_key(kind, block_no);
    if (blocks->reload)
        TRY(blocks_reload(op, tx, blocks));
    struct block *block = blocks->last[kind];
    if (!block || block->key != key) {
        block = block_find(blocks, key);
        if (!block)
            TRY(block_load(op, tx, blocks, kind, block_no, &block));
        blocks->last[kind] = block;
    }
    block->recent = true;
    *ret_block = block;
    return OK;
}

static void block_touch(struct tx *tx, struct blocks *blocks, struct block *block)
{
    tx_wrote(tx);
    block_mark(blocks, block);
}

/* Touches the block for one record of it. */
static void record_touch(struct tx *tx, struct blocks *blocks, struct block *block, enum block_kind kind, uint64_t no)
{
    uint64_t at = no % block_kinds[kind].per_block;
    block->changed[at / 64] |= UINT64_C(1) << at % 64;
    block_touch(tx, blocks, block);
}

/* --- the calls --- */

static enum err record_get(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, bool edit,
                           void **ret_record)
{
    if (!tx_may_write(tx)) {
        assert(!edit);
        return block_view_get(op, tx, kind, no, ret_record);
    }
    struct block *block;
    TRY(block_in_ram(op, tx, kind, no / block_kinds[kind].per_block, &block));
    if (edit)
        record_touch(tx, tx_state(tx, &block_family), block, kind, no);
    *ret_record = block_record_in(block->data, kind, no);
    return OK;
}

enum err store_block_get(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record)
{
    void *record;
    TRY(record_get(op, tx, kind, no, false, &record));
    memcpy(ret_record, &record, sizeof record);
    return OK;
}

enum err store_block_edit(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record)
{
    void *record;
    TRY(record_get(op, tx, kind, no, true, &record));
    memcpy(ret_record, &record, sizeof record);
    return OK;
}

void store_block_dirty(struct tx *tx, enum block_kind kind, uint64_t no)
{
    struct blocks *blocks = tx_state(tx, &block_family);
    struct block *block = block_find(blocks, block_key(kind, no / block_kinds[kind].per_block));
    assert(block); /* it was obtained in this command, and blocks leave between commands only */
    record_touch(tx, blocks, block, kind, no);
}

/* --- records without their blocks --- */

void pages_forget(struct blocks *blocks)
{
    for (int kind = 0; kind < BLOCK_KINDS; kind++)
        blocks->pages[kind].key = UINT64_MAX;
}

/* The row of the block that holds the record. */
static enum err page_read(struct op *op, struct tx *tx, struct blocks *blocks, enum block_kind kind, uint64_t no,
                          struct page **ret_page)
{
    struct page *page = &blocks->pages[kind];
    uint64_t block_no = no / block_kinds[kind].per_block;
    if (page->key != block_key(kind, block_no)) {
        page->key = UINT64_MAX;
        TRY(block_read_row(op, tx, kind, block_no, page->data, &page->stored));
        page->key = block_key(kind, block_no);
    }
    *ret_page = page;
    return OK;
}

/* Whether the record is to be found in its block: where that is in RAM, or there is room for it, or a block is worth
 * more than its records. */
static bool goes_by_block(const struct blocks *blocks, enum block_kind kind, uint64_t no)
{
    return blocks->shared || blocks->reload || blocks->used < CACHE_BLOCKS ||
           block_find(blocks, block_key(kind, no / block_kinds[kind].per_block));
}

enum err store_block_look(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record)
{
    struct blocks *blocks = tx_may_write(tx) ? tx_state(tx, &block_family) : NULL;
    if (!blocks || goes_by_block(blocks, kind, no))
        return store_block_get(op, tx, kind, no, ret_record);
    struct lone *lone = lone_find(blocks, block_key(kind, no));
    struct page *page = NULL;
    if (!lone)
        TRY(page_read(op, tx, blocks, kind, no, &page));
    void *record = lone ? lone->data : block_record_in(page->data, kind, no);
    memcpy(ret_record, &record, sizeof record);
    return OK;
}

/* The record outside its block; *ret_lone NULL: it is to be found by its block, since that is in RAM or new. */
static enum err lone_take(struct op *op, struct tx *tx, struct blocks *blocks, enum block_kind kind, uint64_t no,
                          struct lone **ret_lone)
{
    struct page *page;
    *ret_lone = NULL;
    if (goes_by_block(blocks, kind, no))
        return OK;
    *ret_lone = lone_find(blocks, block_key(kind, no));
    if (*ret_lone)
        return OK;
    TRY(page_read(op, tx, blocks, kind, no, &page));
    if (page->stored) /* a new block gets its row first */
        *ret_lone = lone_add(blocks, block_key(kind, no), block_record_in(page->data, kind, no));
    return OK;
}

enum err store_block_edit_alone(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record)
{
    struct blocks *blocks = tx_state(tx, &block_family);
    struct lone *lone;
    TRY(lone_take(op, tx, blocks, kind, no, &lone));
    if (!lone)
        return store_block_edit(op, tx, kind, no, ret_record);
    tx_wrote(tx);
    lone_touch(blocks, lone);
    void *record = lone->data;
    memcpy(ret_record, &record, sizeof record);
    return OK;
}

enum err store_block_take_alone(struct op *op, struct tx *tx, enum block_kind kind, const uint64_t *numbers,
                                size_t count)
{
    struct blocks *blocks = tx_state(tx, &block_family);
    struct block *block;
    struct lone *lone;
    for (size_t i = 0; i < count; i++) {
        TRY(lone_take(op, tx, blocks, kind, numbers[i], &lone));
        if (!lone)
            TRY(block_in_ram(op, tx, kind, numbers[i] / block_kinds[kind].per_block, &block));
    }
    return OK;
}

enum err store_block_prefetch(struct op *op, struct tx *tx, unsigned kind_bits, const uint64_t *numbers, size_t count)
{
    struct blocks *blocks = tx_state(tx, &block_family);
    if (!tx_is_shared(tx))
        return OK;
    if (blocks->reload)
        TRY(blocks_reload(op, tx, blocks));
    block_wants_clear(blocks);
    for (unsigned kind = 0; kind < BLOCK_KINDS; kind++)
        for (size_t i = 0; i < count && kind_bits >> kind & 1; i++)
            if (numbers[i])
                block_want(blocks, block_key((enum block_kind)kind, numbers[i] / block_kinds[kind].per_block));
    return block_wants_load(op, tx, blocks);
}

/* --- deleting --- */

/* Zeroes records [from_no, to_no) of one block, if the block exists. */
static enum err zero_part(struct op *op, struct tx *tx, enum block_kind kind, uint64_t from_no, uint64_t to_no)
{
    struct block *block;
    if (from_no == to_no)
        return OK;
    TRY(block_in_ram(op, tx, kind, from_no / block_kinds[kind].per_block, &block));
    if (!block->stored && !block->dirty)
        return OK;
    block_touch(tx, tx_state(tx, &block_family), block);
    memset(block_record_in(block->data, kind, from_no), 0, (size_t)(to_no - from_no) * block_kinds[kind].record_bytes);
    return OK;
}

/* A block in RAM whose row goes away: it reads as zeros from now on, and must be forgotten after a rollback. */
static void zero_in_ram(struct tx *tx, struct blocks *blocks, uint64_t key)
{
    struct block *block = block_find(blocks, key);
    if (!block)
        return;
    block_touch(tx, blocks, block);
    memset(block->data, 0, BLOCK_BYTES);
    block->dirty = block->stored = false;
}

enum err store_block_delete(struct op *op, struct tx *tx, enum block_kind kind, uint64_t from_no, uint64_t to_no)
{
    uint64_t per = block_kinds[kind].per_block;
    struct blocks *blocks = tx_state(tx, &block_family);
    if (from_no >= to_no)
        return OK;
    if (blocks->reload)
        TRY(blocks_reload(op, tx, blocks));
    pages_forget(blocks);
    blocks->whole = true;
    TRY(blocks_settle(op, tx, blocks)); /* no entry of the log may outlive the rows it belongs to */
    uint64_t first = (from_no + per - 1) / per, end = to_no / per; /* whole blocks */
    if (first > end)                                               /* inside one block */
        return zero_part(op, tx, kind, from_no, to_no);
    TRY(zero_part(op, tx, kind, from_no, first * per));
    TRY(zero_part(op, tx, kind, end * per, to_no));

    for (uint64_t no = first; no < end; no++)
        zero_in_ram(tx, tx_state(tx, &block_family), block_key(kind, no));
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, block_kinds[kind].erase, &stmt));
    bind_int(stmt, 1, (int64_t)first);
    bind_int(stmt, 2, (int64_t)end);
    return stmt_done(op, stmt);
}

/* --- the group --- */

static void blocks_close(void *state)
{
    struct blocks *blocks = state;
    for (size_t i = 0; i < blocks->count; i += SLAB_BLOCKS)
        free(blocks->all[i]); /* the first of each slab */
    free(blocks->all);
    free(blocks->order);
    buf_done(&blocks->row);
    buf_done(&blocks->entries);
    free(blocks->wants.keys);
    free(blocks->wants.numbers);
    free(blocks->sweep.keys);
    debts_done(blocks);
    free(blocks);
}

void store_block_release(struct tx *tx)
{
    blocks_shrink(tx_state(tx, &block_family));
}

static enum err blocks_trim(struct op *op, struct tx *tx, void *state)
{
    struct blocks *blocks = state;
    (void)op;
    blocks_shrink(blocks);
    if (blocks->touched_count > TOUCHED_MAX || blocks->lone_count > LONES_MAX)
        tx_full(tx);
    return OK;
}

static void blocks_kept(void *state)
{
    struct blocks *blocks = state;
    size_t steps = blocks->used < CACHE_BLOCKS ? 0 : blocks->lone_count / LONES_A_STEP;
    blocks_settle_kept(blocks);
    for (; steps > 0; steps--) /* a full cache makes room for what is asked for these days */
        blocks_hand_step(blocks);
    blocks_shrink(blocks);
    blocks_give_back(blocks);
}

static void blocks_drop(void *state)
{
    struct blocks *blocks = state;
    while (blocks->touched) {
        struct block *block = blocks->touched;
        blocks->touched = block->touched;
        block->in_touched = false;
        blocks->reload |= block->owed; /* its row would not give the newest bytes back */
        blocks->owed_count -= block->owed;
        block_forget(blocks, block);
    }
    blocks->touched_count = 0;
    lones_drop(blocks);
    pages_forget(blocks);
    blocks_settle_drop(blocks);
}

static enum err blocks_open(struct op *op, struct tx *tx, void **ret_state)
{
    struct blocks *blocks = calloc(1, sizeof *blocks);
    if (!blocks)
        abort();
    buf_init(&blocks->row, SIZE_MAX / 2);
    buf_init(&blocks->entries, SIZE_MAX / 2);
    blocks->shared = tx_is_shared(tx);
    pages_forget(blocks);
    blocks->log.erased = -1;
    enum err err = blocks_reload(op, tx, blocks);
    if (err != OK) {
        blocks_close(blocks);
        return err;
    }
    *ret_state = blocks;
    return OK;
}

static enum err blocks_ask(struct op *op, struct tx *tx, void *state)
{
    const struct blocks *blocks = state;
    return block_log_ask(op, tx, blocks->reload ? blocks->log.settled : blocks->log.newest);
}

/* Other nodes logged, settled, wrote new blocks or erased some. */
static enum err blocks_foreign(struct op *op, struct tx *tx, void *state)
{
    struct blocks *blocks = state;
    return blocks->reload ? blocks_reload(op, tx, blocks) : blocks_read_log(op, tx, blocks, blocks->log.newest);
}

const struct family block_family = {
    .name = "block",
    .open = blocks_open,
    .close = blocks_close,
    .flush = blocks_flush,
    .trim = blocks_trim,
    .kept = blocks_kept,
    .drop = blocks_drop,
    .foreign = blocks_foreign,
    .ask = blocks_ask,
};
