/*
 * test_job_limits.c - concurrency, rates, keys, priorities, budgets, admission, unique locks.
 */
#include "job_lab.h"
#include "store/store_queue.h"

static struct lab lab;

static void push(const char *queue, const char *jid)
{
    EQ(lab_job(&lab, queue, jid, ""), JOB_PUSHED);
}

static void push_key(const char *jid, const char *key)
{
    EQ(lab_job(&lab, "q", jid, arena_fmt(lab.f.arena, ",\"key\":\"%s\"", key).p), JOB_PUSHED);
}

/* QUE-1. */
TEST(job_limits, no_more_jobs_are_leased_than_the_queue_allows_and_a_free_slot_is_filled_at_once)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"concurrency\":2}");
    push("q", "job-0001");
    push("q", "job-0002");
    push("q", "job-0003");
    EQ(lab_fetch(&lab, "q", 10), 2);
    EQ(lab_fetch(&lab, "q", 10), 0);
    lab_ack(&lab, "job-0001");
    EQ(lab_fetch(&lab, "q", 10), 1);
    lab_policy(&lab, "q", "{\"concurrency\":0}");
    lab_ack(&lab, "job-0002");
    lab_ack(&lab, "job-0003");
    push("q", "job-0004");
    EQ(lab_fetch(&lab, "q", 10), 0);
    lab_policy(&lab, "q", "{\"concurrency\":null}");
    EQ(lab_fetch(&lab, "q", 10), 1);
    lab_end(&lab);
}

/* QUE-2. */
TEST(job_limits, slots_are_the_leases_also_after_a_restart)
{
    lab_start_file(&lab);
    lab_policy(&lab, "q", "{\"concurrency\":2}");
    for (int i = 0; i < 4; i++)
        push("q", arena_fmt(lab.f.arena, "job-%04d", i).p);
    EQ(lab_fetch(&lab, "q", 10), 2);
    lab_reopen(&lab);
    EQ(lab_fetch(&lab, "q", 10), 0);
    lab_ack(&lab, "job-0000");
    EQ(lab_fetch(&lab, "q", 10), 1);
    EQ(lab_view(&lab, "q").leased, 2);
    lab_end(&lab);
}

/* RATE-2. */
TEST(job_limits, a_queue_at_its_rate_is_empty_until_its_time_also_through_a_restart)
{
    lab_start_file(&lab);
    lab_policy(&lab, "q", "{\"rate\":{\"limit\":40,\"per\":\"60s\"}}");
    for (int i = 0; i < 5; i++)
        push("q", arena_fmt(lab.f.arena, "job-%04d", i).p);
    EQ(lab_fetch(&lab, "q", 10), 1);
    lab_wait_ms(&lab, 1499);
    EQ(lab_fetch(&lab, "q", 10), 0);
    lab_reopen(&lab);
    EQ(lab_fetch(&lab, "q", 10), 0);
    lab_wait_ms(&lab, 1);
    EQ(lab_fetch(&lab, "q", 10), 1);
    lab_end(&lab);
}

/* What a fetch took is written by another thread, behind whatever happens to the queue meanwhile. */
TEST(job_limits, a_job_that_is_on_its_way_outlives_the_policy_of_its_queue)
{
    lab_start(&lab);
    push("q", "job-0001");
    push("q", "job-0002");
    EQ(lab_fetch(&lab, "q", 2), 2);
    NE((intptr_t)lab.jobs_out[0].queue.p, (intptr_t)lab.jobs_out[1].queue.p); /* each a copy, none the queue's own */
    lab_policy(&lab, "q", "{\"weight\":3}");
    STR_EQ(lab.jobs_out[0].queue, "q");
    lab_end(&lab);
}

/* FAIR-1. */
TEST(job_limits, keys_have_turns_by_their_weights)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"keys\":{\"c\":{\"weight\":2}}}");
    for (int i = 1; i <= 6; i++)
        push_key(arena_fmt(lab.f.arena, "aaaaaaa%d", i).p, "a");
    for (int i = 1; i <= 2; i++)
        push_key(arena_fmt(lab.f.arena, "bbbbbbb%d", i).p, "b");
    for (int i = 1; i <= 4; i++)
        push_key(arena_fmt(lab.f.arena, "ccccccc%d", i).p, "c");
    STR_EQ(lab_order(&lab, "q", 10), "aaaaaaa1 bbbbbbb1 ccccccc1 ccccccc2 aaaaaaa2 bbbbbbb2 ccccccc3 ccccccc4 "
                                     "aaaaaaa3 aaaaaaa4");
    lab_end(&lab);
}

/* FAIR-3. */
TEST(job_limits, every_key_is_found_again_after_a_restart)
{
    lab_start_file(&lab);
    for (int i = 0; i < 300; i++)
        push_key(arena_fmt(lab.f.arena, "many-%04d", i).p, "a");
    for (int i = 0; i < 100; i++)
        push_key(arena_fmt(lab.f.arena, "key--%04d", i).p, arena_fmt(lab.f.arena, "k%d", i).p);
    lab_reopen(&lab);
    int many = 0, others = 0;
    for (int i = 0; i < 202; i++) {
        EQ(lab_fetch(&lab, "q", 1), 1);
        many += str_starts(lab.jobs_out[0].jid, S("many"));
        others += str_starts(lab.jobs_out[0].jid, S("key-"));
    }
    EQ(others, 100);
    EQ(many, 102);
    for (int i = 0; i < 198; i++)
        EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_fetch(&lab, "q", 1), 0);
    EQ(lab_view(&lab, "q").ready, 0);
    lab_end(&lab);
}

/* FAIR-2. */
TEST(job_limits, a_key_at_its_limit_costs_the_others_nothing_and_comes_back)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"key_concurrency\":2}");
    for (int i = 1; i <= 5; i++)
        push_key(arena_fmt(lab.f.arena, "aaaaaaa%d", i).p, "a");
    push_key("bbbbbbb1", "b");
    STR_EQ(lab_order(&lab, "q", 9), "aaaaaaa1 bbbbbbb1 aaaaaaa2");
    lab_ack(&lab, "aaaaaaa1");
    STR_EQ(lab_order(&lab, "q", 9), "aaaaaaa3");
    lab_end(&lab);
}

/* FAIR-2. */
TEST(job_limits, a_key_at_its_rate_comes_back_at_its_time)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"key_rate\":{\"limit\":1,\"per\":\"10s\"}}");
    push_key("aaaaaaa1", "a");
    push_key("aaaaaaa2", "a");
    push_key("bbbbbbb1", "b");
    STR_EQ(lab_order(&lab, "q", 9), "aaaaaaa1 bbbbbbb1");
    lab_pass_ms(&lab, 9000);
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_pass_ms(&lab, 1100);
    STR_EQ(lab_order(&lab, "q", 9), "aaaaaaa2");
    lab_end(&lab);
}

static enum err count_key_rates(struct op *op, struct tx *tx, void *arg)
{
    static struct key_rate_row rows[5000];
    struct key_rate_row all = { 0 };
    return store_key_rate_walk(op, tx, &all, 5000, rows, arg);
}

static int key_rates(void)
{
    int count;
    WRITES(&lab.f, count_key_rates, &count);
    return count;
}

#define PASSING_KEYS 2500

/* FAIR-2. Of many keys that come once and never again nothing stays. */
TEST(job_limits, what_is_known_of_the_rate_of_a_key_goes_when_its_time_has_passed)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"key_rate\":{\"limit\":1,\"per\":\"1h\"}}");
    lab_policy(&lab, "p", "{\"key_rate\":{\"limit\":1,\"per\":\"10s\"}}");
    push_key("aaaaaaa1", "a");
    push_key("aaaaaaa2", "a");
    for (int i = 0; i < PASSING_KEYS; i++)
        lab_job(&lab, "p", arena_fmt(lab.f.arena, "passing-%04d", i).p,
                arena_fmt(lab.f.arena, ",\"key\":\"k-%d\"", i).p);
    for (int left = PASSING_KEYS; left > 0;) {
        int n = lab_fetch(&lab, "p", LAB_JOBS_MAX);
        YES(n > 0);
        for (int i = 0; i < n; i++)
            lab_ack(&lab, lab.jobs_out[i].jid.p);
        left -= n;
    }
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(key_rates(), PASSING_KEYS + 1);
    lab_pass_ms(&lab, 60000);
    EQ(key_rates(), PASSING_KEYS + 1); /* a clock of another node may be a little behind */
    lab_pass_ms(&lab, 60000);
    EQ(key_rates(), 1);
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_pass_ms(&lab, 3600000);
    STR_EQ(lab_order(&lab, "q", 2), "aaaaaaa2");
    lab_end(&lab);
}

/* PRIO-1. */
TEST(job_limits, a_higher_priority_is_first_and_waiting_raises_it)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"priorities\":true,\"ageing\":\"5m\"}");
    EQ(lab_job(&lab, "q", "low-0001", ",\"priority\":1"), JOB_PUSHED);
    lab_wait_ms(&lab, 1000);
    EQ(lab_job(&lab, "q", "mid-0001", ""), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "high-001", ",\"priority\":9"), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 1), 1);
    STR_EQ(lab.jobs_out[0].jid, "high-001");
    lab_wait_ms(&lab, 2400000);
    EQ(lab_job(&lab, "q", "high-002", ",\"priority\":9"), JOB_PUSHED);
    STR_EQ(lab_order(&lab, "q", 3), "low-0001 mid-0001 high-002");
    lab_end(&lab);
}

/* PRIO-1. */
TEST(job_limits, without_priorities_the_field_means_nothing)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "low-0001", ",\"priority\":1"), JOB_PUSHED);
    lab_wait_ms(&lab, 1);
    EQ(lab_job(&lab, "q", "high-001", ",\"priority\":9"), JOB_PUSHED);
    STR_EQ(lab_order(&lab, "q", 2), "low-0001 high-001");
    lab_end(&lab);
}

static enum err put_budget(struct op *op, struct tx *tx, void *arg)
{
    const char *policy = arg;
    return budget_put(op, tx, S("db"), str_of(policy));
}

/* As many as there may be beside our own two, then one more. */
static enum err put_budgets(struct op *op, struct tx *tx, void *data)
{
    char id[16];
    for (int i = 2; i < BUDGETS_MAX; i++)
        TRY(budget_put(op, tx, str_of((snprintf(id, sizeof id, "b%d", i), id)), S("{}")));
    EQ(budget_put(op, tx, S("b2"), S("{\"concurrency\":2}")), OK);
    *(enum err *)data = budget_put(op, tx, S("one more"), S("{}"));
    op->error[0] = '\0';
    return OK;
}

/* BUD-1. */
TEST(job_limits, budgets_are_counted)
{
    enum err err = OK;
    lab_start(&lab);
    WRITES(&lab.f, put_budgets, &err);
    EQ(err, ERR_BUSY);
    lab_end(&lab);
}

/* BUD-1, BUD-2. */
TEST(job_limits, queues_share_a_budget_and_lowering_it_stops_starts_only)
{
    static char two[] = "{\"concurrency\":2}", one[] = "{\"concurrency\":1}";
    lab_start(&lab);
    WRITES(&lab.f, put_budget, two);
    lab_policy(&lab, "a", "{\"budget\":\"db\"}");
    lab_policy(&lab, "b", "{\"budget\":\"db\"}");
    for (int i = 0; i < 3; i++) {
        push("a", arena_fmt(lab.f.arena, "aaaaaaa%d", i).p);
        push("b", arena_fmt(lab.f.arena, "bbbbbbb%d", i).p);
    }
    EQ(lab_fetch(&lab, "a", 1), 1);
    EQ(lab_fetch(&lab, "b", 9), 1);
    EQ(lab_fetch(&lab, "a", 9), 0);
    WRITES(&lab.f, put_budget, one);
    EQ(lab_view(&lab, "a").leased + lab_view(&lab, "b").leased, 2);
    lab_ack(&lab, "aaaaaaa0");
    EQ(lab_fetch(&lab, "a", 9), 0);
    lab_ack(&lab, "bbbbbbb0");
    EQ(lab_fetch(&lab, "a", 9), 1);
    lab_end(&lab);
}

/* QUE-5. */
TEST(job_limits, a_full_queue_refuses_pushes_and_takes_what_is_ours)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"max_queued\":1}");
    push("q", "job-0001");
    struct job_pushed refused = lab_push(&lab, "\"jid\":\"job-0002\",\"queue\":\"q\"");
    EQ(refused.result, JOB_REFUSED);
    EQ(refused.err, ERR_BUSY);
    STR_EQ(refused.detail, "queue \"q\" is full (1 jobs)");
    EQ(lab_fetch(&lab, "q", 1), 1);
    push("q", "job-0002");
    lab_fail_with(&lab, "job-0001", &(struct job_failure){ .retry_in_us = 1000 });
    lab_pass_ms(&lab, 100);
    EQ(lab_view(&lab, "q").ready, 2);
    lab_end(&lab);
}

/* QUE-5. */
TEST(job_limits, a_full_disk_refuses_pushes_and_takes_what_is_ours)
{
    lab_start(&lab);
    push("q", "job-0001");
    jobs_disk_low(lab.jobs, true);
    struct job_pushed refused = lab_push(&lab, "\"jid\":\"job-0002\",\"queue\":\"q\"");
    EQ(refused.result, JOB_REFUSED);
    EQ(refused.err, ERR_UNAVAILABLE);
    EQ(refused.retry_after_s, 10);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail_with(&lab, "job-0001", &(struct job_failure){ .retry_in_us = 1000 });
    lab_pass_ms(&lab, 100);
    EQ(lab_view(&lab, "q").ready, 1);
    jobs_disk_low(lab.jobs, false);
    push("q", "job-0002");
    lab_end(&lab);
}

static enum err pause_queue(struct op *op, struct tx *tx, void *arg)
{
    return queue_pause(op, tx, S("q"), *(bool *)arg);
}

/* QUE-6. */
TEST(job_limits, a_pause_stops_starts_not_pushes_and_survives_a_restart)
{
    bool yes = true, no = false;
    lab_start_file(&lab);
    WRITES(&lab.f, pause_queue, &yes);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_reopen(&lab);
    EQ(lab_fetch(&lab, "q", 1), 0);
    WRITES(&lab.f, pause_queue, &no);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_end(&lab);
}

/* QUE-4: more than a window holds. */
TEST(job_limits, order_holds_over_windows_and_restarts)
{
    lab_start_file(&lab);
    for (int i = 0; i < 3000; i++) {
        push("q", arena_fmt(lab.f.arena, "job-%05d", i).p);
        if (i == 1500)
            lab_reopen(&lab);
    }
    for (int i = 0; i < 3000; i++) {
        char jid[16];
        EQ(lab_fetch(&lab, "q", 1), 1);
        snprintf(jid, sizeof jid, "job-%05d", i);
        STR_EQ(lab.jobs_out[0].jid, jid);
        if (i == 700)
            lab_reopen(&lab);
    }
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_end(&lab);
}

#define UNIQUE ",\"args\":[1],\"unique\":{\"for\":\"10m\"}"

/* UNI-2. */
TEST(job_limits, of_equal_unique_jobs_one_is_taken_until_it_succeeds)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", UNIQUE), JOB_PUSHED);
    struct job_pushed second = lab_push(&lab, "\"jid\":\"job-0002\",\"queue\":\"q\"" UNIQUE);
    EQ(second.result, JOB_NOT_UNIQUE);
    STR_EQ(second.jid, "job-0001");
    EQ(lab_job(&lab, "q", "job-0001", UNIQUE), JOB_DUPLICATE);
    EQ(lab_job(&lab, "q", "job-0003", ",\"args\":[1]"), JOB_PUSHED); /* UNI-3: without unique locks mean nothing */
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_job(&lab, "q", "job-0002", UNIQUE), JOB_NOT_UNIQUE);
    lab_ack(&lab, "job-0001");
    EQ(lab_job(&lab, "q", "job-0002", UNIQUE), JOB_PUSHED);
    lab_end(&lab);
}

/* UNI-2. */
TEST(job_limits, a_unique_lock_ends_by_start_by_time_or_by_kill)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ",\"unique\":{\"for\":\"10m\",\"until\":\"start\",\"key\":\"k\"}"), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_job(&lab, "q", "job-0002", ",\"unique\":{\"for\":\"10m\",\"until\":\"expiry\",\"key\":\"k\"}"), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0002");
    EQ(lab_job(&lab, "q", "job-0003", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\"}"), JOB_NOT_UNIQUE);
    lab_wait_ms(&lab, 600000);
    EQ(lab_job(&lab, "q", "job-0003", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\"}"), JOB_PUSHED);
    EQ(lab_act(&lab, "job-0003", ACTION_KILL), JOB_DEAD);
    EQ(lab_job(&lab, "q", "job-0004", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\"}"), JOB_PUSHED);
    lab_end(&lab);
}

/* UNI-2. */
TEST(job_limits, a_conflict_may_return_replace_or_extend_the_holder)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ",\"args\":[1],\"unique\":{\"for\":\"10m\",\"key\":\"k\"}"), JOB_PUSHED);
    struct job_pushed pushed =
        lab_push(&lab, "\"jid\":\"job-0002\",\"queue\":\"q\",\"unique\":{\"for\":\"10m\",\"key\":\"k\","
                       "\"on_conflict\":\"return\"}");
    EQ(pushed.result, JOB_RETURNED_HOLDER);
    STR_EQ(pushed.jid, "job-0001");
    EQ(lab_job(&lab, "q", "job-0002",
               ",\"args\":[2],\"unique\":{\"for\":\"10m\",\"key\":\"k\",\"on_conflict\":"
               "\"replace\"}"),
       JOB_RETURNED_HOLDER);
    lab_wait_ms(&lab, 500000);
    EQ(lab_job(&lab, "q", "job-0002", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\",\"on_conflict\":\"extend\"}"),
       JOB_RETURNED_HOLDER);
    lab_wait_ms(&lab, 500000);
    EQ(lab_job(&lab, "q", "job-0002", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\"}"), JOB_NOT_UNIQUE);
    EQ(lab_fetch(&lab, "q", 2), 1);
    STR_EQ(lab.jobs_out[0].jid, "job-0001");
    YES(str_search(lab.jobs_out[0].body, S("\"args\":[2]")) < lab.jobs_out[0].body.n);
    EQ(lab_job(&lab, "q", "job-0002", ",\"unique\":{\"for\":\"10m\",\"key\":\"k\",\"on_conflict\":\"replace\"}"),
       JOB_NOT_UNIQUE);
    lab_end(&lab);
}

/* UNI-2: found by sim_job. */
TEST(job_limits, a_push_that_is_not_unique_leaves_the_dead_job_of_its_jid_alone)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD);
    EQ(lab_job(&lab, "q", "job-0002", UNIQUE), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0001", UNIQUE), JOB_NOT_UNIQUE);
    EQ(lab_view(&lab, "q").dead, 1);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    lab_end(&lab);
}
