/*
 * click_follow.h - how the store follows the journal of clicks: how many at once, and when.
 *
 * Large commands cost less a click, but others wait for the writer as long as
 * one takes; so they grow while they are quick. And right after a mailing went
 * out readers come faster than any store takes their clicks. The journal has
 * room for that, and what people then wait for is the processor, so the store
 * rests nine tenths of the time and follows when the burst is over:
 *
 *     while one command stored n clicks, more than n / 2 came    a burst: rest nine times as long as it took,
 *                                                                or two seconds where others want the writer
 *     somebody waits to read, or the journal fills               no rest
 *
 * Thread: owned by its line's loop, no lock; it reads no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOLLOW_MOST     8192 /* clicks of one command, while that is quick, */
#define FOLLOW_FEW      2048 /* otherwise, */
#define FOLLOW_MIN      192  /* and while others want the writer, too */
#define FOLLOW_QUICK_MS 50   /* what is quick; */
#define FOLLOW_LONG_MS  100  /* above it the next one is smaller */
#define FOLLOW_REST     9    /* as long as a command took, in a burst */
#define FOLLOW_REST_MS  2000 /* at most, and beside others always */

struct click_follow {
    size_t most;      /* clicks of the next command */
    int64_t sent_ms;  /* when the newest command left, */
    uint64_t newest;  /* and the newest click then */
    int64_t until_ms; /* it rests until then */
};

void click_follow_init(struct click_follow *follow);

/* A command leaves; `newest` is the number of the newest click that has come. */
void click_follow_sent(struct click_follow *follow, uint64_t newest, int64_t now_ms);

/* It is back, and has stored so many; crowded: others wanted the writer, too. */
void click_follow_back(struct click_follow *follow, size_t count, bool crowded, uint64_t newest, int64_t now_ms);

/* Rests no longer. */
void click_follow_hurry(struct click_follow *follow);

/* Milliseconds to rest from now on; 0: the next command may leave. */
int64_t click_follow_wait(const struct click_follow *follow, int64_t now_ms);
