/*
 * conn.c - one connection of either engine: its transactions, the faults of the
 * simulation. What differs is in the engine's table; statements are in db.c.
 */
#include <assert.h>
#include <stdio.h>

#include "store/core.h"

/* --- errors --- */

void conn_broke(struct conn *conn, const struct op *op)
{
    struct tx *tx = conn->tx;
    if (!tx || tx->broken)
        return;
    tx->broken = true;
    snprintf(tx->reason, sizeof tx->reason, "%s", op->error);
}

enum err tx_supposed_wrongly(struct op *op, struct tx *tx)
{
    if (!tx->broken)
        tx->mistaken = tx->again = true;
    fail(op, ERR_UNAVAILABLE, "what was not asked is not as the group supposed");
    conn_broke(tx->conn, op);
    return ERR_UNAVAILABLE;
}

enum err conn_fault(struct op *op, struct conn *conn, enum store_point point, const char *what, bool *ret_then_die)
{
    *ret_then_die = false;
    if (!conn->store->config.faults)
        return OK;
    switch (store_ask(conn->store, point)) {
    case STORE_NO_FAULT:
        return OK;
    case STORE_CRASH_AFTER:
        *ret_then_die = true;
        return OK;
    case STORE_FAIL_FULL:
        fail(op, ERR_UNAVAILABLE, "%s: the disk is full (simulated)", what);
        break;
    case STORE_FAIL_IO:
    case STORE_CRASH_BEFORE:
        fail(op, ERR_UNAVAILABLE, "%s: the disk reports an error (simulated)", what);
        break;
    }
    op->retry_after_s = RETRY_AFTER_S;
    conn_broke(conn, op);
    return ERR_UNAVAILABLE;
}

/* --- the connection --- */

enum err conn_open(struct op *op, struct store *store, const char *path, enum conn_role role, struct conn **ret_conn)
{
    return store->engine->open(op, store, path, role, ret_conn);
}

void conn_close(struct conn *conn)
{
    if (!conn)
        return;
    for (size_t i = 0; i < STMT_SLOTS; i++)
        if (conn->slots[i])
            conn->engine->stmt_free(conn->slots[i]);
    block_view_free(conn->view);
    conn->engine->close(conn);
}

enum err conn_exec(struct op *op, struct conn *conn, const char *text)
{
    return conn->engine->exec(op, conn, text);
}

enum err conn_int(struct op *op, struct conn *conn, const char *text, int64_t *ret_value)
{
    return conn->engine->get_int(op, conn, text, ret_value);
}

enum err conn_version(struct op *op, struct conn *conn, int64_t *ret_steps)
{
    return conn->engine->version(op, conn, ret_steps);
}

enum err conn_know(struct op *op, struct tx *tx)
{
    return tx->conn->engine->know ? tx->conn->engine->know(op, tx) : OK;
}

void conn_pause(struct conn *conn)
{
    if (conn->engine->pause)
        conn->engine->pause(conn);
}

uint64_t conn_changes(const struct conn *conn)
{
    return conn->engine->changes(conn);
}

uint64_t conn_snapshot(const struct conn *conn)
{
    return conn->snapshot;
}

int64_t conn_wal_pages(const struct conn *conn)
{
    return conn->engine->wal_pages(conn);
}

enum err conn_checkpoint(struct op *op, struct conn *conn, bool truncate)
{
    return conn->engine->checkpoint(op, conn, truncate);
}

enum err conn_copy_wal(struct op *op, struct conn *conn)
{
    bool then_die;
    TRY(conn->engine->copy_wal(op, conn));
    return conn_fault(op, conn, STORE_AT_COPY, "checkpoint", &then_die);
}

struct block_view **conn_block_view(struct conn *conn)
{
    return &conn->view;
}

enum err conn_plan(struct op *op, struct conn *conn, const char *text, struct str *ret_plan)
{
    return conn->engine->plan(op, conn, text, ret_plan);
}

/* --- transactions --- */

static void reset_all(struct conn *conn)
{
    while (conn->active)
        stmt_reset(conn->active);
}

enum err conn_begin(struct op *op, struct tx *tx)
{
    struct conn *conn = tx->conn;
    assert(!conn->tx);
    if (store_is_dead(conn->store))
        return fail(op, ERR_UNAVAILABLE, "the simulated process is dead");
    conn->tx = tx;
    conn->snapshot++;
    enum err err = conn->engine->begin(op, tx);
    if (err != OK) {
        reset_all(conn); /* what was asked with it */
        conn->tx = NULL;
    }
    return err;
}

enum err conn_confirm(struct op *op, struct tx *tx)
{
    return tx->supposes ? tx->conn->engine->confirm(op, tx) : OK;
}

enum err conn_commit(struct op *op, struct tx *tx)
{
    struct conn *conn = tx->conn;
    assert(conn->tx == tx && !tx->broken);
    reset_all(conn); /* an open query would keep its snapshot beyond the commit */
    bool then_die = false;
    enum err err = tx->writing ? conn_fault(op, conn, STORE_AT_COMMIT, "commit", &then_die) : OK;
    if (err == OK)
        err = conn->engine->commit(op, tx);
    if (err != OK) {
        conn_rollback(tx);
        return err;
    }
    conn->tx = NULL;
    return then_die ? fail(op, ERR_UNAVAILABLE, "simulated crash after the commit") : OK;
}

void conn_rollback(struct tx *tx)
{
    struct conn *conn = tx->conn;
    assert(conn->tx == tx);
    reset_all(conn);
    conn->engine->rollback(tx);
    conn->tx = NULL;
}
