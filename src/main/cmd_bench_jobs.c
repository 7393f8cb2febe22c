/*
 * cmd_bench_jobs.c - how many jobs a second pass through the worker door.
 *
 *     jobs   10 producers and 10 workers at once, one job a request, every answer on disk;
 *            then fetch and ack alone, with as many workers and with ten times as many;
 *            with --bulk only fetches, alone and beside an action on very many jobs;
 *            with --depth only fetches, from an empty queue and from one of very many jobs
 *     push   10 producers, one job a request; then 100 jobs a request
 *
 * The server is a process of its own with an empty store, one that runs already
 * (--url, --worker), or a peer (--peer). The clients are this process, one thread.
 *
 * On a machine that does other work, too, jobs a second say little; what stays is
 * the processor time that a job costs the server, and with --server-pid PostgreSQL.
 */
#include "base/buf.h"
#include "base/process.h"
#include "base/random.h"
#include "main/bench_bulk.h"
#include "main/bench_depth.h"
#include "main/bench_hold.h"
#include "main/bench_peer.h"
#include "main/client.h"
#include "main/measure.h"
#include "main/rig.h"
#include "main/show.h"
#include "main/worker_load.h"
#include "store/db.h"

#define SECONDS    5
#define CLIENTS    10
#define BATCH      100
#define MANY       10     /* times as many workers */
#define FILL_JOBS  200000 /* waiting when fetch and ack are measured alone */
#define FILL_TIMES 2      /* as long as they are taken out, a peer may be filled */
#define QUEUE      "bench"
#define DOOR_PORT  7419
#define BULK_TURNS 4 /* of a second, of each kind, for each of --seconds */

/* Processor time of the servers. */
struct cost {
    int64_t node_us, database_us;
};

/* What a run came to. */
struct result {
    struct load_result load;
    struct cost cost;
};

struct bench {
    struct cli *cli;
    struct op *op;
    char directory[256];
    struct bench_daemon server; /* its pid 0 = it was there before */
    bool erases;                /* what the server made in the database */
    struct bench_peer peer;
    struct addr door;
    const char *api; /* URL of our own server */
    int64_t seconds, clients;
    int64_t bulk_jobs;    /* 0 = without */
    int64_t depth;        /* jobs that wait, 0 = only as many as are fetched */
    int64_t hold_ms;      /* an old snapshot, 0 = none */
    int64_t database_pid; /* PostgreSQL's, when it was said */
    double sync_ms;
    uint64_t seed;
    struct buf json;
    struct json_writer w;
};

/* --- the server ----------------------------------------------------------- */

static enum err start_server(struct bench *b)
{
    char http[ADDR_TEXT_BYTES_MAX];
    TRY(bench_child_serve(b->op, b->directory, cli_option(b->cli, "database"), &b->server));
    b->door = b->server.worker;
    b->api = arena_fmt(b->op->arena, "http://%.*s", STR(addr_text(&b->server.http, http))).p;
    return OK;
}

static pid_t server_pid(const struct bench *b)
{
    return b->peer.child.pid > 0 ? b->peer.child.pid : b->server.pid;
}

static int64_t server_bytes(const struct bench *b)
{
    return server_pid(b) > 0 ? process_rss_bytes(server_pid(b)) : 0;
}

static struct cost cost_now(const struct bench *b)
{
    return (struct cost){
        server_pid(b) > 0 ? process_cpu_us_with_children(server_pid(b)) : 0,
        b->database_pid ? process_cpu_us_with_children((pid_t)b->database_pid) : 0,
    };
}

/* --- what is measured ----------------------------------------------------- */

static enum err run(struct bench *b, struct load_config config, struct result *ret)
{
    config.door = b->door;
    config.protocol = b->peer.protocol;
    if (!str_given(config.queue))
        config.queue = S(QUEUE);
    config.seed = b->seed++;
    if (!config.batch)
        config.batch = 1;
    struct cost before = cost_now(b);
    TRY(worker_load(b->op, &config, &ret->load));
    struct cost after = cost_now(b);
    ret->cost = (struct cost){ after.node_us - before.node_us, after.database_us - before.database_us };
    return OK;
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

static void put_cost(struct bench *b, const char *node, const char *database, const struct cost *cost, int64_t jobs)
{
    double each = jobs > 0 ? 1 / (double)jobs : 0;
    if (cost->node_us)
        measure_put(&b->w, node, (double)cost->node_us * each, 1);
    if (cost->database_us)
        measure_put(&b->w, database, (double)cost->database_us * each, 1);
}

static enum err fetch_alone(struct bench *b, int workers, struct result *ret)
{
    struct result fill;
    struct load_config config = { .producers = (int)b->clients, .batch = BATCH, .jobs = FILL_JOBS };
    if (b->peer.name)
        config.for_ms = b->seconds * FILL_TIMES * 1000; /* some take one job at a time */
    TRY(run(b, config, &fill));
    return run(b, (struct load_config){ .workers = workers, .jobs = fill.load.pushed, .for_ms = b->seconds * 1000 },
               ret);
}

static enum err at_once(struct bench *b, int64_t for_ms, struct result *ret)
{
    return run(b, (struct load_config){ .producers = (int)b->clients, .workers = (int)b->clients, .for_ms = for_ms },
               ret);
}

static enum err hold_work(void *arg, int64_t for_us, struct bench_part *ret)
{
    struct result result;
    TRY(at_once(arg, for_us / 1000, &result));
    ret->rate = rate(result.load.acked, result.load.took_us);
    ret->database_us = result.load.acked > 0 ? (double)result.cost.database_us / (double)result.load.acked : 0;
    return OK;
}

/* How fast it is beside an old snapshot; nothing else is measured then. */
static enum err bench_jobs_held(struct bench *b, int64_t hold_ms)
{
    bool without = cli_has(b->cli, "without-snapshot");
    struct bench_hold hold = { cli_option(b->cli, "database"), hold_ms * 1000, without, hold_work, b };
    struct result first;
    TRY(at_once(b, b->seconds * 1000, &first));
    begin_line(b, "jobs", rate(first.load.acked, first.load.took_us), first.load.work_p50_ms, first.load.work_p99_ms);
    TRY(bench_hold(b->op, &hold, &b->w));
    end_line(b);
    return OK;
}

static enum err bulk_fill(void *arg, struct str queue, int64_t jobs)
{
    struct bench *b = arg;
    struct result result;
    return run(b, (struct load_config){ .producers = (int)b->clients, .batch = BATCH, .jobs = jobs, .queue = queue },
               &result);
}

/* Fetches and acks; what was taken out is filled up again. */
static enum err bulk_work(void *arg, int64_t for_ms, struct load_result *ret)
{
    struct bench *b = arg;
    struct result result;
    TRY(run(b, (struct load_config){ .workers = (int)b->clients, .for_ms = for_ms }, &result));
    *ret = result.load;
    return bulk_fill(b, S(QUEUE), result.load.acked);
}

/* What those who fetch notice of an action on very many jobs; nothing else is measured then. */
static enum err bench_jobs_bulk(struct bench *b)
{
    int64_t turns = b->seconds * BULK_TURNS;
    struct bench_bulk bulk = { .url = b->api, .jobs = b->bulk_jobs, .fill = bulk_fill, .work = bulk_work, .arg = b };
    bulk.turns = turns < LOAD_TURNS_MAX ? (int)turns : LOAD_TURNS_MAX;
    struct bench_bulk_result result;
    TRY(bulk_fill(b, S(QUEUE), FILL_JOBS));
    TRY(bench_bulk(b->op, &bulk, &result));
    begin_line(b, "jobs", result.alone.rate, result.alone.fetch_p50_ms, result.alone.fetch_p99_ms);
    measure_put(&b->w, "beside_bulk_per_second", result.beside.rate, 0);
    measure_put(&b->w, "beside_bulk_p50_ms", result.beside.fetch_p50_ms, 3);
    measure_put(&b->w, "beside_bulk_p99_ms", result.beside.fetch_p99_ms, 3);
    measure_put(&b->w, "bulk_per_second", result.bulk_rate, 0);
    json_member_int(&b->w, "bulk_jobs", b->bulk_jobs);
    end_line(b);
    return OK;
}

static enum err depth_run(void *arg, const struct addr *door, struct load_config config, struct load_result *ret)
{
    struct bench *b = arg;
    struct result result;
    b->door = *door;
    TRY(run(b, config, &result));
    *ret = result.load;
    return OK;
}

/* What those who fetch notice of very many jobs that wait; nothing else is measured then. */
static enum err bench_jobs_deep(struct bench *b)
{
    struct bench_depth depth = { b->directory, &b->server, b->depth, depth_run, b, (int)b->clients, b->seconds * 1000 };
    struct bench_depth_result result;
    TRY(bench_depth(b->op, &depth, &result));
    const struct load_turns *empty = &result.filled.empty;
    begin_line(b, "jobs", empty->rate, empty->fetch_p50_ms, empty->fetch_p99_ms);
    json_member_int(&b->w, "depth", b->depth);
    bench_depth_put(&b->w, &result);
    end_line(b);
    return OK;
}

static enum err bench_jobs(struct bench *b)
{
    struct result both, alone, many;
    int clients = (int)b->clients;
    if (b->bulk_jobs)
        return bench_jobs_bulk(b);
    if (b->depth)
        return bench_jobs_deep(b);
    if (b->hold_ms)
        return bench_jobs_held(b, b->hold_ms);
    TRY(at_once(b, b->seconds * 1000, &both));
    TRY(fetch_alone(b, clients, &alone));
    TRY(fetch_alone(b, clients * MANY, &many));
    begin_line(b, "jobs", rate(both.load.acked, both.load.took_us), both.load.work_p50_ms, both.load.work_p99_ms);
    measure_put(&b->w, "push_p50_ms", both.load.push_p50_ms, 3);
    measure_put(&b->w, "push_p99_ms", both.load.push_p99_ms, 3);
    put_cost(b, "cpu_us_per_job", "database_cpu_us_per_job", &both.cost, both.load.acked);
    measure_put(&b->w, "fetch_ack_per_second", rate(alone.load.acked, alone.load.took_us), 0);
    put_cost(b, "fetch_ack_cpu_us", "fetch_ack_database_cpu_us", &alone.cost, alone.load.acked);
    measure_put(&b->w, "fetch_ack_many_per_second", rate(many.load.acked, many.load.took_us), 0);
    put_cost(b, "fetch_ack_many_cpu_us", "fetch_ack_many_database_cpu_us", &many.cost, many.load.acked);
    json_member_int(&b->w, "many_workers", (int64_t)clients * MANY);
    end_line(b);
    return OK;
}

static enum err bench_push(struct bench *b)
{
    struct result single, bulk;
    int clients = (int)b->clients;
    TRY(run(b, (struct load_config){ .producers = clients, .for_ms = b->seconds * 1000 }, &single));
    bool has_bulk = !b->peer.name || b->peer.protocol->batch_max > 1;
    if (has_bulk)
        TRY(run(b, (struct load_config){ .producers = clients, .batch = BATCH, .for_ms = b->seconds * 1000 }, &bulk));
    begin_line(b, "push", rate(single.load.pushed, single.load.took_us), single.load.push_p50_ms,
               single.load.push_p99_ms);
    put_cost(b, "cpu_us_per_job", "database_cpu_us_per_job", &single.cost, single.load.pushed);
    if (has_bulk) {
        measure_put(&b->w, "bulk_per_second", rate(bulk.load.pushed, bulk.load.took_us), 0);
        put_cost(b, "bulk_cpu_us_per_job", "bulk_database_cpu_us_per_job", &bulk.cost, bulk.load.pushed);
        json_member_int(&b->w, "bulk_jobs", BATCH);
    }
    end_line(b);
    return OK;
}

/* --- the commands --------------------------------------------------------- */

static enum err prepare(struct bench *b)
{
    const char *worker = cli_option(b->cli, "worker"), *database = cli_option(b->cli, "database");
    TRY(rig_directory(b->op, "posthouse-bench", b->directory, sizeof b->directory));
    b->sync_ms = measure_sync_ms(b->directory);
    b->seed = random_u64();
    if (cli_has(b->cli, "peer")) {
        TRY(bench_peer_start(b->op, cli_option(b->cli, "peer"), b->directory, &b->peer));
        b->door = b->peer.child.addr;
        return OK;
    }
    if (worker)
        return addr_parse(b->op, str_of(worker), &b->door);
    if (cli_has(b->cli, "url"))
        return client_addr(b->cli, DOOR_PORT, &b->door); /* where it usually is */
    if (database)
        TRY(rig_database_is_free(b->op, database));
    b->erases = database != NULL;
    return start_server(b);
}

static int bench_run(struct cli *cli, enum err (*measure)(struct bench *b))
{
    struct bench b = { .cli = cli, .op = &cli->op, .seconds = SECONDS, .clients = CLIENTS };
    if (!cli_int(cli, "seconds", 1, 3600, &b.seconds) ||
        !cli_int(cli, "clients", 1, LOAD_CLIENTS_MAX / (MANY + 1), &b.clients) ||
        !cli_int(cli, "server-pid", 1, INT32_MAX, &b.database_pid) ||
        (measure == bench_jobs && !cli_duration(cli, "hold-snapshot", &b.hold_ms)) ||
        (measure == bench_jobs && !cli_int(cli, "bulk", 1, BULK_JOBS_MAX, &b.bulk_jobs)) ||
        (measure == bench_jobs && !cli_int(cli, "depth", 1, DEPTH_JOBS_MAX, &b.depth)))
        return CLI_USAGE;
    if ((b.bulk_jobs || b.depth) && (cli_has(cli, "url") || cli_has(cli, "worker") || cli_has(cli, "peer")))
        return cli_fail(cli, CLI_USAGE, "--bulk and --depth start servers of their own");
    if (b.depth && cli_has(cli, "database"))
        return cli_fail(cli, CLI_USAGE, "--depth compares two SQLite files");
    if (b.hold_ms && !cli_has(cli, "database"))
        return cli_fail(cli, CLI_USAGE, "--hold-snapshot is of a PostgreSQL, which --database names");
    enum err err = prepare(&b);
    if (err == OK)
        err = measure(&b);
    bench_child_stop(&b.server.pid);
    bench_peer_stop(&b.peer);
    if (b.erases) {
        struct op aside = { .arena = b.op->arena };
        store_erase(&aside, cli_option(cli, "database"));
    }
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

#define OPTIONS                                                                                                        \
    { "seconds", "N", "for each measurement (default 5)" },                                                            \
        { "clients", "N", "producers, and as many workers (default 10)" },                                             \
        { "database", "URL", "on an empty PostgreSQL database instead of a temporary SQLite file" },                   \
        { "server-pid", "PID", "of its postmaster on this machine: shows its processor time, too" },                   \
        { "url", "URL", "against a server that runs already: its host, port 7419" },                                   \
        { "worker", "ADDR", "against one whose door for workers is elsewhere" },                                       \
    {                                                                                                                  \
        "peer", "NAME", "the same load on beanstalkd or redis, synced before every answer"                             \
    }

static const struct cli_option bench_push_options[] = { OPTIONS, { 0 } };
static const struct cli_option bench_jobs_options[] = {
    OPTIONS,
    { "bulk", "N", "how long fetches take, alone and beside a bulk action on N dead jobs" },
    { "depth", "N", "how long fetches take from N queued jobs and from an empty queue, memory and a start with them" },
    { "hold-snapshot", "DURATION", "how fast it is while an old snapshot is held open so long, in ten parts" },
    { "without-snapshot", NULL, "the same parts while nobody holds one: what to compare with" },
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
        "fetch_ack_per_second is workers alone, fetch_ack_many_per_second ten times as many. Members with cpu_us\n"
        "are processor time of the server for a job. With --bulk p50_ms and p99_ms are of fetches alone, those with\n"
        "beside_bulk of fetches while an action moves bulk_per_second jobs: turns of a second, alone and beside,\n"
        "four of each for each of --seconds, and of each figure the median. With --depth p50_ms and p99_ms are of\n"
        "fetches from an empty queue, those of deep and restarted of fetches from one of N jobs, before and after a\n"
        "start; p99_of_empty is their ratio, by the medians of turns that alternate.\n",
    .options = bench_jobs_options,
    .run = bench_jobs_run,
};
const struct command cmd_bench_push = {
    .noun = "bench",
    .verb = "push",
    .operands = "",
    .summary = "measures how many jobs a second are taken in",
    .text = "Prints one line of JSON: rate_per_second is one job a request, every answer on disk, bulk_per_second\n"
            "100 jobs a request. Members with cpu_us are processor time of the server for a job.\n",
    .options = bench_push_options,
    .run = bench_push_run,
};
