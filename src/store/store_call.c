/* store_call.c - the store from the calling thread: tools, tests, and whoever may wait. */
#include <assert.h>
#include <semaphore.h>
#include <string.h>

#include "store/core.h"

/* --- reads --- */

/* The connection of store_read, opened when first used; in memory of SQLite there is only the writer's. */
static enum err reader_conn(struct op *op, struct store *store, struct conn **ret_conn)
{
    if (store->config.read_only || (!store->path && !store->engine->shared)) {
        *ret_conn = store->conn;
        return OK;
    }
    if (!store->reader)
        TRY(conn_open(op, store, store->path, CONN_READER, &store->reader));
    *ret_conn = store->reader;
    return OK;
}

int store_reads_turn(struct store *store)
{
    int n = 0;
    struct post *oldest = NULL;
    while (store->waiting_read) { /* newest first: turn it round */
        struct post *post = store->waiting_read;
        store->waiting_read = post->next;
        post->next = oldest;
        oldest = post;
    }
    while (oldest) {
        struct post *post = oldest;
        struct conn *conn;
        oldest = post->next;
        enum err err = reader_conn(&post->op, store, &conn);
        if (err == OK)
            snapshot_run(store, conn, post);
        else
            post_refuse(post, ERR_UNAVAILABLE, "the database cannot be read", RETRY_AFTER_S);
        post_send(post);
        n++;
    }
    return n;
}

/* --- calls --- */

struct call {
    struct post post;
    struct op *op; /* the caller's: it waits, so it is ours meanwhile */
    enum err (*fn)(struct op *op, struct tx *tx, void *arg);
    void *arg;
    sem_t answered;
};

static enum err call_run(struct post *post)
{
    struct call *call = (struct call *)(void *)post;
    return call->fn(call->op, post->tx, call->arg);
}

static void call_answered(struct post *post)
{
    struct call *call = (struct call *)(void *)post;
    sem_post(&call->answered);
}

static enum err call_reply(struct post *post)
{
    return post->err;
}

static const struct hop write_route[] = { { call_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
static const struct hop read_route[] = { { call_run, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };

static void call_init(struct call *call, const struct hop *route, struct op *op,
                      enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    *call = (struct call){ .op = op, .fn = fn, .arg = arg };
    call->post.hop = route;
    call->post.home = call_answered;
    op_init(&call->post.op, op->arena, op->now_us);
}

/* What the group or the snapshot said on its own account stands in the post's op. */
static enum err call_end(struct call *call)
{
    if (call->post.op.error[0])
        op_inherit(call->op, call->post.err, &call->post.op);
    return call->post.err;
}

enum err store_write(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                     void *arg)
{
    assert(!store->config.read_only);
    struct call call;
    call_init(&call, write_route, op, fn, arg);
    if (store->readers) {
        sem_init(&call.answered, 0, 0);
        post_send(&call.post);
        while (sem_wait(&call.answered) != 0)
            continue;
        sem_destroy(&call.answered);
    } else {
        struct post *posts[] = { &call.post };
        struct arena *arena = arena_new(64 * 1024 * 1024);
        struct op own;
        op_init(&own, arena, op->now_us);
        group_run(store, &own, posts, 1);
        group_checkpoint(store, false);
        arena_free(arena);
    }
    return call_end(&call);
}

enum err store_read(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                    void *arg)
{
    struct call call;
    struct conn *conn;
    call_init(&call, read_route, op, fn, arg);
    pthread_mutex_lock(&store->reader_lock);
    enum err err = reader_conn(op, store, &conn);
    if (err == OK) {
        snapshot_run(store, conn, &call.post);
        err = call_end(&call);
    }
    pthread_mutex_unlock(&store->reader_lock);
    return err;
}

static enum err beside_once(struct op *op, struct tx *tx, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                            void *arg)
{
    TRY(conn_begin(op, tx));
    enum err err = fn(op, tx, arg);
    if (err == OK && tx->broken)
        err = fail(op, ERR_UNAVAILABLE, "%s", tx->reason);
    if (err == OK)
        return conn_commit(op, tx);
    conn_rollback(tx);
    return err;
}

/* Once more after what was a matter of the moment, as an old link that had ended. */
enum err store_beside(struct op *op, struct store *store, bool in_turn,
                      enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    assert(store->engine->shared && !store->config.read_only);
    if (!store->beside)
        TRY(conn_open(op, store, NULL, CONN_BESIDE, &store->beside));
    for (int tries = 0;; tries++) {
        struct tx tx = { .store = store, .conn = store->beside, .writing = true, .in_turn = in_turn };
        tx.mono_us = store_mono_us(store);
        enum err err = beside_once(op, &tx, fn, arg);
        if (err == OK || !tx.again || tries > 0)
            return err;
        op->error[0] = '\0';
    }
}

int store_turn(struct store *store)
{
    assert(!store->readers);
    int written = writer_turn(store->writer);
    return store_is_dead(store) ? 0 : written + store_reads_turn(store);
}

void store_lend_begin(struct store *store)
{
    if (!store_is_shared(store)) /* else a write waits for a server, for other nodes, perhaps for a new primary */
        writer_borrow(store->writer);
}

int64_t store_lend(struct store *store)
{
    return writer_lent(store->writer);
}

void store_lend_end(struct store *store)
{
    writer_give_back(store->writer);
}

enum err store_probe(struct op *op, struct store *store)
{
    assert(!store->readers);
    return group_probe(op, store);
}

/* --- plans --- */

extern const struct sql *const __start_store_sql[];
extern const struct sql *const __stop_store_sql[];

enum err store_plan_of(struct op *op, struct store *store, const char *sql, struct str *ret_plan)
{
    return conn_plan(op, store->conn, sql, ret_plan);
}

/* NULL: it is the other engine's. */
static const char *text_here(const struct store *store, const struct sql *sql)
{
    bool shared = store->engine->shared;
    if (sql->marks & (shared ? SQL_SQLITE : SQL_POSTGRES))
        return NULL;
    return shared && sql->postgres ? sql->postgres : sql->sqlite;
}

enum err store_plan_named(struct op *op, struct store *store, const char *name, struct str *ret_plan)
{
    for (const struct sql *const *entry = __start_store_sql; entry < __stop_store_sql; entry++) {
        const char *text = text_here(store, *entry);
        if (text && strcmp((*entry)->name, name) == 0)
            return conn_plan(op, store->conn, text, ret_plan);
    }
    return fail(op, ERR_NOT_FOUND, "no statement has the name %s", name);
}

enum err store_plan(struct op *op, struct store *store, struct str *ret_scans)
{
    struct str scans = S(""), scan_word = str_of(store->engine->scan_word);
    for (const struct sql *const *entry = __start_store_sql; entry < __stop_store_sql; entry++) {
        struct str plan;
        const char *text = text_here(store, *entry);
        if (!text)
            continue;
        if (conn_plan(op, store->conn, text, &plan) != OK)
            plan = arena_fmt(op->arena, "%.*s, no plan: %s", STR(scan_word), op->error);
        if ((*entry)->marks & SQL_SCANS || str_search(plan, scan_word) == plan.n)
            continue;
        scans = arena_fmt(op->arena, "%.*s%s: %.*s\n", STR(scans), (*entry)->name, STR(plan));
    }
    *ret_scans = scans;
    return OK;
}
