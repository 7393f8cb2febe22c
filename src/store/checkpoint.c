/*
 * checkpoint.c - between groups: the WAL goes into the file, and the disk is tried.
 *
 * Most of the WAL is moved by the copier, beside groups; where there is none, by whoever calls.
 */
#include "base/clock.h"
#include "store/copier.h"
#include "store/core.h"

#define IDLE_PAGES    64    /* of WAL that are worth a checkpoint when nobody waits */
#define WAL_BIG_PAGES 16384 /* 64 MiB: only a truncating checkpoint gives the space back */
#define BEHIND_PAGES  8000  /* 31 MiB more than are due, and the writer waits for the copier */

int64_t checkpoint_pages(int64_t large, int64_t usual)
{
    int64_t due = 6 * large, rare = CHECKPOINT_GROUPS * usual / 1024;
    if (rare <= CHECKPOINT_RARE && rare > due)
        due = rare;
    return due < CHECKPOINT_PAGES ? CHECKPOINT_PAGES : due > CHECKPOINT_BULK ? CHECKPOINT_BULK : due;
}

static int64_t checkpoint_due(const struct store *store)
{
    return checkpoint_pages(store->group_pages, store->usual_pages);
}

bool group_wants_checkpoint(struct store *store)
{
    int64_t pages = conn_wal_pages(store->conn), due = checkpoint_due(store);
    if (store_is_dead(store) || atomic_load(&store->keeps_wal))
        return false;
    if (!store->copier)
        return pages >= due;
    switch (copier_state(store->copier)) {
    case COPIER_RESTS:
        if (pages >= due)
            copier_begin(store->copier);
        return false;
    case COPIER_RUNS:
        return pages >= due + BEHIND_PAGES;
    case COPIER_THROUGH:
        break;
    }
    return true; /* what has come since */
}

static void checkpoint(struct store *store, bool truncate)
{
    struct op op = { .arena = NULL };
    int64_t start_us = clock_mono_us();
    if (store->copier)
        copier_await(store->copier);
    /* An error here loses nothing: the WAL stays and the next commit tells whether the disk is ill. */
    conn_checkpoint(&op, store->conn, truncate);
    if (store->copier && conn_wal_pages(store->conn) == 0)
        copier_rest(store->copier);
    metric_observe(store->checkpoint_times, clock_mono_us() - start_us);
}

void group_checkpoint(struct store *store, bool idle)
{
    int64_t pages = conn_wal_pages(store->conn);
    if (idle ? pages >= IDLE_PAGES && !store_is_dead(store) : group_wants_checkpoint(store))
        checkpoint(store, idle && pages > WAL_BIG_PAGES);
}

SQL(probe, "UPDATE meta SET value = value + 1 WHERE name = 'probe'",
    "UPDATE meta SET number = number + 1 WHERE name = 'probe'");

static enum err probe_run(struct post *post)
{
    struct stmt *stmt;
    TRY(tx_stmt(&post->op, post->tx, &probe, &stmt));
    return stmt_done(&post->op, stmt);
}

enum err group_probe(struct op *op, struct store *store)
{
    static const struct hop route[] = { { probe_run, THREAD_WRITER }, { 0 } };
    struct post post = { .hop = route };
    struct post *posts[] = { &post };
    op_init(&post.op, op->arena, op->now_us);
    group_run(store, op, posts, 1);
    return op_inherit(op, post.err, &post.op);
}
