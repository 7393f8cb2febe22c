#include "main/keeper.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/queue.h"
#include "base/thread.h"
#include "engine/keep.h"
#include "main/settle.h"

#define KEEPER_BYTES_MAX (32u << 20)

struct keeper {
    struct store *store;
    struct node_board *nodes;
    struct thread thread;
    struct mailbox sleep; /* gets no mail: nudged to wake up */
    atomic_bool stop;
    struct op op;
    int64_t check_at_ms, worked_from_us;
};

static bool rest(struct keeper *keeper, int64_t ms)
{
    if (!atomic_load(&keeper->stop) && ms > 0)
        mailbox_wait(&keeper->sleep, ms * 1000);
    return !atomic_load(&keeper->stop);
}

static void op_again(struct keeper *keeper)
{
    arena_reset(keeper->op.arena);
    op_init(&keeper->op, keeper->op.arena, clock_wall_us());
}

/* --- what is old ----------------------------------------------------------- */

struct step {
    struct node_life life;
    struct keep_result result;
};

static enum err step_run(struct op *op, struct tx *tx, void *arg)
{
    struct step *step = arg;
    struct duty lead = node_lead(&step->life);
    TRY(store_duty_check(op, tx, &lead));
    return keep_step(op, tx, &step->result);
}

static void keep_all(struct keeper *keeper)
{
    struct step step;
    int64_t parked_gone = 0;
    do {
        step = (struct step){ .life = node_board_get(keeper->nodes) };
        op_again(keeper);
        /* A store that cannot write says so itself, another leader goes on by itself; the next minute tries again. */
        if (step.life.term == 0 || settle(&keeper->op, step_run, &step) != OK)
            break;
        parked_gone += step.result.parked_gone;
    } while (step.result.more && rest(keeper, KEEPER_PAUSE_MS));
    if (parked_gone)
        log_warn("reports were thrown away that waited too long for their message", LOG_INT("count", parked_gone));
}

/* --- counting again --------------------------------------------------------- */

static bool leads(struct keeper *keeper)
{
    return node_board_get(keeper->nodes).term != 0;
}

/* Rests as long as its share asks for. */
static bool check_pause(void *data)
{
    struct keeper *keeper = data;
    int64_t worked_us = clock_mono_us() - keeper->worked_from_us;
    bool goes_on = rest(keeper, worked_us * KEEPER_REST / 1000 + 1) && leads(keeper);
    keeper->worked_from_us = clock_mono_us();
    return goes_on;
}

static int64_t check_clock_us(void *data)
{
    (void)data;
    return clock_mono_us();
}

static void check_all(struct keeper *keeper)
{
    const struct keep_pace pace = { .pause = check_pause, .mono_us = check_clock_us, .data = keeper };
    int64_t differ;
    op_again(keeper);
    keeper->worked_from_us = clock_mono_us();
    if (keep_recount(&keeper->op, keeper->store, &pace, &differ) != OK)
        log_warn("the counters could not be counted again", LOG_ERROR_OF(&keeper->op));
}

/* --- the thread -------------------------------------------------------------- */

static void keeper_run(void *context)
{
    struct keeper *keeper = context;
    while (rest(keeper, KEEPER_EVERY_MS)) {
        keep_all(keeper);
        int64_t now_ms = clock_mono_us() / 1000;
        if (now_ms < keeper->check_at_ms || atomic_load(&keeper->stop) || !leads(keeper))
            continue;
        check_all(keeper);
        keeper->check_at_ms = clock_mono_us() / 1000 + KEEPER_CHECK_MS;
    }
}

enum err keeper_start(struct op *op, struct store *store, struct node_board *nodes, struct keeper **ret_keeper)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        abort();
    keeper->store = store;
    keeper->nodes = nodes;
    keeper->check_at_ms = clock_mono_us() / 1000 + KEEPER_FIRST_MS;
    mailbox_init(&keeper->sleep, 1, NULL, NULL);
    keep_declare();
    op_init(&keeper->op, arena_new(KEEPER_BYTES_MAX), 0);
    enum err err = thread_start(op, &keeper->thread, "keeper", keeper_run, keeper);
    if (err != OK) {
        arena_free(keeper->op.arena);
        free(keeper);
        return err;
    }
    *ret_keeper = keeper;
    return OK;
}

void keeper_stop(struct keeper *keeper)
{
    atomic_store(&keeper->stop, true);
    mailbox_nudge(&keeper->sleep);
    thread_join(&keeper->thread);
    arena_free(keeper->op.arena);
    free(keeper);
}
