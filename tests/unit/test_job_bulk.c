#include "engine/job_bulk.h"
#include "job_lab.h"

static struct lab lab;

/* --- a runner by hand ---------------------------------------------------------- */

struct asked {
    struct str body, jid;
    int64_t at_most;
};

static enum err ask(struct op *op, struct tx *tx, void *arg)
{
    struct asked *asked = arg;
    struct job_bulk bulk;
    TRY(job_bulk_read(op, asked->body, &bulk, NULL));
    return job_bulk_push(op, tx, asked->body, &bulk, &asked->jid, &asked->at_most);
}

static struct asked bulk(const char *body)
{
    struct asked asked = { .body = str_of(body) };
    WRITES(&lab.f, ask, &asked);
    asked.jid = arena_str(lab.f.arena, asked.jid);
    return asked;
}

static struct own_turn begin(int rows)
{
    return lab_own_begin(&lab, OWN_QUEUE, rows);
}

static int finish(struct own_turn *turn)
{
    return lab_own_finish(&lab, turn);
}

static void dead(const char *queue, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char jid[16];
        snprintf(jid, sizeof jid, "job-%04d", i);
        lab_job(&lab, queue, jid, "");
        EQ(lab_act(&lab, jid, ACTION_KILL), JOB_DEAD);
    }
    lab_wait_ms(&lab, 1);
}

/* --- tests ------------------------------------------------------------------------ */

/* RETRY-5, HAND-5. */
TEST(job_bulk, moves_each_job_once_in_steps_and_goes_on_at_its_bookmark)
{
    lab_start_file(&lab);
    dead("a", 1, 25);
    dead("b", 26, 30);
    struct asked asked = bulk("{\"action\":\"retry\",\"filter\":{\"state\":\"dead\",\"queue\":\"a\"}}");
    EQ(asked.at_most, 25);
    EQ(lab_fetch(&lab, OWN_QUEUE, 1), 0); /* nobody else gets it */
    struct own_turn turn = begin(10);
    WRITES(&lab.f, lab_own_step_run, &turn);
    EQ(lab_view(&lab, "a").ready, 10);
    lab_reopen(&lab);
    lab_wait_ms(&lab, 1);
    EQ(lab_act(&lab, "job-0001", ACTION_KILL), JOB_DEAD); /* died after it began: stays */
    EQ(finish(&turn), 3);
    EQ(turn.is_over, true);
    EQ(lab_view(&lab, "a").ready, 24);
    EQ(lab_view(&lab, "a").dead, 1);
    EQ(lab_view(&lab, "b").dead, 5);
    EQ(lab_view(&lab, OWN_QUEUE).leased, 0);
    lab_end(&lab);
}

/* RETRY-5. */
TEST(job_bulk, begins_with_what_is_there_and_ends)
{
    lab_start(&lab);
    for (int i = 0; i < 5; i++)
        lab_push(&lab, "\"queue\":\"q\",\"at\":\"2100-01-01T00:00:00Z\"");
    bulk("{\"action\":\"cancel\",\"filter\":{\"state\":\"scheduled\"}}");
    for (int i = 0; i < 5; i++)
        lab_push(&lab, "\"queue\":\"q\",\"at\":\"2100-01-01T00:00:00Z\"");
    struct own_turn turn = begin(3);
    finish(&turn);
    EQ(lab_view(&lab, "q").scheduled, 5);
    bulk("{\"action\":\"kill\",\"all\":true}");
    turn = begin(100);
    finish(&turn);
    EQ(lab_view(&lab, "q").dead, 5);
    lab_end(&lab);
}

/* RETRY-5. */
TEST(job_bulk, passes_leased_jobs_over_and_names_what_is_refused)
{
    lab_start(&lab);
    lab_job(&lab, "q", "job-0001", "");
    lab_job(&lab, "q", "job-0002", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    bulk("{\"action\":\"kill\",\"filter\":{\"queue\":\"q\"}}");
    struct own_turn turn = begin(100);
    finish(&turn);
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_view(&lab, "q").dead, 1);
    bulk("{\"action\":\"retry\",\"filter\":{\"jids\":[\"job-0002\",\"job-none\",\"job-0001\"]}}");
    turn = begin(1);
    EQ(finish(&turn), 3);
    EQ(lab_view(&lab, "q").ready, 1);
    lab_end(&lab);
}

/* RETRY-5: each filter alone. */
TEST(job_bulk, takes_what_its_filter_covers)
{
    static const struct {
        const char *filter;
        int64_t killed;
    } cases[] = {
        { "{\"type\":\"mail\"}", 1 },
        { "{\"key\":\"k-1\"}", 1 },
        { "{\"text\":\"needle\"}", 1 },
        { "{\"state\":\"ready\"}", 3 },
        { "{\"before\":\"1971-01-01T00:00:00Z\"}", 0 },
        { "{\"queue\":\"none\"}", 0 },
        { "{\"errtype\":\"E\"}", 1 },
        { "{\"state\":\"retry\"}", 1 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lab_start(&lab);
        lab_job(&lab, "f", "job-fail", "");
        lab_fetch(&lab, "f", 1);
        lab_fail(&lab, "job-fail");
        lab_push(&lab, "\"queue\":\"q\",\"jobtype\":\"mail\",\"args\":[]");
        lab_push(&lab, "\"queue\":\"q\",\"key\":\"k-1\"");
        lab_push(&lab, "\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[\"a needle in it\"]");
        struct str body = arena_fmt(lab.f.arena, "{\"action\":\"kill\",\"filter\":%s}", cases[i].filter);
        bulk(body.p);
        struct own_turn turn = begin(2);
        finish(&turn);
        EQ(lab_view(&lab, "q").dead + lab_view(&lab, "f").dead, cases[i].killed);
        lab_end(&lab);
    }
}

/* HAND-5. */
TEST(job_bulk, yields_to_a_pause_and_to_a_stop_without_losing_its_place)
{
    lab_start(&lab);
    dead("q", 1, 20);
    bulk("{\"action\":\"retry\",\"filter\":{\"state\":\"dead\"}}");
    struct own_turn turn = begin(5);
    WRITES(&lab.f, lab_own_step_run, &turn);
    EQ(turn.share_ppm, 500000);
    struct lab_queue pause = { .name = S(OWN_QUEUE), .patch = { S("{}"), true, -1 } };
    WRITES(&lab.f, lab_patch_run, &pause);
    WRITES(&lab.f, lab_own_step_run, &turn);
    EQ(turn.is_yielding, true);
    EQ(lab_view(&lab, "q").ready, 5);
    pause.patch.paused = false;
    WRITES(&lab.f, lab_patch_run, &pause);
    EQ(finish(&turn), 4);
    EQ(lab_view(&lab, "q").ready, 20);
    lab_end(&lab);
}

/* RETRY-5. */
TEST(job_bulk, refuses_what_it_cannot_mean)
{
    static const char *const bad[][2] = {
        { "{\"action\":\"retry\"}", "/filter" },
        { "{\"action\":\"retry\",\"filter\":{}}", "/filter" },
        { "{\"action\":\"retry\",\"filter\":{\"queue\":null}}", "/filter" },
        { "{\"action\":\"eat\",\"all\":true}", "/action" },
        { "{\"action\":\"kill\",\"filter\":{\"state\":\"done\"}}", "/filter/state" },
        { "{\"action\":\"kill\",\"filter\":{\"before\":\"today\"}}", "/filter/before" },
    };
    lab_start(&lab);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct job_bulk read;
        struct json_problems problems = { 0 };
        EQ(job_bulk_read(&lab.f.op, str_of(bad[i][0]), &read, &problems), ERR_INVALID);
        STR_EQ(str_of(lab.f.op.pointer), bad[i][1]);
    }
    lab_end(&lab);
}
