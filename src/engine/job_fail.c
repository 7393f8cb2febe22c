/*
 * job_fail.c - attempts that did not succeed, and what becomes of their jobs.
 */
#include "engine/jobs_own.h"

#include <assert.h>

#include "base/instant.h"
#include "base/json_write.h"

#define SNOOZES_MAX       1000
#define SNOOZE_US_MAX     (INT64_C(7) * 86400 * 1000000)
#define FAILURE_BYTES_MAX (64 * 1024)

/* --- texts --- */

static struct str clean(struct op *op, struct str text, size_t max)
{
    text = str_clip(str_trim(text), max);
    return text.n ? arena_str(op->arena, text) : S("unknown");
}

static struct str backtrace_json(struct op *op, const struct job_failure *failure)
{
    struct buf buf;
    struct json_writer w;
    size_t room = JOB_BACKTRACE_BYTES;
    if (!failure || failure->backtrace_lines == 0)
        return (struct str){ 0 };
    buf_init_arena(&buf, op->arena, JOB_BACKTRACE_BYTES * 8);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (size_t i = 0; i < failure->backtrace_lines && i < JOB_BACKTRACE_LINES && room; i++) {
        struct str line = str_clip(failure->backtrace[i], room);
        room -= line.n;
        json_put_str(&w, line);
    }
    json_array_end(&w);
    return buf_str(&buf);
}

static struct str first_failed_at(struct op *op, struct str failure)
{
    struct json j;
    struct str name, at = { 0 };
    json_init(&j, op->arena, str_given(failure) ? failure : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, S("failed_at")))
                json_string(&j, &at);
    return at;
}

/* The `failure` member that the next worker sees. next_us 0 = none. */
static void failure_write(struct op *op, struct aside_row *aside, int64_t max, int64_t next_us, struct str errtype,
                          struct str message, struct str backtrace)
{
    struct buf buf;
    struct json_writer w;
    char text[INSTANT_TEXT_BYTES];
    int64_t remaining = max - (aside->failures - 1);
    struct str at = first_failed_at(op, aside->failure);
    buf_init_arena(&buf, op->arena, FAILURE_BYTES_MAX * 4);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "retry_count", aside->failures - 1);
    json_member_int(&w, "remaining", remaining > 0 ? remaining : 0);
    json_member_str(&w, "failed_at", at.n ? at : instant_text(op->now_us, 6, text));
    if (next_us)
        json_member_str(&w, "next_at", instant_text(next_us, 6, text));
    json_member_str(&w, "errtype", errtype);
    json_member_str(&w, "message", message);
    if (str_given(backtrace))
        json_member_raw(&w, "backtrace", backtrace);
    json_object_end(&w);
    aside->failure = buf_str(&buf);
}

enum err attempt_note(struct op *op, struct tx *tx, struct jobs *jobs, struct aside_row *aside,
                      const struct lease *lease, enum job_outcome outcome, const struct job_failure *failure)
{
    struct attempt_row row = {
        .n = ++aside->attempts,
        .outcome = (int)outcome,
        .started_us = jobs_wall_us(jobs, lease->started_us),
        .ended_us = op->now_us,
        .worker = lease->worker,
    };
    if (failure) {
        row.errtype = clean(op, failure->errtype, JOB_ERRTYPE_BYTES_MAX);
        row.message = clean(op, failure->message, JOB_MESSAGE_BYTES_MAX);
        row.backtrace = backtrace_json(op, failure);
    }
    return store_attempt_add(op, tx, lease->id, &row);
}

/* --- decisions --- */

static const struct {
    enum job_outcome outcome;
    const char *errtype, *message;
} faults[] = {
    [FAULT_FAILED] = { JOB_FAILED, "", "" },
    [FAULT_EXPIRED] = { JOB_EXPIRED_LEASE, "ReservationExpired", "Faktory job reservation expired" },
    [FAULT_LOST] = { JOB_LOST, "WorkerLost", "the worker process is gone" },
    [FAULT_TIMEOUT] = { JOB_TIMEOUT, "Timeout", "the attempt took longer than the job's timeout" },
};

/* LEASE-8. Counts a crash; true when there were too many. */
static bool crash_is_poison(struct jobs *jobs, struct tx *tx, const struct queue *queue, struct aside_row *aside)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    if (aside->crashes && now_us - aside->crashed_us > CRASH_WINDOW_US)
        aside->crashes = 0;
    if (aside->crashes == 0)
        aside->crashed_us = now_us;
    aside->crashes++;
    return queue->policy.crash_limit > 0 && aside->crashes >= queue->policy.crash_limit;
}

/* RETRY-3: true when the job may sleep on. */
static bool snooze_allowed(struct jobs *jobs, struct tx *tx, struct aside_row *aside)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    if (aside->snoozes == 0)
        aside->snoozed_us = now_us;
    aside->snoozes++;
    if (aside->snoozes <= SNOOZES_MAX && now_us - aside->snoozed_us <= SNOOZE_US_MAX)
        return true;
    aside->snoozes = 0;
    return false;
}

static enum err snooze(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, int64_t for_us)
{
    struct lease *lease = job->lease;
    int64_t due_us = op->now_us + for_us;
    TRY(attempt_note(op, tx, jobs, &job->aside, lease, JOB_SNOOZED, NULL));
    job->aside.late = 0;
    TRY(lease_end(op, tx, jobs, lease, false));
    return job_put(op, tx, jobs, job->queue, job, due_us, JOB_SCHEDULED, false);
}

/* An application that answered 202 holds its lease without a session, and its lateness is no crash. */
static bool is_crash(const struct lease *lease, enum fault fault)
{
    return fault == FAULT_LOST ||
           (fault == FAULT_EXPIRED && !lease->session && !str_given(lease->queue->policy.handler));
}

static enum job_death death_of(const struct job_failure *failure, bool poison)
{
    if (poison)
        return DEATH_POISON;
    if (failure->final)
        return failure->gone ? DEATH_HANDLER_GONE : DEATH_FINAL;
    return DEATH_EXHAUSTED;
}

enum err lease_fail(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease,
                    const struct job_failure *given, enum fault fault)
{
    struct job_known job;
    struct job_failure failure = given ? *given
                                       : (struct job_failure){ .errtype = str_of(faults[fault].errtype),
                                                               .message = str_of(faults[fault].message) };
    TRY(lease_know(op, tx, jobs, lease, &job));
    assert(job.lease == lease);
    jobs_touch(jobs, tx);
    struct queue *queue = job.queue;
    if (failure.snooze_us && snooze_allowed(jobs, tx, &job.aside))
        return snooze(op, tx, jobs, &job, failure.snooze_us);

    const struct retry_policy *retry = &queue->policy.retry;
    int64_t max = job.opts.retry != JOB_NO_RETRY ? job.opts.retry : retry->max;
    bool crash = failure.crash || is_crash(lease, fault),
         poison = crash && crash_is_poison(jobs, tx, queue, &job.aside);
    int64_t started_us = lease->started_us;
    struct str worker = arena_str(op->arena, lease->worker);
    TRY(attempt_note(op, tx, jobs, &job.aside, lease, faults[fault].outcome, &failure));
    queue->counts.processed++;
    queue->counts.failures++;
    jobs->totals.lost += fault == FAULT_LOST;
    int64_t count = job.aside.failures++;
    job.aside.late = fault != FAULT_FAILED;
    job.aside.snoozes = failure.snooze_us ? job.aside.snoozes : 0;
    bool dies = poison || failure.final || max < 0 || (count >= max && !failure.retry_in_us);
    bool at_once = fault == FAULT_LOST && job.aside.crashes == 1;
    int64_t delay_us = at_once               ? 0
                       : failure.retry_in_us ? failure.retry_in_us
                                             : retry_delay_us(retry, count, rng_next(&jobs->rng));
    failure_write(op, &job.aside, max, dies ? 0 : op->now_us + delay_us,
                  clean(op, failure.errtype, JOB_ERRTYPE_BYTES_MAX), clean(op, failure.message, JOB_MESSAGE_BYTES_MAX),
                  backtrace_json(op, &failure));
    TRY(batch_failed(op, tx, jobs, &job));
    TRY(lease_end(op, tx, jobs, lease, false));
    job.lease = NULL;
    if (dies && max == 0 && !poison && !failure.final)
        return job_finish(op, tx, jobs, &job, JOB_DISCARDED, started_us, worker);
    if (dies)
        return job_kill(op, tx, jobs, &job, death_of(&failure, poison));
    return job_put(op, tx, jobs, queue, &job, at_once ? 0 : op->now_us + delay_us, JOB_RETRY, false);
}

enum err attempts_json(struct op *op, struct tx *tx, uint64_t id, struct str *ret)
{
    struct attempt_row rows[ATTEMPTS_KEPT];
    struct buf buf;
    struct json_writer w;
    int n;
    TRY(store_attempt_list(op, tx, id, rows, &n));
    buf_init_arena(&buf, op->arena, ATTEMPTS_KEPT * (size_t)FAILURE_BYTES_MAX);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (int i = 0; i < n; i++)
        attempt_write(&w, &rows[i]);
    json_array_end(&w);
    *ret = buf_str(&buf);
    return OK;
}

static void put_us(struct json_writer *w, const char *name, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, us ? instant_text(us, 6, text) : (struct str){ 0 });
}

void attempt_write(struct json_writer *w, const struct attempt_row *row)
{
    json_object_begin(w);
    json_member_int(w, "n", row->n);
    json_member_str(w, "worker", row->worker);
    put_us(w, "started_at", row->started_us);
    put_us(w, "ended_at", row->ended_us);
    json_member_str(w, "outcome", str_of(job_outcome_name((enum job_outcome)row->outcome)));
    json_put_name(w, "error");
    if (str_given(row->errtype)) {
        json_object_begin(w);
        json_member_str(w, "errtype", row->errtype);
        json_member_str(w, "message", row->message);
        json_object_end(w);
    } else {
        json_put_null(w);
    }
    if (str_given(row->backtrace))
        json_member_raw(w, "backtrace", row->backtrace);
    else
        json_member_null(w, "backtrace");
    json_object_end(w);
}
