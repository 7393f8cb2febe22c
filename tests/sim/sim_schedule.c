/*
 * sim_schedule.c - schedules under kills, failing disks and clocks that are set.
 *
 * A few schedules in zones of their own run everything they owe (catch_up all,
 * overlap allow). Time passes in odd steps, the clock is wrong for a while, the
 * machine dies between any two steps, somebody puts a schedule again. Each job
 * is fetched and acked. In the end every nominal time up to now was met, each
 * under one jid, and none that was not owed.
 */
#include <stdio.h>
#include <string.h>

#include "base/instant.h"
#include "engine/cron.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/jobs.h"
#include "engine/schedule.h"
#include "machine.h"

#define STEPS 60
#define TIMES 8192 /* of one schedule */
#define H_US  (INT64_C(3600) * 1000000)

static const struct {
    const char *zone, *cron, *jitter;
} plans[] = {
    { "Europe/London", "*/30 * * * *", NULL },
    { "America/New_York", "30 2 * * *", "5m" },
    { "Africa/Cairo", "0 0 * * *", NULL },
    { "Australia/Lord_Howe", "15 2 * * *", "1h" },
    { "UTC", "@every 7m", NULL },
};
#define SCHEDULES ((int)(sizeof plans / sizeof *plans))

enum act { ACT_PUT, ACT_FETCH, ACT_ACK, ACT_TICK };

struct action {
    struct command command;
    enum act act;
    int schedule;
    char text[512], jid[64], type[8], nominal[48];
    struct job_lease lease;
    int fetched;
    enum job_stale stale;
};

static struct plan {
    struct rng rng;
    struct machine machine;
    struct jobs *jobs;
    int64_t wrong_us; /* what the clock is off by */
    int64_t anchor_us[SCHEDULES];
    struct met {
        int64_t at_us;
        char jid[64];
    } met[SCHEDULES][TIMES];
    int met_count[SCHEDULES];
} plan;

/* --- in the writer --- */

static enum err run_put(struct op *op, struct tx *tx, struct action *a)
{
    struct schedule_put put = { 0 };
    struct job_reader reader = { JOB_HTTP, siphash_key_from(tx_hash_key(tx)), JOB_BYTES_DEFAULT, false, true };
    char id[16];
    snprintf(id, sizeof id, "s-%d", a->schedule);
    TRY(json_read_body(op, str_of(a->text), schedule_put_fields, SCHEDULE_PUT_FIELDS, &put, NULL, NULL));
    TRY(schedule_check(op, &reader, &put, NULL, NULL));
    return schedule_store(op, tx, str_of(id), &put);
}

static enum err run_fetch(struct op *op, struct tx *tx, struct action *a)
{
    struct str queue = S("q");
    struct job_fetch fetch = { .post = &a->command.post, .queues = &queue, .queue_count = 1, .max = 1 };
    TRY(job_fetch(op, tx, &fetch));
    a->fetched = fetch.count;
    if (!fetch.count)
        return OK;
    struct str body = fetch.jobs[0].body;
    size_t at = str_search(body, S("\"nominal_at\":\""));
    SIM_YES(at < body.n, "a run does not say its nominal time");
    struct str nominal = { body.p + at + 14, body.n - at - 14 };
    nominal = str_cut(&nominal, '"');
    snprintf(a->nominal, sizeof a->nominal, "%.*s", STR(nominal));
    snprintf(a->jid, sizeof a->jid, "%.*s", STR(fetch.jobs[0].jid));
    snprintf(a->type, sizeof a->type, "%.*s", STR(fetch.jobs[0].jobtype));
    a->lease = job_lease_of(tx, &fetch.jobs[0]);
    return OK;
}

static enum err run_action(struct op *op, struct tx *tx, struct command *command)
{
    struct action *a = (struct action *)(void *)command;
    struct job_ref ref = { .lease = a->lease };
    int64_t next_us;
    switch (a->act) {
    case ACT_PUT:
        return run_put(op, tx, a);
    case ACT_FETCH:
        return run_fetch(op, tx, a);
    case ACT_ACK:
        return job_ack(op, tx, &ref, &a->stale);
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

/* --- what happens --- */

static void do_put(int schedule)
{
    struct action a = { .act = ACT_PUT, .schedule = schedule };
    const char *jitter = plans[schedule].jitter;
    snprintf(a.text, sizeof a.text,
             "{\"cron\":\"%s\",\"timezone\":\"%s\",\"overlap\":\"allow\",\"catch_up\":\"all\",\"jitter\":\"%s\","
             "\"job\":{\"jobtype\":\"s%d\",\"queue\":\"q\",\"args\":[]}}",
             plans[schedule].cron, plans[schedule].zone, jitter ? jitter : "0s", schedule);
    run(&a);
}

/* One more nominal time, or one that was met, as the same job. */
static void meet(const struct action *a)
{
    int schedule = a->type[1] - '0';
    struct met *met = plan.met[schedule];
    int64_t got_us = 0;
    SIM_YES(instant_parse(str_of(a->nominal), &got_us), "%s is no instant", a->nominal);
    for (int i = 0; i < plan.met_count[schedule]; i++)
        if (met[i].at_us == got_us) {
            SIM_YES(strcmp(a->jid, met[i].jid) == 0, "%s of schedule %d came as two jobs", a->nominal, schedule);
            return;
        }
    SIM_YES(plan.met_count[schedule] < TIMES, "schedule %d ran more often than it can", schedule);
    met = &met[plan.met_count[schedule]++];
    met->at_us = got_us;
    snprintf(met->jid, sizeof met->jid, "%s", a->jid);
}

static bool was_met(int schedule, int64_t at_us)
{
    for (int i = 0; i < plan.met_count[schedule]; i++)
        if (plan.met[schedule][i].at_us / 1000 == at_us / 1000)
            return true;
    return false;
}

/* All that it owed until an hour ago, and nothing else. */
static void owes_nothing(int schedule)
{
    struct op *op = &plan.machine.op;
    struct cron cron;
    const struct zone *zone;
    int64_t at_us = plan.anchor_us[schedule];
    int owed = 0;
    SIM_OK(op, cron_parse(op, str_of(plans[schedule].cron), &cron));
    SIM_OK(op, zone_get(op, str_of(plans[schedule].zone), &zone));
    while (cron_next(&cron, zone, plan.anchor_us[schedule], at_us, &at_us) && at_us <= plan.machine.now_us) {
        owed += was_met(schedule, at_us);
        SIM_YES(was_met(schedule, at_us) || at_us > plan.machine.now_us - H_US, "schedule %d owes %lld", schedule,
                (long long)at_us);
    }
    SIM_YES(owed == plan.met_count[schedule], "schedule %d met %d times, %d of them owed", schedule,
            plan.met_count[schedule], owed);
}

static void do_work(void)
{
    for (;;) {
        struct action a = { .act = ACT_FETCH };
        run(&a);
        if (!a.fetched)
            return;
        meet(&a);
        job_delivered(plan.jobs, a.lease.number);
        struct action ack = { .act = ACT_ACK, .lease = a.lease };
        run(&ack);
    }
}

static void do_time(int64_t us)
{
    struct action a = { .act = ACT_TICK };
    plan.machine.mono_us += us;
    plan.machine.now_us += us;
    for (int i = 0; i < 3; i++)
        run(&a);
    do_work();
}

static void do_clock(void)
{
    int64_t wrong_us = plan.wrong_us ? 0 : -(int64_t)rng_below(&plan.rng, 4) * H_US;
    plan.machine.now_us += wrong_us - plan.wrong_us;
    plan.wrong_us = wrong_us;
}

static void open_jobs(void *data)
{
    (void)data;
    machine_jobs(&plan.machine, &plan.jobs);
}

static void one_step(void)
{
    static const int64_t minutes[] = { 1, 3, 7, 30, 61, 240 };
    uint64_t dice = rng_below(&plan.rng, 100);
    if (dice < 80)
        do_time(minutes[rng_below(&plan.rng, 6)] * 60000000 + (int64_t)rng_below(&plan.rng, 60000000));
    else if (dice < 84)
        do_clock();
    else if (dice < 88)
        do_put((int)rng_below(&plan.rng, SCHEDULES));
    else
        machine_kill(&plan.machine);
}

static void one_seed(uint64_t seed)
{
    memset(&plan, 0, sizeof plan);
    rng_init(&plan.rng, seed);
    struct machine *machine = &plan.machine;
    /* Around a change of the clocks in spring, or one in autumn. */
    machine_start(machine, &plan.rng,
                  rng_chance(&plan.rng, 0.5) ? INT64_C(1774656000000000) : INT64_C(1792800000000000));
    machine->reopened = open_jobs;
    open_jobs(NULL);
    for (int i = 0; i < SCHEDULES; i++) {
        do_put(i);
        plan.anchor_us[i] = machine->now_us;
    }
    machine_trouble(machine, 0.15, 0.02);
    for (int i = 0; i < STEPS; i++)
        one_step();
    machine_calm(machine);
    machine->now_us -= plan.wrong_us;
    machine_kill(machine);
    for (int i = 0; i < 30; i++)
        do_time(5 * 60000000);
    for (int i = 0; i < SCHEDULES; i++)
        owes_nothing(i);
    machine_check(machine);
    machine_stop(machine);
    jobs_close(plan.jobs);
}

int main(void)
{
    return seeds_run("sim_schedule", one_seed);
}
