/*
 * cmd_bench_mixed.c - what clicks, jobs and reports of a provider leave of each other.
 *
 *     clients clicking, HTTP ------------------\
 *     producers and workers, the worker door ---> one daemon and its store
 *     simulated provider <--- polls -----------/
 *
 * Each is measured alone, then all three at once, in turns over one store: what
 * counts are the ratios, and neither a machine that gets slower nor a store that
 * fills decides them. The middle one of its turns is each figure. While nobody
 * is to read, the provider holds back its answers. So many recipients can click
 * that most do so once or twice, as in life: whoever has clicked before costs
 * more. All load comes from this process and shares the machine with the daemon,
 * which runs in it, too; which of them had the processors, and which waited for
 * one, is said with each figure (bench_threads.h).
 */
#include <stddef.h>
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

#define SECONDS          2
#define ROUNDS           3
#define ROUNDS_MAX       15
#define CLIENTS          64
#define JOB_CLIENTS      10 /* producers, and as many workers */
#define MEMBERS          300000
#define LINKS            1000
#define RECIPIENTS_EACH  160000 /* of the mailing that is read, for each second of a turn */
#define EVENTS_METRIC    "posthouse_source_events_total"
#define FIRST_EVENTS_US  INT64_C(30000000)
#define LOAD_ARENA_BYTES (16u << 20)
#define EDGE_US          100000 /* at the begin and the end of a measurement, when not all loads run */
#define HELD_MS          "1000" /* each answer of the provider while nobody is to read */
#define FLOWING          6000   /* events more than are under way: it answers at once again */

/* Of one turn. */
struct figures {
    double clicks, p50_ms, p99_ms; /* a second */
    double jobs, job_p99_ms;
    double events;
};

/* Of all turns of one kind. */
struct turns {
    struct figures of[ROUNDS_MAX];
    struct bench_threads threads; /* between two looks in each of them */
};

struct bench {
    struct cli *cli;
    struct op *op;
    const char *database;
    int64_t seconds, rounds, round, clients, recipients;
    struct bench_clicks *clicks;
    struct rig rig;
    uint64_t seed;
    double sync_ms;
    struct progress progress;
    struct turns clicks_alone, jobs_alone, events_alone, together;
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

/* Takes as long as a turn, and adds what the threads had in it. */
static void watch(struct bench *b, struct bench_threads *sums)
{
    struct bench_threads before, after;
    usleep(EDGE_US);
    bench_threads_look(&before);
    usleep((useconds_t)(b->seconds * 1000000 - 2 * EDGE_US));
    bench_threads_look(&after);
    usleep(EDGE_US);
    bench_threads_add(&before, &after, sums);
}

static enum err alone(struct bench *b, const char *name, void (*run)(void *), struct turns *turns)
{
    struct runner runner;
    TRY(runner_start(b, &runner, name, run, &turns->of[b->round]));
    watch(b, &turns->threads);
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

static enum err read_for_a_while(struct bench *b, struct turns *turns)
{
    int64_t first, last, began_us = clock_mono_us();
    TRY(events_read(b, &first));
    watch(b, &turns->threads);
    TRY(events_read(b, &last));
    turns->of[b->round].events = (double)(last - first) * 1e6 / (double)(clock_mono_us() - began_us);
    return OK;
}

static enum err all_at_once(struct bench *b, struct turns *turns)
{
    struct runner clicks, jobs;
    struct figures *figures = &turns->of[b->round];
    TRY(runner_start(b, &clicks, "load-clicks", click, figures));
    enum err err = runner_start(b, &jobs, "load-jobs", work, figures);
    if (err == OK) {
        err = read_for_a_while(b, turns);
        enum err jobs_err = runner_join(b, &jobs);
        err = err == OK ? jobs_err : err;
    }
    enum err clicks_err = runner_join(b, &clicks);
    return err == OK ? clicks_err : err;
}

/* --- who reads ---------------------------------------------------------------- */

/* Nearly nothing is read from here on: each page takes a second. */
static enum err hold_back(struct bench *b)
{
    return rig_provider_call(&b->rig, "POST", "/sim/faults", S("{\"status\":\"delay\",\"delay_ms\":" HELD_MS "}"));
}

/* Pages come as fast as they are asked for, those that were held back among them. */
static enum err let_go(struct bench *b)
{
    int64_t began_us = clock_mono_us(), before, events;
    TRY(events_read(b, &before));
    TRY(rig_provider_call(&b->rig, "DELETE", "/sim/faults", (struct str){ 0 }));
    do {
        if (clock_mono_us() - began_us > FIRST_EVENTS_US)
            return fail(b->op, ERR_INVALID, "no event was read within 30 s: give more --recipients if all are read");
        usleep(10000);
        TRY(events_read(b, &events));
    } while (events < before + FLOWING);
    return OK;
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

/* Whatever is left when all has been measured shows that the provider never was what they waited for. */
static enum err events_are_left(struct bench *b)
{
    int64_t before, after;
    TRY(events_read(b, &before));
    usleep(500000);
    TRY(events_read(b, &after));
    return after > before ? OK : fail(b->op, ERR_INVALID, "all events were read too soon: give more --recipients");
}

/* What follows clicks is no part of what comes next. */
static enum err settle(struct bench *b)
{
    return bench_clicks_settle(b->op, b->clicks, b->rig.api);
}

static enum err turns_of_all(struct bench *b)
{
    TRY(alone(b, "load-clicks", click, &b->clicks_alone));
    TRY(settle(b));
    TRY(alone(b, "load-jobs", work, &b->jobs_alone));
    TRY(let_go(b));
    TRY(read_for_a_while(b, &b->events_alone));
    TRY(all_at_once(b, &b->together));
    TRY(events_are_left(b));
    TRY(hold_back(b));
    return settle(b);
}

static enum err measure(struct bench *b)
{
    TRY(prepare(b));
    TRY(hold_back(b));
    TRY(rig_read(&b->rig));
    for (b->round = 0; b->round < b->rounds; b->round++)
        TRY(turns_of_all(b));
    return OK;
}

/* --- what came of it ---------------------------------------------------------- */

/* The middle one of a figure that stands so far inside of each turn's. */
static double middle(const struct bench *b, const struct turns *turns, size_t at)
{
    double values[ROUNDS_MAX];
    for (int64_t i = 0; i < b->rounds; i++)
        memcpy(&values[i], (const char *)&turns->of[i] + at, sizeof values[i]);
    return measure_median(values, (size_t)b->rounds);
}

static struct figures figures_of(const struct bench *b, const struct turns *turns)
{
    return (struct figures){ .clicks = middle(b, turns, offsetof(struct figures, clicks)),
                             .p50_ms = middle(b, turns, offsetof(struct figures, p50_ms)),
                             .p99_ms = middle(b, turns, offsetof(struct figures, p99_ms)),
                             .jobs = middle(b, turns, offsetof(struct figures, jobs)),
                             .job_p99_ms = middle(b, turns, offsetof(struct figures, job_p99_ms)),
                             .events = middle(b, turns, offsetof(struct figures, events)) };
}

static void put_figures(struct json_writer *w, const struct figures *figures)
{
    measure_put(w, "clicks_per_second", figures->clicks, 0);
    measure_put(w, "clicks_p50_ms", figures->p50_ms, 3);
    measure_put(w, "clicks_p99_ms", figures->p99_ms, 3);
    measure_put(w, "jobs_per_second", figures->jobs, 0);
    measure_put(w, "jobs_p99_ms", figures->job_p99_ms, 3);
    measure_put(w, "events_per_second", figures->events, 0);
}

static void put_threads(struct json_writer *w, const char *name, const struct turns *turns)
{
    json_put_name(w, name);
    json_object_begin(w);
    bench_threads_put(w, &turns->threads);
    json_object_end(w);
}

/* Each from its own turns. */
static struct figures figures_alone(const struct bench *b)
{
    struct figures clicks = figures_of(b, &b->clicks_alone), jobs = figures_of(b, &b->jobs_alone);
    clicks.jobs = jobs.jobs;
    clicks.job_p99_ms = jobs.job_p99_ms;
    clicks.events = figures_of(b, &b->events_alone).events;
    return clicks;
}

static void put_alone(struct json_writer *w, const struct bench *b, const struct figures *figures)
{
    json_put_name(w, "alone");
    json_object_begin(w);
    put_figures(w, figures);
    put_threads(w, "clicks", &b->clicks_alone);
    put_threads(w, "jobs", &b->jobs_alone);
    put_threads(w, "events", &b->events_alone);
    json_object_end(w);
}

static void put_together(struct json_writer *w, const struct bench *b, const struct figures *figures)
{
    json_put_name(w, "together");
    json_object_begin(w);
    put_figures(w, figures);
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
    struct figures alone = figures_alone(b), together = figures_of(b, &b->together);
    struct measure_head head = { .bench = "mixed",
                                 .engine = b->database ? "postgresql" : "sqlite",
                                 .rate = together.clicks,
                                 .p50_ms = together.p50_ms,
                                 .p99_ms = together.p99_ms,
                                 .rss_bytes = rig_peak_bytes(),
                                 .seconds = (double)b->seconds,
                                 .clients = b->clients,
                                 .sync_ms = b->sync_ms };
    buf_init_arena(&buf, b->op->arena, 8192);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    measure_put_head(&w, &head);
    json_member_int(&w, "rounds", b->rounds);
    put_alone(&w, b, &alone);
    put_together(&w, b, &together);
    put_ratio(&w, "clicks_ratio", together.clicks, alone.clicks);
    put_ratio(&w, "jobs_ratio", together.jobs, alone.jobs);
    put_ratio(&w, "events_ratio", together.events, alone.events);
    put_ratio(&w, "clicks_p99_ratio", together.p99_ms, alone.p99_ms);
    put_ratio(&w, "jobs_p99_ratio", together.job_p99_ms, alone.job_p99_ms);
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
    b.rounds = ROUNDS;
    b.clients = CLIENTS;
    if (!cli_int(cli, "seconds", 1, 60, &b.seconds) || !cli_int(cli, "rounds", 1, ROUNDS_MAX, &b.rounds) ||
        !cli_int(cli, "clients", 1, 10000, &b.clients))
        return CLI_USAGE;
    b.recipients = RECIPIENTS_EACH * b.seconds * b.rounds;
    if (b.recipients > SIM_RECIPIENTS_MAX)
        b.recipients = SIM_RECIPIENTS_MAX;
    if (!cli_int(cli, "recipients", 1, SIM_RECIPIENTS_MAX, &b.recipients))
        return CLI_USAGE;
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    b.clicks = bench_clicks_new(MEMBERS, LINKS);
    enum err err = run(&b);
    bench_clicks_free(b.clicks);
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static const struct cli_option bench_mixed_options[] = {
    { "seconds", "N", "for each turn (default 2)" },
    { "rounds", "N", "turns of each kind; the middle one counts (default 3)" },
    { "clients", "N", "keep-alive connections that click (default 64)" },
    { "recipients", "N", "of the mailing whose events are read (default: 160000 for each second of a round)" },
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
            "the events of a mailing read from a simulated provider, each `alone`, then all three `together`, in\n"
            "several rounds over one store, so that what the machine does meanwhile decides nothing: each figure is\n"
            "the middle one of its turns. The ratios say what each keeps of its rate, and how much longer a redirect\n"
            "takes at its 99th percentile. `processors` are those that each kind of thread had in all turns of a\n"
            "kind, the loads' too, and what it waited for.\n",
    .options = bench_mixed_options,
    .run = bench_mixed_run,
};
