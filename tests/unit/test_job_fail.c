/*
 * test_job_fail.c - failures, backoff, snooze, dead; workers that are lost.
 */
#include "engine/job_policy.h"
#include "engine/job_view.h"
#include "job_lab.h"

static struct lab lab;

static void push(const char *jid, const char *more)
{
    EQ(lab_job(&lab, "q", jid, more), JOB_PUSHED);
}

static void in_range(enum backoff backoff, int64_t c, int64_t min_s, int64_t max_s)
{
    struct retry_policy retry = { .max = 25, .backoff = backoff, .base_us = 15000000, .cap_us = 3600000000 };
    for (uint64_t dice = 0; dice < 3000; dice += 7) {
        int64_t us = retry_delay_us(&retry, c, dice * 104729);
        YES(us >= min_s * 1000000 && us <= max_s * 1000000);
    }
}

/* RETRY-1. */
TEST(job_fail, delays_follow_the_table)
{
    static const int64_t polynomial[][2] = { { 15, 44 },  { 16, 74 },   { 31, 118 },
                                             { 96, 212 }, { 271, 416 }, { 640, 814 } };
    for (int64_t c = 0; c < 6; c++)
        in_range(BACKOFF_POLYNOMIAL, c, polynomial[c][0], polynomial[c][1]);
    in_range(BACKOFF_POLYNOMIAL, 24, 331791, 332516);
    in_range(BACKOFF_EXPONENTIAL, 0, 15, 17);
    in_range(BACKOFF_EXPONENTIAL, 2, 60, 66);
    in_range(BACKOFF_EXPONENTIAL, 20, 3600, 3960);
    in_range(BACKOFF_LINEAR, 2, 45, 50);
    in_range(BACKOFF_FIXED, 9, 15, 17);
    struct retry_policy list = { .backoff = BACKOFF_LIST, .delays_us = { 5000000, 300000000 }, .delay_count = 2 };
    EQ(retry_delay_us(&list, 0, 9), 5000000);
    EQ(retry_delay_us(&list, 7, 9), 300000000);
}

/* RETRY-2. */
TEST(job_fail, the_failures_word_goes_before_the_jobs_and_the_jobs_before_the_queues)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retry\":{\"max\":1,\"backoff\":\"list\",\"delays\":[\"10s\"]}}");
    push("job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0001");
    lab_pass_ms(&lab, 9000);
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_pass_ms(&lab, 1250);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab.jobs_out[0].attempt, 2);
    YES(str_search(lab.jobs_out[0].failure, S("\"retry_count\":0,\"remaining\":1")) < lab.jobs_out[0].failure.n);
    lab_fail(&lab, "job-0001");
    EQ(lab_view(&lab, "q").dead, 1);
    push("job-0002", ",\"retry\":0");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0002");
    EQ(lab_view(&lab, "q").dead, 1);
    EQ(lab_view(&lab, "q").retry, 0);
    push("job-0003", ",\"retry\":-1");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0003");
    EQ(lab_view(&lab, "q").dead, 2);
    push("job-0004", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail_with(&lab, "job-0004", &(struct job_failure){ .final = true });
    EQ(lab_view(&lab, "q").dead, 3);
    lab_end(&lab);
}

static enum err view(struct op *op, struct tx *tx, void *arg)
{
    return job_view(op, tx, S("job-0001"), arg);
}

static struct str shown(void)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, lab.f.arena, 1 << 20);
    json_write_init(&w, &buf);
    SUCCEEDS(&lab.f.op, store_read(&lab.f.op, lab.f.store, view, &w));
    return buf_str(&buf);
}

static bool shows(struct str text, const char *format, int n)
{
    struct str wanted = arena_fmt(lab.f.arena, format, n);
    return str_search(text, wanted) < text.n;
}

#define ATTEMPTS 40

/* HIST-2. */
TEST(job_fail, the_first_attempt_and_the_newest_29_are_kept)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retry\":{\"max\":100,\"backoff\":\"fixed\",\"base\":\"1s\"}}");
    push("job-0001", "");
    for (int n = 1; n <= ATTEMPTS; n++) {
        EQ(lab_fetch(&lab, "q", 1), 1);
        EQ(lab.jobs_out[0].attempt, n);
        struct job_failure failure = { .errtype = S("E"), .message = arena_fmt(lab.f.arena, "failure %d.", n) };
        lab_fail_with(&lab, "job-0001", &failure);
        lab_pass_ms(&lab, 1500);
    }
    struct str text = shown();
    YES(shows(text, "\"attempts_dropped\":%d", ATTEMPTS - 30));
    for (int n = 1; n <= ATTEMPTS; n++) {
        bool kept = n == 1 || n > ATTEMPTS - 29;
        EQ(shows(text, "\"n\":%d,", n), kept);
        EQ(shows(text, "failure %d.\"}", n), kept);
    }
    lab_end(&lab);
}

/* RETRY-3. */
TEST(job_fail, a_snooze_is_no_failure_until_there_were_too_many)
{
    lab_start(&lab);
    push("job-0001", "");
    struct job_failure snooze = { .snooze_us = 1000000 };
    for (int i = 0; i < 1000; i++) {
        EQ(lab_fetch(&lab, "q", 1), 1);
        EQ(lab.jobs_out[0].attempt, 1);
        lab_fail_with(&lab, "job-0001", &snooze);
        EQ(lab_view(&lab, "q").scheduled, 1);
        lab_wait_ms(&lab, 1000);
        lab_tick(&lab);
    }
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail_with(&lab, "job-0001", &snooze);
    EQ(lab_view(&lab, "q").retry, 1);
    lab_end(&lab);
}

/* RETRY-4. */
TEST(job_fail, a_dead_job_may_be_retried_and_drops_out_after_its_time)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retain\":{\"dead\":\"10m\"}}");
    push("job-0001", "");
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_NONE);
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD);
    lab_pass_ms(&lab, 590000);
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD);
    EQ(lab_view(&lab, "q").dead, 1);
    lab_pass_ms(&lab, 30000); /* the second word did not make it die later */
    EQ(lab_view(&lab, "q").dead, 0);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_NONE);
    lab_end(&lab);
}

/* --- workers --- */

struct worker {
    struct session_info info;
    struct session_id id;
    enum session_state state;
    bool leaves;
};

static enum err worker_run(struct op *op, struct tx *tx, void *arg)
{
    struct worker *worker = arg;
    return worker->leaves ? session_leave(op, tx, worker->id) : session_join(op, tx, &worker->info, &worker->id);
}

static void join(struct worker *worker, const char *name)
{
    *worker = (struct worker){ .info = { .name = str_of(name) } };
    WRITES(&lab.f, worker_run, worker);
}

/* The worker has job-0001 from here on. */
static void join_and_fetch(struct worker *worker, const char *name)
{
    join(worker, name);
    lab.session = worker->id;
    push("job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
}

static void leave(struct worker *worker)
{
    worker->leaves = true;
    WRITES(&lab.f, worker_run, worker);
}

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct worker *worker = arg;
    return session_beat(op, tx, &worker->info, SESSION_RUNNING, 0, &worker->state, NULL, NULL);
}

/* LEASE-6, LEASE-7. */
TEST(job_fail, a_worker_whose_sockets_are_gone_is_lost_after_a_minute_and_its_job_is_ready_at_once)
{
    struct worker worker;
    lab_start(&lab);
    join_and_fetch(&worker, "w-1");
    leave(&worker);
    lab_pass_ms(&lab, 59000);
    EQ(lab_view(&lab, "q").leased, 1);
    lab_pass_ms(&lab, 2000);
    EQ(lab_view(&lab, "q").leased, 0);
    EQ(lab_view(&lab, "q").ready, 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT); /* LEASE-3: late, but nobody has begun it again */
    EQ(lab_view(&lab, "q").ready, 0);
    lab_end(&lab);
}

/* LEASE-6. */
TEST(job_fail, ten_thousand_leases_of_a_lost_worker_end_within_a_second_and_not_in_one_step)
{
    struct worker worker;
    lab_start(&lab);
    join(&worker, "w-1");
    lab.session = worker.id;
    for (int i = 0; i < 10; i++) {
        arena_reset(lab.f.arena);
        for (int n = 0; n < LAB_JOBS_MAX; n++)
            lab_push(&lab, "\"queue\":\"q\"");
        EQ(lab_fetch(&lab, "q", LAB_JOBS_MAX), LAB_JOBS_MAX);
    }
    leave(&worker);
    lab_pass_ms(&lab, 59900);
    EQ(lab_view(&lab, "q").leased, 10 * LAB_JOBS_MAX);
    int64_t left = 10 * LAB_JOBS_MAX;
    lab_wait_ms(&lab, 200);
    for (int64_t step_ms = 1; step_ms < 1000 && left > 0; step_ms++) {
        lab_tick(&lab);
        int64_t before = left;
        left = lab_view(&lab, "q").leased;
        YES(before - left <= 500);
        lab_wait_ms(&lab, 1);
    }
    EQ(left, 0);
    EQ(lab_view(&lab, "q").ready, 10 * LAB_JOBS_MAX);
    lab_end(&lab);
}

/* LEASE-6. */
TEST(job_fail, a_worker_that_comes_back_within_the_minute_keeps_its_leases)
{
    struct worker worker;
    lab_start(&lab);
    join_and_fetch(&worker, "w-1");
    leave(&worker);
    lab_pass_ms(&lab, 50000);
    join(&worker, "w-1");
    for (int i = 0; i < 10; i++) {
        lab_pass_ms(&lab, 30000);
        WRITES(&lab.f, beat_run, &worker);
    }
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    lab_end(&lab);
}

/* LEASE-6. */
TEST(job_fail, silence_makes_a_worker_suspect_and_then_lost)
{
    struct worker worker;
    lab_start(&lab);
    join_and_fetch(&worker, "w-1");
    lab_pass_ms(&lab, 119000);
    EQ(lab_view(&lab, "q").leased, 1);
    lab_pass_ms(&lab, 2000);
    EQ(lab_view(&lab, "q").ready, 1);
    lab_end(&lab);
}

/* LEASE-9. */
TEST(job_fail, after_a_start_workers_have_a_minute_to_come_back)
{
    struct worker worker;
    lab_start_file(&lab);
    join_and_fetch(&worker, "w-1");
    job_delivered(lab.jobs, lab.jobs_out[0].lease);
    push("job-0002", "");
    lab_wait_ms(&lab, 600000);
    lab_reopen(&lab);
    lab_pass_ms(&lab, 59000);
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    lab_end(&lab);
}

/* LEASE-3. */
TEST(job_fail, an_ack_from_another_worker_is_not_applied)
{
    struct worker first, second;
    lab_start(&lab);
    join_and_fetch(&first, "w-1");
    join(&second, "w-2");
    lab.session = second.id;
    EQ(lab_ack(&lab, "job-0001"), STALE_REASSIGNED);
    EQ(lab_fail(&lab, "job-0001"), STALE_REASSIGNED);
    EQ(lab_view(&lab, "q").leased, 1);
    lab.session = (struct session_id){ 0 };
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    lab_end(&lab);
}

/* LEASE-3, on the happy path, where a job has no row aside. */
TEST(job_fail, an_ack_from_another_worker_is_seen_in_the_attempts)
{
    struct worker first, second;
    lab_start_file(&lab);
    join_and_fetch(&first, "w-1");
    join(&second, "w-2");
    lab.session = second.id;
    for (int i = 0; i < 2; i++)
        EQ(lab_ack(&lab, "job-0001"), STALE_REASSIGNED);
    struct str text = shown();
    YES(shows(text, "{\"n\":%d,\"worker\":\"w-2\",\"started_at\":null", 1));
    YES(shows(text, "{\"n\":%d,\"worker\":\"w-2\",\"started_at\":null", 2));
    YES(shows(text, "\"outcome\":\"late\"%.0d", 0));
    YES(shows(text, "{\"n\":%d,", 3)); /* goes on */
    lab_reopen(&lab);
    lab.session = (struct session_id){ 0 };
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    text = shown();
    YES(shows(text, "{\"n\":%d,\"worker\":\"w-2\",\"started_at\":null", 2));
    YES(shows(text, "{\"n\":%d,", 3));
    lab_end(&lab);
}

/* LEASE-3, LEASE-5. */
TEST(job_fail, a_job_with_a_late_ack_goes_back_to_its_place)
{
    struct worker first, second;
    lab_start(&lab);
    join_and_fetch(&first, "w-1");
    push("job-0002", "");
    join(&second, "w-2");
    lab.session = second.id;
    EQ(lab_ack(&lab, "job-0001"), STALE_REASSIGNED);
    leave(&first);
    lab_pass_ms(&lab, 61000);
    lab.session = second.id;
    EQ(lab_fetch(&lab, "q", 2), 2);
    for (int i = 0; i < 2; i++)
        EQ(lab_ack(&lab, i ? "job-0001" : "job-0002"), STALE_NOT);
    EQ(lab_view(&lab, "q").leased, 0);
    lab_end(&lab);
}

/* LEASE-8. */
TEST(job_fail, a_job_that_kills_its_workers_is_poison)
{
    lab_start(&lab);
    push("job-0001", "");
    for (int i = 0; i < 3; i++) {
        struct worker worker;
        join(&worker, arena_fmt(lab.f.arena, "w-%d", i).p);
        lab.session = worker.id;
        EQ(lab_fetch(&lab, "q", 1), 1);
        leave(&worker);
        lab_pass_ms(&lab, 300000);
    }
    EQ(lab_view(&lab, "q").dead, 1);
    EQ(lab_view(&lab, "q").ready, 0);
    lab_end(&lab);
}

/* LEASE-7. */
TEST(job_fail, an_attempt_ends_at_its_timeout_whatever_is_extended)
{
    lab_start(&lab);
    push("job-0001", ",\"timeout\":\"5m\"");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct lab_end_call call = { .ref = { .by_jid = true, .jid = S("job-0001") }, .for_us = 600000000 };
    EQ(store_write(&lab.f.op, lab.f.store, lab_end_run, &call), ERR_CONFLICT);
    lab_pass_ms(&lab, 301000);
    EQ(lab_view(&lab, "q").retry, 1);
    lab_end(&lab);
}
