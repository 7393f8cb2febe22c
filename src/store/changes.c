#include "store/changes.h"
#include "base/sort.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 64

struct change {
    int64_t number;
    uint32_t row; /* in `added`, + 1; 0 = not there */
    bool used, gone;
};

static size_t slot_at(const struct change *slots, size_t slot_count, int64_t number)
{
    size_t i = (size_t)((uint64_t)number * 0x9E3779B97F4A7C15u >> 20);
    for (i &= slot_count - 1; slots[i].used && slots[i].number != number; i = (i + 1) & (slot_count - 1))
        continue;
    return i;
}

static void grow(struct changes *changes)
{
    size_t wider = changes->slot_count ? 2 * changes->slot_count : SLOTS_MIN;
    struct change *slots = calloc(wider, sizeof *slots);
    if (!slots)
        abort();
    for (size_t i = 0; i < changes->slot_count; i++)
        if (changes->slots[i].used)
            slots[slot_at(slots, wider, changes->slots[i].number)] = changes->slots[i];
    free(changes->slots);
    changes->slots = slots;
    changes->slot_count = wider;
}

/* The number's slot, taken when it is new. */
static struct change *change_of(struct changes *changes, int64_t number)
{
    if (2 * changes->used >= changes->slot_count)
        grow(changes);
    struct change *change = &changes->slots[slot_at(changes->slots, changes->slot_count, number)];
    if (!change->used) {
        *change = (struct change){ .number = number, .used = true };
        changes->used++;
    }
    return change;
}

void changes_init(struct changes *changes, const char *types)
{
    *changes = (struct changes){ 0 };
    rows_init(&changes->added, types);
}

void changes_done(struct changes *changes)
{
    rows_done(&changes->added);
    free(changes->slots);
}

void changes_clear(struct changes *changes)
{
    rows_clear(&changes->added);
    if (changes->used > 0)
        memset(changes->slots, 0, changes->slot_count * sizeof *changes->slots);
    changes->used = changes->gone_count = 0;
}

struct rows *changes_add(struct changes *changes, int64_t number)
{
    struct change *change = change_of(changes, number);
    assert(!change->row);
    rows_begin(&changes->added);
    rows_int(&changes->added, number);
    change->row = (uint32_t)changes->added.count;
    return &changes->added;
}

void changes_delete(struct changes *changes, int64_t number)
{
    struct change *change = change_of(changes, number);
    if (!change->row) {
        changes->gone_count += !change->gone;
        change->gone = true;
        return;
    }
    uint32_t row = change->row;
    change->row = 0;
    if (row < changes->added.count) /* the last one takes its place */
        change_of(changes, rows_int_at(&changes->added, changes->added.count - 1, 0))->row = row;
    rows_remove(&changes->added, row - 1);
}

enum change_state changes_find(const struct changes *changes, int64_t number, size_t *ret_row)
{
    if (changes->used == 0)
        return CHANGE_NONE;
    const struct change *change = &changes->slots[slot_at(changes->slots, changes->slot_count, number)];
    if (!change->used)
        return CHANGE_NONE;
    if (change->row)
        *ret_row = change->row - 1;
    /* what was added and dropped again was never in the table */
    return change->row ? CHANGE_ADDED : CHANGE_GONE;
}

/* In order, so that neighbours lie on the same pages. */
static enum err delete_gone(struct op *op, struct tx *tx, struct changes *changes, const struct sql *remove)
{
    struct stmt *stmt;
    size_t n = 0;
    TRY(tx_stmt(op, tx, remove, &stmt));
    int64_t *gone = malloc(changes->gone_count * sizeof *gone);
    if (!gone)
        abort();
    for (size_t i = 0; i < changes->slot_count; i++)
        if (changes->slots[i].used && changes->slots[i].gone)
            gone[n++] = changes->slots[i].number;
    assert(n == changes->gone_count);
    sort_i64(gone, n);
    bind_ints(stmt, 1, gone, n);
    free(gone);
    return stmt_later(op, stmt);
}

enum err changes_write(struct op *op, struct tx *tx, struct changes *changes, const struct sql *remove,
                       const struct sql *insert)
{
    if (changes->gone_count > 0 && remove)
        TRY(delete_gone(op, tx, changes, remove));
    TRY(rows_write(op, tx, &changes->added, insert));
    changes_clear(changes);
    return OK;
}
