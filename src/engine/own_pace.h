/*
 * own_pace.h - how much of our own work one step does, and how long it rests after it.
 *
 *     people asked for it             4 ms a step, of the time what the budget says
 *     rows that nobody needs go       the same, half of the time (job_sweep.c)
 *     others keep the writer busy     8 ms a step, 0.8 % of the time (docs/adr/0018, 0030, 0040)
 *     housekeeping                    500 rows; twice as many behind a chunk under 10 ms, half as many behind one
 *                                     above 20 ms, 50 to 1,000 (KEEP-5)
 *
 * Beyond 50 ms a chunk has broken its bound, and the next one is cut to what fits, below 50 rows if need be.
 * Reads no clock: whoever runs the steps says what the last one took.
 */
#pragma once

#include "base/str.h"

struct own_pace {
    bool is_keep; /* housekeeping */
    int rows;     /* of the next step */
};

/* For the first step of a job of this queue. */
struct own_pace own_pace_begin(struct str queue);

/* Do others keep the writer busy: they changed something so often in a time, and a hundred times a second is often. Of
 * a long time the last second counts, as if all had come in it. */
bool own_pace_is_crowded(uint64_t commands, int64_t in_ms);

/* Are others there, as the counter of all commands says it. For each who takes steps; all zero at first. */
struct own_crowd {
    uint64_t own, others; /* commands: one's own; all others, when last looked at */
    int64_t looked_ms;
    bool is_there;
};

/* Behind each of one's own commands that was stored. Looks every tenth of a second, else says what it said before. */
bool own_crowd_look(struct own_crowd *crowd, uint64_t commands, int64_t now_ms);

/* Behind a step; is_crowded: others keep the writer busy. */
void own_pace_took(struct own_pace *pace, int64_t took_us, bool is_crowded);

/* Behind one that failed: half as many. */
void own_pace_failed(struct own_pace *pace);

/* Milliseconds until the next step, so that steps take at most this share of the time: at least as long as the step
 * took while the share is one half. */
int64_t own_pace_rest_ms(int64_t took_us, int64_t share_ppm, bool is_crowded);
