/*
 * job_sweep.c - rows that nobody needs any more, a slice at a time.
 *
 * Jobs of deleted queues (QUE-7), dead jobs beyond their time (RETRY-4), locks
 * that are over (UNI-3), rates of keys that have had their time (FAIR-2), chunks of
 * history (HIST-3). Sets of batches are proved beside (BATCH-5). How large a slice is and when the next one comes goes
 * by what the last one took: those who fetch and push wait for it (docs/adr/0034).
 */
#include "engine/job_own.h"
#include "engine/jobs_own.h"

#include "store/store_uniq.h"

#define SLICE             OWN_ROWS_MAX /* at most; as many as fit in the time (own_pace.h) */
#define DEAD_SLICE        100
#define KEY_RATE_SPARE_US (INT64_C(60) * 1000000)

/* --- jobs of a deleted queue --- */

static enum err forget_deleted(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t id)
{
    struct job_known job;
    bool found;
    TRY(job_know(op, tx, jobs, id, &job, &found));
    if (!found || job.state != JOB_NONE)
        return OK;
    TRY(job_left(op, tx, jobs, &job, JOB_CANCELLED));
    TRY(job_forget(op, tx, jobs, &job));
    return gate_leave(op, tx, jobs, job.opts.mutex, id);
}

/* Where a look-up is a round trip those of a slice are two. */
static enum err ask_ahead(struct op *op, struct tx *tx, const struct queue *queue, const struct ready_row *rows, int n)
{
    uint64_t ids[SLICE];
    size_t count = 0;
    for (int i = 0; i < n; i++)
        if (rows[i].ord < queue->cut)
            ids[count++] = rows[i].job ? rows[i].job : rows[i].ord;
    TRY(store_job_ahead(op, tx, NULL, 0, ids, count));
    return store_aside_ahead(op, tx, ids, count);
}

static enum err sweep_ready(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue)
{
    struct ready_row rows[SLICE];
    int n, max = jobs->sweep_pace.rows;
    TRY(ready_write(op, tx, jobs));
    TRY(store_ready_walk(op, tx, &queue->sweep, max, rows, &n));
    TRY(ask_ahead(op, tx, queue, rows, n));
    for (int i = 0; i < n; i++) {
        if (rows[i].ord >= queue->cut)
            continue;
        jobs_touch(jobs, tx);
        TRY(store_ready_delete(op, tx, &rows[i]));
        TRY(forget_deleted(op, tx, jobs, rows[i].job ? rows[i].job : rows[i].ord));
    }
    queue->sweeping = n == max;
    if (n)
        queue->sweep = rows[n - 1];
    if (queue->sweep.ord >= queue->cut)
        queue->sweep.ord = INT64_MAX; /* nor is anything behind it in its lane */
    if (!queue->sweeping)
        jobs->sweep_blocked = true;
    return OK;
}

/* Rows behind gates tell their queue only by their job: all of them are looked at, once after a deletion. */
static enum err sweep_blocked(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct blocked_row rows[SLICE];
    int n, max = jobs->sweep_pace.rows;
    TRY(store_blocked_walk(op, tx, &jobs->blocked_cursor, false, max, rows, &n));
    for (int i = 0; i < n; i++) {
        struct job_known job;
        bool found;
        TRY(job_know(op, tx, jobs, rows[i].id, &job, &found));
        if (found && job.state != JOB_NONE)
            continue;
        jobs_touch(jobs, tx);
        TRY(store_blocked_delete(op, tx, rows[i].gate, rows[i].ord));
        if (!found)
            continue;
        TRY(job_left(op, tx, jobs, &job, JOB_CANCELLED));
        TRY(job_forget(op, tx, jobs, &job));
    }
    jobs->sweep_blocked = n == max;
    jobs->blocked_cursor = n ? rows[n - 1] : (struct blocked_row){ 0 };
    if (!jobs->sweep_blocked)
        jobs->blocked_cursor = (struct blocked_row){ 0 };
    return OK;
}

/* --- dead jobs --- */

static enum err sweep_dead(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    struct dead_row rows[DEAD_SLICE], from = { .at_us = INT64_MIN };
    int n, gone = 0;
    TRY(store_dead_walk(op, tx, &from, DEAD_SLICE, rows, &n));
    for (int i = 0; i < n; i++) {
        struct job_known job;
        bool found;
        TRY(job_know(op, tx, jobs, rows[i].id, &job, &found));
        if (!found || job.state != JOB_DEAD)
            continue;
        if (rows[i].at_us + job.queue->policy.retain_dead_us > op->now_us)
            continue; /* a queue that keeps them longer hides younger ones of others for that long, at most a slice */
        TRY(job_lift(op, tx, jobs, &job));
        TRY(job_left(op, tx, jobs, &job, JOB_DISCARDED));
        TRY(job_forget(op, tx, jobs, &job));
        gone++;
    }
    *ret_more |= gone == DEAD_SLICE;
    return OK;
}

/* --- locks that are over --- */

static enum err sweep_locks(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    static uint8_t keys[SLICE][16];
    struct uniq_row rows[SLICE];
    int n, max = jobs->sweep_pace.rows;
    TRY(store_uniq_walk(op, tx, jobs->uniq_cursor, max, keys, rows, &n));
    for (int i = 0; i < n; i++)
        if (rows[i].until_us <= jobs_engine_us(jobs, tx)) {
            jobs_touch(jobs, tx);
            TRY(store_uniq_delete(op, tx, keys[i]));
        }
    if (n == max)
        memcpy(jobs->uniq_cursor, keys[n - 1], 16);
    else
        memset(jobs->uniq_cursor, 0, 16);
    *ret_more |= n == max;
    return OK;
}

/* --- rates of keys --- */

/* A row whose instant has passed says what no row says; others may be a little behind our clock. */
static enum err sweep_key_rates(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    struct key_rate_row rows[SLICE];
    int64_t now_us = jobs_engine_us(jobs, tx);
    int n, gone = 0, max = jobs->sweep_pace.rows;
    TRY(store_key_rate_walk(op, tx, &jobs->key_rate_cursor, max, rows, &n));
    for (int i = 0; i < n; i++) {
        if (rows[i].tat_ns > (now_us - KEY_RATE_SPARE_US) * 1000)
            continue;
        jobs_touch(jobs, tx);
        TRY(store_key_rate_delete(op, tx, rows[i].queue_no, rows[i].key));
        gone++;
    }
    jobs->key_rate_cursor = n == max ? rows[n - 1] : (struct key_rate_row){ 0 };
    *ret_more |= n == max && gone > 0;
    return OK;
}

enum err jobs_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    bool done_more = false;
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i] && jobs->by_no[i]->sweeping) {
            *ret_more = true;
            return sweep_ready(op, tx, jobs, jobs->by_no[i]);
        }
    if (jobs->sweep_blocked) {
        *ret_more = true;
        return sweep_blocked(op, tx, jobs);
    }
    TRY(sweep_dead(op, tx, jobs, ret_more));
    TRY(sweep_locks(op, tx, jobs, ret_more));
    TRY(sweep_key_rates(op, tx, jobs, ret_more));
    TRY(done_sweep(op, tx, jobs, &done_more));
    TRY(done_keys_sweep(op, tx, jobs, &done_more));
    TRY(batches_sweep(op, tx, jobs, ret_more));
    TRY(progress_sweep(op, tx, jobs, ret_more));
    *ret_more |= done_more;
    return OK;
}
