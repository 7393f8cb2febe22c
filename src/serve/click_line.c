#include "serve/click_line.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "serve/click_line_parts.h"
#include "store/spool.h"
#include "store/store_click.h"
#include "store/tx.h"

#define TELL_US    1000000
#define START_MOST (4 * FOLLOW_MOST) /* clicks in one command at a start: nobody waits for anything else */

/* --- batches -------------------------------------------------------------------- */

void batch_list_add(struct batches *list, struct batch *batch)
{
    batch->next = NULL;
    if (!list->first)
        list->last = &list->first;
    *list->last = batch;
    list->last = &batch->next;
}

struct batch *batch_list_take(struct batches *list)
{
    struct batch *batch = list->first;
    if (batch)
        list->first = batch->next;
    return batch;
}

struct batch *batch_list_last(const struct batches *list)
{
    return list->first ? MAIL_OF(list->last, struct batch, next) : NULL;
}

/* --- readers --------------------------------------------------------------------- */

/* What a reader asks for is stored, or cannot be stored for now, or not so soon. */
static bool may_read(const struct click_line *line, const struct click_reader *reader)
{
    return line->stored >= reader->upto || atomic_load(&line->stalled) || !line->spool ||
           click_spool_left(line->spool) == 0 || line_now_ms(line) >= reader->until_ms;
}

void line_pass_readers(struct click_line *line)
{
    while (line->readers && may_read(line, line->readers)) {
        struct click_reader *reader = line->readers;
        bool stored = line->stored >= reader->upto || !line->spool;
        reader->behind = stored ? 0 : click_spool_left(line->spool);
        line->readers = reader->next;
        if (!line->readers)
            line->last_reader = &line->readers;
        reader->next = NULL;
        *line->last_passed = reader;
        line->last_passed = &reader->next;
    }
}

void click_line_read(struct click_line *line, struct click_reader *reader)
{
    struct click_lane *home = line_home(line);
    lane_lock(home);
    reader->upto = line->spool ? click_spool_newest(line->spool) : 0;
    reader->until_ms = line_now_ms(line) + line->config.fence_ms;
    reader->next = NULL;
    *line->last_reader = reader;
    line->last_reader = &reader->next;
    line_pass_readers(line);
    line_go_on(line);
    lane_unlock(home);
}

/* --- the store -------------------------------------------------------------------- */

static enum err batch_commit(struct post *post)
{
    struct batch *batch = (struct batch *)post;
    return click_apply_all(&post->op, post->tx, str_of(batch->lane->line->node), batch->after, batch->clicks,
                           batch->count);
}

/* Takes what has come back off the front, in order. */
static void settle_front(struct click_line *line)
{
    while (line->under_way.first && line->under_way.first->back) {
        struct batch *batch = batch_list_take(&line->under_way);
        batch->lane->sending--;
        if (batch->post.err == OK)
            line->stored = batch->clicks[batch->count - 1].number;
        batch_answer(batch, batch->post.err == OK);
    }
    line_pass_readers(line);
}

static enum err batch_back(struct post *post)
{
    struct batch *batch = (struct batch *)post;
    struct click_line *line = batch->lane->line;
    lane_lock(line_home(line));
    batch->back = true;
    if (post->crowded && post->err == OK)
        lane_gather(batch->lane);
    if (post->err != OK && (line->state == LINE_STORE || line->state == LINE_CATCH_UP))
        line_enter_spool(line, post->op.error);
    settle_front(line);
    line_go_on(line);
    lane_unlock(line_home(line));
    return OK;
}

/* Under the lock, so that the writer gets them in order. */
void batch_send(struct click_line *line, struct batch *batch)
{
    static const struct hop route[] = { { batch_commit, THREAD_WRITER }, { batch_back, THREAD_CALLER }, { 0 } };
    struct arena *arena = batch->post.op.arena;
    batch->post = (struct post){ .hop = route, .urgent = true };
    op_init(&batch->post.op, arena, loop_wall_us(line->lane->loop));
    batch->after = line->chain;
    line->chain = batch->clicks[batch->count - 1].number;
    batch->sent_ms = line_now_ms(line);
    batch->back = false;
    loop_adopt(line->config.loop, &batch->post);
    batch_list_add(&line->under_way, batch);
    batch->lane->sending++;
    line_tick_later(line);
    post_send(&batch->post);
}

int64_t click_line_spooled(const struct click_line *line)
{
    return line->spool && atomic_load(&line->stalled) ? click_spool_left(line->spool) : 0;
}

/* --- open ----------------------------------------------------------------------------- */

static enum err read_mark(struct op *op, struct tx *tx, void *arg)
{
    struct click_line *line = arg;
    return store_click_mark(op, tx, str_of(line->node), &line->stored);
}

struct left_over {
    struct click_line *line;
    struct click_records records;
    struct click clicks[START_MOST];
    size_t count;
};

static enum err store_left_over(struct op *op, struct tx *tx, void *arg)
{
    const struct left_over *left = arg;
    return click_apply_all(op, tx, str_of(left->line->node), left->line->stored, left->clicks, left->count);
}

static enum err replay_next(struct op *op, struct click_line *line, struct left_over *left)
{
    arena_reset(op->arena);
    left->records = click_spool_oldest(line->spool, START_MOST);
    TRY(click_spool_read(op, line->spool, left->records, line->stored, left->clicks, &left->count));
    TRY(store_write(op, line->config.store, store_left_over, left));
    if (left->count > 0)
        line->stored = left->clicks[left->count - 1].number;
    click_spool_drop(line->spool, left->records);
    return OK;
}

/* What a crash or a stop left in the spool, with a word each second: of a large journal that takes its time. A store
 * that cannot write leaves it there: the line begins in its spool. */
static enum err replay_all(struct op *op, struct click_line *line)
{
    int64_t all = click_spool_left(line->spool), told_us = clock_mono_us();
    struct left_over *left = malloc(sizeof *left);
    enum err err = OK;
    if (!left)
        abort();
    left->line = line;
    while (err == OK && click_spool_left(line->spool) > 0) {
        err = replay_next(op, line, left);
        if (clock_mono_us() - told_us < TELL_US)
            continue;
        told_us = clock_mono_us();
        log_info("clicks of the spool are being stored", LOG_INT("clicks", all),
                 LOG_INT("left", click_spool_left(line->spool)));
    }
    free(left);
    if (err != OK)
        return err == ERR_UNAVAILABLE ? OK : err;
    if (all > 0) {
        log_info("clicks of the spool are stored", LOG_INT("clicks", all));
        click_spool_clear(line->spool);
    }
    return OK;
}

static void begin_in_spool(void *data)
{
    struct click_line *line = data;
    lane_lock(line_home(line));
    line_enter_spool(line, "it did not take what the spool held at start");
    lane_unlock(line_home(line));
}

/* The spool is there from before: it is the way of clicks from the beginning. */
static void begin_in_journal(void *data)
{
    struct click_line *line = data;
    lane_lock(line_home(line));
    line->state = LINE_JOURNAL;
    line->cleared = false;
    line_tick_later(line);
    lane_unlock(line_home(line));
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
    op_init(&own, arena_new(CLICK_MEMORY_MAX), op->now_us);
    enum err err = click_spool_open(&own, line->config.loop, line->config.spool_path, str_of(line->node),
                                    line->config.room, line->stored, &line->spool);
    if (err == OK)
        err = replay_all(&own, line);
    if (err == OK && click_spool_newest(line->spool) > line->newest)
        line->newest = click_spool_newest(line->spool);
    if (err == OK)
        line->config.room = click_spool_room(line->spool);
    op_inherit(op, err, &own);
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
    if (!line->config.stall_ms)
        line->config.stall_ms = CLICK_STALL_MS;
    if (!line->config.wait_ms)
        line->config.wait_ms = CLICK_WAIT_MS;
    if (!line->config.room)
        line->config.room = CLICK_ROOM;
    if (!line->config.fence_ms)
        line->config.fence_ms = CLICK_FENCE_MS;
    if (!line->config.drain_ms)
        line->config.drain_ms = CLICK_DRAIN_MS;
    if (!line->config.gather_ms)
        line->config.gather_ms = CLICK_GATHER_MS;
    snprintf(line->node, sizeof line->node, "%.*s", STR(config->node));
    line->journal = config->spool_path && !store_is_shared(config->store);
    click_lanes_init(line);
    line->last_reader = &line->readers;
    declare_metrics(line);
    enum err err = store_read(op, config->store, read_mark, line);
    line->newest = line->stored;
    if (err == OK && config->spool_path)
        err = open_spool(op, line);
    line_behind_init(line);
    line->chain = line->stored;
    if (err != OK) {
        click_line_close(line);
        return err;
    }
    if (line->spool && click_spool_left(line->spool) > 0)
        loop_call(config->loop, begin_in_spool, line);
    else if (line->journal && click_spool_is_made(line->spool))
        loop_call(config->loop, begin_in_journal, line);
    *ret_line = line;
    return OK;
}

void click_line_close(struct click_line *line)
{
    if (!line)
        return;
    line_behind_free(line);
    click_lanes_free(line);
    free(line);
}
