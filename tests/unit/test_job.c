/*
 * test_job.c - pushes, fetches, acks and what lies between.
 */
#include "job_lab.h"

static struct lab lab;

static void push(const char *queue, const char *jid)
{
    EQ(lab_job(&lab, queue, jid, ""), JOB_PUSHED);
}

/* JOB-1. */
TEST(job, moves_only_along_its_table)
{
    YES(job_may_move(JOB_NONE, JOB_READY));
    YES(job_may_move(JOB_READY, JOB_LEASED));
    YES(job_may_move(JOB_LEASED, JOB_DONE));
    YES(job_may_move(JOB_RETRY, JOB_READY));
    NO(job_may_move(JOB_SCHEDULED, JOB_LEASED));
    NO(job_may_move(JOB_DONE, JOB_LEASED));
    NO(job_may_move(JOB_NONE, JOB_DONE));
}

TEST(job, goes_from_push_to_ack_and_is_gone)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_view(&lab, "q").ready, 1);
    EQ(lab_fetch(&lab, "q", 1), 1);
    STR_EQ(lab.jobs_out[0].jid, "job-0001");
    EQ(lab.jobs_out[0].attempt, 1);
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_fetch(&lab, "q", 1), 0);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    EQ(lab_view(&lab, "q").leased, 0);
    EQ(lab_ack(&lab, "job-0001"), STALE_FINISHED);
    EQ(lab_ack(&lab, "job-none"), STALE_UNKNOWN);
    lab_end(&lab);
}

/* JOB-3. */
TEST(job, a_live_jid_is_a_duplicate_and_a_finished_one_for_two_minutes_more)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_job(&lab, "other", "job-0001", ""), JOB_DUPLICATE);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_DUPLICATE);
    lab_ack(&lab, "job-0001");
    lab_wait_ms(&lab, 119000);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_DUPLICATE);
    lab_wait_ms(&lab, 1000);
    push("q", "job-0001");
    EQ(lab_view(&lab, "q").ready, 1);
    lab_end(&lab);
}

#define MANY 60

/* One push of many jobs. */
struct lab_pushes {
    struct job_spec specs[MANY];
    struct job_pushed pushed[MANY];
};

static enum err lab_pushes_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab_pushes *pushes = arg;
    return job_push(op, tx, pushes->specs, MANY, false, pushes->pushed);
}

static void read_into(struct lab_pushes *pushes, int at, int no, const char *queue)
{
    struct job_reader reader = lab_reader(&lab);
    struct str text = arena_fmt(lab.f.arena, "{\"jid\":\"job-%04d\",\"queue\":\"%s\",\"jobtype\":\"t\",\"args\":[]%s}",
                                no, queue, at % 2 ? ",\"retry\":3" : "");
    SUCCEEDS(&lab.f.op, job_read(&lab.f.op, &reader, text, &pushes->specs[at]));
}

/* Jobs of one push share their statements; those that are there already, or come twice, cost nobody else anything. */
TEST(job, of_many_in_one_push_those_that_are_there_are_duplicates_and_the_others_keep_their_order)
{
    static struct lab_pushes pushes;
    struct str wanted = S("job-0020");
    lab_start(&lab);
    push("q", "job-0020");
    push("other", "job-0033");
    for (int i = 0; i < MANY; i++) /* twice in one statement, and twice far from each other */
        read_into(&pushes, i, i == 5 ? 4 : i == 40 ? 3 : i, i == 50 ? "new" : "q");
    WRITES(&lab.f, lab_pushes_run, &pushes);
    for (int i = 0; i < MANY; i++) {
        bool known = i == 5 || i == 20 || i == 33 || i == 40;
        EQ(pushes.pushed[i].result, known ? JOB_DUPLICATE : JOB_PUSHED);
        if (!known && i != 50)
            wanted = arena_fmt(lab.f.arena, "%.*s job-%04d", STR(wanted), i);
    }
    EQ(lab_view(&lab, "q").ready, 56);
    STR_EQ(lab_order(&lab, "q", MANY), wanted.p);
    EQ(lab_fetch(&lab, "new", 1), 1);
    lab_end(&lab);
}

/* QUE-5: each is counted before the next is let in. */
TEST(job, of_many_in_one_push_no_more_go_into_a_queue_than_it_has_room_for)
{
    static struct lab_pushes pushes;
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"max_queued\":20}");
    for (int i = 0; i < MANY; i++)
        read_into(&pushes, i, i, "q");
    WRITES(&lab.f, lab_pushes_run, &pushes);
    for (int i = 0; i < MANY; i++)
        EQ(pushes.pushed[i].result, i < 20 ? JOB_PUSHED : JOB_REFUSED);
    EQ(lab_view(&lab, "q").ready, 20);
    lab_end(&lab);
}

/* The 1st change fails, then the 2nd, until all pass: before that nothing of them is there. */
TEST(job, of_many_in_one_push_none_is_there_when_the_disk_failed_at_any_of_them)
{
    static struct lab_pushes pushes;
    enum err err = ERR_BUG;
    int nth = 0;
    lab_start(&lab);
    push("q", "job-0020");
    for (int i = 0; i < MANY; i++)
        read_into(&pushes, i, i, "q");
    while (err != OK && nth < 10 * MANY) {
        fixture_plan(&lab.f, STORE_AT_STATEMENT, STORE_FAIL_IO, ++nth);
        err = store_write(&lab.f.op, lab.f.store, lab_pushes_run, &pushes);
        lab.f.countdown = 0;
        EQ(lab_view(&lab, "q").ready, err == OK ? MANY : 1);
    }
    YES(nth > 1); /* PostgreSQL gets all of them by one or two */
    EQ(err, OK);
    EQ(lab_fetch(&lab, "q", MANY), MANY);
    lab_end(&lab);
}

/* JOB-3. */
TEST(job, remembers_finished_jids_through_a_restart_whose_time_does_not_count)
{
    lab_start_file(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0001");
    lab_wait_ms(&lab, 600000);
    lab_reopen(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_DUPLICATE);
    lab_wait_ms(&lab, 121000);
    push("q", "job-0001");
    lab_end(&lab);
}

TEST(job, gets_a_jid_in_order_of_time_when_it_has_none)
{
    lab_start(&lab);
    struct job_pushed first = lab_push(&lab, "");
    lab_wait_ms(&lab, 1);
    struct job_pushed second = lab_push(&lab, "");
    EQ(first.result, JOB_PUSHED);
    YES(str_cmp(first.jid, second.jid) < 0);
    lab_end(&lab);
}

/* QUE-4. */
TEST(job, a_queue_is_first_in_first_out_and_a_retried_job_goes_to_the_tail)
{
    lab_start(&lab);
    push("q", "job-0001");
    push("q", "job-0002");
    push("q", "job-0003");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_failure failure = { .retry_in_us = 1000000 };
    lab_fail_with(&lab, "job-0001", &failure);
    lab_pass_ms(&lab, 1500);
    STR_EQ(lab_order(&lab, "q", 4), "job-0002 job-0003 job-0001");
    lab_end(&lab);
}

/* JOB-6. */
TEST(job, is_not_leased_after_its_time)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ",\"expires_at\":\"2023-11-14T22:13:25Z\""), JOB_PUSHED);
    push("q", "job-0002");
    lab_wait_ms(&lab, 5000);
    STR_EQ(lab_order(&lab, "q", 2), "job-0002");
    EQ(lab_view(&lab, "q").ready, 0);
    lab_end(&lab);
}

/* JOB-6. */
TEST(job, a_cancelled_job_comes_back_with_retry)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_act(&lab, "job-0001", ACTION_CANCEL), JOB_DONE);
    EQ(lab_fetch(&lab, "q", 1), 0);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_lease lease = lab_lease(&lab, &lab.jobs_out[0]);
    EQ(lab_act(&lab, "job-0001", ACTION_CANCEL), JOB_DONE);
    EQ(lab_ack_lease(&lab, lease), STALE_CANCELLED);
    EQ(lab_view(&lab, "q").leased, 0);
    lab_end(&lab);
}

static enum err cancel_and_retry(struct op *op, struct tx *tx, void *arg)
{
    struct lab_act *act = arg;
    TRY(job_act(op, tx, act->jid, ACTION_CANCEL, &act->state));
    EQ(act->state, JOB_DONE);
    return job_act(op, tx, act->jid, ACTION_RETRY, &act->state);
}

/* JOB-6: its record is not written yet. */
TEST(job, cancelled_and_retried_in_one_group_it_is_there)
{
    struct lab_act act = { .jid = S("job-0001") };
    lab_start(&lab);
    push("q", "job-0000");
    push("q", "job-0001");
    for (int i = 0; i < 2; i++) {
        WRITES(&lab.f, cancel_and_retry, &act);
        EQ(act.state, JOB_READY);
    }
    EQ(lab_view(&lab, "q").ready, 2);
    STR_EQ(lab_order(&lab, "q", 2), "job-0000 job-0001");
    lab_end(&lab);
}

TEST(job, a_scheduled_job_becomes_ready_at_its_time)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ",\"at\":\"2023-11-14T22:14:20Z\""), JOB_PUSHED);
    EQ(lab_view(&lab, "q").scheduled, 1);
    lab_pass_ms(&lab, 59000);
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_pass_ms(&lab, 1000);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_view(&lab, "q").scheduled, 0);
    lab_end(&lab);
}

/* LEASE-2. */
TEST(job, a_lease_that_is_not_the_current_one_changes_nothing)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_lease first = lab_lease(&lab, &lab.jobs_out[0]);
    lab_fail_with(&lab, "job-0001", &(struct job_failure){ .retry_in_us = 1000 });
    EQ(lab_ack_lease(&lab, first), STALE_FINISHED); /* by its own word */
    lab_pass_ms(&lab, 10);
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_lease second = lab_lease(&lab, &lab.jobs_out[0]);
    YES(second.number > first.number);
    EQ(lab_ack_lease(&lab, first), STALE_REASSIGNED);
    EQ(lab_ack_lease(&lab, second), STALE_NOT);
    EQ(lab_ack_lease(&lab, second), STALE_FINISHED);
    EQ(lab_ack_lease(&lab, (struct job_lease){ 1, 99, 7 }), STALE_UNKNOWN);
    lab_end(&lab);
}

TEST(job, a_token_says_its_lease_and_nothing_else_parses)
{
    struct job_lease lease = { 1700000000000000, 42, 0xfedcba9876543210 }, back;
    char text[LEASE_TOKEN_BYTES];
    struct str token = job_token(&lease, text);
    YES(job_token_parse(token, &back));
    EQ(back.id, lease.id);
    EQ(back.number, lease.number);
    YES(back.jid_hash == lease.jid_hash);
    NO(job_token_parse(S("nonsense"), &back));
    NO(job_token_parse(S("!00000000000000000000000000000000"), &back));
}

/* LEASE-9. */
TEST(job, a_lease_outlives_a_restart_and_a_step_of_the_clock_ends_nothing)
{
    lab_start_file(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_reopen(&lab);
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    lab_end(&lab);
}

/* LEASE-7. */
TEST(job, an_expired_lease_is_a_failure_with_backoff_and_its_late_ack_still_counts)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_pass_ms(&lab, 1799000);
    EQ(lab_view(&lab, "q").leased, 1);
    lab_pass_ms(&lab, 2000);
    EQ(lab_view(&lab, "q").leased, 0);
    EQ(lab_view(&lab, "q").retry, 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    EQ(lab_view(&lab, "q").retry, 0);
    lab_end(&lab);
}

/* LEASE-3. */
TEST(job, a_late_ack_after_an_explicit_fail_changes_nothing)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_fail(&lab, "job-0001"), STALE_NOT);
    EQ(lab_ack(&lab, "job-0001"), STALE_EXPIRED);
    EQ(lab_view(&lab, "q").retry, 1);
    lab_end(&lab);
}

/* LEASE-9. */
TEST(job, extend_never_shortens_a_lease)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct lab_end_call call = { .ref = { .by_jid = true, .jid = S("job-0001") }, .for_us = 60000000 };
    WRITES(&lab.f, lab_end_run, &call);
    EQ(call.until_us, lab.jobs_out[0].until_us);
    call.for_us = INT64_C(100) * 3600 * 1000000;
    WRITES(&lab.f, lab_end_run, &call);
    EQ(call.until_us, lab.f.op.now_us + JOB_LEASE_US_MAX);
    lab_pass_ms(&lab, 3000000);
    EQ(lab_view(&lab, "q").leased, 1);
    lab_end(&lab);
}

static enum err give_back(struct op *op, struct tx *tx, void *arg)
{
    const struct job_out *job = arg;
    return job_return(op, tx, job->id, job->lease);
}

/* LEASE-5. */
TEST(job, what_was_never_delivered_goes_back_to_the_head_without_a_failure)
{
    lab_start(&lab);
    push("q", "job-0001");
    push("q", "job-0002");
    EQ(lab_fetch(&lab, "q", 1), 1);
    WRITES(&lab.f, give_back, &lab.jobs_out[0]);
    STR_EQ(lab_order(&lab, "q", 3), "job-0001 job-0002");
    EQ(lab.jobs_out[0].attempt, 1);
    lab_end(&lab);
}

/* LEASE-5. */
TEST(job, leases_that_a_crash_may_have_kept_from_their_workers_come_back_after_a_minute)
{
    lab_start_file(&lab);
    push("q", "job-0001");
    push("q", "job-0002");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab.is_silent = true;
    EQ(lab_fetch(&lab, "q", 1), 1);
    push("q", "job-0003");
    lab_reopen(&lab);
    lab_pass_ms(&lab, 59000);
    EQ(lab_view(&lab, "q").leased, 2);
    lab_pass_ms(&lab, 2000);
    EQ(lab_view(&lab, "q").leased, 1);
    STR_EQ(lab_order(&lab, "q", 3), "job-0002 job-0003");
    lab_end(&lab);
}

/* MTX-1. */
TEST(job, of_one_mutex_one_job_is_leased_and_the_others_do_not_stand_in_the_way)
{
    lab_start(&lab);
    for (int i = 1; i <= 3; i++)
        EQ(lab_job(&lab, "q", arena_fmt(lab.f.arena, "mutex-0%d", i).p,
                   ",\"custom\":{\"posthouse\":{\"mutex\":\"m\"}}"),
           JOB_PUSHED);
    push("q", "job-0001");
    EQ(lab_view(&lab, "q").blocked, 2);
    STR_EQ(lab_order(&lab, "q", 3), "mutex-01 job-0001");
    lab_ack(&lab, "mutex-01");
    STR_EQ(lab_order(&lab, "q", 2), "mutex-02");
    lab_fail(&lab, "mutex-02"); /* a job in backoff does not hold it */
    STR_EQ(lab_order(&lab, "q", 2), "mutex-03");
    lab_end(&lab);
}

static enum err lab_delete(struct op *op, struct tx *tx, void *arg)
{
    return queue_delete(op, tx, ((struct lab_queue *)arg)->name);
}

/* QUE-7. */
TEST(job, a_deleted_queue_is_empty_at_once_and_its_rows_go_in_slices)
{
    lab_start(&lab);
    push("q", "job-0001");
    EQ(lab_job(&lab, "q", "mutex-01", ",\"custom\":{\"posthouse\":{\"mutex\":\"m\"}}"), JOB_PUSHED);
    struct lab_queue queue = { .name = S("q") };
    EQ(lab_job(&lab, "q", "later-001", ",\"at\":\"2023-11-14T22:13:40Z\""), JOB_PUSHED);
    WRITES(&lab.f, lab_delete, &queue);
    EQ(lab_fetch(&lab, "q", 1), 0);
    push("q", "job-0001");
    EQ(lab_job(&lab, "q", "mutex-02", ",\"custom\":{\"posthouse\":{\"mutex\":\"m\"}}"), JOB_PUSHED);
    STR_EQ(lab_order(&lab, "q", 3), "job-0001 mutex-02");
    lab_pass_ms(&lab, 30000);
    STR_EQ(lab_order(&lab, "q", 3), "later-001");
    lab_end(&lab);
}

/* --- waiting --- */

static int homes;

static enum err home_run(struct post *post)
{
    homes++;
    return post->err;
}

static enum err wait_run(struct post *post)
{
    return job_fetch(&post->op, post->tx, &((struct lab_fetch *)(void *)post)->fetch);
}

static void go_home(struct post *post)
{
    post_run(post);
}

static const struct hop wait_route[] = { { wait_run, THREAD_WRITER }, { home_run, THREAD_CALLER }, { 0 } };

static void send_fetch(struct lab_fetch *fetch, const char *queue, int64_t wait_us)
{
    memset(fetch, 0, sizeof *fetch);
    op_init(&fetch->post.op, lab.f.arena, lab.f.op.now_us);
    fetch->queues[0] = str_of(queue);
    fetch->post.hop = wait_route;
    fetch->post.home = go_home;
    fetch->fetch = (struct job_fetch){
        .post = &fetch->post, .queues = fetch->queues, .queue_count = 1, .max = 1, .wait_us = wait_us
    };
    post_send(&fetch->post);
    store_turn(lab.f.store);
}

/* HAND-1. */
TEST(job, one_job_wakes_the_one_that_waits_longest)
{
    struct lab_fetch first, second;
    lab_start(&lab);
    homes = 0;
    send_fetch(&first, "q", 2000000);
    send_fetch(&second, "q", 2000000);
    EQ(homes, 0);
    push("q", "job-0001");
    EQ(homes, 1);
    EQ(first.fetch.count, 1);
    STR_EQ(first.fetch.jobs[0].jid, "job-0001");
    EQ(lab_view(&lab, "q").ready, 0);
    lab_pass_ms(&lab, 2000);
    EQ(homes, 2);
    EQ(second.fetch.count, 0);
    lab_end(&lab);
}

static enum err cancel_run(struct op *op, struct tx *tx, void *arg)
{
    return job_fetch_cancel(op, tx, arg);
}

/* HAND-1. */
TEST(job, a_wait_can_be_given_up_and_idle_waits_cost_no_commit)
{
    struct lab_fetch fetch;
    lab_start(&lab);
    homes = 0;
    push("other", "job-0001");
    uint64_t commits = store_figures(lab.f.store).commits;
    send_fetch(&fetch, "q", 30000000);
    EQ(homes, 0);
    WRITES(&lab.f, cancel_run, &fetch.fetch);
    EQ(homes, 1);
    WRITES(&lab.f, cancel_run, &fetch.fetch);
    EQ(homes, 1);
    push("q", "job-0002");
    EQ(fetch.fetch.count, 0);
    EQ(store_figures(lab.f.store).commits, commits + 1);
    lab_end(&lab);
}

TEST(job, a_freed_slot_wakes_who_waits_for_it)
{
    struct lab_fetch fetch;
    lab_start(&lab);
    homes = 0;
    lab_policy(&lab, "q", "{\"concurrency\":1}");
    push("q", "job-0001");
    push("q", "job-0002");
    EQ(lab_fetch(&lab, "q", 5), 1);
    send_fetch(&fetch, "q", 2000000);
    EQ(homes, 0);
    lab_ack(&lab, "job-0001");
    EQ(homes, 1);
    STR_EQ(fetch.fetch.jobs[0].jid, "job-0002");
    lab_end(&lab);
}

static enum err stop_leasing(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return jobs_stop_leasing(op, tx);
}

/* STOP-1. */
TEST(job, at_a_stop_waits_come_home_and_nothing_is_leased_any_more)
{
    struct lab_fetch fetch;
    lab_start(&lab);
    homes = 0;
    send_fetch(&fetch, "q", 30000000);
    WRITES(&lab.f, stop_leasing, NULL);
    EQ(homes, 1);
    EQ(fetch.fetch.count, 0);
    push("q", "job-0001");
    EQ(lab_fetch(&lab, "q", 1), 0);
    lab_end(&lab);
}

/* A disk error takes the group back: the waiter stays, what it was given is still there. */
TEST(job, a_group_that_was_lost_leaves_jobs_and_waiters_as_they_were)
{
    struct lab_fetch fetch;
    lab_start(&lab);
    homes = 0;
    push("q", "job-0000");
    lab_ack(&lab, "job-0000");
    STR_EQ(lab_order(&lab, "q", 1), "job-0000");
    send_fetch(&fetch, "q", 2000000);
    for (int nth = 1; nth < 8; nth++) {
        struct lab_push call = { .lab = &lab };
        struct job_reader reader = lab_reader(&lab);
        SUCCEEDS(&lab.f.op,
                 job_read(&lab.f.op, &reader, S("{\"jid\":\"job-0001\",\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[]}"),
                          &call.spec));
        fixture_plan(&lab.f, nth == 7 ? STORE_AT_COMMIT : STORE_AT_STATEMENT, STORE_FAIL_IO, nth == 7 ? 1 : nth);
        enum err err = store_write(&lab.f.op, lab.f.store, lab_push_run, &call);
        lab.f.countdown = 0;
        if (err == OK)
            break;
        EQ(homes, 0);
        EQ(lab_view(&lab, "q").ready, 0);
    }
    if (homes == 0)
        push("q", "job-0001");
    EQ(homes, 1);
    EQ(fetch.fetch.count, 1);
    EQ(lab_view(&lab, "q").leased, 2);
    lab_end(&lab);
}
