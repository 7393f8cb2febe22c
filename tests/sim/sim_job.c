/*
 * sim_job.c - workers, crashes and clocks against the job machine.
 *
 * Some jids, some workers, a few queues with limits. Each step one of them does
 * something: pushes, fetches, acks with a lease that may be old, fails, goes
 * away, comes back; or time passes; or the machine dies between two steps. What
 * was answered is written down. Afterwards:
 *
 *   - every push that was answered is acked, waiting, leased, retrying or dead;
 *   - a job that was acked is not handed out again;
 *   - only the newest lease of a job can end it, and it ends once;
 *   - of one mutex one job is leased, and no queue has more than its slots;
 *   - every counter, lock and gate is what the rows say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_opts.h"
#include "engine/job_push.h"
#include "engine/job_queue.h"
#include "engine/job_read.h"
#include "engine/job_view.h"
#include "engine/jobs.h"
#include "machine.h"
#include "store/store_lease.h"

#define JIDS    24
#define WORKERS 4
#define QUEUES  3
#define HELD    64
#define STEPS   220
#define SLOTS   2 /* of queue q0 */

enum act { ACT_POLICY, ACT_PUSH, ACT_FETCH, ACT_ACK, ACT_FAIL, ACT_RETURN, ACT_JOIN, ACT_LEAVE, ACT_TICK };

struct held {
    int jid;
    struct job_lease lease;
};

struct action {
    struct command command;
    enum act act;
    int jid, worker, queue;
    char text[512];
    struct job_push_result_of {
        enum job_push_result result;
        enum job_state state;
    } pushed;
    struct session_id session;
    struct held held; /* fetched, or to end */
    int fetched;
    struct job_failure failure;
    enum job_stale stale;
};

struct jid {
    bool known;      /* its push was answered */
    bool acked;      /* and then its ack */
    uint64_t newest; /* number of its newest lease */
    char name[16];
};

static struct plan {
    struct rng rng;
    struct machine machine;
    struct jobs *jobs;
    struct jid jids[JIDS];
    struct session_id sessions[WORKERS];
    bool joined[WORKERS];
    struct held held[HELD];
    int held_count;
} plan;

static struct str name_of(int jid)
{
    return str_of(plan.jids[jid].name);
}

static int jid_of(struct str name)
{
    for (int i = 0; i < JIDS; i++)
        if (str_eq(name, name_of(i)))
            return i;
    seed_fails("a jid that nobody pushed");
}

static struct str queue_name(int queue)
{
    static const char *const names[QUEUES] = { "q0", "q1", "q2" };
    return str_of(names[queue]);
}

/* --- what actors do, in the writer --- */

static enum err run_push(struct op *op, struct tx *tx, struct action *a)
{
    struct job_reader reader = { JOB_HTTP, siphash_key_from(tx_hash_key(tx)), JOB_BYTES_DEFAULT, false };
    struct job_spec spec;
    struct job_pushed pushed;
    TRY(job_read(op, &reader, str_of(a->text), &spec));
    TRY(job_push(op, tx, &spec, 1, false, &pushed));
    a->pushed = (struct job_push_result_of){ pushed.result, pushed.state };
    return OK;
}

static enum err run_fetch(struct op *op, struct tx *tx, struct action *a)
{
    struct str queue = queue_name(a->queue);
    struct job_fetch fetch = {
        .post = &a->command.post, .queues = &queue, .queue_count = 1, .max = 1, .session = a->session
    };
    TRY(job_fetch(op, tx, &fetch));
    a->fetched = fetch.count;
    if (fetch.count)
        a->held = (struct held){ jid_of(fetch.jobs[0].jid), job_lease_of(tx, &fetch.jobs[0]) };
    return OK;
}

static enum err run_action(struct op *op, struct tx *tx, struct command *command)
{
    struct action *a = (struct action *)(void *)command;
    struct job_ref ref = { .lease = a->held.lease };
    int64_t next_us;
    switch (a->act) {
    case ACT_POLICY: {
        struct queue_patch patch = { S("{\"concurrency\":2}"), -1, -1 };
        return queue_patch(op, tx, queue_name(0), &patch);
    }
    case ACT_PUSH:
        return run_push(op, tx, a);
    case ACT_FETCH:
        return run_fetch(op, tx, a);
    case ACT_ACK:
        return job_ack(op, tx, &ref, &a->stale);
    case ACT_FAIL:
        return job_fail(op, tx, &ref, &a->failure, &a->stale);
    case ACT_RETURN:
        return job_return(op, tx, a->held.lease.id, a->held.lease.number);
    case ACT_JOIN: {
        char name[16];
        snprintf(name, sizeof name, "w-%d", a->worker);
        struct session_info info = { .name = str_of(name) };
        return session_join(op, tx, &info, &a->session);
    }
    case ACT_LEAVE:
        return session_leave(op, tx, a->session);
    case ACT_TICK:
        return jobs_tick(op, tx, NULL, &next_us);
    }
    return OK;
}

static void run(struct action *a)
{
    a->command.run = run_action;
    machine_run_one(&plan.machine, &a->command);
}

/* --- what the harness writes down --- */

static void forget_held(int at)
{
    plan.held[at] = plan.held[--plan.held_count];
}

static void do_push(void)
{
    struct action a = { .act = ACT_PUSH, .jid = (int)rng_below(&plan.rng, JIDS) };
    struct jid *jid = &plan.jids[a.jid];
    int n = snprintf(a.text, sizeof a.text, "{\"jid\":\"%s\",\"jobtype\":\"t\",\"args\":[%d],\"queue\":\"q%d\"",
                     jid->name, a.jid, (int)rng_below(&plan.rng, QUEUES));
    if (rng_chance(&plan.rng, 0.4))
        n += snprintf(a.text + n, sizeof a.text - (size_t)n, ",\"mutex\":\"m%d\"", (int)rng_below(&plan.rng, 2));
    if (rng_chance(&plan.rng, 0.3))
        n += snprintf(a.text + n, sizeof a.text - (size_t)n, ",\"key\":\"k%d\"", (int)rng_below(&plan.rng, 3));
    if (rng_chance(&plan.rng, 0.2))
        n += snprintf(a.text + n, sizeof a.text - (size_t)n, ",\"unique\":{\"for\":\"5m\",\"key\":\"u%d\"}",
                      (int)rng_below(&plan.rng, 2));
    if (rng_chance(&plan.rng, 0.3))
        n += snprintf(a.text + n, sizeof a.text - (size_t)n, ",\"retry\":%d", 1 + (int)rng_below(&plan.rng, 3));
    snprintf(a.text + n, sizeof a.text - (size_t)n, "}");
    int tries = plan.machine.refusals + plan.machine.crashes;
    run(&a);
    bool again = tries != plan.machine.refusals + plan.machine.crashes;
    bool live = a.pushed.result == JOB_DUPLICATE && a.pushed.state != JOB_DONE;
    SIM_YES(again || !live || !jid->acked, "%s is live after its ack", jid->name);
    if (a.pushed.result == JOB_PUSHED || live) { /* live: perhaps by a try whose answer was lost */
        jid->known = true;
        jid->acked = false;
    }
}

static void do_fetch(void)
{
    struct action a = { .act = ACT_FETCH,
                        .queue = (int)rng_below(&plan.rng, QUEUES),
                        .worker = (int)rng_below(&plan.rng, WORKERS) };
    if (plan.joined[a.worker])
        a.session = plan.sessions[a.worker];
    run(&a);
    if (!a.fetched)
        return;
    struct jid *jid = &plan.jids[a.held.jid];
    SIM_YES(!jid->acked, "%s was handed out again after its ack", jid->name);
    SIM_YES(a.held.lease.number > jid->newest, "a lease number came twice");
    jid->newest = a.held.lease.number;
    if (rng_chance(&plan.rng, 0.8))
        job_delivered(plan.jobs, a.held.lease.number);
    if (plan.held_count == HELD)
        forget_held(0);
    plan.held[plan.held_count++] = a.held;
}

static void do_end(enum act act)
{
    if (!plan.held_count)
        return;
    int at = (int)rng_below(&plan.rng, (uint64_t)plan.held_count);
    struct action a = { .act = act, .held = plan.held[at] };
    struct jid *jid = &plan.jids[a.held.jid];
    bool was_acked = jid->acked;
    int refusals = plan.machine.refusals + plan.machine.crashes;
    if (act == ACT_FAIL && rng_chance(&plan.rng, 0.3))
        a.failure.snooze_us = 5000000;
    else if (act == ACT_FAIL)
        a.failure.retry_in_us = rng_chance(&plan.rng, 0.5) ? 3000000 : 0;
    run(&a);
    bool again = refusals != plan.machine.refusals + plan.machine.crashes;
    if (act == ACT_RETURN) {
        forget_held(at);
        return;
    }
    bool applied = a.stale == STALE_NOT || (again && act == ACT_ACK && a.stale == STALE_FINISHED);
    if (a.stale == STALE_NOT) {
        SIM_YES(a.held.lease.number == jid->newest, "%s was ended by a lease that is not its newest", jid->name);
        SIM_YES(!was_acked, "%s was ended after its ack", jid->name);
    }
    if (act == ACT_ACK && applied && a.held.lease.number == jid->newest)
        jid->acked = true;
    if (rng_chance(&plan.rng, 0.9)) /* the others say it again some time */
        forget_held(at);
}

static void do_worker(void)
{
    struct action a = { .worker = (int)rng_below(&plan.rng, WORKERS) };
    a.act = plan.joined[a.worker] ? ACT_LEAVE : ACT_JOIN;
    a.session = plan.sessions[a.worker];
    run(&a);
    plan.joined[a.worker] = !plan.joined[a.worker];
    plan.sessions[a.worker] = a.session;
}

static void do_time(void)
{
    static const int64_t seconds[] = { 0, 1, 5, 30, 61, 130, 700, 1900 };
    struct action a = { .act = ACT_TICK };
    int64_t us = seconds[rng_below(&plan.rng, 8)] * 1000000;
    plan.machine.mono_us += us;
    plan.machine.now_us += us;
    if (rng_chance(&plan.rng, 0.05))
        plan.machine.now_us += rng_between(&plan.rng, -3600, 3600) * 1000000; /* somebody set the clock */
    run(&a);
}

/* --- what must hold --- */

struct seen_leases {
    uint64_t mutexes[256];
    int count, slots;
};

static enum err see_lease(void *arg, const struct lease_row *lease, const struct job_row *job)
{
    struct seen_leases *seen = arg;
    struct op op = { .arena = plan.machine.arena };
    struct job_opts opts;
    (void)lease;
    TRY(job_opts_read(&op, job->flags, job->opts, &opts));
    seen->slots += job->queue_no == 1;
    if (!opts.mutex)
        return OK;
    for (int i = 0; i < seen->count; i++)
        SIM_YES(seen->mutexes[i] != opts.mutex, "two jobs of one mutex are leased");
    seen->mutexes[seen->count++] = opts.mutex;
    return OK;
}

static enum err leases_hold(struct op *op, struct tx *tx, void *arg)
{
    struct seen_leases seen = { .count = 0 };
    (void)arg;
    TRY(store_lease_each(op, tx, see_lease, &seen));
    SIM_YES(seen.slots <= SLOTS, "%d jobs are leased of a queue with %d slots", seen.slots, SLOTS);
    return OK;
}

static void all_holds(void)
{
    struct machine *machine = &plan.machine;
    if (store_is_dead(machine->store))
        return;
    arena_reset(machine->arena);
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, leases_hold, NULL));
    machine_check(machine);
}

static enum err states_hold(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < JIDS; i++) {
        struct jid *jid = &plan.jids[i];
        struct buf buf;
        struct json_writer w;
        if (!jid->known)
            continue;
        buf_init_arena(&buf, op->arena, 1 << 20);
        json_write_init(&w, &buf);
        enum err err = job_view(op, tx, str_of(jid->name), &w);
        bool done = err == OK && str_search(buf_str(&buf), S("\"state\":\"done\"")) < buf.n;
        if (jid->acked)
            SIM_YES(err == OK ? done : err == ERR_NOT_FOUND, "%s was acked and is not done", jid->name);
        else
            SIM_YES(err == OK, "%s was pushed and is nowhere: %s", jid->name, op->error);
    }
    return OK;
}

static void open_jobs(void *data)
{
    (void)data;
    machine_jobs(&plan.machine, &plan.jobs);
    for (int i = 0; i < WORKERS; i++)
        plan.joined[i] = false; /* its sockets went with the process */
}

static void one_step(void)
{
    uint64_t dice = rng_below(&plan.rng, 100);
    if (dice < 28)
        do_push();
    else if (dice < 58)
        do_fetch();
    else if (dice < 72)
        do_end(ACT_ACK);
    else if (dice < 80)
        do_end(ACT_FAIL);
    else if (dice < 83)
        do_end(ACT_RETURN);
    else if (dice < 88)
        do_worker();
    else if (dice < 98)
        do_time();
    else
        machine_kill(&plan.machine);
}

static void one_seed(uint64_t seed)
{
    plan = (struct plan){ .jobs = NULL };
    rng_init(&plan.rng, seed);
    for (int i = 0; i < JIDS; i++)
        snprintf(plan.jids[i].name, sizeof plan.jids[i].name, "job-%05d", i);
    struct machine *machine = &plan.machine;
    machine_start(machine, &plan.rng, INT64_C(1795000000000000));
    machine->reopened = open_jobs;
    open_jobs(NULL);
    struct action policy = { .act = ACT_POLICY };
    run(&policy);
    machine_trouble(machine, 0.15, 0.02);
    for (int i = 0; i < STEPS; i++) {
        one_step();
        if (i % 10 == 9)
            all_holds();
    }
    machine_calm(machine);
    machine_kill(machine);
    all_holds();
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, states_hold, NULL));
    machine_stop(machine);
    jobs_close(plan.jobs);
}

int main(void)
{
    return seeds_run("sim_job", one_seed);
}
