/*
 * poll_source.c - one source of the poller: its machine is asked what to do, in turn with others of its host. Its lease
 * is poll_lease.c, its requests are poll_trip.c.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "relay/poller_parts.h"

/* ---------------------------------------------------------------------------------------------------------- drive */

static void wake_at(struct polled *source, int64_t wake_us, int64_t now_us)
{
    struct loop *loop = source->poller->config.loop;
    if (wake_us == INT64_MAX) {
        loop_timer_clear(loop, &source->timer);
        return;
    }
    int64_t delay_ms = (wake_us - now_us + 999) / 1000;
    loop_timer_set(loop, &source->timer, delay_ms > 0 ? delay_ms : 0);
}

/* Takes answers, posts saves, and stands in line when a page is wanted. */
static void drive_one(struct polled *source)
{
    struct source_todo todo;
    int64_t now_us = poller_now_us(source->poller);
    polled_take_held(source);
    for (;;) {
        source_next(source->machine, now_us, &todo);
        if (todo.step != SOURCE_SAVE)
            break;
        polled_save(source, &todo.save);
    }
    assert(todo.step == SOURCE_WAIT); /* it is held: pages are asked for in turn only */
    if (todo.wants_page)
        poll_host_queue(source->host, &source->turn);
    wake_at(source, todo.wake_us, now_us);
}

/* A source's turn: one page. */
static void take_turn(struct polled *source)
{
    struct source_todo todo = { .step = SOURCE_WAIT };
    source_hold(source->machine, !source->is_polled || source_is_fenced(source->machine));
    source_next(source->machine, poller_now_us(source->poller), &todo);
    source_hold(source->machine, true);
    if (todo.step == SOURCE_FETCH) {
        polled_fetch(source, &todo.request);
        return;
    }
    source->host->under_way--;
    if (todo.step == SOURCE_SAVE)
        polled_save(source, &todo.save);
}

/* Gives free slots of a host to those in line. */
void poller_pump(struct poller *poller, struct poll_host *host)
{
    struct poll_turn *turn;
    while (!poller->is_stopping && (turn = poll_host_take(host, POLLER_HOST_MAX))) {
        struct polled *source = (struct polled *)turn;
        take_turn(source);
        if (source->is_polled)
            drive_one(source);
    }
}

void polled_stepped(struct polled *source, int64_t by_us)
{
    if (source->machine)
        source_stepped(source->machine, by_us);
    for (struct trip *trip = source->under_way; trip; trip = trip->next)
        trip->asked_us += by_us;
    for (struct trip *trip = source->held; trip; trip = trip->next)
        trip->asked_us += by_us;
}

/* Keeps what is in hand, and gives the lease back when nothing is. */
static void leave_on(struct polled *source)
{
    polled_take_held(source);
    if (!source_is_quiet(source->machine) || source->held || source->is_given)
        return;
    source->is_given = true;
    loop_timer_clear(source->poller->config.loop, &source->renew_timer);
    polled_post_give(source);
}

void polled_leave(struct polled *source)
{
    if (source->is_leaving || source->is_loading || !source->machine)
        return;
    log_info("a source is left to another node", LOG_TEXT("source", source->id));
    source->is_leaving = true;
    source->is_given = false;
    source_hold(source->machine, true);
    loop_timer_clear(source->poller->config.loop, &source->timer);
    poll_host_leave(source->host, &source->turn);
    leave_on(source);
}

void polled_drive(struct polled *source)
{
    if (source->poller->is_stopping || !source->machine)
        return;
    if (source->is_leaving) {
        leave_on(source);
        return;
    }
    if (source_is_fenced(source->machine))
        return;
    if (source->is_polled)
        drive_one(source);
    else
        polled_take_held(source); /* its key was taken away: what is under way is still kept */
    poller_pump(source->poller, source->host);
}

bool polled_is_held(const struct polled *source)
{
    return source->is_loading || (source->machine && !source_is_fenced(source->machine));
}

static void polled_wake(struct timer *timer)
{
    struct polled *source = (struct polled *)((char *)timer - offsetof(struct polled, timer));
    if (!source->machine || source_is_fenced(source->machine))
        polled_load(source);
    else
        polled_drive(source);
}

/* ----------------------------------------------------------------------------------------------------------- stop */

struct polled *polled_new(struct poller *poller, uint32_t no, struct str id)
{
    struct polled *source = calloc(1, sizeof *source);
    if (!source || !(source->id = strndup(id.p, id.n)))
        abort();
    source->poller = poller;
    source->no = no;
    source->timer.run = polled_wake;
    source->renew_timer.run = polled_renew;
    return source;
}

void polled_stop(struct polled *source)
{
    struct loop *loop = source->poller->config.loop;
    loop_timer_clear(loop, &source->timer);
    loop_timer_clear(loop, &source->renew_timer);
    for (struct trip *trip = source->under_way; trip; trip = trip->next)
        http_fetch_cancel(&trip->fetch);
    while (source->held) {
        struct trip *trip = source->held;
        source->held = trip->next;
        trip_free(trip);
    }
}

void polled_give(struct polled *source)
{
    if (source->epoch)
        polled_post_give(source);
}

void polled_free(struct polled *source)
{
    source_free(source->machine);
    if (source->account_arena)
        arena_free(source->account_arena);
    free(source->id);
    free(source);
}
