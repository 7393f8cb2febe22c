#include "engine/job_own.h"

#include "base/id.h"
#include "base/instant.h"
#include "base/json.h"
#include "engine/job_bulk.h"
#include "engine/job_push.h"
#include "engine/jobs_own.h"
#include "engine/keep_run.h"

#define OWN_POLICY  "{\"budget\":\"background\",\"crash_limit\":0}"
#define KEEP_POLICY "{\"concurrency\":2,\"budget\":\"keep\",\"lease\":\"60s\",\"crash_limit\":0,\"retry\":{\"max\":10}}"

typedef enum err (*step_fn)(struct op *op, struct tx *tx, struct own_work *work);

/* NULL: there is no such work. */
static step_fn step_of(struct str jobtype)
{
    if (str_eq(jobtype, S(BULK_TYPE)))
        return job_bulk_step;
    return keep_kind(jobtype) ? keep_run_step : NULL;
}

struct str own_policy(struct str queue)
{
    return str_eq(queue, S(KEEP_QUEUE)) ? S(KEEP_POLICY) : S(OWN_POLICY);
}

static struct own_work work_of(struct op *op, const struct own_turn *turn)
{
    struct str job = arena_fmt(op->arena, "{%.*s}", STR(turn->body));
    struct str custom = S("{}"), nominal = S("");
    struct own_work work = { .id = turn->lease.id, .jobtype = turn->jobtype, .args = S("[]"), .rows = turn->rows };
    json_find(op->arena, job, JSON_STRICT, S("args"), &work.args);
    json_find(op->arena, job, JSON_STRICT, S("custom"), &custom);
    json_find(op->arena, custom, JSON_STRICT, S("nominal_at"), &nominal);
    struct str instant = nominal.n > 2 ? (struct str){ nominal.p + 1, nominal.n - 2 } : S(""); /* without its quotes */
    if (!instant_parse(instant, &work.nominal_us))
        work.nominal_us = op->now_us;
    return work;
}

/* KEEP-4: it had its slot for long enough, and somebody waits. The rest goes behind them, with its bookmark. */
static enum err give_way(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease)
{
    struct job_known job;
    bool found;
    TRY(job_know(op, tx, jobs, lease->id, &job, &found));
    if (!found)
        return fail(op, ERR_BUG, "leased job %.*s has no row", STR(lease->jid));
    TRY(lease_end(op, tx, jobs, lease, false));
    TRY(job_put(op, tx, jobs, job.queue, &job, 0, JOB_SCHEDULED, false));
    return jobs_serve(op, tx, jobs);
}

/* The work's effect, its bookmark and its lease, which must not run out while there is more to do. */
static enum err step(struct op *op, struct tx *tx, struct jobs *jobs, struct own_turn *turn, struct lease *lease,
                     struct own_work *work)
{
    struct job_ref ref = { .lease = turn->lease };
    enum job_stale stale;
    int64_t until_us;
    step_fn run_step = step_of(turn->jobtype);
    bool found;
    if (!run_step)
        return fail(op, ERR_NOT_FOUND, "there is no work of the type %.*s", STR(turn->jobtype));
    TRY(store_work_get(op, tx, lease->id, &work->at, &found));
    int64_t lease_us = lease->queue->policy.lease_us;
    bool is_due = jobs_engine_us(jobs, tx) - lease->started_us >= OWN_SLOT_US;
    bool is_late = lease->until_us < jobs_engine_us(jobs, tx) + lease_us / 2;
    TRY(run_step(op, tx, work));
    work->at.eta_s = turn->eta_s;
    turn->done = work->at.done;
    turn->total = work->at.total;
    turn->is_over = work->is_over;
    if (work->is_over) {
        ref.result = work->result;
        return job_ack(op, tx, &ref, &stale);
    }
    TRY(store_work_put(op, tx, turn->lease.id, &work->at));
    turn->is_over = is_due && lease->queue->counts.ready > 0;
    if (turn->is_over)
        return give_way(op, tx, jobs, lease);
    return is_late ? job_extend(op, tx, &ref, lease_us, &stale, &until_us) : OK;
}

enum err own_step(struct op *op, struct tx *tx, struct own_turn *turn)
{
    struct jobs *jobs;
    struct own_work work = work_of(op, turn);
    TRY(jobs_begin(op, tx, &jobs));
    struct lease *lease = lease_find(jobs, turn->lease.jid_hash);
    turn->is_over = !lease || lease->id != turn->lease.id || lease->number != turn->lease.number;
    if (turn->is_over)
        return OK;
    const struct queue *queue = lease->queue;
    turn->share_ppm = queue->budget ? queue->budget->policy.cpu_share_ppm : 1000000;
    turn->is_yielding = jobs->stopping || queue->paused;
    jobs_touch(jobs, tx);
    return turn->is_yielding ? OK : step(op, tx, jobs, turn, lease, &work);
}

enum err own_push(struct op *op, struct tx *tx, const char *jobtype, struct str args, struct str *ret_jid)
{
    struct jobs *jobs;
    struct job_pushed pushed;
    TRY(jobs_begin(op, tx, &jobs));
    struct job_spec spec = {
        .queue = S(OWN_QUEUE),
        .jobtype = str_of(jobtype),
        .body = arena_fmt(op->arena, "\"args\":%.*s", STR(args)),
        .retry = JOB_NO_RETRY,
    };
    TRY(job_push(op, tx, &spec, 1, true, &pushed));
    if (pushed.result != JOB_PUSHED)
        return fail(op, ERR_BUG, "own work was not taken: %.*s", STR(pushed.detail));
    *ret_jid = pushed.jid;
    return OK;
}
