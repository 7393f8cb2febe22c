#include "net/timer.h"

static bool timer_before(const void *one, const void *other)
{
    const struct timer *a = one, *b = other;
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

static const struct heap_kind by_due = { offsetof(struct timer, place), timer_before };

void timers_init(struct timers *timers)
{
    *timers = (struct timers){ 0 };
}

void timers_done(struct timers *timers)
{
    heap_free(&timers->heap);
    *timers = (struct timers){ 0 };
}

void timers_set(struct timers *timers, struct timer *timer, int64_t due_ms)
{
    timer->due_ms = due_ms;
    timer->order = timers->orders++;
    heap_settle(&timers->heap, &by_due, timer);
}

void timers_clear(struct timers *timers, struct timer *timer)
{
    heap_remove(&timers->heap, &by_due, timer);
}

struct timer *timers_take_due(struct timers *timers, int64_t now_ms, uint64_t newer)
{
    struct timer *first = heap_first(&timers->heap);
    if (!first || first->due_ms > now_ms || first->order >= newer)
        return NULL;
    timers_clear(timers, first);
    return first;
}

int64_t timers_next_ms(const struct timers *timers)
{
    const struct timer *first = heap_first(&timers->heap);
    return first ? first->due_ms : INT64_MAX;
}
