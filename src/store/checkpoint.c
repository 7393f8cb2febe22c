/*
 * checkpoint.c - between groups: the WAL goes into the file, and the disk is tried.
 */
#include "base/clock.h"
#include "store/core.h"

#define IDLE_PAGES    64    /* of WAL that are worth a checkpoint when nobody waits */
#define WAL_BIG_PAGES 16384 /* 64 MiB: only a truncating checkpoint gives the space back */

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

bool group_wants_checkpoint(const struct store *store)
{
    return conn_wal_pages(store->conn) >= checkpoint_due(store);
}

void group_checkpoint(struct store *store, bool idle)
{
    int64_t pages = conn_wal_pages(store->conn);
    if (pages < (idle ? IDLE_PAGES : checkpoint_due(store)) || store_is_dead(store))
        return;
    struct op op = { .arena = NULL };
    int64_t start_us = clock_mono_us();
    /* An error here loses nothing: the WAL stays and the next commit tells whether the disk is ill. */
    conn_checkpoint(&op, store->conn, idle && pages > WAL_BIG_PAGES);
    metric_observe(store->checkpoint_times, clock_mono_us() - start_us);
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
