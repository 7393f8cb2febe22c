/*
 * breaker.h - when to leave a handler alone (HAND-3).
 *
 *     closed --10 troubles in a row--> open for 30 s --time--> one probe --well--> closed
 *                                        ^                        |
 *                                        +---trouble: twice as long, at most 10 min
 *
 * Reads no clock. What was under way when it opened may still be heard of: a
 * good answer closes it, trouble says nothing new.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILS  10
#define BREAKER_MS     30000
#define BREAKER_MS_MAX 600000

struct breaker {
    int fails;        /* in a row */
    int64_t open_ms;  /* length of the pause, 0 = closed */
    int64_t until_ms; /* its end */
    bool is_probing;  /* one is out to see */
};

/* Trouble, or a good answer. True when it opened, anew or for longer, or closed. */
bool breaker_heard(struct breaker *breaker, bool is_trouble, int64_t now_ms);

/* How many of so many calls may start now: all, none, or one to see. */
int breaker_allows(const struct breaker *breaker, int calls, int64_t now_ms);

/* Calls have started; the one that is to see may be among them. It was never made: breaker_forget. */
void breaker_began(struct breaker *breaker);
void breaker_forget(struct breaker *breaker);
