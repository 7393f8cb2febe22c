/*
 * test_job_progress.c - what jobs say of themselves, and how they stand.
 */
#include "engine/job_progress.h"
#include "engine/job_view.h"
#include "job_lab.h"
#include "store/store_progress.h"

static struct lab lab;

struct track_call {
    struct job_ref ref;
    struct job_said said;
    int64_t until_us;
    struct job_track found;
    struct progress_row row;
    bool written;
};

static enum err run_set(struct op *op, struct tx *tx, void *arg)
{
    struct track_call *call = arg;
    return job_track_set(op, tx, &call->ref, &call->said, call->until_us);
}

static enum err run_get(struct op *op, struct tx *tx, void *arg)
{
    struct track_call *call = arg;
    TRY(job_track_get(op, tx, call->ref.jid, &call->found));
    return store_progress_get(op, tx, call->ref.jid, &call->row, &call->written);
}

static void set_until(const char *jid, int percent, const char *desc, int64_t until_us)
{
    struct track_call call = { .ref = { .by_jid = true, .jid = str_of(jid) },
                               .said = { percent, desc ? str_of(desc) : (struct str){ 0 } },
                               .until_us = until_us };
    WRITES(&lab.f, run_set, &call);
}

static void set(const char *jid, int percent, const char *desc)
{
    set_until(jid, percent, desc, 0);
}

static struct track_call get(const char *jid)
{
    struct track_call call = { .ref = { .by_jid = true, .jid = str_of(jid) } };
    WRITES(&lab.f, run_get, &call);
    return call;
}

/* "state percent desc" */
static struct str track(const char *jid)
{
    struct job_track found = get(jid).found;
    struct str desc = str_given(found.said.desc) ? found.said.desc : S("-");
    return arena_fmt(lab.f.arena, "%s %d %.*s", found.state, found.said.percent, STR(desc));
}

static void push(const char *jid, const char *more)
{
    EQ(lab_job(&lab, "q", jid, arena_fmt(lab.f.arena, ",\"custom\":{\"track\":1}%s", more).p), JOB_PUSHED);
}

/* HIST-1. */
TEST(job_progress, a_tracked_job_tells_its_state_until_half_an_hour_behind_its_end)
{
    lab_start(&lab);
    push("job-0001", "");
    STR_EQ(track("job-0001"), "enqueued -1 -");
    EQ(lab_fetch(&lab, "q", 1), 1);
    STR_EQ(track("job-0001"), "working -1 -");
    set("job-0001", 40, "half");
    set("job-0001", -1, "more than half");
    set("job-0001", 55, NULL);
    STR_EQ(track("job-0001"), "working 55 more than half");
    lab_fail(&lab, "job-0001");
    STR_EQ(track("job-0001"), "failed 55 more than half");
    lab_act(&lab, "job-0001", ACTION_KILL);
    STR_EQ(track("job-0001"), "dead 55 more than half");
    lab_act(&lab, "job-0001", ACTION_RETRY);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0001");
    STR_EQ(track("job-0001"), "success 55 more than half");
    lab_pass_ms(&lab, 29 * 60000);
    STR_EQ(track("job-0001"), "success 55 more than half");
    lab_pass_ms(&lab, 2 * 60000);
    STR_EQ(track("job-0001"), "unknown -1 -");
    lab_end(&lab);
}

/* HIST-1. */
TEST(job_progress, is_written_at_most_once_a_second)
{
    lab_start(&lab);
    push("job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    set("job-0001", 1, NULL);
    EQ(get("job-0001").row.percent, 1);
    for (int i = 2; i <= 9; i++) {
        lab_wait_ms(&lab, 100);
        lab_tick(&lab);
        set("job-0001", i, NULL);
    }
    EQ(get("job-0001").row.percent, 1);
    EQ(get("job-0001").found.said.percent, 9);
    lab_pass_ms(&lab, 300);
    EQ(get("job-0001").row.percent, 9);
    lab_end(&lab);
}

/* HIST-1. */
TEST(job_progress, that_a_failed_group_wrote_is_written_again)
{
    lab_start_file(&lab);
    push("job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    set("job-0001", 1, NULL);
    set("job-0001", 2, NULL);
    lab_wait_ms(&lab, 1000);
    fixture_plan(&lab.f, STORE_AT_COMMIT, STORE_FAIL_IO, 1);
    EQ(store_write(&lab.f.op, lab.f.store, lab_tick_run, &lab.tick_next_us), ERR_UNAVAILABLE);
    lab_tick(&lab);
    EQ(get("job-0001").row.percent, 2);
    lab_end(&lab);
}

TEST(job_progress, of_jobs_that_are_not_tracked_or_not_there_is_unknown)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    set("job-0001", 5, NULL);
    STR_EQ(track("job-0001"), "unknown -1 -");
    set("job-none", 5, NULL);
    STR_EQ(track("job-none"), "unknown -1 -");
    EQ(get("job-none").found.updated_us, 0);
    lab_end(&lab);
}

static enum err run_view(struct op *op, struct tx *tx, void *arg)
{
    struct json_writer w;
    json_write_init(&w, (struct buf *)arg);
    return job_view(op, tx, S("job-0001"), &w);
}

/* HIST-1. */
TEST(job_progress, is_shown_with_the_job_also_when_it_is_done_and_ends_with_this_life)
{
    lab_start(&lab);
    struct buf buf;
    buf_init_arena(&buf, lab.f.arena, 1 << 16);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 1), 1);
    set("job-0001", 70, "x");
    lab_ack(&lab, "job-0001");
    READS(&lab.f, run_view, &buf);
    YES(str_search(buf_str(&buf), S("\"progress\":{\"percent\":70,\"desc\":\"x\",\"updated_at\":\"")) < buf.n);
    lab_wait_ms(&lab, 121000);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    buf_reset(&buf);
    READS(&lab.f, run_view, &buf);
    EQ(str_search(buf_str(&buf), S("progress")), buf.n);
    lab_end(&lab);
}

/* HIST-1. */
TEST(job_progress, reserve_until_moves_the_end_of_the_lease_and_never_back)
{
    lab_start(&lab);
    push("job-0001", ",\"reserve_for\":60");
    EQ(lab_fetch(&lab, "q", 1), 1);
    int64_t now_us = lab.f.op.now_us;
    set_until("job-0001", 1, NULL, now_us + 600 * INT64_C(1000000));
    set_until("job-0001", 2, NULL, now_us + 30 * INT64_C(1000000));
    lab_pass_ms(&lab, 599000);
    EQ(lab_view(&lab, "q").leased, 1);
    lab_pass_ms(&lab, 2000);
    EQ(lab_view(&lab, "q").leased, 0);
    lab_end(&lab);
}
