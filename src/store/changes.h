/*
 * changes.h - rows of one table that come and go by number, written together.
 *
 * Private to src/store, for tables whose rows live for seconds (PostgreSQL). A
 * group collects what it adds and what it deletes; at its end two statements
 * with arrays write it: first DELETE, then INSERT, so that a number that was
 * deleted may be added again. A row that comes and goes within the group is
 * never written. Whoever reads the table in between writes first
 * (changes_write), or looks here.
 */
#pragma once

#include "store/rows.h"

struct change; /* of one number */

struct changes {
    struct rows added;                   /* the number is the first column */
    struct change *slots;                /* by number, open addressing */
    size_t slot_count, used, gone_count; /* slot_count is a power of two */
};

void changes_init(struct changes *changes, const char *types);
void changes_done(struct changes *changes);
void changes_clear(struct changes *changes);

/* A new row, its first column set; the others follow (rows.h). */
struct rows *changes_add(struct changes *changes, int64_t number);

/* The row goes: one added here is dropped, any other one is deleted when this is written. */
void changes_delete(struct changes *changes, int64_t number);

enum change_state {
    CHANGE_NONE,  /* nothing is known here: the table says it */
    CHANGE_ADDED, /* *ret_row is its place in `added` */
    CHANGE_GONE
};
enum change_state changes_find(const struct changes *changes, int64_t number, size_t *ret_row);

/* Deletes by `remove` (its one parameter an array of numbers; NULL: the caller did), inserts by `insert`. Nobody asks
 * for the outcome. */
enum err changes_write(struct op *op, struct tx *tx, struct changes *changes, const struct sql *remove,
                       const struct sql *insert);
