#include "engine/job_walk.h"

#include <assert.h>

#include "store/store_aside.h"
#include "store/store_job.h"
#include "store/store_lease.h"
#include "store/store_ready.h"

static enum err walk_timers(struct op *op, struct tx *tx, enum timer_kind kind, const struct job_place *behind, int max,
                            struct job_step *ret, int *ret_count)
{
    struct timer_row rows[JOB_WALK_MAX], from = { behind->a, (uint64_t)behind->b };
    TRY(store_timer_walk(op, tx, kind, &from, INT64_MAX, max, rows, ret_count));
    for (int i = 0; i < *ret_count; i++)
        ret[i] = (struct job_step){ rows[i].id, { .a = rows[i].due_us, .b = (int64_t)rows[i].id } };
    return OK;
}

static enum err walk_dead(struct op *op, struct tx *tx, const struct job_place *behind, int max, struct job_step *ret,
                          int *ret_count)
{
    struct dead_row rows[JOB_WALK_MAX], from = { behind->a, (uint64_t)behind->b, 0 };
    TRY(store_dead_walk(op, tx, &from, max, rows, ret_count));
    for (int i = 0; i < *ret_count; i++)
        ret[i] = (struct job_step){ rows[i].id, { .a = rows[i].at_us, .b = (int64_t)rows[i].id } };
    return OK;
}

static enum err walk_blocked(struct op *op, struct tx *tx, const struct job_place *behind, int max,
                             struct job_step *ret, int *ret_count)
{
    struct blocked_row rows[JOB_WALK_MAX], from = { (uint64_t)behind->a, (uint64_t)behind->b, 0 };
    TRY(store_blocked_walk(op, tx, &from, false, max, rows, ret_count));
    for (int i = 0; i < *ret_count; i++)
        ret[i] = (struct job_step){ rows[i].id, { .a = (int64_t)rows[i].gate, .b = (int64_t)rows[i].ord } };
    return OK;
}

static enum err walk_leased(struct op *op, struct tx *tx, const struct job_place *behind, int max, struct job_step *ret,
                            int *ret_count)
{
    struct lease_row *rows;
    size_t n;
    TRY(store_lease_walk(op, tx, (uint64_t)behind->a, max, &rows, &n));
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct job_step){ rows[i].id, { .a = (int64_t)rows[i].id } };
    *ret_count = (int)n;
    return OK;
}

static enum err walk_all(struct op *op, struct tx *tx, const struct job_place *behind, int max, struct job_step *ret,
                         int *ret_count)
{
    struct job_row *rows;
    size_t n;
    TRY(store_job_walk(op, tx, (uint64_t)behind->a, max, &rows, &n));
    for (size_t i = 0; i < n; i++)
        ret[i] = (struct job_step){ rows[i].id, { .a = (int64_t)rows[i].id } };
    *ret_count = (int)n;
    return OK;
}

/* A place is (queue, level, key, ord). */
static enum err walk_ready(struct op *op, struct tx *tx, const struct job_walk *walk, const struct job_place *behind,
                           int max, struct job_step *ret, int *ret_count)
{
    struct ready_row rows[JOB_WALK_MAX];
    struct job_place at = *behind;
    *ret_count = 0;
    if (at.a < walk->first_queue)
        at = (struct job_place){ .a = walk->first_queue, .b = -1 };
    for (; at.a <= walk->last_queue && *ret_count < max; at = (struct job_place){ .a = at.a + 1, .b = -1 }) {
        struct ready_row from = { (uint32_t)at.a, (int)at.b, (uint64_t)at.c, (uint64_t)at.d, 0 };
        int n;
        TRY(store_ready_walk(op, tx, &from, max - *ret_count, rows, &n));
        for (int i = 0; i < n; i++)
            ret[(*ret_count)++] = (struct job_step){
                rows[i].job ? rows[i].job : rows[i].ord,
                { at.a, rows[i].level, (int64_t)rows[i].key, (int64_t)rows[i].ord },
            };
    }
    return OK;
}

enum err job_walk(struct op *op, struct tx *tx, const struct job_walk *walk, const struct job_place *behind, int max,
                  struct job_step *ret, int *ret_count)
{
    assert(max > 0 && max <= JOB_WALK_MAX && walk->state != JOB_DONE);
    switch (walk->state) {
    case JOB_SCHEDULED:
        return walk_timers(op, tx, TIMER_SCHEDULED, behind, max, ret, ret_count);
    case JOB_RETRY:
        return walk_timers(op, tx, TIMER_RETRY, behind, max, ret, ret_count);
    case JOB_READY:
        return walk_ready(op, tx, walk, behind, max, ret, ret_count);
    case JOB_LEASED:
        return walk_leased(op, tx, behind, max, ret, ret_count);
    case JOB_BLOCKED:
        return walk_blocked(op, tx, behind, max, ret, ret_count);
    case JOB_DEAD:
        return walk_dead(op, tx, behind, max, ret, ret_count);
    case JOB_DONE:
    case JOB_NONE:
        break;
    }
    return walk_all(op, tx, behind, max, ret, ret_count);
}
