/*
 * cmd_bench_events.c - how fast reports become figures.
 *
 *     apply       parsed events in memory -> ledger, 3,000 a commit, every rule in force
 *     served      the same through a daemon's writer, while a reader asks for figures over HTTP
 *     end_to_end  simulated provider -> HTTP -> JSON -> parser -> ledger, through a real daemon
 *
 * Apply works on a store of --messages messages in mailings of 100,000; its
 * events are the reports of the newest ones. All commit durably
 * (synchronous=FULL) before the next group begins.
 *
 * With --url a daemon that runs already is loaded instead, through the one door
 * a stranger may use for reports: webhooks (bench_hooks.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "engine/simulate_truth.h"
#include "main/bench_feed.h"
#include "main/bench_hooks.h"
#include "main/bench_reader.h"
#include "main/cli.h"
#include "main/measure.h"
#include "main/progress.h"
#include "main/rig.h"
#include "main/settle.h"
#include "main/show.h"

#define MAILING_SIZE      100000
#define MESSAGES          1000000
#define GROUP_EVENTS      3000
#define CURRENT_MAILINGS  2        /* whose reports come in while apply is measured, and served */
#define SERVED_SOURCE     "served" /* another one, so that no event is known from apply */
#define GROUPS_MAX        10000
#define END_RECIPIENTS    100000
#define BENCH_READERS_MAX 64
#define HOOKS_CLIENTS     10
#define HOOKS_SECONDS     10

struct bench {
    struct cli *cli;
    struct op *op;
    struct store *store;
    char directory[256];
    const char *database; /* NULL: SQLite in the directory */
    struct bench_feed *feed;
    struct bench_page page;
    int64_t *group_us; /* of each commit */
    size_t groups;
    bool is_served; /* a daemon runs over the store: its writer applies */
    int64_t for_us; /* how long each way of applying goes on at most */
    int64_t readers;
    struct progress progress;
};

static void filled(void *data, int64_t recipients)
{
    progress_at(&((struct bench *)data)->progress, recipients);
}

/* The reports of one mailing in order of time, 3,000 a commit, until the time is over; only commits are timed. */
static enum err apply_mailing(struct bench *b, int64_t n, int64_t *ret_us)
{
    TRY(bench_feed_open(b->feed, n));
    while (*ret_us < b->for_us) {
        TRY(bench_feed_page(b->feed, b->page.source, false, b->page.events, GROUP_EVENTS, &b->page.count));
        if (b->page.count == 0)
            return OK;
        int64_t began_us = clock_mono_us();
        TRY(b->is_served ? settle(b->op, bench_page_apply, &b->page)
                         : store_write(b->op, b->store, bench_page_apply, &b->page));
        int64_t took_us = clock_mono_us() - began_us;
        *ret_us += took_us;
        if (b->groups < GROUPS_MAX && !b->is_served)
            b->group_us[b->groups++] = took_us;
    }
    return OK;
}

static double rate_of(const struct bench *b, int64_t took_us)
{
    int64_t applied = 0;
    for (int i = 0; i < RESULT_COUNT; i++)
        applied += b->page.results[i];
    return took_us ? (double)applied * 1e6 / (double)took_us : 0;
}

/* The feed works in memory of its own. */
static struct arena *open_feed(struct bench *b)
{
    struct arena *outer = b->op->arena;
    b->op->arena = arena_new(FEED_BYTES);
    return outer;
}

static void close_feed(struct bench *b, struct arena *outer)
{
    arena_free(b->op->arena);
    b->op->arena = outer;
}

static enum err bench_apply(struct bench *b, int64_t messages, double *ret_rate)
{
    struct store_config config = { .directory = b->directory, .url = b->database };
    int64_t took_us = 0, mailings = (messages + MAILING_SIZE - 1) / MAILING_SIZE;
    TRY(store_open(b->op, &config, &b->store));
    b->feed = bench_feed_new(b->op, b->store, MAILING_SIZE);
    b->page.source = S(RIG_SOURCE);
    struct arena *outer = open_feed(b);
    progress_begin(&b->progress, "filling the store", mailings * MAILING_SIZE, false);
    enum err err = OK;
    for (int64_t n = 0; n < mailings && err == OK; n++)
        err = bench_feed_fill(b->feed, b->store, n, filled, b);
    progress_end(&b->progress);
    for (int64_t n = mailings > CURRENT_MAILINGS ? mailings - CURRENT_MAILINGS : 0; n < mailings && err == OK; n++)
        err = apply_mailing(b, n, &took_us);
    *ret_rate = rate_of(b, took_us);
    close_feed(b, outer);
    store_close(b->store);
    return err;
}

/* ----------------------------------------------------------------------------------------------------------- served */

struct served {
    double rate;
    double stats_p50_ms, stats_p99_ms, list_p99_ms;
    int64_t reads;
};

static enum err apply_served(struct bench *b, int64_t mailings, struct served *ret)
{
    struct arena *outer = open_feed(b);
    int64_t took_us = 0, first = mailings > 2 * CURRENT_MAILINGS ? mailings - 2 * CURRENT_MAILINGS : 0;
    enum err err = OK;
    for (int64_t n = first; n < mailings && n < first + CURRENT_MAILINGS && err == OK; n++)
        err = apply_mailing(b, n, &took_us);
    ret->rate = rate_of(b, took_us);
    close_feed(b, outer);
    return err;
}

static struct bench_reads reads_of(const struct bench_reader *readers, int64_t count, bool lists)
{
    struct bench_reads all = { .count = 0 };
    for (int64_t i = 0; i < count; i++)
        all.count += lists ? readers[i].lists.count : readers[i].stats.count;
    all.took_us = malloc((all.count + 1) * sizeof *all.took_us);
    if (!all.took_us)
        abort();
    all.count = 0;
    for (int64_t i = 0; i < count; i++) {
        const struct bench_reads *one = lists ? &readers[i].lists : &readers[i].stats;
        memcpy(all.took_us + all.count, one->took_us, one->count * sizeof *all.took_us);
        all.count += one->count;
    }
    return all;
}

static void sum_up(const struct bench_reader *readers, int64_t count, struct served *ret)
{
    struct bench_reads stats = reads_of(readers, count, false), lists = reads_of(readers, count, true);
    ret->reads = (int64_t)(stats.count + lists.count);
    ret->stats_p50_ms = measure_percentile_ms(stats.took_us, stats.count, 0.5);
    ret->stats_p99_ms = measure_percentile_ms(stats.took_us, stats.count, 0.99);
    ret->list_p99_ms = measure_percentile_ms(lists.took_us, lists.count, 0.99);
    free(stats.took_us);
    free(lists.took_us);
}

/* Reports keep coming at full rate; the readers look at one of the mailings they are for. */
static enum err read_while_applied(struct bench *b, struct rig *rig, int64_t mailings, struct served *ret)
{
    struct bench_reader readers[BENCH_READERS_MAX];
    char mailing[32];
    int64_t started = 0;
    enum err err = OK;
    snprintf(mailing, sizeof mailing, "mailing-%lld",
             (long long)(mailings > 2 * CURRENT_MAILINGS ? mailings - 2 * CURRENT_MAILINGS : 0));
    while (started < b->readers && err == OK) {
        err = bench_reader_start(b->op, rig->api_url, mailing, &readers[started]);
        started += err == OK;
    }
    if (err == OK)
        err = apply_served(b, mailings, ret);
    for (int64_t i = 0; i < started; i++) {
        enum err read_err = bench_reader_stop(b->op, &readers[i]);
        err = err == OK ? read_err : err;
    }
    sum_up(readers, started, ret);
    for (int64_t i = 0; i < started; i++)
        bench_reader_free(&readers[i]);
    return err;
}

static enum err bench_served(struct bench *b, int64_t messages, struct served *ret)
{
    struct rig rig;
    struct rig_config config = rig_at_once(b->database, 1);
    config.directory = b->directory;
    config.filled = b->database != NULL;
    TRY(rig_start(b->op, &config, &rig));
    b->is_served = true;
    b->page.source = S(SERVED_SOURCE);
    memset(b->page.results, 0, sizeof b->page.results);
    enum err err = read_while_applied(b, &rig, (messages + MAILING_SIZE - 1) / MAILING_SIZE, ret);
    b->is_served = false;
    rig_stop(&rig);
    return err;
}

/* ------------------------------------------------------------------------------------------------------- end to end */

struct end_to_end {
    double rate;
    int64_t events;
    double seconds;
};

/* From the moment the source is put until every event was read once. */
static enum err run_end_to_end(struct rig *rig, struct end_to_end *ret)
{
    struct sim_truth truth;
    struct str json;
    sim_truth(stand_in_model(rig->stand_in), &truth);
    TRY(rig_import(rig, NULL, NULL));
    int64_t began_us = clock_mono_us(), want = truth.delivered + truth.opened + truth.clicked, have = 0;
    TRY(rig_read(rig));
    while (have < want && clock_mono_us() - began_us < INT64_C(300000000)) {
        usleep(20000);
        TRY(rig_call(rig, "GET", "/v1/mailings/" RIG_MAILING "/stats", (struct str){ 0 }, &json));
        have = rig_number(rig->op, json, "delivered") + rig_number(rig->op, json, "opened") +
               rig_number(rig->op, json, "clicked");
    }
    ret->seconds = (double)(clock_mono_us() - began_us) / 1e6;
    ret->events = truth.real;
    ret->rate = (double)truth.real / ret->seconds;
    return have >= want ? OK : fail(rig->op, ERR_IO, "the events were not read within 300 s");
}

static enum err bench_end_to_end(struct bench *b, int64_t recipients, struct end_to_end *ret)
{
    struct rig rig;
    struct rig_config config = rig_at_once(b->database, recipients);
    TRY(rig_start(b->op, &config, &rig));
    enum err err = run_end_to_end(&rig, ret);
    rig_stop(&rig);
    return err;
}

/* ---------------------------------------------------------------------------------------------------------- the line
 */

static void begin_line(struct cli *cli, const struct measure_head *head, struct buf *buf, struct json_writer *w)
{
    buf_init_arena(buf, cli->op.arena, 4096);
    json_write_init(w, buf);
    json_object_begin(w);
    measure_put_head(w, head);
}

static enum err run_all(struct bench *b, int64_t messages, int64_t recipients)
{
    struct measure_head head = { .bench = "events",
                                 .engine = b->database ? "postgresql" : "sqlite",
                                 .clients = b->readers };
    struct served served = { 0 };
    struct end_to_end end = { 0 };
    int64_t began_us = clock_mono_us();
    head.sync_ms = measure_sync_ms(b->directory);
    TRY(bench_apply(b, messages, &head.rate));
    head.p50_ms = measure_percentile_ms(b->group_us, b->groups, 0.5);
    head.p99_ms = measure_percentile_ms(b->group_us, b->groups, 0.99);
    head.rss_bytes = rig_peak_bytes();
    TRY(bench_served(b, messages, &served));
    if (recipients > 0)
        TRY(bench_end_to_end(b, recipients, &end));
    head.seconds = (double)(clock_mono_us() - began_us) / 1e6;
    struct buf buf;
    struct json_writer w;
    begin_line(b->cli, &head, &buf, &w);
    json_member_int(&w, "messages", messages);
    json_member_int(&w, "events_per_commit", GROUP_EVENTS);
    measure_put(&w, "served_per_second", served.rate, 0);
    json_member_int(&w, "reads", served.reads);
    measure_put(&w, "stats_p50_ms", served.stats_p50_ms, 3);
    measure_put(&w, "stats_p99_ms", served.stats_p99_ms, 3);
    measure_put(&w, "list_p99_ms", served.list_p99_ms, 3);
    measure_put(&w, "end_to_end_per_second", end.rate, 0);
    json_member_int(&w, "end_to_end_events", end.events);
    measure_put(&w, "end_to_end_seconds", end.seconds, 2);
    json_object_end(&w);
    show_json(buf_str(&buf));
    return OK;
}

/* ------------------------------------------------------------------------------------------------------ from outside
 */

/* A sync is measured where this program runs. */
static int run_hooks(struct cli *cli, struct bench_hooks *hooks)
{
    struct buf buf;
    struct json_writer w;
    int code = bench_hooks_run(cli, hooks);
    if (code == CLI_DONE) {
        struct measure_head head = { .bench = "events",
                                     .engine = hooks->daemon.engine,
                                     .rate = hooks->took_us ? (double)hooks->posted * 1e6 / (double)hooks->took_us : 0,
                                     .p50_ms = measure_percentile_ms(hooks->post_us, (size_t)hooks->posted, 0.5),
                                     .p99_ms = measure_percentile_ms(hooks->post_us, (size_t)hooks->posted, 0.99),
                                     .rss_bytes = hooks->daemon.rss_bytes,
                                     .seconds = (double)hooks->took_us / 1e6,
                                     .clients = hooks->clients,
                                     .sync_ms = measure_sync_ms(".") };
        begin_line(cli, &head, &buf, &w);
        json_member_int(&w, "webhooks", hooks->posted);
        json_object_end(&w);
        show_json(buf_str(&buf));
    }
    free(hooks->post_us);
    return code;
}

/* ------------------------------------------------------------------------------------------------------- the command
 */

static enum err run_own(struct bench *b, int64_t messages, int64_t recipients)
{
    if (b->database)
        TRY(rig_database_is_free(b->op, b->database));
    TRY(rig_directory(b->op, "posthouse-bench", b->directory, sizeof b->directory));
    enum err err = run_all(b, messages, recipients);
    rig_remove(b->directory);
    return err;
}

static int bench_own(struct cli *cli, int64_t seconds, int64_t readers)
{
    int64_t messages = MESSAGES, recipients = END_RECIPIENTS;
    if (!cli_int(cli, "messages", MAILING_SIZE, INT64_C(100000000), &messages) ||
        !cli_int(cli, "recipients", 0, SIM_RECIPIENTS_MAX, &recipients))
        return CLI_USAGE;
    struct bench *b = calloc(1, sizeof *b);
    if (!b)
        abort();
    b->cli = cli;
    b->op = &cli->op;
    b->for_us = seconds ? seconds * 1000000 : INT64_MAX;
    b->readers = readers ? readers : 1;
    b->database = cli_option(cli, "database");
    b->page.events = malloc(GROUP_EVENTS * sizeof *b->page.events);
    b->group_us = malloc(GROUPS_MAX * sizeof *b->group_us);
    if (!b->page.events || !b->group_us)
        abort();
    enum err err = run_own(b, messages, recipients);
    if (b->feed)
        bench_feed_free(b->feed);
    free(b->page.events);
    free(b->group_us);
    free(b);
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static int bench_events_run(struct cli *cli)
{
    int64_t seconds = 0, clients = 0, most = cli_has(cli, "url") ? BENCH_HOOK_CLIENTS_MAX : BENCH_READERS_MAX;
    if (!cli_int(cli, "seconds", 1, 3600, &seconds) || !cli_int(cli, "clients", 1, most, &clients))
        return CLI_USAGE;
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    if (!cli_has(cli, "url"))
        return bench_own(cli, seconds, clients);
    struct bench_hooks hooks = { .clients = clients ? clients : HOOKS_CLIENTS,
                                 .seconds = seconds ? seconds : HOOKS_SECONDS };
    return run_hooks(cli, &hooks);
}

static const struct cli_option bench_events_options[] = {
    { "messages", "N", "in the store while events are applied (default 1000000)" },
    { "database", "URL", "an empty PostgreSQL database instead of embedded SQLite" },
    { "recipients", "N", "of the mailing that is read over HTTP (default 100000, 0: leave it out)" },
    { "seconds", "N", "the most that reports are applied, each way (default: all of them; with --url 10)" },
    { "clients", "N", "readers of figures meanwhile (default 1); with --url senders of webhooks (default 10)" },
    { "url", "URL", "webhooks to a daemon that runs already; a tenant 'bench' stays in it" },
    { "token", "TOKEN", "for that daemon, with scopes read and write; else POSTHOUSE_TOKEN" },
    { 0 },
};

extern const struct command cmd_bench_events;
const struct command cmd_bench_events = {
    .noun = "bench",
    .verb = "events",
    .operands = "",
    .summary = "measures how many provider events a second become figures",
    .text = "Prints one line of JSON: rate_per_second is applied events a second, parsed ones in memory,\n"
            "3,000 to a durable commit; end_to_end_per_second the same from a simulated provider over HTTP.\n"
            "stats_p99_ms and list_p99_ms are what GET .../stats and a page of messages take over HTTP while a\n"
            "daemon applies served_per_second. With --url rate_per_second is signed webhooks a second, each on disk\n"
            "before its answer.\n",
    .options = bench_events_options,
    .run = bench_events_run,
};
