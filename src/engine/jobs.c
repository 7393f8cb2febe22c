#include "engine/jobs_own.h"

#include <stdlib.h>
#include <string.h>

#include "engine/job_log.h"
#include "engine/job_own.h"
#include "store/seq.h"
#include "store/store_done.h"

#define SWEEP_REST_US INT64_C(20000)   /* until it is known how long a slice takes */
#define LAG_STEP_US   INT64_C(1000000) /* a clock that moves more than this against engine time was set */

static void jobs_unload(struct jobs *jobs)
{
    wishes_clear(jobs);
    leases_unload(jobs);
    queues_unload(jobs);
    budgets_unload(jobs);
    sessions_unload(jobs);
    finished_unload(jobs);
    first_forget(&jobs->first);
    jobs->loaded = false;
}

/* --- time --- */

int64_t jobs_engine_us(const struct jobs *jobs, struct tx *tx)
{
    return tx_mono_us(tx) + jobs->base_us;
}

int64_t jobs_wall_us(const struct jobs *jobs, int64_t engine_us)
{
    return engine_us + jobs->lag_us;
}

/* Engine time goes on from the wall clock, less what the clock was wrong by in runs before (LEASE-9). */
static enum err clock_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    int64_t lag;
    bool first = !jobs->based;
    TRY(store_job_clock_get(op, tx, &lag));
    if (first) {
        jobs->base_us = op->now_us - lag - tx_mono_us(tx);
        int64_t newest = (int64_t)store_seq_newest(tx, SEQ_JOB);
        if (jobs_engine_us(jobs, tx) < newest) /* the clock went back while nobody looked */
            jobs->base_us = newest - tx_mono_us(tx);
        jobs->based = true;
    }
    jobs->stored_lag_us = lag;
    if (first)
        jobs->lag_us = lag;
    return OK;
}

enum err jobs_clock_check(struct op *op, struct tx *tx, struct jobs *jobs)
{
    int64_t lag = op->now_us - jobs_engine_us(jobs, tx);
    jobs->lag_us = lag;
    if (llabs(lag - jobs->stored_lag_us) < LAG_STEP_US)
        return OK;
    jobs_touch(jobs, tx);
    jobs->stored_lag_us = lag;
    return store_job_clock_put(op, tx, lag);
}

uint64_t jobs_stamp(struct jobs *jobs, struct tx *tx)
{
    uint64_t now = (uint64_t)jobs_engine_us(jobs, tx), next = store_seq_newest(tx, SEQ_JOB) + 1;
    uint64_t stamp = now > next ? now : next;
    store_seq_reach(tx, SEQ_JOB, stamp);
    return stamp;
}

/* --- reading the rows --- */

static enum err load_lease(void *arg, const struct lease_row *lease, const struct job_row *job)
{
    struct jobs *jobs = arg;
    struct op op = { .arena = jobs->arena };
    struct job_opts opts;
    TRY(job_opts_read(&op, job->flags, job->opts, &opts));
    lease_new(jobs, lease, job, &opts);
    return OK;
}

static enum err jobs_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    bool first = !jobs->based;
    arena_reset(jobs->arena);
    TRY(clock_load(op, tx, jobs));
    TRY(budgets_load(op, tx, jobs));
    TRY(queues_load(op, tx, jobs));
    TRY(sessions_load(op, tx, jobs));
    TRY(store_lease_each(op, tx, load_lease, jobs));
    TRY(finished_load(op, tx, jobs));
    TRY(slots_recount(op, tx, jobs));
    budgets_recount(jobs);
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i])
            queue_recount_keys(jobs, jobs->by_no[i]);
    if (first)
        jobs->boot_us = jobs->heard_us = jobs->ticked_us = jobs_engine_us(jobs, tx);
    TRY(undelivered_load(op, tx, jobs, first));
    log_loaded(tx, jobs);
    jobs->next_lease_us = 0;
    jobs->batches_due_us = 0;
    jobs->schedules_next_us = INT64_MIN;
    jobs->runs_look = true;
    jobs->loaded = true;
    waits_reattach(jobs);
    jobs_due(jobs, jobs_engine_us(jobs, tx));
    return OK;
}

enum err jobs_begin(struct op *op, struct tx *tx, struct jobs **ret)
{
    struct jobs *jobs = jobs_of(tx);
    *ret = jobs;
    if (jobs->loaded)
        return OK;
    struct op own;
    op_init(&own, jobs->arena, op->now_us);
    enum err err = jobs_load(&own, tx, jobs);
    if (err == OK)
        return OK;
    jobs_unload(jobs);
    return op_inherit(op, err, &own);
}

void jobs_touch(struct jobs *jobs, struct tx *tx)
{
    jobs->touched = true;
    tx_wrote(tx);
}

uint64_t jobs_hash(const struct jobs *jobs, struct str text)
{
    return siphash64(jobs->key, text.p, text.n);
}

void jobs_due(struct jobs *jobs, int64_t engine_us)
{
    if (engine_us >= atomic_load(&jobs->next_us))
        return;
    atomic_store(&jobs->next_us, engine_us);
    if (jobs->config.wake && !jobs->ticking)
        jobs->config.wake(jobs->config.data);
}

/* --- ends of groups --- */

static enum err watch_flush(struct op *op, struct tx *tx, void *data)
{
    struct jobs *jobs = data;
    if (!jobs->loaded)
        return OK;
    TRY(batches_write(op, tx, jobs));
    TRY(ready_write(op, tx, jobs));
    TRY(queues_flush(op, tx, jobs));
    TRY(done_flush(op, tx, jobs));
    TRY(news_flush(op, tx, jobs));
    undelivered_flush(tx, jobs);
    return log_flush(op, tx, jobs);
}

static void watch_kept(void *data)
{
    struct jobs *jobs = data;
    jobs->touched = false;
    progress_group(jobs, true);
    batches_drop(jobs);
    log_kept(jobs);
    undelivered_kept(jobs);
    sessions_kept(jobs);
    waits_kept(jobs);
}

static void watch_drop(void *data)
{
    struct jobs *jobs = data;
    wishes_clear(jobs);
    jobs->pending_count = 0;
    done_drop(jobs);
    news_drop(jobs);
    progress_group(jobs, false);
    batches_drop(jobs);
    log_drop(jobs);
    sessions_drop(jobs);
    waits_drop(jobs);
    if (jobs->touched)
        jobs_unload(jobs);
    jobs->touched = false;
}

static void forget_all(struct jobs *jobs)
{
    jobs->touched = true;
    watch_drop(jobs);
}

/* Another node changed rows: what it did is laid over RAM, or all of it is read again by the next command that asks. */
static enum err watch_foreign(struct op *op, struct tx *tx, bool anew, void *data)
{
    struct jobs *jobs = data;
    bool whole = false;
    enum err err = OK;
    wishes_clear(jobs); /* the commands are asked again */
    if (!jobs->loaded)
        return OK;
    if (!anew)
        err = log_follow(op, tx, jobs, &whole);
    if (!whole)
        forget_all(jobs);
    jobs->schedules_next_us = INT64_MIN; /* the next tick looks: another node may have made one */
    return err;
}

static enum err watch_ask(struct op *op, struct tx *tx, void *data)
{
    struct jobs *jobs = data;
    if (jobs->loaded && tx_expects_news(tx))
        TRY(log_ask(op, tx, jobs));
    return wishes_send(op, tx, jobs);
}

static enum err watch_ahead(struct op *op, struct tx *tx, void *data)
{
    return wishes_ask(op, tx, data);
}

/* --- open and close --- */

static enum err first_load(struct op *op, struct tx *tx, void *arg)
{
    struct jobs *jobs;
    (void)arg;
    return jobs_begin(op, tx, &jobs);
}

enum err jobs_open(struct op *op, const struct jobs_config *config, struct jobs **ret_jobs)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (!jobs)
        abort();
    jobs->config = *config;
    jobs->key = siphash_key_from(store_hash_key(config->store));
    jobs->config.node = (struct str){ 0 }; /* it was borrowed */
    jobs->arena = arena_new(64 << 20);
    log_open(jobs, store_is_shared(config->store));
    if (jobs->log.on && str_given(config->node))
        jobs->node = jobs_hash(jobs, config->node);
    atomic_store(&jobs->next_us, NEVER_US);
    undelivered_init(&jobs->undelivered);
    first_forget(&jobs->first);
    jobs->sweep_pace = own_pace_begin(S(OWN_QUEUE));
    jobs->sweep_rest_us = SWEEP_REST_US;
    pthread_mutex_init(&jobs->ears_lock, NULL);
    rng_init(&jobs->rng, config->seed ? config->seed : random_u64());
    struct store_watch watch = { jobs, watch_flush, watch_kept, watch_drop, watch_foreign, watch_ask, watch_ahead };
    store_watch(config->store, &watch);
    enum err err = store_write(op, config->store, first_load, NULL);
    if (err != OK) {
        struct store_watch none = { 0 };
        store_watch(config->store, &none);
        jobs_close(jobs);
        return err;
    }
    *ret_jobs = jobs;
    return OK;
}

void jobs_close(struct jobs *jobs)
{
    if (!jobs)
        return;
    waits_drop(jobs);
    waits_all(NULL, jobs);
    jobs_unload(jobs);
    progress_free(jobs);
    batches_drop(jobs);
    sessions_free(jobs);
    free(jobs->pending);
    free(jobs->done);
    news_free(jobs);
    heap_free(&jobs->ends);
    wishes_free(jobs);
    log_close(jobs);
    undelivered_done(&jobs->undelivered);
    pthread_mutex_destroy(&jobs->ears_lock);
    arena_free(jobs->arena);
    free(jobs);
}

struct jobs *jobs_of(struct tx *tx)
{
    return tx_watch(tx);
}

void jobs_disk_low(struct jobs *jobs, bool low)
{
    atomic_store(&jobs->disk_low, low);
}

enum err jobs_stop_leasing(struct op *op, struct tx *tx)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    jobs->stopping = true;
    waits_all(tx, jobs);
    return OK;
}

void job_totals(struct tx *tx, struct job_totals *ret)
{
    struct jobs *jobs = jobs_of(tx);
    *ret = jobs->totals;
    for (size_t i = 0; i < jobs->queue_slots; i++)
        for (const struct queue *queue = jobs->queues[i]; queue; queue = queue->hash_next) {
            ret->ready += queue->counts.ready;
            ret->leased += queue->counts.leased;
            ret->scheduled += queue->counts.scheduled;
            ret->retry += queue->counts.retry;
            ret->blocked += queue->counts.blocked;
            ret->dead += queue->counts.dead;
            ret->pushed += queue->counts.pushed;
            ret->processed += queue->counts.processed;
            ret->failures += queue->counts.failures;
            ret->queues += queue->no && !queue->gone;
        }
    ret->sessions = session_count(tx);
}
