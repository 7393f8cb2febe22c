/*
 * cmd_bench_jobs.c - how many jobs a second pass through the worker door.
 *
 *     jobs   10 producers and 10 workers at once, one job a request, every answer on disk;
 *            then fetch and ack alone, with as many workers and with ten times as many
 *     push   10 producers, one job a request; then 100 jobs a request
 *
 * The server is a process of its own with an empty store, one that runs already
 * (--url, --worker), or a peer (--peer). The clients are this process, one thread.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/process.h"
#include "base/random.h"
#include "main/bench_peer.h"
#include "main/cli.h"
#include "main/measure.h"
#include "main/rig.h"
#include "main/show.h"
#include "main/worker_load.h"

#define SECONDS     5
#define CLIENTS     10
#define BATCH       100
#define MANY        10     /* times as many workers */
#define FILL_JOBS   200000 /* waiting when fetch and ack are measured alone */
#define FILL_TIMES  2      /* as long as they are taken out, a peer may be filled */
#define READY_BYTES 1024
#define DOOR_PORT   7419

struct bench {
    struct cli *cli;
    struct op *op;
    char directory[256];
    pid_t server; /* 0 = it was there before */
    struct bench_peer peer;
    struct addr door;
    int64_t seconds, clients;
    double sync_ms;
    uint64_t seed;
    struct buf json;
    struct json_writer w;
};

/* --- the server ----------------------------------------------------------- */

static void run_server(const char *directory, const char *database, int out)
{
    const char *argv[12] = { "posthouse", "serve",       "--dev",    "--config",   "/dev/null",
                             "--http",    "127.0.0.1:0", "--worker", "127.0.0.1:0" };
    argv[9] = database ? "--database" : "--data";
    argv[10] = database ? database : directory;
    dup2(out, STDOUT_FILENO);
    setenv("POSTHOUSE_LOG_LEVEL", "error", 1);
    execv("/proc/self/exe", (char *const *)(uintptr_t)argv); /* it does not change them */
    _exit(127);
}

/* The ready line names the door. */
static enum err await_server(struct bench *b, int in)
{
    char line[READY_BYTES];
    size_t n = 0;
    ssize_t got;
    while (n < sizeof line - 1 && (got = read(in, line + n, sizeof line - 1 - n)) > 0) {
        n += (size_t)got;
        struct str text = { line, n };
        size_t at = str_search(text, S(" worker="));
        if (str_find(text, '\n') == n || at == n)
            continue;
        struct str rest = { line + at + 8, n - at - 8 }, door = str_cut(&rest, ' ');
        return addr_parse(b->op, door, &b->door);
    }
    return fail(b->op, ERR_IO, "the server did not start");
}

static enum err start_server(struct bench *b)
{
    int ends[2];
    if (pipe(ends) != 0)
        return fail(b->op, ERR_IO, "cannot make a pipe");
    b->server = fork();
    if (b->server == 0) {
        close(ends[0]);
        run_server(b->directory, cli_option(b->cli, "database"), ends[1]);
    }
    close(ends[1]);
    enum err err = b->server > 0 ? await_server(b, ends[0]) : fail(b->op, ERR_IO, "cannot start a process");
    close(ends[0]);
    return err;
}

static void stop_server(struct bench *b)
{
    if (b->server <= 0)
        return;
    kill(b->server, SIGTERM);
    waitpid(b->server, NULL, 0);
}

static int64_t server_bytes(const struct bench *b)
{
    pid_t server = b->peer.pid > 0 ? b->peer.pid : b->server;
    return server > 0 ? process_rss_bytes(server) : 0;
}

/* --- what is measured ----------------------------------------------------- */

static enum err run(struct bench *b, struct load_config config, struct load_result *ret)
{
    config.door = b->door;
    config.protocol = b->peer.protocol;
    config.queue = S("bench");
    config.seed = b->seed++;
    if (!config.batch)
        config.batch = 1;
    return worker_load(b->op, &config, ret);
}

static double rate(int64_t jobs, int64_t took_us)
{
    return took_us > 0 ? (double)jobs * 1e6 / (double)took_us : 0;
}

static void begin_line(struct bench *b, const char *name, double per_second, double p50_ms, double p99_ms)
{
    buf_init_arena(&b->json, b->op->arena, 4096);
    json_write_init(&b->w, &b->json);
    json_object_begin(&b->w);
    json_member_str(&b->w, "bench", str_of(name));
    const char *engine = b->peer.name ? b->peer.name : cli_has(b->cli, "database") ? "postgresql" : "sqlite";
    json_member_str(&b->w, "engine", str_of(engine));
    measure_put(&b->w, "rate_per_second", per_second, 0);
    measure_put(&b->w, "p50_ms", p50_ms, 3);
    measure_put(&b->w, "p99_ms", p99_ms, 3);
}

static void end_line(struct bench *b)
{
    json_member_int(&b->w, "rss_bytes", server_bytes(b));
    json_member_int(&b->w, "seconds", b->seconds);
    json_member_int(&b->w, "clients", b->clients);
    measure_put(&b->w, "sync_ms", b->sync_ms, 3);
    json_object_end(&b->w);
    show_json(buf_str(&b->json));
}

static enum err fetch_alone(struct bench *b, int workers, struct load_result *ret)
{
    struct load_result fill;
    struct load_config config = { .producers = (int)b->clients, .batch = BATCH, .jobs = FILL_JOBS };
    if (b->peer.name)
        config.for_ms = b->seconds * FILL_TIMES * 1000; /* some take one job at a time */
    TRY(run(b, config, &fill));
    return run(b, (struct load_config){ .workers = workers, .jobs = fill.pushed, .for_ms = b->seconds * 1000 }, ret);
}

static enum err bench_jobs(struct bench *b)
{
    struct load_result both, alone, many;
    int clients = (int)b->clients;
    TRY(run(b, (struct load_config){ .producers = clients, .workers = clients, .for_ms = b->seconds * 1000 }, &both));
    TRY(fetch_alone(b, clients, &alone));
    TRY(fetch_alone(b, clients * MANY, &many));
    begin_line(b, "jobs", rate(both.acked, both.took_us), both.work_p50_ms, both.work_p99_ms);
    measure_put(&b->w, "push_p50_ms", both.push_p50_ms, 3);
    measure_put(&b->w, "push_p99_ms", both.push_p99_ms, 3);
    measure_put(&b->w, "fetch_ack_per_second", rate(alone.acked, alone.took_us), 0);
    measure_put(&b->w, "fetch_ack_many_per_second", rate(many.acked, many.took_us), 0);
    json_member_int(&b->w, "many_workers", (int64_t)clients * MANY);
    end_line(b);
    return OK;
}

static enum err bench_push(struct bench *b)
{
    struct load_result single, bulk;
    int clients = (int)b->clients;
    TRY(run(b, (struct load_config){ .producers = clients, .for_ms = b->seconds * 1000 }, &single));
    bool has_bulk = !b->peer.name || b->peer.protocol->batch_max > 1;
    if (has_bulk)
        TRY(run(b, (struct load_config){ .producers = clients, .batch = BATCH, .for_ms = b->seconds * 1000 }, &bulk));
    begin_line(b, "push", rate(single.pushed, single.took_us), single.push_p50_ms, single.push_p99_ms);
    if (has_bulk) {
        measure_put(&b->w, "bulk_per_second", rate(bulk.pushed, bulk.took_us), 0);
        json_member_int(&b->w, "bulk_jobs", BATCH);
    }
    end_line(b);
    return OK;
}

/* --- the commands --------------------------------------------------------- */

/* The door of the server whose API is at this URL, where it usually is. */
static enum err door_of_url(struct bench *b, const char *url)
{
    struct str rest = str_of(url);
    size_t scheme = str_search(rest, S("://"));
    if (scheme < rest.n)
        rest = (struct str){ rest.p + scheme + 3, rest.n - scheme - 3 };
    rest = str_cut(&rest, '/');
    bool has_brackets = rest.n > 0 && rest.p[0] == '[';
    size_t host = has_brackets ? str_find(rest, ']') + 1 : str_find(rest, ':');
    return addr_parse(b->op,
                      arena_fmt(b->op->arena, "%.*s:%d", (int)(host < rest.n ? host : rest.n), rest.p, DOOR_PORT),
                      &b->door);
}

static enum err prepare(struct bench *b)
{
    const char *worker = cli_option(b->cli, "worker"), *url = cli_option(b->cli, "url");
    TRY(rig_directory(b->op, "posthouse-bench", b->directory, sizeof b->directory));
    b->sync_ms = measure_sync_ms(b->directory);
    b->seed = random_u64();
    if (cli_has(b->cli, "peer")) {
        TRY(bench_peer_start(b->op, cli_option(b->cli, "peer"), b->directory, &b->peer));
        b->door = b->peer.addr;
        return OK;
    }
    if (worker)
        return addr_parse(b->op, str_of(worker), &b->door);
    return url ? door_of_url(b, url) : start_server(b);
}

static int bench_run(struct cli *cli, enum err (*measure)(struct bench *b))
{
    struct bench b = { .cli = cli, .op = &cli->op, .seconds = SECONDS, .clients = CLIENTS };
    if (!cli_int(cli, "seconds", 1, 3600, &b.seconds) ||
        !cli_int(cli, "clients", 1, LOAD_CLIENTS_MAX / (MANY + 1), &b.clients))
        return CLI_USAGE;
    enum err err = prepare(&b);
    if (err == OK)
        err = measure(&b);
    stop_server(&b);
    bench_peer_stop(&b.peer);
    if (b.directory[0])
        rig_remove(b.directory);
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static int bench_jobs_run(struct cli *cli)
{
    return bench_run(cli, bench_jobs);
}

static int bench_push_run(struct cli *cli)
{
    return bench_run(cli, bench_push);
}

static const struct cli_option bench_options[] = {
    { "seconds", "N", "for each measurement (default 5)" },
    { "clients", "N", "producers, and as many workers (default 10)" },
    { "database", "URL", "on PostgreSQL instead of a temporary SQLite file" },
    { "url", "URL", "against a server that runs already: its host, port 7419" },
    { "worker", "ADDR", "against one whose door for workers is elsewhere" },
    { "peer", "NAME", "the same load on beanstalkd or redis, synced before every answer" },
    { 0 },
};

extern const struct command cmd_bench_jobs, cmd_bench_push;
const struct command cmd_bench_jobs = {
    .noun = "bench",
    .verb = "jobs",
    .operands = "",
    .summary = "measures how many jobs a second are pushed, fetched and acknowledged",
    .text =
        "Prints one line of JSON: rate_per_second is jobs pushed by producers and worked by workers at once, one job\n"
        "a request, every answer on disk; p50_ms and p99_ms are from a fetch to the answer of its ack.\n"
        "fetch_ack_per_second is workers alone, fetch_ack_many_per_second ten times as many.\n",
    .options = bench_options,
    .run = bench_jobs_run,
};
const struct command cmd_bench_push = {
    .noun = "bench",
    .verb = "push",
    .operands = "",
    .summary = "measures how many jobs a second are taken in",
    .text = "Prints one line of JSON: rate_per_second is one job a request, every answer on disk, bulk_per_second\n"
            "100 jobs a request.\n",
    .options = bench_options,
    .run = bench_push_run,
};
