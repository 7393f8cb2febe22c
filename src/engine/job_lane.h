/*
 * job_lane.h - the window of one lane: the first places of its rows, in order.
 *
 * For job_lanes.c only, which has the lanes of a queue and their turns. Places
 * are taken at the head and come at the end; one that comes back goes where its
 * number says.
 */
#pragma once

#include "engine/job_lanes.h"

struct lane {
    uint64_t key;
    struct lane *hash_next;
    struct lane *next, *prev; /* of the ring; NULL = not in it */
    struct lane_place *places;
    uint32_t head, count, room; /* places[head .. head + count - 1], no wrapping */
    uint64_t last;              /* every row up to this place is in the window or gone */
    size_t heap_place;          /* by its head; 0 = the window is empty */
    bool complete;              /* and there is none behind it */
    bool capped;
    int64_t credit;
};

/* The first place; the window is not empty. */
static inline const struct lane_place *lane_head(const struct lane *lane)
{
    return &lane->places[lane->head];
}

/* It is taken, or given up. */
static inline void lane_pop(struct lane *lane)
{
    lane->count--;
    lane->head = lane->count ? lane->head + 1 : 0;
}

/* At the end; behind all that came before. */
void lane_append(struct lane *lane, const struct lane_place *place);

/* Where it belongs. */
void lane_insert(struct lane *lane, const struct lane_place *place);

/* False: it is not in the window. */
bool lane_remove(struct lane *lane, uint64_t ord);

/* Ids of the first jobs, at most max; returns how many. */
size_t lane_peek(const struct lane *lane, size_t max, uint64_t *ret_ids);
