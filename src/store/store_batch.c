#include "store/store_batch.h"

#include <string.h>

#include "store/families.h"

const struct schema_step batch_step = {
    "batches",
    "CREATE TABLE batch (no INTEGER PRIMARY KEY, parent INTEGER NOT NULL, created_us INTEGER NOT NULL,"
    " touched_us INTEGER NOT NULL, due_us INTEGER NOT NULL, phase INTEGER NOT NULL, calls INTEGER NOT NULL,"
    " complete INTEGER NOT NULL, success INTEGER NOT NULL, total INTEGER NOT NULL, pending INTEGER NOT NULL,"
    " fresh INTEGER NOT NULL, failed INTEGER NOT NULL, lost INTEGER NOT NULL, cancelled INTEGER NOT NULL,"
    " kids_complete INTEGER NOT NULL, kids_success INTEGER NOT NULL);"
    "CREATE INDEX batch_due ON batch (due_us);"
    "CREATE TABLE batch_text (no INTEGER PRIMARY KEY, description TEXT, complete TEXT, success TEXT);"
    "CREATE TABLE batch_job (batch INTEGER, job INTEGER, mark INTEGER NOT NULL, PRIMARY KEY (batch, job))"
    " WITHOUT ROWID;"
    "CREATE TABLE batch_cancelled (batch INTEGER, jid TEXT, PRIMARY KEY (batch, jid)) WITHOUT ROWID;",
    "CREATE TABLE batch (no BIGINT PRIMARY KEY, parent BIGINT NOT NULL, created_us BIGINT NOT NULL,"
    " touched_us BIGINT NOT NULL, due_us BIGINT NOT NULL, phase BIGINT NOT NULL, calls BIGINT NOT NULL,"
    " complete BIGINT NOT NULL, success BIGINT NOT NULL, total BIGINT NOT NULL, pending BIGINT NOT NULL,"
    " fresh BIGINT NOT NULL, failed BIGINT NOT NULL, lost BIGINT NOT NULL, cancelled BIGINT NOT NULL,"
    " kids_complete BIGINT NOT NULL, kids_success BIGINT NOT NULL);"
    "CREATE INDEX batch_due ON batch (due_us);"
    "CREATE TABLE batch_text (no BIGINT PRIMARY KEY, description text COLLATE \"C\", complete text COLLATE \"C\","
    " success text COLLATE \"C\");"
    "CREATE TABLE batch_job (batch BIGINT, job BIGINT, mark BIGINT NOT NULL, PRIMARY KEY (batch, job));"
    "CREATE TABLE batch_cancelled (batch BIGINT, jid text COLLATE \"C\", PRIMARY KEY (batch, jid));",
};

#define ROW                                                                                                            \
    "no, parent, created_us, touched_us, due_us, phase, calls, complete, success, total, pending, fresh, failed,"      \
    " lost, cancelled, kids_complete, kids_success"

SQL(batch_put,
    "INSERT INTO batch (" ROW ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    " ON CONFLICT (no) DO UPDATE SET touched_us = excluded.touched_us, due_us = excluded.due_us,"
    " phase = excluded.phase, complete = excluded.complete, success = excluded.success, total = excluded.total,"
    " pending = excluded.pending, fresh = excluded.fresh, failed = excluded.failed, lost = excluded.lost,"
    " cancelled = excluded.cancelled, kids_complete = excluded.kids_complete, kids_success = excluded.kids_success",
    NULL);
SQL(batch_get, "SELECT " ROW " FROM batch WHERE no = ?1", NULL);
SQL(batch_behind, "SELECT " ROW " FROM batch WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL(batch_remove, "DELETE FROM batch WHERE no = ?1", NULL);
SQL(batch_first_due, "SELECT no, due_us FROM batch WHERE due_us >= ?1 AND due_us < ?2 ORDER BY due_us LIMIT ?3", NULL);
SQL(batch_text_insert, "INSERT INTO batch_text (no, description, complete, success) VALUES (?1, ?2, ?3, ?4)", NULL);
SQL(batch_text_get, "SELECT description, complete, success FROM batch_text WHERE no = ?1", NULL);
SQL(batch_text_remove, "DELETE FROM batch_text WHERE no = ?1", NULL);
SQL(batch_job_put,
    "INSERT INTO batch_job (batch, job, mark) VALUES (?1, ?2, ?3) ON CONFLICT (batch, job) DO UPDATE SET"
    " mark = excluded.mark",
    NULL);
SQL(batch_job_get, "SELECT mark FROM batch_job WHERE batch = ?1 AND job = ?2", NULL);
SQL(batch_job_remove, "DELETE FROM batch_job WHERE batch = ?1 AND job = ?2", NULL);
SQL(batch_job_behind, "SELECT job FROM batch_job WHERE batch = ?1 AND job > ?2 ORDER BY job LIMIT ?3", NULL);
SQL(batch_job_sum,
    "SELECT count(*), coalesce(sum(mark = 0), 0), coalesce(sum(mark = 1), 0) FROM batch_job WHERE batch = ?1",
    "SELECT count(*), count(*) FILTER (WHERE mark = 0), count(*) FILTER (WHERE mark = 1) FROM batch_job"
    " WHERE batch = ?1");
SQL(batch_cancelled_insert, "INSERT INTO batch_cancelled (batch, jid) VALUES (?1, ?2) ON CONFLICT DO NOTHING", NULL);
SQL(batch_cancelled_remove, "DELETE FROM batch_cancelled WHERE batch = ?1 AND jid = ?2", NULL);
SQL(batch_cancelled_of, "SELECT jid FROM batch_cancelled WHERE batch = ?1 ORDER BY jid LIMIT ?2", NULL);
SQL(batch_cancelled_drop, "DELETE FROM batch_cancelled WHERE batch = ?1", NULL);

/* --- rows --- */

enum err store_batch_put(struct op *op, struct tx *tx, const struct batch_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_put, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_int(stmt, 2, (int64_t)row->parent);
    bind_int(stmt, 3, row->created_us);
    bind_int(stmt, 4, row->touched_us);
    bind_int(stmt, 5, row->due_us);
    bind_int(stmt, 6, row->phase);
    bind_int(stmt, 7, row->calls);
    bind_int(stmt, 8, row->complete);
    bind_int(stmt, 9, row->success);
    bind_int(stmt, 10, row->total);
    bind_int(stmt, 11, row->pending);
    bind_int(stmt, 12, row->fresh);
    bind_int(stmt, 13, row->failed);
    bind_int(stmt, 14, row->lost);
    bind_int(stmt, 15, row->cancelled);
    bind_int(stmt, 16, row->kids_complete);
    bind_int(stmt, 17, row->kids_success);
    return stmt_later(op, stmt);
}

enum err store_batch_add(struct op *op, struct tx *tx, const struct batch_row *row, const struct batch_texts *texts)
{
    struct stmt *stmt;
    TRY(store_batch_put(op, tx, row));
    TRY(tx_stmt(op, tx, &batch_text_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_str(stmt, 2, texts->description);
    bind_str(stmt, 3, texts->complete);
    bind_str(stmt, 4, texts->success);
    return stmt_done(op, stmt);
}

static void read_row(struct stmt *stmt, struct batch_row *ret)
{
    *ret = (struct batch_row){
        .no = (uint64_t)col_int(stmt, 0),
        .parent = (uint64_t)col_int(stmt, 1),
        .created_us = col_int(stmt, 2),
        .touched_us = col_int(stmt, 3),
        .due_us = col_int(stmt, 4),
        .phase = (int)col_int(stmt, 5),
        .calls = (int)col_int(stmt, 6),
        .complete = (int)col_int(stmt, 7),
        .success = (int)col_int(stmt, 8),
        .total = col_int(stmt, 9),
        .pending = col_int(stmt, 10),
        .fresh = col_int(stmt, 11),
        .failed = col_int(stmt, 12),
        .lost = col_int(stmt, 13),
        .cancelled = col_int(stmt, 14),
        .kids_complete = col_int(stmt, 15),
        .kids_success = col_int(stmt, 16),
    };
}

enum err store_batch_get(struct op *op, struct tx *tx, uint64_t no, struct batch_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_get, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    TRY(stmt_row(op, stmt, ret_found));
    if (*ret_found)
        read_row(stmt, ret);
    stmt_reset(stmt);
    return OK;
}

enum err store_batch_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct batch_row *ret, int *ret_count)
{
    struct stmt *stmt;
    *ret_count = 0;
    TRY(tx_stmt(op, tx, &batch_behind, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            read_row(stmt, &ret[(*ret_count)++]);
    }
    return OK;
}

enum err store_batch_texts(struct op *op, struct tx *tx, uint64_t no, struct batch_texts *ret)
{
    struct stmt *stmt;
    bool found;
    *ret = (struct batch_texts){ 0 };
    TRY(tx_stmt(op, tx, &batch_text_get, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    TRY(stmt_row(op, stmt, &found));
    if (found)
        *ret = (struct batch_texts){ col_str(op, stmt, 0), col_str(op, stmt, 1), col_str(op, stmt, 2) };
    stmt_reset(stmt);
    return OK;
}

enum err store_batch_delete(struct op *op, struct tx *tx, uint64_t no)
{
    TRY(stmt_by_no(op, tx, &batch_text_remove, no));
    return stmt_by_no(op, tx, &batch_remove, no);
}

enum err store_batch_due(struct op *op, struct tx *tx, const struct due_range *range, int max, uint64_t *ret,
                         int *ret_count, int64_t *ret_next_us)
{
    return stmt_due(op, tx, &batch_first_due, range, max, ret, ret_count, ret_next_us);
}

/* --- members --- */

enum err store_batch_job_put(struct op *op, struct tx *tx, uint64_t no, uint64_t job, enum batch_mark mark)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_job_put, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, (int64_t)job);
    bind_int(stmt, 3, mark);
    return stmt_later(op, stmt);
}

enum err store_batch_job_get(struct op *op, struct tx *tx, uint64_t no, uint64_t job, enum batch_mark *ret,
                             bool *ret_there)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_job_get, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, (int64_t)job);
    TRY(stmt_row(op, stmt, ret_there));
    if (*ret_there)
        *ret = (enum batch_mark)col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

enum err store_batch_job_delete(struct op *op, struct tx *tx, uint64_t no, uint64_t job)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_job_remove, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, (int64_t)job);
    return stmt_later(op, stmt);
}

enum err store_batch_job_walk(struct op *op, struct tx *tx, uint64_t no, uint64_t after, int max, uint64_t *ret,
                              int *ret_count)
{
    struct stmt *stmt;
    *ret_count = 0;
    TRY(tx_stmt(op, tx, &batch_job_behind, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, (int64_t)after);
    bind_int(stmt, 3, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = (uint64_t)col_int(stmt, 0);
    }
    return OK;
}

enum err store_batch_job_count(struct op *op, struct tx *tx, uint64_t no, int64_t *ret_pending, int64_t *ret_fresh,
                               int64_t *ret_failed)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &batch_job_sum, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    TRY(stmt_row(op, stmt, &found));
    *ret_pending = col_int(stmt, 0);
    *ret_fresh = col_int(stmt, 1);
    *ret_failed = col_int(stmt, 2);
    stmt_reset(stmt);
    return OK;
}

/* --- cancelled members --- */

enum err store_batch_cancelled_add(struct op *op, struct tx *tx, uint64_t no, struct str jid)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_cancelled_insert, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_str(stmt, 2, jid);
    return stmt_later(op, stmt);
}

enum err store_batch_cancelled_delete(struct op *op, struct tx *tx, uint64_t no, struct str jid, bool *ret_there)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &batch_cancelled_remove, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_str(stmt, 2, jid);
    TRY(stmt_done(op, stmt));
    *ret_there = stmt_changes(stmt) == 1;
    return OK;
}

enum err store_batch_cancelled_list(struct op *op, struct tx *tx, uint64_t no, int max, struct str *ret, int *ret_count)
{
    struct stmt *stmt;
    *ret_count = 0;
    TRY(tx_stmt(op, tx, &batch_cancelled_of, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = col_str(op, stmt, 0);
    }
    return OK;
}

enum err store_batch_cancelled_clear(struct op *op, struct tx *tx, uint64_t no)
{
    return stmt_by_no(op, tx, &batch_cancelled_drop, no);
}
