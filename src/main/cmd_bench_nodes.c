/*
 * cmd_bench_nodes.c - several nodes on one PostgreSQL against one, and what an old snapshot costs.
 *
 * Each node is a process of its own with a mailing of its own. First all of
 * them read it once, so that later phases do the same work; then phases of one
 * node and of all nodes follow each other, and each node applies as many pages
 * in every phase, as reports of a source that is new. Pages are made before a
 * phase begins: only commits are measured, in time and in processor time.
 *
 * With --hold-snapshot the first node goes on alone (bench_hold.h). Each pass
 * then has a mailing of its own, since a message that is opened and clicked a
 * hundred times over costs more each time, with or without a snapshot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "base/log.h"
#include "base/process.h"
#include "main/bench_feed.h"
#include "main/bench_hold.h"
#include "main/cli.h"
#include "main/measure.h"
#include "main/rig.h"
#include "main/show.h"

#define NODES_MOST  8
#define ROUNDS      5
#define RECIPIENTS  2000
#define PAGE_EVENTS 300
#define PAGES       15 /* a node applies in a phase */

/* What a node is told, and what it says when it has done it. */
struct order {
    enum { ORDER_PREPARE, ORDER_APPLY, ORDER_APPLY_ONCE, ORDER_APPLY_FOR, ORDER_END } kind;
    int64_t pages, for_us;
};
struct report {
    enum err err;
    int64_t events, began_us, ended_us, busy_us, cpu_us;
    char error[OP_ERROR_BYTES_MAX];
};

struct node {
    pid_t pid;
    int orders, reports; /* ends of pipes, the bench's */
};

struct bench {
    struct cli *cli;
    struct op *op;
    const char *database;
    int64_t nodes, server_pid;
    struct node node[NODES_MOST];
};

/* --- a node: its own process ---------------------------------------------- */

struct worker {
    struct op op;
    struct store *store;
    struct bench_feed *feed;
    int64_t mailing; /* the newest of its own */
    int no, pass;
    char source[32];
    struct provider_event *events; /* of the pages prepared */
    size_t counts[PAGES];
    int64_t pages;
};

static int64_t own_cpu_us(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * INT64_C(1000000) + usage.ru_utime.tv_usec +
           usage.ru_stime.tv_usec;
}

/* The same reports again, of another source. */
static enum err next_pass(struct worker *w)
{
    snprintf(w->source, sizeof w->source, "node-%d-%d", w->no, w->pass++);
    return bench_feed_open(w->feed, w->mailing);
}

static enum err next_page(struct worker *w, bool keep, struct provider_event *ret, size_t *ret_count)
{
    TRY(bench_feed_page(w->feed, str_of(w->source), keep, ret, PAGE_EVENTS, ret_count));
    if (*ret_count > 0)
        return OK;
    TRY(next_pass(w));
    return bench_feed_page(w->feed, str_of(w->source), keep, ret, PAGE_EVENTS, ret_count);
}

static enum err prepare(struct worker *w, int64_t pages)
{
    arena_reset(w->op.arena);
    TRY(next_pass(w));
    for (w->pages = 0; w->pages < pages; w->pages++)
        TRY(next_page(w, true, w->events + w->pages * PAGE_EVENTS, &w->counts[w->pages]));
    return OK;
}

static enum err apply_page(struct worker *w, struct provider_event *events, size_t count, struct report *report)
{
    struct bench_page page = { .events = events, .count = count, .source = str_of(w->source) };
    int64_t began_us = clock_mono_us();
    TRY(store_write(&w->op, w->store, bench_page_apply, &page));
    report->busy_us += clock_mono_us() - began_us;
    report->events += (int64_t)count;
    return OK;
}

static enum err apply_prepared(struct worker *w, struct report *report)
{
    for (int64_t i = 0; i < w->pages; i++)
        TRY(apply_page(w, w->events + i * PAGE_EVENTS, w->counts[i], report));
    return OK;
}

/* Makes and applies all reports of its mailing. */
static enum err apply_once(struct worker *w, struct report *report)
{
    TRY(next_pass(w));
    for (;;) {
        size_t count;
        TRY(bench_feed_page(w->feed, str_of(w->source), false, w->events, PAGE_EVENTS, &count));
        if (count == 0)
            return OK;
        TRY(apply_page(w, w->events, count, report));
    }
}

/* New mailings, until the time is over. */
static enum err apply_for(struct worker *w, int64_t for_us, struct report *report)
{
    int64_t end_us = clock_mono_us() + for_us;
    while (clock_mono_us() < end_us) {
        w->mailing += NODES_MOST;
        TRY(bench_feed_fill(w->feed, w->store, w->mailing, NULL, NULL));
        TRY(apply_once(w, report));
    }
    return OK;
}

static enum err obey(struct worker *w, const struct order *order, struct report *report)
{
    int64_t cpu_us = own_cpu_us();
    enum err err = OK;
    report->began_us = clock_mono_us();
    switch (order->kind) {
    case ORDER_PREPARE:
        err = prepare(w, order->pages);
        break;
    case ORDER_APPLY:
        err = apply_prepared(w, report);
        break;
    case ORDER_APPLY_ONCE:
        err = apply_once(w, report);
        break;
    case ORDER_APPLY_FOR:
        err = apply_for(w, order->for_us, report);
        break;
    case ORDER_END:
        break;
    }
    report->ended_us = clock_mono_us();
    report->cpu_us = own_cpu_us() - cpu_us;
    return err;
}

static enum err open_worker(struct worker *w, const struct bench *b, int no)
{
    struct store_config config = { .url = b->database };
    w->no = no;
    w->mailing = no;
    op_init(&w->op, arena_new(2 * FEED_BYTES), clock_wall_us());
    w->events = calloc(PAGES * PAGE_EVENTS, sizeof *w->events);
    if (!w->events)
        abort();
    TRY(store_open(&w->op, &config, &w->store));
    w->feed = bench_feed_new(&w->op, w->store, RECIPIENTS);
    return bench_feed_fill(w->feed, w->store, no, NULL, NULL);
}

static void say(const struct worker *w, int reports, struct report *report)
{
    snprintf(report->error, sizeof report->error, "%s", report->err == OK ? "" : w->op.error);
    if (write(reports, report, sizeof *report) != (ssize_t)sizeof *report)
        _exit(1);
}

/* Never returns. */
static void work(const struct bench *b, int no, int orders, int reports)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    struct report report = { .err = open_worker(w, b, no) };
    struct order order;
    say(w, reports, &report);
    while (report.err == OK && read(orders, &order, sizeof order) == (ssize_t)sizeof order && order.kind != ORDER_END) {
        report = (struct report){ 0 };
        report.err = obey(w, &order, &report);
        say(w, reports, &report);
    }
    if (w->store)
        store_close(w->store);
    _exit(0);
}

/* --- the bench ------------------------------------------------------------ */

static enum err start_node(struct bench *b, int no)
{
    int orders[2], reports[2];
    if (pipe(orders) != 0 || pipe(reports) != 0)
        return fail(b->op, ERR_IO, "cannot make a pipe");
    struct node *node = &b->node[no];
    *node = (struct node){ fork(), orders[1], reports[0] };
    if (node->pid == 0) {
        close(orders[1]);
        close(reports[0]);
        work(b, no, orders[0], reports[1]);
    }
    close(orders[0]);
    close(reports[1]);
    return node->pid > 0 ? OK : fail(b->op, ERR_IO, "cannot start a process");
}

static enum err hear(struct bench *b, int no, struct report *ret)
{
    if (read(b->node[no].reports, ret, sizeof *ret) != (ssize_t)sizeof *ret)
        return fail(b->op, ERR_IO, "node %d ended", no);
    return ret->err == OK ? OK : fail(b->op, ret->err, "node %d: %s", no, ret->error);
}

static enum err tell(struct bench *b, int no, struct order order)
{
    if (write(b->node[no].orders, &order, sizeof order) != (ssize_t)sizeof order)
        return fail(b->op, ERR_IO, "node %d ended", no);
    return OK;
}

/* Tells nodes first..last and adds up what they say. */
static enum err do_all(struct bench *b, int first, int last, struct order order, struct report *ret)
{
    *ret = (struct report){ .began_us = INT64_MAX };
    for (int i = first; i <= last; i++)
        TRY(tell(b, i, order));
    for (int i = first; i <= last; i++) {
        struct report report;
        TRY(hear(b, i, &report));
        ret->events += report.events;
        ret->cpu_us += report.cpu_us;
        ret->busy_us += report.busy_us;
        ret->began_us = report.began_us < ret->began_us ? report.began_us : ret->began_us;
        ret->ended_us = report.ended_us > ret->ended_us ? report.ended_us : ret->ended_us;
    }
    return OK;
}

/* Sums of the phases of one kind. */
struct sum {
    int64_t events, took_us, cpu_us, server_us;
};

static int64_t server_cpu_us(const struct bench *b)
{
    return b->server_pid ? process_cpu_us_with_children((pid_t)b->server_pid) : 0;
}

static enum err phase(struct bench *b, int first, int last, struct sum *sum)
{
    struct report report;
    TRY(do_all(b, first, last, (struct order){ .kind = ORDER_PREPARE, .pages = PAGES }, &report));
    int64_t server_us = server_cpu_us(b);
    TRY(do_all(b, first, last, (struct order){ .kind = ORDER_APPLY }, &report));
    sum->server_us += server_cpu_us(b) - server_us;
    sum->events += report.events;
    sum->took_us += report.ended_us - report.began_us;
    sum->cpu_us += report.cpu_us;
    return OK;
}

static double per_second(int64_t events, int64_t us)
{
    return us > 0 ? (double)events * 1e6 / (double)us : 0;
}

static double us_each(int64_t us, int64_t events)
{
    return events > 0 ? (double)us / (double)events : 0;
}

static void put_sum(struct json_writer *w, const char *name, const struct sum *sum)
{
    json_put_name(w, name);
    json_object_begin(w);
    measure_put(w, "rate_per_second", per_second(sum->events, sum->took_us), 0);
    json_member_int(w, "events", sum->events);
    measure_put(w, "node_cpu_us_per_event", us_each(sum->cpu_us, sum->events), 2);
    measure_put(w, "server_cpu_us_per_event", us_each(sum->server_us, sum->events), 2);
    json_object_end(w);
}

static enum err compare(struct bench *b, struct json_writer *w)
{
    int last = (int)b->nodes - 1;
    struct report report;
    struct sum one = { 0 }, all = { 0 };
    TRY(do_all(b, 0, last, (struct order){ .kind = ORDER_APPLY_ONCE }, &report));
    for (int i = 0; i < ROUNDS * (last + 1); i++) {
        TRY(phase(b, i % (last + 1), i % (last + 1), &one));
        if (i < ROUNDS)
            TRY(phase(b, 0, last, &all));
    }
    json_member_int(w, "nodes", b->nodes);
    put_sum(w, "one", &one);
    put_sum(w, "together", &all);
    measure_put(w, "together_of_one", per_second(all.events, all.took_us) / per_second(one.events, one.took_us), 3);
    return OK;
}

/* --- an old snapshot ------------------------------------------------------ */

/* The first of the nodes alone. */
static enum err hold_work(void *arg, int64_t for_us, struct bench_part *ret)
{
    struct bench *b = arg;
    struct report report;
    int64_t server_us = server_cpu_us(b);
    TRY(do_all(b, 0, 0, (struct order){ .kind = ORDER_APPLY_FOR, .for_us = for_us }, &report));
    ret->rate = per_second(report.events, report.busy_us);
    ret->database_us = us_each(server_cpu_us(b) - server_us, report.events);
    return OK;
}

/* --- the command ---------------------------------------------------------- */

static enum err start_nodes(struct bench *b)
{
    struct report report;
    for (int i = 0; i < (int)b->nodes; i++) { /* one after the other: the first makes the schema */
        TRY(start_node(b, i));
        TRY(hear(b, i, &report));
    }
    return OK;
}

static void end_nodes(struct bench *b)
{
    struct op aside = { .arena = b->op->arena };
    for (int i = 0; i < (int)b->nodes; i++) /* later nodes hold the pipes of earlier ones open, too */
        if (b->node[i].pid > 0)
            tell(&(struct bench){ .op = &aside, .node = { b->node[i] } }, 0, (struct order){ .kind = ORDER_END });
    for (int i = 0; i < (int)b->nodes; i++) {
        if (b->node[i].pid <= 0)
            continue;
        close(b->node[i].orders);
        close(b->node[i].reports);
        waitpid(b->node[i].pid, NULL, 0);
    }
}

static enum err run(struct bench *b, int64_t hold_ms)
{
    struct buf buf;
    struct json_writer w;
    TRY(rig_database_is_free(b->op, b->database));
    buf_init_arena(&buf, b->op->arena, 16384);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "bench", S("nodes"));
    json_member_int(&w, "events_per_commit", PAGE_EVENTS);
    TRY(start_nodes(b));
    if (b->nodes > 1)
        TRY(compare(b, &w));
    if (hold_ms > 0)
        TRY(bench_hold(b->op,
                       &(struct bench_hold){ b->database, hold_ms * 1000, cli_has(b->cli, "without-snapshot"),
                                             hold_work, b },
                       &w));
    json_object_end(&w);
    show_json(buf_str(&buf));
    return OK;
}

static int bench_nodes_run(struct cli *cli)
{
    struct bench b = { .cli = cli, .op = &cli->op, .nodes = 2, .database = cli_option(cli, "database") };
    int64_t hold_ms = 0;
    if (!cli_int(cli, "nodes", 1, NODES_MOST, &b.nodes) || !cli_int(cli, "server-pid", 1, INT32_MAX, &b.server_pid) ||
        !cli_duration(cli, "hold-snapshot", &hold_ms))
        return CLI_USAGE;
    if (!b.database)
        return cli_fail(cli, CLI_USAGE, "--database names an empty PostgreSQL database");
    log_setup(LOG_LEVEL_ERROR, LOG_FORM_LOGFMT);
    enum err err = run(&b, hold_ms);
    end_nodes(&b);
    if (err != ERR_CONFLICT) { /* it was ours */
        struct op aside = { .arena = b.op->arena };
        store_erase(&aside, b.database);
    }
    return err == OK ? CLI_DONE : cli_fail_op(cli);
}

static const struct cli_option bench_nodes_options[] = {
    { "database", "URL", "an empty PostgreSQL database" },
    { "nodes", "N", "processes that write to it (default 2)" },
    { "server-pid", "PID", "of its postmaster on this machine: shows its processor time, too" },
    { "hold-snapshot", "DURATION", "and then how fast one node is while an old snapshot is held open so long" },
    { "without-snapshot", NULL, "the same parts while nobody holds one: what to compare with" },
    { 0 },
};

extern const struct command cmd_bench_nodes;
const struct command cmd_bench_nodes = {
    .noun = "bench",
    .verb = "nodes",
    .operands = "",
    .summary = "measures several nodes on one PostgreSQL against one, and an old snapshot",
    .text = "Prints one line of JSON: what one node and what several together apply a second, in commits of 300\n"
            "events, in the same run and in turns; with --hold-snapshot what an open transaction of that age costs\n"
            "and how large the largest tables became.\n",
    .options = bench_nodes_options,
    .run = bench_nodes_run,
};
