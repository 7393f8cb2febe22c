/*
 * group.c - many commands, one transaction.
 *
 * A command that fails before it wrote anything fails alone. One that fails
 * after a write cannot be taken out of the transaction, so the whole group is
 * rolled back, RAM included; the others run again together, and the one that
 * failed runs once more behind them by itself: its answer then rests on what
 * was really stored. A group in which this happens often is run one by one.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "store/core.h"
#include "store/families.h"

#define GROUP_TIME_US  50000    /* after it, what still waits goes into the next group */
#define AGAIN_US       20000000 /* how long a group waits for the database to come back */
#define LATE_FAILS_MAX 3        /* taken out of one group before the rest is run one by one */

enum end {
    END_KEPT,
    END_LATE,  /* one command failed after a write */
    END_LOST,  /* the engine failed */
    END_AGAIN, /* so it did, but nothing is stored and it may do better now */
    END_WRONG, /* nothing is stored: others had written, and it had not asked */
    END_OVER,  /* the node's life is: nothing is stored, it must begin anew */
};

void post_refuse(struct post *post, enum err err, const char *sentence, int64_t retry_after_s)
{
    post->hop++;
    post->err = fail(&post->op, err, "%s", sentence);
    post->op.retry_after_s = retry_after_s;
}

/* --- RAM --- */

/* Others have written, and what RAM says may be old. */
static enum err group_refresh(struct op *op, struct tx *tx)
{
    if (tx->anew)
        conn_forget_answers(tx->conn); /* they are of what came last, and now all is wanted */
    if (tx->store->watch.foreign)
        TRY(tx->store->watch.foreign(op, tx, tx->anew, tx->store->watch.data));
    TRY(tx->anew ? families_anew(op, tx) : families_foreign(op, tx));
    return conn_know(op, tx);
}

static void watch_end(struct store *store, bool kept)
{
    void (*end)(void *data) = kept ? store->watch.kept : store->watch.drop;
    if (end)
        end(store->watch.data);
}

/* Before COMMIT: all that was changed in RAM goes into rows. A cursor that is closed does not say that its link ended:
 * whoever commits looks at tx->broken, too. */
static enum err group_flush(struct op *op, struct tx *tx)
{
    const struct store_watch *watch = &tx->store->watch;
    if (watch->flush)
        TRY(watch->flush(op, tx, watch->data));
    return families_flush(op, tx);
}

/* --- one transaction --- */

static uint64_t tx_mark(const struct tx *tx)
{
    return tx->wrote + conn_changes(tx->conn);
}

static void group_rollback(struct tx *tx)
{
    conn_rollback(tx);
    families_end(tx->store, false);
}

static enum end group_lost(struct tx *tx, struct op *op)
{
    if (tx->mistaken && !tx->careful)
        return END_WRONG;
    if (!tx->reason[0])
        snprintf(tx->reason, sizeof tx->reason, "%s", op->error);
    atomic_store(&tx->store->ready, false);
    atomic_fetch_add(&tx->store->failures, 1);
    return tx->again ? END_AGAIN : END_LOST;
}

/* Remembers how many pages a group of these days writes, and how long the WAL is. */
static void note_pages(struct store *store, int64_t before)
{
    int64_t now = conn_wal_pages(store->conn), written = now >= before ? now - before : now;
    int64_t faded = store->group_pages * 7 / 8;
    store->group_pages = written > faded ? written : faded;
    store->usual_pages += written - store->usual_pages / 1024;
    atomic_store(&store->wal_bytes, now * 4096);
}

static enum end group_commit(struct tx *tx, struct op *op, uint64_t before, int commands)
{
    struct store *store = tx->store;
    bool changed = tx_mark(tx) != before;
    if (changed && (group_flush(op, tx) != OK || tx->broken)) {
        group_rollback(tx);
        return group_lost(tx, op);
    }
    if (!changed && conn_confirm(op, tx) != OK) {
        group_rollback(tx);
        return group_lost(tx, op);
    }
    if (!changed) {
        group_rollback(tx); /* nothing to keep, nothing to sync; also gives back numbers that were taken for nothing */
        return END_KEPT;
    }
    int64_t start_us = clock_mono_us(), pages = conn_wal_pages(store->conn);
    if (conn_commit(op, tx) != OK) {
        families_end(store, false);
        return group_lost(tx, op);
    }
    families_end(store, true);
    atomic_store(&store->ready, true);
    atomic_fetch_add(&store->commits, 1);
    atomic_fetch_add(&store->commands, (uint64_t)commands);
    int64_t took_us = clock_mono_us() - start_us;
    atomic_fetch_add(&store->commit_us, (uint64_t)took_us);
    metric_observe(store->commit_times, took_us);
    metric_observe(store->group_sizes, commands);
    note_pages(store, pages);
    return END_KEPT;
}

/* The fence stands, and no life was begun behind it. */
static bool life_is_missing(const struct store *store)
{
    return atomic_load(&store->is_fenced) && !store->has_life && !store->begins;
}

/* Runs the post's hop. False when it failed after a write of its own. */
static bool command_run(struct tx *tx, struct post *post)
{
    uint64_t before = tx_mark(tx);
    post->tx = tx;
    tx->arena_full = false;
    post_run(post);
    post->tx = NULL;
    if (tx->arena_full && post->err == OK)
        post->err = fail(&post->op, ERR_TOO_LARGE, "the operation needs more memory than it may have");
    if (tx->spoilt && post->err == OK)
        post->err = fail(&post->op, ERR_BUG, "%s", tx->reason);
    return post->err == OK || tx_mark(tx) == before;
}

/* All of them say what they will ask. */
static void group_wish(struct tx *tx, struct post **posts, int n)
{
    if (!tx->store->watch.ahead || !tx_asks_ahead(tx))
        return;
    for (int i = 0; i < n; i++)
        if (posts[i]->hop->ahead) {
            posts[i]->tx = tx;
            posts[i]->hop->ahead(posts[i]);
            posts[i]->tx = NULL;
        }
}

enum err store_ask_watch(struct op *op, struct tx *tx)
{
    const struct store_watch *watch = &tx->store->watch;
    return watch->ask && tx_asks_ahead(tx) ? watch->ask(op, tx, watch->data) : OK;
}

/* It is asked together. An answer that is missing is asked for later. What was guessed from RAM that others have made
 * old meanwhile is guessed again. */
static enum end group_ahead(struct op *op, struct tx *tx, struct post **posts, int n)
{
    const struct store_watch *watch = &tx->store->watch;
    if (!watch->ahead || !tx_asks_ahead(tx))
        return END_KEPT;
    if (tx->foreign)
        group_wish(tx, posts, n);
    return watch->ahead(op, tx, watch->data) != OK && tx->broken ? END_LOST : END_KEPT;
}

/* Runs posts[0..*n-1] once, in one transaction. *n falls when the time of a group is over. */
static enum end group_once(struct store *store, struct op *op, struct post **posts, int *n, bool careful, int *ret_late,
                           char ret_reason[OP_ERROR_BYTES_MAX])
{
    struct tx tx = { .store = store, .conn = store->conn, .writing = true, .careful = careful };
    tx.mono_us = store_mono_us(store);
    enum end end = END_KEPT;
    int64_t asked_us = clock_mono_us();
    if (life_is_missing(store))
        return END_OVER;
    group_wish(&tx, posts, *n);
    if (conn_begin(op, &tx) != OK) {
        watch_end(store, false);
        if (tx.over)
            return END_OVER;
        end = group_lost(&tx, op);
        memcpy(ret_reason, tx.reason, sizeof tx.reason);
        return end;
    }

    if (store->turn_times && !tx.supposes)
        metric_observe(store->turn_times, clock_mono_us() - asked_us);
    if (tx.foreign && group_refresh(op, &tx) != OK)
        end = END_LOST;
    if (end == END_KEPT)
        end = group_ahead(op, &tx, posts, *n);
    conn_forget_answers(tx.conn);
    uint64_t before = tx_mark(&tx);
    int64_t start_us = store_mono_us(store);
    int ran = 0;
    while (end == END_KEPT && ran < *n) {
        bool alone = command_run(&tx, posts[ran]);
        op->now_us = posts[ran++]->op.now_us;
        if (tx.broken ? !tx.spoilt : alone && families_trim(op, &tx) != OK)
            end = END_LOST;
        else if (!alone || tx.broken)
            end = END_LATE;
        else if (ran < *n && (tx.full || store_mono_us(store) - start_us > GROUP_TIME_US))
            *n = ran;
    }
    if (end == END_KEPT) {
        end = group_commit(&tx, op, before, ran);
    } else {
        group_rollback(&tx);
        *ret_late = ran - 1;
        if (end == END_LOST)
            end = group_lost(&tx, op);
    }
    watch_end(store, end == END_KEPT);
    if (end == END_LOST || end == END_AGAIN)
        memcpy(ret_reason, tx.reason, sizeof tx.reason);
    return end;
}

/* --- a new life --- */

/* The group's own row says already whose life it began. When it is not stored the fence stands as before: no row has
 * that epoch. */
static enum err life_run(struct post *post)
{
    struct store *store = tx_store(post->tx);
    TRY(schema_may_live(&post->op, post->tx));
    return store->fence.begin(&post->op, post->tx, store->fence.data, &store->node, &store->epoch);
}

/* Never reached, but a hop that is not the last one leaves its error in the post. */
static enum err life_answer(struct post *post)
{
    return post->err;
}

/* Registers this node anew, in a group of its own. */
static enum end life_begin(struct store *store, struct op *op, char ret_reason[OP_ERROR_BYTES_MAX])
{
    static const struct hop route[] = { { life_run, THREAD_WRITER }, { life_answer, THREAD_CALLER }, { 0 } };
    struct post post = { .hop = route };
    struct post *posts[] = { &post };
    int n = 1, late;
    op_init(&post.op, op->arena, op->now_us);
    store->begins = true;
    enum end end = group_once(store, op, posts, &n, true, &late, ret_reason);
    store->begins = false;
    if (post.err != OK && (end == END_KEPT || end == END_LATE)) {
        snprintf(ret_reason, OP_ERROR_BYTES_MAX, "%s", post.op.error);
        return END_LOST;
    }
    if (end != END_KEPT)
        return end;
    store->has_life = true;
    store->fence.begun(store->fence.data);
    return END_KEPT;
}

/* --- a group and its repetitions --- */

/* Puts the posts back to before their hop, so that it can run again. */
static void rewind_all(struct post **posts, const struct hop *const *hops, int n)
{
    for (int i = 0; i < n; i++) {
        posts[i]->hop = hops[i];
        posts[i]->held = false;
        posts[i]->op.error[0] = '\0';
        posts[i]->op.pointer[0] = '\0';
    }
}

static void refuse_all(struct post **posts, const struct hop *const *hops, int n, const char *reason)
{
    rewind_all(posts, hops, n);
    for (int i = 0; i < n; i++)
        post_refuse(posts[i], ERR_UNAVAILABLE, reason, RETRY_AFTER_S);
}

/* Takes posts[late] out and puts it behind the others. */
static void move_back(struct post **posts, const struct hop **hops, int n, int late)
{
    struct post *post = posts[late];
    const struct hop *hop = hops[late];
    memmove(posts + late, posts + late + 1, (size_t)(n - 1 - late) * sizeof *posts);
    memmove(hops + late, hops + late + 1, (size_t)(n - 1 - late) * sizeof *hops);
    posts[n - 1] = post;
    hops[n - 1] = hop;
}

/* Runs them until the engine keeps or refuses them. While a database is being replaced by another that takes a while;
 * but when it was gone before, nobody is kept waiting. Neither END_AGAIN nor END_WRONG nor END_OVER. */
static enum end group_persist(struct store *store, struct op *op, struct post **posts, const struct hop *const *hops,
                              int *n, int *ret_late, char ret_reason[OP_ERROR_BYTES_MAX])
{
    int64_t end_us = clock_mono_us() + (store_is_ready(store) ? AGAIN_US : 0);
    int all = *n;
    bool careful = false;
    for (;;) {
        enum end end = group_once(store, op, posts, n, careful, ret_late, ret_reason);
        if (end == END_WRONG) {
            careful = true;
            *n = all;
            rewind_all(posts, hops, all);
            continue;
        }
        if (end == END_OVER) {
            end = life_begin(store, op, ret_reason);
            if (end == END_KEPT)
                continue;
        }
        if (end != END_AGAIN)
            return end;
        if (clock_mono_us() >= end_us || store_is_stopping(store))
            return END_LOST;
        *n = all;
        rewind_all(posts, hops, all);
        conn_pause(store->conn);
    }
}

/* Runs each in a transaction of its own; a late failure is then its result. */
static void run_alone(struct store *store, struct op *op, struct post **posts, const struct hop **hops, int n)
{
    for (int i = 0; i < n && !store_is_dead(store); i++) {
        int one = 1, late;
        char reason[OP_ERROR_BYTES_MAX];
        rewind_all(posts + i, hops + i, 1);
        if (group_persist(store, op, posts + i, hops + i, &one, &late, reason) == END_LOST)
            refuse_all(posts + i, hops + i, 1, reason);
    }
}

int group_run(struct store *store, struct op *op, struct post **posts, int n)
{
    assert(n > 0 && n <= GROUP_MAX);
    const struct hop *hops[GROUP_MAX];
    for (int i = 0; i < n; i++)
        hops[i] = posts[i]->hop;

    int total = n, together = n; /* posts[together..total-1] failed late and run alone afterwards */
    char reason[OP_ERROR_BYTES_MAX];
    while (together > 0) {
        int late = 0, ran = together;
        enum end end = group_persist(store, op, posts, hops, &ran, &late, reason);
        if (end == END_LOST)
            refuse_all(posts, hops, together, reason);
        if (end != END_LATE) {
            if (ran < together) { /* out of time: those not run are left to the next group */
                rewind_all(posts + ran, hops + ran, total - ran);
                return ran;
            }
            break;
        }
        atomic_fetch_add(&store->reruns, 1);
        if (total == 1)
            return 1; /* it was alone: that is its answer */
        rewind_all(posts, hops, total);
        move_back(posts, hops, together--, late);
        if (total - together >= LATE_FAILS_MAX)
            together = 0;
    }
    run_alone(store, op, posts + together, hops + together, total - together);
    return total;
}
