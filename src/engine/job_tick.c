/*
 * job_tick.c - what time brings: due timers, leases that end, waits that end, limits that open.
 *
 * One call does at most a slice of each and says when the next is useful. The
 * ticker of the process sleeps until then, or until jobs_due wakes it.
 *
 * Where several nodes share the store each has a ticker. What has an instant - a
 * timer, the end of a lease, a schedule - is done by whoever has the turn first:
 * that it is due, and that it is done, is read and written in one transaction under
 * the node's fence, so it happens once, and never later because one of them died.
 * What has none, the sweeps, is done by the node that leads.
 */
#include "engine/jobs_own.h"

#include <stdlib.h>

#include "store/seq.h"
#include "store/store_duty.h"

#define TIMERS_MAX    1000                    /* moved in one transaction (RETRY-1) */
#define LEASES_STEP   500                     /* ended in one transaction */
#define SESSIONS_US   INT64_C(250000)         /* between two looks at all sessions */
#define KEYS_IDLE_MAX 1000                    /* keys of a queue, before those that are idle are forgotten */
#define RECOUNT_US    (INT64_C(60) * 1000000) /* QUE-2 */
#define METRICS_US    INT64_C(1000000)
#define SWEEP_US      (INT64_C(10) * 1000000)
#define SWEEP_SHARE   500000         /* ppm of the time that slices of a sweep take at most */
#define AHEAD_US      SWEEP_US       /* how far ahead the next timer is looked for: there is a tick by then */
#define DEAF_US       (2 * SWEEP_US) /* without a tick: there is one at least for each sweep */

/* --- timers --- */

static enum err timer_fire(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t id)
{
    struct job_known job;
    bool found;
    TRY(job_know(op, tx, jobs, id, &job, &found));
    if (!found || (job.state != JOB_SCHEDULED && job.state != JOB_RETRY))
        return fail(op, ERR_BUG, "job %llu has a timer and does not wait for it", (unsigned long long)id);
    jobs_touch(jobs, tx);
    TRY(job_lift(op, tx, jobs, &job));
    if (job.opts.expires_at_us && job.opts.expires_at_us <= op->now_us)
        return job_finish(op, tx, jobs, &job, JOB_EXPIRED, 0, (struct str){ 0 });
    return job_put(op, tx, jobs, job.queue, &job, 0, JOB_SCHEDULED, false);
}

/* Those that are due, a slice of them. *first_us is before when there is none, then as well. */
static enum err timers_fire(struct op *op, struct tx *tx, struct jobs *jobs, enum timer_kind kind, int64_t *first_us)
{
    struct timer_row rows[TIMERS_MAX], from = { *first_us, 0 };
    int64_t until_us = op->now_us + AHEAD_US;
    int n;
    TRY(store_timer_walk(op, tx, kind, &from, op->now_us, TIMERS_MAX, rows, &n));
    for (int i = 0; i < n; i++)
        TRY(timer_fire(op, tx, jobs, rows[i].id));
    from = n == TIMERS_MAX ? rows[n - 1] : (struct timer_row){ op->now_us, UINT64_MAX >> 1 };
    TRY(store_timer_walk(op, tx, kind, &from, until_us, 1, rows, &n));
    *first_us = n ? rows[0].due_us : until_us + 1;
    return OK;
}

static enum err timers_tick(struct op *op, struct tx *tx, struct jobs *jobs, enum timer_kind kind)
{
    int64_t *first_us = &jobs->first.timer_us[kind];
    if (*first_us <= op->now_us)
        TRY(timers_fire(op, tx, jobs, kind, first_us));
    jobs_due(jobs, *first_us - (op->now_us - jobs_engine_us(jobs, tx)));
    return OK;
}

/* --- leases --- */

static enum err lease_over(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, int64_t now_us)
{
    if (lease->until_us <= now_us) {
        if (lease->session)
            session_revoked(jobs, lease->session, lease);
        return lease_fail(op, tx, jobs, lease, NULL,
                          lease->hard_us && lease->hard_us <= now_us ? FAULT_TIMEOUT : FAULT_EXPIRED);
    }
    struct job_known job;
    TRY(lease_know(op, tx, jobs, lease, &job));
    return lease_return(op, tx, jobs, &job);
}

static enum err leases_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us)
{
    struct lease *over[LEASES_STEP];
    int n = 0;
    int64_t next_us = NEVER_US;
    if (now_us < jobs->next_lease_us) {
        jobs_due(jobs, jobs->next_lease_us);
        return OK;
    }
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next) {
            int64_t due_us = lease_due_us(jobs, lease);
            if (due_us <= now_us && n < LEASES_STEP)
                over[n++] = lease;
            else if (due_us < next_us)
                next_us = due_us;
        }
    jobs->next_lease_us = next_us;
    jobs_due(jobs, next_us);
    for (int i = 0; i < n; i++)
        TRY(lease_over(op, tx, jobs, over[i], now_us));
    return OK;
}

/* --- limits that open again --- */

static void keys_open(struct jobs *jobs, struct queue *queue, int64_t now_us)
{
    int64_t next_us = NEVER_US;
    for (size_t i = 0; i < queue->key_slots; i++)
        for (struct key_use *use = queue->keys[i]; use; use = use->next) {
            if (use->open_us > now_us) {
                next_us = use->open_us < next_us ? use->open_us : next_us;
                continue;
            }
            use->open_us = NEVER_US;
            if (queue->lanes)
                lanes_open_key(queue->lanes, use->key);
            queue_wants(jobs, queue);
        }
    queue->keys_open_us = next_us;
}

static void limits_tick(struct jobs *jobs, int64_t now_us)
{
    for (struct budget *budget = jobs->budgets; budget; budget = budget->next) {
        bool opens = budget->open_us <= now_us;
        if (!opens) {
            jobs_due(jobs, budget->open_us);
            continue;
        }
        budget->open_us = NEVER_US;
        for (size_t i = 0; i < jobs->by_no_room; i++)
            if (jobs->by_no[i] && jobs->by_no[i]->budget == budget)
                queue_wants(jobs, jobs->by_no[i]);
    }
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        struct queue *queue = jobs->by_no[i];
        if (!queue)
            continue;
        if (queue->open_us <= now_us) {
            queue->open_us = NEVER_US;
            queue_wants(jobs, queue);
        } else {
            jobs_due(jobs, queue->open_us);
        }
        if (queue->keys_open_us <= now_us)
            keys_open(jobs, queue, now_us);
        jobs_due(jobs, queue->keys_open_us);
    }
}

/* --- slots are leases (QUE-2) --- */

enum err slots_recount(struct op *op, struct tx *tx, struct jobs *jobs)
{
    int64_t *leased;
    TRY(op_alloc(op, (jobs->by_no_room + 1) * sizeof *leased, &leased));
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (const struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next)
            leased[lease->queue->no]++;
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        struct queue *queue = jobs->by_no[i];
        if (!queue || queue->counts.leased == leased[i])
            continue;
        jobs->totals.slot_repairs++;
        queue->counts.leased = leased[i];
        queue_changed(jobs, tx, queue);
    }
    return OK;
}

/* Of many keys each comes once: what is in RAM of those that are idle goes, at every node. */
static void keys_forget(struct jobs *jobs, int64_t now_us)
{
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i] && jobs->by_no[i]->key_count >= KEYS_IDLE_MAX)
            queue_keys_sweep(jobs->by_no[i], now_us);
}

/* --- what other nodes say --- */

/* A process that was frozen, or whose store was away, has heard of nothing meanwhile. */
static void hearing_tick(struct jobs *jobs, struct tx *tx, int64_t now_us)
{
    if (jobs->log.on && now_us - jobs->ticked_us > DEAF_US)
        jobs->heard_us = now_us;
    jobs->ticked_us = now_us;
    if (now_us >= jobs->swept_us && jobs_has_untold(jobs))
        jobs_touch(jobs, tx);
}

/* --- what only one node does (NODE-2) --- */

/* The lease is looked at in the transaction that writes what was swept. */
static enum err may_sweep(struct op *op, struct tx *tx, const struct duty *lead, bool *ret_may)
{
    struct op aside = { .arena = op->arena };
    *ret_may = !lead || lead->term != 0;
    if (!lead || lead->term == 0)
        return OK;
    enum err err = store_duty_check(&aside, tx, lead);
    *ret_may = err == OK;
    return err == ERR_CONFLICT ? OK : op_inherit(op, err, &aside);
}

static enum err sweep_tick(struct op *op, struct tx *tx, struct jobs *jobs, const struct duty *lead, int64_t now_us)
{
    bool may, more = false;
    jobs->sweeps_on = false;
    if (now_us < jobs->swept_us)
        return OK;
    TRY(may_sweep(op, tx, lead, &may));
    if (may)
        TRY(jobs_sweep(op, tx, jobs, &more));
    jobs->sweeps_on = more;
    jobs->swept_us = now_us + (more ? jobs->sweep_rest_us : SWEEP_US);
    return OK;
}

void jobs_tick_took(struct jobs *jobs, int64_t took_us, bool is_crowded)
{
    if (!jobs->sweeps_on)
        return;
    own_pace_took(&jobs->sweep_pace, took_us, is_crowded);
    jobs->sweep_rest_us = took_us + own_pace_rest_ms(took_us, SWEEP_SHARE, is_crowded) * 1000;
}

/* --- workers that are lost (LEASE-6) --- */

/* All are looked at now and then. What a lost one holds ends at once, a slice a tick: between them others have the
 * writer. */
static enum err look_at_sessions(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us)
{
    bool more = false;
    if (now_us - jobs->sessions_us < SESSIONS_US) {
        if (jobs->session_count)
            jobs_due(jobs, jobs->sessions_us + SESSIONS_US);
        return OK;
    }
    TRY(sessions_tick(op, tx, jobs, now_us, &more));
    jobs->sessions_us = more ? now_us - SESSIONS_US : now_us;
    if (more)
        jobs_due(jobs, now_us);
    return OK;
}

/* --- the whole --- */

static enum err tick_slices(struct op *op, struct tx *tx, struct jobs *jobs, const struct duty *lead, int64_t now_us)
{
    TRY(jobs_clock_check(op, tx, jobs));
    hearing_tick(jobs, tx, now_us);
    TRY(timers_tick(op, tx, jobs, TIMER_SCHEDULED));
    TRY(timers_tick(op, tx, jobs, TIMER_RETRY));
    TRY(leases_tick(op, tx, jobs, now_us));
    TRY(batches_tick(op, tx, jobs, now_us));
    TRY(progress_tick(op, tx, jobs, now_us));
    TRY(schedules_tick(op, tx, jobs));
    waits_over(tx, jobs, now_us);
    limits_tick(jobs, now_us);
    TRY(look_at_sessions(op, tx, jobs, now_us));
    if (now_us - jobs->recounted_us >= RECOUNT_US) {
        jobs->recounted_us = now_us;
        TRY(slots_recount(op, tx, jobs));
        keys_forget(jobs, now_us);
    }
    if (now_us - jobs->shown_us >= METRICS_US) {
        jobs->shown_us = now_us;
        jobs_metrics(jobs, tx);
    }
    TRY(sweep_tick(op, tx, jobs, lead, now_us));
    jobs_due(jobs, jobs->swept_us);
    return jobs_serve(op, tx, jobs);
}

enum err jobs_tick(struct op *op, struct tx *tx, const struct duty *lead, int64_t *ret_next_us)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    int64_t now_us = jobs_engine_us(jobs, tx);
    atomic_store(&jobs->next_us, NEVER_US);
    jobs->ticking = true;
    enum err err = tick_slices(op, tx, jobs, lead, now_us);
    jobs->ticking = false;
    TRY(err);
    int64_t next_us = atomic_load(&jobs->next_us);
    *ret_next_us = next_us > now_us ? next_us - now_us : 0;
    return OK;
}
