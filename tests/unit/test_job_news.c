/*
 * test_job_news.c - what the log of events hears of jobs, batches and handlers.
 */
#include "engine/events.h"
#include "engine/job_batch.h"
#include "engine/job_handler.h"
#include "lab_events.h"

static struct lab lab;

/* --- the log as a test reads it --- */

static void note(struct buf *text, const struct event_row *row)
{
    STR_EQ(row->source, "posthouse");
    buf_add_str(text, arena_fmt(lab.f.arena, "%.*s %.*s %.*s\n", STR(row->type), STR(row->subject), STR(row->data)));
}

/* "type subject data" of each, newest first. */
static struct str told(void)
{
    return lab_events(&lab, note);
}

static int count(struct str text, const char *word)
{
    int n = 0;
    size_t at;
    while ((at = str_search(text, str_of(word))) < text.n) {
        text = (struct str){ text.p + at + 1, text.n - at - 1 };
        n++;
    }
    return n;
}

/* --- jobs --- */

/* RETRY-4. */
TEST(job_news, a_death_is_told_once_with_its_reason)
{
    lab_start(&lab);
    lab_job(&lab, "q", "job-0001", ",\"retry\":-1");
    EQ(lab_fetch(&lab, "q", 1), 1);
    STR_EQ(told(), "");
    lab_fail(&lab, "job-0001");
    STR_EQ(told(), "job.dead job-0001 {\"jid\":\"job-0001\",\"queue\":\"q\",\"jobtype\":\"t\",\"reason\":\"exhausted\","
                   "\"attempts\":1,\"errtype\":\"E\",\"message\":\"m\"}\n");
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD); /* it is dead already */
    EQ(count(told(), "job.dead"), 1);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD);
    EQ(count(told(), "\"reason\":\"killed\""), 1);
    EQ(count(told(), "job.dead"), 2);
    lab_end(&lab);
}

static enum err join(struct op *op, struct tx *tx, void *arg)
{
    struct session_info info = { .name = S("w-1") };
    return session_join(op, tx, &info, arg);
}

static enum err leave(struct op *op, struct tx *tx, void *arg)
{
    return session_leave(op, tx, *(struct session_id *)arg);
}

/* LEASE-8. */
TEST(job_news, poison_is_told_beside_the_death)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"crash_limit\":1}");
    lab_job(&lab, "q", "job-0001", "");
    WRITES(&lab.f, join, &lab.session);
    EQ(lab_fetch(&lab, "q", 1), 1);
    WRITES(&lab.f, leave, &lab.session);
    lab_pass_ms(&lab, 65000);
    EQ(count(told(), "job.dead job-0001"), 1);
    EQ(count(told(), "job.poisoned job-0001"), 1);
    EQ(count(told(), "\"reason\":\"poison\",\"attempts\":1,\"errtype\":\"WorkerLost\""), 2);
    lab_end(&lab);
}

#define MANY 700

struct killing {
    int count;
    bool fails;
};

static enum err kill_many(struct op *op, struct tx *tx, void *arg)
{
    const struct killing *killing = arg;
    for (int i = 0; i < killing->count; i++) {
        enum job_state state;
        TRY(job_act(op, tx, arena_fmt(op->arena, "job-%04d", i), ACTION_KILL, &state));
    }
    return killing->fails ? fail(op, ERR_INVALID, "a test of what is taken back") : OK;
}

/* EVT-8. */
TEST(job_news, a_command_that_is_taken_back_told_nothing_and_many_are_all_told)
{
    lab_start(&lab);
    for (int i = 0; i < MANY; i++)
        lab_job(&lab, "q", arena_fmt(lab.f.arena, "job-%04d", i).p, "");
    struct killing killing = { MANY, true };
    EQ(store_write(&lab.f.op, lab.f.store, kill_many, &killing), ERR_INVALID);
    STR_EQ(told(), "");
    EQ(lab_view(&lab, "q").dead, 0);
    killing.fails = false;
    WRITES(&lab.f, kill_many, &killing);
    EQ(count(told(), "job.dead"), MANY);
    lab_end(&lab);
}

/* --- batches --- */

static enum err make_batch(struct op *op, struct tx *tx, void *arg)
{
    struct batch_new new = { .description = S("nightly"), .success = S("{\"jobtype\":\"S\",\"args\":[]}") };
    return batch_create(op, tx, &new, JOB_HTTP, arg);
}

/* BATCH-3. */
TEST(job_news, a_batch_that_expires_is_told_once)
{
    struct str bid;
    lab_start(&lab);
    WRITES(&lab.f, make_batch, &bid);
    lab_job(&lab, "q", "job-0001", arena_fmt(lab.f.arena, ",\"batch\":\"%.*s\"", STR(bid)).p);
    lab_pass_ms(&lab, 29 * 60000);
    STR_EQ(told(), "");
    lab_pass_ms(&lab, 40 * 60000);
    STR_EQ(told(), arena_fmt(lab.f.arena,
                             "batch.expired %.*s {\"batch\":\"%.*s\",\"description\":\"nightly\",\"total\":1,"
                             "\"pending\":1}\n",
                             STR(bid), STR(bid))
                       .p);
    lab_end(&lab);
}

/* --- handlers --- */

static enum err say(struct op *op, struct tx *tx, void *arg)
{
    return job_handler_tell(op, tx, arg);
}

/* HAND-3. */
TEST(job_news, a_handler_is_told_when_it_goes_down_and_when_it_is_back)
{
    lab_start(&lab);
    lab_job(&lab, "q", "job-0001", "");
    struct handler_word word = { S("q"), S("http://app/"), S("posthouse@a"), 1795374000000000, true };
    WRITES(&lab.f, say, &word);
    STR_EQ(told(), "handler.down q {\"queue\":\"q\",\"url\":\"http://app/\",\"worker\":\"posthouse@a\","
                   "\"until\":\"2026-11-22T19:00:00.000Z\"}\n");
    word.is_news = false; /* it stays down for longer */
    WRITES(&lab.f, say, &word);
    EQ(count(told(), "handler."), 1);
    word = (struct handler_word){ S("q"), S("http://app/"), S("posthouse@a"), 0, true };
    WRITES(&lab.f, say, &word);
    EQ(count(told(), "handler.up q {\"queue\":\"q\",\"url\":\"http://app/\",\"worker\":\"posthouse@a\"}"), 1);
    lab_end(&lab);
}
