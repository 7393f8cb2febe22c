#include "engine/job_end.h"

#include "engine/job_log.h"
#include "store/seq.h"
#include "store/store_work.h"

const char *job_stale_name(enum job_stale stale)
{
    static const char *const names[] = {
        [STALE_NOT] = "",
        [STALE_EXPIRED] = "expired",
        [STALE_REASSIGNED] = "reassigned",
        [STALE_FINISHED] = "finished",
        [STALE_CANCELLED] = "cancelled",
        [STALE_UNKNOWN] = "unknown",
    };
    return names[stale];
}

/* --- ends of jobs --- */

enum err job_forget(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    jobs_touch(jobs, tx);
    TRY(unique_release(op, tx, &job->opts, job->row.id));
    TRY(store_job_delete(op, tx, job->row.id, job->row.jid));
    if (job->queue->own)
        TRY(store_work_delete(op, tx, job->row.id));
    if (!job->aside.state)
        return OK;
    TRY(store_aside_delete(op, tx, job->row.id));
    return job->aside.attempts ? store_attempt_delete(op, tx, job->row.id) : OK;
}

enum err job_finish(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_outcome outcome,
                    int64_t started_us, struct str worker)
{
    struct done_record record = {
        .id = job->row.id,
        .jid_hash = jobs_hash(jobs, job->row.jid),
        .queue_no = job->queue->no,
        .outcome = (uint8_t)outcome,
        .started_us = started_us ? jobs_wall_us(jobs, started_us) : 0,
        .ended_us = op->now_us,
        .attempts = job->aside.attempts + (outcome == JOB_SUCCEEDED),
        .jid = job->row.jid,
        .type = job->row.type,
        .worker = worker,
        .body = outcome != JOB_SUCCEEDED ? job->row.body
                : str_given(job->result) ? arena_fmt(op->arena, "\"result\":%.*s", STR(job->result))
                                         : (struct str){ 0 },
        .opts = outcome != JOB_SUCCEEDED ? job->row.opts : (struct str){ 0 },
        .flags = job->row.flags,
    };
    jobs_touch(jobs, tx);
    if (job->aside.attempts)
        TRY(attempts_json(op, tx, job->row.id, &record.extra));
    TRY(job_forget(op, tx, jobs, job));
    done_note(jobs, tx, &record);
    meter_add(&job->queue->out, jobs_engine_us(jobs, tx), 1);
    queue_changed(jobs, tx, job->queue);
    job_move(job, JOB_DONE);
    TRY(progress_ended(op, tx, jobs, job, outcome));
    return job_left(op, tx, jobs, job, outcome);
}

enum err job_kill(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_death death)
{
    struct dead_row row = { op->now_us, job->row.id, (int)death };
    jobs_touch(jobs, tx);
    TRY(run_moves(op, tx, jobs, job, JOB_DEAD));
    TRY(batch_failed(op, tx, jobs, job)); /* one that was killed before its first attempt had its chance, too */
    TRY(unique_release(op, tx, &job->opts, job->row.id));
    TRY(store_dead_add(op, tx, &row));
    job->aside.id = job->row.id;
    job->aside.state = JOB_DEAD;
    job->aside.at = op->now_us;
    TRY(store_aside_put(op, tx, &job->aside));
    job->queue->counts.dead++;
    queue_changed(jobs, tx, job->queue);
    job_move(job, JOB_DEAD);
    if (death == DEATH_POISON)
        jobs->totals.poisoned++;
    return news_died(op, tx, jobs, job, death);
}

/* --- whose lease is it --- */

static enum job_stale gone_reason(struct jobs *jobs, struct tx *tx, uint64_t jid_hash)
{
    const struct finished *finished = finished_find(jobs, jid_hash, jobs_engine_us(jobs, tx));
    if (!finished)
        return STALE_UNKNOWN;
    return finished->outcome == JOB_CANCELLED ? STALE_CANCELLED : STALE_FINISHED;
}

/* How the newest attempt of a job that is not leased ended, to one who held it. */
static enum err newest_end(struct op *op, struct tx *tx, uint64_t id, enum job_stale *ret_stale)
{
    struct attempt_row rows[ATTEMPTS_KEPT];
    int n;
    TRY(store_attempt_list(op, tx, id, rows, &n));
    enum job_outcome outcome = n ? (enum job_outcome)rows[n - 1].outcome : JOB_RETURNED;
    bool by_worker = outcome == JOB_FAILED || outcome == JOB_SNOOZED;
    *ret_stale = by_worker ? STALE_FINISHED : outcome == JOB_CANCELLED ? STALE_CANCELLED : STALE_EXPIRED;
    return OK;
}

static enum err by_token(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_lease *wanted,
                         struct lease **ret, enum job_stale *ret_stale)
{
    struct lease *lease = lease_find(jobs, wanted->jid_hash);
    struct job_row row;
    bool found;
    *ret_stale = STALE_NOT;
    *ret = lease;
    if (lease && lease->id == wanted->id && lease->number == wanted->number)
        return OK;
    *ret = NULL;
    *ret_stale = STALE_REASSIGNED;
    if (lease && lease->id == wanted->id)
        return OK;
    *ret_stale = gone_reason(jobs, tx, wanted->jid_hash);
    if (*ret_stale != STALE_UNKNOWN)
        return OK;
    TRY(store_job_get(op, tx, wanted->id, &row, &found));
    if (found)
        return newest_end(op, tx, wanted->id, ret_stale);
    if (wanted->number && wanted->number <= store_seq_newest(tx, SEQ_LEASE) &&
        wanted->id <= store_seq_newest(tx, SEQ_JOB))
        *ret_stale = STALE_FINISHED; /* longer ago than is remembered */
    return OK;
}

/* LEASE-3. */
static enum err by_jid(struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                       enum job_stale *ret_stale)
{
    uint64_t hash = jobs_hash(jobs, ref->jid);
    struct lease *lease = lease_find(jobs, hash);
    const struct session *session = session_of(jobs, ref->session);
    *ret_stale = STALE_NOT;
    *ret = lease;
    if (!lease)
        *ret_stale = gone_reason(jobs, tx, hash);
    else if (lease->session && session && lease->session != session)
        *ret_stale = STALE_REASSIGNED;
    return OK;
}

static bool is_among(struct str names, struct str name)
{
    if (!str_given(names))
        return true;
    while (str_given(names))
        if (str_eq(str_cut(&names, ','), name))
            return true;
    return false;
}

enum err lease_of_ref(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                      enum job_stale *ret_stale)
{
    session_sign(jobs, tx, session_of(jobs, ref->session));
    if (ref->by_jid)
        return by_jid(tx, jobs, ref, ret, ret_stale);
    TRY(by_token(op, tx, jobs, &ref->lease, ret, ret_stale));
    if (*ret && !is_among(ref->queues, (*ret)->queue->name)) {
        *ret = NULL;
        *ret_stale = STALE_UNKNOWN;
    }
    if (*ret)
        session_sign(jobs, tx, (*ret)->session);
    return OK;
}

/* --- ack --- */

/* What ack must know; a job without options costs no read. */
static enum err know_leased(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct job_known *ret)
{
    if (lease->flags & (OPT_UNIQUE | OPT_BATCH | OPT_RUN))
        return lease_know(op, tx, jobs, lease, ret);
    *ret = (struct job_known){
        .row = { .id = lease->id,
                 .queue_no = lease->queue->no,
                 .flags = lease->flags,
                 .jid = lease->jid,
                 .type = lease->type },
        .opts = { .flags = lease->flags, .mutex = lease->mutex },
        .queue = lease->queue,
        .state = JOB_LEASED,
        .lease = lease,
    };
    return lease->aside ? store_aside_get(op, tx, lease->id, &ret->aside) : OK;
}

static enum err ack_lease(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct str result)
{
    struct job_known job;
    TRY(know_leased(op, tx, jobs, lease, &job));
    job.result = result;
    lease->queue->counts.processed++;
    TRY(job_finish(op, tx, jobs, &job, JOB_SUCCEEDED, lease->started_us, lease->worker));
    return lease_end(op, tx, jobs, lease, false);
}

/* An ack from one who does not hold the lease: seen in the attempts, counted, nothing else. */
static enum err note_late(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease,
                          const struct session *from)
{
    struct aside_row aside;
    jobs_touch(jobs, tx);
    jobs->totals.late_acks++;
    TRY(lease_put_aside(op, tx, jobs, lease, &aside));
    struct attempt_row row = { .n = ++aside.attempts, .outcome = JOB_LATE, .ended_us = op->now_us };
    row.worker = from->name;
    TRY(store_attempt_add(op, tx, lease->id, &row));
    return store_aside_put(op, tx, &aside);
}

/* The work was done after all: the job waits for another attempt that nobody began (LEASE-3). */
static enum err ack_late(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, enum job_stale *ret_stale)
{
    struct job_known job;
    uint64_t id;
    bool found;
    TRY(store_job_find(op, tx, jid, &id));
    if (!id)
        return OK;
    TRY(job_know(op, tx, jobs, id, &job, &found));
    *ret_stale = STALE_EXPIRED;
    if (!found || !job.aside.late || (job.state != JOB_RETRY && job.state != JOB_READY && job.state != JOB_BLOCKED))
        return OK;
    TRY(job_lift(op, tx, jobs, &job));
    *ret_stale = STALE_NOT;
    return job_finish(op, tx, jobs, &job, JOB_SUCCEEDED, 0, (struct str){ 0 });
}

enum err job_ack(struct op *op, struct tx *tx, const struct job_ref *ref, enum job_stale *ret_stale)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (lease && *ret_stale == STALE_NOT)
        TRY(ack_lease(op, tx, jobs, lease, ref->result));
    else if (lease)
        TRY(note_late(op, tx, jobs, lease, session_of(jobs, ref->session)));
    else if (ref->by_jid && *ret_stale == STALE_UNKNOWN)
        TRY(ack_late(op, tx, jobs, ref->jid, ret_stale));
    return jobs_serve(op, tx, jobs);
}

enum err job_fail(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_failure *failure,
                  enum job_stale *ret_stale)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (!lease || *ret_stale != STALE_NOT)
        return OK;
    TRY(lease_fail(op, tx, jobs, lease, failure, FAULT_FAILED));
    return jobs_serve(op, tx, jobs);
}

/* --- extend --- */

enum err job_extend(struct op *op, struct tx *tx, const struct job_ref *ref, int64_t for_us, enum job_stale *ret_stale,
                    int64_t *ret_until_us)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (!lease || *ret_stale != STALE_NOT)
        return OK;
    int64_t now_us = jobs_engine_us(jobs, tx);
    int64_t until_us = now_us + (for_us < JOB_LEASE_US_MAX ? for_us : JOB_LEASE_US_MAX);
    if (lease->hard_us && until_us > lease->hard_us)
        return fail(op, ERR_CONFLICT, "the job's timeout ends %lld s from now, before the extended lease would",
                    (long long)((lease->hard_us - now_us) / 1000000));
    if (until_us > lease->until_us) {
        jobs_touch(jobs, tx);
        TRY(store_lease_extend(op, tx, lease->id, until_us));
        lease->until_us = until_us;
        log_lease_until(jobs, lease);
    }
    *ret_until_us = jobs_wall_us(jobs, lease->until_us);
    return OK;
}
