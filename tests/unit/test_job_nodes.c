/* Two job machines on one PostgreSQL database, as two nodes: each follows what the other did without reading it again.
 */
#include "base/random.h"
#include "engine/job_log.h"
#include "engine/node.h"
#include "job_lab.h"
#include "store/core.h"
#include "store/store_job_log.h"

static struct lab nodes[3];

#define START_TWO()                                                                                                    \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("two nodes write only to PostgreSQL");                                                                \
        lab_start(&nodes[0]);                                                                                          \
        join(1);                                                                                                       \
    } while (0)

static void join(int i)
{
    lab_join(&nodes[i], &nodes[0]);
}

static void leave(int i)
{
    lab_leave(&nodes[i]);
}

static void end_two(void)
{
    leave(1);
    lab_end(&nodes[0]);
}

static uint64_t trips(int i)
{
    return nodes[i].f.store->conn->trips;
}

static enum err begin(struct op *op, struct tx *tx, void *arg)
{
    struct jobs *jobs;
    (void)arg;
    tx_wrote(tx); /* so that it leaves a group of its own */
    return jobs_begin(op, tx, &jobs);
}

static const struct queue *queue_at(int i, const char *name)
{
    return queue_find(nodes[i].jobs, str_of(name));
}

/* Figures of a machine as one text. */
static struct str figures(int i)
{
    struct jobs *jobs = nodes[i].jobs;
    struct str text =
        arena_fmt(nodes[0].f.arena, "leases %d finished %d", (int)jobs->lease_count, (int)jobs->finished_count);
    for (uint32_t no = 1; no < 8; no++) {
        const struct queue *queue = queue_by_no(jobs, no);
        if (queue)
            text = arena_fmt(nodes[0].f.arena, "%.*s; %.*s ready %d leased %d retry %d dead %d bytes %d used %d",
                             STR(text), STR(queue->name), (int)queue->counts.ready, (int)queue->counts.leased,
                             (int)queue->counts.retry, (int)queue->counts.dead, (int)queue->counts.ready_bytes,
                             queue->budget ? (int)queue->budget->used : -1);
    }
    return text;
}

/* NODE-5. */
TEST(job_nodes, what_one_node_takes_in_another_hands_out)
{
    START_TWO();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_job(&nodes[0], "q", "job-0002", ""), JOB_PUSHED);
    EQ(lab_job(&nodes[1], "q", "job-0001", ""), JOB_DUPLICATE);
    EQ(lab_fetch(&nodes[1], "q", 1), 1);
    STR_EQ(nodes[1].jobs_out[0].jid, "job-0001");
    EQ(lab_fetch(&nodes[0], "q", 5), 1);
    STR_EQ(nodes[0].jobs_out[0].jid, "job-0002");
    EQ(lab_ack(&nodes[0], "job-0001"), STALE_NOT);
    EQ(lab_ack(&nodes[1], "job-0001"), STALE_FINISHED);
    EQ(lab_job(&nodes[1], "q", "job-0001", ""), JOB_DUPLICATE);
    end_two();
}

TEST(job_nodes, a_node_follows_by_the_log_and_reads_no_leases_again)
{
    START_TWO();
    for (int i = 0; i < 50; i++)
        EQ(lab_job(&nodes[0], "q", arena_fmt(nodes[0].f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 20), 20);
    WRITES(&nodes[1].f, begin, NULL);
    EQ(queue_at(1, "q")->counts.ready, 30);
    EQ(queue_at(1, "q")->counts.leased, 20);
    EQ(nodes[1].jobs->lease_count, 20);
    EQ(lab_ack(&nodes[0], "job-0003"), STALE_NOT);
    uint64_t before = trips(1);
    WRITES(&nodes[1].f, begin, NULL);
    YES(trips(1) - before <= 8); /* the turn, the log, other families, the commit; a reading of all is over 12 */
    EQ(nodes[1].jobs->lease_count, 19);
    end_two();
}

/* Trips of a group of node 1 behind one of node 0. */
static uint64_t trips_behind(const char *jid)
{
    EQ(lab_job(&nodes[0], "q", jid, ""), JOB_PUSHED);
    uint64_t before = trips(1);
    WRITES(&nodes[1].f, begin, NULL);
    return trips(1) - before;
}

TEST(job_nodes, in_turns_a_node_asks_what_the_other_did_in_the_trip_that_begins_its_group)
{
    START_TWO();
    YES(trips_behind("job-0001") > 2); /* it did not know that they take turns */
    EQ(trips_behind("job-0002"), 2);   /* the turn with the log; the commit */
    EQ(trips_behind("job-0003"), 2);
    EQ(queue_at(1, "q")->counts.ready, 3);
    end_two();
}

/* NODE-4, QUE-1. */
TEST(job_nodes, a_limit_holds_over_all_nodes)
{
    START_TWO();
    struct lab_queue queue = { .name = S("q"), .patch = { S("{\"concurrency\":5}"), -1, -1 } };
    WRITES(&nodes[0].f, lab_patch_run, &queue);
    for (int i = 0; i < 20; i++)
        EQ(lab_job(&nodes[i % 2], "q", arena_fmt(nodes[0].f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 3), 3);
    EQ(lab_fetch(&nodes[1], "q", 10), 2);
    EQ(lab_fetch(&nodes[0], "q", 1), 0);
    EQ(lab_ack(&nodes[1], "job-0000"), STALE_NOT);
    EQ(lab_fetch(&nodes[1], "q", 10), 1);
    EQ(lab_fetch(&nodes[0], "q", 10), 0);
    end_two();
}

/* Hands out to its end what a node may have, and gives none back. */
static int fetch_all(int i)
{
    int n = 0;
    for (int one; (one = lab_fetch(&nodes[i], "q", 10)) > 0;)
        n += one;
    return n;
}

static void push_to_q(int i, int count)
{
    for (int k = 0; k < count; k++)
        EQ(lab_job(&nodes[i], "q", arena_fmt(nodes[0].f.arena, "job-%04d", k).p, ""), JOB_PUSHED);
}

/* NODE-4. */
TEST(job_nodes, each_node_has_slots_of_its_own_whoever_ends_their_jobs)
{
    START_TWO();
    join(2);
    lab_policy(&nodes[0], "q", "{\"node_concurrency\":2}");
    push_to_q(1, 20);
    EQ(fetch_all(0), 2);
    EQ(fetch_all(1), 2);
    EQ(fetch_all(2), 2);
    EQ(lab_ack(&nodes[2], "job-0000"), STALE_NOT); /* that the first node handed out */
    EQ(fetch_all(2), 0);
    EQ(fetch_all(1), 0);
    EQ(fetch_all(0), 1);
    EQ(lab_view(&nodes[1], "q").leased, 6);
    leave(2);
    end_two();
}

/* NODE-4. */
TEST(job_nodes, the_smaller_of_both_limits_holds_at_each_node)
{
    START_TWO();
    lab_policy(&nodes[0], "q", "{\"concurrency\":5,\"node_concurrency\":3}");
    push_to_q(0, 20);
    EQ(fetch_all(0), 3);
    EQ(fetch_all(1), 2);
    EQ(lab_ack(&nodes[1], "job-0000"), STALE_NOT);
    EQ(fetch_all(1), 1); /* a slot of the queue and one of its own */
    EQ(fetch_all(0), 0);
    end_two();
}

/* NODE-4. */
TEST(job_nodes, a_node_that_starts_again_knows_what_it_had_handed_out)
{
    START_TWO();
    lab_policy(&nodes[0], "q", "{\"node_concurrency\":2}");
    push_to_q(0, 20);
    EQ(fetch_all(1), 2);
    EQ(fetch_all(0), 2);
    leave(1);
    join(1);
    EQ(fetch_all(1), 0);
    EQ(lab_ack(&nodes[0], "job-0001"), STALE_NOT); /* one of its own */
    EQ(fetch_all(1), 1);
    end_two();
}

/* NODE-4, RATE-1. */
TEST(job_nodes, a_rate_holds_over_all_nodes)
{
    START_TWO();
    struct lab_queue queue = { .name = S("q"), .patch = { S("{\"rate\":{\"limit\":40,\"per\":\"60s\"}}"), -1, -1 } };
    int started = 0;
    WRITES(&nodes[1].f, lab_patch_run, &queue);
    for (int i = 0; i < 60; i++)
        EQ(lab_job(&nodes[0], "q", arena_fmt(nodes[0].f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
    for (int ms = 0; ms < 6000; ms += 250) {
        started += lab_fetch(&nodes[0], "q", 2);
        started += lab_fetch(&nodes[1], "q", 2);
        lab_wait_ms(&nodes[0], 250);
        lab_wait_ms(&nodes[1], 250);
    }
    EQ(started, 4); /* one in 1,500 ms, whoever asks */
    end_two();
}

#define A_MINUTE_MS 60000
#define STARTS_MAX  400

/* One after the other ends and is there again. */
static void restart(int i)
{
    if (i == 0) {
        lab_reopen(&nodes[0]);
        return;
    }
    leave(i);
    join(i);
}

/* RATE-1, NODE-4. */
TEST(job_nodes, of_40_a_minute_over_three_nodes_no_minute_has_41_also_across_restarts)
{
    static int64_t starts[STARTS_MAX];
    int n = 0, steps = 0;
    START_TWO();
    join(2);
    lab_policy(&nodes[0], "q", "{\"rate\":{\"limit\":40,\"per\":\"60s\"}}");
    for (int i = 0; i < 240; i++)
        EQ(lab_job(&nodes[i % 3], "q", arena_fmt(nodes[0].f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
    for (int64_t ms = 0; ms < 5 * A_MINUTE_MS; ms += 137, steps++) {
        if (steps % 200 == 199)
            restart(steps / 200 % 3);
        for (int i = steps; i < steps + 3 && n < STARTS_MAX; i++) {
            if (!lab_fetch(&nodes[i % 3], "q", 10))
                continue;
            EQ(nodes[i % 3].count, 1);
            starts[n++] = nodes[0].f.op.now_us;
            EQ(lab_ack(&nodes[(i + 1) % 3], arena_str(nodes[0].f.arena, nodes[i % 3].jobs_out[0].jid).p), STALE_NOT);
        }
        for (int i = 0; i < 3; i++)
            lab_wait_ms(&nodes[i], 137);
    }
    print_message("# %d starts in five minutes\n", n);
    EQ(n > 180 && n <= 200, true);
    for (int i = 40; i < n; i++)
        EQ(starts[i] - starts[i - 40] >= A_MINUTE_MS * 1000, true);
    leave(2);
    end_two();
}

struct ticking {
    struct node_life life;
    struct duty lead;
    int64_t next_us;
};

static enum err lead_run(struct op *op, struct tx *tx, void *arg)
{
    struct ticking *t = arg;
    const struct node_timing timing = { NODE_BEAT_US, NODE_LOST_US, NODE_LEAD_US };
    const struct node_identity who = { .id = S("leader"), .process = S("p"), .version = S("v"), .steps = 1 };
    TRY(node_register(op, tx, &who, &timing, 0, &t->life));
    TRY(node_watch(op, tx, &timing, &t->life, &t->life));
    t->lead = node_lead(&t->life);
    return OK;
}

static enum err tick_run(struct op *op, struct tx *tx, void *arg)
{
    struct ticking *t = arg;
    return jobs_tick(op, tx, &t->lead, &t->next_us);
}

static enum err delete_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return queue_delete(op, tx, S("q"));
}

/* What the tick of a node that says this of its lead leaves of a queue that was deleted. */
static bool is_left_by(struct ticking *t)
{
    lab_wait_ms(&nodes[0], 20000);
    WRITES(&nodes[0].f, tick_run, t);
    return queue_by_no(nodes[0].jobs, 1)->sweeping;
}

/* NODE-2. */
TEST(job_nodes, only_the_node_that_leads_sweeps_and_only_while_it_does)
{
    START_TWO();
    struct ticking leads = { .next_us = 0 };
    WRITES(&nodes[0].f, lead_run, &leads);
    struct ticking follows = leads, led = leads;
    follows.lead.term = 0;
    led.lead.term++;
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    WRITES(&nodes[0].f, delete_run, NULL);
    YES(is_left_by(&follows));
    YES(is_left_by(&led));
    NO(is_left_by(&leads));
    end_two();
}

/* NODE-2: what is due waits for no leader. */
TEST(job_nodes, a_timer_is_moved_by_any_node)
{
    START_TWO();
    struct ticking follows = { .next_us = 0 };
    WRITES(&nodes[0].f, lead_run, &follows);
    follows.lead.term = 0;
    EQ(lab_job(&nodes[1], "q", "job-0001", ",\"at\":\"2023-11-14T22:13:30Z\""), JOB_PUSHED);
    lab_wait_ms(&nodes[0], 11000);
    WRITES(&nodes[0].f, tick_run, &follows);
    EQ(queue_at(0, "q")->counts.ready, 1);
    end_two();
}

static enum err wait_run(struct post *post)
{
    return job_fetch(&post->op, post->tx, &((struct lab_fetch *)(void *)post)->fetch);
}

static enum err home_run(struct post *post)
{
    post->hop = NULL;
    return OK;
}

static enum err look(struct op *op, struct tx *tx, void *arg)
{
    return jobs_look(op, tx, nodes[1].jobs, arg);
}

static bool hears_news(void)
{
    bool news = false;
    SUCCEEDS(&nodes[1].f.op, store_read(&nodes[1].f.op, nodes[1].f.store, look, &news));
    return news;
}

/* NODE-3. */
TEST(job_nodes, a_fetch_that_waits_at_one_node_gets_what_another_took_in)
{
    static const struct hop route[] = { { wait_run, THREAD_WRITER }, { home_run, THREAD_CALLER }, { 0 } };
    struct lab_fetch fetch = { .queues = { S("q") } };
    START_TWO();
    EQ(lab_job(&nodes[0], "other", "job-0000", ""), JOB_PUSHED);
    NO(hears_news()); /* nobody waits */
    op_init(&fetch.post.op, nodes[1].f.arena, nodes[1].f.op.now_us);
    fetch.post.hop = route;
    fetch.post.home = post_run;
    fetch.fetch = (struct job_fetch){
        .post = &fetch.post, .queues = fetch.queues, .queue_count = 1, .max = 1, .wait_us = 2000000
    };
    post_send(&fetch.post); /* to the store that was opened last */
    store_turn(nodes[1].f.store);
    NO(hears_news());
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    YES(hears_news());
    lab_tick(&nodes[1]);
    EQ(fetch.fetch.count, 1);
    NO(hears_news());
    EQ(lab_fetch(&nodes[0], "q", 1), 0);
    end_two();
}

static void act(struct lab *lab, struct rng *dice)
{
    static const char *const queues[] = { "a", "b", "c" };
    const char *queue = queues[rng_below(dice, 3)];
    struct str jid = arena_fmt(lab->f.arena, "job-%04d", (int)rng_below(dice, 300));
    switch (rng_below(dice, 8)) {
    case 0:
    case 1:
        lab_job(lab, queue, jid.p, rng_below(dice, 3) ? "" : ",\"key\":\"k1\",\"mutex\":\"m\"");
        break;
    case 2:
        lab_job(lab, queue, jid.p, ",\"unique\":{\"for\":\"1m\",\"on_conflict\":\"replace\"},\"retry\":-1");
        break;
    case 3:
    case 4:
        lab_fetch(lab, queue, 1 + (int)rng_below(dice, 4));
        break;
    case 5:
    case 6:
        if (lab->count)
            lab_ack(lab, arena_str(lab->f.arena, lab->jobs_out[rng_below(dice, (uint64_t)lab->count)].jid).p);
        break;
    default:
        if (lab->count)
            lab_fail(lab, arena_str(lab->f.arena, lab->jobs_out[rng_below(dice, (uint64_t)lab->count)].jid).p);
    }
}

/* What a node knows from the log is what a node knows that reads the rows. */
TEST(job_nodes, following_the_log_and_reading_the_rows_come_to_the_same)
{
    START_TWO();
    struct rng dice;
    rng_init(&dice, 11);
    struct lab_queue queue = { .name = S("a"), .patch = { S("{\"key_concurrency\":3,\"concurrency\":9}"), -1, -1 } };
    WRITES(&nodes[0].f, lab_patch_run, &queue);
    for (int i = 0; i < 600; i++)
        act(&nodes[rng_below(&dice, 2)], &dice);
    WRITES(&nodes[0].f, begin, NULL);
    WRITES(&nodes[1].f, begin, NULL);
    join(2);
    STR_EQ(figures(0), figures(2).p);
    STR_EQ(figures(1), figures(2).p);
    leave(2);
    end_two();
}

static void wait_s(int seconds)
{
    for (int i = 0; i < 3; i++)
        lab_wait_ms(&nodes[i], seconds * 1000);
}

/* Time passes for all, and this one is awake. */
static void pass_s(int i, int seconds)
{
    for (int s = 0; s < seconds; s++) {
        wait_s(1);
        lab_tick(&nodes[i]);
    }
}

/* LEASE-5, NODE-5. Two jobs left a node; of one it still said that a worker has it. */
TEST(job_nodes, what_a_dead_node_never_delivered_goes_back_after_a_minute_by_the_others)
{
    START_TWO();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_job(&nodes[0], "q", "job-0002", ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    nodes[0].is_silent = true;
    EQ(lab_fetch(&nodes[0], "q", 1), 1); /* this group says that the first one was delivered */
    pass_s(1, 59);
    EQ(lab_view(&nodes[1], "q").leased, 2);
    pass_s(1, 2);
    EQ(lab_view(&nodes[1], "q").leased, 1);
    EQ(lab_fetch(&nodes[1], "q", 5), 1);
    STR_EQ(nodes[1].jobs_out[0].jid, "job-0002");
    EQ(nodes[1].jobs_out[0].attempt, 1); /* no failure was counted */
    end_two();
}

/* LEASE-5. Nothing else happens at the node that hands out a long job. */
TEST(job_nodes, a_node_without_work_tells_the_others_what_it_delivered)
{
    START_TWO();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    for (int s = 0; s < 120; s++) {
        pass_s(1, 1);
        lab_tick(&nodes[0]);
    }
    EQ(lab_view(&nodes[1], "q").leased, 1);
    EQ(lab_ack(&nodes[1], "job-0001"), STALE_NOT);
    end_two();
}

/* LEASE-5. Whoever heard of nothing does not know what was delivered meanwhile. */
TEST(job_nodes, a_node_that_was_frozen_listens_for_a_minute_before_it_takes_a_job_back)
{
    START_TWO();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    WRITES(&nodes[1].f, begin, NULL); /* it knows of the lease, and then of nothing for two minutes */
    wait_s(120);
    lab_tick(&nodes[1]);
    EQ(lab_view(&nodes[1], "q").leased, 1);
    EQ(lab_job(&nodes[0], "q", "job-0002", ""), JOB_PUSHED);
    pass_s(1, 70);
    EQ(lab_view(&nodes[1], "q").leased, 1);
    end_two();
}

#define GROUPS (JOB_LOG_KEPT + 2 * JOB_LOG_FOLD) /* until the row that told of the first ones is gone */

/* LEASE-5. What is told of a lease lasts longer than the row that told it, and so does silence. */
TEST(job_nodes, a_node_that_comes_when_the_log_is_cleared_knows_what_was_delivered)
{
    START_TWO();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_job(&nodes[0], "q", "job-0002", ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    nodes[0].is_silent = true;
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    for (int i = 0; i < GROUPS / 2; i++) {
        EQ(lab_job(&nodes[0], "other", "job-0003", ""), JOB_PUSHED);
        EQ(lab_act(&nodes[0], "job-0003", ACTION_KILL), JOB_DEAD);
    }
    join(2);
    pass_s(2, 59);
    EQ(lab_view(&nodes[2], "q").leased, 2);
    pass_s(2, 2);
    EQ(lab_view(&nodes[2], "q").leased, 1);
    STR_EQ(lab_order(&nodes[2], "q", 2), "job-0002");
    leave(2);
    end_two();
}

static enum err count_thresholds(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    int64_t tables;
    TRY(conn_int(op, tx->conn,
                 "SELECT count(*) FROM pg_class WHERE relnamespace = 'posthouse'::regnamespace AND relname IN"
                 " ('job', 'ready', 'lease', 'timer', 'blocked', 'job_aside', 'uniq', 'gate', 'queue_count')"
                 " AND 'autovacuum_vacuum_threshold=5000' = ANY (reloptions)",
                 &tables));
    EQ(tables, 9);
    return OK;
}

/* PG-2. */
TEST(job_nodes, tables_of_jobs_are_vacuumed_by_the_number_of_their_dead_rows)
{
    START_TWO();
    SUCCEEDS(&nodes[0].f.op, store_read(&nodes[0].f.op, nodes[0].f.store, count_thresholds, NULL));
    end_two();
}
