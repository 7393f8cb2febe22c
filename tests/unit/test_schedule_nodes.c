/*
 * test_schedule_nodes.c - schedules of two nodes on one database, each with a ticker of its own.
 */
#include "job_lab.h"
#include "schedule_year.h"

#define STEP_US  (INT64_C(12) * 3600 * 1000000)
#define LEAVES   41  /* steps between two times that the second node goes and comes again */
#define RESTARTS 150 /* and the first one */

static struct lab nodes[2];

static void join(void)
{
    memset(&nodes[1], 0, sizeof nodes[1]);
    nodes[1].f = nodes[0].f;
    struct store_config config = fixture_config(&nodes[0].f);
    SUCCEEDS(&nodes[1].f.op, store_open(&nodes[1].f.op, &config, &nodes[1].f.store));
    lab_open_jobs(&nodes[1]);
}

static void leave(void)
{
    store_close(nodes[1].f.store);
    jobs_close(nodes[1].jobs);
}

/* SCHED-3. */
TEST(schedule_nodes, each_nominal_time_of_a_year_in_twelve_zones_fires_once_whichever_nodes_are_there)
{
    struct year year;
    if (!test_server())
        SKIP("two nodes write only to PostgreSQL");
    lab_start(&nodes[0]);
    YES(instant_parse(S("2026-01-01T00:00:00Z"), &nodes[0].f.op.now_us));
    lab_reopen(&nodes[0]);
    year_begin(&nodes[0], &year);
    join();
    int64_t begin_us = nodes[0].f.op.now_us, end_us = begin_us + YEAR_US;
    for (int step = 1; nodes[0].f.op.now_us < end_us; step++) {
        int first = step / 3 % 2;
        arena_reset(nodes[0].f.arena);
        nodes[0].f.op.now_us = nodes[1].f.op.now_us = begin_us + step * STEP_US;
        if (step % LEAVES == 0)
            leave();
        if (step % RESTARTS == 0)
            lab_reopen(&nodes[0]);
        if (step % LEAVES == 0)
            join();
        lab_tick(&nodes[first]);
        lab_tick(&nodes[1 - first]);
        lab_tick(&nodes[first]);
        year_work(&nodes[1 - first], &nodes[first], &year);
    }
    year_end(&nodes[0], &year, end_us);
    leave();
    lab_end(&nodes[0]);
}

static enum err put_often(struct op *op, struct tx *tx, void *arg)
{
    struct schedule_put put = { .cron = S("@every 1m"), .job = S("{\"jobtype\":\"t\",\"queue\":\"q\",\"args\":[]}") };
    (void)arg;
    return schedule_store(op, tx, S("often"), &put);
}

/* SCHED-5. */
TEST(schedule_nodes, of_43_missed_times_one_runs_whichever_nodes_come_back)
{
    if (!test_server())
        SKIP("two nodes write only to PostgreSQL");
    lab_start(&nodes[0]);
    WRITES(&nodes[0].f, put_often, NULL);
    lab_wait_ms(&nodes[0], INT64_C(43) * 60000);
    lab_reopen(&nodes[0]);
    join();
    for (int i = 0; i < 4; i++)
        lab_tick(&nodes[i % 2]);
    EQ(lab_fetch(&nodes[0], "q", 100), 1);
    EQ(lab_fetch(&nodes[1], "q", 100), 0);
    leave();
    lab_end(&nodes[0]);
}
