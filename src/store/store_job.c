#include "store/store_job.h"

#include <string.h>

#include "store/families.h"

const struct schema_step job_step = {
    "jobs",
    "CREATE TABLE job (id INTEGER PRIMARY KEY, jid TEXT NOT NULL, queue INTEGER NOT NULL, type TEXT NOT NULL,"
    " flags INTEGER NOT NULL, opts BLOB, body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX job_jid ON job (jid);",
    "CREATE TABLE job (id BIGINT PRIMARY KEY, jid text COLLATE \"C\" NOT NULL, queue BIGINT NOT NULL, type text "
    "COLLATE \"C\" NOT NULL,"
    " flags BIGINT NOT NULL, opts BYTEA, body BYTEA NOT NULL);"
    "CREATE UNIQUE INDEX job_jid ON job (jid);",
};

SQL(job_insert,
    "INSERT INTO job (id, jid, queue, type, flags, opts, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT DO NOTHING",
    NULL);
SQL(job_by_id, "SELECT queue, flags, jid, type, opts, body FROM job WHERE id = ?1", NULL);
SQL(job_by_jid, "SELECT id FROM job WHERE jid = ?1", NULL);
SQL(job_is_there, "SELECT 1 FROM job WHERE id = ?1", NULL);
SQL_ONLY_POSTGRES(job_are_there, "SELECT id FROM job WHERE id = ANY (?1) ORDER BY id");
SQL(job_remove, "DELETE FROM job WHERE id = ?1", NULL);
SQL(job_behind, "SELECT id, queue, flags, jid, type, opts FROM job WHERE id > ?1 ORDER BY id LIMIT ?2", NULL);

enum err store_job_add(struct op *op, struct tx *tx, const struct job_row *row, bool *ret_added)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->id);
    bind_str(stmt, 2, row->jid);
    bind_int(stmt, 3, row->queue_no);
    bind_str(stmt, 4, row->type);
    bind_int(stmt, 5, row->flags);
    if (str_given(row->opts))
        bind_blob(stmt, 6, row->opts.p, row->opts.n);
    else
        bind_null(stmt, 6);
    bind_blob(stmt, 7, row->body.p, row->body.n);
    TRY(stmt_done(op, stmt));
    *ret_added = stmt_changes(stmt) == 1;
    return OK;
}

static enum err copied(struct op *op, struct str blob, struct str *ret)
{
    *ret = (struct str){ 0 };
    if (!blob.p)
        return OK;
    char *copy = arena_alloc_raw(op->arena, blob.n ? blob.n : 1);
    if (!copy)
        return fail(op, ERR_TOO_LARGE, "the jobs of one answer need more memory than it may have");
    memcpy(copy, blob.p, blob.n);
    *ret = (struct str){ copy, blob.n };
    return OK;
}

enum err store_job_get(struct op *op, struct tx *tx, uint64_t id, struct job_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_by_id, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, ret_found));
    if (!*ret_found)
        return OK;
    ret->id = id;
    ret->queue_no = (uint32_t)col_int(stmt, 0);
    ret->flags = (uint32_t)col_int(stmt, 1);
    ret->jid = col_str(op, stmt, 2);
    ret->type = col_str(op, stmt, 3);
    TRY(copied(op, col_blob_borrowed(stmt, 4), &ret->opts));
    TRY(copied(op, col_blob_borrowed(stmt, 5), &ret->body));
    stmt_reset(stmt);
    return OK;
}

enum err store_job_find(struct op *op, struct tx *tx, struct str jid, uint64_t *ret_id)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &job_by_jid, &stmt));
    bind_str(stmt, 1, jid);
    TRY(stmt_row(op, stmt, &found));
    *ret_id = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

static enum err there_together(struct op *op, struct tx *tx, const uint64_t *ids, size_t n, uint64_t *ret,
                               size_t *ret_count)
{
    struct stmt *stmt;
    int64_t *wanted;
    TRY(op_alloc(op, n * sizeof *wanted, &wanted));
    for (size_t i = 0; i < n; i++)
        wanted[i] = (int64_t)ids[i];
    TRY(tx_stmt(op, tx, &job_are_there, &stmt));
    bind_ints(stmt, 1, wanted, n);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = (uint64_t)col_int(stmt, 0);
    }
    return OK;
}

enum err store_job_there(struct op *op, struct tx *tx, const uint64_t *ids, size_t n, uint64_t *ret, size_t *ret_count)
{
    *ret_count = 0;
    if (tx_is_shared(tx))
        return there_together(op, tx, ids, n, ret, ret_count);
    for (size_t i = 0; i < n; i++) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &job_is_there, &stmt));
        bind_int(stmt, 1, (int64_t)ids[i]);
        TRY(stmt_row(op, stmt, &found));
        stmt_reset(stmt);
        if (found)
            ret[(*ret_count)++] = ids[i];
    }
    return OK;
}

enum err store_job_delete(struct op *op, struct tx *tx, uint64_t id)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_remove, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    return stmt_done(op, stmt);
}

enum err store_job_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct job_row **ret, size_t *ret_count)
{
    struct job_row *rows;
    struct stmt *stmt;
    size_t n = 0;
    TRY(op_alloc(op, (size_t)max * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &job_behind, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct job_row *row = &rows[n++];
        row->id = (uint64_t)col_int(stmt, 0);
        row->queue_no = (uint32_t)col_int(stmt, 1);
        row->flags = (uint32_t)col_int(stmt, 2);
        row->jid = col_str(op, stmt, 3);
        row->type = col_str(op, stmt, 4);
        TRY(copied(op, col_blob_borrowed(stmt, 5), &row->opts));
    }
    *ret = rows;
    *ret_count = n;
    return OK;
}
