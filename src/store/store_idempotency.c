#include "store/store_idempotency.h"

#include <string.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

#define SWEEP_ROWS 4 /* expired answers taken away with each new one */

const struct schema_step idempotency_step = {
    "idempotency",
    "CREATE TABLE idempotency (no INTEGER PRIMARY KEY, key BLOB NOT NULL, at_ms INTEGER NOT NULL, route TEXT NOT NULL,"
    " request_hash INTEGER NOT NULL, status INTEGER NOT NULL, body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX idempotency_key ON idempotency (key);",
    "CREATE TABLE idempotency (no bigint PRIMARY KEY, key bytea NOT NULL, at_ms bigint NOT NULL,"
    " route " PG_TEXT
    " NOT NULL, request_hash bigint NOT NULL, status bigint NOT NULL, body bytea NOT NULL)" PG_PASSES_LARGE ";"
    "CREATE UNIQUE INDEX idempotency_key ON idempotency (key);",
};

SQL(answer_get, "SELECT no, at_ms, route, request_hash, status, body FROM idempotency WHERE key = ?1", NULL);
SQL(answer_put,
    "INSERT INTO idempotency (no, key, at_ms, route, request_hash, status, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    NULL);
SQL(answer_delete, "DELETE FROM idempotency WHERE no = ?1", NULL);
/* The oldest rows: a walk from the lowest number that ends at its limit. */
SQL_SCAN(answer_sweep,
         "DELETE FROM idempotency WHERE no IN (SELECT no FROM idempotency ORDER BY no LIMIT ?1)"
         " AND (at_ms <= ?2 OR no <= ?3)",
         NULL);

static enum err answer_find(struct op *op, struct tx *tx, const uint8_t key[16], struct stmt **ret_stmt,
                            bool *ret_found)
{
    TRY(tx_stmt(op, tx, &answer_get, ret_stmt));
    bind_blob(*ret_stmt, 1, key, 16);
    return stmt_row(op, *ret_stmt, ret_found);
}

static bool in_force(const struct op *op, int64_t at_ms)
{
    return at_ms > op_now_ms(op) - IDEMPOTENCY_KEEP_MS;
}

enum err store_idempotency_get(struct op *op, struct tx *tx, const uint8_t key[16], struct idempotency *ret_answer,
                               bool *ret_found)
{
    struct stmt *stmt;
    bool found;
    TRY(answer_find(op, tx, key, &stmt, &found));
    *ret_found = found && in_force(op, col_int(stmt, 1));
    if (*ret_found) {
        struct str body = col_blob_borrowed(stmt, 5);
        char *copy;
        TRY(op_alloc(op, body.n, &copy));
        memcpy(copy, body.p, body.n);
        *ret_answer = (struct idempotency){
            .at_ms = col_int(stmt, 1),
            .route = col_str(op, stmt, 2),
            .request_hash = (uint64_t)col_int(stmt, 3),
            .status = (int)col_int(stmt, 4),
            .body = { copy, body.n },
        };
    }
    stmt_reset(stmt);
    return OK;
}

/* Makes room for a new answer under the key; ERR_CONFLICT when one is in force. */
static enum err answer_make_room(struct op *op, struct tx *tx, const uint8_t key[16], uint64_t newest)
{
    struct stmt *stmt;
    bool found;
    TRY(answer_find(op, tx, key, &stmt, &found));
    if (found) {
        int64_t no = col_int(stmt, 0), at_ms = col_int(stmt, 1);
        stmt_reset(stmt);
        if (in_force(op, at_ms))
            return fail(op, ERR_CONFLICT, "this Idempotency-Key was used for another request");
        TRY(tx_stmt(op, tx, &answer_delete, &stmt));
        bind_int(stmt, 1, no);
        TRY(stmt_later(op, stmt));
    }
    TRY(tx_stmt(op, tx, &answer_sweep, &stmt));
    bind_int(stmt, 1, SWEEP_ROWS);
    bind_int(stmt, 2, op_now_ms(op) - IDEMPOTENCY_KEEP_MS);
    bind_int(stmt, 3, (int64_t)newest - IDEMPOTENCY_MAX);
    return stmt_later(op, stmt);
}

enum err store_idempotency_put(struct op *op, struct tx *tx, const uint8_t key[16], const struct idempotency *answer)
{
    if (answer->body.n > IDEMPOTENCY_BODY_BYTES_MAX)
        return fail(op, ERR_TOO_LARGE, "an answer of %zu bytes is not kept for its Idempotency-Key", answer->body.n);
    uint64_t no = store_seq_next(tx, SEQ_IDEMPOTENCY);
    TRY(answer_make_room(op, tx, key, no));
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &answer_put, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_blob(stmt, 2, key, 16);
    bind_int(stmt, 3, op_now_ms(op));
    bind_str(stmt, 4, answer->route);
    bind_int(stmt, 5, (int64_t)answer->request_hash);
    bind_int(stmt, 6, answer->status);
    bind_blob(stmt, 7, answer->body.p, answer->body.n);
    return stmt_later(op, stmt);
}
