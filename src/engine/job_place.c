/*
 * job_place.c - where a waiting job lies: ready, behind a time, behind a gate.
 */
#include "engine/job_log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

size_t job_bytes(const struct job_row *row)
{
    return row->jid.n + row->type.n + row->opts.n + row->body.n;
}

/* --- rows of `ready`, written with the group --- */

static void pending_add(struct jobs *jobs, const struct ready_row *row)
{
    if (jobs->pending_count == jobs->pending_room) {
        jobs->pending_room = jobs->pending_room ? jobs->pending_room * 2 : 256;
        jobs->pending = realloc(jobs->pending, jobs->pending_room * sizeof *jobs->pending);
        if (!jobs->pending)
            abort();
    }
    jobs->pending[jobs->pending_count++] = *row;
}

enum err ready_write(struct op *op, struct tx *tx, struct jobs *jobs)
{
    size_t n = 0;
    for (size_t i = 0; i < jobs->pending_count; i++)
        if (jobs->pending[i].queue_no) {
            jobs->pending[n++] = jobs->pending[i];
            log_ready(jobs, &jobs->pending[i]);
        }
    jobs->pending_count = 0;
    return store_ready_add_all(op, tx, jobs->pending, n);
}

/* Places of pending rows only grow. */
static struct ready_row *pending_find(struct jobs *jobs, uint64_t ord)
{
    size_t low = 0, high = jobs->pending_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (jobs->pending[middle].ord < ord)
            low = middle + 1;
        else
            high = middle;
    }
    return low < jobs->pending_count && jobs->pending[low].ord == ord ? &jobs->pending[low] : NULL;
}

enum err ready_take(struct op *op, struct tx *tx, struct jobs *jobs, const struct ready_row *row)
{
    struct ready_row *pending = pending_find(jobs, row->ord);
    if (!pending) {
        log_taken(jobs, row);
        return store_ready_delete(op, tx, row);
    }
    pending->queue_no = 0; /* came and went within one group: never written */
    return OK;
}

void job_move(struct job_known *job, enum job_state to)
{
    assert(job_may_move(job->state, to));
    job->state = to;
}

/* --- what is known of a job --- */

enum err job_know(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t id, struct job_known *ret, bool *ret_found)
{
    *ret = (struct job_known){ 0 };
    TRY(store_job_get(op, tx, id, &ret->row, ret_found));
    if (!*ret_found)
        return OK;
    TRY(job_opts_read(op, ret->row.flags, ret->row.opts, &ret->opts));
    ret->queue = queue_by_no(jobs, ret->row.queue_no);
    if (!ret->queue)
        return fail(op, ERR_IO, "job %.*s is in a queue that is not known", STR(ret->row.jid));
    struct lease *lease = lease_find(jobs, jobs_hash(jobs, ret->row.jid));
    if (lease && lease->id == id)
        ret->lease = lease;
    if (!lease || lease->aside)
        TRY(store_aside_get(op, tx, id, &ret->aside));
    ret->aside.id = id;
    ret->state = lease ? JOB_LEASED : ret->aside.state ? (enum job_state)ret->aside.state : JOB_READY;
    ret->ord = ret->aside.state ? (uint64_t)ret->aside.at : id;
    if ((ret->state == JOB_READY || ret->state == JOB_BLOCKED) && ret->ord < ret->queue->cut)
        ret->state = JOB_NONE;
    return OK;
}

/* --- gates (MTX-1) --- */

/* Is the gate's holder still what its row says: not one that was deleted with its queue. */
static enum err holder_is_there(struct op *op, struct tx *tx, struct jobs *jobs, const struct gate_row *gate, bool *ret)
{
    struct job_known holder;
    bool found;
    TRY(job_know(op, tx, jobs, gate->holder, &holder, &found));
    *ret = found && (holder.state == JOB_READY || holder.state == JOB_LEASED);
    return OK;
}

static enum err gate_enter(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t gate, uint64_t id, bool *ret_open)
{
    struct gate_row row;
    bool taken = false;
    TRY(store_gate_get(op, tx, gate, &row));
    if (row.holder && row.holder != id)
        TRY(holder_is_there(op, tx, jobs, &row, &taken));
    *ret_open = !taken;
    if (taken)
        return OK;
    row = (struct gate_row){ .holder = id };
    return store_gate_put(op, tx, gate, &row);
}

static enum err put_ready(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, bool fresh)
{
    struct queue *queue = job->queue;
    job->ord = fresh ? job->row.id : jobs_stamp(jobs, tx);
    struct ready_row row = { queue->no, job->opts.level, job->opts.key, job->ord, fresh ? 0 : job->row.id };
    if (!fresh) {
        job->aside.state = JOB_READY;
        job->aside.at = (int64_t)job->ord;
        TRY(store_aside_put(op, tx, &job->aside));
    }
    pending_add(jobs, &row);
    lanes_add(queue_lanes(jobs, queue), row.level, row.key, &(struct lane_place){ row.ord, row.job });
    queue->counts.ready++;
    queue->counts.ready_bytes += (int64_t)job_bytes(&job->row);
    meter_add(&queue->in, jobs_engine_us(jobs, tx), 1);
    job_move(job, JOB_READY);
    queue_wants(jobs, queue);
    return OK;
}

/* The first of those behind the gate that is still there, or the gate goes. */
enum err gate_leave(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t gate, uint64_t holder)
{
    struct gate_row row;
    if (!gate)
        return OK;
    TRY(store_gate_get(op, tx, gate, &row));
    if (row.holder != holder)
        return OK;
    for (;;) {
        struct blocked_row from = { .gate = gate, .ord = first_blocked(&jobs->first, gate) }, first;
        struct job_known job;
        bool found;
        int n;
        TRY(store_blocked_walk(op, tx, &from, true, 1, &first, &n));
        if (n == 0)
            return store_gate_delete(op, tx, gate);
        TRY(store_blocked_delete(op, tx, gate, first.ord));
        first_blocked_behind(&jobs->first, gate, first.ord);
        TRY(job_know(op, tx, jobs, first.id, &job, &found));
        if (!found || job.state != JOB_BLOCKED)
            continue; /* deleted with its queue: its other rows are swept */
        job.queue->counts.blocked--;
        queue_changed(jobs, tx, job.queue);
        row = (struct gate_row){ .holder = first.id };
        TRY(store_gate_put(op, tx, gate, &row));
        return put_ready(op, tx, jobs, &job, false);
    }
}

/* --- putting and lifting --- */

static enum err put_timed(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, int64_t due_us,
                          enum job_state state)
{
    enum timer_kind kind = state == JOB_RETRY ? TIMER_RETRY : TIMER_SCHEDULED;
    job->aside.state = (int)state;
    job->aside.at = due_us;
    job_move(job, state);
    TRY(store_timer_add(op, tx, kind, due_us, job->row.id));
    TRY(store_aside_put(op, tx, &job->aside));
    if (state == JOB_RETRY)
        job->queue->counts.retry++;
    else
        job->queue->counts.scheduled++;
    log_timer(jobs, due_us);
    first_timer_is(&jobs->first, due_us);
    jobs_due(jobs, due_us - jobs->lag_us);
    return OK;
}

static enum err put_blocked(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, bool fresh)
{
    job->ord = fresh ? job->row.id : jobs_stamp(jobs, tx);
    struct blocked_row row = { job->opts.mutex, job->ord, job->row.id };
    job->aside.state = JOB_BLOCKED;
    job->aside.at = (int64_t)job->ord;
    job_move(job, JOB_BLOCKED);
    job->queue->counts.blocked++;
    if (first_blocked(&jobs->first, row.gate) >= row.ord)
        first_blocked_behind(&jobs->first, row.gate, row.ord - 1);
    TRY(store_blocked_add(op, tx, &row));
    return store_aside_put(op, tx, &job->aside);
}

enum err job_put(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, struct job_known *job,
                 int64_t due_us, enum job_state timed, bool fresh)
{
    job->queue = queue;
    job->lease = NULL;
    job->aside.id = job->row.id;
    queue_changed(jobs, tx, queue);
    if (queue->gone) { /* jobs that come due bring their queue back (QUE-7) */
        queue->gone = false;
        TRY(queue_write(op, tx, queue));
    }
    if (due_us > op->now_us)
        return put_timed(op, tx, jobs, job, due_us, timed);
    bool open = true;
    if (job->opts.mutex)
        TRY(gate_enter(op, tx, jobs, job->opts.mutex, job->row.id, &open));
    return open ? put_ready(op, tx, jobs, job, fresh) : put_blocked(op, tx, jobs, job, fresh);
}

enum err job_lift(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    struct queue *queue = job->queue;
    struct queue_counts *counts = &queue->counts;
    queue_changed(jobs, tx, queue);
    switch (job->state) {
    case JOB_SCHEDULED:
        counts->scheduled--;
        return store_timer_delete(op, tx, TIMER_SCHEDULED, job->aside.at, job->row.id);
    case JOB_RETRY:
        counts->retry--;
        return store_timer_delete(op, tx, TIMER_RETRY, job->aside.at, job->row.id);
    case JOB_BLOCKED:
        counts->blocked--;
        return store_blocked_delete(op, tx, job->opts.mutex, job->ord);
    case JOB_DEAD:
        counts->dead--;
        return store_dead_delete(op, tx, job->aside.at, job->row.id);
    case JOB_READY: {
        struct ready_row row = {
            .queue_no = queue->no, .level = job->opts.level, .key = job->opts.key, .ord = job->ord
        };
        counts->ready--;
        counts->ready_bytes -= (int64_t)job_bytes(&job->row);
        lanes_remove(queue_lanes(jobs, queue), row.level, row.key, row.ord);
        TRY(ready_take(op, tx, jobs, &row));
        return gate_leave(op, tx, jobs, job->opts.mutex, job->row.id);
    }
    case JOB_NONE:
    case JOB_LEASED:
    case JOB_DONE:
        break;
    }
    return fail(op, ERR_BUG, "a job that is %s has no row to lift", job_state_name(job->state));
}
