/*
 * postgres_turn.c - transactions of PostgreSQL: the turn, the row a group leaves, proof that a commit happened.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/families.h"
#include "store/postgres.h"

extern const struct schema_step group_log_step;

/* SQLite has no use for it: there nobody else writes. */
const struct schema_step group_log_step = {
    "group log",
    "",
    "CREATE TABLE group_log (no bigint PRIMARY KEY, node bigint NOT NULL, epoch bigint NOT NULL,"
    " at timestamptz NOT NULL DEFAULT clock_timestamp(), seqs bytea NOT NULL);",
};

/* Not in the list of all statements: they have no plan worth looking at. */
static const struct sql turn_begin = { "begin", NULL, "BEGIN ISOLATION LEVEL READ COMMITTED", 0 };
static const struct sql view_begin = { "begin", NULL, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", 0 };
static const struct sql turn_commit = { "commit", NULL, "COMMIT", 0 };
static const struct sql turn_rollback = { "rollback", NULL, "ROLLBACK", 0 };
static const struct sql turn_take = { "turn", NULL, "SELECT pg_advisory_xact_lock(" PG_TURN_KEY ")", 0 };
static const struct sql plans_forget = { "forget plans", NULL, "DISCARD PLANS", 0 };
static const struct sql settings = {
    "settings",
    NULL,
    "SELECT set_config('search_path', 'posthouse', true), set_config('statement_timeout', ?1, true),"
    " set_config('idle_in_transaction_session_timeout', ?2, true), set_config('jit', 'off', true),"
    " set_config('enable_seqscan', ?3, true), set_config('plan_cache_mode', ?4, true)",
    0,
};

SQL_ONLY_POSTGRES(group_newest,
                  "SELECT no, node, epoch, seqs, (SELECT count(*) FROM node WHERE no = ?1 AND epoch = ?2 AND lost = 0),"
                  " (SELECT count(*) FROM group_log WHERE no = ?3 AND node = ?4 AND epoch = ?5)"
                  " FROM group_log ORDER BY no DESC LIMIT 1");
/* Divides by nothing unless the newest group is this one and the node, if it is fenced, has its life. */
SQL_MARKED(group_supposed, NULL,
           "SELECT 1 / count(*) FROM group_log WHERE no = ?1 AND node = ?2 AND epoch = ?3"
           " AND NOT EXISTS (SELECT FROM group_log WHERE no > ?1)"
           " AND (?4 = 0 OR EXISTS (SELECT FROM node WHERE no = ?4 AND epoch = ?5 AND lost = 0))",
           SQL_POSTGRES | SQL_SUPPOSES);
SQL_ONLY_POSTGRES(group_is, "SELECT 1 FROM group_log WHERE no = ?1 AND node = ?2 AND epoch = ?3");
SQL_ONLY_POSTGRES(group_add, "INSERT INTO group_log (no, node, epoch, seqs) VALUES (?1, ?2, ?3, ?4)");

/* A holder of the turn whose server waits for it without a timer: bytes of it came, and then neither a Sync nor more.
 */
SQL_MARKED(turn_evict, NULL,
           "SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
           " WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = " PG_TURN_KEY
           " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
           " AND a.wait_event = 'ClientRead' AND a.query_start < clock_timestamp() - ?1 * interval '1 ms'",
           SQL_POSTGRES | SQL_SCANS);

/* --- beginning --- */

/* Rows of a queue come and go: a plan made while its table is empty would read the whole table when it is not. What the
 * writer does is by index, always, and needs no other plan for other values: planning a DELETE by an array of numbers
 * costs more than the DELETE, and PostgreSQL would do it each time. A snapshot may be of everything, and is planned as
 * usual. */
static enum err settings_send(struct op *op, struct pg_conn *conn)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, conn->base.tx, &settings, &stmt));
    pg_bind_str(stmt, 1, str_of(conn->limit_ms));
    pg_bind_str(stmt, 2, str_of(conn->idle_ms));
    bool writes = conn->base.role == CONN_WRITER;
    pg_bind_str(stmt, 3, writes ? S("off") : S("on"));
    pg_bind_str(stmt, 4, writes ? S("force_generic_plan") : S("auto"));
    return pg_send(op, conn, pg_stmt_of(stmt));
}

#define PLANS_BYTES 65536 /* sent before plans are worth a second thought */

/* A plan made while tables were empty may take the wrong index for ever: PostgreSQL keeps it until somebody analyses
 * the table. So plans are made anew, by the size that tables have then, after 16, 32, 64.. transactions of a link, and
 * whenever twice as much was sent as when they were made: few transactions may bring many rows. */
static bool plans_are_due(struct pg_conn *conn)
{
    int64_t n = ++conn->transactions;
    bool due = (n >= 16 && (n & (n - 1)) == 0) ||
               (conn->sent_bytes >= PLANS_BYTES && conn->sent_bytes >= 2 * conn->planned_bytes);
    if (due)
        conn->planned_bytes = conn->sent_bytes;
    return due;
}

static enum err transaction_send(struct op *op, struct pg_conn *conn, const struct sql *begin)
{
    TRY(pg_send_text(op, conn, begin));
    conn->begun = true;
    TRY(settings_send(op, conn));
    return plans_are_due(conn) ? pg_send_text(op, conn, &plans_forget) : OK;
}

/* Is this group in the log? Sends; the answer is a row or none. */
static enum err group_is_send(struct op *op, struct pg_conn *conn, struct pg_group group, struct stmt **ret_stmt)
{
    TRY(tx_stmt(op, conn->base.tx, &group_is, ret_stmt));
    pg_bind_int(*ret_stmt, 1, group.no);
    pg_bind_int(*ret_stmt, 2, group.node);
    pg_bind_int(*ret_stmt, 3, group.epoch);
    return pg_send(op, conn, pg_stmt_of(*ret_stmt));
}

/* What comes with the newest group. */
struct turn_news {
    bool lives; /* the row of this store's node */
    bool knows; /* the newest group that RAM knows of is in the log */
};

static enum err newest_send(struct op *op, struct tx *tx, struct stmt **ret_stmt)
{
    struct pg_conn *conn = pg_of(tx->conn);
    TRY(tx_stmt(op, tx, &group_newest, ret_stmt));
    pg_bind_int(*ret_stmt, 1, tx->store->node);
    pg_bind_int(*ret_stmt, 2, tx->store->epoch);
    pg_bind_int(*ret_stmt, 3, conn->known.no);
    pg_bind_int(*ret_stmt, 4, conn->known.node);
    pg_bind_int(*ret_stmt, 5, conn->known.epoch);
    TRY(pg_send(op, conn, pg_stmt_of(*ret_stmt)));
    return pg_drain(op, conn, pg_stmt_of(*ret_stmt));
}

static enum err newest_read(struct op *op, struct tx *tx, struct stmt *stmt, struct turn_news *ret_news)
{
    struct pg_conn *conn = pg_of(tx->conn);
    bool found = false;
    *ret_news = (struct turn_news){ 0 };
    conn->newest = (struct pg_group){ 0 };
    tx->seqs_newest = (struct str){ NULL, 0 };
    TRY(pg_step_row(op, stmt, &found));
    if (!found)
        return OK;
    conn->newest = (struct pg_group){ pg_col_int(stmt, 0), pg_col_int(stmt, 1), pg_col_int(stmt, 2) };
    struct str seqs = pg_col_blob(stmt, 3);
    tx->seqs_newest = seqs.n ? seqs : (struct str){ NULL, 0 }; /* none: the group that made the hash key */
    *ret_news = (struct turn_news){ pg_col_int(stmt, 4) == 1, pg_col_int(stmt, 5) == 1 };
    return OK;
}

static bool same_group(struct pg_group a, struct pg_group b)
{
    return a.no == b.no && a.node == b.node && a.epoch == b.epoch;
}

/* Compares the newest group with the newest that RAM knows of. When that one is gone, history was lost (a replica took
 * over that had not seen it) or it is long ago: then nothing in RAM can be made true from what came since. */
static void turn_compare(struct tx *tx, bool knows)
{
    struct pg_conn *conn = pg_of(tx->conn);
    conn->in_turns = false;
    conn->calm++;
    if (same_group(conn->newest, conn->known))
        return;
    tx->foreign = true;
    conn->calm = 0;
    conn->in_turns = true;
    tx->anew = conn->known.no != 0 && !(knows && conn->newest.no > conn->known.no);
}

enum err pg_know(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    if (!tx->writing) {
        struct stmt *stmt;
        struct turn_news news;
        TRY(newest_send(op, tx, &stmt));
        TRY(newest_read(op, tx, stmt, &news));
    }
    conn->known = conn->newest;
    return OK;
}

/* One round trip: BEGIN, the limits, the turn, the newest group and our node's row. The limits come first, so that
 * waiting for the turn has an end; the newest group is a statement of its own behind the turn, because its snapshot
 * must be. Nodes are called lost under the turn only, so what the row says stands until the commit. When others wrote
 * the last time they will have done so again: what RAM needs of it is asked in the same trip. */
static enum err turn_open(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct store *store = tx->store;
    struct stmt *newest;
    struct turn_news news;
    TRY(transaction_send(op, conn, &turn_begin));
    TRY(pg_send_text(op, conn, &turn_take));
    tx->expects_news = conn->in_turns;
    if (conn->in_turns)
        TRY(families_ask(op, tx));
    TRY(store_ask_watch(op, tx));
    TRY(newest_send(op, tx, &newest));
    TRY(newest_read(op, tx, newest, &news));
    tx->over = !news.lives && atomic_load(&store->is_fenced) && !store->begins;
    if (tx->over)
        return fail(op, ERR_CONFLICT, "this node was called lost: it must begin anew");
    turn_compare(tx, news.knows);
    return OK;
}

#define CALM_TURNS 8 /* behind each other, before which nobody else wrote */

/*
 * A node that writes alone for the moment need not ask before a group begins. It sends what begins the transaction and
 * waits for nothing: the commands run on what RAM knows. What is waited for first, the commit at the latest, is
 * answered behind a statement that fails unless RAM was right; so a group that asks nothing is one round trip. When
 * others have written nothing of it is kept: the group runs again, and asks.
 */
static bool may_suppose(const struct tx *tx)
{
    return !tx->careful && !tx->store->begins && pg_of(tx->conn)->calm >= CALM_TURNS;
}

static enum err turn_suppose(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    const struct store *store = tx->store;
    struct stmt *stmt;
    tx->supposes = true;
    conn->newest = conn->known;
    TRY(transaction_send(op, conn, &turn_begin));
    TRY(pg_send_text(op, conn, &turn_take));
    TRY(tx_stmt(op, tx, &group_supposed, &stmt));
    pg_bind_int(stmt, 1, conn->known.no);
    pg_bind_int(stmt, 2, conn->known.node);
    pg_bind_int(stmt, 3, conn->known.epoch);
    pg_bind_int(stmt, 4, atomic_load(&store->is_fenced) ? store->node : 0);
    pg_bind_int(stmt, 5, store->epoch);
    TRY(pg_send(op, conn, pg_stmt_of(stmt)));
    return store_ask_watch(op, tx);
}

enum err pg_confirm(struct op *op, struct tx *tx)
{
    return pg_drain(op, pg_of(tx->conn), NULL);
}

/* Nothing of it is asked before the first statement of whoever wants it. */
static enum err beside_open(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    TRY(transaction_send(op, conn, &turn_begin));
    return tx->in_turn ? pg_send_text(op, conn, &turn_take) : OK;
}

static enum err transaction_open(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    if (!tx->writing)
        return transaction_send(op, conn, &view_begin);
    if (conn->base.role == CONN_BESIDE)
        return beside_open(op, tx);
    return may_suppose(tx) ? turn_suppose(op, tx) : turn_open(op, tx);
}

/* A link that was idle may have ended unnoticed: what it still has to say is looked at first. */
static enum err link_ready(struct op *op, struct pg_conn *conn)
{
    struct op aside = { .arena = op->arena };
    if (conn->link && conn->sent_count > 0)
        pg_drain(&aside, conn, NULL); /* the end of the last transaction; nobody needs it */
    if (conn->link && (conn->begun || pg_is_stale(conn)))
        pg_disconnect(conn);
    return conn->link ? OK : pg_connect(op, conn);
}

/* The turn could not be had in time: whoever holds it and is waited for since long loses it. */
static void evict_frozen(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct tx view = { .store = tx->store, .conn = tx->conn };
    struct op aside = { .arena = op->arena };
    struct stmt *stmt;
    conn->base.tx = &view;
    enum err err = transaction_send(&aside, conn, &view_begin);
    if (err == OK)
        err = tx_stmt(&aside, &view, &turn_evict, &stmt);
    if (err == OK) {
        pg_bind_int(stmt, 1, tx->store->config.statement_timeout_ms);
        err = pg_send(&aside, conn, pg_stmt_of(stmt));
    }
    if (err == OK)
        pg_drain(&aside, conn, NULL);
    pg_rollback(&view);
    conn->base.tx = tx;
}

static enum err begin_once(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    TRY(link_ready(op, conn));
    if (conn->in_vain)
        evict_frozen(op, tx);
    conn->in_vain = false;
    tx->broken = tx->again = tx->supposes = false; /* how the last transaction ended says nothing about this one */
    tx->reason[0] = '\0';
    enum err err = transaction_open(op, tx);
    if (err == OK)
        return OK;
    pg_rollback(tx);
    if (tx->writing && tx->again && conn->link)
        evict_frozen(op, tx);
    return err;
}

enum err pg_begin(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    bool had_link = conn->link;
    enum err err = begin_once(op, tx);
    if (err != OK && had_link && !conn->link)
        err = begin_once(op, tx); /* an old link died under it, and nothing has been done yet */
    return err;
}

/* --- ending --- */

static enum err group_row_send(struct op *op, struct tx *tx, struct pg_group group)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &group_add, &stmt));
    pg_bind_int(stmt, 1, group.no);
    pg_bind_int(stmt, 2, group.node);
    pg_bind_int(stmt, 3, group.epoch);
    pg_bind_blob(stmt, 4, tx->seqs.p ? tx->seqs : tx->seqs_newest.p ? tx->seqs_newest : S(""));
    TRY(pg_send(op, conn, pg_stmt_of(stmt)));
    return pg_log_clear(op, tx, group.no);
}

/* Asks the log. Whoever has the turn knows that the lost transaction has ended: it held the turn as long as it ran. */
static enum err group_ask(struct op *op, struct tx *tx, struct pg_group group, bool *ret_stored)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct stmt *stmt;
    if (!conn->link)
        TRY(pg_connect(op, conn));
    TRY(transaction_send(op, conn, &turn_begin));
    TRY(pg_send_text(op, conn, &turn_take));
    TRY(group_is_send(op, conn, group, &stmt));
    TRY(pg_drain(op, conn, pg_stmt_of(stmt)));
    *ret_stored = false;
    TRY(pg_step_row(op, stmt, ret_stored));
    pg_reset(stmt);
    pg_rollback(tx);
    return OK;
}

/* COMMIT may have been sent, and the link broke before the answer. OK: it was stored. With tx->again: surely not. */
static enum err group_prove(struct op *op, struct tx *tx, struct pg_group group)
{
    int64_t end_us = clock_mono_us() + PG_AGAIN_US;
    bool stored = false;
    enum err err;
    do {
        pg_pause(tx->conn);
        tx->broken = tx->again = false;
        tx->reason[0] = '\0';
        err = group_ask(op, tx, group, &stored);
        if (err != OK)
            pg_rollback(tx); /* it may have had to wait too long for the turn: that of the lost link is not over */
    } while (err != OK && clock_mono_us() < end_us && !store_is_stopping(tx->store));
    if (err == OK && stored)
        return OK;
    tx->again = err == OK;
    op->retry_after_s = RETRY_AFTER_S;
    return fail(op, ERR_UNAVAILABLE, "commit: the connection broke, and %s",
                err == OK ? "nothing was stored" : "whether this was stored cannot be found out now");
}

/* A primary that gives up waiting for its synchronous standby commits with a warning: stored, but not as safely as an
 * answer promises. RAM forgets the group and finds it again as that of another node. */
static enum err commit_warned(struct op *op)
{
    op->retry_after_s = RETRY_AFTER_S;
    return fail(op, ERR_UNAVAILABLE, "commit: stored, but no standby has confirmed it");
}

static enum err beside_commit(struct op *op, struct pg_conn *conn)
{
    TRY(pg_send_text(op, conn, &turn_commit));
    TRY(pg_drain(op, conn, NULL));
    conn->begun = false;
    return OK;
}

enum err pg_commit(struct op *op, struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct pg_group group = { conn->newest.no + 1, tx->store->node, tx->store->epoch };
    assert(tx->writing);
    if (conn->base.role == CONN_BESIDE)
        return beside_commit(op, conn);
    TRY(group_row_send(op, tx, group));
    conn->warned = false;
    enum err err = pg_send_text(op, conn, &turn_commit);
    if (err == OK)
        err = pg_drain(op, conn, NULL);
    if (err != OK && !conn->link)
        err = group_prove(op, tx, group);
    if (err != OK)
        return err;
    conn->begun = false;
    if (conn->warned)
        return commit_warned(op);
    conn->known = group;
    pg_log_cleared(conn);
    return OK;
}

/* Sent and not waited for: the server gives the turn on as soon as it reads it. */
void pg_rollback(struct tx *tx)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct op aside = { .arena = NULL };
    bool broken = tx->broken;
    if (!conn->link || !conn->begun)
        return;
    tx->broken = false; /* or it would not be sent */
    enum err err = pg_send_text(&aside, conn, &turn_rollback);
    if (err == OK)
        err = pg_push(&aside, conn);
    if (conn->link)
        conn->begun = err != OK;
    tx->broken = broken;
}
