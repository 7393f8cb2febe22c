/*
 * test_job_batch.c - batches: who is in the set, what is called when, and that it is called once.
 */
#include "engine/check.h"
#include "engine/job_batch.h"
#include "job_lab.h"
#include "store/store_batch.h"

static struct lab lab;

/* --- the calls --- */

struct batch_call {
    struct batch_new new;
    struct str bid;
    struct batch_view view;
};

static enum err run_new(struct op *op, struct tx *tx, void *arg)
{
    struct batch_call *call = arg;
    struct job_reader reader = lab_reader(&lab);
    TRY(batch_new_check(op, &reader, &call->new, NULL));
    return batch_create(op, tx, &call->new, lab.door, &call->bid);
}

static enum err run_commit(struct op *op, struct tx *tx, void *arg)
{
    return batch_commit(op, tx, ((struct batch_call *)arg)->bid);
}

static enum err run_open(struct op *op, struct tx *tx, void *arg)
{
    return batch_open(op, tx, ((struct batch_call *)arg)->bid);
}

static enum err run_get(struct op *op, struct tx *tx, void *arg)
{
    struct batch_call *call = arg;
    return batch_get(op, tx, call->bid, &call->view);
}

#define ON_COMPLETE "{\"jobtype\":\"C\",\"args\":[],\"queue\":\"calls\",\"custom\":{\"mine\":1.0}}"
#define ON_SUCCESS  "{\"jobtype\":\"S\",\"args\":[],\"queue\":\"calls\"}"

static struct str text_or_none(const char *text)
{
    return text ? str_of(text) : (struct str){ 0 };
}

/* The id as text; "" when it was refused. */
static const char *make(const char *complete, const char *success, const char *parent)
{
    struct batch_call call = {
        .new = { .complete = text_or_none(complete), .success = text_or_none(success), .parent = text_or_none(parent) }
    };
    return store_write(&lab.f.op, lab.f.store, run_new, &call) == OK ? call.bid.p : "";
}

static enum err commit(const char *bid)
{
    struct batch_call call = { .bid = str_of(bid) };
    return store_write(&lab.f.op, lab.f.store, run_commit, &call);
}

static enum err reopen(const char *bid)
{
    struct batch_call call = { .bid = str_of(bid) };
    return store_write(&lab.f.op, lab.f.store, run_open, &call);
}

/* "total/pending/failed complete success", "gone" for one that is not there. */
static struct str status(const char *bid)
{
    struct batch_call call = { .bid = str_of(bid) };
    if (store_write(&lab.f.op, lab.f.store, run_get, &call) != OK)
        return S("gone");
    const struct batch_view *v = &call.view;
    return arena_fmt(lab.f.arena, "%d/%d/%d %s %s", (int)v->total, (int)v->pending, (int)v->failed,
                     v->complete ? v->complete : "-", v->success ? v->success : "-");
}

static void member(const char *bid, const char *jid)
{
    struct str more = arena_fmt(lab.f.arena, ",\"batch\":\"%s\"", bid);
    EQ(lab_job(&lab, "q", jid, more.p), JOB_PUSHED);
}

static void difference(void *data, const char *line)
{
    (void)data;
    STR_EQ(str_of(line), ""); /* nothing differs */
}

static void rows_agree(void)
{
    struct check check = { .store = lab.f.store, .difference = difference };
    SUCCEEDS(&lab.f.op, check_run(&lab.f.op, &check));
}

/* Type of the next callback, acked; "" = none waits. */
static const char *next_call(void)
{
    if (!lab_fetch(&lab, "calls", 1))
        return "";
    const char *type = arena_str(lab.f.arena, lab.jobs_out[0].jobtype).p;
    lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p);
    return type;
}

/* --- what is called when --- */

/* BATCH-1, BATCH-2. */
TEST(job_batch, calls_success_in_the_transaction_of_the_last_ack)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    EQ(strlen(bid), 14);
    member(bid, "job-0001");
    member(bid, "job-0002");
    EQ(lab_fetch(&lab, "q", 2), 2);
    lab_ack(&lab, "job-0001");
    STR_EQ(status(bid), "2/1/0 - ");
    EQ(commit(bid), OK);
    lab_ack(&lab, "job-0002");
    STR_EQ(status(bid), "2/0/0 - 1");
    EQ(lab_ack(&lab, "job-0002"), STALE_FINISHED); /* said again: nothing is removed twice */
    EQ(lab_view(&lab, "calls").ready, 1);
    rows_agree();
    EQ(lab_fetch(&lab, "calls", 1), 1);
    struct str body = arena_fmt(lab.f.arena, "\"args\":[],\"custom\":{\"_bid\":\"%s\"}", bid);
    STR_EQ(lab.jobs_out[0].body, body.p);
    lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p);
    STR_EQ(status(bid), "2/0/0 - 2");
    rows_agree();
    lab_end(&lab);
}

/* BATCH-1. */
TEST(job_batch, an_empty_batch_calls_when_it_is_committed_and_complete_comes_before_success)
{
    lab_start(&lab);
    const char *bid = make(ON_COMPLETE, ON_SUCCESS, NULL);
    STR_EQ(str_of(next_call()), "");
    EQ(commit(bid), OK);
    EQ(commit(bid), OK);
    STR_EQ(status(bid), "0/0/0 1 ");
    EQ(lab_fetch(&lab, "calls", 2), 1);
    struct str body = arena_fmt(lab.f.arena, "\"args\":[],\"custom\":{\"mine\":1.0,\"_bid\":\"%s\"}", bid);
    STR_EQ(lab.jobs_out[0].body, body.p);
    lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p);
    STR_EQ(status(bid), "0/0/0 2 1");
    STR_EQ(str_of(next_call()), "S");
    STR_EQ(str_of(next_call()), "");
    STR_EQ(status(bid), "0/0/0 2 2");
    lab_end(&lab);
}

TEST(job_batch, a_callback_whose_custom_is_null_gets_one_custom)
{
    lab_start(&lab);
    const char *bid =
        make(NULL, "{\"jobtype\":\"S\",\"args\":[],\"queue\":\"calls\",\"custom\":null,\"mine\":1}", NULL);
    EQ(commit(bid), OK);
    EQ(lab_fetch(&lab, "calls", 1), 1);
    struct str body = arena_fmt(lab.f.arena, "\"args\":[],\"mine\":1,\"custom\":{\"_bid\":\"%s\"}", bid);
    STR_EQ(lab.jobs_out[0].body, body.p);
    lab_end(&lab);
}

/* BATCH-1. */
TEST(job_batch, a_failing_member_is_attempted_and_holds_success_back)
{
    lab_start(&lab);
    const char *bid = make(ON_COMPLETE, ON_SUCCESS, NULL);
    member(bid, "job-0001");
    EQ(commit(bid), OK);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0001");
    STR_EQ(status(bid), "1/1/1 1 ");
    STR_EQ(str_of(next_call()), "C");
    lab_pass_ms(&lab, 60000);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0001");
    STR_EQ(status(bid), "1/1/1 2 ");
    lab_act(&lab, "job-0001", ACTION_RETRY);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0001");
    STR_EQ(status(bid), "1/0/0 2 1");
    rows_agree();
    STR_EQ(str_of(next_call()), "S");
    lab_end(&lab);
}

/* BATCH-4. */
TEST(job_batch, a_dead_member_keeps_success_waiting_until_it_is_retried)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL), *killed = make(ON_COMPLETE, NULL, NULL);
    member(killed, "job-0000");
    EQ(commit(killed), OK);
    EQ(lab_act(&lab, "job-0000", ACTION_KILL), JOB_DEAD);
    STR_EQ(status(killed), "1/1/1 1 -");
    member(bid, "job-0001");
    EQ(commit(bid), OK);
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_failure final = { .final = true };
    lab_fail_with(&lab, "job-0001", &final);
    STR_EQ(status(bid), "1/1/1 - ");
    rows_agree();
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0001");
    STR_EQ(status(bid), "1/0/0 - 1");
    lab_end(&lab);
}

/* BATCH-4. */
TEST(job_batch, cancelled_and_expired_members_are_settled_and_named)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    member(bid, "job-0001");
    member(bid, "job-0002");
    struct str more = arena_fmt(lab.f.arena, ",\"batch\":\"%s\",\"expires_at\":\"2023-11-14T22:13:25Z\"", bid);
    EQ(lab_job(&lab, "other", "job-0003", more.p), JOB_PUSHED);
    EQ(commit(bid), OK);
    lab_act(&lab, "job-0001", ACTION_CANCEL);
    lab_act(&lab, "job-0002", ACTION_CANCEL);
    EQ(lab_act(&lab, "job-0002", ACTION_RETRY), JOB_READY); /* it is a member again */
    STR_EQ(status(bid), "3/2/0 - ");
    rows_agree();
    lab_act(&lab, "job-0002", ACTION_CANCEL);
    lab_wait_ms(&lab, 10000);
    EQ(lab_fetch(&lab, "other", 1), 0); /* it is too old, and was the last */
    EQ(lab_fetch(&lab, "calls", 1), 1);
    struct str body =
        arena_fmt(lab.f.arena,
                  "\"args\":[],\"custom\":{\"_bid\":\"%s\",\"_cancelled\":[\"job-0001\",\"job-0002\",\"job-0003\"]}",
                  bid);
    STR_EQ(lab.jobs_out[0].body, body.p);
    lab_end(&lab);
}

TEST(job_batch, a_discarded_member_never_succeeds)
{
    lab_start(&lab);
    const char *bid = make(ON_COMPLETE, ON_SUCCESS, NULL);
    struct str more = arena_fmt(lab.f.arena, ",\"batch\":\"%s\",\"retry\":0", bid);
    EQ(lab_job(&lab, "q", "job-0001", more.p), JOB_PUSHED);
    EQ(commit(bid), OK);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_fail(&lab, "job-0001");
    STR_EQ(str_of(next_call()), "C");
    STR_EQ(status(bid), "1/1/1 2 ");
    STR_EQ(str_of(next_call()), "");
    rows_agree();
    lab_end(&lab);
}

/* BATCH-1. */
TEST(job_batch, a_parent_waits_for_the_callbacks_of_its_children)
{
    lab_start(&lab);
    const char *parent = make(ON_COMPLETE, ON_SUCCESS, NULL), *child = make(NULL, ON_SUCCESS, parent);
    member(parent, "job-0001");
    member(child, "job-0002");
    EQ(commit(parent), OK);
    EQ(lab_fetch(&lab, "q", 2), 2);
    lab_ack(&lab, "job-0001");
    lab_ack(&lab, "job-0002");
    STR_EQ(status(parent), "1/0/0  ");
    rows_agree();
    EQ(commit(child), OK);
    STR_EQ(status(child), "1/0/0 - 1");
    STR_EQ(status(parent), "1/0/0 1 "); /* the child has no `complete`: its condition is enough */
    STR_EQ(str_of(next_call()), "S");   /* of the child */
    STR_EQ(str_of(next_call()), "C");
    STR_EQ(str_of(next_call()), "S");
    STR_EQ(str_of(next_call()), "");
    rows_agree();
    STR_EQ(str_of(make(NULL, ON_SUCCESS, "b-000000000000")), "");
    EQ(strncmp(lab.f.op.error, "No such batch b-000000000000", 28), 0);
    lab_end(&lab);
}

/* BATCH-1. */
TEST(job_batch, opened_again_it_takes_more_jobs_and_calls_each_callback_once)
{
    lab_start(&lab);
    const char *bid = make(ON_COMPLETE, ON_SUCCESS, NULL);
    EQ(commit(bid), OK);
    STR_EQ(str_of(next_call()), "C");
    EQ(lab_fetch(&lab, "calls", 1), 1); /* success is under way */
    const char *success = arena_str(lab.f.arena, lab.jobs_out[0].jid).p;
    EQ(reopen(bid), OK);
    member(bid, "job-0001");
    EQ(commit(bid), OK);
    EQ(lab_fetch(&lab, "q", 1), 1);
    lab_ack(&lab, "job-0001");
    STR_EQ(status(bid), "1/0/0 2 1");
    lab_ack(&lab, success);
    STR_EQ(status(bid), "1/0/0 2 2");
    STR_EQ(str_of(next_call()), "");
    lab_end(&lab);
}

/* --- ends --- */

/* BATCH-3. */
TEST(job_batch, expires_without_a_push_for_half_an_hour_and_its_members_run_on)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    lab_pass_ms(&lab, 29 * 60000);
    member(bid, "job-0001");
    lab_pass_ms(&lab, 29 * 60000);
    STR_EQ(status(bid), "1/1/0 - ");
    lab_pass_ms(&lab, 2 * 60000);
    STR_EQ(status(bid), "gone");
    EQ(commit(bid), ERR_NOT_FOUND);
    struct str more = arena_fmt(lab.f.arena, "\"jid\":\"job-0002\",\"batch\":\"%s\"", bid);
    struct job_pushed pushed = lab_push(&lab, more.p);
    EQ(pushed.result, JOB_REFUSED);
    STR_EQ(pushed.detail, arena_fmt(lab.f.arena, "No such batch %s", bid).p);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_ack(&lab, "job-0001"), STALE_NOT);
    rows_agree();
    lab_end(&lab);
}

/* BATCH-4. */
TEST(job_batch, is_kept_for_a_day_behind_its_last_callback)
{
    lab_start_file(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    EQ(commit(bid), OK);
    STR_EQ(str_of(next_call()), "S");
    lab_pass_ms(&lab, 1000);
    lab_reopen(&lab);
    lab.f.op.now_us += INT64_C(23) * 3600 * 1000000;
    lab_pass_ms(&lab, 1000);
    STR_EQ(status(bid), "0/0/0 - 2");
    lab.f.op.now_us += INT64_C(3600) * 1000000;
    lab_pass_ms(&lab, 1000);
    STR_EQ(status(bid), "gone");
    lab_end(&lab);
}

static enum err run_delete(struct op *op, struct tx *tx, void *arg)
{
    return queue_delete(op, tx, ((struct lab_queue *)arg)->name);
}

/* BATCH-4. */
TEST(job_batch, members_deleted_with_their_queue_count_as_cancelled)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    member(bid, "job-0001");
    EQ(commit(bid), OK);
    struct lab_queue queue = { .name = S("q") };
    WRITES(&lab.f, run_delete, &queue);
    lab_pass_ms(&lab, 15000);
    STR_EQ(status(bid), "1/0/0 - 1");
    rows_agree();
    lab_end(&lab);
}

static enum err spoil(struct op *op, struct tx *tx, void *arg)
{
    return store_batch_job_put(op, tx, *(uint64_t *)arg, 4711, MARK_FRESH);
}

/* BATCH-5. */
TEST(job_batch, a_member_that_is_no_job_is_found_and_mended)
{
    lab_start(&lab);
    const char *bid = make(NULL, ON_SUCCESS, NULL);
    member(bid, "job-0001");
    uint64_t no = 0;
    for (const char *p = bid + 2; *p; p++)
        no = no << 5 | (uint64_t)(strchr("0123456789abcdefghjkmnpqrstvwxyz", *p) - "0123456789abcdefghjkmnpqrstvwxyz");
    WRITES(&lab.f, spoil, &no);
    struct check check = { .store = lab.f.store };
    SUCCEEDS(&lab.f.op, check_run(&lab.f.op, &check));
    YES(check.differ > 0);
    lab_pass_ms(&lab, 11 * 60000);
    rows_agree();
    STR_EQ(status(bid), "1/1/0 - ");
    lab_end(&lab);
}

/* --- what is refused --- */

/* BATCH-1. */
TEST(job_batch, needs_a_callback_that_is_a_job)
{
    lab_start(&lab);
    STR_EQ(str_of(make(NULL, NULL, NULL)), "");
    STR_EQ(str_of(make(NULL, "{\"jobtype\":\"\",\"args\":[]}", NULL)), "");
    STR_EQ(str_of(lab.f.op.pointer), "/success/jobtype");
    lab.door = JOB_WORKER;
    EQ(strlen(make(NULL, "{\"jobtype\":\"S\",\"args\":[]}", NULL)), 14);
    EQ(lab_job(&lab, "q", "job-0001", ",\"custom\":{\"bid\":\"mine\"}"), JOB_PUSHED); /* the user's own word */
    lab_end(&lab);
}
