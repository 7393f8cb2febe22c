/*
 * click_line_behind.c - clicks that are durable in the spool and follow into the store.
 *
 * What the spool holds is stored in order, one command at a time (click_follow.h): the number of the newest stored
 * click decides what is left. As a journal the spool is always a little ahead of the store; it is behind in earnest
 * (`stalled`) when a command fails or is not back in a second.
 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "serve/click_line_parts.h"
#include "store/tx.h"

#define TICK_MS  100
#define RETRY_MS 1000
#define IDLE_MS  1000 /* without clicks: the file is made to say that it holds nothing */

static bool at_home(struct click_line *line)
{
    return line->lane == line_home(line);
}

static void call_home(struct click_line *line)
{
    line->home_due = true;
    line_home(line)->wanted = true;
}

void line_timer_set(struct click_line *line, struct line_timer *timer, int64_t wait_ms)
{
    if (timer->set)
        return;
    if (!at_home(line)) {
        call_home(line);
        return;
    }
    timer->set = true;
    loop_timer_set(line->config.loop, &timer->timer, wait_ms);
}

void line_tick_later(struct click_line *line)
{
    line_timer_set(line, &line->tick, TICK_MS);
}

static bool has_room(const struct click_line *line, const struct batch *batch)
{
    return click_spool_used(line->spool) + batch->count <= line->config.room;
}

/* There is room, and its turn has come. A store that stalls has no pace to keep to. */
static bool may_enter(struct click_line *line, const struct batch *batch)
{
    int64_t wait_ms = 0;
    if (!has_room(line, batch))
        return false;
    if (!atomic_load(&line->stalled))
        wait_ms = click_pace_take(&line->pace, click_spool_used(line->spool), batch->count, line_now_ms(line));
    if (wait_ms > 0)
        line_timer_set(line, &line->entry, wait_ms);
    return wait_ms == 0;
}

static void note_records(struct click_line *line)
{
    metric_set(line->records, (int64_t)line_left(line));
}

/* --- into the spool ------------------------------------------------------------------- */

/* The disk does not take what it has room for: the way through the store is left. */
static void give_up_journal(struct click_line *line)
{
    if (line->state == LINE_JOURNAL)
        line->state = LINE_SPOOL;
    line->journal = false;
}

void line_spooled(struct click_line *line, struct batch *batch)
{
    assert(line->spooling.first == batch); /* jobs are done in order */
    batch_list_take(&line->spooling);
    click_spool_done(line->spool, &batch->job);
    if (batch->job.err != OK) {
        log_warn("clicks were refused: the spool does not take them", LOG_INT("clicks", (int64_t)batch->count),
                 LOG_TEXT("reason", batch->job.reason));
        give_up_journal(line);
    }
    batch_answer(batch, batch->job.err == OK);
    note_records(line);
}

/* The thread has done it. */
static void job_came(struct errand *errand)
{
    struct batch *batch = MAIL_OF(errand, struct batch, job.errand);
    struct click_line *line = batch->lane->line;
    lane_lock(line_home(line));
    line_spooled(line, batch);
    line_go_on(line);
    lane_unlock(line_home(line));
}

void line_spool_batch(struct click_line *line, struct batch *batch)
{
    if (!line->spool) {
        batch_answer(batch, false);
        return;
    }
    batch->sent_ms = line_now_ms(line);
    batch->job = (struct click_spool_job){ .clicks = batch->clicks, .count = batch->count, .errand.run = job_came };
    batch_list_add(&line->spooling, batch);
    line->cleared = false;
    click_spool_send(line->spool, &batch->job);
    lane_may_lead(line->lane);
    line_tick_later(line);
}

/* Clicks of one turn are few, and a batch is made for many: those of a loop and of about the same time go together. */
static bool hold_with(struct click_line *line, struct batch *last, struct batch *batch)
{
    if (!last || last->lane != batch->lane || line_now_ms(line) - last->sent_ms >= TICK_MS ||
        last->count + batch->count > CLICK_BATCH_MAX)
        return false;
    for (size_t i = 0; i < batch->count; i++) {
        last->clicks[last->count] = batch->clicks[i];
        last->waits[last->count] = batch->waits[i];
        last->waits[last->count]->place = &last->waits[last->count];
        last->count++;
    }
    batch->count = 0;
    return true;
}

/* Takes the batch. */
static void hold(struct click_line *line, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        batch->waits[i]->held = true;
    line_tick_later(line);
    if (hold_with(line, batch_list_last(&line->held), batch)) {
        batch_answer(batch, false); /* nobody is left in it */
        return;
    }
    batch->sent_ms = line_now_ms(line);
    batch_list_add(&line->held, batch);
}

void line_journal(struct click_line *line, struct batch *batch)
{
    bool may_go = line->state == LINE_JOURNAL && !line->held.first && may_enter(line, batch);
    if (!may_go && (line->state == LINE_CATCH_UP || !atomic_load(&line->stalled))) {
        hold(line, batch);
        return;
    }
    if (may_go)
        line_spool_batch(line, batch);
    else
        batch_answer(batch, false); /* nobody knows when there will be room */
}

static void spool_held(struct click_line *line, bool all)
{
    while (line->held.first && (all || may_enter(line, line->held.first))) {
        struct batch *batch = batch_list_take(&line->held);
        if (batch_taken(batch))
            line_spool_batch(line, batch);
    }
}

static void stall(struct click_line *line, const char *why)
{
    line->retry_at_ms = line_now_ms(line) + RETRY_MS;
    if (!atomic_exchange(&line->stalled, true))
        log_warn("the store does not take clicks: they stay in the spool", LOG_TEXT("reason", why));
    note_records(line);
    line_pass_readers(line);
    line_tick_later(line);
}

void line_enter_spool(struct click_line *line, const char *why)
{
    stall(line, why);
    line->state = line->journal ? LINE_JOURNAL : LINE_SPOOL;
    for (struct batch *batch = line->under_way.first; batch; batch = batch->next)
        if (!batch->back || batch->post.err != OK)
            line_spool_batch(line, batch_apart(batch)); /* if they are stored after all their numbers tell */
    spool_held(line, true);
}

/* The file is there: it becomes the way of clicks, where that is wanted. */
static void on_spool_made(struct errand *errand)
{
    struct click_line *line = MAIL_OF(errand, struct click_line, spool_made);
    lane_lock(line_home(line));
    if (line->journal && line->state == LINE_STORE) {
        line->state = LINE_CATCH_UP; /* until what is with the writer is stored */
        line_go_on(line);
    }
    lane_unlock(line_home(line));
}

/* --- into the store ------------------------------------------------------------------- */

static enum err replay_commit(struct post *post)
{
    struct replay *replay = (struct replay *)post;
    const struct click_line *line = replay->line;
    TRY(click_spool_read(&post->op, line->spool, replay->records, replay->after, replay->clicks, &replay->count));
    return click_apply_all(&post->op, post->tx, str_of(line->node), replay->after, replay->clicks, replay->count);
}

static void replay_stored(struct click_line *line)
{
    const struct replay *replay = line->replay;
    if (replay->count > 0)
        line->stored = replay->clicks[replay->count - 1].number;
    click_spool_drop(line->spool, replay->records);
    click_pace_stored(&line->pace, replay->count, line_left(line) > FOLLOW_MOST, line_now_ms(line));
    if (atomic_load(&line->stalled) && line->state == LINE_JOURNAL && line_left(line) <= FOLLOW_MOST) {
        atomic_store(&line->stalled, false);
        log_info("the store takes clicks again");
    }
    note_records(line);
}

static enum err replay_back(struct post *post)
{
    struct replay *replay = (struct replay *)post;
    struct click_line *line = replay->line;
    lane_lock(line_home(line));
    replay->under_way = false;
    line->replays++;
    click_follow_back(&line->follow, replay->count, post->crowded, line->newest, line_now_ms(line));
    if (post->err == OK)
        replay_stored(line);
    else if (line->state == LINE_CATCH_UP)
        line_enter_spool(line, post->op.error);
    else
        stall(line, post->op.error);
    line_pass_readers(line);
    line_go_on(line);
    lane_unlock(line_home(line));
    return OK;
}

static struct replay *replay_of(struct click_line *line)
{
    if (!line->replay) {
        line->replay = calloc(1, sizeof *line->replay);
        if (!line->replay)
            abort();
        line->replay->post.op.arena = arena_new(CLICK_MEMORY_MAX);
    }
    return line->replay;
}

static void replay_send(struct click_line *line)
{
    static const struct hop route[] = { { .run = replay_commit, .thread = THREAD_WRITER, .bulk = true },
                                        { replay_back, THREAD_CALLER, NULL },
                                        { 0 } };
    struct replay *replay = replay_of(line);
    struct arena *arena = replay->post.op.arena;
    arena_reset(arena);
    replay->post = (struct post){ .hop = route };
    op_init(&replay->post.op, arena, loop_wall_us(line->config.loop));
    replay->line = line;
    replay->after = line->stored;
    replay->sent_ms = line_now_ms(line);
    replay->under_way = true;
    replay->records = click_spool_oldest(line->spool, line->follow.most);
    replay->count = 0;
    click_follow_sent(&line->follow, line->newest, replay->sent_ms);
    line->hurry = false;
    loop_timer_clear(line->config.loop, &line->delay.timer);
    line->delay.set = false;
    loop_adopt(line->config.loop, &replay->post);
    post_send(&replay->post);
}

/* Everything is stored: the line is as it was before. */
static void leave_spool(struct click_line *line)
{
    struct batch *batch;
    if (atomic_exchange(&line->stalled, false))
        log_info("the store takes clicks again, the spool is empty");
    line->chain = line->stored;
    if (line->journal) {
        line->state = LINE_JOURNAL;
        spool_held(line, false);
        return;
    }
    line->state = LINE_STORE;
    if (line->spool)
        click_spool_clear(line->spool);
    while ((batch = batch_list_take(&line->held)))
        if (batch_taken(batch))
            batch_send(line, batch);
}

/* Milliseconds until the next clicks of the journal are stored. Many at once cost little each, so a few wait for more
 * unless somebody wants to read them, or nobody clicks any more. */
static int64_t next_in_ms(struct click_line *line, size_t left)
{
    bool calm = line_now_ms(line) - line->joined_ms >= TICK_MS, now = calm || line->readers || line->drain;
    if (now || left > line->pace.easy)
        click_follow_hurry(&line->follow);
    int64_t rest_ms = click_follow_wait(&line->follow, line_now_ms(line));
    if (rest_ms > 0)
        return rest_ms;
    return now || line->hurry || left >= line->follow.most ? 0 : CLICK_BEHIND_MS;
}

static void store_journal(struct click_line *line, size_t left)
{
    spool_held(line, false);
    if (left == 0)
        return;
    int64_t wait_ms = next_in_ms(line, left);
    if (wait_ms == 0)
        replay_send(line);
    else
        line_timer_set(line, &line->delay, wait_ms);
}

static void on_delay(struct timer *timer)
{
    struct click_line *line = MAIL_OF(timer, struct click_line, delay.timer);
    lane_lock(line_home(line));
    line->delay.set = false;
    line->hurry = true;
    line_go_on(line);
    lane_unlock(line_home(line));
}

static void on_entry(struct timer *timer)
{
    struct click_line *line = MAIL_OF(timer, struct click_line, entry.timer);
    lane_lock(line_home(line));
    line->entry.set = false;
    if (line->state == LINE_JOURNAL)
        spool_held(line, false);
    lane_unlock(line_home(line));
}

static void go_on(struct click_line *line)
{
    if (line->state == LINE_STORE || line->under_way.first || (line->replay && line->replay->under_way))
        return; /* the outcome of what is with the writer decides what is left to be stored */
    size_t left = line_left(line);
    note_records(line);
    if (left > 0 && !store_is_ready(line->config.store))
        stall(line, "it cannot write");
    if (line_now_ms(line) < line->retry_at_ms || !store_is_ready(line->config.store))
        return;
    if (line->drain && line_now_ms(line) >= line->drain->until_ms)
        return;
    if (line->state == LINE_JOURNAL) {
        store_journal(line, left);
        return;
    }
    if (left <= FOLLOW_MOST)
        line->state = LINE_CATCH_UP;
    if (left > 0)
        replay_send(line);
    else if (!line->spooling.first && line->state == LINE_CATCH_UP)
        leave_spool(line);
}

/* What the spool holds is stored some time: after what is with the writer, or when the timer says so. */
static bool is_on_its_way(const struct click_line *line)
{
    return line->under_way.first || (line->replay && line->replay->under_way) || line->delay.set;
}

void line_go_on(struct click_line *line)
{
    if (!at_home(line)) {
        if (!is_on_its_way(line))
            call_home(line);
        return;
    }
    go_on(line);
    line_end_drain(line);
}

/* --- time ----------------------------------------------------------------------------- */

static bool somebody_waits(const struct batch *batch)
{
    bool any = false;
    for (size_t i = 0; i < batch->count && !any; i++)
        any = batch->waits[i] != NULL;
    return any;
}

/* Whoever waits longer than this for the spool is refused; his click may be stored all the same. */
static void refuse_late(struct click_line *line)
{
    int64_t before_ms = line_now_ms(line) - line->config.wait_ms;
    for (struct batch *batch = line->spooling.first; batch && batch->sent_ms <= before_ms; batch = batch->next)
        if (somebody_waits(batch))
            batch_answer(batch_apart(batch), false);
    while (line->state == LINE_JOURNAL && line->held.first && line->held.first->sent_ms <= before_ms) {
        struct batch *batch = batch_list_take(&line->held);
        if (batch_taken(batch))
            batch_answer(batch, false);
    }
}

static bool is_late(const struct click_line *line, int64_t sent_ms)
{
    return line_now_ms(line) - sent_ms >= line->config.stall_ms;
}

static void find_stall(struct click_line *line)
{
    const struct batch *oldest = line->under_way.first;
    bool replay_late = line->replay && line->replay->under_way && is_late(line, line->replay->sent_ms);
    bool store_waits = line->state == LINE_STORE || line->state == LINE_CATCH_UP;
    if (store_waits && oldest && is_late(line, oldest->sent_ms))
        line_enter_spool(line, "a commit is not back after a second");
    else if (line->state == LINE_CATCH_UP && replay_late)
        line_enter_spool(line, "the store stalls again");
    else if (line->state == LINE_JOURNAL && replay_late)
        stall(line, "a commit is not back after a second");
}

/* Nobody clicks: the file is made to say that everything is stored. */
static void clear_idle(struct click_line *line)
{
    bool busy = line_left(line) > 0 || line->spooling.first || line->held.first;
    if (line->state != LINE_JOURNAL || busy || line->cleared || line_now_ms(line) - line->joined_ms < IDLE_MS)
        return;
    line->cleared = true;
    click_spool_clear(line->spool);
}

/* Are others beside the clicks, and do they lack processors. Only the journal has a pace; and behind the drain of the
 * line other loops may be gone. */
static void look_beside(struct click_line *line)
{
    if (line->state != LINE_JOURNAL)
        return;
    struct store_figures figures = store_figures(line->config.store);
    struct click_look look = { .at_ms = line_now_ms(line),
                               .queued_us = figures.queued_us,
                               .clicks = line->newest,
                               .commands = figures.commands - line->replays,
                               .processors = line->processors };
    for (int i = 0; i < line->lane_count; i++)
        look.ran_us += loop_ran_us(line->lanes[i].loop);
    click_pace_limit(&line->pace, click_beside_look(&line->beside, &look));
}

static void on_tick(struct timer *timer)
{
    struct click_line *line = MAIL_OF(timer, struct click_line, tick.timer);
    lane_lock(line_home(line));
    line->tick.set = false;
    look_beside(line);
    find_stall(line);
    refuse_late(line);
    line_pass_readers(line);
    line_go_on(line);
    clear_idle(line);
    bool rests = line->state == LINE_STORE ? !line->under_way.first : line->state == LINE_JOURNAL && line->cleared;
    if (!rests)
        line_tick_later(line);
    lane_unlock(line_home(line));
}

void line_behind_init(struct click_line *line)
{
    line->tick.timer.run = on_tick;
    line->delay.timer.run = on_delay;
    line->entry.timer.run = on_entry;
    line->spool_made.run = on_spool_made;
    line->processors = sysconf(_SC_NPROCESSORS_ONLN);
    click_follow_init(&line->follow);
    click_pace_init(&line->pace, line->config.room / 4 * 3, line->config.room / 8);
    line->cleared = true;
}

void line_behind_free(struct click_line *line)
{
    if (line->replay)
        arena_free(line->replay->post.op.arena);
    free(line->replay);
    click_spool_close(line->spool);
}
