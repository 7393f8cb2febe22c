#include "main/ticker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/thread.h"
#include "base/zone.h"
#include "engine/own_pace.h"
#include "engine/schedule.h"
#include "main/settle.h"

#define TICKER_BYTES_MAX (64u << 20)
#define REST_MIN_US      1000    /* between two ticks */
#define REST_MAX_US      1000000 /* a step of the clock is seen within this */
#define DISK_EVERY_US    1000000
#define ZONES_EVERY_US   INT64_C(86400000000)
#define ILL_US           1000000 /* the store cannot write: again so much later */

struct ticker {
    struct ticker_config config;
    int64_t disk_seen_us;
    int64_t zones_read_us;
    bool disk_low;
    struct jobs *jobs;
    struct thread thread;
    struct mailbox sleep; /* gets no mail: nudged to wake up */
    bool started;
    bool ticking; /* the writer runs a tick: what it finds due stands in its answer */
    atomic_bool stop;
    int64_t next_us;  /* said by the newest tick */
    int64_t began_us; /* of it, in the writer */
    struct own_crowd crowd;
    struct op op;
};

/* On the writer's thread. */
static void wake(void *data)
{
    struct ticker *ticker = data;
    if (!ticker->ticking)
        mailbox_nudge(&ticker->sleep);
}

static void op_again(struct ticker *ticker)
{
    arena_reset(ticker->op.arena);
    op_init(&ticker->op, ticker->op.arena, clock_wall_us());
}

static enum err tick(struct op *op, struct tx *tx, void *arg)
{
    struct ticker *ticker = arg;
    struct node_life life = node_board_get(ticker->config.nodes);
    struct duty lead = node_lead(&life);
    ticker->began_us = clock_mono_us();
    ticker->ticking = true;
    enum err err = jobs_tick(op, tx, &lead, &ticker->next_us);
    ticker->ticking = false;
    return err;
}

/* The look is cheap, and the disk of a daemon fills slowly enough for one a second. */
static void look_at_disk(struct ticker *ticker)
{
    struct statvfs disk;
    int64_t now_us = clock_mono_us();
    if (!ticker->config.directory || (ticker->disk_seen_us && now_us - ticker->disk_seen_us < DISK_EVERY_US))
        return;
    ticker->disk_seen_us = now_us;
    if (statvfs(ticker->config.directory, &disk) != 0)
        return;
    bool low = (uint64_t)disk.f_bavail * disk.f_frsize < (uint64_t)ticker->config.min_free_bytes;
    if (low != ticker->disk_low)
        log_warn(low ? "pushes are refused: the disk is nearly full" : "pushes are taken again",
                 LOG_INT("free_bytes", (int64_t)((uint64_t)disk.f_bavail * disk.f_frsize)));
    ticker->disk_low = low;
    jobs_disk_low(ticker->jobs, low);
}

static enum err find_times_again(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_rezone(op, tx);
}

/* Governments move their clocks at short notice, and the system learns of it while we run (SCHED-1). */
static void look_at_zones(struct ticker *ticker)
{
    int64_t now_us = clock_mono_us();
    if (!ticker->zones_read_us)
        ticker->zones_read_us = now_us;
    if (now_us - ticker->zones_read_us < ZONES_EVERY_US)
        return;
    ticker->zones_read_us = now_us;
    zone_reload();
    if (settle(&ticker->op, find_times_again, NULL) != OK)
        log_warn("times of schedules are found again later", LOG_ERROR_OF(&ticker->op));
    op_again(ticker);
}

/* What the writer did not do for others meanwhile. */
static void note_took(struct ticker *ticker)
{
    int64_t now_us = clock_mono_us();
    uint64_t commands = store_figures(ticker->config.store).commands;
    jobs_tick_took(ticker->jobs, now_us - ticker->began_us, own_crowd_look(&ticker->crowd, commands, now_us / 1000));
}

static void ticker_run(void *context)
{
    struct ticker *ticker = context;
    bool ill = false;
    while (!atomic_load(&ticker->stop)) {
        op_again(ticker);
        look_at_disk(ticker);
        look_at_zones(ticker);
        enum err err = settle(&ticker->op, tick, ticker);
        int64_t next_us = ticker->next_us;
        if (err != OK && !ill)
            log_warn("what falls due for jobs waits", LOG_ERROR_OF(&ticker->op));
        ill = err != OK;
        if (!ill)
            note_took(ticker);
        next_us = ill ? ILL_US : next_us < REST_MIN_US ? REST_MIN_US : next_us > REST_MAX_US ? REST_MAX_US : next_us;
        if (!atomic_load(&ticker->stop))
            mailbox_wait(&ticker->sleep, next_us);
    }
}

enum err ticker_start(struct op *op, const struct ticker_config *given, struct ticker **ret_ticker)
{
    struct ticker *ticker = calloc(1, sizeof *ticker);
    if (!ticker)
        abort();
    ticker->config = *given;
    op_init(&ticker->op, arena_new(TICKER_BYTES_MAX), clock_wall_us());
    mailbox_init(&ticker->sleep, 1, NULL, NULL);
    struct node_life life = node_board_get(given->nodes);
    struct jobs_config config = { .store = given->store, .node = str_of(life.id), .wake = wake, .data = ticker };
    enum err err = jobs_open(&ticker->op, &config, &ticker->jobs);
    if (op_inherit(op, err, &ticker->op) == OK) {
        look_at_disk(ticker); /* before anybody can push */
        err = thread_start(op, &ticker->thread, "ticker", ticker_run, ticker);
    }
    ticker->started = err == OK;
    *ret_ticker = ticker; /* also then: what was opened is freed behind the store */
    return err;
}

struct jobs *ticker_jobs(const struct ticker *ticker)
{
    return ticker->jobs;
}

void ticker_nudge(struct ticker *ticker)
{
    mailbox_nudge(&ticker->sleep);
}

static enum err stop_leasing(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return jobs_stop_leasing(op, tx);
}

void ticker_stop_leasing(struct ticker *ticker)
{
    struct op op;
    op_init(&op, arena_new(TICKER_BYTES_MAX), clock_wall_us());
    if (ticker->jobs && settle(&op, stop_leasing, NULL) != OK)
        log_warn("fetches that wait are answered late", LOG_ERROR_OF(&op));
    arena_free(op.arena);
}

void ticker_stop(struct ticker *ticker)
{
    atomic_store(&ticker->stop, true);
    mailbox_nudge(&ticker->sleep);
    if (ticker->started)
        thread_join(&ticker->thread);
    ticker->started = false;
}

void ticker_free(struct ticker *ticker)
{
    jobs_close(ticker->jobs);
    arena_free(ticker->op.arena);
    free(ticker);
}
