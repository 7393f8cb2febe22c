#include "store/store_work.h"

#include "store/families.h"

const struct schema_step work_step = {
    "bookmarks of own jobs",
    "CREATE TABLE job_work (id INTEGER PRIMARY KEY, bookmark TEXT NOT NULL, done INTEGER NOT NULL,"
    " total INTEGER NOT NULL);",
    "CREATE TABLE job_work (id BIGINT PRIMARY KEY, bookmark text COLLATE \"C\" NOT NULL, done BIGINT NOT NULL,"
    " total BIGINT NOT NULL);",
};

const struct schema_step work_eta_step = {
    "how long own jobs will take",
    "ALTER TABLE job_work ADD COLUMN eta_s INTEGER NOT NULL DEFAULT -1;",
    "ALTER TABLE job_work ADD COLUMN eta_s BIGINT NOT NULL DEFAULT -1;",
};

SQL(work_get, "SELECT bookmark, done, total, eta_s FROM job_work WHERE id = ?1", NULL);
SQL(work_put,
    "INSERT INTO job_work (id, bookmark, done, total, eta_s) VALUES (?1, ?2, ?3, ?4, ?5)"
    " ON CONFLICT (id) DO UPDATE SET bookmark = excluded.bookmark, done = excluded.done, total = excluded.total,"
    " eta_s = excluded.eta_s",
    NULL);
SQL(work_remove, "DELETE FROM job_work WHERE id = ?1", NULL);

enum err store_work_get(struct op *op, struct tx *tx, uint64_t id, struct work_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &work_get, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, ret_found));
    *ret = (struct work_row){ 0 };
    if (*ret_found)
        *ret = (struct work_row){ col_str(op, stmt, 0), col_int(stmt, 1), col_int(stmt, 2), col_int(stmt, 3) };
    stmt_reset(stmt);
    return OK;
}

enum err store_work_put(struct op *op, struct tx *tx, uint64_t id, const struct work_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &work_put, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    bind_str(stmt, 2, row->bookmark);
    bind_int(stmt, 3, row->done);
    bind_int(stmt, 4, row->total);
    bind_int(stmt, 5, row->eta_s);
    return stmt_done(op, stmt);
}

enum err store_work_delete(struct op *op, struct tx *tx, uint64_t id)
{
    return stmt_by_no(op, tx, &work_remove, id);
}
