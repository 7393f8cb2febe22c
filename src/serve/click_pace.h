/*
 * click_pace.h - how fast clicks may enter a journal that the store does not keep up with, or that others stand beside.
 *
 * Left alone such a journal fills, and then clicks wait for room, which comes
 * by whole commands of the writer: hundreds of places at once, then none for
 * some ten milliseconds. So from `easy` clicks on they enter one by one, ever
 * more slowly:
 *
 *     in the journal    up to easy    easy + span            easy + 2 * span
 *     a click takes     nothing       as long as the store   twice as long ...
 *
 * A journal under load settles at easy + span, everybody waits about the same,
 * and the rest of it is there for a store that stalls.
 *
 * Beside others who lack processors (click_beside.h) so many a second enter, however little is in it.
 *
 * Thread: owned by its line's loop, no lock; it reads no clock.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct click_pace {
    size_t easy;       /* clicks that may be in the journal and slow nobody, */
    size_t span;       /* and how many more of them take what the store takes */
    int64_t each_us;   /* that the store takes for a click of late, in sixteenths; 0 = not known */
    int64_t stored_ms; /* when some were stored last; 0 = the store had caught up since */
    int64_t per_s;     /* at most so many enter a second; 0 = no limit */
    int64_t next_us;   /* when the next one may enter */
};

void click_pace_init(struct click_pace *pace, size_t easy, size_t span);

/* The store has taken so many; behind: there are more for it. */
void click_pace_stored(struct click_pace *pace, size_t count, bool behind, int64_t now_ms);

/* From now on at most so many a second enter; 0: no limit. */
void click_pace_limit(struct click_pace *pace, int64_t per_s);

/* Lets `count` enter, `used` being in the journal. Returns 0, or the milliseconds to wait before asking again. */
int64_t click_pace_take(struct click_pace *pace, size_t used, size_t count, int64_t now_ms);
