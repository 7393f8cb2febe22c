/*
 * timer.h - who is due next (base/heap.h).
 *
 * A timer is embedded in what it wakes and needs no closing: cleared, it is
 * forgotten. The heap reads no clock; the loop passes now_ms. Timers of the
 * same millisecond run in the order they were set.
 *
 * Thread: owned by its loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"

struct timer {
    int64_t due_ms;
    uint64_t order; /* of setting, decides between equal times */
    size_t place;   /* in the heap; 0 = not set */
    void (*run)(struct timer *timer);
};

struct timers {
    struct heap heap;
    uint64_t orders;
};

void timers_init(struct timers *timers);
void timers_done(struct timers *timers);

/* The timer becomes due at due_ms; one that is set already moves. */
void timers_set(struct timers *timers, struct timer *timer, int64_t due_ms);

/* Forgets the timer; nothing happens when it is not set. */
void timers_clear(struct timers *timers, struct timer *timer);

/* Takes the next timer with due_ms <= now_ms out of the heap; NULL when none is due. Timers with an order of `newer` or
 * above wait, so that a timer which sets itself again to "now" cannot hold its loop for ever. */
struct timer *timers_take_due(struct timers *timers, int64_t now_ms, uint64_t newer);

/* When the next timer is due, INT64_MAX without any. */
int64_t timers_next_ms(const struct timers *timers);

static inline bool timer_is_set(const struct timer *timer)
{
    return timer->place != 0;
}
