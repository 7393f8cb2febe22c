/*
 * move_rows.c - the rows of a move: copied in the order of their keys, then compared one by one.
 */
#include <string.h>

#include "store/move_parts.h"

#define PROGRESS_ROWS 2000

static void tell_progress(struct move *move, int64_t rows)
{
    int64_t before = move->moving->done;
    move->moving->done += rows;
    if (move->progress && before / PROGRESS_ROWS != move->moving->done / PROGRESS_ROWS)
        move->progress(move->data, move->moving->done, move->rows);
}

/* --- copying ----------------------------------------------------------------- */

static int64_t row_bytes(const struct bulk_table *table, const struct bulk_row *row)
{
    int64_t bytes = 0;
    for (int i = 0; i < table->columns; i++)
        bytes += row->value[i].n > 0 ? row->value[i].n : 1;
    return bytes;
}

/* Rows until a commit is worth it; *ret_found is false behind the last. */
static enum err copy_some(struct op *op, struct move *move, const struct bulk_table *from, const struct bulk_table *to,
                          bool *ret_found)
{
    struct moving *m = move->moving;
    struct bulk_row row;
    int64_t rows = 0, bytes = 0;
    TRY(bulk_begin(op, m->to, false));
    while (*ret_found && rows < MOVE_ROWS && bytes < MOVE_BYTES) {
        TRY(bulk_next(op, m->from, &row, ret_found));
        if (!*ret_found)
            break;
        TRY(bulk_put(op, m->to, to, &row));
        rows++;
        bytes += row_bytes(from, &row);
    }
    TRY(bulk_commit(op, m->to));
    move->copied += rows;
    tell_progress(move, rows);
    return OK;
}

/* Behind the newest row that is there: rows arrive in the order of their keys, so that is how far it has come. */
static enum err copy_table(struct op *op, struct move *move, const struct bulk_table *from, const struct bulk_table *to)
{
    struct moving *m = move->moving;
    struct bulk_row newest;
    bool resumed, found = true;
    TRY(bulk_newest(op, m->to, to, &newest, &resumed));
    TRY(bulk_read(op, m->from, from, resumed ? &newest : NULL));
    while (found)
        TRY(copy_some(op, move, from, to, &found));
    return OK;
}

enum err move_copy_inbox(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    const struct bulk_table *from = bulk_find(m->tables, m->table_count, "inbox");
    const struct bulk_table *to = bulk_find(m->copies, m->copy_count, "inbox");
    int64_t before;
    TRY(bulk_count(op, m->to, to, &before));
    TRY(bulk_begin(op, m->to, true));
    TRY(bulk_empty(op, m->to, to));
    TRY(bulk_commit(op, m->to));
    m->done -= before;
    return copy_table(op, move, from, to);
}

/* The numbers for new rows, as 512 bytes in hex. */
static enum err copy_numbers(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    struct str hex;
    TRY(bulk_text(op, m->from,
                  move->source->engine->shared ? "SELECT encode(seqs, 'hex') FROM group_log ORDER BY no DESC LIMIT 1"
                                               : "SELECT lower(hex(newest)) FROM seq",
                  &hex));
    if (!str_given(hex))
        return fail(op, ERR_IO, "the source has no numbers for new rows");
    const char *text = move->target->engine->shared
                           ? "INSERT INTO group_log (no, node, epoch, seqs)"
                             " SELECT coalesce(max(no), 0) + 1, 0, 0, decode('%.*s', 'hex') FROM group_log"
                           : "UPDATE seq SET newest = x'%.*s'";
    TRY(bulk_begin(op, m->to, true));
    TRY(bulk_exec(op, m->to, arena_fmt(op->arena, text, STR(hex)).p));
    return bulk_commit(op, m->to);
}

static const char *const postgres_beside[] = {
    "DELETE FROM parked_count",
    "INSERT INTO parked_count (source_no, count) SELECT source_no, count(*) FROM parked GROUP BY source_no",
    ("SELECT setval(pg_get_serial_sequence('posthouse.inbox', 'no'), 1 + greatest((SELECT coalesce(max(no), 0) FROM"
     " inbox), (SELECT coalesce(max(no), 0) FROM inbox_refused)))"),
};

enum err move_make_beside(struct op *op, struct move *move)
{
    struct bulk *to = move->moving->to;
    if (!move->target->engine->shared)
        return OK;
    TRY(bulk_begin(op, to, true));
    for (size_t i = 0; i < sizeof postgres_beside / sizeof *postgres_beside; i++)
        TRY(bulk_exec(op, to, postgres_beside[i]));
    TRY(bulk_commit(op, to));
    return bulk_exec(op, to, "ANALYZE");
}

enum err move_copy(struct op *op, struct move *move)
{
    TRY(move_each_table(op, move, copy_table));
    TRY(move_copy_inbox(op, move));
    TRY(copy_numbers(op, move));
    return move_make_beside(op, move);
}

/* --- comparing --------------------------------------------------------------- */

static void tell_difference(struct op *op, struct move *move, const struct bulk_table *table,
                            const struct bulk_row *row, const char *column, const char *what)
{
    if (move->differ++ >= MOVE_DIFFERENCES_MAX || !move->difference)
        return;
    struct str line = arena_fmt(op->arena, "%.*s: %s%s", STR(bulk_name(op, table, row)), column, what);
    move->difference(move->data, str_given(line) ? line.p : table->name);
}

static void compare_row(struct op *op, struct move *move, const struct bulk_table *table, const struct bulk_row *row,
                        const struct bulk_row *copy)
{
    move->compared++;
    for (int i = 0; i < table->columns; i++) {
        struct bulk_value a = row->value[i], b = copy->value[i];
        if (a.n == b.n && (a.n <= 0 || memcmp(a.p, b.p, (size_t)a.n) == 0))
            continue;
        tell_difference(op, move, table, row, table->column[i].name, " differs");
        return;
    }
}

/* Both sides come in the order of the key: who is behind the other misses a row. */
static enum err compare_table(struct op *op, struct move *move, const struct bulk_table *from,
                              const struct bulk_table *to)
{
    struct moving *m = move->moving;
    struct bulk_row row, copy;
    bool a, b;
    TRY(bulk_read(op, m->from, from, NULL));
    TRY(bulk_read(op, m->to, to, NULL));
    TRY(bulk_next(op, m->from, &row, &a));
    TRY(bulk_next(op, m->to, &copy, &b));
    while (a || b) {
        int order = !a ? 1 : !b ? -1 : bulk_key_cmp(from, &row, &copy);
        if (order < 0)
            tell_difference(op, move, from, &row, "", "is missing in the copy");
        else if (order > 0)
            tell_difference(op, move, from, &copy, "", "stands in the copy only");
        else
            compare_row(op, move, from, &row, &copy);
        if (order <= 0)
            TRY(bulk_next(op, m->from, &row, &a));
        if (order >= 0)
            TRY(bulk_next(op, m->to, &copy, &b));
        tell_progress(move, order <= 0);
    }
    return OK;
}

enum err move_compare(struct op *op, struct move *move)
{
    struct moving *m = move->moving;
    m->done = move->compared = move->differ = 0;
    /* With eyes of their own: the source as it is now, the target as it was kept. */
    bulk_close(m->from);
    bulk_close(m->to);
    m->from = m->to = NULL;
    TRY(bulk_open(op, move->source, false, &m->from));
    TRY(bulk_open(op, move->target, false, &m->to));
    TRY(move_tables_read(op, m));
    TRY(move_each_table(op, move, compare_table));
    bulk_close(m->from);
    bulk_close(m->to);
    m->from = m->to = NULL; /* what follows may take long: no snapshot is held meanwhile */
    return OK;
}
