/*
 * cmd_demo.c - the main job, end to end, before one's eyes.
 *
 * A mailing to simulated recipients through a simulated provider that reports
 * late, twice and broken, and fails twice on the way. Then every figure is held
 * against what the provider knows it did, and the store is checked.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "engine/check.h"
#include "engine/simulate_truth.h"
#include "main/cli.h"
#include "main/progress.h"
#include "main/rig.h"
#include "main/show.h"

#define DEMO_RECIPIENTS     20000
#define DEMO_COMPRESS_MILLI 8640000 /* a day passes in ten seconds */
#define LATE_BY_US          INT64_C(2400000000)
#define LATE_PPM            50000
#define DUPLICATE_PPM       20000
#define GARBAGE_PPM         10000
#define LOOK_MS             100
#define BURST_ERRORS        6                 /* 503 answers in a row, twice */
#define SETTLE_US           INT64_C(6000000)  /* after the last event is visible: both rechecks are over */
#define PATIENCE_US         INT64_C(30000000) /* without any figure moving although some must */
#define FIGURES             14

struct figure {
    const char *name;
    int64_t expected, counted;
};

struct demo {
    struct cli *cli;
    struct rig rig;
    struct sim_truth truth;
    struct figure figures[FIGURES];
    int figure_count;
    struct check check;
    struct progress progress;
    int64_t began_us;
};

static void expect(struct demo *d, const char *name, int64_t expected)
{
    d->figures[d->figure_count++] = (struct figure){ .name = name, .expected = expected };
}

static void expect_all(struct demo *d)
{
    const struct sim_truth *t = &d->truth;
    expect(d, "messages", t->messages);
    expect(d, "delivered", t->delivered);
    expect(d, "opened", t->opened);
    expect(d, "opened_human", t->opened_human);
    expect(d, "opened_machine", t->opened_machine);
    expect(d, "clicked", t->clicked);
    expect(d, "clicked_human", t->clicked_human);
    expect(d, "clicked_machine", t->clicked_machine);
    expect(d, "failed_permanent", t->failed_permanent);
    expect(d, "failed_temporary", t->failed_temporary);
    expect(d, "complained", t->complained);
    expect(d, "unsubscribed", t->unsubscribed);
}

static bool all_equal(const struct demo *d)
{
    bool equal = d->check.differ == 0;
    for (int i = 0; i < d->figure_count; i++)
        equal &= d->figures[i].expected == d->figures[i].counted;
    return equal;
}

/* Reads the figures as they stand. */
static enum err look(struct demo *d)
{
    struct arena *outer = d->rig.op->arena;
    struct arena *memory = arena_new(1 << 20);
    struct str json;
    d->rig.op->arena = memory;
    enum err err = rig_call(&d->rig, "GET", "/v1/mailings/" RIG_MAILING "/stats", (struct str){ 0 }, &json);
    for (int i = 0; err == OK && i < d->figure_count; i++)
        d->figures[i].counted = rig_number(d->rig.op, json, d->figures[i].name);
    d->rig.op->arena = outer;
    arena_free(memory);
    return err;
}

static int64_t sum_counted(const struct demo *d)
{
    int64_t sum = 0;
    for (int i = 1; i < d->figure_count; i++)
        sum += d->figures[i].counted;
    return sum;
}

static void import_progress(void *data, int64_t done)
{
    progress_at(&((struct demo *)data)->progress, done);
}

static enum err import(struct demo *d)
{
    progress_begin(&d->progress, "importing recipients", d->rig.config.model.recipients, false);
    enum err err = rig_import(&d->rig, import_progress, d);
    progress_end(&d->progress);
    return err;
}

static enum err burst(struct demo *d)
{
    return rig_provider_call(&d->rig, "POST", "/sim/faults",
                             arena_fmt(d->rig.op->arena, "{\"status\":503,\"count\":%d}", BURST_ERRORS));
}

/* Until nothing can come any more: the last event is visible for longer than both rechecks wait, and figures rest. */
static enum err read_all(struct demo *d)
{
    int64_t expected = 0, newest_sum = -1;
    for (int i = 1; i < d->figure_count; i++)
        expected += d->figures[i].expected;
    int64_t moved_us = clock_wall_us();
    bool bursts[2] = { false, false };
    progress_begin(&d->progress, "reading the provider", expected, false);
    TRY(rig_read(&d->rig));
    for (;;) {
        int64_t now_us = clock_wall_us(), sum;
        TRY(look(d));
        sum = sum_counted(d);
        moved_us = sum != newest_sum ? now_us : moved_us;
        newest_sum = sum;
        progress_at(&d->progress, sum);
        for (int i = 0; i < 2; i++) {
            if (!bursts[i] && sum > expected * (i + 1) / 3) {
                bursts[i] = true;
                TRY(burst(d));
            }
        }
        bool all_shown = now_us > d->truth.last_visible_us + SETTLE_US;
        bool all_there = sum == expected;
        if (all_shown && now_us - moved_us > (all_there ? SETTLE_US : PATIENCE_US))
            break;
        usleep(LOOK_MS * 1000);
    }
    progress_end(&d->progress);
    return OK;
}

static void check_progress(void *data, uint64_t done, uint64_t all)
{
    struct demo *d = data;
    d->progress.total = (int64_t)all;
    progress_at(&d->progress, (int64_t)done);
}

static void print_difference(void *data, const char *line)
{
    struct demo *d = data;
    progress_end(&d->progress);
    if (d->check.differ <= 20)
        fprintf(stderr, "%s\n", line);
}

static enum err check_all(struct demo *d)
{
    struct store *store;
    struct store_config config = { .directory = d->rig.directory, .url = d->rig.config.database, .read_only = true };
    TRY(store_open(d->rig.op, &config, &store));
    d->check.store = store;
    d->check.progress = check_progress;
    d->check.difference = print_difference;
    d->check.data = d;
    progress_begin(&d->progress, "checking", 0, false);
    enum err err = check_run(d->rig.op, &d->check);
    progress_end(&d->progress);
    store_close(store);
    return err;
}

static void print_json(struct demo *d, double seconds)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, d->rig.op->arena, 1 << 16);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "recipients", d->rig.config.model.recipients);
    json_put_name(&w, "figures");
    json_object_begin(&w);
    for (int i = 0; i < d->figure_count; i++) {
        json_put_name(&w, d->figures[i].name);
        json_object_begin(&w);
        json_member_int(&w, "expected", d->figures[i].expected);
        json_member_int(&w, "counted", d->figures[i].counted);
        json_object_end(&w);
    }
    json_object_end(&w);
    json_put_name(&w, "check");
    json_object_begin(&w);
    json_member_int(&w, "compared", d->check.compared);
    json_member_int(&w, "differ", d->check.differ);
    json_object_end(&w);
    json_member_bool(&w, "equal", all_equal(d));
    json_put_name(&w, "seconds");
    json_put_decimal(&w, (int64_t)(seconds * 100), 2);
    json_member_int(&w, "rss_bytes", rig_peak_bytes());
    json_object_end(&w);
    show_json(buf_str(&buf));
}

static void print_table(struct demo *d, double seconds)
{
    printf("\n%-18s %12s %12s\n", "figure", "expected", "counted");
    for (int i = 0; i < d->figure_count; i++)
        printf("%-18s %12lld %12lld%s\n", d->figures[i].name, (long long)d->figures[i].expected,
               (long long)d->figures[i].counted, d->figures[i].expected == d->figures[i].counted ? "" : "  <- differs");
    printf("\n%lld events, %lld of them late, %lld listed twice, %lld malformed items, two bursts of 503\n",
           (long long)d->truth.real, (long long)d->truth.late, (long long)d->truth.duplicate,
           (long long)d->truth.malformed);
    printf("check: %lld facts compared, %lld differ\n", (long long)d->check.compared, (long long)d->check.differ);
    printf("%s in %.1f s, %.0f MB of memory\n", all_equal(d) ? "every figure is exact" : "FIGURES DIFFER", seconds,
           (double)rig_peak_bytes() / 1e6);
}

static enum err play(struct demo *d)
{
    sim_truth(stand_in_model(d->rig.stand_in), &d->truth);
    expect_all(d);
    TRY(import(d));
    TRY(read_all(d));
    TRY(look(d));
    rig_stop_daemon(&d->rig);
    return check_all(d);
}

static int demo_run(struct cli *cli)
{
    int64_t recipients = DEMO_RECIPIENTS, seed = 1;
    if (!cli_int(cli, "recipients", 1, SIM_RECIPIENTS_MAX, &recipients) || !cli_int(cli, "seed", 0, INT64_MAX, &seed))
        return CLI_USAGE;
    struct rig_config config = { .directory = cli_option(cli, "keep"),
                                 .database = cli_option(cli, "database"),
                                 .keep = cli_has(cli, "keep"),
                                 .model = { .seed = (uint64_t)seed,
                                            .mailing = S(RIG_MAILING),
                                            .recipients = (uint32_t)recipients,
                                            .start_us = clock_wall_us() / 1000 * 1000,
                                            .compress_milli = DEMO_COMPRESS_MILLI,
                                            .late_ppm = LATE_PPM,
                                            .late_by_us = LATE_BY_US,
                                            .duplicate_ppm = DUPLICATE_PPM,
                                            .garbage_ppm = GARBAGE_PPM },
                                 .every = "1s",
                                 .margin = "200ms",
                                 .recheck_1 = "1s",
                                 .recheck_2 = "3s" };
    struct demo demo = { .cli = cli, .began_us = clock_mono_us() };
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    if (!cli->json)
        printf("A mailing to %lld recipients; a day of reports in about ten seconds.\n", (long long)recipients);
    enum err err = rig_start(&cli->op, &config, &demo.rig);
    if (err == OK) {
        err = play(&demo);
        rig_stop(&demo.rig);
    }
    if (err != OK)
        return cli_fail_op(cli);
    double seconds = (double)(clock_mono_us() - demo.began_us) / 1e6;
    if (cli->json)
        print_json(&demo, seconds);
    else
        print_table(&demo, seconds);
    return all_equal(&demo) ? CLI_DONE : CLI_REFUSED;
}

static const struct cli_option demo_options[] = {
    { "recipients", "N", "of the mailing (default 20000)" },
    { "seed", "N", "decides every event (default 1)" },
    { "keep", "DIR", "keeps the store there (or in the database), to look at it with serve and check" },
    { "database", "URL", "an empty PostgreSQL database instead of embedded SQLite" },
    { 0 },
};

extern const struct command cmd_demo;
const struct command cmd_demo = {
    .noun = "demo",
    .operands = "",
    .summary = "plays a whole mailing and proves every figure",
    .text = "Starts a daemon and a stand-in provider, imports the recipients, reads a day of reports -\n"
            "late, repeated and broken ones among them - and compares each figure with what the\n"
            "provider knows it did. Exit 0 only if all are equal and check finds no difference.\n",
    .options = demo_options,
    .flags = CLI_JSON,
    .run = demo_run,
};
