#include "store/store_done.h"

#include "store/families.h"

const struct schema_step done_step = {
    "finished jobs",
    "CREATE TABLE job_done (no INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, count INTEGER NOT NULL,"
    " before INTEGER NOT NULL, records BLOB NOT NULL);",
    "CREATE TABLE job_done (no BIGINT PRIMARY KEY, at_us BIGINT NOT NULL, count BIGINT NOT NULL,"
    " before BIGINT NOT NULL, records BYTEA NOT NULL);",
};

const struct schema_step done_keys_step = {
    "keys of finished jobs",
    "CREATE TABLE job_done_keys (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, after INTEGER NOT NULL,"
    " keys BLOB NOT NULL);",
    "CREATE TABLE job_done_keys (first BIGINT PRIMARY KEY, last BIGINT NOT NULL, after BIGINT NOT NULL,"
    " keys BYTEA NOT NULL);",
    "they end jobs that are then not found by their jid",
};

SQL(done_insert, "INSERT INTO job_done (no, at_us, count, before, records) VALUES (?1, ?2, ?3, ?4, ?5)", NULL);
SQL(done_before, "SELECT no, at_us, count, before, records FROM job_done WHERE no < ?1 ORDER BY no DESC LIMIT 1", NULL);
SQL(done_oldest, "SELECT no, at_us, count, before FROM job_done WHERE no > ?1 ORDER BY no LIMIT 1", NULL);
SQL(done_remove, "DELETE FROM job_done WHERE no = ?1", NULL);
SQL_WALK(done_behind, "SELECT no, at_us, count, before, records FROM job_done WHERE no > ?1 ORDER BY no", NULL);
SQL(done_keys_insert, "INSERT INTO job_done_keys (first, last, after, keys) VALUES (?1, ?2, ?3, ?4)", NULL);
SQL(done_keys_newest, "SELECT first, last, after FROM job_done_keys WHERE first > 0 ORDER BY first DESC LIMIT 1", NULL);
SQL_WALK(done_keys_all, "SELECT first, last, after, keys FROM job_done_keys WHERE first > 0 ORDER BY first DESC", NULL);
SQL(done_keys_remove, "DELETE FROM job_done_keys WHERE first < ?1 AND last < ?1", NULL);

enum err store_done_add(struct op *op, struct tx *tx, const struct done_chunk *chunk)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &done_insert, &stmt));
    bind_int(stmt, 1, (int64_t)chunk->no);
    bind_int(stmt, 2, chunk->at_us);
    bind_int(stmt, 3, chunk->count);
    bind_int(stmt, 4, chunk->before);
    bind_blob(stmt, 5, chunk->records.p, chunk->records.n);
    return stmt_later(op, stmt);
}

enum err store_done_before(struct op *op, struct tx *tx, uint64_t no, struct done_chunk *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &done_before, &stmt));
    bind_int(stmt, 1, no ? (int64_t)no : INT64_MAX);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct done_chunk){ 0 };
    if (!found)
        return OK;
    struct str records = col_blob_borrowed(stmt, 4);
    char *copy = arena_alloc_raw(op->arena, records.n + 1);
    if (!copy)
        return fail(op, ERR_TOO_LARGE, "the history of finished jobs needs more memory than one answer may have");
    memcpy(copy, records.p, records.n);
    *ret = (struct done_chunk){
        (uint64_t)col_int(stmt, 0), col_int(stmt, 1), col_int(stmt, 2), col_int(stmt, 3), { copy, records.n }
    };
    stmt_reset(stmt);
    return OK;
}

enum err store_done_oldest(struct op *op, struct tx *tx, uint64_t behind, struct done_chunk *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &done_oldest, &stmt));
    bind_int(stmt, 1, (int64_t)behind);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct done_chunk){ 0 };
    if (found)
        *ret = (struct done_chunk){
            (uint64_t)col_int(stmt, 0), col_int(stmt, 1), col_int(stmt, 2), col_int(stmt, 3), { 0 }
        };
    stmt_reset(stmt);
    return OK;
}

enum err store_done_drop(struct op *op, struct tx *tx, uint64_t no)
{
    return stmt_by_no(op, tx, &done_remove, no);
}

enum err store_done_each(struct op *op, struct tx *tx, uint64_t no,
                         enum err (*fn)(void *arg, const struct done_chunk *chunk, bool *stop), void *arg)
{
    struct stmt *stmt;
    bool found, stop = false;
    TRY(tx_stmt(op, tx, &done_behind, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    while (!stop) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct done_chunk chunk = { (uint64_t)col_int(stmt, 0), col_int(stmt, 1), col_int(stmt, 2), col_int(stmt, 3),
                                    col_blob_borrowed(stmt, 4) };
        TRY(fn(arg, &chunk, &stop));
    }
    stmt_reset(stmt);
    return OK;
}

/* --- keys --- */

enum err store_done_keys_add(struct op *op, struct tx *tx, const struct done_keys *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &done_keys_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->first);
    bind_int(stmt, 2, (int64_t)row->last);
    bind_int(stmt, 3, row->after);
    bind_blob(stmt, 4, row->keys.p, row->keys.n);
    return stmt_later(op, stmt);
}

static struct done_keys keys_columns(struct stmt *stmt)
{
    return (struct done_keys){ (uint64_t)col_int(stmt, 0), (uint64_t)col_int(stmt, 1), col_int(stmt, 2), { 0 } };
}

enum err store_done_keys_newest(struct op *op, struct tx *tx, struct done_keys *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &done_keys_newest, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? keys_columns(stmt) : (struct done_keys){ 0 };
    stmt_reset(stmt);
    return OK;
}

enum err store_done_keys_each(struct op *op, struct tx *tx,
                              enum err (*fn)(void *arg, const struct done_keys *row, bool *stop), void *arg)
{
    struct stmt *stmt;
    bool found, stop = false;
    TRY(tx_stmt(op, tx, &done_keys_all, &stmt));
    while (!stop) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct done_keys row = keys_columns(stmt);
        row.keys = col_blob_borrowed(stmt, 3);
        TRY(fn(arg, &row, &stop));
    }
    stmt_reset(stmt);
    return OK;
}

enum err store_done_keys_drop(struct op *op, struct tx *tx, uint64_t no)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &done_keys_remove, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    return stmt_later(op, stmt);
}
