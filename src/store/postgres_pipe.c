/*
 * postgres_pipe.c - statements in libpq's pipeline: sent, waited for, answered in order.
 */
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

static void sent_push(struct pg_conn *conn, struct pg_stmt *stmt, bool prepare)
{
    if (conn->sent_count == conn->sent_room) {
        conn->sent_room = conn->sent_room ? 2 * conn->sent_room : 256;
        conn->sent = realloc(conn->sent, conn->sent_room * sizeof *conn->sent);
        if (!conn->sent)
            abort();
    }
    conn->sent[conn->sent_count++] = (struct pg_sent){ stmt, prepare };
}

/* --- sending --- */

static bool is_prepared(const struct pg_conn *conn, const struct pg_stmt *stmt)
{
    if (!stmt->prepared || stmt->link_no != conn->link_no)
        return false;
    for (int i = 0; i < stmt->params; i++)
        if (stmt->param[i].type != 0 && stmt->param[i].type != stmt->param[i].prepared_as)
            return false;
    return true;
}

/* Types are given, so that "$1 = 0" is not taken for a small integer. An untyped NULL keeps the type of before. */
static void types_fill(struct pg_stmt *stmt, Oid *types)
{
    for (int i = 0; i < stmt->params; i++) {
        if (stmt->param[i].type != 0)
            stmt->param[i].prepared_as = stmt->param[i].type;
        types[i] = stmt->param[i].prepared_as;
    }
}

static bool send_prepare(struct pg_conn *conn, struct pg_stmt *stmt)
{
    Oid types[PG_PARAMS_MAX];
    types_fill(stmt, types);
    snprintf(stmt->name, sizeof stmt->name, "p%u", ++conn->names);
    if (!PQsendPrepare(conn->link, stmt->name, stmt->text, stmt->params, types))
        return false;
    stmt->prepared = true;
    stmt->link_no = conn->link_no;
    sent_push(conn, stmt, true);
    return true;
}

static bool send_run(struct pg_conn *conn, struct pg_stmt *stmt, bool named)
{
    const char *values[PG_PARAMS_MAX];
    int lengths[PG_PARAMS_MAX], formats[PG_PARAMS_MAX];
    for (int i = 0; i < stmt->params; i++) {
        values[i] = stmt->param[i].p;
        lengths[i] = (int)stmt->param[i].bytes;
        formats[i] = 1;
        conn->unsynced += stmt->param[i].bytes;
        conn->sent_bytes += stmt->param[i].bytes;
    }
    conn->unsynced += 64;
    if (named)
        return PQsendQueryPrepared(conn->link, stmt->name, stmt->params, values, lengths, formats, 1);
    Oid types[PG_PARAMS_MAX];
    types_fill(stmt, types);
    return PQsendQueryParams(conn->link, stmt->declare ? stmt->declare : stmt->text, stmt->params, types, values,
                             lengths, formats, 1);
}

static enum err params_check(struct op *op, const struct pg_stmt *stmt)
{
    for (int i = 0; i < stmt->params; i++) {
        if (stmt->param[i].bad)
            return fail(op, ERR_INVALID, "%s: a text that is not UTF-8 or holds a NUL", stmt->base.sql->name);
        if (stmt->param[i].bytes > INT32_MAX / 2)
            return fail(op, ERR_TOO_LARGE, "%s: a value of %zu bytes", stmt->base.sql->name, stmt->param[i].bytes);
    }
    return OK;
}

static enum err sync_send(struct op *op, struct pg_conn *conn)
{
    if (!PQpipelineSync(conn->link))
        return pg_lost(op, conn, "sending", PQerrorMessage(conn->link));
    sent_push(conn, NULL, false);
    conn->unsynced = 0;
    return OK;
}

enum err pg_push(struct op *op, struct pg_conn *conn)
{
    TRY(sync_send(op, conn));
    return pg_flush(op, conn);
}

/* Nothing is sent in a transaction that is lost: the server would only say so. */
static enum err may_send(struct op *op, struct pg_conn *conn)
{
    const struct tx *tx = conn->base.tx;
    if (!conn->link || (tx && tx->broken))
        return fail(op, ERR_UNAVAILABLE, "%s", tx && tx->reason[0] ? tx->reason : "no connection to the database");
    if (PQpipelineStatus(conn->link) == PQ_PIPELINE_OFF && !PQenterPipelineMode(conn->link))
        return pg_lost(op, conn, "beginning", PQerrorMessage(conn->link));
    return OK;
}

enum err pg_send(struct op *op, struct pg_conn *conn, struct pg_stmt *stmt)
{
    TRY(may_send(op, conn));
    TRY(params_check(op, stmt));
    bool named = !conn->unnamed && !stmt->declare;
    if (named && !is_prepared(conn, stmt) && !send_prepare(conn, stmt))
        return pg_lost(op, conn, stmt->base.sql->name, PQerrorMessage(conn->link));
    if (!send_run(conn, stmt, named))
        return pg_lost(op, conn, stmt->base.sql->name, PQerrorMessage(conn->link));
    sent_push(conn, stmt, false);
    return conn->unsynced > PG_UNSYNCED_MAX ? pg_push(op, conn) : OK;
}

enum err pg_send_raw(struct op *op, struct pg_conn *conn, struct pg_stmt *stmt, const char *text)
{
    TRY(may_send(op, conn));
    if (!PQsendQueryParams(conn->link, text, 0, NULL, NULL, NULL, NULL, 1))
        return pg_lost(op, conn, stmt->base.sql->name, PQerrorMessage(conn->link));
    sent_push(conn, stmt, false);
    return OK;
}

enum err pg_send_text(struct op *op, struct pg_conn *conn, const struct sql *sql)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, conn->base.tx, sql, &stmt));
    return pg_send(op, conn, pg_stmt_of(stmt));
}

/* --- answers --- */

static int64_t rows_changed(const PGresult *result)
{
    return strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
}

/* An answer without error. */
static void answer_note(struct pg_conn *conn, const struct pg_sent *sent, PGresult *result, struct pg_stmt *wanted)
{
    struct pg_stmt *stmt = sent->stmt;
    if (sent->prepare || (stmt != wanted && !stmt->base.asked)) {
        PQclear(result);
        return;
    }
    if (!stmt->base.reads) {
        stmt->base.changes = rows_changed(result);
        conn->changes += (uint64_t)stmt->base.changes;
    }
    PQclear(stmt->result);
    stmt->result = result;
    stmt->rows = PQntuples(result);
    stmt->row = -1;
}

/* One answer and the end that follows it. The first error counts: what comes behind it was not even tried. */
static enum err answer_read(struct op *op, struct pg_conn *conn, const struct pg_sent *sent, struct pg_stmt *wanted,
                            enum err *first)
{
    PGresult *result, *end = NULL;
    TRY(pg_next(op, conn, &result));
    ExecStatusType status = result ? PQresultStatus(result) : PGRES_FATAL_ERROR;
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC;
    if (!sent->stmt) {
        PQclear(result);
        return good ? OK : pg_lost(op, conn, "reading", PQerrorMessage(conn->link));
    }
    if (!result)
        return pg_lost(op, conn, sent->stmt->base.sql->name, PQerrorMessage(conn->link));
    if (good) {
        answer_note(conn, sent, result, wanted);
    } else {
        if (sent->prepare)
            sent->stmt->prepared = false;
        if (*first == OK && status != PGRES_PIPELINE_ABORTED)
            *first = pg_fail(op, conn, result, sent->stmt->base.sql,
                             sent->stmt == wanted && sent->stmt->base.sql->marks & SQL_CONFLICTS);
        PQclear(result);
        if (!conn->link)
            return *first;
    }
    TRY(pg_next(op, conn, &end));
    PQclear(end);
    return OK;
}

enum err pg_drain(struct op *op, struct pg_conn *conn, struct pg_stmt *wanted)
{
    if (!conn->link)
        return fail(op, ERR_UNAVAILABLE, "no connection to the database");
    if (conn->sent_count == 0)
        return OK;
    if (conn->sent[conn->sent_count - 1].stmt)
        TRY(sync_send(op, conn));
    TRY(pg_flush(op, conn));
    conn->base.trips++;
    enum err first = OK, err = OK;
    size_t n = conn->sent_count;
    for (size_t i = 0; i < n && err == OK; i++) {
        bool newest = i + 2 >= n; /* the one before the last Sync: the same statement may have been sent before */
        err = answer_read(op, conn, &conn->sent[i], newest ? wanted : NULL, &first);
    }
    conn->sent_count = 0;
    return first != OK ? first : err;
}
