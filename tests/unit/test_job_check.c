/*
 * test_job_check.c - figures against rows, history, policies that are refused.
 */
#include "engine/check.h"
#include "engine/job_opts.h"
#include "engine/job_policy.h"
#include "job_lab.h"
#include "store/store_job.h"
#include "store/store_job_log.h"
#include "store/store_queue.h"
#include "store/store_ready.h"

static struct lab lab;
static char lines[4096];

static void difference(void *data, const char *line)
{
    (void)data;
    snprintf(lines + strlen(lines), sizeof lines - strlen(lines), "%s;", line);
}

static const char *differences(void)
{
    struct check check = { .store = lab.f.store, .difference = difference };
    lines[0] = '\0';
    SUCCEEDS(&lab.f.op, check_run(&lab.f.op, &check));
    return lines;
}

static enum err spoil(struct op *op, struct tx *tx, void *arg)
{
    struct queue_counts counts = { .ready = 3, .leased = 1 };
    (void)arg;
    if (tx_asks_ahead(tx)) /* the newest counters stand in the log there */
        TRY(store_job_log_clear(op, tx, 0, INT64_MAX));
    return store_queue_count(op, tx, 1, &counts);
}

/* QUE-8. */
TEST(job_check, counts_the_figures_of_queues_from_their_rows)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0002", ",\"mutex\":\"m\""), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0003", ",\"mutex\":\"m\",\"unique\":{\"for\":\"10m\"}"), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0004", ",\"at\":\"2030-01-01T00:00:00Z\""), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0005", ",\"retry\":-1,\"priority\":9"), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 3), 3);
    lab_fail(&lab, "job-0001");
    lab_fail(&lab, "job-0005");
    STR_EQ(str_of(differences()), "");
    WRITES(&lab.f, spoil, NULL);
    STR_EQ(str_of(differences()), "queue q ready: counter 3, rows 0;queue q scheduled: counter 0, rows 1;"
                                  "queue q retry: counter 0, rows 1;queue q blocked: counter 0, rows 1;"
                                  "queue q dead: counter 0, rows 1;");
    lab_end(&lab);
}

/* Another lease holds the mutex of the first job, and the second job's row is gone. */
static enum err disown(struct op *op, struct tx *tx, void *arg)
{
    struct job_out *out = arg;
    struct gate_row gate = { .holder = out[0].id, .lease = out[0].lease + 100 };
    struct job_row job;
    struct job_opts opts;
    bool found;
    TRY(store_job_get(op, tx, out[0].id, &job, &found));
    TRY(job_opts_read(op, job.flags, job.opts, &opts));
    TRY(store_gate_put(op, tx, opts.mutex, &gate));
    return store_job_delete(op, tx, out[1].id, out[1].jid);
}

/* MTX-1, QUE-2. */
TEST(job_check, finds_leases_without_their_mutex_or_their_job)
{
    lab_start(&lab);
    EQ(lab_job(&lab, "q", "job-0001", ",\"mutex\":\"m\""), JOB_PUSHED);
    EQ(lab_job(&lab, "q", "job-0002", ""), JOB_PUSHED);
    EQ(lab_fetch(&lab, "q", 2), 2);
    STR_EQ(str_of(differences()), "");
    WRITES(&lab.f, disown, lab.jobs_out);
    STR_EQ(str_of(differences()), "job job-0001 goes on without its mutex;queue q leased: counter 2, rows 1;"
                                  "lease 2 is of a job that is gone;a mutex names lease 101, its job has 1;");
    lab_end(&lab);
}

static enum err no_hash(struct op *op, const char *text, const char *pointer)
{
    struct queue_policy policy;
    struct json_problems problems = { 0 };
    enum err err = queue_policy_read(op, str_of(text), NULL, NULL, &policy, &problems);
    if (pointer)
        STR_EQ(str_of(op->pointer), pointer);
    return err;
}

/* LEASE-10. */
TEST(job_check, refuses_a_lease_shorter_than_its_handler)
{
    struct op op;
    struct arena *arena = arena_new(1 << 20);
    op_init(&op, arena, 0);
#define HTTP "\"kind\":\"http\",\"url\":\"http://x/\",\"secret\":\"whsec_AAAAAAAAAAAAAAAAAAAAAA==\","
    EQ(no_hash(&op, "{\"lease\":\"1m\",\"handler\":{" HTTP "\"timeout\":\"51s\"}}", "/lease"), ERR_INVALID);
    EQ(no_hash(&op, "{\"lease\":\"1m\",\"handler\":{" HTTP "\"timeout\":\"50s\"}}", NULL), OK);
    arena_free(arena);
}

TEST(job_check, refuses_words_and_values_a_policy_does_not_have)
{
    static const char *const bad[][2] = {
        { "{\"nonsense\":1}", "/nonsense" },
        { "{\"concurrency\":-1}", "/concurrency" },
        { "{\"concurrency\":1.5}", "/concurrency" },
        { "{\"rate\":{\"limit\":5,\"per\":\"500ms\"}}", "/rate/per" },
        { "{\"rate\":{\"limit\":5,\"per\":\"1s\",\"burst\":6}}", "/rate/burst" },
        { "{\"retry\":{\"backoff\":\"list\"}}", "/retry/delays" },
        { "{\"retry\":{\"backoff\":\"never\"}}", "/retry/backoff" },
        { "{\"weight\":101}", "/weight" },
        { "{\"lease\":\"59s\"}", "/lease" },
        { "{\"keys\":{\"a\":{\"weight\":0}}}", "/keys/weight" },
    };
    struct lab *l = &lab;
    lab_start(l);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct lab_queue queue = { .name = S("q"), .patch = { str_of(bad[i][0]), -1, -1 } };
        EQ(store_write(&l->f.op, l->f.store, lab_patch_run, &queue), ERR_INVALID);
        STR_EQ(str_of(l->f.op.pointer), bad[i][1]);
    }
    lab_end(l);
}

/* HIST-3. */
TEST(job_check, history_is_dropped_after_its_time)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retain\":{\"done\":\"5m\"}}");
    EQ(lab_job(&lab, "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_act(&lab, "job-0001", ACTION_CANCEL), JOB_DONE);
    lab_pass_ms(&lab, 280000);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_READY);
    EQ(lab_act(&lab, "job-0001", ACTION_CANCEL), JOB_DONE);
    lab_pass_ms(&lab, 330000);
    EQ(lab_act(&lab, "job-0001", ACTION_RETRY), JOB_NONE);
    lab_end(&lab);
}
