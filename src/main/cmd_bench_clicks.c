/*
 * cmd_bench_clicks.c - durable clicks a second, beside nginx doing nothing but redirecting.
 *
 *     this process: clients ---> posthouse serve (a process of its own, its store on disk; or --url)
 *                           \--> nginx `return 302` with a buffered access log
 *
 * One mailing of --members recipients with --links links; every request takes
 * one of each by chance, so a click costs what it costs when everybody reads
 * at once. Both servers get the same requests from the same clients and share
 * the machine with them; they take turns, so that whatever else the machine
 * does meets both, and the middle turn counts. Before the first turn clicks are
 * made until links and recipients are known, as they are some seconds after a
 * mailing went out. With several --links the same store is measured with ever
 * more of them, without nginx.
 *
 * The rate is that of a burst, which the journal takes. Processor time and the
 * sustained rate are those of a click with all that follows: a turn ends when its
 * clicks are stored.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/process.h"
#include "main/bench_clicks.h"
#include "main/bench_nginx.h"
#include "main/client.h"
#include "main/measure.h"
#include "main/progress.h"
#include "main/rig.h"
#include "main/show.h"

#define MEMBERS    1000000
#define LINKS      "100000"
#define LINKS_MOST 10000000
#define CLIENTS    64
#define WIDE       512 /* clients of the second run, when nothing else was asked for */
#define RUNS_MAX   8
#define ROUNDS     3
#define ROUNDS_MAX 99
#define WARM_S     5
#define API_IDLE   120000

/* What turns of one server came to. */
struct turns {
    double rate[ROUNDS_MAX], p50_ms[ROUNDS_MAX], p99_ms[ROUNDS_MAX];
    double follow_s[ROUNDS_MAX];                            /* until its clicks were stored, too */
    double sustained[ROUNDS_MAX];                           /* clicks a second, that time included */
    double cpu_us[ROUNDS_MAX], database_cpu_us[ROUNDS_MAX]; /* processor time for a request */
    double max_ms;                                          /* of all turns */
};

struct run {
    int64_t clients, links;
    struct turns ours, nginx;
    double ratio[ROUNDS_MAX];
    int64_t rss_bytes;
};

struct bench {
    struct cli *cli;
    struct op *op;
    char directory[256];
    const char *database; /* NULL: SQLite in the directory */
    int64_t database_pid; /* PostgreSQL's, when it was said */
    int64_t seconds, rounds, warm;
    struct run runs[RUNS_MAX];
    int count;
    bool by_links; /* one run for each number of links */
    struct bench_clicks *clicks;
    struct progress progress;
    struct http_easy *api;
    struct bench_child ours, nginx; /* ours without a pid: somebody else's */
    const char *engine;
    double sync_ms;
};

/* --- the server ----------------------------------------------------------------------- */

static void filled(void *data, int64_t count)
{
    progress_at(data, count);
}

static enum err fill_own(struct bench *b, const struct bench_clicks_progress *progress)
{
    struct store_config config = { .directory = b->database ? NULL : b->directory, .url = b->database };
    struct store *store;
    TRY(store_open(b->op, &config, &store));
    enum err err = bench_clicks_fill(b->op, b->clicks, store, progress);
    store_close(store);
    return err;
}

static enum err start_own(struct bench *b)
{
    char addr[ADDR_TEXT_BYTES_MAX];
    struct bench_daemon daemon = { 0 };
    enum err err = bench_child_serve(b->op, b->directory, b->database, &daemon);
    b->ours = (struct bench_child){ daemon.pid, daemon.http };
    TRY(err);
    const char *url = arena_fmt(b->op->arena, "http://%.*s", STR(addr_text(&daemon.http, addr))).p;
    return http_easy_open(b->op, &(struct http_easy_config){ .url = url, .idle_ms = API_IDLE }, &b->api);
}

static void stop_own(struct bench *b)
{
    if (b->api)
        http_easy_close(b->api);
    b->api = NULL;
    bench_child_stop(&b->ours.pid);
}

/* Makes what is missing of the links, and has a server that runs. */
static enum err prepare(struct bench *b, int64_t links)
{
    const struct bench_clicks_progress progress = { filled, &b->progress };
    bool is_own = !cli_has(b->cli, "url");
    b->clicks->links = links;
    if (is_own)
        stop_own(b);
    progress_begin(&b->progress, "making links and readers", b->clicks->members + links, false);
    enum err err = is_own ? fill_own(b, &progress) : bench_clicks_fill_by_api(b->op, b->clicks, b->api, &progress);
    progress_end(&b->progress);
    TRY(err);
    return is_own ? start_own(b) : OK;
}

static int64_t rss_bytes(struct bench *b)
{
    struct client_about about = { 0 };
    if (b->ours.pid)
        return process_rss_bytes(b->ours.pid);
    client_about(b->cli, &about);
    return about.rss_bytes;
}

/* --- measuring ------------------------------------------------------------------------ */

static struct load load_of(struct bench *b, const struct bench_child *server, int64_t clients, int64_t seconds)
{
    return (struct load){ .addr = server->addr,
                          .clients = (int)clients,
                          .seconds = seconds,
                          .status = 302,
                          .next = bench_clicks_next,
                          .data = b->clicks };
}

static int64_t cpu_us(pid_t pid)
{
    return pid ? process_cpu_us_with_children(pid) : 0;
}

static enum err take_turn(struct bench *b, const struct bench_child *server, int64_t clients, int round,
                          struct turns *turns)
{
    struct load load = load_of(b, server, clients, b->seconds);
    int64_t server_us = cpu_us(server->pid), database_us = cpu_us((pid_t)b->database_pid);
    int64_t began_us = clock_mono_us();
    TRY(load_run(b->op, &load));
    int64_t answered_us = clock_mono_us();
    if (server == &b->ours)
        TRY(bench_clicks_settle(b->op, b->clicks, b->api));
    int64_t stored_us = clock_mono_us();
    double requests = (double)load.requests;
    turns->follow_s[round] = (double)(stored_us - answered_us) / 1e6;
    turns->sustained[round] = requests * 1e6 / (double)(stored_us - began_us);
    turns->cpu_us[round] = (double)(cpu_us(server->pid) - server_us) / requests;
    turns->database_cpu_us[round] = (double)(cpu_us((pid_t)b->database_pid) - database_us) / requests;
    turns->rate[round] = load.rate_per_second;
    turns->p50_ms[round] = load.p50_ms;
    turns->p99_ms[round] = load.p99_ms;
    turns->max_ms = load.max_ms > turns->max_ms ? load.max_ms : turns->max_ms;
    return OK;
}

static enum err run_one(struct bench *b, struct run *run)
{
    for (int round = 0; round < b->rounds; round++) {
        TRY(take_turn(b, &b->ours, run->clients, round, &run->ours));
        if (b->nginx.pid == 0)
            continue;
        TRY(take_turn(b, &b->nginx, run->clients, round, &run->nginx));
        run->ratio[round] = run->ours.rate[round] / run->nginx.rate[round];
    }
    run->rss_bytes = rss_bytes(b);
    return OK;
}

static enum err warm(struct bench *b, int64_t clients)
{
    struct load load = load_of(b, &b->ours, clients, b->warm);
    if (b->warm)
        TRY(load_run(b->op, &load));
    return bench_clicks_settle(b->op, b->clicks, b->api);
}

/* --- what came of it ------------------------------------------------------------------ */

static double middle(const struct bench *b, const double values[ROUNDS_MAX])
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)b->rounds * sizeof *sorted);
    return measure_median(sorted, (size_t)b->rounds);
}

/* Into the object that is open. */
static void put_run(struct bench *b, struct json_writer *w, const struct run *run)
{
    json_member_int(w, "clients", run->clients);
    json_member_int(w, "links", run->links);
    measure_put(w, "rate_per_second", middle(b, run->ours.rate), 0);
    measure_put(w, "p50_ms", middle(b, run->ours.p50_ms), 3);
    measure_put(w, "p99_ms", middle(b, run->ours.p99_ms), 3);
    measure_put(w, "max_ms", run->ours.max_ms, 3);
    measure_put(w, "sustained_per_second", middle(b, run->ours.sustained), 0);
    measure_put(w, "follow_seconds", middle(b, run->ours.follow_s), 2);
    json_member_int(w, "rss_bytes", run->rss_bytes);
    if (b->ours.pid)
        measure_put(w, "cpu_us_per_click", middle(b, run->ours.cpu_us), 2);
    if (b->database_pid)
        measure_put(w, "database_cpu_us_per_click", middle(b, run->ours.database_cpu_us), 2);
    if (run->nginx.rate[0] <= 0)
        return;
    measure_put(w, "nginx_rate_per_second", middle(b, run->nginx.rate), 0);
    measure_put(w, "nginx_p99_ms", middle(b, run->nginx.p99_ms), 3);
    measure_put(w, "nginx_cpu_us_per_request", middle(b, run->nginx.cpu_us), 2);
    measure_put(w, "ratio", middle(b, run->ratio), 3);
}

/* A click's processor time by that of a click with the fewest links. */
static void put_by_first(struct bench *b, struct json_writer *w, const struct run *run)
{
    if (b->by_links && b->ours.pid)
        measure_put(w, "cpu_by_first", middle(b, run->ours.cpu_us) / middle(b, b->runs[0].ours.cpu_us), 2);
}

static void put_others(struct bench *b, struct json_writer *w)
{
    json_put_name(w, b->by_links ? "by_links" : "wide");
    if (b->by_links)
        json_array_begin(w);
    for (int i = b->by_links ? 0 : 1; i < b->count; i++) {
        json_object_begin(w);
        put_run(b, w, &b->runs[i]);
        put_by_first(b, w, &b->runs[i]);
        json_object_end(w);
    }
    if (b->by_links)
        json_array_end(w);
}

static const struct show_column by_links_columns[] = { { "LINKS", "links" },
                                                       { "CLICKS/S", "rate_per_second" },
                                                       { "P99 MS", "p99_ms" },
                                                       { "US A CLICK", "cpu_us_per_click" },
                                                       { "BY THE FIRST", "cpu_by_first" },
                                                       { "BYTES IN RAM", "rss_bytes" },
                                                       { 0 } };

static void print(struct bench *b)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, b->op->arena, 8192);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "bench", S("clicks"));
    json_member_str(&w, "engine", str_of(b->engine));
    put_run(b, &w, &b->runs[0]);
    json_member_int(&w, "seconds", b->seconds);
    json_member_int(&w, "rounds", b->rounds);
    measure_put(&w, "sync_ms", b->sync_ms, 3);
    json_member_int(&w, "members", b->clicks->members);
    if (b->count > 1)
        put_others(b, &w);
    json_object_end(&w);
    if (cli_has(b->cli, "table"))
        show_items(b->cli, buf_str(&buf), "by_links", by_links_columns, NULL);
    else
        show_json(buf_str(&buf));
}

static enum err run_all(struct bench *b)
{
    for (int i = 0; i < b->count; i++) {
        struct run *run = &b->runs[i];
        if (run->links != b->clicks->links_made) {
            TRY(prepare(b, run->links));
            TRY(warm(b, b->runs[b->count - 1].clients));
        }
        TRY(run_one(b, run));
    }
    print(b);
    return OK;
}

/* Without an nginx there is nothing to compare with, unless one was named. */
static enum err start_nginx(struct bench *b)
{
    const char *program = cli_option(b->cli, "nginx");
    enum err err = b->by_links ? OK : bench_nginx_start(b->op, program, b->directory, &b->nginx);
    if (program || err != ERR_NOT_FOUND)
        return err;
    fprintf(stderr, "SKIP %s, so there is no ratio\n", b->op->error);
    b->op->error[0] = '\0';
    return OK;
}

static enum err run_beside_nginx(struct bench *b)
{
    TRY(rig_directory(b->op, "posthouse-bench", b->directory, sizeof b->directory));
    b->sync_ms = measure_sync_ms(b->directory);
    enum err err = start_nginx(b);
    if (err == OK)
        err = run_all(b);
    bench_child_stop(&b->nginx.pid);
    stop_own(b);
    rig_remove(b->directory);
    return err;
}

static enum err run_own(struct bench *b)
{
    b->engine = b->database ? "postgresql" : "sqlite";
    if (!b->database)
        return run_beside_nginx(b);
    TRY(rig_database_is_free(b->op, b->database));
    enum err err = run_beside_nginx(b);
    struct op aside = { .arena = b->op->arena };
    if (store_erase(&aside, b->database) != OK)
        log_error("the schema posthouse stays in the database", LOG_ERROR_OF(&aside));
    return err;
}

/* Against a daemon that runs already. */
static int run_there(struct bench *b)
{
    struct client_about about;
    int code = client_about(b->cli, &about);
    if (code != CLI_DONE)
        return code;
    b->engine = about.engine;
    enum err err = client_addr(b->cli, 0, &b->ours.addr);
    if (err == OK)
        err = client_open(b->cli, &b->api);
    if (err == OK)
        err = run_beside_nginx(b);
    return err == OK ? CLI_DONE : cli_fail_op(b->cli);
}

/* --- the command ---------------------------------------------------------------------- */

static void add_run(struct bench *b, int64_t clients, int64_t links)
{
    struct run *run = &b->runs[b->count++];
    run->clients = clients;
    run->links = links;
}

/* "1000,100000": a run for each. False when they are no numbers that rise. */
static bool runs_of_list(struct bench *b, struct str list, int64_t clients)
{
    int64_t links = 0;
    while (str_given(list)) {
        if (b->count == RUNS_MAX || !str_to_int(str_cut(&list, ','), links + 1, LINKS_MOST, &links))
            return false;
        add_run(b, clients, links);
    }
    return b->count > 0;
}

static int plan_runs(struct bench *b)
{
    int64_t clients = 0;
    const char *links = cli_option(b->cli, "links");
    if (!cli_int(b->cli, "clients", 1, 10000, &clients))
        return CLI_USAGE;
    if (!runs_of_list(b, str_of(links ? links : LINKS), clients ? clients : CLIENTS))
        return cli_fail(b->cli, CLI_USAGE, "--links wants 1 to %d numbers up to %d, each larger than the one before",
                        RUNS_MAX, LINKS_MOST);
    b->by_links = b->count > 1;
    if (cli_has(b->cli, "table") && !b->by_links)
        return cli_fail(b->cli, CLI_USAGE, "--table wants several numbers in --links");
    if (!b->by_links && !clients)
        add_run(b, WIDE, b->runs[0].links);
    return CLI_DONE;
}

static int bench_clicks_run(struct cli *cli)
{
    struct bench b = { .cli = cli, .op = &cli->op, .database = cli_option(cli, "database") };
    b.seconds = 10;
    b.rounds = ROUNDS;
    b.warm = WARM_S;
    int64_t members = MEMBERS;
    if (!cli_int(cli, "seconds", 1, 3600, &b.seconds) || !cli_int(cli, "rounds", 1, ROUNDS_MAX, &b.rounds) ||
        !cli_int(cli, "warm", 0, 3600, &b.warm) || !cli_int(cli, "members", 1, INT64_C(100000000), &members) ||
        !cli_int(cli, "server-pid", 1, INT32_MAX, &b.database_pid))
        return CLI_USAGE;
    int code = plan_runs(&b);
    if (code != CLI_DONE)
        return code;
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    b.clicks = bench_clicks_new(members, b.runs[b.count - 1].links);
    if (cli_has(cli, "url"))
        code = run_there(&b);
    else
        code = run_own(&b) == OK ? CLI_DONE : cli_fail_op(cli);
    bench_clicks_free(b.clicks);
    return code;
}

static const struct cli_option bench_clicks_options[] = {
    { "clients", "N", "keep-alive connections (default: 64, then 512)" },
    { "seconds", "N", "for each turn (default 10)" },
    { "rounds", "N", "turns of each server; the middle one counts (default 3)" },
    { "warm", "N", "seconds of clicks before the first turn, not counted (default 5)" },
    { "links", "N[,N...]", "links of the mailing (default 100000); several: one run for each, without nginx" },
    { "table", NULL, "with several --links: a table of what a click costs with each, instead of JSON" },
    { "members", "N", "its recipients (default 1000000)" },
    { "database", "URL", "an empty PostgreSQL database instead of embedded SQLite" },
    { "server-pid", "PID", "of its postmaster on this machine: shows its processor time, too" },
    { "nginx", "FILE", "the nginx to compare with (default: where Debian has it)" },
    { "url", "URL", "clicks on a daemon that runs already; a tenant 'bench' stays in it" },
    { "token", "TOKEN", "for that daemon, with scopes read and write; else POSTHOUSE_TOKEN" },
    { 0 },
};

extern const struct command cmd_bench_clicks;
const struct command cmd_bench_clicks = {
    .noun = "bench",
    .verb = "clicks",
    .operands = "",
    .summary = "measures durable clicks a second beside nginx",
    .text =
        "Prints one line of JSON. Each request takes one of the links and one of the members by chance and is\n"
        "answered when its click is on disk; nginx answers the same requests with a bare `return 302` and a\n"
        "buffered access log. The two take turns. `ratio` is ours by nginx's of the same round; without nginx\n"
        "(Debian: nginx-light) it is left out. The rate is that of a burst, which the journal takes and the store\n"
        "follows: `follow_seconds` until all of it is in the figures, `sustained_per_second` is the rate with that\n"
        "time. `cpu_us_per_click` is processor time of the server until then. With several --links `by_links` has the\n"
        "same for each number of them, and `cpu_by_first` that time by the one with the fewest; --table shows it.\n",
    .options = bench_clicks_options,
    .run = bench_clicks_run,
};
