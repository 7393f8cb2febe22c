/*
 * job_lab.h - the job machine over a store in memory, with time by hand.
 *
 * Each call is one command in a transaction of its own. A fetch that waits is
 * sent as a post; lab_turn runs what is posted.
 */
#pragma once

#include "engine/job_act.h"
#include "engine/job_budget.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_own.h"
#include "engine/job_push.h"
#include "engine/job_queue.h"
#include "engine/job_read.h"
#include "engine/jobs.h"
#include "store_test.h"

#define LAB_JOBS_MAX 1000

struct lab {
    struct fixture f;
    struct jobs *jobs;
    enum job_door door;
    struct session_id session; /* who fetches and ends */
    struct job_out jobs_out[LAB_JOBS_MAX];
    int count;
    bool is_silent; /* nobody says that what was fetched reached its worker */
    int64_t tick_next_us;
};

/* Where several share a database each is a node of its own, by whatever name. */
static inline void lab_open_jobs(struct lab *lab)
{
    struct str node = arena_fmt(lab->f.arena, "lab %p", (void *)lab);
    struct jobs_config config = { .store = lab->f.store, .node = node, .seed = 7 };
    SUCCEEDS(&lab->f.op, jobs_open(&lab->f.op, &config, &lab->jobs));
}

/* One more process on the first one's database. */
static inline void lab_join(struct lab *lab, const struct lab *first)
{
    memset(lab, 0, sizeof *lab);
    lab->f = first->f;
    struct store_config config = fixture_config(&lab->f);
    SUCCEEDS(&lab->f.op, store_open(&lab->f.op, &config, &lab->f.store));
    lab_open_jobs(lab);
}

static inline void lab_leave(struct lab *lab)
{
    store_close(lab->f.store);
    jobs_close(lab->jobs);
}

static inline void lab_start(struct lab *lab)
{
    memset(lab, 0, sizeof *lab);
    fixture_start(&lab->f);
    lab_open_jobs(lab);
}

static inline void lab_start_file(struct lab *lab)
{
    memset(lab, 0, sizeof *lab);
    fixture_start_file(&lab->f);
    lab_open_jobs(lab);
}

static inline void lab_reopen(struct lab *lab)
{
    store_close(lab->f.store);
    lab->f.store = NULL;
    jobs_close(lab->jobs);
    fixture_open(&lab->f);
    lab_open_jobs(lab);
}

static inline void lab_end(struct lab *lab)
{
    store_close(lab->f.store);
    lab->f.store = NULL;
    jobs_close(lab->jobs);
    fixture_end(&lab->f);
}

static inline void lab_wait_ms(struct lab *lab, int64_t ms)
{
    lab->f.op.now_us += ms * 1000;
}

/* --- push --- */

struct lab_push {
    struct lab *lab;
    struct job_spec spec;
    struct job_pushed pushed;
};

static inline enum err lab_push_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_push *push = (struct lab_push *)arg;
    return job_push(op, tx, &push->spec, 1, false, &push->pushed);
}

static inline struct job_reader lab_reader(struct lab *lab)
{
    return (struct job_reader){ lab->door, siphash_key_from(store_hash_key(lab->f.store)), JOB_BYTES_DEFAULT, false };
}

/* The answer to one job; its members beside args are given: lab_push(&lab, "\"jid\":\"job-0001\""). */
static inline struct job_pushed lab_push(struct lab *lab, const char *members)
{
    struct lab_push push = { .lab = lab };
    struct job_reader reader = lab_reader(lab);
    bool args = strstr(members, "\"args\"") != NULL, type = strstr(members, "\"jobtype\"") != NULL;
    struct str text = arena_fmt(lab->f.arena, "{%s%s%s%s}", members, *members && (!args || !type) ? "," : "",
                                type   ? ""
                                : args ? "\"jobtype\":\"t\""
                                       : "\"jobtype\":\"t\",",
                                args ? "" : "\"args\":[]");
    SUCCEEDS(&lab->f.op, job_read(&lab->f.op, &reader, text, &push.spec));
    WRITES(&lab->f, lab_push_run, &push);
    return push.pushed;
}

/* A job `jid` in `queue`, with more members (",..." or ""). */
static inline enum job_push_result lab_job(struct lab *lab, const char *queue, const char *jid, const char *more)
{
    struct str text = arena_fmt(lab->f.arena, "\"jid\":\"%s\",\"queue\":\"%s\"%s", jid, queue, more);
    return lab_push(lab, text.p).result;
}

/* --- fetch --- */

struct lab_fetch {
    struct post post;
    struct job_fetch fetch;
    struct str queues[8];
};

static inline enum err lab_fetch_run(struct op *op, struct tx *tx, void *arg)
{
    return job_fetch(op, tx, &((struct lab_fetch *)arg)->fetch);
}

static inline int lab_fetch(struct lab *lab, const char *queue, int max)
{
    struct lab_fetch fetch = { 0 };
    fetch.queues[0] = str_of(queue);
    fetch.fetch = (struct job_fetch){
        .post = &fetch.post, .queues = fetch.queues, .queue_count = 1, .max = max, .session = lab->session
    };
    WRITES(&lab->f, lab_fetch_run, &fetch);
    lab->count = fetch.fetch.count;
    for (int i = 0; i < lab->count; i++) {
        lab->jobs_out[i] = fetch.fetch.jobs[i];
        if (!lab->is_silent)
            job_delivered(lab->jobs, lab->jobs_out[i].lease);
    }
    return lab->count;
}

/* The jids that the next fetches of one job each give, behind each other. */
static inline struct str lab_order(struct lab *lab, const char *queue, int n)
{
    struct str order = S("");
    for (int i = 0; i < n && lab_fetch(lab, queue, 1); i++)
        order = arena_fmt(lab->f.arena, "%.*s%s%.*s", STR(order), i ? " " : "", STR(lab->jobs_out[0].jid));
    return order;
}

/* --- our own work, a runner by hand --- */

static inline enum err lab_own_fetch_run(struct op *op, struct tx *tx, void *arg)
{
    return job_fetch(op, tx, arg);
}

static inline enum err lab_own_step_run(struct op *op, struct tx *tx, void *arg)
{
    return own_step(op, tx, arg);
}

static inline struct job_lease lab_lease(struct lab *lab, const struct job_out *job);

/* The next job of a queue of ours, leased; its texts live as long as the lab. Its jid is that of jobs_out[0]. */
static inline struct own_turn lab_own_begin(struct lab *lab, const char *queue, int rows)
{
    static struct post post;
    struct str name = str_of(queue);
    struct job_fetch fetch = { .post = &post, .queues = &name, .queue_count = 1, .max = 1, .inside = true };
    WRITES(&lab->f, lab_own_fetch_run, &fetch);
    EQ(fetch.count, 1);
    lab->jobs_out[0] = (struct job_out){ .jid = arena_str(lab->f.arena, fetch.jobs[0].jid) };
    return (struct own_turn){ .lease = lab_lease(lab, &fetch.jobs[0]),
                              .jobtype = arena_str(lab->f.arena, fetch.jobs[0].jobtype),
                              .body = arena_str(lab->f.arena, fetch.jobs[0].body),
                              .rows = rows,
                              .eta_s = -1 };
}

/* Steps until it is over; how many. */
static inline int lab_own_finish(struct lab *lab, struct own_turn *turn)
{
    int steps = 0;
    do
        WRITES(&lab->f, lab_own_step_run, turn);
    while (++steps < 1000 && !turn->is_over && !turn->is_yielding);
    return steps;
}

/* --- ends --- */

struct lab_end_call {
    struct job_ref ref;
    struct job_failure failure;
    bool fails;
    int64_t for_us, until_us;
    enum job_stale stale;
};

static inline enum err lab_end_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_end_call *call = (struct lab_end_call *)arg;
    if (call->for_us)
        return job_extend(op, tx, &call->ref, call->for_us, &call->stale, &call->until_us);
    return call->fails ? job_fail(op, tx, &call->ref, &call->failure, &call->stale)
                       : job_ack(op, tx, &call->ref, &call->stale);
}

static inline enum job_stale lab_ack(struct lab *lab, const char *jid)
{
    struct lab_end_call call = { .ref = { .by_jid = true, .jid = str_of(jid), .session = lab->session } };
    WRITES(&lab->f, lab_end_run, &call);
    return call.stale;
}

static inline enum job_stale lab_fail_with(struct lab *lab, const char *jid, const struct job_failure *failure)
{
    struct lab_end_call call = { .ref = { .by_jid = true, .jid = str_of(jid), .session = lab->session },
                                 .fails = true,
                                 .failure = *failure };
    WRITES(&lab->f, lab_end_run, &call);
    return call.stale;
}

static inline enum job_stale lab_fail(struct lab *lab, const char *jid)
{
    struct job_failure failure = { .errtype = S("E"), .message = S("m") };
    return lab_fail_with(lab, jid, &failure);
}

static inline enum err lab_lease_of(struct op *op, struct tx *tx, void *arg)
{
    struct {
        struct job_out job;
        struct job_lease lease;
    } *both = arg;
    (void)op;
    both->lease = job_lease_of(tx, &both->job);
    return OK;
}

static inline struct job_lease lab_lease(struct lab *lab, const struct job_out *job)
{
    struct {
        struct job_out job;
        struct job_lease lease;
    } both = { .job = *job };
    WRITES(&lab->f, lab_lease_of, &both);
    return both.lease;
}

static inline enum job_stale lab_ack_lease(struct lab *lab, struct job_lease lease)
{
    struct lab_end_call call = { .ref = { .lease = lease } };
    WRITES(&lab->f, lab_end_run, &call);
    return call.stale;
}

/* --- time --- */

static inline enum err lab_tick_run(struct op *op, struct tx *tx, void *arg)
{
    return jobs_tick(op, tx, NULL, (int64_t *)arg);
}

static inline void lab_tick(struct lab *lab)
{
    WRITES(&lab->f, lab_tick_run, &lab->tick_next_us);
}

/* Lets so much time pass in steps no longer than the machine asks for, at most 1 s each. */
static inline void lab_pass_ms(struct lab *lab, int64_t ms)
{
    int64_t end_us = lab->f.op.now_us + ms * 1000;
    while (lab->f.op.now_us < end_us) {
        int64_t step_us = lab->tick_next_us < 1000 ? 1000 : lab->tick_next_us > 1000000 ? 1000000 : lab->tick_next_us;
        lab->f.op.now_us += step_us < end_us - lab->f.op.now_us ? step_us : end_us - lab->f.op.now_us;
        lab_tick(lab);
    }
}

/* --- queues and actions --- */

struct lab_queue {
    struct str name;
    struct queue_patch patch;
    struct queue_view view;
};

static inline enum err lab_patch_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_queue *queue = (struct lab_queue *)arg;
    return queue_patch(op, tx, queue->name, &queue->patch);
}

static inline enum err lab_view_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_queue *queue = (struct lab_queue *)arg;
    return queue_get(op, tx, queue->name, &queue->view);
}

static inline void lab_policy(struct lab *lab, const char *name, const char *policy)
{
    struct lab_queue queue = { .name = str_of(name), .patch = { str_of(policy), -1, -1 } };
    WRITES(&lab->f, lab_patch_run, &queue);
}

static inline struct queue_view lab_view(struct lab *lab, const char *name)
{
    struct lab_queue queue = { .name = str_of(name) };
    WRITES(&lab->f, lab_view_run, &queue);
    return queue.view;
}

struct lab_act {
    struct str jid;
    enum job_action action;
    enum job_state state;
};

static inline enum err lab_act_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_act *act = (struct lab_act *)arg;
    return job_act(op, tx, act->jid, act->action, &act->state);
}

/* JOB_NONE when it was refused. */
static inline enum job_state lab_act(struct lab *lab, const char *jid, enum job_action action)
{
    struct lab_act act = { .jid = str_of(jid), .action = action };
    return store_write(&lab->f.op, lab->f.store, lab_act_run, &act) == OK ? act.state : JOB_NONE;
}
