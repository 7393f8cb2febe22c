#include "engine/job_act.h"

#include "engine/job_log.h"
#include "store/store_done.h"

static enum err not_allowed(struct op *op, struct str jid, enum job_state state)
{
    return fail(op, ERR_CONFLICT, "job %.*s is %s", STR(jid), job_state_name(state));
}

/* A job that ended by our own word comes back as it was pushed; its history record stays. */
static enum err revive(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, enum job_state *ret_state)
{
    struct done_record record;
    struct job_known job = { .state = JOB_DONE };
    bool found, added;
    uint64_t hash = jobs_hash(jobs, jid);
    TRY(done_find(op, tx, jobs, hash, jid, &record, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "no job %.*s", STR(jid));
    if (record.outcome != JOB_CANCELLED || record.body.n == 0)
        return not_allowed(op, jid, JOB_DONE);
    struct queue *queue = queue_by_no(jobs, record.queue_no);
    if (!queue)
        return fail(op, ERR_IO, "job %.*s was in a queue that is not known", STR(jid));
    jobs_touch(jobs, tx);
    job.row = (struct job_row){
        .id = record.id,
        .queue_no = record.queue_no,
        .flags = record.flags,
        .jid = jid,
        .type = record.type,
        .opts = record.opts.n ? record.opts : (struct str){ 0 },
        .body = record.body,
    };
    TRY(job_opts_read(op, job.row.flags, job.row.opts, &job.opts));
    TRY(store_job_add(op, tx, &job.row, &added));
    if (!added)
        return fail(op, ERR_BUG, "job %.*s is and is not there", STR(jid));
    finished_revive(jobs, hash);
    log_revived(jobs, hash);
    TRY(batch_rejoin(op, tx, jobs, &job));
    TRY(run_moves(op, tx, jobs, &job, JOB_READY));
    TRY(job_put(op, tx, jobs, queue, &job, 0, JOB_SCHEDULED, false));
    *ret_state = job.state;
    return OK;
}

/* A leased job loses its lease: whoever holds it is told that it is stale. */
static enum err revoke(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    struct lease *lease = job->lease;
    session_revoked(jobs, lease->session, lease);
    TRY(attempt_note(op, tx, jobs, &job->aside, lease, JOB_CANCELLED, NULL));
    job->aside.state = JOB_LEASED; /* so that its rows aside are known to be there */
    TRY(lease_end(op, tx, jobs, lease, false));
    job->lease = NULL;
    return OK;
}

static enum err act_on(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_action action)
{
    enum job_state state = job->state;
    switch (action) {
    case ACTION_RETRY:
        if (state != JOB_DEAD && state != JOB_RETRY)
            return not_allowed(op, job->row.jid, state);
        break;
    case ACTION_RUN:
        if (state == JOB_READY)
            return OK;
        if (state != JOB_SCHEDULED && state != JOB_RETRY)
            return not_allowed(op, job->row.jid, state);
        break;
    case ACTION_KILL:
        if (state == JOB_DEAD)
            return OK; /* it died once, and is told once */
        break;
    case ACTION_CANCEL:
        break;
    }
    jobs_touch(jobs, tx);
    if (state == JOB_LEASED)
        TRY(revoke(op, tx, jobs, job));
    else
        TRY(job_lift(op, tx, jobs, job));
    if (action == ACTION_KILL)
        return job_kill(op, tx, jobs, job, DEATH_KILLED);
    if (action == ACTION_CANCEL)
        return job_finish(op, tx, jobs, job, JOB_CANCELLED, 0, (struct str){ 0 });
    job->aside.late = 0;
    if (state == JOB_DEAD)
        TRY(run_moves(op, tx, jobs, job, JOB_READY));
    return job_put(op, tx, jobs, job->queue, job, 0, JOB_SCHEDULED, false);
}

enum err job_act_known(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_action action)
{
    TRY(act_on(op, tx, jobs, job, action));
    return jobs_serve(op, tx, jobs);
}

enum err job_act(struct op *op, struct tx *tx, struct str jid, enum job_action action, enum job_state *ret_state)
{
    struct jobs *jobs;
    struct job_known job;
    uint64_t id;
    bool found = false;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(store_job_find(op, tx, jid, &id));
    if (id)
        TRY(job_know(op, tx, jobs, id, &job, &found));
    if (found && job.state != JOB_NONE) {
        TRY(job_act_known(op, tx, jobs, &job, action));
        *ret_state = job.state;
        return OK;
    }
    if (action == ACTION_RETRY) {
        TRY(revive(op, tx, jobs, jid, ret_state));
        return jobs_serve(op, tx, jobs);
    }
    const struct finished *finished = finished_find(jobs, jobs_hash(jobs, jid), jobs_engine_us(jobs, tx));
    return finished ? not_allowed(op, jid, JOB_DONE) : fail(op, ERR_NOT_FOUND, "no job %.*s", STR(jid));
}
