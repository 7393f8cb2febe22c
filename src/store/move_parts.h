/*
 * move_parts.h - the inside of a move, shared by move.c and move_rows.c only.
 */
#pragma once

#include "store/bulk.h"
#include "store/move.h"
#include "store/store_move.h"

struct moving {
    struct bulk *from, *to;
    const struct bulk_table *tables; /* of the source */
    size_t table_count;
    const struct bulk_table *copies; /* of the target */
    size_t copy_count;
    struct move_mark mark; /* of the target's row */
    int64_t done;          /* rows, of this phase */
    struct arena *memory;  /* of one table */
};

/* --- move.c --- */

/* The tables of both sides, each with its like; a table that only one engine knows is our own mistake. */
enum err move_tables_read(struct op *op, struct moving *m);

/* Calls fn for each table that travels, with its like on the other side. */
enum err move_each_table(struct op *op, struct move *move,
                         enum err (*fn)(struct op *op, struct move *move, const struct bulk_table *from,
                                        const struct bulk_table *to));

/* --- move_rows.c --- */

/* Rows of the inbox come and go by other hands, in any order: they are taken over whole, at the end. */
enum err move_copy_inbox(struct op *op, struct move *move);

/* What PostgreSQL keeps beside the rows; nothing on SQLite. */
enum err move_make_beside(struct op *op, struct move *move);
