/*
 * postgres_link.c - the connection to PostgreSQL: opening it, losing it, what its errors mean.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/postgres.h"

#define PAUSE_FIRST_US 50000
#define PAUSE_MAX_US   2000000
#define OPTIONS_MAX    64

/* --- opening --- */

/* What Posthouse asks of every link unless the URL says otherwise. The time-outs end a link whose other end vanished
 * without a word: sent bytes without receipt 10 s, silence 5 + 3 * 2 s. */
static const struct {
    const char *name, *value;
} link_defaults[] = {
    { "connect_timeout", "5" },     { "application_name", "posthouse" }, { "keepalives_idle", "5" },
    { "keepalives_interval", "2" }, { "keepalives_count", "3" },         { "tcp_user_timeout", "10000" },
};

struct link_options {
    const char *names[OPTIONS_MAX + 1], *values[OPTIONS_MAX + 1];
    int n;
};

/* A later one of the same name wins with libpq; so only what is missing is added. */
static void option_add(struct link_options *options, const char *name, const char *value, bool replace)
{
    for (int i = 0; i < options->n; i++)
        if (strcmp(options->names[i], name) == 0) {
            if (replace)
                options->values[i] = value;
            return;
        }
    if (options->n == OPTIONS_MAX)
        return;
    options->names[options->n] = name;
    options->values[options->n++] = value;
}

/* Readers may be sent to a replica; whoever writes wants the primary, whichever host of the URL that is now. */
static enum err options_fill(struct op *op, const struct pg_conn *conn, struct link_options *options,
                             PQconninfoOption **ret_parsed)
{
    const struct store_config *config = &conn->base.store->config;
    bool replica = conn->base.role == CONN_READER && config->replica;
    *ret_parsed = PQconninfoParse(replica ? config->replica : config->url, NULL);
    if (!*ret_parsed) /* libpq's sentence quotes the text, password included */
        return fail(op, ERR_INVALID, "the database URL cannot be read: it is postgres://user:password@host:port/name");
    for (const PQconninfoOption *option = *ret_parsed; option->keyword; option++)
        if (option->val)
            option_add(options, option->keyword, option->val, false);
    for (size_t i = 0; i < sizeof link_defaults / sizeof *link_defaults; i++)
        option_add(options, link_defaults[i].name, link_defaults[i].value, false);
    option_add(options, "client_encoding", "UTF8", true);
    if (!replica)
        option_add(options, "target_session_attrs", "read-write", true);
    return OK;
}

/* libpq ends its sentences with a line feed and has several lines for several hosts. */
static void one_line(const char *text, char *out, size_t room)
{
    size_t n = 0;
    for (; *text && n + 2 < room; text++) {
        if (*text != '\n')
            out[n++] = *text;
        else if (text[1])
            out[n++] = ';', out[n++] = ' ';
    }
    out[n] = '\0';
}

/* Notices ("relation exists, skipping") are nothing to us. A warning is, while a commit is under way. */
static void note_notice(void *data, const PGresult *result)
{
    struct pg_conn *conn = data;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    conn->warned |= severity && strcmp(severity, "WARNING") == 0;
}

/* A pooler makes up the number of the process it says one speaks to; the server itself knows better. Behind one nothing
 * is prepared: the next transaction may run on another link of its. */
static enum err look_for_pooler(struct op *op, struct pg_conn *conn)
{
    PGresult *result, *end;
    if (conn->unnamed || conn->base.store->config.prepare != STORE_PREPARE_AUTO)
        return OK;
    if (!PQsendQuery(conn->link, "SELECT pg_backend_pid()"))
        return pg_lost(op, conn, "connecting", PQerrorMessage(conn->link));
    TRY(pg_flush(op, conn));
    TRY(pg_next(op, conn, &result));
    if (PQresultStatus(result) == PGRES_TUPLES_OK)
        conn->unnamed = strtol(PQgetvalue(result, 0, 0), NULL, 10) != PQbackendPID(conn->link);
    PQclear(result);
    TRY(pg_next(op, conn, &end));
    PQclear(end);
    return OK;
}

enum err pg_connect(struct op *op, struct pg_conn *conn)
{
    struct link_options options = { .n = 0 };
    PQconninfoOption *parsed;
    TRY(options_fill(op, conn, &options, &parsed));
    PGconn *link = PQconnectdbParams(options.names, options.values, 0);
    PQconninfoFree(parsed);
    if (!link)
        abort();
    if (PQstatus(link) == CONNECTION_OK && PQsetnonblocking(link, 1) == 0) {
        PQsetNoticeReceiver(link, note_notice, conn);
        conn->link = link;
        conn->link_no++;
        conn->pause_us = 0;
        conn->transactions = 0;
        conn->calm = 0;
        conn->sent_bytes = conn->planned_bytes = 0;
        return look_for_pooler(op, conn);
    }
    char detail[OP_ERROR_BYTES_MAX];
    one_line(PQerrorMessage(link), detail, sizeof detail);
    PQfinish(link);
    return pg_lost(op, conn, "connecting", detail);
}

void pg_disconnect(struct pg_conn *conn)
{
    PQfinish(conn->link);
    conn->link = NULL;
    conn->begun = false;
    conn->sent_count = conn->unsynced = 0;
}

bool pg_is_stale(const struct pg_conn *conn)
{
    struct pollfd poll_fd = { .fd = PQsocket(conn->link), .events = POLLIN };
    return poll(&poll_fd, 1, 0) != 0;
}

void pg_pause(struct conn *base)
{
    struct pg_conn *conn = pg_of(base);
    int64_t us = conn->pause_us < PAUSE_FIRST_US ? PAUSE_FIRST_US : conn->pause_us;
    conn->pause_us = 2 * us < PAUSE_MAX_US ? 2 * us : PAUSE_MAX_US;
    us = us / 2 + (int64_t)(random_u64() % (uint64_t)us); /* nodes that fell together do not come back together */
    struct timespec pause = { .tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000 };
    nanosleep(&pause, NULL);
}

/* --- showing --- */

static void add_hosts(struct buf *text, struct str hosts, struct str ports)
{
    while (str_given(hosts)) {
        struct str host = str_cut(&hosts, ','), port = str_cut(&ports, ',');
        buf_add_str(text, host);
        if (port.n)
            buf_add_fmt(text, ":%.*s", STR(port));
        if (str_given(hosts))
            buf_add_char(text, ',');
    }
}

struct str store_url_text(struct arena *arena, const char *url)
{
    PQconninfoOption *parsed = PQconninfoParse(url, NULL);
    struct str host = S(""), port = S(""), name = S("");
    struct buf text;
    buf_init_arena(&text, arena, 4096);
    buf_add_str(&text, S("postgres://"));
    for (const PQconninfoOption *option = parsed; option && option->keyword; option++) {
        if (!option->val)
            continue;
        if (strcmp(option->keyword, "host") == 0)
            host = str_of(option->val);
        else if (strcmp(option->keyword, "port") == 0)
            port = str_of(option->val);
        else if (strcmp(option->keyword, "dbname") == 0)
            name = str_of(option->val);
    }
    add_hosts(&text, host, port);
    buf_add_fmt(&text, "/%.*s", STR(name));
    PQconninfoFree(parsed);
    return buf_str(&text);
}

/* --- errors --- */

static void may_run_again(struct pg_conn *conn, bool again)
{
    if (conn->base.tx && !conn->base.tx->broken)
        conn->base.tx->again = again;
}

enum err pg_lost(struct op *op, struct pg_conn *conn, const char *what, const char *detail)
{
    char line[OP_ERROR_BYTES_MAX];
    one_line(detail, line, sizeof line);
    pg_disconnect(conn);
    may_run_again(conn, true);
    op->retry_after_s = RETRY_AFTER_S;
    fail(op, ERR_UNAVAILABLE, "%s: the database does not answer (%.400s)", what, line);
    conn_broke(&conn->base, op);
    return ERR_UNAVAILABLE;
}

/* By SQLSTATE, Appendix A of PostgreSQL's manual. */
enum verdict {
    VERDICT_COMMAND,  /* the command's own fault: it fails alone */
    VERDICT_CONFLICT, /* a broken constraint, likewise */
    VERDICT_SERVER,   /* the server cannot, as with a full disk */
    VERDICT_AGAIN,    /* rolled back for reasons of the moment */
    VERDICT_ELSEWHERE /* this link is of no use any more */
};

static enum verdict verdict_of(const char *state)
{
    static const struct {
        const char *prefix;
        enum verdict verdict;
    } known[] = {
        { "23", VERDICT_CONFLICT },     { "40", VERDICT_AGAIN },        { "55P03", VERDICT_AGAIN },
        { "57014", VERDICT_AGAIN },     { "57", VERDICT_ELSEWHERE },    { "08", VERDICT_ELSEWHERE },
        { "25006", VERDICT_ELSEWHERE }, { "25P03", VERDICT_ELSEWHERE }, { "25P04", VERDICT_ELSEWHERE },
        { "26000", VERDICT_ELSEWHERE }, { "42P05", VERDICT_ELSEWHERE }, { "0A000", VERDICT_ELSEWHERE },
        { "53", VERDICT_SERVER },       { "58", VERDICT_SERVER },       { "XX", VERDICT_SERVER },
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(state, known[i].prefix, strlen(known[i].prefix)) == 0)
            return known[i].verdict;
    return VERDICT_COMMAND;
}

/* A pooler that gives each transaction another connection does not know statements prepared on the last one. */
static void note_pooler(struct pg_conn *conn, const char *state)
{
    bool unknown = strcmp(state, "26000") == 0 || strcmp(state, "42P05") == 0;
    if (unknown && conn->base.store->config.prepare == STORE_PREPARE_AUTO)
        conn->unnamed = true;
}

enum err pg_fail(struct op *op, struct pg_conn *conn, const PGresult *result, const struct sql *sql, bool may_conflict)
{
    const char *what = sql ? sql->name : "database";
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (!state || PQstatus(conn->link) == CONNECTION_BAD)
        return pg_lost(op, conn, what, PQresultErrorMessage(result));
    const char *said = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    enum verdict verdict = verdict_of(state);
    note_pooler(conn, state);
    bool is_own = verdict == VERDICT_CONFLICT || verdict == VERDICT_COMMAND;
    if (is_own && sql && sql->marks & SQL_SUPPOSES && conn->base.tx && !conn->base.tx->careful) {
        conn->calm = 0;
        return tx_supposed_wrongly(op, conn->base.tx);
    }
    if (is_own) {
        enum err err = verdict == VERDICT_CONFLICT ? ERR_CONFLICT : ERR_BUG;
        fail(op, err, "%s: %s", what, said);
        if (conn->base.tx && !conn->base.tx->broken && !(may_conflict && err == ERR_CONFLICT))
            conn->base.tx->spoilt = true;
        if (!(may_conflict && err == ERR_CONFLICT))
            conn_broke(&conn->base, op);
        return err;
    }
    may_run_again(conn, verdict != VERDICT_SERVER);
    conn->in_vain |= conn->base.tx && conn->base.tx->supposes;
    op->retry_after_s = RETRY_AFTER_S;
    fail(op, ERR_UNAVAILABLE, "%s: the database cannot (%s)", what, said);
    conn_broke(&conn->base, op);
    if (verdict == VERDICT_ELSEWHERE)
        pg_disconnect(conn);
    return ERR_UNAVAILABLE;
}

/* --- bytes --- */

/* Waits until the link has bytes (or, when asked for, takes some), and reads them. */
static enum err link_wait(struct op *op, struct pg_conn *conn, bool sending, int64_t end_us)
{
    struct pollfd poll_fd = { .fd = PQsocket(conn->link), .events = (short)(sending ? POLLIN | POLLOUT : POLLIN) };
    int64_t left_us = end_us - clock_mono_us();
    int n = left_us > 0 ? poll(&poll_fd, 1, (int)(left_us / 1000 + 1)) : 0;
    if (n < 0 && errno == EINTR)
        return OK;
    if (n <= 0)
        return pg_lost(op, conn, "waiting", n == 0 ? "no answer in time" : strerror(errno));
    if (poll_fd.revents & ~POLLOUT && !PQconsumeInput(conn->link))
        return pg_lost(op, conn, "reading", PQerrorMessage(conn->link));
    return OK;
}

static int64_t answer_end_us(const struct pg_conn *conn)
{
    return clock_mono_us() + conn->answer_us;
}

enum err pg_flush(struct op *op, struct pg_conn *conn)
{
    int64_t end_us = answer_end_us(conn);
    int rc;
    while ((rc = PQflush(conn->link)) == 1)
        TRY(link_wait(op, conn, true, end_us));
    return rc == 0 ? OK : pg_lost(op, conn, "sending", PQerrorMessage(conn->link));
}

enum err pg_next(struct op *op, struct pg_conn *conn, PGresult **ret_result)
{
    int64_t end_us = answer_end_us(conn);
    while (PQisBusy(conn->link))
        TRY(link_wait(op, conn, false, end_us));
    *ret_result = PQgetResult(conn->link);
    return OK;
}
