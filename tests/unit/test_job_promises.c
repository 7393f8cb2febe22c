/*
 * test_job_promises.c - what limits promise over many jobs and much time. JOBS_MANY says with how many.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "job_lab.h"

#define PUSHED_AT_ONCE 1000
#define STARTS_MAX     400
#define POISON_MAX     100000 /* of one process; its leases end by the hundred */

static struct lab lab;

static int many(int usually)
{
    const char *text = getenv("JOBS_MANY");
    return text ? atoi(text) : usually;
}

/* Memory of what is done often, forgotten each time. */
static struct arena *own_memory(void)
{
    struct arena *before = lab.f.op.arena;
    lab.f.op.arena = arena_new(64 << 20);
    return before;
}

static void end_own_memory(struct arena *before)
{
    arena_free(lab.f.op.arena);
    lab.f.op.arena = before;
}

struct pushing {
    struct job_spec *specs;
    struct job_pushed *pushed;
    size_t n;
};

static enum err push_run(struct op *op, struct tx *tx, void *arg)
{
    struct pushing *pushing = arg;
    return job_push(op, tx, pushing->specs, pushing->n, false, pushing->pushed);
}

/* So many jobs of the queue; `more` is what else each says. */
static void push_many(const char *queue, int count, const char *more)
{
    static struct job_spec specs[PUSHED_AT_ONCE];
    static struct job_pushed pushed[PUSHED_AT_ONCE];
    struct job_reader reader = lab_reader(&lab);
    struct str text = arena_fmt(lab.f.arena, "{\"jobtype\":\"t\",\"args\":[],\"queue\":\"%s\"%s}", queue, more);
    SUCCEEDS(&lab.f.op, job_read(&lab.f.op, &reader, text, &specs[0]));
    for (int i = 1; i < PUSHED_AT_ONCE; i++)
        specs[i] = specs[0];
    for (int left = count; left > 0; left -= PUSHED_AT_ONCE) {
        struct pushing pushing = { specs, pushed, (size_t)(left < PUSHED_AT_ONCE ? left : PUSHED_AT_ONCE) };
        struct arena *before = own_memory();
        WRITES(&lab.f, push_run, &pushing);
        end_own_memory(before);
    }
}

static void ack_all(void)
{
    for (int i = 0; i < lab.count; i++)
        EQ(lab_ack(&lab, lab.jobs_out[i].jid.p), STALE_NOT);
}

/* RATE-1: 40 a minute is never 41 in any minute, whatever happens to the daemon. */
TEST(job_promises, of_40_a_minute_no_minute_has_41_also_across_restarts)
{
    static int64_t starts[STARTS_MAX];
    int n = 0;
    lab_start_file(&lab);
    lab_policy(&lab, "q", "{\"rate\":{\"limit\":40,\"per\":\"60s\"}}");
    push_many("q", 500, "");
    for (int64_t ms = 0; ms < 5 * 60000; ms += 137) {
        if (ms / 41100 != (ms - 137) / 41100)
            lab_reopen(&lab);
        for (; lab_fetch(&lab, "q", 10) && n < STARTS_MAX; n++) {
            starts[n] = lab.f.op.now_us;
            EQ(lab.count, 1);
            ack_all();
        }
        lab_wait_ms(&lab, 137);
    }
    EQ(n > 180 && n <= 200, true);
    for (int i = 40; i < n; i++)
        EQ(starts[i] - starts[i - 40] >= 60000000, true);
    lab_end(&lab);
}

/* QUE-1: 5 slots are never 6, and each is filled again at once. */
TEST(job_promises, of_5_slots_never_6_are_taken_and_none_stays_empty)
{
    int jobs = 1000, done = 0;
    lab_start(&lab);
    lab_policy(&lab, "slow", "{\"concurrency\":5}");
    push_many("slow", jobs, "");
    EQ(lab_fetch(&lab, "slow", 100), 5);
    while (done < jobs) {
        int taken = lab.count, free = jobs - done - taken;
        EQ(lab_fetch(&lab, "slow", 100), 0);
        lab.count = taken;
        ack_all();
        done += taken;
        EQ(lab_fetch(&lab, "slow", 100), free < 5 ? free : 5);
        EQ(lab_view(&lab, "slow").leased, lab.count);
    }
    lab_end(&lab);
}

/* FAIR-1: whatever one key has queued, a job of another starts within a round. */
TEST(job_promises, a_key_with_many_jobs_delays_the_others_by_one_round)
{
    int jobs = many(20000), others = 0;
    lab_start(&lab);
    push_many("q", jobs, ",\"key\":\"a\"");
    EQ(lab_fetch(&lab, "q", 3), 3);
    lab_job(&lab, "q", "job-of-b", ",\"key\":\"b\"");
    lab_job(&lab, "q", "job-of-c", ",\"key\":\"c\"");
    int64_t began_us = clock_mono_us();
    EQ(lab_fetch(&lab, "q", 3), 3);
    print_message("# one round behind %d jobs of another key took %d us\n", jobs, (int)(clock_mono_us() - began_us));
    for (int i = 0; i < 3; i++)
        others += str_starts(lab.jobs_out[i].jid, S("job-of-"));
    EQ(others, 2);
    lab_end(&lab);
}

/* What the store and the machine take for one job of the queue, told beside the test: no test depends on it. */
static void good_one_takes(const char *queue, const char *behind, int jobs)
{
    lab_job(&lab, queue, "job-good", "");
    int64_t began_us = clock_mono_us();
    EQ(lab_fetch(&lab, queue, 1), 1);
    int64_t took_us = clock_mono_us() - began_us;
    STR_EQ(lab.jobs_out[0].jid, "job-good");
    print_message("# a good job behind %d that are %s was fetched in %d us\n", jobs, behind, (int)took_us);
}

/* MTX-1: what is blocked stands in nobody's way. */
TEST(job_promises, blocked_jobs_in_front_are_not_looked_at)
{
    int jobs = many(20000);
    lab_start(&lab);
    push_many("q", jobs, ",\"mutex\":\"m\"");
    EQ(lab_fetch(&lab, "q", 10), 1);
    EQ(lab_view(&lab, "q").blocked, jobs - 1);
    EQ(lab_view(&lab, "q").ready, 0);
    good_one_takes("q", "blocked", jobs - 1);
    lab_end(&lab);
}

struct losing {
    struct session_id id;
    bool leaves;
};

static enum err worker_run(struct op *op, struct tx *tx, void *arg)
{
    struct losing *worker = arg;
    struct session_info info = { .name = S("w-1") };
    return worker->leaves ? session_leave(op, tx, worker->id) : session_join(op, tx, &info, &worker->id);
}

/* Fetches what there is, and the process is gone with all of it. */
static void crash_with(const char *queue)
{
    struct losing worker = { .leaves = false };
    struct arena *before = own_memory();
    WRITES(&lab.f, worker_run, &worker);
    lab.session = worker.id;
    while (lab_fetch(&lab, queue, LAB_JOBS_MAX))
        arena_reset(lab.f.op.arena);
    lab.session = (struct session_id){ 0 };
    worker.leaves = true;
    WRITES(&lab.f, worker_run, &worker);
    for (int ms = 0; ms < 61000 || lab_view(&lab, queue).leased; ms += 100) {
        lab_wait_ms(&lab, 100);
        lab_tick(&lab);
        arena_reset(lab.f.op.arena); /* a tick may end many leases */
    }
    end_own_memory(before);
}

/* LEASE-8, RETRY-6: those that kill their workers end as dead, and meanwhile wait where nobody looks. */
TEST(job_promises, poison_in_front_is_not_looked_at)
{
    int jobs = many(5000);
    jobs = jobs < POISON_MAX ? jobs : POISON_MAX;
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"crash_limit\":2}");
    push_many("q", jobs, "");
    crash_with("q");
    EQ(lab_view(&lab, "q").ready, jobs); /* the first crash is nobody's fault */
    crash_with("q");
    EQ(lab_view(&lab, "q").dead, jobs);
    lab_policy(&lab, "p", "{\"crash_limit\":3,\"retry\":{\"max\":9,\"backoff\":\"fixed\",\"base\":\"1h\"}}");
    push_many("p", jobs, "");
    crash_with("p");
    crash_with("p");
    EQ(lab_view(&lab, "p").retry, jobs);
    good_one_takes("q", "dead of poison", jobs);
    EQ(lab_ack(&lab, "job-good"), STALE_NOT);
    lab_pass_ms(&lab, 1000);
    lab_job(&lab, "p", "job-other", "");
    EQ(lab_fetch(&lab, "p", 1), 1);
    STR_EQ(lab.jobs_out[0].jid, "job-other");
    lab_end(&lab);
}
