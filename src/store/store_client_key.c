#include "store/store_client_key.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step client_key_step = {
    .name = "client keys",
    .sqlite = "CREATE TABLE client_key(day INTEGER PRIMARY KEY, key BLOB NOT NULL);",
    .postgres = "CREATE TABLE client_key(day bigint PRIMARY KEY, key bytea NOT NULL);",
};

SQL(client_key_get, "SELECT key FROM client_key WHERE day = ?1", NULL);
SQL(client_key_put, "INSERT INTO client_key(day, key) VALUES(?1, ?2)", NULL);
SQL(client_key_expire, "DELETE FROM client_key WHERE day < ?1", NULL);

#define KEY_BYTES   16
#define CACHE_SLOTS 8

struct client_keys {
    struct {
        int32_t day;
        bool known;
        uint8_t key[KEY_BYTES];
    } slots[CACHE_SLOTS];
};

static enum err cache_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    *ret_state = calloc(1, sizeof(struct client_keys));
    return *ret_state ? OK : fail(op, ERR_UNAVAILABLE, "no memory for the keys of clients");
}

static void cache_drop(void *state)
{
    memset(state, 0, sizeof(struct client_keys));
}

/* A key that went must be gone from every node. */
static enum err cache_foreign(struct op *op, struct tx *tx, void *state)
{
    (void)op;
    if (store_seq_moved(tx, SEQ_CATALOG))
        cache_drop(state);
    return OK;
}

const struct family client_key_family = {
    .name = "client keys", .open = cache_open, .close = free, .drop = cache_drop, .foreign = cache_foreign
};

static enum err key_make(struct op *op, struct tx *tx, int32_t day, uint8_t ret_key[KEY_BYTES])
{
    uint8_t key[KEY_BYTES];
    random_bytes(key, sizeof key);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &client_key_put, &stmt));
    bind_int(stmt, 1, day);
    bind_blob(stmt, 2, key, sizeof key);
    TRY(stmt_later(op, stmt));
    memcpy(ret_key, key, sizeof key);
    return OK;
}

enum err store_client_key(struct op *op, struct tx *tx, int32_t day, uint8_t ret_key[KEY_BYTES])
{
    struct client_keys *cache = tx_state(tx, &client_key_family);
    size_t slot = (size_t)((uint32_t)day % CACHE_SLOTS);
    if (!cache->slots[slot].known || cache->slots[slot].day != day) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &client_key_get, &stmt));
        bind_int(stmt, 1, day);
        TRY(stmt_row(op, stmt, &found));
        uint8_t key[KEY_BYTES] = { 0 };
        if (found && col_blob_borrowed(stmt, 0).n == KEY_BYTES)
            memcpy(key, col_blob_borrowed(stmt, 0).p, KEY_BYTES);
        stmt_reset(stmt);
        if (!found)
            TRY(key_make(op, tx, day, key));
        cache->slots[slot].day = day;
        cache->slots[slot].known = true;
        memcpy(cache->slots[slot].key, key, KEY_BYTES);
    }
    memcpy(ret_key, cache->slots[slot].key, KEY_BYTES);
    return OK;
}

enum err store_client_key_expire(struct op *op, struct tx *tx, int32_t before_day)
{
    cache_drop(tx_state(tx, &client_key_family));
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &client_key_expire, &stmt));
    bind_int(stmt, 1, before_day);
    TRY(stmt_done(op, stmt));
    if (stmt_changes(stmt) > 0)
        store_seq_next(tx, SEQ_CATALOG);
    return OK;
}
