/*
 * sqlite.c - one SQLite connection: statements, errors, transactions.
 *
 * SQLite 3.40 has a bug by which a checkpoint on one connection racing a write
 * on another can lose commits. So exactly one connection, the writer's, ever
 * checkpoints: every other one is opened read-only, with automatic checkpoints
 * off and without the checkpoint that closing the last connection would make.
 */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"
#include "store/sqlite_wal.h"

#define STMT_SLOTS 1024 /* a power of two above the number of statements in the program */

struct stmt {
    const struct sql *sql;
    sqlite3_stmt *handle;
    struct conn *conn;
    struct stmt *next_active;
    bool active;  /* stepped and not reset */
    bool reads;   /* changes nothing */
    bool stepped; /* since the newest reset */
    int bind_rc;  /* first error of a bind */
    int64_t changes;
};

struct conn {
    sqlite3 *db;
    struct store *store;
    struct tx *tx; /* under way, NULL between */
    uint64_t snapshot;
    enum conn_role role;
    sqlite3_stmt *begin, *commit, *rollback;
    struct stmt *slots[STMT_SLOTS]; /* by address of their sql */
    int used;
    struct stmt *active;
    int wal_pages;
    struct block_view *view;
};

static const char *why(int rc)
{
    switch (rc & 0xFF) {
    case SQLITE_FULL:
        return "the disk is full";
    case SQLITE_IOERR:
        return "the disk reports an error";
    case SQLITE_READONLY:
        return "the database cannot be written";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "the database file is damaged";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds the database";
    case SQLITE_NOMEM:
        return "the machine has no memory left";
    case SQLITE_CANTOPEN:
        return "the database file cannot be opened";
    default:
        return "the database failed";
    }
}

/* What an error of SQLite means to the command, with a sentence. Everything but a broken constraint, a value that is
 * too large and a misuse spoils the transaction, because SQLite may have rolled it back already. */
static enum err conn_fail(struct op *op, struct conn *conn, int rc, const char *what)
{
    const char *detail = conn->db ? sqlite3_errmsg(conn->db) : sqlite3_errstr(rc);
    if ((rc & 0xFF) == SQLITE_CONSTRAINT)
        return fail(op, ERR_CONFLICT, "%s: %s", what, detail);
    if ((rc & 0xFF) == SQLITE_TOOBIG)
        return fail(op, ERR_TOO_LARGE, "%s: %s", what, detail);
    enum err err = (rc & 0xFF) == SQLITE_ERROR || (rc & 0xFF) == SQLITE_MISUSE || (rc & 0xFF) == SQLITE_RANGE
                       ? ERR_BUG
                       : ERR_UNAVAILABLE;
    fail(op, err, "%s: %s (%s)", what, why(rc), detail);
    if (err == ERR_UNAVAILABLE)
        op->retry_after_s = RETRY_AFTER_S;
    if (conn->tx && !conn->tx->broken) {
        conn->tx->broken = true;
        snprintf(conn->tx->reason, sizeof conn->tx->reason, "%s", op->error);
    }
    return err;
}

/* --- opening --- */

static const char *writer_layer; /* see sqlite_wal.h */

static void sqlite_setup(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* a lock for each allocation, for a figure nobody reads */
    sqlite3_initialize();
    writer_layer = wal_file_layer();
}

/* Counts pages for writer.c, which checkpoints after the group was answered. */
static int note_wal(void *data, sqlite3 *db, const char *name, int pages)
{
    (void)db, (void)name;
    struct conn *conn = data;
    conn->wal_pages = pages;
    return SQLITE_OK;
}

static enum err conn_setup(struct op *op, struct conn *conn)
{
    int64_t cache = conn->role == CONN_READER ? READER_CACHE_BYTES : conn->store->config.cache_bytes;
    char text[256];
    snprintf(text, sizeof text,
             "PRAGMA cache_size = -%lld; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA mmap_size = 0;",
             (long long)(cache / 1024));
    TRY(conn_exec(op, conn, text));
    sqlite3_db_config(conn->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_wal_autocheckpoint(conn->db, 0); /* the writer does it by conn_checkpoint, outside of COMMIT */
    if (conn->role == CONN_READER)
        return OK;
    sqlite3_wal_hook(conn->db, note_wal, conn);
    return conn_exec(op, conn,
                     "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;");
}

static enum err conn_prepare(struct op *op, struct conn *conn, const char *text, sqlite3_stmt **ret_handle)
{
    sqlite3_stmt *handle = NULL;
    int rc = sqlite3_prepare_v3(conn->db, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (rc != SQLITE_OK)
        return conn_fail(op, conn, rc, text);
    *ret_handle = handle;
    return OK;
}

static enum err conn_ready(struct op *op, struct conn *conn)
{
    TRY(conn_setup(op, conn));
    TRY(conn_prepare(op, conn, conn->role == CONN_WRITER ? "BEGIN IMMEDIATE" : "BEGIN", &conn->begin));
    TRY(conn_prepare(op, conn, "COMMIT", &conn->commit));
    return conn_prepare(op, conn, "ROLLBACK", &conn->rollback);
}

enum err conn_open(struct op *op, struct store *store, const char *path, enum conn_role role, struct conn **ret_conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sqlite_setup);

    struct conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return fail(op, ERR_UNAVAILABLE, "no memory for a database connection");
    conn->store = store;
    conn->role = role;
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= role == CONN_WRITER ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path ? path : ":memory:", &conn->db, flags, role == CONN_WRITER ? writer_layer : NULL);
    enum err err = rc == SQLITE_OK ? conn_ready(op, conn) : conn_fail(op, conn, rc, path ? path : "memory");
    if (err != OK) {
        conn_close(conn);
        return err;
    }
    *ret_conn = conn;
    return OK;
}

void conn_close(struct conn *conn)
{
    if (!conn)
        return;
    for (size_t i = 0; i < STMT_SLOTS; i++)
        if (conn->slots[i]) {
            sqlite3_finalize(conn->slots[i]->handle);
            free(conn->slots[i]);
        }
    sqlite3_finalize(conn->begin);
    sqlite3_finalize(conn->commit);
    sqlite3_finalize(conn->rollback);
    int rc = sqlite3_close(conn->db);
    assert(rc == SQLITE_OK); /* no statement is left */
    (void)rc;
    block_view_free(conn->view);
    free(conn);
}

enum err conn_exec(struct op *op, struct conn *conn, const char *text)
{
    int rc = sqlite3_exec(conn->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : conn_fail(op, conn, rc, "database");
}

enum err conn_int(struct op *op, struct conn *conn, const char *text, int64_t *ret_value)
{
    sqlite3_stmt *handle = NULL;
    TRY(conn_prepare(op, conn, text, &handle));
    int rc = sqlite3_step(handle);
    if (rc == SQLITE_ROW)
        *ret_value = sqlite3_column_int64(handle, 0);
    sqlite3_finalize(handle);
    if (rc == SQLITE_ROW)
        return OK;
    return rc == SQLITE_DONE ? fail(op, ERR_NOT_FOUND, "no row: %s", text) : conn_fail(op, conn, rc, text);
}

/* --- transactions --- */

static int run_once(sqlite3_stmt *handle)
{
    sqlite3_step(handle);
    return sqlite3_reset(handle);
}

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
    int rc = run_once(conn->begin);
    if (rc == SQLITE_OK)
        return OK;
    enum err err = conn_fail(op, conn, rc, "beginning a transaction");
    conn->tx = NULL;
    return err;
}

/* What the simulation wants to happen at this point, as SQLite would report it. */
static int fault_rc(struct conn *conn, enum store_point point, bool *ret_then_die)
{
    switch (store_ask(conn->store, point)) {
    case STORE_NO_FAULT:
        return SQLITE_OK;
    case STORE_FAIL_FULL:
        return SQLITE_FULL;
    case STORE_CRASH_AFTER:
        *ret_then_die = true;
        return SQLITE_OK;
    case STORE_FAIL_IO:
    case STORE_CRASH_BEFORE:
        return SQLITE_IOERR;
    }
    return SQLITE_OK;
}

enum err conn_commit(struct op *op, struct tx *tx)
{
    struct conn *conn = tx->conn;
    assert(conn->tx == tx && !tx->broken);
    reset_all(conn); /* an open query would keep its snapshot beyond the commit */
    bool then_die = false;
    int rc = tx->writing && conn->store->config.faults ? fault_rc(conn, STORE_AT_COMMIT, &then_die) : SQLITE_OK;
    if (rc == SQLITE_OK)
        rc = run_once(conn->commit);
    if (rc != SQLITE_OK) {
        enum err err = conn_fail(op, conn, rc, "commit");
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
    if (!sqlite3_get_autocommit(conn->db)) /* some errors have rolled back by themselves */
        run_once(conn->rollback);
    conn->tx = NULL;
}

uint64_t conn_changes(const struct conn *conn)
{
    return (uint64_t)sqlite3_total_changes64(conn->db);
}

uint64_t conn_snapshot(const struct conn *conn)
{
    return conn->snapshot;
}

int64_t conn_wal_pages(const struct conn *conn)
{
    return conn->wal_pages;
}

enum err conn_checkpoint(struct op *op, struct conn *conn, bool truncate)
{
    assert(conn->role == CONN_WRITER && !conn->tx);
    int pages = 0, moved = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(conn->db, NULL, mode, &pages, &moved);
    if (rc == SQLITE_BUSY)
        return OK; /* a reader still needs the WAL: another time */
    if (rc != SQLITE_OK)
        return conn_fail(op, conn, rc, "checkpoint");
    if (moved >= pages)
        conn->wal_pages = 0; /* the next commit starts the WAL again */
    return OK;
}

struct block_view **conn_block_view(struct conn *conn)
{
    return &conn->view;
}

/* --- statements --- */

static size_t slot_of(const struct conn *conn, const struct sql *sql)
{
    size_t i = ((uintptr_t)sql >> 4) * 0x9E3779B97F4A7C15u >> 32;
    for (i &= STMT_SLOTS - 1; conn->slots[i] && conn->slots[i]->sql != sql; i = (i + 1) & (STMT_SLOTS - 1))
        continue;
    return i;
}

static enum err stmt_new(struct op *op, struct conn *conn, const struct sql *sql, size_t slot)
{
    assert(conn->used < STMT_SLOTS * 3 / 4);
    sqlite3_stmt *handle = NULL;
    TRY(conn_prepare(op, conn, sql->sqlite, &handle));
    struct stmt *stmt = calloc(1, sizeof *stmt);
    if (!stmt)
        abort();
    *stmt = (struct stmt){ .sql = sql, .handle = handle, .conn = conn, .reads = sqlite3_stmt_readonly(handle) };
    conn->slots[slot] = stmt;
    conn->used++;
    return OK;
}

enum err tx_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    struct conn *conn = tx->conn;
    assert(conn->tx == tx);
    size_t slot = slot_of(conn, sql);
    if (!conn->slots[slot])
        TRY(stmt_new(op, conn, sql, slot));
    struct stmt *stmt = conn->slots[slot];
    stmt_reset(stmt);
    stmt->bind_rc = SQLITE_OK;
    *ret_stmt = stmt;
    return OK;
}

static void bound(struct stmt *stmt, int rc)
{
    if (rc != SQLITE_OK && stmt->bind_rc == SQLITE_OK)
        stmt->bind_rc = rc;
}

void bind_int(struct stmt *stmt, int i, int64_t value)
{
    bound(stmt, sqlite3_bind_int64(stmt->handle, i, value));
}

void bind_int_null(struct stmt *stmt, int i, int64_t value, int64_t null)
{
    if (value == null)
        bind_null(stmt, i);
    else
        bind_int(stmt, i, value);
}

void bind_real(struct stmt *stmt, int i, double value)
{
    bound(stmt, sqlite3_bind_double(stmt->handle, i, value));
}

void bind_str(struct stmt *stmt, int i, struct str value)
{
    bound(stmt, sqlite3_bind_text64(stmt->handle, i, value.p, value.n, SQLITE_STATIC, SQLITE_UTF8));
}

void bind_blob(struct stmt *stmt, int i, const void *bytes, size_t n)
{
    bound(stmt, sqlite3_bind_blob64(stmt->handle, i, bytes ? bytes : "", n, SQLITE_STATIC));
}

void bind_null(struct stmt *stmt, int i)
{
    bound(stmt, sqlite3_bind_null(stmt->handle, i));
}

void stmt_reset(struct stmt *stmt)
{
    if (stmt->active) {
        struct stmt **link = &stmt->conn->active;
        while (*link != stmt)
            link = &(*link)->next_active;
        *link = stmt->next_active;
        stmt->active = false;
    }
    if (stmt->stepped)
        sqlite3_reset(stmt->handle); /* the error, if any, was reported by the step */
    stmt->stepped = false;
}

static void stmt_activate(struct stmt *stmt)
{
    if (stmt->active)
        return;
    stmt->active = true;
    stmt->next_active = stmt->conn->active;
    stmt->conn->active = stmt;
}

/* One step, with the simulation's say before a change begins. */
static int stmt_step(struct stmt *stmt)
{
    if (stmt->bind_rc != SQLITE_OK)
        return stmt->bind_rc;
    bool then_die = false;
    if (!stmt->reads && !stmt->stepped && stmt->conn->store->config.faults) {
        int rc = fault_rc(stmt->conn, STORE_AT_STATEMENT, &then_die);
        if (rc != SQLITE_OK)
            return rc;
    }
    stmt->stepped = true;
    return sqlite3_step(stmt->handle);
}

static enum err stmt_fail(struct op *op, struct stmt *stmt, int rc)
{
    enum err err = conn_fail(op, stmt->conn, rc, stmt->sql->name);
    stmt_reset(stmt);
    return err;
}

enum err stmt_row(struct op *op, struct stmt *stmt, bool *ret_has_row)
{
    int rc = stmt_step(stmt);
    if (rc == SQLITE_ROW) {
        stmt_activate(stmt);
        *ret_has_row = true;
        return OK;
    }
    if (rc != SQLITE_DONE)
        return stmt_fail(op, stmt, rc);
    stmt_reset(stmt);
    *ret_has_row = false;
    return OK;
}

enum err stmt_done(struct op *op, struct stmt *stmt)
{
    int64_t before = sqlite3_total_changes64(stmt->conn->db);
    int rc;
    do
        rc = stmt_step(stmt);
    while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE)
        return stmt_fail(op, stmt, rc);
    stmt->changes = sqlite3_total_changes64(stmt->conn->db) - before;
    stmt_reset(stmt);
    return OK;
}

int64_t stmt_changes(const struct stmt *stmt)
{
    return stmt->changes;
}

int64_t col_int(struct stmt *stmt, int i)
{
    return sqlite3_column_int64(stmt->handle, i);
}

double col_real(struct stmt *stmt, int i)
{
    return sqlite3_column_double(stmt->handle, i);
}

bool col_is_null(struct stmt *stmt, int i)
{
    return sqlite3_column_type(stmt->handle, i) == SQLITE_NULL;
}

int64_t col_int_null(struct stmt *stmt, int i, int64_t null)
{
    return col_is_null(stmt, i) ? null : col_int(stmt, i);
}

struct str col_str_borrowed(struct stmt *stmt, int i)
{
    const void *text = sqlite3_column_text(stmt->handle, i);
    return (struct str){ text, text ? (size_t)sqlite3_column_bytes(stmt->handle, i) : 0 };
}

struct str col_blob_borrowed(struct stmt *stmt, int i)
{
    if (col_is_null(stmt, i))
        return (struct str){ NULL, 0 };
    const void *bytes = sqlite3_column_blob(stmt->handle, i);
    size_t n = (size_t)sqlite3_column_bytes(stmt->handle, i);
    return (struct str){ bytes ? bytes : "", n };
}

struct str col_str(struct op *op, struct stmt *stmt, int i)
{
    struct str text = col_str_borrowed(stmt, i);
    struct str copy = arena_str(op->arena, text);
    if (text.p && !copy.p)
        stmt->conn->tx->arena_full = true;
    return copy;
}

enum err conn_plan(struct op *op, struct conn *conn, const char *text, struct str *ret_plan)
{
    struct str explain = arena_fmt(op->arena, "EXPLAIN QUERY PLAN %s", text);
    if (!explain.p)
        return fail(op, ERR_TOO_LARGE, "no room for a plan");
    sqlite3_stmt *handle = NULL;
    TRY(conn_prepare(op, conn, explain.p, &handle));
    struct str plan = S("");
    int rc;
    while ((rc = sqlite3_step(handle)) == SQLITE_ROW)
        plan = arena_fmt(op->arena, "%.*s%s%s", STR(plan), plan.n ? "; " : "",
                         (const char *)sqlite3_column_text(handle, 3));
    sqlite3_finalize(handle);
    if (rc != SQLITE_DONE)
        return conn_fail(op, conn, rc, text);
    *ret_plan = plan;
    return OK;
}
