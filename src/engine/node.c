#include "engine/node.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAD_NAME S("lead")

/* Alone: a century; the next start ends it. */
#define ALONE_US INT64_C(3155760000000000)

struct node_self node_self(const struct node_life *life)
{
    return (struct node_self){ str_of(life->id), life->no, life->epoch };
}

struct duty node_lead(const struct node_life *life)
{
    return (struct duty){ .name = LEAD_NAME, .self = node_self(life), .term = life->term };
}

/* ------------------------------------------------------------------------------------------------------- leading */

static bool may_lead(int64_t offset_us)
{
    return offset_us != NODE_NO_OFFSET && offset_us <= NODE_OFFSET_MAX_US && offset_us >= -NODE_OFFSET_MAX_US;
}

/* Another one that leads is no error. */
static enum err lead(struct op *op, struct tx *tx, int64_t for_us, struct node_life *life)
{
    struct node_self self = node_self(life);
    struct duty duty = node_lead(life);
    if (!may_lead(life->offset_us)) {
        life->term = 0;
        return duty.term ? store_duty_give(op, tx, &duty) : OK;
    }
    enum err err = store_duty_take(op, tx, LEAD_NAME, &self, for_us, &duty);
    if (err != OK && err != ERR_CONFLICT)
        return err;
    life->term = err == OK ? duty.term : 0;
    op->error[0] = '\0';
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- begin */

static bool is_over(const struct node_row *row, const struct node_identity *who, const struct node_timing *timing,
                    int64_t clock_us)
{
    return row->is_lost || who->is_alone || clock_us - row->beat_at_us > timing->lost_us ||
           (who->is_gone && who->is_gone(row->process));
}

/* The row to begin in: that of an ended node of the wanted name, or a new one under a name nobody has. */
static enum err find_place(struct op *op, struct tx *tx, const struct node_identity *who,
                           const struct node_timing *timing, int64_t clock_us, struct node_row *ret)
{
    for (int i = 1; i <= NODE_NAMES_MAX; i++) {
        bool found;
        struct str id = i == 1 ? who->id : arena_fmt(op->arena, "%.*s-%d", STR(who->id), i);
        *ret = (struct node_row){ 0 };
        TRY(store_node_find(op, tx, id, ret, &found));
        if (found && !is_over(ret, who, timing, clock_us))
            continue;
        ret->id = id;
        return OK;
    }
    return fail(op, ERR_UNAVAILABLE, "%d nodes named %.*s are alive already", NODE_NAMES_MAX, STR(who->id));
}

enum err node_register(struct op *op, struct tx *tx, const struct node_identity *who, const struct node_timing *timing,
                       int64_t offset_us, struct node_life *ret)
{
    assert(who->id.n > 0 && who->id.n <= NODE_ID_BYTES_MAX - sizeof "-100" + 1);
    struct node_row row;
    int64_t clock_us, lost = 0;
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(find_place(op, tx, who, timing, clock_us, &row));
    row.process = who->process;
    row.version = who->version;
    row.steps = who->steps;
    row.started_at_us = row.beat_at_us = clock_us;
    row.offset_us = offset_us;
    row.is_lost = false;
    TRY(store_node_start(op, tx, &row));
    if (who->is_alone) {
        TRY(store_node_lose(op, tx, INT64_MAX, row.no, &lost));
        TRY(store_node_forget(op, tx, INT64_MAX));
    }
    struct node_life life = {
        .no = row.no,
        .epoch = row.epoch,
        .started_at_us = clock_us,
        .beat_at_us = clock_us,
        .reach = { .marks = { { .at_us = clock_us } }, .marked = 1 },
        .offset_us = offset_us,
    };
    snprintf(life.id, sizeof life.id, "%.*s", STR(row.id));
    TRY(lead(op, tx, who->is_alone ? ALONE_US : timing->lead_us, &life));
    TRY(store_node_count(op, tx, &life.alive));
    *ret = life;
    return OK;
}

/* ----------------------------------------------------------------------------------------------------------- beat */

/* One more beat, gap_us after the one before it. */
static void reach_on(struct node_reach *reach, int64_t at_us, int64_t gap_us, const struct node_timing *timing)
{
    int64_t most_us = timing->beat_us * 3 / 2;
    if (gap_us > 0 && gap_us <= 3 * timing->beat_us)
        reach->total_us += gap_us < most_us ? gap_us : most_us;
    if (reach->total_us - reach->marks[(reach->marked - 1) % NODE_MARKS].total_us >= timing->lost_us / 16)
        reach->marks[reach->marked++ % NODE_MARKS] = (struct node_mark){ at_us, reach->total_us };
}

/* The instant since which this node could reach the store for back_us; false when it was not up for so long. */
static bool reach_back(const struct node_reach *reach, int64_t back_us, int64_t *ret_us)
{
    for (unsigned i = 1; i <= NODE_MARKS && i <= reach->marked; i++) {
        const struct node_mark *mark = &reach->marks[(reach->marked - i) % NODE_MARKS];
        *ret_us = mark->at_us;
        if (reach->total_us - mark->total_us >= back_us)
            return true;
    }
    return false;
}

/* Keeps the lead or gives it up; *ret_free: nobody has it, and this node may. */
static enum err keep_lead(struct op *op, struct tx *tx, int64_t for_us, struct node_life *life, bool *ret_free)
{
    struct duty duty = node_lead(life);
    bool is_mine = false;
    *ret_free = false;
    if (!may_lead(life->offset_us)) {
        life->term = 0;
        return duty.term ? store_duty_give(op, tx, &duty) : OK;
    }
    if (duty.term)
        TRY(store_duty_renew(op, tx, &duty, for_us, &is_mine));
    life->term = is_mine ? duty.term : 0;
    return is_mine ? OK : store_duty_is_free(op, tx, LEAD_NAME, ret_free);
}

enum err node_beat(struct op *op, struct tx *tx, const struct node_timing *timing, const struct node_life *before,
                   int64_t offset_us, struct node_life *ret, bool *ret_watch)
{
    struct node_life life = *before;
    struct node_self self = node_self(&life);
    int64_t clock_us, since_us;
    bool is_alive, is_free, is_silent = false;
    TRY(store_clock_us(op, tx, &clock_us));
    TRY(store_node_beat(op, tx, &self, clock_us, offset_us, &is_alive));
    if (!is_alive)
        return fail(op, ERR_CONFLICT, "node %s was silent for too long and is called lost", life.id);
    reach_on(&life.reach, clock_us, clock_us - life.beat_at_us, timing);
    life.beat_at_us = clock_us;
    life.offset_us = offset_us;
    life.lost = 0;
    TRY(keep_lead(op, tx, timing->lead_us, &life, &is_free));
    if (reach_back(&life.reach, timing->lost_us, &since_us))
        TRY(store_node_is_silent(op, tx, since_us, clock_us - NODE_FORGET_US, life.no, &is_silent));
    TRY(store_node_count(op, tx, &life.alive));
    *ret_watch = is_free || is_silent;
    *ret = life;
    return OK;
}

enum err node_watch(struct op *op, struct tx *tx, const struct node_timing *timing, const struct node_life *before,
                    struct node_life *ret)
{
    struct node_life life = *before;
    int64_t clock_us, since_us;
    TRY(store_clock_us(op, tx, &clock_us));
    if (reach_back(&life.reach, timing->lost_us, &since_us)) {
        TRY(store_node_lose(op, tx, since_us, life.no, &life.lost));
        TRY(store_node_forget(op, tx, clock_us - NODE_FORGET_US));
    }
    TRY(lead(op, tx, timing->lead_us, &life));
    TRY(store_node_count(op, tx, &life.alive));
    *ret = life;
    return OK;
}

enum err node_leave(struct op *op, struct tx *tx, const struct node_life *life)
{
    struct node_self self = node_self(life);
    struct duty duty = node_lead(life);
    if (duty.term)
        TRY(store_duty_give(op, tx, &duty));
    return store_node_end(op, tx, &self);
}

/* ---------------------------------------------------------------------------------------------------------- board */

struct node_board {
    pthread_mutex_t lock;
    struct node_life life;
};

struct node_board *node_board_new(void)
{
    struct node_board *board = calloc(1, sizeof *board);
    if (!board)
        abort();
    pthread_mutex_init(&board->lock, NULL);
    return board;
}

void node_board_free(struct node_board *board)
{
    pthread_mutex_destroy(&board->lock);
    free(board);
}

void node_board_set(struct node_board *board, const struct node_life *life)
{
    pthread_mutex_lock(&board->lock);
    if (life->epoch >= board->life.epoch)
        board->life = *life;
    pthread_mutex_unlock(&board->lock);
}

struct node_life node_board_get(struct node_board *board)
{
    pthread_mutex_lock(&board->lock);
    struct node_life life = board->life;
    pthread_mutex_unlock(&board->lock);
    return life;
}
