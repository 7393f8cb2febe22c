#include "engine/job_fetch.h"

#include <assert.h>

#include "engine/job_log.h"
#include "store/seq.h"

#define EXPIRED_MAX 1000 /* jobs too old that one fetch may throw away */

static int64_t lease_us_of(const struct queue *queue, const struct job_opts *opts)
{
    return opts->lease_us ? opts->lease_us : queue->policy.lease_us;
}

/* Writes the lease; the job's row of `ready` is gone by now. */
static enum err lease_begin(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job,
                            const struct job_fetch *fetch, struct lease **ret)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    int64_t timeout_us = job->opts.timeout_us ? job->opts.timeout_us : job->queue->policy.timeout_us;
    struct lease_row row = {
        .id = job->row.id,
        .number = store_seq_next(tx, SEQ_LEASE),
        .session_no = fetch->session.no,
        .session_epoch = fetch->session.epoch,
        .started_us = now_us,
        .until_us = now_us + lease_us_of(job->queue, &job->opts),
        .hard_us = timeout_us ? now_us + timeout_us : 0,
        .ord = job->aside.state ? job->ord : 0,
        .attempt = (int)job->aside.failures + 1,
        .node = jobs->node,
        .worker = fetch->worker,
    };
    if (row.hard_us && row.hard_us < row.until_us)
        row.until_us = row.hard_us;
    TRY(store_lease_add(op, tx, &row));
    if (job->opts.mutex) {
        struct gate_row gate = { row.id, row.number };
        TRY(store_gate_put(op, tx, job->opts.mutex, &gate));
    }
    job_move(job, JOB_LEASED);
    *ret = lease_new(jobs, &row, &job->row, &job->opts);
    log_lease(jobs, *ret);
    return queue_started(op, tx, jobs, job->queue, job->opts.key, now_us);
}

/* The name of the queue is copied: a policy that is set before the door writes the job takes the memory it lies in. */
static void fill_out(struct op *op, const struct jobs *jobs, const struct job_known *job, const struct lease *lease,
                     struct job_out *ret)
{
    *ret = (struct job_out){
        .id = job->row.id,
        .lease = lease->number,
        .jid = job->row.jid,
        .queue = arena_str(op->arena, job->queue->name),
        .jobtype = job->row.type,
        .body = job->row.body,
        .failure = job->aside.failure,
        .created_us = jobs_wall_us(jobs, (int64_t)job->row.id),
        .enqueued_us = jobs_wall_us(jobs, (int64_t)job->ord),
        .until_us = jobs_wall_us(jobs, lease->until_us),
        .attempt = lease->attempt,
        .has = (uint8_t)(job->row.flags & (OPT_HAS_CREATED | OPT_HAS_RETRY)),
    };
}

/* The picked job leaves its lane. Its texts go into the arena of the fetch. */
static enum err take_picked(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue,
                            const struct lane_pick *pick, struct job_known *ret)
{
    uint64_t id = pick->place.job ? pick->place.job : pick->place.ord;
    struct ready_row row = { queue->no, pick->level, pick->key, pick->place.ord, pick->place.job };
    bool found;
    jobs_touch(jobs, tx);
    *ret = (struct job_known){ .queue = queue, .state = JOB_READY, .ord = pick->place.ord };
    TRY(store_job_get(op, tx, id, &ret->row, &found));
    if (!found)
        return fail(op, ERR_BUG, "job %llu is ready and has no row", (unsigned long long)id);
    TRY(job_opts_read(op, ret->row.flags, ret->row.opts, &ret->opts));
    if (pick->place.job)
        TRY(store_aside_get(op, tx, id, &ret->aside));
    lanes_take(queue->lanes, pick);
    TRY(ready_take(op, tx, jobs, &row));
    queue->counts.ready--;
    queue->counts.ready_bytes -= (int64_t)job_bytes(&ret->row);
    queue_changed(jobs, tx, queue);
    return OK;
}

/* One job of the queue for the fetch; *ret_took false: nothing that may start. */
static enum err queue_take(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue,
                           struct job_fetch *fetch, const struct session *session, bool *ret_took)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    *ret_took = false;
    for (int thrown = 0; thrown < EXPIRED_MAX; thrown++) {
        struct lane_pick pick;
        struct job_known job;
        struct lease *lease;
        bool found;
        if (queue->counts.ready == 0 || !queue_may_start(jobs, queue, session, now_us))
            return OK;
        TRY(lanes_pick(op, tx, queue_lanes(jobs, queue), queue->cut, now_us,
                       queue->policy.priorities ? queue->policy.ageing_us : -1, &pick, &found));
        if (!found)
            return OK;
        TRY(take_picked(op, tx, jobs, queue, &pick, &job));
        if (job.opts.expires_at_us && job.opts.expires_at_us <= op->now_us) {
            TRY(gate_leave(op, tx, jobs, job.opts.mutex, job.row.id));
            TRY(job_finish(op, tx, jobs, &job, JOB_EXPIRED, 0, (struct str){ 0 }));
            continue;
        }
        TRY(lease_begin(op, tx, jobs, &job, fetch, &lease));
        if (job.opts.unique.for_us && job.opts.unique.until == UNIQUE_START)
            TRY(unique_release(op, tx, &job.opts, job.row.id));
        fill_out(op, jobs, &job, lease, &fetch->jobs[fetch->count++]);
        *ret_took = true;
        return OK;
    }
    jobs_due(jobs, now_us); /* more to throw away */
    return OK;
}

/* Queues by their weights: one after the other, drawn without putting back (HAND-1). */
static void shuffle(struct jobs *jobs, const struct job_fetch *fetch, struct queue **queues)
{
    for (size_t i = 0; i + 1 < fetch->queue_count; i++) {
        int64_t sum = 0;
        for (size_t k = i; k < fetch->queue_count; k++)
            sum += queues[k] ? queues[k]->policy.weight : 1;
        int64_t drawn = (int64_t)rng_below(&jobs->rng, (uint64_t)sum);
        size_t k = i;
        while (drawn >= (queues[k] ? queues[k]->policy.weight : 1))
            drawn -= queues[k] ? queues[k]->policy.weight : 1, k++;
        struct queue *first = queues[k];
        queues[k] = queues[i];
        queues[i] = first;
    }
}

/* Enough for one answer: the rest is fetched next time. */
static bool is_heavy(const struct op *op, const struct job_fetch *fetch)
{
    return fetch->count && arena_used(op->arena) > FETCH_BYTES_MAX;
}

enum err fetch_fill(struct op *op, struct tx *tx, struct jobs *jobs, struct job_fetch *fetch)
{
    struct queue *queues[FETCH_QUEUES_MAX] = { NULL };
    struct session *session = session_of(jobs, fetch->session);
    if (fetch->session.no && (!session || session->state != SESSION_RUNNING))
        return OK;
    for (size_t i = 0; i < fetch->queue_count; i++)
        queues[i] = queue_find(jobs, fetch->queues[i]);
    if (fetch->weighted)
        shuffle(jobs, fetch, queues);
    for (size_t i = 0; i < fetch->queue_count && fetch->count < fetch->max; i++) {
        if (!queues[i] || !queues[i]->no || queues[i]->counts.ready == 0 || (queues[i]->own && !fetch->inside))
            continue;
        if (!fetch->jobs)
            TRY(op_alloc(op, (size_t)fetch->max * sizeof *fetch->jobs, &fetch->jobs));
        for (bool took = true; took && fetch->count < fetch->max && !is_heavy(op, fetch);)
            TRY(queue_take(op, tx, jobs, queues[i], fetch, session, &took));
    }
    return OK;
}

enum err job_fetch(struct op *op, struct tx *tx, struct job_fetch *fetch)
{
    struct jobs *jobs;
    assert(fetch->max >= 1 && fetch->max <= FETCH_MAX && fetch->queue_count >= 1 &&
           fetch->queue_count <= FETCH_QUEUES_MAX);
    TRY(jobs_begin(op, tx, &jobs));
    session_sign(jobs, tx, session_of(jobs, fetch->session));
    fetch->jobs = NULL;
    fetch->count = 0;
    TRY(fetch_fill(op, tx, jobs, fetch));
    TRY(jobs_serve(op, tx, jobs)); /* an expired job may have opened a gate */
    if (fetch->count || fetch->wait_us <= 0 || jobs->stopping)
        return OK;
    return fetch_hold(tx, jobs, fetch);
}

enum err job_return(struct op *op, struct tx *tx, uint64_t id, uint64_t number)
{
    struct jobs *jobs;
    struct job_known job;
    bool found;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(job_know(op, tx, jobs, id, &job, &found));
    if (!found || !job.lease || job.lease->number != number)
        return OK;
    TRY(lease_return(op, tx, jobs, &job));
    return jobs_serve(op, tx, jobs);
}
