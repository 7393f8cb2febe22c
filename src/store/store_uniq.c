#include "store/store_uniq.h"

#include "store/families.h"

const struct schema_step uniq_step = {
    "unique locks",
    "CREATE TABLE uniq (key BLOB PRIMARY KEY, id INTEGER NOT NULL, until_us INTEGER NOT NULL, rule INTEGER NOT NULL)"
    " WITHOUT ROWID;",
    "CREATE TABLE uniq (key BYTEA PRIMARY KEY, id BIGINT NOT NULL, until_us BIGINT NOT NULL, rule BIGINT NOT NULL);",
};

SQL(uniq_get, "SELECT id, until_us, rule FROM uniq WHERE key = ?1", NULL);
SQL(uniq_put,
    "INSERT INTO uniq (key, id, until_us, rule) VALUES (?1, ?2, ?3, ?4)"
    " ON CONFLICT (key) DO UPDATE SET id = excluded.id, until_us = excluded.until_us, rule = excluded.rule",
    NULL);
SQL(uniq_remove, "DELETE FROM uniq WHERE key = ?1", NULL);
SQL(uniq_behind, "SELECT key, id, until_us, rule FROM uniq WHERE key > ?1 ORDER BY key LIMIT ?2", NULL);

enum err store_uniq_get(struct op *op, struct tx *tx, const uint8_t key[16], struct uniq_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &uniq_get, &stmt));
    bind_blob(stmt, 1, key, 16);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct uniq_row){ 0 };
    if (found)
        *ret = (struct uniq_row){ (uint64_t)col_int(stmt, 0), col_int(stmt, 1), (int)col_int(stmt, 2) };
    stmt_reset(stmt);
    return OK;
}

enum err store_uniq_put(struct op *op, struct tx *tx, const uint8_t key[16], const struct uniq_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &uniq_put, &stmt));
    bind_blob(stmt, 1, key, 16);
    bind_int(stmt, 2, (int64_t)row->id);
    bind_int(stmt, 3, row->until_us);
    bind_int(stmt, 4, row->rule);
    return stmt_later(op, stmt);
}

enum err store_uniq_delete(struct op *op, struct tx *tx, const uint8_t key[16])
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &uniq_remove, &stmt));
    bind_blob(stmt, 1, key, 16);
    return stmt_later(op, stmt);
}

enum err store_uniq_walk(struct op *op, struct tx *tx, const uint8_t key[16], int max, uint8_t (*ret_keys)[16],
                         struct uniq_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(tx_stmt(op, tx, &uniq_behind, &stmt));
    bind_blob(stmt, 1, key, 16);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        struct str bytes = more ? col_blob_borrowed(stmt, 0) : (struct str){ 0 };
        if (!more || bytes.n != 16)
            continue;
        memcpy(ret_keys[n], bytes.p, 16);
        ret[n++] = (struct uniq_row){ (uint64_t)col_int(stmt, 1), col_int(stmt, 2), (int)col_int(stmt, 3) };
    }
    *ret_count = n;
    return OK;
}
