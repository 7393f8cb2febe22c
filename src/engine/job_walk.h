/*
 * job_walk.h - along the rows of a state, page by page, for lists and for actions on many.
 *
 * Jobs of a state lie in narrow rows of their own, each kind in its own order. A
 * place says how far somebody came along one of them; what its numbers mean is
 * the kind's business, and both the cursor of a list and the bookmark of a bulk
 * action carry it outside and back.
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

#define JOB_WALK_MAX 500 /* rows of one page */

/* All zero = before the first row, of every kind; timers and dead jobs may lie before the year 1970: a = INT64_MIN. */
struct job_place {
    int64_t a, b, c, d;
};

struct job_walk {
    enum job_state state;             /* JOB_NONE: along all jobs but those that are done, in the order of their ids */
    uint32_t first_queue, last_queue; /* JOB_READY: its rows lie queue after queue */
};

struct job_step {
    uint64_t id;
    struct job_place at;
};

/* At most max rows behind `behind`; fewer than max mean that none is left. Not for JOB_DONE. */
enum err job_walk(struct op *op, struct tx *tx, const struct job_walk *walk, const struct job_place *behind, int max,
                  struct job_step *ret, int *ret_count);

/* Instants in the places of jobs: when a dead one died (wall), the place of a ready one in its lane. */
static inline int64_t job_place_died_us(const struct job_place *at)
{
    return at->a;
}

static inline uint64_t job_place_ord(const struct job_place *at)
{
    return (uint64_t)at->d;
}
