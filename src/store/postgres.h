/*
 * postgres.h - the inside of the PostgreSQL engine.
 *
 *     postgres.c       the table of functions, the schema, plans
 *     postgres_link.c  the connection: opening, losing, what errors mean
 *     postgres_pipe.c  statements in libpq's pipeline: sending, waiting
 *     postgres_stmt.c  one statement: parameters, arrays, walks
 *     postgres_col.c   columns of a row
 *     postgres_turn.c  transactions: the turn, the row a group leaves, proof of a commit
 *
 * Nodes take turns to write. A writing transaction begins with an advisory
 * lock that ends with it, so under the turn nobody else changes these tables,
 * and every group leaves one row in group_log: it tells other nodes that their
 * RAM is old, proves after a broken connection whether the group was stored,
 * and holds the sequences. Snapshots never take the turn.
 *
 * What is sent goes into libpq's pipeline and is answered in the same order.
 * Whoever waits ends the pipeline with a Sync. That is not only politeness: a
 * server that has answered everything but saw no Sync has none of its timers
 * running, and would leave the turn with a node that froze there for ever.
 *
 * docs/adr/0004-postgresql-turns.md has the reasons and figures.
 */
#pragma once

#include <libpq-fe.h>

#include "base/buf.h"
#include "store/core.h"

#define PG_PARAMS_MAX 64
#define PG_FIRST_ROWS 64  /* of a walk, for whoever wants a page only; then */
#define PG_SLICE_ROWS 256 /* of a walk, by one FETCH */
#define PG_UNSYNCED_MAX                                                                                                \
    16384                   /* bytes queued before they are sent; libpq would send by itself at 64 KiB, without Sync */
#define PG_ANSWER_EXTRA_S 5 /* beyond the statement's own limit before the server counts as gone */
#define PG_AGAIN_US       20000000     /* how long to find out whether a commit is stored */
#define PG_TURN_KEY       "1886352244" /* of the advisory lock; one per database, so per schema posthouse */

/* Types of parameters and columns, by their fixed numbers in pg_type. */
enum pg_type {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_FLOAT4 = 700,
    PG_FLOAT8 = 701,
    PG_BYTEA_ARRAY = 1001,
    PG_TEXT_ARRAY = 1009,
    PG_INT8_ARRAY = 1016,
    PG_FLOAT8_ARRAY = 1022,
    PG_TIMESTAMPTZ = 1184,
    PG_NUMERIC = 1700
};

struct pg_param {
    Oid type;        /* of the newest bind; 0 = untyped NULL */
    Oid prepared_as; /* what the server was told */
    const char *p;   /* NULL = NULL */
    size_t bytes;
    uint64_t number; /* p points here for numbers */
    struct buf array;
    bool bad; /* a text the server would refuse */
};

struct pg_stmt {
    struct stmt base;
    char *text; /* with $1 */
    char name[24];
    int params;
    struct pg_param *param;
    bool prepared;    /* the server knows the name, or will when it reads what was sent */
    unsigned link_no; /* on this link */
    PGresult *result; /* NULL: not run, or reset */
    int row, rows;    /* of the result */
    char *declare;    /* a walk: DECLARE name CURSOR FOR text */
    int slice;        /* rows asked for by the newest FETCH */
    bool open;        /* its cursor */
};

struct pg_sent {
    struct pg_stmt *stmt; /* NULL: a Sync */
    bool prepare;         /* its Parse, else its run */
};

/* A row of group_log; no 0 = before the first. */
struct pg_group {
    int64_t no, node, epoch;
};

/* When which group was: postgres_log.c. */
#define PG_NOTES 64
struct pg_log {
    struct pg_note {
        int64_t no, at_us;
    } notes[PG_NOTES]; /* the oldest first */
    int count;
    bool begun;                /* it is known how far the log is cleared */
    int64_t cleared, clearing; /* numbers up to here are gone; will be with the commit, 0 = none */
};

struct pg_conn {
    struct conn base;
    PGconn *link;     /* NULL: lost or not yet made */
    unsigned link_no; /* counts links, so that statements know when they must be prepared anew */
    unsigned names;   /* given to statements */
    bool unnamed;     /* the server (a pooler) does not keep prepared statements */
    bool begun;       /* BEGIN was sent and neither COMMIT nor ROLLBACK */
    struct pg_sent *sent;
    size_t sent_count, sent_room, unsynced;
    uint64_t changes;
    int64_t pause_us;              /* before the next attempt to connect; 0 = at once */
    int64_t answer_us;             /* after which the server counts as gone */
    struct pg_group newest, known; /* as the turn found it; the newest that RAM knows of */
    bool warned;                   /* since the commit began */
    int64_t transactions;          /* on this link */
    size_t sent_bytes;             /* on this link, as values of parameters */
    size_t planned_bytes;          /* of them when plans were made anew */
    bool in_turns;                 /* others wrote before the newest turn of this store */
    int calm;                      /* turns of this link since others wrote */
    bool in_vain;                  /* a group that supposed was ended: it may have waited too long for its turn */
    char limit_ms[24], idle_ms[24];
    struct pg_log log;
};

static inline struct pg_conn *pg_of(struct conn *conn)
{
    return (struct pg_conn *)(void *)conn;
}

static inline struct pg_stmt *pg_stmt_of(struct stmt *stmt)
{
    return (struct pg_stmt *)(void *)stmt;
}

/* --- postgres_link.c --- */

/* Connects; conn->link is NULL. ERR_UNAVAILABLE when the server cannot be had, ERR_INVALID when the URL is none. */
enum err pg_connect(struct op *op, struct pg_conn *conn);

/* Gives the link up; what was sent and not answered is forgotten. */
void pg_disconnect(struct pg_conn *conn);

/* True when an idle link has something to say, which is nearly always its end. */
bool pg_is_stale(const struct pg_conn *conn);

/* Waits before the next attempt to connect: 50 ms, doubling to 2 s, a little random. */
void pg_pause(struct conn *conn);

/* The link broke: ERR_UNAVAILABLE, and the group may run again. */
enum err pg_lost(struct op *op, struct pg_conn *conn, const char *what, const char *detail);

/* What an error of the server means to the command, with a sentence; marks the transaction. */
enum err pg_fail(struct op *op, struct pg_conn *conn, const PGresult *result, const struct sql *sql, bool may_conflict);

/* Sends all that libpq still holds; waits for the next result, at most the statement's time. */
enum err pg_flush(struct op *op, struct pg_conn *conn);
enum err pg_next(struct op *op, struct pg_conn *conn, PGresult **ret_result);

/* --- postgres_pipe.c --- */

/* Queues the statement with its parameters, preparing it when needed. */
enum err pg_send(struct op *op, struct pg_conn *conn, struct pg_stmt *stmt);

/* Queues a text without parameters on behalf of the statement: FETCH and CLOSE of its cursor. */
enum err pg_send_raw(struct op *op, struct pg_conn *conn, struct pg_stmt *stmt, const char *text);

/* Queues a statement of the engine's own without parameters. */
enum err pg_send_text(struct op *op, struct pg_conn *conn, const struct sql *sql);

/* Sends everything and waits for all answers; the first error is the result. Keeps the rows of `wanted`, and of what
 * was asked. */
enum err pg_drain(struct op *op, struct pg_conn *conn, struct pg_stmt *wanted);

/* Sends everything and waits for nothing. */
enum err pg_push(struct op *op, struct pg_conn *conn);

/* --- postgres_stmt.c --- */

enum err pg_stmt_new(struct op *op, struct conn *conn, const struct sql *sql, struct stmt **ret_stmt);
void pg_stmt_free(struct stmt *stmt);
void pg_clear(struct stmt *stmt);
enum err pg_step_row(struct op *op, struct stmt *stmt, bool *ret_has_row);
enum err pg_done(struct op *op, struct stmt *stmt);
enum err pg_later(struct op *op, struct stmt *stmt);
enum err pg_ask(struct op *op, struct stmt *stmt);
void pg_reset(struct stmt *stmt);
void pg_bind_int(struct stmt *stmt, int i, int64_t value);
void pg_bind_real(struct stmt *stmt, int i, double value);
void pg_bind_str(struct stmt *stmt, int i, struct str value);
void pg_bind_blob(struct stmt *stmt, int i, struct str value);
void pg_bind_null(struct stmt *stmt, int i);
void pg_bind_ints(struct stmt *stmt, int i, const int64_t *values, size_t n);
void pg_bind_reals(struct stmt *stmt, int i, const double *values, size_t n);
void pg_bind_strs(struct stmt *stmt, int i, const struct str *values, size_t n);
void pg_bind_blobs(struct stmt *stmt, int i, const struct str *values, size_t n);

/* --- postgres_col.c --- */

int64_t pg_col_int(struct stmt *stmt, int i);
double pg_col_real(struct stmt *stmt, int i);
bool pg_col_is_null(struct stmt *stmt, int i);
struct str pg_col_str(struct stmt *stmt, int i);
struct str pg_col_blob(struct stmt *stmt, int i);

/* --- postgres_turn.c --- */

enum err pg_know(struct op *op, struct tx *tx);
enum err pg_begin(struct op *op, struct tx *tx);
enum err pg_confirm(struct op *op, struct tx *tx);
enum err pg_commit(struct op *op, struct tx *tx);
void pg_rollback(struct tx *tx);

/* --- postgres_log.c --- */

/* Before the commit of this group: now and then a slice of the oldest rows of group_log goes, if all of it is old. */
enum err pg_log_clear(struct op *op, struct tx *tx, int64_t no);

/* The commit is through. */
void pg_log_cleared(struct pg_conn *conn);
