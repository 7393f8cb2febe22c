#include "store/store_progress.h"

#include "store/families.h"

const struct schema_step progress_step = {
    "progress of jobs",
    "CREATE TABLE job_progress (jid TEXT PRIMARY KEY, percent INTEGER NOT NULL, descr TEXT, ended INTEGER NOT NULL,"
    " changed_us INTEGER NOT NULL, kept_us INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX job_progress_kept ON job_progress (kept_us);",
    "CREATE TABLE job_progress (jid text COLLATE \"C\" PRIMARY KEY, percent BIGINT NOT NULL, descr text COLLATE \"C\","
    " ended BIGINT NOT NULL, changed_us BIGINT NOT NULL, kept_us BIGINT NOT NULL);"
    "CREATE INDEX job_progress_kept ON job_progress (kept_us);",
};

SQL(progress_put,
    "INSERT INTO job_progress (jid, percent, descr, ended, changed_us, kept_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
    " ON CONFLICT (jid) DO UPDATE SET percent = excluded.percent, descr = excluded.descr, ended = excluded.ended,"
    " changed_us = excluded.changed_us, kept_us = excluded.kept_us",
    NULL);
SQL(progress_get, "SELECT percent, descr, ended, changed_us, kept_us FROM job_progress WHERE jid = ?1", NULL);
SQL(progress_sweep,
    "DELETE FROM job_progress WHERE jid IN (SELECT jid FROM job_progress WHERE kept_us < ?1 ORDER BY kept_us LIMIT ?2)",
    NULL);

enum err store_progress_put(struct op *op, struct tx *tx, struct str jid, const struct progress_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &progress_put, &stmt));
    bind_str(stmt, 1, jid);
    bind_int(stmt, 2, row->percent);
    bind_str(stmt, 3, row->desc);
    bind_int(stmt, 4, row->end);
    bind_int(stmt, 5, row->changed_us);
    bind_int(stmt, 6, row->kept_us);
    return stmt_later(op, stmt);
}

enum err store_progress_get(struct op *op, struct tx *tx, struct str jid, struct progress_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &progress_get, &stmt));
    bind_str(stmt, 1, jid);
    TRY(stmt_row(op, stmt, ret_found));
    if (!*ret_found)
        return OK;
    *ret = (struct progress_row){
        .percent = (int)col_int(stmt, 0),
        .desc = col_str(op, stmt, 1),
        .end = (int)col_int(stmt, 2),
        .changed_us = col_int(stmt, 3),
        .kept_us = col_int(stmt, 4),
    };
    stmt_reset(stmt);
    return OK;
}

enum err store_progress_sweep(struct op *op, struct tx *tx, int64_t before_us, int max, int64_t *ret_gone)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &progress_sweep, &stmt));
    bind_int(stmt, 1, before_us);
    bind_int(stmt, 2, max);
    TRY(stmt_done(op, stmt));
    *ret_gone = stmt_changes(stmt);
    return OK;
}
