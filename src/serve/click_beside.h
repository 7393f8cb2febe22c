/*
 * click_beside.h - how many clicks may enter the journal beside others who lack processors.
 *
 * Clicks of the journal need no writer, so they come as fast as a processor
 * answers them. Where processors are few, those who store jobs and events then
 * wait for one longer than they run. So while that is so the loops of redirects
 * keep to their part of the machine:
 *
 *     others change something a hundred times a second, and whoever runs
 *     their groups stands in line a tenth of the time       BESIDE_PERCENT of all processors
 *     else                                                  as many as come
 *
 * A click is counted with what it cost the loops of late, in processor time.
 * Alone clicks are never slowed, nor is anybody where a processor is idle.
 *
 * Thread: owned by its line's home loop, no lock; it reads no clock.
 */
#pragma once

#include <stdint.h>

#define BESIDE_PERCENT     12
#define BESIDE_CLICK_US    30   /* the most that a click is counted with: loops do other work, too */
#define BESIDE_LOOK_MS     50   /* between two looks, at least, */
#define BESIDE_LOOK_MS_MAX 1000 /* and what is older says nothing */

/* Sums since the beginning, and how many processors there are. */
struct click_look {
    int64_t at_ms;
    int64_t ran_us;            /* by the loops that answer clicks */
    int64_t queued_us;         /* by those who run the writer's groups */
    uint64_t clicks, commands; /* which came; which others had stored */
    int64_t processors;
};

struct click_beside {
    struct click_look last;
    int64_t per_s;
};

/* Returns how many clicks a second may enter; 0: all that come. */
int64_t click_beside_look(struct click_beside *beside, const struct click_look *look);
