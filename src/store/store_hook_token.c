/*
 * store_hook_token.c - tokens of webhooks whose signature does not cover the body (see store_source.h).
 */
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/store_source.h"

const struct schema_step hook_token_step = {
    .name = "tokens of webhooks",
    .sqlite = "CREATE TABLE hook_token(source_no INTEGER NOT NULL, token BLOB NOT NULL, body_hash BLOB NOT NULL,"
              " until_us INTEGER NOT NULL, PRIMARY KEY(source_no, token)) WITHOUT ROWID;"
              "CREATE INDEX hook_token_until ON hook_token(until_us);",
    .postgres = "CREATE TABLE hook_token(source_no bigint NOT NULL, token bytea NOT NULL,"
                " body_hash bytea NOT NULL, until_us bigint NOT NULL, PRIMARY KEY(source_no, token))" PG_PASSES ";"
                "CREATE INDEX hook_token_until ON hook_token(until_us);",
};

SQL(hook_token_get, "SELECT body_hash FROM hook_token WHERE source_no = ?1 AND token = ?2", NULL);
SQL(hook_token_put,
    "INSERT INTO hook_token(source_no, token, body_hash, until_us) VALUES(?1,?2,?3,?4)"
    " ON CONFLICT(source_no, token) DO UPDATE SET body_hash = excluded.body_hash, until_us = excluded.until_us",
    NULL);
SQL(hook_token_old, "SELECT source_no, token FROM hook_token WHERE until_us < ?1 ORDER BY until_us LIMIT 1", NULL);
SQL(hook_token_delete, "DELETE FROM hook_token WHERE source_no = ?1 AND token = ?2", NULL);

#define FORGET_PER_PUT 2 /* more than one, so that a backlog shrinks */

enum err store_hook_token_get(struct op *op, struct tx *tx, uint32_t source_no,
                              const uint8_t token[STORE_TOKEN_HASH_BYTES], bool *ret_found,
                              uint8_t ret_body_hash[STORE_BODY_HASH_BYTES])
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &hook_token_get, &stmt));
    bind_int(stmt, 1, source_no);
    bind_blob(stmt, 2, token, STORE_TOKEN_HASH_BYTES);
    TRY(stmt_row(op, stmt, &found));
    if (found) {
        struct str hash = col_blob_borrowed(stmt, 0);
        if (hash.n == STORE_BODY_HASH_BYTES)
            memcpy(ret_body_hash, hash.p, STORE_BODY_HASH_BYTES);
    }
    stmt_reset(stmt);
    *ret_found = found;
    return OK;
}

static enum err forget_one(struct op *op, struct tx *tx, int64_t now_us)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &hook_token_old, &stmt));
    bind_int(stmt, 1, now_us);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    int64_t source_no = col_int(stmt, 0);
    struct str borrowed = col_blob_borrowed(stmt, 1);
    uint8_t token[STORE_TOKEN_HASH_BYTES] = { 0 };
    size_t n = borrowed.n < sizeof token ? borrowed.n : sizeof token;
    memcpy(token, borrowed.p, n);
    stmt_reset(stmt);

    TRY(tx_stmt(op, tx, &hook_token_delete, &stmt));
    bind_int(stmt, 1, source_no);
    bind_blob(stmt, 2, token, n);
    return stmt_later(op, stmt);
}

enum err store_hook_token_put(struct op *op, struct tx *tx, uint32_t source_no,
                              const uint8_t token[STORE_TOKEN_HASH_BYTES],
                              const uint8_t body_hash[STORE_BODY_HASH_BYTES], int64_t until_us, int64_t now_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &hook_token_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_blob(stmt, 2, token, STORE_TOKEN_HASH_BYTES);
    bind_blob(stmt, 3, body_hash, STORE_BODY_HASH_BYTES);
    bind_int(stmt, 4, until_us);
    TRY(stmt_later(op, stmt));
    for (int i = 0; i < FORGET_PER_PUT; i++)
        TRY(forget_one(op, tx, now_us));
    return OK;
}
