/*
 * block_view.c - records as a snapshot sees them: rows of blocks, the log laid over them (block_log.h).
 */
#include "store/block.h"

#include <stdlib.h>
#include <string.h>

#include "store/block_log.h"
#include "store/block_parts.h"
#include "store/core.h"

/* One block per kind, and the log over it, for snapshots. */
struct block_view {
    uint64_t snapshot; /* what it holds was read in this one */
    struct block_overlay *overlay;
    struct {
        uint64_t no;
        bool filled;
        _Alignas(8) uint8_t data[BLOCK_BYTES];
    } kind[BLOCK_KINDS];
};

static enum err view_open(struct op *op, struct tx *tx, struct block_view **view)
{
    if (!*view) {
        *view = calloc(1, sizeof **view);
        if (!*view)
            abort();
        (*view)->overlay = block_overlay_new();
    } else if ((*view)->snapshot == conn_snapshot(tx->conn)) {
        return OK;
    }
    for (int i = 0; i < BLOCK_KINDS; i++)
        (*view)->kind[i].filled = false;
    TRY(block_overlay_read(op, tx, (*view)->overlay));
    (*view)->snapshot = conn_snapshot(tx->conn);
    return OK;
}

void block_view_free(struct block_view *view)
{
    if (view)
        block_overlay_free(view->overlay);
    free(view);
}

enum err block_view_get(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void **ret_record)
{
    struct block_view **view = conn_block_view(tx->conn);
    TRY(view_open(op, tx, view));
    uint64_t block_no = no / block_kinds[kind].per_block;
    bool stored, same = (*view)->kind[kind].filled && (*view)->kind[kind].no == block_no;
    if (!same) {
        (*view)->kind[kind].filled = false;
        TRY(block_read_row(op, tx, kind, block_no, (*view)->kind[kind].data, &stored));
        (*view)->kind[kind].no = block_no;
        (*view)->kind[kind].filled = true;
    }
    void *copy;
    TRY(op_alloc(op, block_kinds[kind].record_bytes, &copy));
    const void *newer = block_overlay_find((*view)->overlay, block_key(kind, no));
    memcpy(copy, newer ? newer : block_record_in((*view)->kind[kind].data, kind, no), block_kinds[kind].record_bytes);
    *ret_record = copy;
    return OK;
}

static uint64_t blocks_before(enum block_kind kind, uint64_t to_no)
{
    uint64_t per = block_kinds[kind].per_block;
    uint64_t blocks = to_no / per + (to_no % per > 0);
    return blocks < INT64_MAX ? blocks : INT64_MAX;
}

enum err store_block_each(struct op *op, struct tx *tx, enum block_kind kind, uint64_t from_no, uint64_t to_no,
                          enum err (*fn)(struct op *op, uint64_t no, const void *record, void *arg), void *arg)
{
    const struct block_kind_of *k = &block_kinds[kind];
    struct block_view **view = conn_block_view(tx->conn);
    TRY(view_open(op, tx, view));
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, k->walk, &stmt));
    bind_int(stmt, 1, (int64_t)(from_no / k->per_block));
    bind_int(stmt, 2, (int64_t)blocks_before(kind, to_no));
    for (;;) {
        _Alignas(8) uint8_t data[BLOCK_BYTES];
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        TRY(block_copy_row(op, stmt, 1, data));
        uint64_t first = (uint64_t)col_int(stmt, 0) * k->per_block;
        for (uint64_t i = from_no > first ? from_no - first : 0; i < k->per_block && first + i < to_no; i++) {
            const void *newer = block_overlay_find((*view)->overlay, block_key(kind, first + i));
            enum err err = fn(op, first + i, newer ? newer : data + i * k->record_bytes, arg);
            if (err != OK) {
                stmt_reset(stmt);
                return err;
            }
        }
    }
}

/* --- records here and there --- */

struct pick {
    enum block_kind kind;
    const uint64_t *numbers;
    size_t count;
    enum err (*fn)(struct op *op, uint64_t no, const void *record, void *arg);
    void *arg;
};

/* Those of the numbers from `at` on that stand in this block; *at is behind them afterwards. */
static enum err pick_of_block(struct op *op, const struct pick *pick, const struct block_overlay *overlay,
                              uint64_t block_no, uint8_t *data, size_t *at)
{
    uint64_t per = block_kinds[pick->kind].per_block;
    for (; *at < pick->count && pick->numbers[*at] / per == block_no; ++*at) {
        uint64_t no = pick->numbers[*at];
        const void *newer = block_overlay_find(overlay, block_key(pick->kind, no));
        TRY(pick->fn(op, no, newer ? newer : block_record_in(data, pick->kind, no), pick->arg));
    }
    return OK;
}

static enum err pick_one_by_one(struct op *op, struct tx *tx, const struct pick *pick,
                                const struct block_overlay *overlay)
{
    for (size_t at = 0; at < pick->count;) {
        _Alignas(8) uint8_t data[BLOCK_BYTES];
        uint64_t block_no = pick->numbers[at] / block_kinds[pick->kind].per_block;
        bool stored;
        TRY(block_read_row(op, tx, pick->kind, block_no, data, &stored));
        TRY(pick_of_block(op, pick, overlay, block_no, data, &at));
    }
    return OK;
}

static enum err pick_together(struct op *op, struct tx *tx, const struct pick *pick,
                              const struct block_overlay *overlay)
{
    uint64_t per = block_kinds[pick->kind].per_block;
    int64_t *blocks;
    size_t n = 0, at = 0;
    struct stmt *stmt;
    bool found = true;
    TRY(op_alloc(op, pick->count * sizeof *blocks, &blocks));
    for (size_t i = 0; i < pick->count; i++)
        if (n == 0 || (uint64_t)blocks[n - 1] != pick->numbers[i] / per)
            blocks[n++] = (int64_t)(pick->numbers[i] / per);
    TRY(tx_stmt(op, tx, block_kinds[pick->kind].pick, &stmt));
    bind_ints(stmt, 1, blocks, n);
    for (;;) {
        _Alignas(8) uint8_t data[BLOCK_BYTES];
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        uint64_t block_no = (uint64_t)col_int(stmt, 0);
        TRY(block_copy_row(op, stmt, 1, data));
        while (pick->numbers[at] / per < block_no)
            at++; /* no row: never written */
        enum err err = pick_of_block(op, pick, overlay, block_no, data, &at);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_block_pick(struct op *op, struct tx *tx, enum block_kind kind, const uint64_t *numbers, size_t count,
                          enum err (*fn)(struct op *op, uint64_t no, const void *record, void *arg), void *arg)
{
    struct pick pick = { kind, numbers, count, fn, arg };
    struct block_view **view = conn_block_view(tx->conn);
    TRY(view_open(op, tx, view));
    return tx_is_shared(tx) ? pick_together(op, tx, &pick, (*view)->overlay)
                            : pick_one_by_one(op, tx, &pick, (*view)->overlay);
}
