#include "serve/click_line.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/metric.h"
#include "serve/click_spool.h"
#include "store/store_click.h"
#include "store/tx.h"

#define TICK_MS          100
#define RETRY_MS         1000
#define BATCH_BYTES_MAX  (64u << 20) /* of memory while a batch is applied */
#define FREE_BATCHES_MAX 8

enum line_state { LINE_STORE, LINE_SPOOL, LINE_CATCH_UP };

/* Clicks on their way to the writer as one command. */
struct batch {
    struct post post; /* first: hops get the post */
    struct batch *next;
    struct click_line *line;
    uint64_t after; /* number of the click that must be the newest stored before these */
    int64_t sent_ms;
    bool home;
    size_t count;
    struct click clicks[CLICK_BATCH_MAX];
    struct click_wait *waits[CLICK_BATCH_MAX]; /* NULL: handed to the spool */
};

struct batches {
    struct batch *first, **last;
};

/* A batch's clicks on their way to the spool. */
struct spooling {
    struct click_spool_job job; /* first */
    struct spooling *next;
    struct click_line *line;
    int64_t sent_ms;
    size_t count;
    struct click clicks[CLICK_BATCH_MAX];
    struct click_wait *waits[CLICK_BATCH_MAX]; /* NULL: answered */
};

/* Clicks of the spool on their way to the store. */
struct replay {
    struct post post; /* first */
    struct click_line *line;
    uint64_t after;
    int64_t sent_ms;
    size_t count;
    struct click clicks[CLICK_REPLAY];
};

struct click_line {
    struct click_line_config config;
    char node[CLICK_NODE_BYTES];
    enum line_state state;
    uint64_t newest;          /* number given last */
    uint64_t stored;          /* number of the newest click known to be stored */
    uint64_t chain;           /* number behind which the next batch must be stored */
    struct batch *filling;    /* of this turn */
    struct batches under_way; /* with the writer, or home and waiting for one before */
    struct batches held;      /* while catching up: clicks not sent yet */
    struct batch *free;
    int free_count;
    struct spooling *spooling, **last_spooling; /* with the spool's thread, oldest first */
    struct replay *replay;                      /* with the writer; NULL: none */
    uint64_t added, answered;                   /* waits, for fences */
    int64_t left;                               /* of those not answered: clients that do not wait any more */
    struct click_fence *fences, **last_fence;
    struct errand flush;
    bool flush_due;
    struct timer tick;
    struct click_spool *spool; /* NULL without */
    int64_t retry_at_ms;
    struct metric_cell *records, *refused, *clicks;
};

static void enter_spool(struct click_line *line, const char *why);
static void go_on(struct click_line *line);

/* --- batches -------------------------------------------------------------------- */

static void list_add(struct batches *list, struct batch *batch)
{
    batch->next = NULL;
    if (!list->first)
        list->last = &list->first;
    *list->last = batch;
    list->last = &batch->next;
}

static struct batch *list_take(struct batches *list)
{
    struct batch *batch = list->first;
    if (batch)
        list->first = batch->next;
    return batch;
}

static struct batch *batch_new(struct click_line *line)
{
    struct batch *batch = line->free;
    struct arena *arena;
    if (batch) {
        line->free = batch->next;
        line->free_count--;
        arena = batch->post.op.arena;
        arena_reset(arena);
    } else {
        batch = malloc(sizeof *batch);
        if (!batch)
            abort();
        arena = arena_new(BATCH_BYTES_MAX);
    }
    batch->post = (struct post){ .next = NULL };
    op_init(&batch->post.op, arena, loop_wall_us(line->config.loop));
    batch->line = line;
    batch->home = false;
    batch->count = 0;
    batch->next = NULL;
    return batch;
}

static void batch_free(struct batch *batch)
{
    arena_free(batch->post.op.arena);
    free(batch);
}

static void batch_give(struct click_line *line, struct batch *batch)
{
    if (line->free_count == FREE_BATCHES_MAX) {
        batch_free(batch);
        return;
    }
    batch->next = line->free;
    line->free = batch;
    line->free_count++;
}

/* --- answers -------------------------------------------------------------------- */

static void pass_fences(struct click_line *line)
{
    while (line->fences && line->answered >= line->fences->upto) {
        struct click_fence *fence = line->fences;
        line->fences = fence->next;
        if (!line->fences)
            line->last_fence = &line->fences;
        fence->passed(fence);
    }
}

static void answer(struct click_line *line, struct click_wait *wait, bool stored)
{
    line->answered++;
    line->left -= wait->left;
    metric_add(stored ? line->clicks : line->refused, 1);
    wait->done(wait, stored);
}

/* Before a batch is taken by a group: clicks of clients that have left are dropped. False: none is left, the batch is
 * given back. */
static bool batch_taken(struct click_line *line, struct batch *batch)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++) {
        if (!batch->waits[i])
            continue;
        batch->clicks[kept] = batch->clicks[i];
        batch->waits[kept] = batch->waits[i];
        batch->waits[kept]->place = &batch->waits[kept];
        batch->waits[kept++]->held = false;
    }
    batch->count = kept;
    if (kept == 0)
        batch_give(line, batch);
    return kept > 0;
}

static void batch_answer(struct batch *batch, bool stored)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->waits[i])
            answer(batch->line, batch->waits[i], stored);
}

/* --- the store -------------------------------------------------------------------- */

static enum err batch_commit(struct post *post)
{
    struct batch *batch = (struct batch *)post;
    return click_apply_all(&post->op, post->tx, str_of(batch->line->node), batch->after, batch->clicks, batch->count);
}

/* Takes what has come home off the front, in order. */
static void settle_front(struct click_line *line)
{
    while (line->under_way.first && line->under_way.first->home) {
        struct batch *batch = list_take(&line->under_way);
        if (batch->post.err == OK) {
            line->stored = batch->clicks[batch->count - 1].number;
            batch_answer(batch, true);
        }
        batch_give(line, batch);
    }
    pass_fences(line);
}

static enum err batch_back(struct post *post)
{
    struct batch *batch = (struct batch *)post;
    struct click_line *line = batch->line;
    batch->home = true;
    if (post->err != OK && line->state == LINE_STORE)
        enter_spool(line, post->op.error);
    settle_front(line);
    go_on(line);
    return OK;
}

static const struct hop batch_route[] = { { batch_commit, THREAD_WRITER }, { batch_back, THREAD_CALLER }, { 0 } };

static void batch_send(struct click_line *line, struct batch *batch)
{
    batch->after = line->chain;
    line->chain = batch->clicks[batch->count - 1].number;
    batch->sent_ms = loop_now_ms(line->config.loop);
    batch->post.hop = batch_route;
    batch->post.urgent = true;
    loop_adopt(line->config.loop, &batch->post);
    list_add(&line->under_way, batch);
    if (!timer_is_set(&line->tick))
        loop_timer_set(line->config.loop, &line->tick, TICK_MS);
    post_send(&batch->post);
}

/* --- the spool -------------------------------------------------------------------- */

static void spooling_answer(struct spooling *s, bool stored)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->waits[i])
            answer(s->line, s->waits[i], stored);
    memset(s->waits, 0, sizeof s->waits);
}

static void spooling_done(struct click_spool_job *job)
{
    struct spooling *s = (struct spooling *)job;
    struct click_line *line = s->line;
    assert(line->spooling == s); /* jobs are done in order */
    line->spooling = s->next;
    if (!line->spooling)
        line->last_spooling = &line->spooling;
    spooling_answer(s, job->err == OK);
    if (job->err != OK)
        log_warn("clicks were refused: the spool does not take them", LOG_INT("clicks", (int64_t)s->count),
                 LOG_TEXT("reason", job->reason));
    metric_set(line->records, click_spool_left(line->spool));
    free(s);
    pass_fences(line);
    go_on(line);
}

/* Hands the clicks of a batch that wait to the spool. The batch may still be with the writer, so its clicks are copied;
 * if they are stored after all their numbers tell. */
static void spool_batch(struct click_line *line, struct batch *batch)
{
    if (!line->spool) {
        batch_answer(batch, false);
        memset(batch->waits, 0, sizeof batch->waits);
        return;
    }
    struct spooling *s = malloc(sizeof *s);
    if (!s)
        abort();
    s->next = NULL;
    s->line = line;
    s->sent_ms = loop_now_ms(line->config.loop);
    s->count = batch->count;
    memcpy(s->clicks, batch->clicks, batch->count * sizeof *s->clicks);
    memcpy(s->waits, batch->waits, batch->count * sizeof(struct click_wait *));
    for (size_t i = 0; i < s->count; i++)
        if (s->waits[i])
            s->waits[i]->place = &s->waits[i];
    memset(batch->waits, 0, sizeof batch->waits);
    s->job = (struct click_spool_job){ .clicks = s->clicks, .count = s->count, .done = spooling_done };
    *line->last_spooling = s;
    line->last_spooling = &s->next;
    click_spool_send(line->spool, &s->job);
}

static void tick_later(struct click_line *line)
{
    if (!timer_is_set(&line->tick))
        loop_timer_set(line->config.loop, &line->tick, TICK_MS);
}

static void enter_spool(struct click_line *line, const char *why)
{
    log_warn("the store does not take clicks: they go to the spool", LOG_TEXT("reason", why));
    line->state = LINE_SPOOL;
    line->retry_at_ms = loop_now_ms(line->config.loop) + RETRY_MS;
    for (struct batch *batch = line->under_way.first; batch; batch = batch->next)
        if (!batch->home || batch->post.err != OK)
            spool_batch(line, batch);
    struct batch *held;
    while ((held = list_take(&line->held))) {
        if (!batch_taken(line, held))
            continue;
        spool_batch(line, held);
        batch_give(line, held);
    }
    tick_later(line);
}

/* Whoever waits longer than this for the spool's disk is refused; his click may be stored all the same. */
static void refuse_late(struct click_line *line, int64_t now_ms)
{
    for (struct spooling *s = line->spooling; s && now_ms - s->sent_ms >= CLICK_WAIT_MS_MAX; s = s->next)
        spooling_answer(s, false);
}

/* --- back to the store -------------------------------------------------------------- */

static enum err replay_commit(struct post *post)
{
    struct replay *replay = (struct replay *)post;
    return click_apply_all(&post->op, post->tx, str_of(replay->line->node), replay->after, replay->clicks,
                           replay->count);
}

static enum err replay_back(struct post *post)
{
    struct replay *replay = (struct replay *)post;
    struct click_line *line = replay->line;
    line->replay = NULL;
    if (post->err == OK) {
        line->stored = replay->clicks[replay->count - 1].number;
    } else {
        line->retry_at_ms = loop_now_ms(line->config.loop) + RETRY_MS;
        if (line->state == LINE_CATCH_UP)
            enter_spool(line, post->op.error);
    }
    arena_free(post->op.arena);
    free(replay);
    go_on(line);
    return OK;
}

static void replay_send(struct click_line *line)
{
    static const struct hop route[] = { { replay_commit, THREAD_WRITER }, { replay_back, THREAD_CALLER }, { 0 } };
    struct replay *replay = malloc(sizeof *replay);
    if (!replay)
        abort();
    replay->post = (struct post){ .hop = route };
    op_init(&replay->post.op, arena_new(BATCH_BYTES_MAX), loop_wall_us(line->config.loop));
    replay->line = line;
    replay->after = line->stored;
    replay->sent_ms = loop_now_ms(line->config.loop);
    replay->count = click_spool_peek(line->spool, replay->clicks, CLICK_REPLAY);
    loop_adopt(line->config.loop, &replay->post);
    line->replay = replay;
    post_send(&replay->post);
}

/* Everything is stored: the line is as it was before. */
static void leave_spool(struct click_line *line)
{
    struct batch *batch;
    log_info("the store takes clicks again, the spool is empty");
    line->state = LINE_STORE;
    line->chain = line->stored;
    if (line->spool)
        click_spool_clear(line->spool);
    while ((batch = list_take(&line->held)))
        if (batch_taken(line, batch))
            batch_send(line, batch);
}

/* What can be done next to leave the spool. Nothing while batches are with the writer: their outcome decides what is
 * left to be stored. */
static void go_on(struct click_line *line)
{
    if (line->state == LINE_STORE || line->under_way.first || line->replay)
        return;
    size_t left = 0;
    if (line->spool) {
        click_spool_drop(line->spool, line->stored);
        left = (size_t)click_spool_left(line->spool);
        metric_set(line->records, (int64_t)left);
    }
    if (loop_now_ms(line->config.loop) < line->retry_at_ms || !store_is_ready(line->config.store))
        return;
    if (left <= CLICK_REPLAY)
        line->state = LINE_CATCH_UP;
    if (left > 0)
        replay_send(line);
    else if (!line->spooling && line->state == LINE_CATCH_UP)
        leave_spool(line);
}

/* --- joining ------------------------------------------------------------------------ */

static void send_filling(struct click_line *line)
{
    struct batch *batch = line->filling;
    line->filling = NULL;
    if (!batch || !batch_taken(line, batch))
        return;
    switch (line->state) {
    case LINE_STORE:
        batch_send(line, batch);
        break;
    case LINE_SPOOL:
        spool_batch(line, batch);
        batch_give(line, batch);
        pass_fences(line);
        break;
    case LINE_CATCH_UP:
        for (size_t i = 0; i < batch->count; i++)
            batch->waits[i]->held = true;
        list_add(&line->held, batch);
        break;
    }
}

static void line_flush(struct errand *errand)
{
    struct click_line *line = MAIL_OF(errand, struct click_line, flush);
    line->flush_due = false;
    send_filling(line);
}

void click_line_add(struct click_line *line, struct click_wait *wait)
{
    line->added++;
    wait->held = wait->left = false;
    if (click_line_waiting(line) > line->config.max_waiting) {
        answer(line, wait, false);
        pass_fences(line);
        return;
    }
    if (!line->filling)
        line->filling = batch_new(line);
    if (line->spool)
        click_spool_make(line->spool);
    struct batch *batch = line->filling;
    wait->click.number = ++line->newest;
    batch->clicks[batch->count] = wait->click;
    wait->place = &batch->waits[batch->count];
    batch->waits[batch->count++] = wait;
    if (batch->count == CLICK_BATCH_MAX) {
        send_filling(line);
    } else if (!line->flush_due) {
        line->flush_due = true;
        loop_at_turn_end(line->config.loop, &line->flush);
    }
}

void click_line_leave(struct click_line *line, struct click_wait *wait, bool gone)
{
    line->left += !wait->left;
    wait->left = true;
    if (!gone && !wait->held)
        return;
    *wait->place = NULL;
    line->left--;
    line->answered++;
    wait->done(wait, false);
    pass_fences(line);
}

void click_line_fence(struct click_line *line, struct click_fence *fence)
{
    fence->upto = line->added;
    fence->next = NULL;
    *line->last_fence = fence;
    line->last_fence = &fence->next;
    pass_fences(line);
}

int64_t click_line_spooled(const struct click_line *line)
{
    return line->spool ? click_spool_left(line->spool) : 0;
}

int64_t click_line_waiting(const struct click_line *line)
{
    return (int64_t)(line->added - line->answered) - line->left;
}

/* --- time --------------------------------------------------------------------------- */

static bool replay_stalls(const struct click_line *line, int64_t now_ms)
{
    return line->state == LINE_CATCH_UP && line->replay && now_ms - line->replay->sent_ms >= CLICK_STALL_MS;
}

static void line_tick(struct timer *timer)
{
    struct click_line *line = MAIL_OF(timer, struct click_line, tick);
    int64_t now_ms = loop_now_ms(line->config.loop);
    const struct batch *oldest = line->under_way.first;
    if (line->state == LINE_STORE && oldest && now_ms - oldest->sent_ms >= CLICK_STALL_MS)
        enter_spool(line, "a commit is not back after a second");
    else if (replay_stalls(line, now_ms))
        enter_spool(line, "the store stalls again");
    refuse_late(line, now_ms);
    pass_fences(line);
    go_on(line);
    if (line->state != LINE_STORE || line->under_way.first)
        tick_later(line);
}

/* --- open ----------------------------------------------------------------------------- */

static enum err read_mark(struct op *op, struct tx *tx, void *arg)
{
    struct click_line *line = arg;
    return store_click_mark(op, tx, str_of(line->node), &line->stored);
}

struct left_over {
    struct click_line *line;
    struct click *clicks;
    size_t count;
};

static enum err store_left_over(struct op *op, struct tx *tx, void *arg)
{
    const struct left_over *left = arg;
    return click_apply_all(op, tx, str_of(left->line->node), left->line->stored, left->clicks, left->count);
}

/* What a crash left in the spool. A store that cannot write leaves it there: the line begins in its spool. */
static enum err replay_all(struct op *op, struct click_line *line)
{
    struct left_over left = { .line = line };
    size_t all = (size_t)click_spool_left(line->spool);
    struct click clicks[CLICK_REPLAY];
    left.clicks = clicks;
    while ((left.count = click_spool_peek(line->spool, clicks, CLICK_REPLAY)) > 0) {
        arena_reset(op->arena);
        enum err err = store_write(op, line->config.store, store_left_over, &left);
        if (err == ERR_UNAVAILABLE)
            return OK;
        TRY(err);
        line->stored = clicks[left.count - 1].number;
        click_spool_drop(line->spool, line->stored);
    }
    if (all > 0)
        log_info("clicks of the spool are stored", LOG_INT("clicks", (int64_t)all));
    if (all > 0)
        click_spool_clear(line->spool);
    return OK;
}

static void begin_in_spool(void *data)
{
    struct click_line *line = data;
    enter_spool(line, "it did not take what the spool held at start");
}

static void declare_metrics(struct click_line *line)
{
    line->clicks = METRIC_PLAIN(
        metric_counter("posthouse_clicks_total", "Clicks answered with a redirect, durable.", "", METRIC_ONE));
    line->refused = METRIC_PLAIN(metric_counter("posthouse_clicks_refused_total",
                                                "Clicks answered 503 because they could not be kept.", "", METRIC_ONE));
    line->records =
        METRIC_PLAIN(metric_gauge("posthouse_click_spool_records",
                                  "Clicks that are in the spool and not in the store yet.", "", METRIC_ONE));
}

static enum err open_spool(struct op *op, struct click_line *line)
{
    struct op own;
    op_init(&own, arena_new(BATCH_BYTES_MAX), op->now_us);
    enum err err = click_spool_open(&own, line->config.loop, line->config.spool_path, line->stored, &line->spool);
    if (err == OK)
        err = replay_all(&own, line);
    if (err == OK && click_spool_newest(line->spool) > line->newest)
        line->newest = click_spool_newest(line->spool);
    if (err != OK)
        fail(op, err, "%s", own.error);
    arena_free(own.arena);
    return err;
}

enum err click_line_open(struct op *op, const struct click_line_config *config, struct click_line **ret_line)
{
    struct click_line *line = calloc(1, sizeof *line);
    if (!line)
        abort();
    line->config = *config;
    if (!line->config.max_waiting)
        line->config.max_waiting = CLICK_WAITING_MAX;
    snprintf(line->node, sizeof line->node, "%.*s", STR(config->node));
    line->flush.run = line_flush;
    line->tick.run = line_tick;
    line->last_fence = &line->fences;
    line->last_spooling = &line->spooling;
    declare_metrics(line);
    enum err err = store_read(op, config->store, read_mark, line);
    line->newest = line->stored;
    if (err == OK && config->spool_path)
        err = open_spool(op, line);
    line->chain = line->stored;
    if (err != OK) {
        click_line_close(line);
        return err;
    }
    if (line->spool && click_spool_left(line->spool) > 0)
        loop_call(config->loop, begin_in_spool, line);
    *ret_line = line;
    return OK;
}

static void free_batches(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next;
        batch_free(batch);
        batch = next;
    }
}

void click_line_close(struct click_line *line)
{
    if (!line)
        return;
    click_spool_close(line->spool);
    free_batches(line->free);
    free_batches(line->held.first);
    if (line->filling)
        batch_free(line->filling);
    free(line);
}
