/*
 * cmd_bench_mixed.c - what clicks, jobs and reports of a provider leave of each other.
 *
 *     clients clicking, HTTP ------------------\
 *     producers and workers, the worker door ---> one daemon and its store
 *     simulated provider <--- polls -----------/
 *
 * Each is measured alone, then all three at once, in one run over one store:
 * what counts are the ratios. So many recipients can click that most do so once
 * or twice, as in life: whoever has clicked before costs more, and all three at
 * once come after clicks alone. All load comes from this process and shares the
 * machine with the daemon, which runs in it, too; which of them had the
 * processors, and which waited for one, is said with each figure (bench_threads.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "main/bench_clicks.h"
#include "main/bench_threads.h"
#include "main/cli.h"
#include "main/measure.h"
#include "main/progress.h"
#include "main/rig.h"
#include "main/show.h"
#include "main/worker_load.h"

#define SECONDS          5
#define CLIENTS          64
#define JOB_CLIENTS      10 /* producers, and as many workers */
#define MEMBERS          300000
#define LINKS            1000
#define RECIPIENTS_EACH  160000 /* of the mailing that is read, for each second measured */
#define EVENTS_METRIC    "posthouse_source_events_total"
#define FIRST_EVENTS_US  INT64_C(30000000)
#define LOAD_ARENA_BYTES (16u << 20)
#define EDGE_US          100000 /* at the begin and the end of a measurement, when not all loads run */

struct figures {
    double clicks, p50_ms, p99_ms; /* a second */
    double jobs, job_p99_ms;
    double events;
    struct bench_threads threads; /* between two looks while it was measured */
};

struct bench {
    struct cli *cli;
    struct op *op;
    const char *database;
    int64_t seconds, clients, recipients;
    struct bench_clicks *clicks;
    struct rig rig;
    uint64_t seed;
    double sync_ms;
    struct progress progress;
    struct figures clicks_alone, jobs_alone, events_alone, together;
};

/* --- the three loads -------------------------------------------------------- */

/* A load in a thread of its own. */
struct runner {
    struct thread thread;
    struct bench *bench;
    struct op op;
    enum err err;
    struct figures *ret;
};

static void click(void *context)
{
    struct runner *runner = context;
    struct bench *b = runner->bench;
    struct load load = { .addr = daemon_http(b->rig.daemon),
                         .clients = (int)b->clients,
                         .seconds = b->seconds,
                         .status = 302,
                         .next = bench_clicks_next,
                         .data = b->clicks };
    runner->err = load_run(&runner->op, &load);
    runner->ret->clicks = load.rate_per_second;
    runner->ret->p50_ms = load.p50_ms;
    runner->ret->p99_ms = load.p99_ms;
}

static void work(void *context)
{
    struct runner *runner = context;
    struct bench *b = runner->bench;
    struct load_config config = { .door = daemon_worker(b->rig.daemon),
                                  .producers = JOB_CLIENTS,
                                  .workers = JOB_CLIENTS,
                                  .batch = 1,
                                  .for_ms = b->seconds * 1000,
                                  .queue = S("bench"),
                                  .seed = b->seed++ };
    struct load_result result = { 0 };
    runner->err = worker_load(&runner->op, &config, &result);
    /* Who works off what is left has the machine to himself by then. */
    runner->ret->jobs = (double)result.acked_in_time / (double)b->seconds;
    runner->ret->job_p99_ms = result.work_p99_ms;
}

static enum err runner_start(struct bench *b, struct runner *runner, const char *name, void (*run)(void *),
                             struct figures *ret)
{
    *runner = (struct runner){ .bench = b, .ret = ret };
    op_init(&runner->op, arena_new(LOAD_ARENA_BYTES), b->op->now_us);
    enum err err = thread_start(b->op, &runner->thread, name, run, runner);
    if (err != OK)
        arena_free(runner->op.arena);
    return err;
}

static enum err runner_join(struct bench *b, struct runner *runner)
{
    thread_join(&runner->thread);
    enum err err = op_inherit(b->op, runner->err, &runner->op);
    arena_free(runner->op.arena);
    return err;
}

/* Takes as long as a measurement. */
static void watch(struct bench *b, struct bench_threads *ret)
{
    struct bench_threads before, after;
    usleep(EDGE_US);
    bench_threads_look(&before);
    usleep((useconds_t)(b->seconds * 1000000 - 2 * EDGE_US));
    bench_threads_look(&after);
    usleep(EDGE_US);
    bench_threads_between(&before, &after, ret);
}

static enum err alone(struct bench *b, const char *name, void (*run)(void *), struct figures *ret)
{
    struct runner runner;
    TRY(runner_start(b, &runner, name, run, ret));
    watch(b, &ret->threads);
    return runner_join(b, &runner);
}

/* Events read so far and stored: the sum of a counter's cells. Figures of the source itself would wait for the clicks
 * that came before them, and hasten these. */
static enum err events_read(struct bench *b, int64_t *ret)
{
    struct arena *outer = b->op->arena;
    struct str text;
    b->op->arena = arena_new(LOAD_ARENA_BYTES);
    enum err err = rig_call(&b->rig, "GET", "/metrics", (struct str){ 0 }, &text);
    *ret = 0;
    while (err == OK) {
        size_t at = str_search(text, S("\n" EVENTS_METRIC "{"));
        if (at == text.n)
            break;
        text = (struct str){ text.p + at + 1, text.n - at - 1 };
        *ret += strtoll(text.p + str_search(text, S("} ")) + 2, NULL, 10); /* ends with the line */
    }
    arena_free(b->op->arena);
    b->op->arena = outer;
    return err;
}

static enum err read_for_a_while(struct bench *b, struct figures *ret)
{
    int64_t first, last, began_us = clock_mono_us();
    TRY(events_read(b, &first));
    watch(b, &ret->threads);
    TRY(events_read(b, &last));
    ret->events = (double)(last - first) * 1e6 / (double)(clock_mono_us() - began_us);
    return OK;
}

static enum err all_at_once(struct bench *b, struct figures *ret)
{
    struct runner clicks, jobs;
    TRY(runner_start(b, &clicks, "load-clicks", click, ret));
    enum err err = runner_start(b, &jobs, "load-jobs", work, ret);
    if (err == OK) {
        err = read_for_a_while(b, ret);
        enum err jobs_err = runner_join(b, &jobs);
        err = err == OK ? jobs_err : err;
    }
    enum err clicks_err = runner_join(b, &clicks);
    return err == OK ? clicks_err : err;
}

/* --- the run ------------------------------------------------------------------ */

static void filled(void *data, int64_t count)
{
    progress_at(data, count);
}

static enum err prepare(struct bench *b)
{
    progress_begin(&b->progress, "importing", b->recipients, false);
    enum err err = rig_import(&b->rig, filled, &b->progress);
    progress_end(&b->progress);
    TRY(err);
    progress_begin(&b->progress, "making links and readers", b->clicks->members + b->clicks->links, false);
    err = bench_clicks_fill(b->op, b->clicks, NULL, &(struct bench_clicks_progress){ filled, &b->progress });
    progress_end(&b->progress);
    return err;
}

/* Polling begins, and its first pages have come. */
static enum err begin_to_read(struct bench *b)
{
    int64_t began_us = clock_mono_us(), events = 0;
    TRY(rig_read(&b->rig));
    while (events == 0) {
        if (clock_mono_us() - began_us > FIRST_EVENTS_US)
            return fail(b->op, ERR_IO, "no event was read within 30 s");
        usleep(10000);
        TRY(events_read(b, &events));
    }
    return OK;
}

/* Whatever is left when all has been measured shows that the provider never was what they waited for. */
static enum err events_are_left(struct bench *b)
{
    int64_t before, after;
    TRY(events_read(b, &before));
    usleep(500000);
    TRY(events_read(b, &after));
    return after > before ? OK : fail(b->op, ERR_INVALID, "all events were read too soon: give more --recipients");
}

static enum err measure(struct bench *b)
{
    TRY(prepare(b));
    TRY(alone(b, "load-clicks", click, &b->clicks_alone));
    TRY(bench_clicks_settle(b->op, b->clicks, b->rig.api)); /* what follows a burst is no part of what comes next */
    TRY(alone(b, "load-jobs", work, &b->jobs_alone));
    TRY(begin_to_read(b));
    TRY(read_for_a_while(b, &b->events_alone));
    TRY(all_at_once(b, &b->together));
    return events_are_left(b);
}

static void put_clicks(struct json_writer *w, const struct figures *figures)
{
    measure_put(w, "clicks_per_second", figures->clicks, 0);
    measure_put(w, "clicks_p50_ms", figures->p50_ms, 3);
    measure_put(w, "clicks_p99_ms", figures->p99_ms, 3);
}

static void put_jobs(struct json_writer *w, const struct figures *figures)
{
    measure_put(w, "jobs_per_second", figures->jobs, 0);
    measure_put(w, "jobs_p99_ms", figures->job_p99_ms, 3);
}

static void put_events(struct json_writer *w, const struct figures *figures)
{
    measure_put(w, "events_per_second", figures->events, 0);
}

static void put_threads(struct json_writer *w, const char *name, const struct figures *figures)
{
    json_put_name(w, name);
    json_object_begin(w);
    bench_threads_put(w, &figures->threads);
    json_object_end(w);
}

static void put_alone(struct json_writer *w, const struct bench *b)
{
    json_put_name(w, "alone");
    json_object_begin(w);
    put_clicks(w, &b->clicks_alone);
    put_jobs(w, &b->jobs_alone);
    put_events(w, &b->events_alone);
    put_threads(w, "clicks", &b->clicks_alone);
    put_threads(w, "jobs", &b->jobs_alone);
    put_threads(w, "events", &b->events_alone);
    json_object_end(w);
}

static void put_together(struct json_writer *w, const struct bench *b)
{
    json_put_name(w, "together");
    json_object_begin(w);
    put_clicks(w, &b->together);
    put_jobs(w, &b->together);
    put_events(w, &b->together);
    bench_threads_put(w, &b->together.threads);
    json_object_end(w);
}

static void put_ratio(struct json_writer *w, const char *name, double together, double each)
{
    measure_put(w, name, each > 0 ? together / each : 0, 3);
}

static void print(const struct bench *b)
{
    struct buf buf;
    struct json_writer w;
    const struct figures *together = &b->together;
    struct measure_head head = { .bench = "mixed",
                                 .engine = b->database ? "postgresql" : "sqlite",
                                 .rate = together->clicks,
                                 .p50_ms = together->p50_ms,
                                 .p99_ms = together->p99_ms,
                                 .rss_bytes = rig_peak_bytes(),
                                 .seconds = (double)b->seconds,
                                 .clients = b->clients,
                                 .sync_ms = b->sync_ms };
    buf_init_arena(&buf, b->op->arena, 4096);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    measure_put_head(&w, &head);
    put_alone(&w, b);
    put_together(&w, b);
    put_ratio(&w, "clicks_ratio", together->clicks, b->clicks_alone.clicks);
    put_ratio(&w, "jobs_ratio", together->jobs, b->jobs_alone.jobs);
    put_ratio(&w, "events_ratio", together->events, b->events_alone.events);
    put_ratio(&w, "clicks_p99_ratio", together->p99_ms, b->clicks_alone.p99_ms);
    put_ratio(&w, "jobs_p99_ratio", together->job_p99_ms, b->jobs_alone.job_p99_ms);
    json_object_end(&w);
    show_json(buf_str(&buf));
}

static enum err run(struct bench *b)
{
    struct rig_config config = rig_at_once(b->database, b->recipients);
    TRY(rig_start(b->op, &config, &b->rig));
    b->sync_ms = measure_sync_ms(b->rig.directory);
    enum err err = measure(b);
    rig_stop(&b->rig);
    if (err == OK)
        print(b);
    return err;
}

static int bench_mixed_run(struct cli *cli)
{
    struct bench b = { .cli = cli, .op = &cli->op, .database = cli_option(cli, "database"), .seed = 1 };
    b.seconds = SECONDS;
    b.clients = CLIENTS;
    if (!cli_int(cli, "seconds", 1, 60, &b.seconds) || !cli_int(cli, "clients", 1, 10000, &b.clients))
        return CLI_USAGE;
    b.recipients = RECIPIENTS_EACH * b.seconds;
    if (!cli_int(cli, "recipients", 1, SIM_RECIPIENTS_MAX, &b.recipients))
        return CLI_USAGE;
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    b.clicks = bench_clicks_new(MEMBERS, LINKS);
    enum err err = run(&b);
    bench_clicks_free(b.clicks);
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static const struct cli_option bench_mixed_options[] = {
    { "seconds", "N", "for each measurement (default 5)" },
    { "clients", "N", "keep-alive connections that click (default 64)" },
    { "recipients", "N", "of the mailing whose events are read (default: 160000 for each second)" },
    { "database", "URL", "an empty PostgreSQL database instead of embedded SQLite" },
    { 0 },
};

extern const struct command cmd_bench_mixed;
const struct command cmd_bench_mixed = {
    .noun = "bench",
    .verb = "mixed",
    .operands = "",
    .summary = "measures what clicks, jobs and events leave of each other",
    .text = "Prints one line of JSON: tracked links clicked at full rate, ten producers and ten workers of jobs, and\n"
            "the events of a mailing read from a simulated provider, each `alone`, then all three `together`. The\n"
            "ratios say what each keeps of its rate, and how much longer a redirect takes at its 99th percentile.\n"
            "`processors` are those that each kind of thread had meanwhile, the loads' too, and what it waited for.\n",
    .options = bench_mixed_options,
    .run = bench_mixed_run,
};
