/*
 * sim_batch.c - batches under kills: sets of jobs that come, fail, are cancelled and come back, and what is called.
 *
 * Some batches, some of them children of others. Each step somebody pushes a
 * member, opens or commits, fetches, acks (perhaps twice), fails, cancels or
 * retries; or time passes; or the machine dies between two steps. At the end
 * everything is committed and worked off. Then:
 *
 *   - no set ever says less than none, or other than its rows;
 *   - of one batch no callback was ever seen under two jids;
 *   - success came behind the ack of complete, and when nothing was left to ack;
 *   - every batch whose members all ended well called what it had to call.
 */
#include <stdio.h>
#include <string.h>

#include "engine/job_act.h"
#include "engine/job_batch.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_push.h"
#include "engine/job_read.h"
#include "engine/jobs.h"
#include "machine.h"

#define BATCHES 6
#define MEMBERS 30
#define HELD    40
#define STEPS   160

enum act { ACT_NEW, ACT_COMMIT, ACT_OPEN, ACT_GET, ACT_PUSH, ACT_FETCH, ACT_ACK, ACT_FAIL, ACT_MOVE, ACT_TICK };

struct action {
    struct command command;
    enum act act;
    struct batch_new new;
    struct str bid;
    char bid_text[32], text[512];
    struct batch_view view;
    bool refused;
    struct str queue;
    enum job_action move;
    char jid[64], of[32], type[8];
    struct job_lease lease;
    int fetched;
    enum job_stale stale;
};

struct held {
    struct job_lease lease;
    char jid[64], of[32], type[8];
};

static struct plan {
    struct rng rng;
    struct machine machine;
    struct jobs *jobs;
    char bids[BATCHES][32];
    int batch_count;
    char calls[BATCHES][2][64]; /* jid of each callback that was seen */
    bool acked[BATCHES][2];
    struct held held[HELD];
    int held_count;
} plan;

static int batch_no(const char *bid)
{
    for (int i = 0; i < plan.batch_count; i++)
        if (strcmp(plan.bids[i], bid) == 0)
            return i;
    return -1; /* made by a try whose answer was lost */
}

/* --- in the writer --- */

static void keep(char *to, size_t room, struct str text)
{
    snprintf(to, room, "%.*s", STR(text));
}

/* Of a callback: the batch it speaks of. */
static void keep_bid(struct action *a, struct str body)
{
    size_t at = str_search(body, S("\"_bid\":\""));
    a->of[0] = '\0';
    if (at < body.n)
        keep(a->of, sizeof a->of, (struct str){ body.p + at + 8, 14 });
}

static enum err run_fetch(struct op *op, struct tx *tx, struct action *a)
{
    struct job_fetch fetch = { .post = &a->command.post, .queues = &a->queue, .queue_count = 1, .max = 1 };
    TRY(job_fetch(op, tx, &fetch));
    a->fetched = fetch.count;
    if (!fetch.count)
        return OK;
    a->lease = job_lease_of(tx, &fetch.jobs[0]);
    keep(a->jid, sizeof a->jid, fetch.jobs[0].jid);
    keep(a->type, sizeof a->type, fetch.jobs[0].jobtype);
    keep_bid(a, fetch.jobs[0].body);
    return OK;
}

static enum err run_push(struct op *op, struct tx *tx, struct action *a)
{
    struct job_reader reader = { JOB_HTTP, siphash_key_from(tx_hash_key(tx)), JOB_BYTES_DEFAULT, false, false };
    struct job_spec spec;
    struct job_pushed pushed;
    TRY(job_read(op, &reader, str_of(a->text), &spec));
    return job_push(op, tx, &spec, 1, false, &pushed);
}

/* A batch that is gone, or the parent of a new one; a move that is not allowed: answers like others. */
static enum err allow(struct action *a, enum err err)
{
    a->refused = err == ERR_NOT_FOUND || err == ERR_CONFLICT || (a->act == ACT_NEW && err == ERR_INVALID);
    return a->refused ? OK : err;
}

static enum err run_action(struct op *op, struct tx *tx, struct command *command)
{
    struct action *a = (struct action *)(void *)command;
    struct job_ref ref = { .lease = a->lease };
    struct job_failure failure = { .retry_in_us = 1000000 };
    enum job_state state;
    int64_t next_us;
    switch (a->act) {
    case ACT_NEW:
        TRY(allow(a, batch_create(op, tx, &a->new, JOB_HTTP, &a->bid)));
        if (!a->refused)
            keep(a->bid_text, sizeof a->bid_text, a->bid);
        return OK;
    case ACT_COMMIT:
        return allow(a, batch_commit(op, tx, a->bid));
    case ACT_OPEN:
        return allow(a, batch_open(op, tx, a->bid));
    case ACT_GET:
        return allow(a, batch_get(op, tx, a->bid, &a->view));
    case ACT_PUSH:
        return run_push(op, tx, a);
    case ACT_FETCH:
        return run_fetch(op, tx, a);
    case ACT_ACK:
        return job_ack(op, tx, &ref, &a->stale);
    case ACT_FAIL:
        return job_fail(op, tx, &ref, &failure, &a->stale);
    case ACT_MOVE:
        return allow(a, job_act(op, tx, str_of(a->jid), a->move, &state));
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

/* --- what actors do --- */

static struct str any_bid(void)
{
    return str_of(plan.bids[rng_below(&plan.rng, (uint64_t)plan.batch_count)]);
}

static void do_new(void)
{
    struct action a = { .act = ACT_NEW };
    if (plan.batch_count == BATCHES)
        return;
    if (rng_chance(&plan.rng, 0.7))
        a.new.complete = S("{\"jobtype\":\"C\",\"args\":[],\"queue\":\"calls\"}");
    if (!str_given(a.new.complete) || rng_chance(&plan.rng, 0.7))
        a.new.success = S("{\"jobtype\":\"S\",\"args\":[],\"queue\":\"calls\"}");
    if (plan.batch_count && rng_chance(&plan.rng, 0.4))
        a.new.parent = any_bid();
    run(&a);
    if (!a.refused)
        keep(plan.bids[plan.batch_count++], sizeof plan.bids[0], str_of(a.bid_text));
}

static void do_batch(enum act act)
{
    struct action a = { .act = act };
    if (!plan.batch_count)
        return;
    a.bid = any_bid();
    run(&a);
    if (act == ACT_GET && !a.refused)
        SIM_YES(a.view.pending >= 0 && a.view.failed >= 0 && a.view.pending <= a.view.total,
                "%.*s has %lld of %lld pending, %lld failed", STR(a.bid), (long long)a.view.pending,
                (long long)a.view.total, (long long)a.view.failed);
}

static void do_push(void)
{
    struct action a = { .act = ACT_PUSH };
    if (!plan.batch_count)
        return;
    struct str bid = any_bid();
    snprintf(a.text, sizeof a.text,
             "{\"jid\":\"member-%02d\",\"jobtype\":\"t\",\"queue\":\"q\",\"args\":[],\"batch\":\"%.*s\",\"retry\":%d}",
             (int)rng_below(&plan.rng, MEMBERS), STR(bid), (int)rng_below(&plan.rng, 3) + 1);
    run(&a);
}

static void do_move(void)
{
    static const enum job_action moves[] = { ACTION_RETRY, ACTION_RETRY, ACTION_CANCEL, ACTION_KILL, ACTION_RUN };
    struct action a = { .act = ACT_MOVE, .move = moves[rng_below(&plan.rng, 5)] };
    snprintf(a.jid, sizeof a.jid, "member-%02d", (int)rng_below(&plan.rng, MEMBERS));
    run(&a);
}

static void saw_call(const struct held *held)
{
    int no = batch_no(held->of), which = held->type[0] == 'S';
    if (no < 0)
        return;
    char *seen = plan.calls[no][which];
    SIM_YES(!seen[0] || strcmp(seen, held->jid) == 0, "%s of %s came as %s and as %s", held->type, held->of, seen,
            held->jid);
    keep(seen, sizeof plan.calls[0][0], str_of(held->jid));
    if (which && plan.calls[no][0][0])
        SIM_YES(plan.acked[no][0], "success of %s came before the ack of complete", held->of);
}

static void do_fetch(struct str queue)
{
    struct action a = { .act = ACT_FETCH, .queue = queue };
    if (plan.held_count == HELD)
        return;
    run(&a);
    if (!a.fetched)
        return;
    struct held held = { .lease = a.lease };
    memcpy(held.jid, a.jid, sizeof held.jid);
    memcpy(held.of, a.of, sizeof held.of);
    memcpy(held.type, a.type, sizeof held.type);
    if (held.of[0])
        saw_call(&held);
    job_delivered(plan.jobs, a.lease.number);
    plan.held[plan.held_count++] = held;
}

static void do_end(enum act act)
{
    if (!plan.held_count)
        return;
    int at = (int)rng_below(&plan.rng, (uint64_t)plan.held_count);
    struct held held = plan.held[at];
    struct action a = { .act = act, .lease = held.lease };
    int no = batch_no(held.of);
    bool perhaps = act == ACT_ACK && held.of[0] && no >= 0;
    if (perhaps)
        plan.acked[no][held.type[0] == 'S'] = true; /* from here on it may have happened */
    run(&a);
    if (rng_chance(&plan.rng, 0.8)) /* the others say it again some time */
        plan.held[at] = plan.held[--plan.held_count];
}

static void do_time(int64_t seconds)
{
    struct action a = { .act = ACT_TICK };
    plan.machine.mono_us += seconds * 1000000;
    plan.machine.now_us += seconds * 1000000;
    if (rng_chance(&plan.rng, 0.05))
        plan.machine.now_us += rng_between(&plan.rng, -3600, 3600) * 1000000;
    run(&a);
}

/* --- what must hold --- */

/* Everything is committed, and whatever waits is fetched and acked, until nothing comes any more. */
static void work_off(void)
{
    for (int i = 0; i < plan.batch_count; i++) {
        struct action a = { .act = ACT_COMMIT, .bid = str_of(plan.bids[i]) };
        run(&a);
    }
    for (int idle = 0; idle < 10;) {
        int before = plan.held_count;
        do_fetch(S("q"));
        do_fetch(S("calls"));
        idle = plan.held_count == before ? idle + 1 : 0;
        while (plan.held_count)
            do_end(ACT_ACK);
        do_time(plan.machine.is_calm && idle ? 4000 : 0); /* leases that nobody holds end, retries come due */
    }
}

static void each_was_called(void)
{
    for (int i = 0; i < plan.batch_count; i++) {
        struct action a = { .act = ACT_GET, .bid = str_of(plan.bids[i]) };
        run(&a);
        if (a.refused || !a.view.committed || a.view.pending)
            continue;
        SIM_YES(!a.view.complete || *a.view.complete == '2' || plan.calls[i][0][0],
                "%s never called complete: %lld of %lld pending, %s", plan.bids[i], (long long)a.view.pending,
                (long long)a.view.total, a.view.complete);
    }
}

static void open_jobs(void *data)
{
    (void)data;
    machine_jobs(&plan.machine, &plan.jobs);
}

static void one_step(void)
{
    static const int64_t seconds[] = { 0, 1, 2, 5, 30, 700, 2000 };
    uint64_t dice = rng_below(&plan.rng, 100);
    if (dice < 5)
        do_new();
    else if (dice < 30)
        do_push();
    else if (dice < 36)
        do_batch(ACT_COMMIT);
    else if (dice < 39)
        do_batch(ACT_OPEN);
    else if (dice < 42)
        do_batch(ACT_GET);
    else if (dice < 65)
        do_fetch(dice < 56 ? S("q") : S("calls"));
    else if (dice < 80)
        do_end(ACT_ACK);
    else if (dice < 87)
        do_end(ACT_FAIL);
    else if (dice < 91)
        do_move();
    else if (dice < 97)
        do_time(seconds[rng_below(&plan.rng, 7)]);
    else
        machine_kill(&plan.machine);
}

static void one_seed(uint64_t seed)
{
    plan = (struct plan){ .jobs = NULL };
    rng_init(&plan.rng, seed);
    struct machine *machine = &plan.machine;
    machine_start(machine, &plan.rng, INT64_C(1795000000000000));
    machine->reopened = open_jobs;
    open_jobs(NULL);
    machine_trouble(machine, 0.15, 0.02);
    do_new();
    for (int i = 0; i < STEPS; i++) {
        one_step();
        if (i % 10 == 9)
            machine_check(&plan.machine);
    }
    machine_calm(machine);
    machine_kill(machine);
    machine_check(&plan.machine);
    work_off();
    machine_check(&plan.machine);
    each_was_called();
    machine_stop(machine);
    jobs_close(plan.jobs);
}

int main(void)
{
    return seeds_run("sim_batch", one_seed);
}
