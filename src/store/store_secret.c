#include "store/store_secret.h"

#include <assert.h>

#include "store/db.h"
#include "store/families.h"

const struct schema_step secret_step = {
    .name = "secrets",
    .sqlite = "CREATE TABLE secret(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
    .postgres = "CREATE TABLE secret(name text COLLATE \"C\" PRIMARY KEY, value bytea NOT NULL);",
};

SQL(secret_get, "SELECT value FROM secret WHERE name = ?1", NULL);
SQL(secret_put, "INSERT INTO secret(name, value) VALUES(?1, ?2) ON CONFLICT(name) DO UPDATE SET value = excluded.value",
    NULL);

enum err store_secret_get(struct op *op, struct tx *tx, struct str name, struct str *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &secret_get, &stmt));
    bind_str(stmt, 1, name);
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? arena_str(op->arena, col_blob_borrowed(stmt, 0)) : (struct str){ 0 };
    stmt_reset(stmt);
    return OK;
}

enum err store_secret_put(struct op *op, struct tx *tx, struct str name, struct str value)
{
    assert(value.n <= SECRET_BYTES_MAX);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &secret_put, &stmt));
    bind_str(stmt, 1, name);
    bind_blob(stmt, 2, value.p, value.n);
    return stmt_done(op, stmt);
}
