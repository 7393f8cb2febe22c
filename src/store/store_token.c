#include "store/store_token.h"

#include <assert.h>
#include <string.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step token_step = {
    "tokens",
    "CREATE TABLE token (no INTEGER PRIMARY KEY, id TEXT NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL,"
    " scopes INTEGER NOT NULL, tenant TEXT, queues TEXT, created_at_ms INTEGER NOT NULL, revoked_at_ms INTEGER);"
    "CREATE UNIQUE INDEX token_id ON token (id);"
    "CREATE UNIQUE INDEX token_sha256 ON token (sha256);"
    "CREATE INDEX token_in_force ON token (no) WHERE revoked_at_ms IS NULL;",
    "CREATE TABLE token (no bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, name " PG_TEXT " NOT NULL,"
    " sha256 bytea NOT NULL, scopes bigint NOT NULL, tenant " PG_TEXT ", queues " PG_TEXT ","
    " created_at_ms bigint NOT NULL, revoked_at_ms bigint);"
    "CREATE UNIQUE INDEX token_id ON token (id);"
    "CREATE UNIQUE INDEX token_sha256 ON token (sha256);"
    "CREATE INDEX token_in_force ON token (no) WHERE revoked_at_ms IS NULL;",
};

#define TOKEN_COLUMNS "no, id, name, sha256, scopes, tenant, queues, created_at_ms, revoked_at_ms"

SQL(token_insert,
    "INSERT INTO token (" TOKEN_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL) ON CONFLICT DO NOTHING", NULL);
SQL(token_by_id, "SELECT no FROM token WHERE id = ?1", NULL);
SQL(token_end, "UPDATE token SET revoked_at_ms = ?2 WHERE no = ?1 AND revoked_at_ms IS NULL", NULL);
SQL(token_page, "SELECT " TOKEN_COLUMNS " FROM token WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL_SCAN(token_marks, "SELECT count(*), count(revoked_at_ms) FROM token", NULL);

enum err store_token_add(struct op *op, struct tx *tx, struct token *token)
{
    assert(token->id.n <= TOKEN_ID_BYTES_MAX && token->name.n <= TOKEN_NAME_BYTES_MAX &&
           token->queues.n <= TOKEN_QUEUES_BYTES_MAX);
    struct stmt *stmt;
    uint64_t no = store_seq_next(tx, SEQ_TOKEN);
    TRY(tx_stmt(op, tx, &token_insert, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_str(stmt, 2, token->id);
    bind_str(stmt, 3, token->name);
    bind_blob(stmt, 4, token->sha256, sizeof token->sha256);
    bind_int(stmt, 5, token->scopes);
    bind_str(stmt, 6, token->tenant);
    bind_str(stmt, 7, token->queues);
    bind_int(stmt, 8, op_now_ms(op));
    TRY(stmt_done(op, stmt));
    if (stmt_changes(stmt) == 0)
        return fail(op, ERR_CONFLICT, "there is a token %.*s already", STR(token->id));
    token->no = no;
    token->created_at_ms = op_now_ms(op);
    token->revoked_at_ms = 0;
    return OK;
}

static enum err token_read(struct op *op, struct stmt *stmt, struct token *token)
{
    struct str sha256 = col_blob_borrowed(stmt, 3);
    if (sha256.n != sizeof token->sha256)
        return fail(op, ERR_IO, "a token's hash is damaged");
    memcpy(token->sha256, sha256.p, sha256.n);
    token->no = (uint64_t)col_int(stmt, 0);
    token->id = col_str(op, stmt, 1);
    token->name = col_str(op, stmt, 2);
    token->scopes = (unsigned)col_int(stmt, 4);
    token->tenant = col_str(op, stmt, 5);
    token->queues = col_str(op, stmt, 6);
    token->created_at_ms = col_int(stmt, 7);
    token->revoked_at_ms = col_int(stmt, 8);
    return OK;
}

enum err store_token_revoke(struct op *op, struct tx *tx, struct str id)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &token_by_id, &stmt));
    bind_str(stmt, 1, id);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "no token %.*s", STR(id));
    int64_t no = col_int(stmt, 0);
    stmt_reset(stmt);
    TRY(tx_stmt(op, tx, &token_end, &stmt));
    bind_int(stmt, 1, no);
    bind_int(stmt, 2, op_now_ms(op));
    return stmt_done(op, stmt);
}

enum err store_token_list(struct op *op, struct tx *tx, uint64_t after_no, int max, struct token **ret_tokens,
                          int *ret_count)
{
    assert(max >= 1 && max <= TOKEN_LIST_MAX);
    struct token *tokens;
    struct stmt *stmt;
    int n = 0;
    TRY(op_alloc(op, (size_t)max * sizeof *tokens, &tokens));
    TRY(tx_stmt(op, tx, &token_page, &stmt));
    bind_int(stmt, 1, (int64_t)after_no);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            TRY(token_read(op, stmt, &tokens[n++]));
    }
    *ret_tokens = tokens;
    *ret_count = n;
    return OK;
}

enum err store_token_mark(struct op *op, struct tx *tx, struct token_mark *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &token_marks, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? (struct token_mark){ col_int(stmt, 0), col_int(stmt, 1) } : (struct token_mark){ 0 };
    stmt_reset(stmt);
    return OK;
}
