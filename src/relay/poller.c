/*
 * poller.c - which sources this node reads, from start to stop.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/source_signal.h"
#include "relay/poller_parts.h"
#include "relay/task_runner.h"

#define SWEEP_ARENA_BYTES (64u << 20)
#define SWEEP_PAGE        1000
#define RING_MS           50 /* rings in quick succession are one sweep */

/* ---------------------------------------------------------------------------------------------------------- clock */

static int64_t wall_less_mono_us(struct poller *poller)
{
    return loop_wall_us(poller->config.loop) - loop_now_ms(poller->config.loop) * 1000;
}

int64_t poller_now_us(struct poller *poller)
{
    int64_t by_us = wall_less_mono_us(poller) - poller->wall_less_mono_us;
    if (by_us > POLLER_STEP_US || by_us < -POLLER_STEP_US) {
        poller->wall_less_mono_us += by_us;
        log_warn("the clock stepped", LOG_INT("seconds", by_us / 1000000));
        for (struct polled *source = poller->sources; source; source = source->next)
            polled_stepped(source, by_us);
    }
    return loop_wall_us(poller->config.loop);
}

/* ----------------------------------------------------------------------------------------------------------- busy */

void poller_busy(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    poller->busy++;
    pthread_mutex_unlock(&poller->lock);
}

void poller_idle(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    assert(poller->busy > 0);
    if (--poller->busy == 0)
        pthread_cond_broadcast(&poller->is_idle);
    pthread_mutex_unlock(&poller->lock);
}

void *poller_post_new(struct poller *poller, size_t bytes, size_t arena_bytes)
{
    struct arena *arena = arena_new(arena_bytes);
    struct post *post = arena_alloc(arena, bytes);
    assert(post); /* the arena is larger than any of our structs */
    op_init(&post->op, arena, poller_now_us(poller));
    loop_adopt(poller->config.loop, post);
    poller_busy(poller);
    return post;
}

void poller_post_free(struct poller *poller, struct post *post)
{
    arena_free(post->op.arena);
    poller_idle(poller);
}

/* ---------------------------------------------------------------------------------------------------------- sweep */

struct swept {
    uint32_t no;
    struct str id;
    uint64_t version;
    bool is_polled;
    int64_t newest_sent_us;
};

struct sweep {
    struct post post; /* first */
    struct poller *poller;
    struct swept *sources;
    size_t count, room;
};

static enum err sweep_one(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    struct sweep *sweep = arg;
    if (sweep->count == sweep->room) {
        struct swept *wider;
        size_t room = sweep->room ? 2 * sweep->room : 64;
        TRY(op_alloc(op, room * sizeof *wider, &wider));
        if (sweep->count)
            memcpy(wider, sweep->sources, sweep->count * sizeof *wider);
        sweep->sources = wider;
        sweep->room = room;
    }
    struct swept *swept = &sweep->sources[sweep->count++];
    *swept = (struct swept){ row->no, row->id, row->version, source_config_is_polled(row), STORE_NO_INSTANT };
    return store_source_newest_mailing(op, tx, row->tenant_no, &swept->newest_sent_us);
}

static enum err sweep_read(struct post *post)
{
    struct sweep *sweep = (struct sweep *)post;
    size_t before;
    do {
        before = sweep->count;
        struct str after = before ? sweep->sources[before - 1].id : (struct str){ NULL, 0 };
        TRY(store_source_each(&post->op, post->tx, after, SWEEP_PAGE, sweep_one, sweep));
    } while (sweep->count == before + SWEEP_PAGE);
    return OK;
}

/* Numbers are handed out one after the other, so an array finds a source at once. */
static struct polled **place_of(struct poller *poller, uint32_t no)
{
    if (no >= poller->by_no_room) {
        size_t room = no + 64;
        poller->by_no = realloc(poller->by_no, room * sizeof *poller->by_no);
        if (!poller->by_no)
            abort();
        memset(poller->by_no + poller->by_no_room, 0, (room - poller->by_no_room) * sizeof *poller->by_no);
        poller->by_no_room = room;
    }
    return &poller->by_no[no];
}

static void sweep_source(struct poller *poller, const struct swept *swept)
{
    struct polled **place = place_of(poller, swept->no), *source = *place;
    if (!source) {
        *place = source = polled_new(poller, swept->no, swept->id);
        source->next = poller->sources;
        poller->sources = source;
    }
    if (!swept->is_polled && !source->machine)
        return;
    if (!source->machine || source->version != swept->version) {
        polled_load(source);
        return;
    }
    source_news(source->machine, swept->newest_sent_us, poller_now_us(poller));
    polled_drive(source);
}

static enum err sweep_done(struct post *post)
{
    struct sweep *sweep = (struct sweep *)post;
    struct poller *poller = sweep->poller;
    poller->is_sweeping = false;
    if (post->err != OK)
        log_warn("the list of sources could not be read", LOG_ERROR_OF(&post->op));
    for (size_t i = 0; post->err == OK && !poller->is_stopping && i < sweep->count; i++)
        sweep_source(poller, &sweep->sources[i]);
    bool is_again = poller->is_rung && !poller->is_stopping;
    if (!poller->is_stopping)
        loop_timer_set(poller->config.loop, &poller->sweep_timer,
                       is_again          ? RING_MS
                       : post->err == OK ? POLLER_SWEEP_MS
                                         : POLLER_AGAIN_MS);
    poller_post_free(poller, post);
    return OK;
}

static const struct hop sweep_route[] = {
    { sweep_read, THREAD_READER },
    { sweep_done, THREAD_CALLER },
    { 0 },
};

static void sweep_start(struct poller *poller)
{
    if (poller->is_stopping)
        return;
    poller->is_sweeping = true;
    poller->is_rung = false;
    struct sweep *sweep = poller_post_new(poller, sizeof *sweep, SWEEP_ARENA_BYTES);
    sweep->poller = poller;
    sweep->post.hop = sweep_route;
    post_send(&sweep->post);
}

static void sweep_due(struct timer *timer)
{
    sweep_start((struct poller *)((char *)timer - offsetof(struct poller, sweep_timer)));
}

/* ----------------------------------------------------------------------------------------------------------- ring */

static void rung(struct errand *errand)
{
    struct poller *poller = (struct poller *)((char *)errand - offsetof(struct poller, ring));
    atomic_store(&poller->is_ringing, false);
    poller->is_rung = true;
    task_runner_wake(poller->tasks);
    if (!poller->is_sweeping && !poller->is_stopping)
        loop_timer_set(poller->config.loop, &poller->sweep_timer, 0);
}

/* Any thread. One errand is enough for all rings until it has run. */
static void ring(void *context)
{
    struct poller *poller = context;
    if (!atomic_exchange(&poller->is_ringing, true))
        loop_send(poller->config.loop, &poller->ring);
}

/* -------------------------------------------------------------------------------------------------- start and stop */

static void begin(void *data)
{
    struct poller *poller = data;
    poller->wall_less_mono_us = wall_less_mono_us(poller);
    poller->sweep_timer.run = sweep_due;
    poller->tasks = task_runner_start(poller);
    sweep_start(poller);
    watch_start(poller);
}

struct poller *poller_start(const struct poller_config *config)
{
    struct poller *poller = calloc(1, sizeof *poller);
    if (!poller)
        abort();
    poller->config = *config;
    poller->ring.run = rung;
    pthread_mutex_init(&poller->lock, NULL);
    pthread_cond_init(&poller->is_idle, NULL);
    loop_call(config->loop, begin, poller);
    source_signal_install(ring, poller);
    return poller;
}

struct shown {
    struct poller *poller;
    const struct agent_list *agents;
    const struct cidr_list *networks;
};

static void show(void *data)
{
    const struct shown *shown = data;
    shown->poller->config.agents = shown->agents;
    shown->poller->config.networks = shown->networks;
}

void poller_lists(struct poller *poller, const struct agent_list *agents, const struct cidr_list *networks)
{
    struct shown shown = { poller, agents, networks };
    loop_call(poller->config.loop, show, &shown);
}

static void end(void *data)
{
    struct poller *poller = data;
    poller->is_stopping = true;
    loop_timer_clear(poller->config.loop, &poller->sweep_timer);
    watch_stop(poller);
    task_runner_stop(poller->tasks);
    for (struct polled *source = poller->sources; source; source = source->next)
        polled_stop(source);
}

static void give_leases(void *data)
{
    struct poller *poller = data;
    for (struct polled *source = poller->sources; source; source = source->next)
        polled_give(source);
}

static void last_turn(void *data)
{
    (void)data;
}

static void wait_idle(struct poller *poller)
{
    pthread_mutex_lock(&poller->lock);
    while (poller->busy > 0)
        pthread_cond_wait(&poller->is_idle, &poller->lock);
    pthread_mutex_unlock(&poller->lock);
}

void poller_stop(struct poller *poller)
{
    source_signal_install(NULL, NULL);
    loop_call(poller->config.loop, end, poller);
    wait_idle(poller);
    loop_call(poller->config.loop, give_leases, poller);
    wait_idle(poller);
    /* A ring on its way runs before this call: errands run in the order sent. */
    loop_call(poller->config.loop, last_turn, poller);
    task_runner_free(poller->tasks);
    while (poller->sources) {
        struct polled *source = poller->sources;
        poller->sources = source->next;
        polled_free(source);
    }
    poll_hosts_free(&poller->hosts);
    free(poller->by_no);
    pthread_cond_destroy(&poller->is_idle);
    pthread_mutex_destroy(&poller->lock);
    free(poller);
}
