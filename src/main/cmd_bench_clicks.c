/*
 * cmd_bench_clicks.c - durable clicks a second, beside nginx doing nothing but redirecting.
 *
 *     this process: clients ---> posthouse serve (a process of its own, its store on disk)
 *                           \--> nginx `return 302` with a buffered access log
 *
 * One mailing of --members recipients with --links links; every request takes
 * one of each by chance, so a click costs what it costs when everybody reads
 * at once. Both servers get the same requests from the same clients and share
 * the machine with them; they take turns, so that whatever else the machine
 * does meets both, and the middle turn counts. Before the first turn clicks are
 * made until links and recipients are known, as they are some seconds after a
 * mailing went out.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/process.h"
#include "main/bench_clicks.h"
#include "main/cli.h"
#include "main/measure.h"
#include "main/progress.h"
#include "main/rig.h"
#include "main/show.h"

#define MEMBERS    1000000
#define LINKS      100000
#define NGINX_PORT 17999
#define READY_US   INT64_C(60000000)
#define RUNS_MAX   2
#define ROUNDS     3
#define ROUNDS_MAX 99
#define WARM_S     5

struct served {
    pid_t pid;
    struct addr addr;
};

/* What turns of one server came to. */
struct turns {
    double rate[ROUNDS_MAX], p50_ms[ROUNDS_MAX], p99_ms[ROUNDS_MAX];
    double cpu_us[ROUNDS_MAX], database_cpu_us[ROUNDS_MAX]; /* processor time for a request */
    double max_ms;                                          /* of all turns */
};

struct run {
    int64_t clients;
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
    struct bench_clicks *clicks;
    struct progress progress;
};

static void filled(void *data, int64_t count)
{
    progress_at(data, count);
}

static enum err fill(struct bench *b)
{
    struct store_config config = { .directory = b->database ? NULL : b->directory, .url = b->database };
    struct store *store;
    TRY(store_open(b->op, &config, &store));
    progress_begin(&b->progress, "filling the store", b->clicks->members + b->clicks->links, false);
    enum err err = bench_clicks_fill(b->op, b->clicks, store, filled, &b->progress);
    progress_end(&b->progress);
    store_close(store);
    return err;
}

/* --- the two servers ------------------------------------------------------------------ */

static enum err child_start(struct op *op, const char *const argv[], int out, pid_t *ret_pid)
{
    pid_t pid = fork();
    if (pid < 0)
        return fail(op, ERR_IO, "cannot start a process: %s", strerror(errno));
    if (pid == 0) {
        if (out >= 0)
            dup2(out, STDOUT_FILENO);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* not left behind when this one is killed */
        dup2(open("/dev/null", O_RDWR), STDERR_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv); /* it does not change them */
        _exit(127);
    }
    *ret_pid = pid;
    return OK;
}

static void child_stop(pid_t pid)
{
    if (pid <= 0)
        return;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

/* The address in "posthouse ready http=127.0.0.1:41234 ...". */
static enum err read_ready(struct op *op, int fd, struct addr *ret)
{
    char line[512];
    size_t n = 0;
    while (n < sizeof line - 1) {
        ssize_t got = read(fd, line + n, sizeof line - 1 - n);
        if (got <= 0)
            return fail(op, ERR_IO, "the daemon did not start");
        n += (size_t)got;
        if (memchr(line, '\n', n))
            break;
    }
    struct str text = { line, n };
    size_t at = str_search(text, S("http="));
    if (at == n)
        return fail(op, ERR_IO, "the daemon did not say where it listens");
    text = (struct str){ line + at + 5, n - at - 5 };
    return addr_parse(op, str_cut(&text, ' '), ret);
}

static enum err start_posthouse(struct bench *b, struct served *ret)
{
    char self[256];
    int fds[2];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || pipe2(fds, O_CLOEXEC) != 0)
        return fail(b->op, ERR_IO, "cannot find this program: %s", strerror(errno));
    self[n] = '\0';
    const char *argv[] = { self,
                           "serve",
                           "--config",
                           "/dev/null",
                           b->database ? "--database" : "--data",
                           b->database ? b->database : b->directory,
                           "--http",
                           "127.0.0.1:0",
                           "--worker",
                           "127.0.0.1:0",
                           "--dev",
                           NULL };
    enum err err = child_start(b->op, argv, fds[1], &ret->pid);
    close(fds[1]);
    if (err == OK)
        err = read_ready(b->op, fds[0], &ret->addr);
    close(fds[0]);
    return err;
}

static enum err write_nginx_conf(struct bench *b, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return fail(b->op, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    fprintf(file,
            "daemon off; worker_processes auto; pid %s/nginx.pid; error_log %s/nginx-error.log;\n"
            "events { worker_connections 4096; }\n"
            "http {\n"
            "  access_log %s/nginx-access.log combined buffer=64k flush=1s;\n"
            "  client_body_temp_path %s/nginx-a; proxy_temp_path %s/nginx-b; fastcgi_temp_path %s/nginx-c;\n"
            "  uwsgi_temp_path %s/nginx-d; scgi_temp_path %s/nginx-e;\n"
            "  keepalive_requests 1000000000;\n"
            "  server { listen 127.0.0.1:%d backlog=4096; location /r/ { return 302 "
            "https://shop.example.org/new?u=$arg_m; } }\n"
            "}\n",
            b->directory, b->directory, b->directory, b->directory, b->directory, b->directory, b->directory,
            b->directory, NGINX_PORT);
    return fclose(file) == 0 ? OK : fail(b->op, ERR_IO, "cannot write %s", path);
}

static bool is_open(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t n = (socklen_t)addr_to_sockaddr(addr, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = fd >= 0 && connect(fd, (struct sockaddr *)&storage, n) == 0;
    if (fd >= 0)
        close(fd);
    return open;
}

/* ret->pid stays 0 where there is no nginx. */
static enum err start_nginx(struct bench *b, struct served *ret)
{
    static const char *const places[] = { NULL, "/usr/sbin/nginx", "/usr/bin/nginx", ".tools/nginx" };
    const char *program = cli_option(b->cli, "nginx");
    for (size_t i = 1; !program && i < sizeof places / sizeof *places; i++)
        if (access(places[i], X_OK) == 0)
            program = places[i];
    ret->pid = 0;
    if (!program)
        return OK;
    char conf[300];
    snprintf(conf, sizeof conf, "%s/nginx.conf", b->directory);
    TRY(write_nginx_conf(b, conf));
    const char *argv[] = { program, "-c", conf, NULL };
    TRY(child_start(b->op, argv, -1, &ret->pid));
    TRY(addr_parse(b->op, arena_fmt(b->op->arena, "127.0.0.1:%d", NGINX_PORT), &ret->addr));
    for (int64_t end_us = clock_mono_us() + READY_US; !is_open(&ret->addr);) {
        if (clock_mono_us() > end_us || waitpid(ret->pid, NULL, WNOHANG) != 0)
            return fail(b->op, ERR_IO, "%s did not start", program);
        usleep(10000);
    }
    return OK;
}

/* --- measuring ------------------------------------------------------------------------ */

static struct load load_of(struct bench *b, const struct served *served, int64_t clients, int64_t seconds)
{
    return (struct load){ .addr = served->addr,
                          .clients = (int)clients,
                          .seconds = seconds,
                          .status = 302,
                          .next = bench_clicks_next,
                          .data = b->clicks };
}

static int64_t database_cpu_us(const struct bench *b)
{
    return b->database_pid ? process_cpu_us_with_children((pid_t)b->database_pid) : 0;
}

static enum err take_turn(struct bench *b, const struct served *served, int64_t clients, int round, struct turns *turns)
{
    struct load load = load_of(b, served, clients, b->seconds);
    int64_t cpu_us = process_cpu_us_with_children(served->pid), database_us = database_cpu_us(b);
    TRY(load_run(b->op, &load));
    double requests = (double)load.requests;
    turns->cpu_us[round] = (double)(process_cpu_us_with_children(served->pid) - cpu_us) / requests;
    turns->database_cpu_us[round] = (double)(database_cpu_us(b) - database_us) / requests;
    turns->rate[round] = load.rate_per_second;
    turns->p50_ms[round] = load.p50_ms;
    turns->p99_ms[round] = load.p99_ms;
    turns->max_ms = load.max_ms > turns->max_ms ? load.max_ms : turns->max_ms;
    return OK;
}

static enum err run_one(struct bench *b, const struct served *posthouse, const struct served *nginx, struct run *run)
{
    for (int round = 0; round < b->rounds; round++) {
        TRY(take_turn(b, posthouse, run->clients, round, &run->ours));
        if (nginx->pid == 0)
            continue;
        TRY(take_turn(b, nginx, run->clients, round, &run->nginx));
        run->ratio[round] = run->ours.rate[round] / run->nginx.rate[round];
    }
    run->rss_bytes = process_rss_bytes(posthouse->pid);
    return OK;
}

static enum err warm(struct bench *b, const struct served *posthouse, int64_t clients)
{
    struct load load = load_of(b, posthouse, clients, b->warm);
    return b->warm ? load_run(b->op, &load) : OK;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(const struct bench *b, const double values[ROUNDS_MAX])
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, (size_t)b->rounds * sizeof *sorted);
    qsort(sorted, (size_t)b->rounds, sizeof *sorted, by_size);
    return sorted[b->rounds / 2];
}

static void put_run(struct bench *b, struct json_writer *w, const struct run *run)
{
    json_member_int(w, "clients", run->clients);
    measure_put(w, "rate_per_second", middle(b, run->ours.rate), 0);
    measure_put(w, "p50_ms", middle(b, run->ours.p50_ms), 3);
    measure_put(w, "p99_ms", middle(b, run->ours.p99_ms), 3);
    measure_put(w, "max_ms", run->ours.max_ms, 3);
    json_member_int(w, "rss_bytes", run->rss_bytes);
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

static void print(struct bench *b, const struct run *runs, int count, double sync)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, b->op->arena, 8192);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "bench", S("clicks"));
    json_member_str(&w, "engine", b->database ? S("postgresql") : S("sqlite"));
    put_run(b, &w, &runs[0]);
    json_member_int(&w, "seconds", b->seconds);
    json_member_int(&w, "rounds", b->rounds);
    measure_put(&w, "sync_ms", sync, 3);
    json_member_int(&w, "members", b->clicks->members);
    json_member_int(&w, "links", b->clicks->links);
    if (count > 1) {
        json_put_name(&w, "wide");
        json_object_begin(&w);
        put_run(b, &w, &runs[1]);
        json_object_end(&w);
    }
    json_object_end(&w);
    show_json(buf_str(&buf));
}

static enum err run_all(struct bench *b, struct run *runs, int count)
{
    struct served posthouse = { 0 }, nginx = { 0 };
    double sync = measure_sync_ms(b->directory);
    TRY(fill(b));
    enum err err = start_posthouse(b, &posthouse);
    if (err == OK)
        err = start_nginx(b, &nginx);
    if (err == OK)
        err = warm(b, &posthouse, runs[count - 1].clients);
    for (int i = 0; i < count && err == OK; i++)
        err = run_one(b, &posthouse, &nginx, &runs[i]);
    child_stop(nginx.pid);
    child_stop(posthouse.pid);
    if (err == OK)
        print(b, runs, count, sync);
    if (err == OK && runs[0].nginx.rate[0] <= 0)
        fprintf(stderr, "SKIP nginx: it is not installed (Debian: nginx-light), so there is no ratio\n");
    return err;
}

static enum err run_own(struct bench *b, int64_t clients)
{
    struct run runs[RUNS_MAX] = { { .clients = clients ? clients : 64 }, { .clients = 512 } };
    if (b->database)
        TRY(rig_database_is_free(b->op, b->database));
    TRY(rig_directory(b->op, "posthouse-bench", b->directory, sizeof b->directory));
    enum err err = run_all(b, runs, clients ? 1 : RUNS_MAX);
    struct op aside = { .arena = b->op->arena };
    if (b->database && store_erase(&aside, b->database) != OK)
        log_error("the schema posthouse stays in the database", LOG_ERROR_OF(&aside));
    rig_remove(b->directory);
    return err;
}

static int bench_clicks_run(struct cli *cli)
{
    struct bench b = { .cli = cli, .op = &cli->op, .database = cli_option(cli, "database") };
    b.seconds = 10;
    b.rounds = ROUNDS;
    b.warm = WARM_S;
    int64_t clients = 0, members = MEMBERS, links = LINKS;
    if (!cli_int(cli, "clients", 1, 10000, &clients) || !cli_int(cli, "seconds", 1, 3600, &b.seconds) ||
        !cli_int(cli, "rounds", 1, ROUNDS_MAX, &b.rounds) || !cli_int(cli, "warm", 0, 3600, &b.warm) ||
        !cli_int(cli, "members", 1, INT64_C(100000000), &members) ||
        !cli_int(cli, "links", 1, INT64_C(10000000), &links) ||
        !cli_int(cli, "server-pid", 1, INT32_MAX, &b.database_pid))
        return CLI_USAGE;
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    b.clicks = bench_clicks_new(members, links);
    enum err err = run_own(&b, clients);
    bench_clicks_free(b.clicks);
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static const struct cli_option bench_clicks_options[] = {
    { "clients", "N", "keep-alive connections (default: 64, then 512)" },
    { "seconds", "N", "for each turn (default 10)" },
    { "rounds", "N", "turns of each server; the middle one counts (default 3)" },
    { "warm", "N", "seconds of clicks before the first turn, not counted (default 5)" },
    { "links", "N", "links of the mailing (default 100000)" },
    { "members", "N", "its recipients (default 1000000)" },
    { "database", "URL", "an empty PostgreSQL database instead of embedded SQLite" },
    { "server-pid", "PID", "of its postmaster on this machine: shows its processor time, too" },
    { "nginx", "FILE", "the nginx to compare with (default: where Debian has it)" },
    { 0 },
};

extern const struct command cmd_bench_clicks;
const struct command cmd_bench_clicks = {
    .noun = "bench",
    .verb = "clicks",
    .operands = "",
    .summary = "measures durable clicks a second beside nginx",
    .text = "Prints one line of JSON. Each request takes one of the links and one of the members by chance and is\n"
            "answered when its click is on disk; nginx answers the same requests with a bare `return 302` and a\n"
            "buffered access log. The two take turns. `ratio` is ours by nginx's of the same round; without nginx\n"
            "(Debian: nginx-light) it is left out.\n",
    .options = bench_clicks_options,
    .run = bench_clicks_run,
};
