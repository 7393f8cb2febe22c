/*
 * block_reload.c - blocks read together, and the log laid over those in RAM: at a start, after a rollback, and when
 * another node has written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "store/block_parts.h"

/* Many blocks of every kind at once: a parameter for each. */
#define WANTED(kind, table, numbers)     "SELECT " kind "::bigint, no, data FROM " table " WHERE no = ANY (" numbers ")"
#define WANTED_TOO(kind, table, numbers) " UNION ALL " WANTED(kind, table, numbers)
_Static_assert(BLOCK_KINDS == 6, "blocks_wanted has a parameter for each kind");
SQL_ONLY_POSTGRES(blocks_wanted,
                  WANTED("0", "block_message_fixed", "?1") WANTED_TOO("1", "block_message_delivery", "?2")
                      WANTED_TOO("2", "block_message_engagement", "?3") WANTED_TOO("3", "block_member", "?4")
                          WANTED_TOO("4", "block_link", "?5") WANTED_TOO("5", "block_visitor", "?6"));

/* --- many blocks at once --- */

void block_wants_clear(struct blocks *blocks)
{
    struct wants *wants = &blocks->wants;
    wants->count = 0;
    if (wants->keys)
        return;
    wants->keys = malloc(WANTS_MAX * sizeof *wants->keys);
    wants->numbers = malloc(WANTS_MAX * sizeof *wants->numbers);
    if (!wants->keys || !wants->numbers)
        abort();
}

/* One that is not wanted for lack of room is read when it is used. */
void block_want(struct blocks *blocks, uint64_t key)
{
    struct wants *wants = &blocks->wants;
    bool again = wants->count > 0 && wants->keys[wants->count - 1] == key;
    if (!again && wants->count < WANTS_MAX && !block_find(blocks, key))
        wants->keys[wants->count++] = key;
}

static void wants_bind(struct stmt *stmt, struct wants *wants)
{
    size_t i = 0;
    for (int kind = 0; kind < BLOCK_KINDS; kind++) {
        size_t from = i;
        for (; i < wants->count && wants->keys[i] >> 56 == (uint64_t)kind; i++)
            wants->numbers[i] = (int64_t)(wants->keys[i] & NUMBER_MASK);
        bind_ints(stmt, kind + 1, wants->numbers + from, i - from);
    }
}

/* Reads them; those without a row are zeros. */
enum err block_wants_load(struct op *op, struct tx *tx, struct blocks *blocks)
{
    struct wants *wants = &blocks->wants;
    struct stmt *stmt;
    bool found = true;
    if (wants->count == 0)
        return OK;
    wants->count = sort_unique_u64(wants->keys, wants->count);
    TRY(tx_stmt(op, tx, &blocks_wanted, &stmt));
    wants_bind(stmt, wants);
    while (found) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        if (!blocks->free)
            blocks_grow(blocks);
        TRY(block_copy_row(op, stmt, 2, blocks->free->data));
        block_adopt(blocks, block_key((enum block_kind)col_int(stmt, 0), (uint64_t)col_int(stmt, 1)), true);
    }
    for (size_t i = 0; i < wants->count; i++) {
        if (block_find(blocks, wants->keys[i]))
            continue;
        if (!blocks->free)
            blocks_grow(blocks);
        memset(blocks->free->data, 0, BLOCK_BYTES);
        block_adopt(blocks, wants->keys[i], false);
    }
    return OK;
}

/* --- the log over the cache --- */

struct reload {
    struct tx *tx;
    struct blocks *blocks;
    size_t records;      /* of the log, seen so far */
    size_t begun, swept; /* of them, before the newest sweep began; and in the blocks, since a sweep has ended */
};

/* Another node settled: what this one owed is in the rows. The blocks that were changed meanwhile are named behind this
 * entry, unless there was another settling that this node did not see. */
static enum err entry_settled(struct op *op, int64_t former, int64_t seq, void *arg)
{
    const struct reload *reload = arg;
    struct blocks *blocks = reload->blocks;
    (void)op;
    for (size_t i = 0; i < blocks->count; i++) {
        struct block *block = blocks->all[i];
        block->owed = false;
        memset(block->behind, 0, sizeof block->behind);
        if (block->key != UINT64_MAX && former != blocks->log.settled)
            block_forget(blocks, block);
    }
    blocks->owed_count = 0;
    debts_clear(blocks);
    blocks->log.settled = seq;
    blocks->log.bytes = 0;
    return OK;
}

/* Another node wrote the block's row. */
static enum err entry_whole(struct op *op, uint64_t block_key, void *arg)
{
    const struct reload *reload = arg;
    struct block *block = block_find(reload->blocks, block_key);
    (void)op;
    if (block) {
        reload->blocks->owed_count -= block->owed;
        block_forget(reload->blocks, block);
    }
    return OK;
}

static enum err entry_swept(struct op *op, bool ends, void *arg)
{
    struct reload *reload = arg;
    (void)op;
    if (ends)
        reload->swept = reload->begun;
    else
        reload->begun = reload->records;
    return OK;
}

static enum err entry_want(struct op *op, uint64_t key, const void *record, void *arg)
{
    struct reload *reload = arg;
    (void)op;
    (void)record;
    reload->records++;
    block_want(reload->blocks, block_key_of(key));
    return OK;
}

static enum err entry_record(struct op *op, uint64_t key, const void *record, void *arg)
{
    struct reload *reload = arg;
    struct blocks *blocks = reload->blocks;
    enum block_kind kind = (enum block_kind)(key >> 56);
    uint64_t no = key & NUMBER_MASK, at = no % block_kinds[kind].per_block;
    if (reload->records++ < reload->swept)
        return OK; /* the row waits to be erased */
    struct block *block = block_find(blocks, block_key_of(key));
    blocks->log.bytes += (int64_t)(sizeof key + block_kinds[kind].record_bytes);
    if (!block && !blocks->shared) {
        debt_put(blocks, key, record);
        return OK;
    }
    if (!block)
        TRY(block_load(op, reload->tx, blocks, kind, no / block_kinds[kind].per_block, &block));
    blocks->owed_count += !block->owed;
    block->owed = true;
    block->behind[at / 64] |= UINT64_C(1) << at % 64;
    memcpy(block_record_in(block->data, kind, no), record, block_kinds[kind].record_bytes);
    return OK;
}

/* Lays the rows of the log behind `after` over the blocks in RAM. Nothing was changed yet in this transaction. */
enum err blocks_read_log(struct op *op, struct tx *tx, struct blocks *blocks, int64_t after)
{
    static const struct block_log_visit look = { entry_want, entry_whole, entry_settled, entry_swept };
    static const struct block_log_visit lay = { .record = entry_record };
    struct reload reload = { .tx = tx, .blocks = blocks };
    int64_t first;
    buf_reset(&blocks->entries);
    block_wants_clear(blocks);
    TRY(block_log_read(op, tx, after, &blocks->entries, &first, &blocks->log.newest));
    if (blocks->log.erased < 0 && first > 0)
        blocks->log.erased = first - 1;
    TRY(block_log_each(op, buf_str(&blocks->entries), &look, &reload));
    if (blocks->shared)
        TRY(block_wants_load(op, tx, blocks));
    reload.records = 0;
    TRY(block_log_each(op, buf_str(&blocks->entries), &lay, &reload));
    block_log_read_done(&blocks->entries);
    blocks->log_kept = blocks->log;
    return OK;
}

/* After a start or a rollback the newest bytes of some blocks stand in the log only: they are owed again. */
enum err blocks_reload(struct op *op, struct tx *tx, struct blocks *blocks)
{
    int64_t bytes = blocks->log.bytes;
    bool rolled_back = blocks->log.newest > 0;
    blocks->log.bytes = 0;
    TRY(blocks_read_log(op, tx, blocks, blocks->log.settled));
    if (!blocks->shared && rolled_back)
        blocks->log.bytes = blocks->log_kept.bytes = bytes; /* behind the sweep's beginning only */
    blocks->reload = false;
    return OK;
}
