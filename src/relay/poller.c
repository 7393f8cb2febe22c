/*
 * poller.c - from start to stop, and who rings meanwhile. Which sources it reads: poll_sweep.c.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/source_signal.h"
#include "relay/poller_parts.h"
#include "relay/task_runner.h"

/* ------------------------------------------------------------------------------------------------------------ clock */

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

/* ------------------------------------------------------------------------------------------------------------ posts */

void *poller_post_new(struct poller *poller, size_t bytes, size_t arena_bytes)
{
    return busy_post_new(&poller->busy, poller->config.loop, poller_now_us(poller), bytes, arena_bytes);
}

void poller_post_free(struct poller *poller, struct post *post)
{
    busy_post_free(&poller->busy, post);
}

/* ------------------------------------------------------------------------------------------------------------- ring */

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

/* --------------------------------------------------------------------------------------------------- start and stop */

static void begin(void *data)
{
    struct poller *poller = data;
    poller->wall_less_mono_us = wall_less_mono_us(poller);
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
    busy_init(&poller->busy);
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

void poller_stop(struct poller *poller)
{
    source_signal_install(NULL, NULL);
    loop_call(poller->config.loop, end, poller);
    (void)busy_wait(&poller->busy, -1);
    loop_call(poller->config.loop, give_leases, poller);
    (void)busy_wait(&poller->busy, -1);
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
    busy_done(&poller->busy);
    free(poller);
}
