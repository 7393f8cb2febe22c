#include "main/inbox_taker.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/metric.h"
#include "base/queue.h"
#include "base/thread.h"
#include "engine/inbox.h"
#include "engine/jobs.h"
#include "engine/source_signal.h"
#include "main/settle.h"
#include "store/store_inbox.h"

#define NEWS_US         50000                   /* between two nudges */
#define WHOLE_US        (INT64_C(60) * 1000000) /* between two looks at all of the inbox */
#define LOOKS           8                       /* whose times are remembered */
#define TAKER_BYTES_MAX (96u << 20)             /* INBOX_TAKE_BYTES and what they become */

struct inbox_taker {
    struct store *store;
    struct ticker *ticker;
    int64_t told_us; /* when the ticker was nudged */
    struct thread thread;
    struct mailbox sleep; /* gets no mail: nudged to wake up */
    atomic_bool stop;
    struct op op;
    size_t chunk; /* rows to take at once; fewer while some row is looked for */
    int64_t look_us[LOOKS];
    unsigned looks;
    struct inbox_reach reach;
    int64_t whole_us; /* when the inbox was looked at from its first number */
    struct metric_cell *applied, *duplicates, *refused, *wait;
};

static bool rest(struct inbox_taker *taker, int64_t ms)
{
    if (!atomic_load(&taker->stop) && ms > 0)
        mailbox_wait(&taker->sleep, ms * 1000);
    return !atomic_load(&taker->stop);
}

static void op_again(struct inbox_taker *taker)
{
    arena_reset(taker->op.arena);
    op_init(&taker->op, taker->op.arena, clock_wall_us());
}

struct look {
    struct jobs *jobs;
    int64_t behind;
    bool numbered;
    struct inbox_look inbox;
    bool news;
};

static enum err look_read(struct op *op, struct tx *tx, void *arg)
{
    struct look *look = arg;
    TRY(store_inbox_look(op, tx, look->behind, look->numbered, &look->inbox));
    return jobs_look(op, tx, look->jobs, &look->news);
}

/* NODE-3: what other nodes did for those who wait here. */
static void tell_news(struct inbox_taker *taker, const struct look *look)
{
    int64_t now_us = clock_mono_us();
    if (!look->news || now_us - taker->told_us < NEWS_US)
        return;
    taker->told_us = now_us;
    ticker_nudge(taker->ticker);
}

struct chunk {
    int64_t behind; /* this number */
    size_t rows;
    const char *skip; /* why the first row is refused unseen; NULL: apply */
    struct inbox_result result;
};

static enum err chunk_run(struct op *op, struct tx *tx, void *arg)
{
    struct chunk *chunk = arg;
    return chunk->skip ? inbox_skip(op, tx, chunk->behind, str_of(chunk->skip), &chunk->result)
                       : inbox_apply(op, tx, chunk->behind, chunk->rows, &chunk->result);
}

static void note(struct inbox_taker *taker, const struct inbox_result *result)
{
    metric_add(taker->applied, result->applied);
    metric_add(taker->duplicates, result->duplicates);
    metric_add(taker->refused, result->refused);
    if (result->oldest_us != INT64_MAX && taker->op.now_us > result->oldest_us)
        metric_observe(taker->wait, taker->op.now_us - result->oldest_us);
    if (result->mailings)
        source_signal(); /* a mailing that was just sent makes its sources look at once */
    if (result->refused)
        log_warn("what applications said in their transactions could not all be done; see posthouse.inbox_refused",
                 LOG_INT("refused", result->refused));
}

/* One chunk. After an error that is a row's fault the next one is half as large, or the row is skipped. */
static enum err take_chunk(struct inbox_taker *taker, int64_t *behind, bool *ret_more)
{
    char reason[OP_ERROR_BYTES_MAX];
    struct chunk chunk = { .behind = *behind, .rows = taker->chunk };
    op_again(taker);
    enum err err = settle_soon(&taker->op, chunk_run, &chunk);
    if (err != OK && err != ERR_UNAVAILABLE && err != ERR_BUSY) {
        log_error("a chunk of the inbox could not be applied", LOG_INT("rows", (int64_t)chunk.rows),
                  LOG_ERROR_OF(&taker->op));
        if (taker->chunk > 1) {
            taker->chunk /= 2;
            *ret_more = true;
            return OK;
        }
        memcpy(reason, taker->op.error, sizeof reason);
        chunk.skip = reason;
        op_again(taker);
        err = settle_soon(&taker->op, chunk_run, &chunk);
    }
    TRY(err);
    taker->chunk = 2 * taker->chunk < INBOX_CHUNK_ROWS ? 2 * taker->chunk : INBOX_CHUNK_ROWS;
    note(taker, &chunk.result);
    *ret_more = chunk.result.more;
    *behind = chunk.result.last;
    return OK;
}

/* All that is there, in order of the numbers. A store that cannot write says so itself. */
static int64_t take_all(struct inbox_taker *taker)
{
    int64_t behind = taker->reach.gone;
    bool more = true;
    while (more && !atomic_load(&taker->stop))
        if (take_chunk(taker, &behind, &more) != OK)
            return INBOX_SICK_MS;
    return INBOX_LOOK_MS;
}

/* How long to rest behind a look: ten times what one takes, when all of late took long. A single one that did says only
 * that the machine was busy, and whoever waits would wait for that twice. */
static int64_t rest_of(struct inbox_taker *taker, int64_t look_us)
{
    taker->look_us[taker->looks++ % LOOKS] = look_us;
    for (unsigned i = 0; i < LOOKS; i++)
        if (taker->look_us[i] < look_us)
            look_us = taker->look_us[i];
    return look_us / 100 > INBOX_LOOK_MS ? look_us / 100 : INBOX_LOOK_MS;
}

/* Where the next look begins. */
static int64_t look_behind(struct inbox_taker *taker, int64_t now_us)
{
    if (now_us - taker->whole_us < WHOLE_US)
        return taker->reach.gone;
    taker->whole_us = now_us;
    return 0;
}

static void taker_run(void *context)
{
    struct inbox_taker *taker = context;
    int64_t rest_ms = 0;
    while (rest(taker, rest_ms)) {
        struct look look = { .jobs = ticker_jobs(taker->ticker), .numbered = inbox_reach_asks(&taker->reach) };
        int64_t began_us = clock_mono_us();
        op_again(taker);
        look.behind = look_behind(taker, began_us);
        enum err err = settle_look(&taker->op, look_read, &look);
        rest_ms = rest_of(taker, clock_mono_us() - began_us);
        if (err == OK) {
            inbox_reach_note(&taker->reach, &look.inbox);
            tell_news(taker, &look);
        }
        if (err != OK)
            rest_ms = INBOX_SICK_MS;
        else if (look.inbox.first)
            rest_ms = take_all(taker);
        else if (!store_is_shared(taker->store))
            return;
    }
}

static void declare_metrics(struct inbox_taker *taker)
{
    struct metric *rows =
        metric_counter("posthouse_inbox_rows_total", "Rows of applications' transactions, by what became of them.",
                       "outcome", METRIC_ONE);
    taker->applied = METRIC_AT(rows, S("applied"));
    taker->duplicates = METRIC_AT(rows, S("duplicate"));
    taker->refused = METRIC_AT(rows, S("refused"));
    taker->wait = METRIC_PLAIN(metric_histogram("posthouse_inbox_wait_seconds",
                                                "From the call in the application's transaction to its taking.", "",
                                                METRIC_SECONDS, metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT));
}

enum err inbox_taker_start(struct op *op, struct store *store, struct ticker *ticker, struct inbox_taker **ret_taker)
{
    struct inbox_taker *taker = calloc(1, sizeof *taker);
    if (!taker)
        abort();
    taker->store = store;
    taker->ticker = ticker;
    taker->chunk = INBOX_CHUNK_ROWS;
    mailbox_init(&taker->sleep, 1, NULL, NULL);
    declare_metrics(taker);
    op_init(&taker->op, arena_new(TAKER_BYTES_MAX), 0);
    enum err err = thread_start(op, &taker->thread, "inbox", taker_run, taker);
    if (err != OK) {
        arena_free(taker->op.arena);
        free(taker);
        return err;
    }
    *ret_taker = taker;
    return OK;
}

void inbox_taker_stop(struct inbox_taker *taker)
{
    atomic_store(&taker->stop, true);
    mailbox_nudge(&taker->sleep);
    thread_join(&taker->thread);
    arena_free(taker->op.arena);
    free(taker);
}
