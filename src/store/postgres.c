#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/* --- opening --- */

static void limits_fill(struct pg_conn *conn)
{
    const struct store_config *config = &conn->base.store->config;
    bool reader = conn->base.role == CONN_READER;
    int64_t limit_ms = reader ? 3 * config->statement_timeout_ms : config->statement_timeout_ms;
    snprintf(conn->limit_ms, sizeof conn->limit_ms, "%" PRId64, limit_ms);
    conn->answer_us = limit_ms * 1000 + (int64_t)PG_ANSWER_EXTRA_S * 1000000;
    snprintf(conn->idle_ms, sizeof conn->idle_ms, "%" PRId64,
             reader ? 12 * config->idle_timeout_ms : config->idle_timeout_ms);
}

static void pg_close(struct conn *base)
{
    struct pg_conn *conn = pg_of(base);
    PQfinish(conn->link);
    free(conn->sent);
    free(conn);
}

static enum err pg_open(struct op *op, struct store *store, const char *path, enum conn_role role,
                        struct conn **ret_conn)
{
    (void)path;
    struct pg_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    conn->base = (struct conn){ .engine = &postgres_engine, .store = store, .role = role };
    conn->unnamed = store->config.prepare == STORE_PREPARE_OFF;
    limits_fill(conn);
    enum err err = pg_connect(op, conn);
    if (err != OK) {
        pg_close(&conn->base);
        return err;
    }
    *ret_conn = &conn->base;
    return OK;
}

/* --- texts outside of transactions --- */

/* Runs a text of one or more statements; *ret_result may be NULL when nobody wants it. */
static enum err text_run(struct op *op, struct pg_conn *conn, const char *text, PGresult **ret_result)
{
    if (!conn->link)
        TRY(pg_connect(op, conn));
    TRY(pg_drain(op, conn, NULL));
    if (PQpipelineStatus(conn->link) != PQ_PIPELINE_OFF && !PQexitPipelineMode(conn->link))
        return pg_lost(op, conn, "database", PQerrorMessage(conn->link));
    PQsetnonblocking(conn->link, 0);
    PGresult *result = PQexec(conn->link, text);
    PQsetnonblocking(conn->link, 1);
    ExecStatusType status = PQresultStatus(result);
    enum err err = OK;
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY)
        err = pg_fail(op, conn, result, NULL, false);
    if (err == OK && ret_result)
        *ret_result = result;
    else
        PQclear(result);
    return err;
}

static enum err pg_exec(struct op *op, struct conn *conn, const char *text)
{
    return text_run(op, pg_of(conn), text, NULL);
}

static enum err pg_get_int(struct op *op, struct conn *conn, const char *text, int64_t *ret_value)
{
    PGresult *result;
    TRY(text_run(op, pg_of(conn), text, &result));
    bool found = PQntuples(result) > 0;
    if (found)
        *ret_value = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return found ? OK : fail(op, ERR_NOT_FOUND, "no row: %s", text);
}

/* --- the schema --- */

static enum err pg_version(struct op *op, struct conn *conn, int64_t *ret_steps)
{
    int64_t made;
    TRY(pg_get_int(op, conn, "SELECT (to_regclass('posthouse.schema_version') IS NOT NULL)::int", &made));
    *ret_steps = 0;
    return made ? pg_get_int(op, conn, "SELECT steps FROM posthouse.schema_version WHERE one = 1", ret_steps) : OK;
}

/* Under the turn, so that nodes that start together do a step once, and no group runs beside it. Row 1 of
 * schema_version says how many are done, row 2 which of them is the newest that stands alone. */
static enum err step_in_turn(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    int64_t done;
    char text[128];
    TRY(pg_exec(op, conn, "SELECT pg_advisory_xact_lock(" PG_TURN_KEY ")"));
    TRY(pg_exec(op, conn,
                "CREATE SCHEMA IF NOT EXISTS posthouse; SET LOCAL search_path = posthouse;"
                "CREATE TABLE IF NOT EXISTS schema_version (one bigint PRIMARY KEY, steps bigint NOT NULL);"
                "INSERT INTO schema_version VALUES (1, 0) ON CONFLICT DO NOTHING"));
    TRY(pg_get_int(op, conn, "SELECT steps FROM schema_version WHERE one = 1", &done));
    if (done >= no)
        return OK; /* another node was faster */
    if (step->alone)
        TRY(schema_stand_alone(op, conn, step, no));
    TRY(pg_exec(op, conn, step->postgres));
    snprintf(text, sizeof text, "UPDATE schema_version SET steps = %d WHERE one = 1", no);
    return pg_exec(op, conn, text);
}

static enum err pg_step(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    if (!step->postgres)
        return fail(op, ERR_BUG, "this step has no text for PostgreSQL");
    TRY(pg_exec(op, conn, "BEGIN"));
    enum err err = step_in_turn(op, conn, step, no);
    if (err == OK)
        return pg_exec(op, conn, "COMMIT");
    struct op aside = { .arena = op->arena };
    pg_exec(&aside, conn, "ROLLBACK");
    return err;
}

/* --- plans --- */

static void buf_add_line(struct buf *buf, const char *text)
{
    if (buf->n)
        buf_add_str(buf, S("; "));
    buf_add_str(buf, str_trim(str_of(text)));
}

/* The generic plan with sequential scans forbidden: one that is left has no index to use. Each parameter is NULL. */
static enum err pg_plan(struct op *op, struct conn *conn, const char *text, struct str *ret_plan)
{
    struct stmt *stmt;
    struct sql sql = { "plan", NULL, text, 0 };
    struct buf prepare;
    TRY(pg_stmt_new(op, conn, &sql, &stmt));
    buf_init_arena(&prepare, op->arena, SIZE_MAX / 2);
    buf_add_fmt(
        &prepare,
        "BEGIN; SET LOCAL search_path = posthouse; SET LOCAL enable_seqscan = off;"
        "SET LOCAL plan_cache_mode = force_generic_plan; DEALLOCATE ALL; PREPARE plan AS %s; EXPLAIN EXECUTE plan",
        pg_stmt_of(stmt)->text);
    for (int i = 0; i < pg_stmt_of(stmt)->params; i++)
        buf_add_fmt(&prepare, "%s", i == 0 ? "(NULL" : ", NULL");
    buf_add_str(&prepare, pg_stmt_of(stmt)->params > 0 ? S(")") : S(""));
    buf_add_char(&prepare, '\0');
    pg_stmt_free(stmt);

    PGresult *result = NULL;
    enum err err = text_run(op, pg_of(conn), prepare.p, &result);
    if (err == OK) {
        struct buf plan;
        buf_init_arena(&plan, op->arena, SIZE_MAX / 2);
        for (int i = 0; i < PQntuples(result); i++)
            buf_add_line(&plan, PQgetvalue(result, i, 0));
        *ret_plan = buf_str(&plan);
        PQclear(result);
    }
    struct op aside = { .arena = op->arena };
    pg_exec(&aside, conn, "ROLLBACK; DEALLOCATE ALL");
    pg_of(conn)->link_no++; /* what was prepared is gone */
    return err;
}

/* --- the table --- */

static uint64_t pg_changes(const struct conn *conn)
{
    return ((const struct pg_conn *)(const void *)conn)->changes;
}

static int64_t pg_wal_pages(const struct conn *conn)
{
    (void)conn;
    return 0;
}

static enum err pg_checkpoint(struct op *op, struct conn *conn, bool truncate)
{
    (void)op, (void)conn, (void)truncate;
    return OK; /* the server's own business */
}

const struct engine postgres_engine = {
    .name = "postgres",
    .scan_word = "Seq Scan",
    .shared = true,
    .open = pg_open,
    .close = pg_close,
    .exec = pg_exec,
    .get_int = pg_get_int,
    .version = pg_version,
    .step = pg_step,
    .know = pg_know,
    .begin = pg_begin,
    .confirm = pg_confirm,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .pause = pg_pause,
    .changes = pg_changes,
    .wal_pages = pg_wal_pages,
    .checkpoint = pg_checkpoint,
    .plan = pg_plan,
    .stmt_new = pg_stmt_new,
    .stmt_free = pg_stmt_free,
    .clear = pg_clear,
    .step_row = pg_step_row,
    .done = pg_done,
    .later = pg_later,
    .ask = pg_ask,
    .reset = pg_reset,
    .bind_int = pg_bind_int,
    .bind_real = pg_bind_real,
    .bind_str = pg_bind_str,
    .bind_blob = pg_bind_blob,
    .bind_null = pg_bind_null,
    .bind_ints = pg_bind_ints,
    .bind_reals = pg_bind_reals,
    .bind_strs = pg_bind_strs,
    .bind_blobs = pg_bind_blobs,
    .col_int = pg_col_int,
    .col_real = pg_col_real,
    .col_is_null = pg_col_is_null,
    .col_str = pg_col_str,
    .col_blob = pg_col_blob,
};
