#include "store/store_inbox.h"

#include <stdlib.h>

#include "base/sort.h"
#include "store/db.h"
#include "store/families.h"

/* The tables and functions of PostgreSQL, as they stand in the .sql files. */
__asm__(".pushsection .rodata\n"
        ".global inbox_sql\n"
        "inbox_sql: .incbin \"src/store/inbox.sql\"\n"
        ".byte 0\n"
        ".global inbox_jobs_sql\n"
        "inbox_jobs_sql: .incbin \"src/store/inbox_jobs.sql\"\n"
        ".byte 0\n"
        ".global inbox_events_sql\n"
        "inbox_events_sql: .incbin \"src/store/inbox_events.sql\"\n"
        ".byte 0\n"
        ".popsection\n");
extern const char inbox_sql[], inbox_jobs_sql[], inbox_events_sql[];

const struct schema_step inbox_step = {
    .name = "inbox",
    .sqlite = "CREATE TABLE inbox(no INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, at_us INTEGER NOT NULL,"
              " subject TEXT NOT NULL, body TEXT NOT NULL);"
              "CREATE TABLE inbox_refused(no INTEGER PRIMARY KEY, kind INTEGER NOT NULL, at_us INTEGER NOT NULL,"
              " refused_at_us INTEGER NOT NULL, subject TEXT NOT NULL, body TEXT NOT NULL, reason TEXT NOT NULL);",
    .postgres = inbox_sql,
};

const struct schema_step inbox_jobs_step = {
    .name = "jobs pushed in applications' transactions",
    .sqlite = "",
    .postgres = inbox_jobs_sql,
};

const struct schema_step inbox_events_step = {
    .name = "events recorded in applications' transactions",
    .sqlite = "",
    .postgres = inbox_events_sql,
};

SQL(inbox_first, "SELECT min(no), 0, 0, 0 FROM inbox WHERE no > ?1 AND ?2 >= 0",
    "SELECT (SELECT min(no) FROM inbox WHERE no > ?1),"
    " coalesce(pg_sequence_last_value('posthouse.inbox_no_seq'::regclass), 0),"
    " pg_snapshot_xmin(pg_current_snapshot())::text::bigint,"
    " CASE WHEN ?2 = 1 THEN pg_current_xact_id()::text::bigint ELSE 0 END");
SQL_SCAN(inbox_take,
         "DELETE FROM inbox WHERE no IN (SELECT no FROM"
         " (SELECT no, sum(bytes) OVER (ORDER BY no) - bytes AS before FROM"
         "  (SELECT no, length(CAST(body AS BLOB)) AS bytes FROM inbox WHERE no > ?3 ORDER BY no LIMIT ?1)) WHERE "
         "before < ?2)"
         " RETURNING no, kind, at_us, subject, body",
         "DELETE FROM inbox WHERE no = ANY (ARRAY(SELECT no FROM"
         " (SELECT no, sum(bytes) OVER (ORDER BY no) - bytes AS before FROM"
         "  (SELECT no, octet_length(body) AS bytes FROM inbox WHERE no > ?3 ORDER BY no LIMIT ?1 FOR UPDATE SKIP "
         "LOCKED) AS first)"
         " AS running WHERE before < ?2 ORDER BY no))"
         " RETURNING no, kind, at_us, subject, body");
SQL(inbox_add, "INSERT INTO inbox(kind, at_us, subject, body) VALUES(?1, ?2, ?3, ?4)", NULL);
SQL(refused_add,
    "INSERT INTO inbox_refused(no, kind, at_us, refused_at_us, subject, body, reason) VALUES(?1, ?2, ?3, ?4, ?5, ?6, "
    "?7)",
    NULL);
SQL(refused_after,
    "SELECT no, kind, at_us, subject, body, reason FROM inbox_refused WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL_SCAN(refused_oldest, "SELECT no, refused_at_us FROM inbox_refused ORDER BY no LIMIT ?1", NULL);
SQL_SCAN(refused_expire,
         "DELETE FROM inbox_refused WHERE no IN (SELECT no FROM inbox_refused ORDER BY no LIMIT ?2)"
         " AND refused_at_us < ?1",
         NULL);
SQL_ONLY_POSTGRES(inbox_close, "SELECT posthouse.inbox_close()::text");
SQL_ONLY_POSTGRES(inbox_shrink, "SELECT posthouse.inbox_shrink()::int::bigint");

enum err store_inbox_look(struct op *op, struct tx *tx, int64_t behind, bool numbered, struct inbox_look *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &inbox_first, &stmt));
    bind_int(stmt, 1, behind);
    bind_int(stmt, 2, numbered);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_BUG, "a look at the inbox gave no row");
    *ret = (struct inbox_look){
        .first = col_is_null(stmt, 0) ? 0 : col_int(stmt, 0),
        .given = col_int(stmt, 1),
        .open_from = col_int(stmt, 2),
        .number = col_int(stmt, 3),
    };
    stmt_reset(stmt);
    return OK;
}

bool inbox_reach_asks(const struct inbox_reach *reach)
{
    return reach->given && !reach->had_by;
}

void inbox_reach_note(struct inbox_reach *reach, const struct inbox_look *look)
{
    if (look->first && look->first <= reach->gone)
        *reach = (struct inbox_reach){ 0 };
    if (!reach->given) {
        reach->given = look->given > reach->gone ? look->given : 0;
        reach->had_by = 0;
    } else if (!reach->had_by) {
        reach->had_by = look->number;
    } else if (look->open_from > reach->had_by && (!look->first || look->first > reach->given)) {
        reach->gone = reach->given;
        reach->given = 0;
    }
}

static struct inbox_row row_of(struct op *op, struct stmt *stmt)
{
    return (struct inbox_row){ .no = col_int(stmt, 0),
                               .kind = col_int(stmt, 1),
                               .at_us = col_int(stmt, 2),
                               .subject = col_str(op, stmt, 3),
                               .body = col_str(op, stmt, 4) };
}

static int by_number(const void *a, const void *b)
{
    const struct inbox_row *x = a, *y = b;
    return sort_cmp_i64(x->no, y->no);
}

enum err store_inbox_take(struct op *op, struct tx *tx, int64_t behind, size_t max, struct inbox_row **ret_rows,
                          size_t *ret_count)
{
    struct stmt *stmt;
    struct inbox_row *rows;
    size_t count = 0;
    bool found;
    TRY(op_alloc(op, max * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &inbox_take, &stmt));
    bind_int(stmt, 1, (int64_t)max);
    bind_int(stmt, 2, INBOX_TAKE_BYTES);
    bind_int(stmt, 3, behind);
    for (;;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        if (count == max) { /* LIMIT is kept by both engines */
            stmt_reset(stmt);
            return fail(op, ERR_BUG, "the inbox gave more rows than were asked for");
        }
        rows[count++] = row_of(op, stmt);
    }
    qsort(rows, count, sizeof *rows, by_number); /* rows that are removed come in any order */
    *ret_rows = rows;
    *ret_count = count;
    return OK;
}

enum err store_inbox_add(struct op *op, struct tx *tx, const struct inbox_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &inbox_add, &stmt));
    bind_int(stmt, 1, row->kind);
    bind_int(stmt, 2, row->at_us);
    bind_str(stmt, 3, row->subject);
    bind_str(stmt, 4, row->body);
    return stmt_done(op, stmt);
}

enum err store_inbox_refuse(struct op *op, struct tx *tx, const struct inbox_row *row, struct str reason)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &refused_add, &stmt));
    bind_int(stmt, 1, row->no);
    bind_int(stmt, 2, row->kind);
    bind_int(stmt, 3, row->at_us);
    bind_int(stmt, 4, op->now_us);
    bind_str(stmt, 5, row->subject);
    bind_str(stmt, 6, row->body);
    bind_str(stmt, 7, reason);
    return stmt_later(op, stmt);
}

enum err store_inbox_refused_each(struct op *op, struct tx *tx, int64_t after_no, size_t max,
                                  enum err (*fn)(struct op *op, const struct inbox_row *row, struct str reason,
                                                 void *arg),
                                  void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &refused_after, &stmt));
    bind_int(stmt, 1, after_no);
    bind_int(stmt, 2, (int64_t)max);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct inbox_row row = row_of(op, stmt);
        enum err err = fn(op, &row, col_str(op, stmt, 5), arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_inbox_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret)
{
    return stmt_has_older(op, tx, &refused_oldest, before_us, ret);
}

enum err store_inbox_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &refused_expire, &stmt));
    bind_int(stmt, 1, before_us);
    bind_int(stmt, 2, max_rows);
    TRY(stmt_done(op, stmt));
    *ret_gone = (int)stmt_changes(stmt);
    return OK;
}

enum err store_inbox_shrink(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    bool found;
    if (!tx_is_shared(tx))
        return OK;
    TRY(tx_stmt(op, tx, &inbox_shrink, &stmt));
    TRY(stmt_row(op, stmt, &found));
    if (found && col_int(stmt, 0))
        tx_wrote(tx); /* a query to all appearances: without this the group would not be kept */
    stmt_reset(stmt);
    return OK;
}

enum err store_inbox_close(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    bool found;
    if (!tx_is_shared(tx))
        return OK;
    TRY(tx_stmt(op, tx, &inbox_close, &stmt));
    TRY(stmt_row(op, stmt, &found));
    stmt_reset(stmt);
    return OK;
}
