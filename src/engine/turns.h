/*
 * turns.h - who may ask for the next page (stride scheduling, SRC-9).
 *
 * Each lane has a pass value that grows by its stride with every page; the
 * lowest goes first. With weights 6 : 3 : 2 : 1 and work for all, every 12
 * pages hold exactly 6, 3, 2 and 1 of them. A lane without work gives its
 * turns away and does not save them up.
 *
 * A lane may have work and still not be ready, because its own page is under
 * way or being kept. The other live lane takes such a turn at no charge; a
 * recheck or backfill does not, as it would slow the very page waited for. A
 * backfill gets one page in twelve and no more while a live lane has work.
 */
#pragma once

#include "engine/lanes.h"

#define TURNS_PER_BACKFILL 11 /* pages of others between two of a backfill, while a live lane has work */

struct turns {
    int64_t pass[LANE_COUNT];
    int64_t level;             /* pass of the newest turn: lanes that come back start here */
    bool had_work[LANE_COUNT]; /* at the last turn */
    int since_backfill;        /* pages of others since its last one */
};

void turns_init(struct turns *turns);

/* The lane whose turn it is, or LANE_COUNT when nobody may ask now. `has_work` says who has something left to read,
 * `is_ready` who could ask for a page right now: a lane that only waits for its own page keeps its place. */
enum lane turns_next(struct turns *turns, const bool has_work[LANE_COUNT], const bool is_ready[LANE_COUNT]);

/* The same, and counts the turn. */
enum lane turns_take(struct turns *turns, const bool has_work[LANE_COUNT], const bool is_ready[LANE_COUNT]);
