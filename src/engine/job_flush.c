/*
 * job_flush.c - everything the job machine holds is gone: FLUSH of the worker door, for development.
 */
#include "engine/job_queue.h"
#include "engine/job_log.h"
#include "store/store_done.h"
#include "store/store_run_part.h"
#include "store/store_schedule.h"

#define FLUSH_JOBS      500 /* looked up at a time */
#define FLUSH_BYTES_MAX (256u << 20)

/* Out of wherever it lies, without a record. */
static enum err forget(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t id)
{
    struct job_known job;
    bool found;
    TRY(job_know(op, tx, jobs, id, &job, &found));
    if (!found)
        return OK;
    if (job.lease) {
        session_revoked(jobs, job.lease->session, job.lease);
        job.aside.state = JOB_LEASED; /* so that its rows aside are known to be there */
        TRY(lease_end(op, tx, jobs, job.lease, false));
    } else {
        TRY(job_lift(op, tx, jobs, &job));
    }
    return job_forget(op, tx, jobs, &job);
}

static enum err forget_leased(struct op *op, struct tx *tx, struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->lease_slots; i++)
        while (jobs->leases[i])
            TRY(forget(op, tx, jobs, jobs->leases[i]->id));
    return OK;
}

static enum err forget_timers(struct op *op, struct tx *tx, struct jobs *jobs, enum timer_kind kind)
{
    struct timer_row rows[FLUSH_JOBS], from = { INT64_MIN, 0 };
    int count = FLUSH_JOBS;
    while (count == FLUSH_JOBS) {
        TRY(store_timer_walk(op, tx, kind, &from, INT64_MAX, FLUSH_JOBS, rows, &count));
        for (int i = 0; i < count; i++) {
            TRY(forget(op, tx, jobs, rows[i].id));
            from = rows[i];
        }
    }
    return OK;
}

static enum err forget_dead(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct dead_row rows[FLUSH_JOBS], from = { INT64_MIN, 0, 0 };
    int count = FLUSH_JOBS;
    while (count == FLUSH_JOBS) {
        TRY(store_dead_walk(op, tx, &from, FLUSH_JOBS, rows, &count));
        for (int i = 0; i < count; i++) {
            TRY(forget(op, tx, jobs, rows[i].id));
            from = rows[i];
        }
    }
    return OK;
}

/* What is ready or blocked goes with its queue. */
static enum err delete_queues(struct op *op, struct tx *tx, struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        struct queue *queue = jobs->by_no[i];
        if (!queue)
            continue;
        if (!queue->gone)
            TRY(queue_delete(op, tx, queue->name));
        queue->counts.pushed = queue->counts.processed = queue->counts.failures = 0;
        queue_changed(jobs, tx, queue);
    }
    return OK;
}

static enum err forget_history(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct done_chunk chunk;
    TRY(store_done_oldest(op, tx, 0, &chunk));
    while (chunk.no) {
        TRY(store_done_drop(op, tx, chunk.no));
        TRY(store_done_oldest(op, tx, chunk.no, &chunk));
    }
    finished_unload(jobs);
    return store_done_keys_drop(op, tx, INT64_MAX);
}

static enum err flush_all(struct op *op, struct tx *tx, struct jobs *jobs)
{
    TRY(forget_leased(op, tx, jobs));
    TRY(forget_timers(op, tx, jobs, TIMER_SCHEDULED));
    TRY(forget_timers(op, tx, jobs, TIMER_RETRY));
    TRY(forget_dead(op, tx, jobs));
    TRY(batches_forget(op, tx, jobs));
    TRY(progress_forget(op, tx, jobs));
    TRY(store_fired_end_all(op, tx));
    TRY(store_part_delete_all(op, tx));
    TRY(delete_queues(op, tx, jobs));
    return forget_history(op, tx, jobs);
}

enum err jobs_flush(struct op *op, struct tx *tx)
{
    struct jobs *jobs;
    struct op own;
    TRY(jobs_begin(op, tx, &jobs));
    jobs_touch(jobs, tx);
    log_all(jobs);
    op_init(&own, arena_new(FLUSH_BYTES_MAX), op->now_us);
    enum err err = flush_all(&own, tx, jobs);
    op_inherit(op, err, &own);
    arena_free(own.arena);
    return err;
}
