/*
 * bench_jobs.c - jobs per second through the writer's thread, without a door.
 *
 * Producers and workers are clients of one thread, as connections of a loop
 * are: each sends its next command when the one before came home. Every answer
 * follows a synced commit. An argument names where to put the files, a second
 * one how many jobs wait already (with random jids when a third is given).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/queue.h"
#include "base/sort.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_push.h"
#include "engine/job_read.h"
#include "engine/jobs.h"

#define CLIENTS_MAX 512
#define SECONDS     3
#define BULK        100

enum work { PUSH, BULK_PUSH, FETCH, ACK };

struct client {
    struct post post;
    struct job_fetch fetch;
    struct arena *arena;
    enum work work;
    struct job_spec specs[BULK];
    struct job_pushed pushed[BULK];
    char texts[BULK][256], names[BULK][40];
    uint64_t id, lease, jid_hash;
    char jid[40];
    struct str queue;
    int64_t sent_us;
};

static struct client *clients;
static struct mailbox home_box;
static struct job_reader reader;
static struct jobs *jobs;
static bool random_jids;
static uint64_t numbers;
static int64_t done[4], times[200000];
static size_t time_count;

static enum err run(struct post *post)
{
    struct client *c = (struct client *)(void *)post;
    struct job_ref ref = { .by_jid = true, .jid = str_of(c->jid) };
    enum job_stale stale;
    switch (c->work) {
    case PUSH:
        return job_push(&post->op, post->tx, c->specs, 1, false, c->pushed);
    case BULK_PUSH:
        return job_push(&post->op, post->tx, c->specs, BULK, false, c->pushed);
    case FETCH:
        return job_fetch(&post->op, post->tx, &c->fetch);
    case ACK:
        return job_ack(&post->op, post->tx, &ref, &stale);
    }
    return OK;
}

static enum err at_home(struct post *post)
{
    return post->err;
}

static const struct hop route[] = { { run, THREAD_WRITER }, { at_home, THREAD_CALLER }, { 0 } };

static void come_home(struct post *post)
{
    mailbox_post_always(&home_box, (struct mail *)(void *)post);
}

static void make_jobs(struct client *c, int n)
{
    for (int i = 0; i < n; i++) {
        uint64_t number = ++numbers, shuffled = number * 0x9E3779B97F4A7C15u;
        snprintf(c->texts[i], sizeof c->texts[i],
                 "{\"jid\":\"%016llx%08llx\",\"jobtype\":\"mail\",\"queue\":\"q\",\"args\":[%llu,\"%0100d\"],"
                 "\"retry\":25}",
                 (unsigned long long)(random_jids ? shuffled : number), (unsigned long long)(number & 0xffffffff),
                 (unsigned long long)number, 0);
        if (job_read(&c->post.op, &reader, str_of(c->texts[i]), &c->specs[i]) != OK) {
            fprintf(stderr, "%s\n", c->post.op.error);
            exit(1);
        }
    }
}

static void send(struct client *c, enum work work)
{
    arena_reset(c->arena);
    op_init(&c->post.op, c->arena, clock_wall_us());
    c->work = work;
    c->post.hop = route;
    c->post.home = come_home;
    c->sent_us = clock_mono_us();
    if (work == PUSH || work == BULK_PUSH)
        make_jobs(c, work == PUSH ? 1 : BULK);
    if (work == FETCH) {
        c->queue = S("q");
        c->fetch =
            (struct job_fetch){ .post = &c->post, .queues = &c->queue, .queue_count = 1, .max = 1, .wait_us = 1000000 };
    }
    post_send(&c->post);
}

/* What the client does when its command came home; false: it rests. */
static bool next(struct client *c, bool go_on)
{
    if (c->post.err != OK) {
        fprintf(stderr, "%s\n", c->post.op.error);
        exit(1);
    }
    done[c->work] += c->work == BULK_PUSH ? BULK : c->work == FETCH ? c->fetch.count : 1;
    if (c->work == FETCH && c->fetch.count) {
        job_delivered(jobs, c->fetch.jobs[0].lease);
        snprintf(c->jid, sizeof c->jid, "%.*s", STR(c->fetch.jobs[0].jid));
        send(c, ACK);
        return true;
    }
    if (go_on)
        send(c, c->work == ACK ? FETCH : c->work);
    return go_on;
}

static struct client ticker;

static enum err tick(struct post *post)
{
    int64_t next_us;
    return jobs_tick(&post->op, post->tx, NULL, &next_us);
}

static void send_tick(void)
{
    static const struct hop tick_route[] = { { tick, THREAD_WRITER }, { at_home, THREAD_CALLER }, { 0 } };
    arena_reset(ticker.arena);
    op_init(&ticker.post.op, ticker.arena, clock_wall_us());
    ticker.post.hop = tick_route;
    ticker.post.home = come_home;
    post_send(&ticker.post);
}

static void measure(struct store *store, const char *what, int producers, int workers, enum work push, int64_t jobs_max)
{
    struct store_figures before = store_figures(store);
    int64_t start_us = clock_mono_us(), end_us = start_us + SECONDS * 1000000, now_us = start_us, tick_us = 0;
    int away = 0;
    bool ticking = false;
    memset(done, 0, sizeof done);
    time_count = 0;
    for (int i = 0; i < producers + workers; i++, away++)
        send(&clients[i], i < producers ? push : FETCH);
    while (away > 0) {
        struct mail *mail = mailbox_wait(&home_box, 50000);
        now_us = clock_mono_us();
        if (!ticking && now_us - tick_us > 100000) {
            ticking = true;
            tick_us = now_us;
            send_tick();
        }
        while (mail) {
            struct client *c = (struct client *)(void *)mail;
            mail = mail->next;
            if (c == &ticker) {
                ticking = false;
                continue;
            }
            if (c->work == FETCH && time_count < 200000)
                times[time_count++] = now_us - c->sent_us;
            bool go_on = jobs_max ? done[push] + away * (push == BULK_PUSH ? BULK : 1) <= jobs_max : now_us < end_us;
            if (workers && !producers && c->work == FETCH && c->fetch.count == 0)
                go_on = false;
            away -= !next(c, go_on);
        }
    }
    while (ticking) {
        mailbox_wait(&home_box, -1);
        ticking = false;
    }
    struct store_figures after = store_figures(store);
    double seconds = (double)(now_us - start_us) / 1e6;
    double commits = (double)(after.commits - before.commits), commands = (double)(after.commands - before.commands);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    sort_i64(times, time_count);
    printf("{\"bench\":\"jobs\",\"what\":\"%s\",\"producers\":%d,\"workers\":%d,\"pushed\":%.0f,\"acked\":%.0f,"
           "\"per_commit\":%.1f,\"commit_ms\":%.3f,\"fetch_p99_ms\":%.2f,\"rss_mb\":%ld}\n",
           what, producers, workers, (double)(done[PUSH] + done[BULK_PUSH]) / seconds, (double)done[ACK] / seconds,
           commands / commits, (double)(after.commit_us - before.commit_us) / commits / 1e3,
           time_count ? (double)times[time_count * 99 / 100] / 1e3 : 0, usage.ru_maxrss / 1024);
}

int main(int argc, char **argv)
{
    char directory[256], command[300];
    snprintf(directory, sizeof directory, "%s/posthouse-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(directory))
        return 1;
    int64_t backlog = argc > 2 ? atoll(argv[2]) : 0;
    random_jids = argc > 3;
    struct arena *arena = arena_new(1 << 24);
    struct store_config config = { .directory = directory, .threads = true };
    struct store *store;
    struct op op;
    op_init(&op, arena, clock_wall_us());
    if (store_open(&op, &config, &store) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    struct jobs_config machine = { .store = store };
    if (jobs_open(&op, &machine, &jobs) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    reader = (struct job_reader){ JOB_WORKER, siphash_key_from(store_hash_key(store)), JOB_BYTES_DEFAULT, false };
    mailbox_init(&home_box, CLIENTS_MAX + 1, NULL, NULL);
    clients = calloc(CLIENTS_MAX, sizeof *clients);
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].arena = arena_new(1 << 20);
    ticker.arena = arena_new(32 << 20);
    if (backlog)
        measure(store, "backlog", 10, 0, BULK_PUSH, backlog);
    measure(store, "both", 10, 10, PUSH, 0);
    measure(store, "push", 10, 0, PUSH, 0);
    measure(store, "bulk", 10, 0, BULK_PUSH, backlog ? 100000 : 0);
    measure(store, "work", 0, 10, PUSH, 0);
    measure(store, "work", 0, 100, PUSH, 0);
    if (!backlog)
        measure(store, "drain", 0, 100, PUSH, 0);
    int64_t start_us = clock_mono_us();
    store_close(store);
    jobs_close(jobs);
    enum err err = store_open(&op, &config, &store);
    machine.store = store;
    if (err != OK || jobs_open(&op, &machine, &jobs) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    printf("{\"bench\":\"jobs\",\"what\":\"close and open\",\"seconds\":%.3f}\n",
           (double)(clock_mono_us() - start_us) / 1e6);
    store_close(store);
    jobs_close(jobs);
    arena_free(arena);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
