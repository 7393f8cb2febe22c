/* Jobs that applications pushed inside their transactions. */
#include "engine/inbox.h"
#include "job_lab.h"
#include "store_test.h"
#include "store/store_inbox.h"

static struct lab lab;

static enum err say_job(struct op *op, struct tx *tx, void *arg)
{
    struct inbox_row row = { .kind = INBOX_JOB, .at_us = op->now_us, .subject = S(""), .body = str_of(arg) };
    return store_inbox_add(op, tx, &row);
}

static void say(const char *job)
{
    WRITES(&lab.f, say_job, (void *)(uintptr_t)job);
}

static enum err take_rows(struct op *op, struct tx *tx, void *arg)
{
    return inbox_apply(op, tx, 0, INBOX_CHUNK_ROWS, arg);
}

static struct inbox_result take(void)
{
    struct inbox_result result;
    WRITES(&lab.f, take_rows, &result);
    return result;
}

TEST(inbox_jobs, what_was_pushed_is_ready_and_a_live_jid_is_a_duplicate)
{
    lab_start(&lab);
    say("{\"jid\":\"job-0001\",\"jobtype\":\"a\",\"args\":[1.0]}");
    say("{\"jid\":\"job-0001\",\"jobtype\":\"a\",\"args\":[]}");
    say("{\"jobtype\":\"b\",\"queue\":\"other\",\"args\":[]}");
    struct inbox_result result = take();
    EQ(result.applied, 2);
    EQ(result.duplicates, 1);
    EQ(result.refused, 0);
    EQ(lab_fetch(&lab, "default", 10), 1);
    STR_EQ(lab.jobs_out[0].jid, "job-0001");
    EQ(lab_fetch(&lab, "other", 10), 1);
    lab_end(&lab);
}

TEST(inbox_jobs, the_loser_of_a_lock_is_counted_and_what_is_no_job_stands_refused)
{
    lab_start(&lab);
    say("{\"jobtype\":\"a\",\"args\":[],\"unique\":{\"for\":\"10m\"}}");
    say("{\"jobtype\":\"a\",\"args\":[],\"unique\":{\"for\":\"10m\"}}");
    say("{\"jobtype\":\"a\"}");
    say("{\"jobtype\":\"a\",\"args\":[],\"batch\":\"b-none\"}");
    struct inbox_result result = take();
    EQ(result.applied, 1);
    EQ(result.duplicates, 1);
    EQ(result.refused, 2);
    lab_end(&lab);
}

TEST(inbox_jobs, a_full_queue_takes_what_was_committed)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "default", "job-0001", ""), JOB_PUSHED);
    lab_policy(&lab, "default", "{\"max_queued\":1}");
    say("{\"jobtype\":\"a\",\"args\":[]}");
    EQ(take().applied, 1);
    lab_end(&lab);
}
