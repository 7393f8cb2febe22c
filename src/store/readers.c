/*
 * readers.c - threads that run THREAD_READER hops, each on a read-only
 * connection of its own, each hop over one short snapshot.
 *
 * Who rested last reads next: what a connection has read before - pages, the log
 * over the blocks - is then held once as long as reads come one by one, and by
 * as many as are busy at a time.
 *
 * A snapshot that stays open keeps the WAL from being emptied, so a long walk
 * is many hops, not one.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/thread.h"
#include "store/core.h"

struct reader {
    struct readers *pool;
    struct conn *conn;
    struct thread thread;
    pthread_cond_t work;  /* for it while it rests */
    struct reader *below; /* rests longer */
    bool rests;
};

struct readers {
    struct store *store;
    pthread_mutex_t lock;
    struct post *first, **last; /* waiting, oldest first */
    struct reader *resting;     /* who began last, first */
    int64_t waiting;
    bool stop;
    int threads;
    struct reader reader[READERS_MAX];
};

void snapshot_run(struct store *store, struct conn *conn, struct post *post)
{
    struct tx tx = { .store = store, .conn = conn, .mono_us = store_mono_us(store) };
    if (conn_begin(&post->op, &tx) != OK) {
        post->hop++;
        post->err = ERR_UNAVAILABLE;
        return;
    }
    post->tx = &tx;
    post_run(post);
    post->tx = NULL;
    if (tx.broken && post->err == OK)
        post->err = fail(&post->op, ERR_UNAVAILABLE, "%s", tx.reason);
    if (tx.arena_full && post->err == OK)
        post->err = fail(&post->op, ERR_TOO_LARGE, "the operation needs more memory than it may have");
    conn_rollback(&tx);
    atomic_fetch_add(&store->reads, 1);
}

/* --- who reads next, under the lock ------------------------------------------------- */

static void rest(struct reader *reader)
{
    struct readers *pool = reader->pool;
    if (!reader->rests) {
        reader->below = pool->resting;
        pool->resting = reader;
        reader->rests = true;
    }
    pthread_cond_wait(&reader->work, &pool->lock);
}

static void wake_one(struct readers *pool)
{
    struct reader *reader = pool->resting;
    if (!reader)
        return;
    pool->resting = reader->below;
    reader->rests = false;
    pthread_cond_signal(&reader->work);
}

/* --- posts ------------------------------------------------------------------------- */

void readers_deliver(void *end, struct post *post)
{
    struct readers *pool = end;
    pthread_mutex_lock(&pool->lock);
    bool room = pool->waiting < READER_QUEUE_MAX;
    if (room) {
        post->next = NULL;
        *pool->last = post;
        pool->last = &post->next;
        pool->waiting++;
        wake_one(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    if (room)
        return;
    post_refuse(post, ERR_BUSY, "too many reads are waiting", 1);
    post_send(post);
}

int64_t readers_waiting(struct readers *pool)
{
    pthread_mutex_lock(&pool->lock);
    int64_t waiting = pool->waiting;
    pthread_mutex_unlock(&pool->lock);
    return waiting;
}

int readers_resting(struct readers *pool)
{
    int n = 0;
    pthread_mutex_lock(&pool->lock);
    for (const struct reader *reader = pool->resting; reader; reader = reader->below)
        n++;
    pthread_mutex_unlock(&pool->lock);
    return n;
}

/* With the lock. NULL: none waits. */
static struct post *oldest(struct readers *pool)
{
    struct post *post = pool->first;
    if (post) {
        pool->first = post->next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->waiting--;
    }
    return post;
}

/* The oldest post, or the next one that comes; NULL when the pool stops and nothing is left. */
static struct post *readers_take(struct readers *pool, struct reader *reader)
{
    pthread_mutex_lock(&pool->lock);
    while (!pool->first && !pool->stop)
        rest(reader);
    struct post *post = oldest(pool);
    pthread_mutex_unlock(&pool->lock);
    return post;
}

static struct post *take_left(struct readers *pool)
{
    pthread_mutex_lock(&pool->lock);
    struct post *post = oldest(pool);
    pthread_mutex_unlock(&pool->lock);
    return post;
}

static void reader_run(void *context)
{
    struct reader *reader = context;
    struct post *post;
    while ((post = readers_take(reader->pool, reader))) {
        snapshot_run(reader->pool->store, reader->conn, post);
        post_send(post);
    }
}

enum err readers_start(struct op *op, struct store *store, enum conn_role role, int threads,
                       struct readers **ret_readers)
{
    assert(threads >= 1 && threads <= READERS_MAX);
    struct readers *pool = calloc(1, sizeof *pool);
    if (!pool)
        abort();
    pool->store = store;
    pool->last = &pool->first;
    pthread_mutex_init(&pool->lock, NULL);
    enum err err = OK;
    for (int i = 0; i < threads && err == OK; i++) {
        struct reader *reader = &pool->reader[i];
        reader->pool = pool;
        pthread_cond_init(&reader->work, NULL);
        char name[24];
        snprintf(name, sizeof name, "%s-%d", role == CONN_DOOR ? "door" : "reader", i + 1);
        err = conn_open(op, store, store->path, role, &reader->conn);
        if (err == OK)
            err = thread_start(op, &reader->thread, name, reader_run, reader);
        if (err == OK)
            pool->threads++;
        else
            conn_close(reader->conn);
    }
    if (err != OK) {
        readers_stop(pool);
        readers_free(pool);
        return err;
    }
    *ret_readers = pool;
    return OK;
}

void readers_stop(struct readers *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->stop = true;
    while (pool->resting)
        wake_one(pool);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->threads; i++) {
        thread_join(&pool->reader[i].thread);
        conn_close(pool->reader[i].conn);
    }
    pool->threads = 0;
}

int readers_turn(struct readers *pool, struct conn *conn)
{
    int n = 0;
    struct post *post;
    assert(pool->stop);
    while ((post = take_left(pool))) {
        snapshot_run(pool->store, conn, post);
        post_send(post);
        n++;
    }
    return n;
}

void readers_free(struct readers *pool)
{
    if (!pool)
        return;
    assert(pool->threads == 0);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}
