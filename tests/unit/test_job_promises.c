/*
 * test_job_promises.c - what limits promise over many jobs and much time. JOBS_MANY says with how many.
 */
#include <stdlib.h>

#include "job_lab.h"

#define PUSHED_AT_ONCE 1000
#define STARTS_MAX     400

static struct lab lab;

static int many(int usually)
{
    const char *text = getenv("JOBS_MANY");
    return text ? atoi(text) : usually;
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
        WRITES(&lab.f, push_run, &pushing);
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
    lab_start(&lab);
    push_many("q", many(20000), ",\"key\":\"a\"");
    EQ(lab_fetch(&lab, "q", 3), 3);
    lab_job(&lab, "q", "job-of-b", ",\"key\":\"b\"");
    lab_job(&lab, "q", "job-of-c", ",\"key\":\"c\"");
    EQ(lab_fetch(&lab, "q", 3), 3);
    int others = 0;
    for (int i = 0; i < 3; i++)
        others += str_starts(lab.jobs_out[i].jid, S("job-of-"));
    EQ(others, 2);
    lab_end(&lab);
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
    lab_job(&lab, "q", "job-good", "");
    EQ(lab_fetch(&lab, "q", 10), 1);
    STR_EQ(lab.jobs_out[0].jid, "job-good");
    lab_end(&lab);
}
