/*
 * sqlite.c - the engine for one machine: statements, errors, transactions.
 *
 * SQLite 3.40 has a bug by which a checkpoint on one connection racing a write
 * on another can lose commits. So only the writer's connection checkpoints, and
 * the copier's, in turns that keep that race away (copier.h). Every other one is
 * opened read-only, all with automatic checkpoints off and without the checkpoint
 * that closing the last connection would make.
 */
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/core.h"
#include "store/sqlite_wal.h"

/* Somebody who reads the file by other means may be putting a crashed log in order just now. */
#define OPEN_BUSY_MS 10000

struct sqlite_stmt {
    struct stmt base;
    sqlite3_stmt *handle;
    int bind_rc; /* first error of a bind */
};

struct sqlite_conn {
    struct conn base;
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *rollback;
    int wal_pages;
};

static struct sqlite_conn *of(struct conn *conn)
{
    return (struct sqlite_conn *)(void *)conn;
}

static const struct sqlite_conn *of_const(const struct conn *conn)
{
    return (const struct sqlite_conn *)(const void *)conn;
}

static sqlite3_stmt *handle_of(struct stmt *stmt)
{
    return ((struct sqlite_stmt *)(void *)stmt)->handle;
}

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
    const char *detail = of(conn)->db ? sqlite3_errmsg(of(conn)->db) : sqlite3_errstr(rc);
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
    conn_broke(conn, op);
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
    struct sqlite_conn *conn = data;
    conn->wal_pages = pages;
    return SQLITE_OK;
}

static enum err sqlite_exec(struct op *op, struct conn *conn, const char *text)
{
    int rc = sqlite3_exec(of(conn)->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : conn_fail(op, conn, rc, "database");
}

static int64_t cache_bytes(const struct conn *conn)
{
    switch (conn->role) {
    case CONN_READER:
        return READER_CACHE_BYTES;
    case CONN_DOOR:
    case CONN_COPIER: /* looks at no page by itself */
        return DOOR_CACHE_BYTES;
    case CONN_WRITER:
    case CONN_BESIDE:
        break;
    }
    return conn->store->config.cache_bytes;
}

static enum err conn_setup(struct op *op, struct conn *conn)
{
    char text[256];
    snprintf(text, sizeof text,
             "PRAGMA cache_size = -%lld; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF; PRAGMA mmap_size = 0;",
             (long long)(cache_bytes(conn) / 1024));
    TRY(sqlite_exec(op, conn, text));
    sqlite3_db_config(of(conn)->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
    sqlite3_wal_autocheckpoint(of(conn)->db, 0); /* the writer does it by conn_checkpoint, outside of COMMIT */
    if (conn->role == CONN_READER || conn->role == CONN_DOOR)
        return OK;
    sqlite3_wal_hook(of(conn)->db, note_wal, conn);
    return sqlite_exec(op, conn,
                       "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 67108864;"
                       " PRAGMA secure_delete = OFF;"); /* Debian's default writes zeros over what is deleted */
}

static enum err conn_prepare(struct op *op, struct conn *conn, const char *text, sqlite3_stmt **ret_handle)
{
    sqlite3_stmt *handle = NULL;
    int rc = sqlite3_prepare_v3(of(conn)->db, text, -1, SQLITE_PREPARE_PERSISTENT, &handle, NULL);
    if (rc != SQLITE_OK)
        return conn_fail(op, conn, rc, text);
    *ret_handle = handle;
    return OK;
}

static enum err conn_ready(struct op *op, struct sqlite_conn *conn)
{
    const char *begin = conn->base.role == CONN_WRITER ? "BEGIN IMMEDIATE" : "BEGIN";
    sqlite3_busy_timeout(conn->db, OPEN_BUSY_MS);
    TRY(conn_setup(op, &conn->base));
    sqlite3_busy_timeout(conn->db, 0);
    TRY(conn_prepare(op, &conn->base, begin, &conn->begin));
    TRY(conn_prepare(op, &conn->base, "COMMIT", &conn->commit));
    return conn_prepare(op, &conn->base, "ROLLBACK", &conn->rollback);
}

static void sqlite_close(struct conn *base)
{
    struct sqlite_conn *conn = of(base);
    sqlite3_finalize(conn->begin);
    sqlite3_finalize(conn->commit);
    sqlite3_finalize(conn->rollback);
    int rc = sqlite3_close(conn->db);
    assert(rc == SQLITE_OK); /* no statement is left */
    (void)rc;
    free(conn);
}

static enum err sqlite_open(struct op *op, struct store *store, const char *path, enum conn_role role,
                            struct conn **ret_conn)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, sqlite_setup);

    struct sqlite_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    conn->base = (struct conn){ .engine = &sqlite_engine, .store = store, .role = role };
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    flags |= role == CONN_WRITER   ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
             : role == CONN_COPIER ? SQLITE_OPEN_READWRITE
                                   : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path ? path : ":memory:", &conn->db, flags, role == CONN_WRITER ? writer_layer : NULL);
    enum err err = rc == SQLITE_OK ? conn_ready(op, conn) : conn_fail(op, &conn->base, rc, path ? path : "memory");
    if (err != OK) {
        sqlite_close(&conn->base);
        return err;
    }
    *ret_conn = &conn->base;
    return OK;
}

static enum err sqlite_get_int(struct op *op, struct conn *conn, const char *text, int64_t *ret_value)
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

/* --- the schema --- */

static enum err sqlite_version(struct op *op, struct conn *conn, int64_t *ret_steps)
{
    return sqlite_get_int(op, conn, "PRAGMA user_version", ret_steps);
}

static enum err sqlite_step(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version = %d", no);
    TRY(sqlite_exec(op, conn, "BEGIN IMMEDIATE"));
    enum err err = sqlite_exec(op, conn, step->sqlite);
    if (err == OK)
        err = sqlite_exec(op, conn, version);
    if (err == OK)
        err = sqlite_exec(op, conn, "COMMIT");
    if (err != OK) {
        struct op aside = { .arena = op->arena };
        sqlite_exec(&aside, conn, "ROLLBACK"); /* fails when the error has rolled back by itself */
    }
    return err;
}

/* --- transactions --- */

static int run_once(sqlite3_stmt *handle)
{
    sqlite3_step(handle);
    return sqlite3_reset(handle);
}

static enum err sqlite_begin(struct op *op, struct tx *tx)
{
    int rc = run_once(of(tx->conn)->begin);
    return rc == SQLITE_OK ? OK : conn_fail(op, tx->conn, rc, "beginning a transaction");
}

static enum err sqlite_commit(struct op *op, struct tx *tx)
{
    int rc = run_once(of(tx->conn)->commit);
    return rc == SQLITE_OK ? OK : conn_fail(op, tx->conn, rc, "commit");
}

static void sqlite_rollback(struct tx *tx)
{
    if (!sqlite3_get_autocommit(of(tx->conn)->db)) /* some errors have rolled back by themselves */
        run_once(of(tx->conn)->rollback);
}

static uint64_t sqlite_changes(const struct conn *conn)
{
    return (uint64_t)sqlite3_total_changes64(of_const(conn)->db);
}

static int64_t sqlite_wal_pages(const struct conn *conn)
{
    return of_const(conn)->wal_pages;
}

static enum err sqlite_checkpoint(struct op *op, struct conn *conn, bool truncate)
{
    assert(conn->role == CONN_WRITER && !conn->tx);
    if (atomic_load(&conn->store->keeps_wal))
        return OK;
    int pages = 0, moved = 0;
    int mode = truncate ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
    int rc = sqlite3_wal_checkpoint_v2(of(conn)->db, NULL, mode, &pages, &moved);
    if (rc == SQLITE_BUSY)
        return OK; /* a reader still needs the WAL: another time */
    if (rc != SQLITE_OK)
        return conn_fail(op, conn, rc, "checkpoint");
    if (moved >= pages)
        of(conn)->wal_pages = 0; /* the next commit starts the WAL again */
    return OK;
}

/* A checkpoint that does not reach the newest commit counts its pages as copied and syncs nothing: that is left to one
 * that does, the writer's. Here it is done at once. */
static enum err sqlite_copy_wal(struct op *op, struct conn *conn)
{
    assert(conn->role == CONN_COPIER);
    sqlite3 *db = of(conn)->db;
    sqlite3_file *file = NULL;
    if (sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) != SQLITE_OK)
        return OK; /* it counts nothing as copied, and the writer's own will tell why */
    sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
    int rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    return rc == SQLITE_OK ? OK : fail(op, ERR_UNAVAILABLE, "checkpoint: %s (%s)", why(rc), sqlite3_errstr(rc));
}

/* --- statements --- */

static enum err sqlite_stmt_new(struct op *op, struct conn *conn, const struct sql *sql, struct stmt **ret_stmt)
{
    sqlite3_stmt *handle = NULL;
    assert(sql->sqlite); /* else only PostgreSQL has it */
    TRY(conn_prepare(op, conn, sql->sqlite, &handle));
    struct sqlite_stmt *stmt = calloc(1, sizeof *stmt);
    if (!stmt)
        abort();
    stmt->base.reads = sqlite3_stmt_readonly(handle);
    stmt->handle = handle;
    *ret_stmt = &stmt->base;
    return OK;
}

static void sqlite_stmt_free(struct stmt *stmt)
{
    sqlite3_finalize(handle_of(stmt));
    free(stmt);
}

static void sqlite_clear(struct stmt *stmt)
{
    ((struct sqlite_stmt *)(void *)stmt)->bind_rc = SQLITE_OK;
}

static void bound(struct stmt *base, int rc)
{
    struct sqlite_stmt *stmt = (struct sqlite_stmt *)(void *)base;
    if (rc != SQLITE_OK && stmt->bind_rc == SQLITE_OK)
        stmt->bind_rc = rc;
}

static void sqlite_bind_int(struct stmt *stmt, int i, int64_t value)
{
    bound(stmt, sqlite3_bind_int64(handle_of(stmt), i, value));
}

static void sqlite_bind_real(struct stmt *stmt, int i, double value)
{
    bound(stmt, sqlite3_bind_double(handle_of(stmt), i, value));
}

static void sqlite_bind_str(struct stmt *stmt, int i, struct str value)
{
    bound(stmt, sqlite3_bind_text64(handle_of(stmt), i, value.p, value.n, SQLITE_STATIC, SQLITE_UTF8));
}

static void sqlite_bind_blob(struct stmt *stmt, int i, struct str value)
{
    bound(stmt, sqlite3_bind_blob64(handle_of(stmt), i, value.p, value.n, SQLITE_STATIC));
}

static void sqlite_bind_null(struct stmt *stmt, int i)
{
    bound(stmt, sqlite3_bind_null(handle_of(stmt), i));
}

static int one_step(struct stmt *stmt)
{
    int bind_rc = ((struct sqlite_stmt *)(void *)stmt)->bind_rc;
    return bind_rc == SQLITE_OK ? sqlite3_step(handle_of(stmt)) : bind_rc;
}

static enum err sqlite_step_row(struct op *op, struct stmt *stmt, bool *ret_has_row)
{
    int rc = one_step(stmt);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return conn_fail(op, stmt->conn, rc, stmt->sql->name);
    *ret_has_row = rc == SQLITE_ROW;
    return OK;
}

static enum err sqlite_done(struct op *op, struct stmt *stmt)
{
    sqlite3 *db = of(stmt->conn)->db;
    int64_t before = sqlite3_total_changes64(db);
    int rc;
    do
        rc = one_step(stmt);
    while (rc == SQLITE_ROW);
    stmt->changes = sqlite3_total_changes64(db) - before;
    return rc == SQLITE_DONE ? OK : conn_fail(op, stmt->conn, rc, stmt->sql->name);
}

static void sqlite_reset(struct stmt *stmt)
{
    sqlite3_reset(handle_of(stmt)); /* the error, if any, was reported by the step */
}

static int64_t sqlite_col_int(struct stmt *stmt, int i)
{
    return sqlite3_column_int64(handle_of(stmt), i);
}

static double sqlite_col_real(struct stmt *stmt, int i)
{
    return sqlite3_column_double(handle_of(stmt), i);
}

static bool sqlite_col_is_null(struct stmt *stmt, int i)
{
    return sqlite3_column_type(handle_of(stmt), i) == SQLITE_NULL;
}

static struct str sqlite_col_str(struct stmt *stmt, int i)
{
    const void *text = sqlite3_column_text(handle_of(stmt), i);
    return (struct str){ text, text ? (size_t)sqlite3_column_bytes(handle_of(stmt), i) : 0 };
}

static struct str sqlite_col_blob(struct stmt *stmt, int i)
{
    if (sqlite_col_is_null(stmt, i))
        return (struct str){ NULL, 0 };
    const void *bytes = sqlite3_column_blob(handle_of(stmt), i);
    size_t n = (size_t)sqlite3_column_bytes(handle_of(stmt), i);
    return (struct str){ bytes ? bytes : "", n };
}

static enum err sqlite_plan(struct op *op, struct conn *conn, const char *text, struct str *ret_plan)
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

const struct engine sqlite_engine = {
    .name = "sqlite",
    .scan_word = "SCAN",
    .open = sqlite_open,
    .close = sqlite_close,
    .exec = sqlite_exec,
    .get_int = sqlite_get_int,
    .version = sqlite_version,
    .step = sqlite_step,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .changes = sqlite_changes,
    .wal_pages = sqlite_wal_pages,
    .checkpoint = sqlite_checkpoint,
    .copy_wal = sqlite_copy_wal,
    .plan = sqlite_plan,
    .stmt_new = sqlite_stmt_new,
    .stmt_free = sqlite_stmt_free,
    .clear = sqlite_clear,
    .step_row = sqlite_step_row,
    .done = sqlite_done,
    .later = sqlite_done,
    .reset = sqlite_reset,
    .bind_int = sqlite_bind_int,
    .bind_real = sqlite_bind_real,
    .bind_str = sqlite_bind_str,
    .bind_blob = sqlite_bind_blob,
    .bind_null = sqlite_bind_null,
    .col_int = sqlite_col_int,
    .col_real = sqlite_col_real,
    .col_is_null = sqlite_col_is_null,
    .col_str = sqlite_col_str,
    .col_blob = sqlite_col_blob,
};
