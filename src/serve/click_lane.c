/*
 * click_lane.c - one loop's part of the line: who joins, leaves and waits there, and is answered.
 *
 * A lane fills batches without a lock. At the end of a turn its loop gives them to the line, and whoever finds nobody
 * writing the spool does that for all lanes: it leads. The others go on reading their sockets. When the leader is done
 * it calls those whose clicks it wrote, and those who left some meanwhile, of whom the first one leads next; so one
 * loop never writes for another again and again while its own clients wait.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/thread.h"
#include "serve/click_line_parts.h"

#define FREE_BATCHES_MAX 8

static bool is_home(const struct click_lane *lane)
{
    return lane == line_home(lane->line);
}

int click_line_lane(const struct click_line *line)
{
    int i = 0;
    while (i < line->lane_count && !loop_is_mine(line->lanes[i].loop))
        i++;
    assert(i < line->lane_count);
    return i;
}

static struct click_lane *my_lane(struct click_line *line)
{
    return &line->lanes[click_line_lane(line)];
}

/* --- batches -------------------------------------------------------------------- */

static struct batch *batch_make(struct click_lane *lane)
{
    struct batch *batch = malloc(sizeof *batch);
    if (!batch)
        abort();
    batch->post.op.arena = arena_new(CLICK_MEMORY_MAX);
    batch->lane = lane;
    batch->count = 0;
    batch->next = NULL;
    return batch;
}

static struct batch *batch_new(struct click_lane *lane)
{
    struct batch *batch = lane->free;
    if (!batch)
        return batch_make(lane);
    lane->free = batch->next;
    lane->free_count--;
    arena_reset(batch->post.op.arena);
    batch->count = 0;
    batch->next = NULL;
    return batch;
}

static void batch_free(struct batch *batch)
{
    arena_free(batch->post.op.arena);
    free(batch);
}

static void batch_give(struct click_lane *lane, struct batch *batch)
{
    if (lane->free_count == FREE_BATCHES_MAX) {
        batch_free(batch);
        return;
    }
    batch->next = lane->free;
    lane->free = batch;
    lane->free_count++;
}

static void free_all(struct batch *batch)
{
    while (batch) {
        struct batch *next = batch->next;
        batch_free(batch);
        batch = next;
    }
}

bool batch_taken(struct batch *batch)
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
        batch_answer(batch, false);
    return kept > 0;
}

struct batch *batch_apart(struct batch *batch)
{
    struct batch *apart = batch_make(batch->lane);
    apart->count = batch->count;
    for (size_t i = 0; i < batch->count; i++) {
        apart->clicks[i] = batch->clicks[i];
        apart->waits[i] = batch->waits[i];
        batch->waits[i] = NULL;
        if (apart->waits[i])
            apart->waits[i]->place = &apart->waits[i];
    }
    return apart;
}

void batch_answer(struct batch *batch, bool stored)
{
    batch->stored = stored;
    batch_list_add(&batch->lane->answered_batches, batch);
    batch->lane->wanted = true;
}

/* --- answers -------------------------------------------------------------------- */

/* It waits no longer: its place is free, and who waits for it is told. */
static void leave_lane(struct click_lane *lane, const struct click_wait *wait)
{
    lane->answered++;
    for (struct click_pass *pass = lane->passes; pass; pass = pass->next)
        pass->missing -= wait->order <= pass->upto;
    if (!wait->left)
        atomic_fetch_sub(&lane->line->waiting, 1);
}

/* On its loop, without the lock. */
static void tell(struct click_lane *lane, struct click_wait *wait, bool stored)
{
    metric_add(stored ? lane->line->clicks : lane->line->refused, 1);
    leave_lane(lane, wait);
    wait->done(wait, stored);
}

/* An answer may bring the next click of its client, and that one an answer. */
static void deliver(struct click_lane *lane)
{
    struct batch *batch;
    if (lane->delivering)
        return;
    lane->delivering = true;
    while ((batch = batch_list_take(&lane->home))) {
        for (size_t i = 0; i < batch->count; i++)
            if (batch->waits[i])
                tell(lane, batch->waits[i], batch->stored);
        batch_give(lane, batch);
        lane_pass_fences(lane);
    }
    lane->delivering = false;
}

static void tell_readers(struct click_reader *reader)
{
    while (reader) {
        struct click_reader *next = reader->next;
        reader->passed(reader);
        reader = next;
    }
}

/* --- the lock ------------------------------------------------------------------- */

void lane_lock(struct click_lane *lane)
{
    pthread_mutex_lock(&lane->line->lock);
    lane->line->lane = lane;
}

static void take_answered(struct click_lane *lane)
{
    struct batch *batch;
    while ((batch = batch_list_take(&lane->answered_batches)))
        batch_list_add(&lane->home, batch);
    lane->wanted = false;
}

static struct click_reader *take_passed(struct click_lane *lane)
{
    struct click_line *line = lane->line;
    struct click_reader *readers = line->passed;
    if (!is_home(lane))
        return NULL;
    line->passed = NULL;
    line->last_passed = &line->passed;
    return readers;
}

/* While clicks are with the writer the next ones fill one batch: each costs statements of its own. */
static bool must_keep(const struct click_lane *lane)
{
    return lane->line->state == LINE_STORE && (lane->sending > 0 || lane->gathers);
}

/* Lanes that are wanted and not called yet, as bits. */
static unsigned take_wanted(struct click_line *line)
{
    unsigned wanted = 0;
    for (int i = 0; i < line->lane_count; i++) {
        struct click_lane *lane = &line->lanes[i];
        lane->wanted |= lane->keeps && !must_keep(lane);
        if (lane->wanted && !lane->called)
            wanted |= 1u << i;
        lane->called |= lane->wanted;
        lane->wanted = false;
    }
    return wanted;
}

void lane_unlock(struct click_lane *lane)
{
    struct click_line *line = lane->line;
    take_answered(lane);
    struct click_reader *readers = take_passed(lane);
    unsigned wanted = take_wanted(line);
    pthread_mutex_unlock(&line->lock);
    for (int i = 0; wanted; i++, wanted >>= 1)
        if (wanted & 1)
            loop_send(line->lanes[i].loop, &line->lanes[i].call);
    deliver(lane);
    tell_readers(readers);
}

/* Where people leave the writer to others (store/shares.h) a batch waits there before it is taken. One half of the
 * clients would wait in it while the other fills the next, for ever. */
void lane_gather(struct click_lane *lane)
{
    lane->gathers = true;
    line_timer_set(lane->line, &lane->line->gathering, lane->line->config.gather_ms);
}

static void have_gathered(struct timer *timer)
{
    struct click_line *line = MAIL_OF(timer, struct click_line, gathering.timer);
    lane_lock(line_home(line));
    line->gathering.set = false;
    for (int i = 0; i < line->lane_count; i++)
        line->lanes[i].gathers = false;
    lane_unlock(line_home(line));
}

int64_t line_now_ms(const struct click_line *line)
{
    return loop_now_ms(line->lane->loop);
}

static void lane_called(struct errand *errand)
{
    struct click_lane *lane = MAIL_OF(errand, struct click_lane, call);
    struct click_line *line = lane->line;
    lane_may_lead(lane);
    lane_lock(lane);
    lane->called = false;
    if (is_home(lane) && line->home_due) {
        line->home_due = false;
        line_tick_later(line);
        line_go_on(line);
    }
    lane_unlock(lane);
}

/* --- the end of a turn ------------------------------------------------------------ */

static void number(struct click_line *line, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        batch->clicks[i].number = ++line->newest;
    line->joined_ms = line_now_ms(line);
    if (line->spool)
        click_spool_make(line->spool, &line->spool_made);
}

/* With the lock. */
static void send_filling(struct click_lane *lane)
{
    struct click_line *line = lane->line;
    struct batch *batch = lane->filling;
    lane->keeps = batch && batch->count < CLICK_BATCH_MAX && must_keep(lane);
    if (lane->keeps)
        return;
    lane->filling = NULL;
    if (!batch || !batch_taken(batch))
        return;
    number(line, batch);
    switch (line->state) {
    case LINE_STORE:
        batch_send(line, batch);
        break;
    case LINE_SPOOL:
        line_spool_batch(line, batch);
        break;
    case LINE_JOURNAL:
    case LINE_CATCH_UP:
        line_journal(line, batch);
        break;
    }
}

static void call_next_leader(struct click_line *line)
{
    for (int i = 0; i < line->lane_count; i++) {
        line->lanes[i].wanted |= line->lanes[i].leads_next;
        line->lanes[i].leads_next = false;
    }
}

/* Writes these for all lanes. */
static void lead(struct click_lane *lane, struct mail *jobs)
{
    struct click_line *line = lane->line;
    click_spool_write(line->spool, jobs);
    lane_lock(lane);
    for (struct mail *mail = jobs, *next; mail; mail = next) {
        next = mail->next; /* a batch that is answered may be filled again */
        line_spooled(line, MAIL_OF(click_spool_job_of(mail), struct batch, job));
    }
    click_spool_give(line->spool);
    call_next_leader(line);
    line_go_on(line);
    lane_unlock(lane);
}

/* Before the answers of a turn are written: those of clicks leave with them when the journal is quick. */
static int64_t lane_settle(void *data)
{
    struct click_lane *lane = data;
    struct click_line *line = lane->line;
    if (!lane->turn_due)
        return SETTLE_NOTHING;
    lane_lock(lane);
    send_filling(lane);
    struct mail *jobs = line->spool ? click_spool_take(line->spool, &lane->leads_next) : NULL;
    lane->turn_due = false;
    lane_unlock(lane);
    if (jobs)
        lead(lane, jobs);
    return jobs || lane->turn_due ? SETTLE_DONE : SETTLE_NOTHING;
}

void lane_may_lead(struct click_lane *lane)
{
    lane->turn_due = true;
    loop_settle(lane->loop, lane_settle, lane);
}

static void turn_ended(struct errand *errand)
{
    MAIL_OF(errand, struct click_lane, turn_end)->ends = false;
}

/* --- who comes and goes ------------------------------------------------------------- */

static struct batch *filling_of(struct click_lane *lane)
{
    if (lane->filling)
        return lane->filling;
    lane->filling = batch_new(lane);
    if (!lane->ends)
        loop_at_turn_end(lane->loop, &lane->turn_end);
    lane->ends = true;
    lane_may_lead(lane);
    return lane->filling;
}

void click_line_add(struct click_line *line, struct click_wait *wait)
{
    struct click_lane *lane = my_lane(line);
    wait->order = ++lane->added;
    wait->held = wait->left = false;
    if (atomic_fetch_add(&line->waiting, 1) >= line->config.max_waiting) {
        tell(lane, wait, false);
        lane_pass_fences(lane);
        return;
    }
    struct batch *batch = filling_of(lane);
    batch->clicks[batch->count] = wait->click;
    wait->place = &batch->waits[batch->count];
    batch->waits[batch->count++] = wait;
    if (batch->count < CLICK_BATCH_MAX)
        return;
    lane_lock(lane);
    send_filling(lane);
    lane_unlock(lane);
}

void click_line_leave(struct click_line *line, struct click_wait *wait, bool gone)
{
    struct click_lane *lane = my_lane(line);
    if (!wait->left)
        atomic_fetch_sub(&line->waiting, 1);
    wait->left = true;
    pthread_mutex_lock(&line->lock);
    gone |= wait->held;
    if (gone)
        *wait->place = NULL;
    pthread_mutex_unlock(&line->lock);
    if (!gone)
        return;
    leave_lane(lane, wait);
    wait->done(wait, false);
    lane_pass_fences(lane);
}

void click_line_refuse(struct click_line *line)
{
    metric_add(line->refused, 1);
}

int64_t click_line_waiting(const struct click_line *line)
{
    return atomic_load(&line->waiting);
}

/* --- the beginning and the end -------------------------------------------------------- */

static void lane_init(struct click_lane *lane, struct click_line *line, struct loop *loop)
{
    lane->line = line;
    lane->loop = loop;
    lane->last_pass = &lane->passes;
    lane->turn_end.run = turn_ended;
    lane->call.run = lane_called;
}

void click_lanes_init(struct click_line *line)
{
    assert(line->config.also_count < CLICK_LOOPS_MAX);
    short_lock_init(&line->lock);
    line->lane_count = 1 + line->config.also_count;
    lane_init(line_home(line), line, line->config.loop);
    for (int i = 1; i < line->lane_count; i++)
        lane_init(&line->lanes[i], line, line->config.also[i - 1]);
    line->last_passed = &line->passed;
    line->gathering.timer.run = have_gathered;
}

void click_lanes_free(struct click_line *line)
{
    for (int i = 0; i < line->lane_count; i++) {
        free_all(line->lanes[i].free);
        free_all(line->lanes[i].filling);
    }
    free_all(line->held.first);
    pthread_mutex_destroy(&line->lock);
}
