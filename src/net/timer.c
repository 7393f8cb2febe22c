#include "net/timer.h"

#include <assert.h>
#include <stdlib.h>

void timers_init(struct timers *timers)
{
    *timers = (struct timers){ 0 };
}

void timers_done(struct timers *timers)
{
    free(timers->heap);
    *timers = (struct timers){ 0 };
}

static bool timer_before(const struct timer *a, const struct timer *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static void heap_put(struct timers *timers, size_t place, struct timer *timer)
{
    timers->heap[place - 1] = timer;
    timer->place = place;
}

/* Moves the timer from a free place towards the top, as far as it is earlier than its parents. */
static size_t heap_rise(struct timers *timers, size_t place, const struct timer *timer)
{
    while (place > 1 && timer_before(timer, timers->heap[place / 2 - 1])) {
        heap_put(timers, place, timers->heap[place / 2 - 1]);
        place /= 2;
    }
    return place;
}

/* Moves the timer from a free place down, as long as a child is earlier. */
static size_t heap_sink(struct timers *timers, size_t place, const struct timer *timer)
{
    for (;;) {
        size_t child = 2 * place;
        if (child > timers->count)
            return place;
        if (child < timers->count && timer_before(timers->heap[child], timers->heap[child - 1]))
            child++;
        if (!timer_before(timers->heap[child - 1], timer))
            return place;
        heap_put(timers, place, timers->heap[child - 1]);
        place = child;
    }
}

static void heap_settle(struct timers *timers, size_t place, struct timer *timer)
{
    place = heap_rise(timers, place, timer);
    place = heap_sink(timers, place, timer);
    heap_put(timers, place, timer);
}

void timers_set(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    timer->due_ms = due_ms;
    timer->order = timers->orders++;
    if (timer->place) {
        heap_settle(timers, timer->place, timer);
        return;
    }
    if (timers->count == timers->room) {
        timers->room = timers->room ? 2 * timers->room : 16;
        timers->heap = realloc(timers->heap, timers->room * sizeof *timers->heap);
        if (!timers->heap)
            abort(); /* as arenas do: a few bytes per connection cannot be refused */
    }
    timers->count++;
    heap_settle(timers, timers->count, timer);
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    size_t place = timer->place;
    if (!place)
        return;
    assert(place <= timers->count && timers->heap[place - 1] == timer);

    timer->place = 0;
    struct timer *last = timers->heap[timers->count - 1];
    timers->count--;
    if (last != timer)
        heap_settle(timers, place, last);
}

struct timer *timers_take_due(struct timers *timers, int64_t now_ms, uint64_t newer)
{
    if (!timers->count || timers->heap[0]->due_ms > now_ms || timers->heap[0]->order >= newer)
        return NULL;
    struct timer *due = timers->heap[0];
    timers_clear(timers, due);
    return due;
}

int64_t timers_next_ms(const struct timers *timers)
{
    return timers->count ? timers->heap[0]->due_ms : INT64_MAX;
}
