#include "engine/turns.h"

/* 12 / weight: the weights are 6 : 3 : 2 : 1. */
static const int64_t turns_stride[LANE_COUNT] = {
    [LANE_OPENS] = 2,
    [LANE_OTHERS] = 4,
    [LANE_RECHECK] = 6,
    [LANE_BACKFILL] = 12,
};

void turns_init(struct turns *turns)
{
    *turns = (struct turns){ .since_backfill = TURNS_PER_BACKFILL };
}

/* A lane that comes back with work starts level with the others: turns it did not need are gone. */
static void turns_welcome(struct turns *turns, const bool has_work[LANE_COUNT])
{
    for (int i = 0; i < LANE_COUNT; i++) {
        if (has_work[i] && !turns->had_work[i] && turns->pass[i] < turns->level)
            turns->pass[i] = turns->level;
        turns->had_work[i] = has_work[i];
    }
}

static bool is_live(int lane)
{
    return lane == LANE_OPENS || lane == LANE_OTHERS;
}

/* Whether a live lane that has work stands before this one. */
static bool is_behind_live(const struct turns *turns, const bool has_work[LANE_COUNT], int lane)
{
    for (int i = 0; i < LANE_COUNT; i++)
        if (is_live(i) && has_work[i] && turns->pass[i] < turns->pass[lane])
            return true;
    return false;
}

static bool any_live(const bool has_work[LANE_COUNT])
{
    return has_work[LANE_OPENS] || has_work[LANE_OTHERS];
}

/* One page in twelve, also when only one live lane has work and would share with it by weight alone. */
static bool is_too_soon(const struct turns *turns, const bool has_work[LANE_COUNT], int lane)
{
    return lane == LANE_BACKFILL && any_live(has_work) && turns->since_backfill < TURNS_PER_BACKFILL;
}

static int lowest(const struct turns *turns, const bool among[LANE_COUNT])
{
    int first = LANE_COUNT;
    for (int i = 0; i < LANE_COUNT; i++)
        if (among[i] && (first == LANE_COUNT || turns->pass[i] < turns->pass[first]))
            first = i;
    return first;
}

enum lane turns_next(struct turns *turns, const bool has_work[LANE_COUNT], const bool is_ready[LANE_COUNT])
{
    turns_welcome(turns, has_work);
    bool may[LANE_COUNT];
    for (int i = 0; i < LANE_COUNT; i++)
        may[i] = is_ready[i] && !is_too_soon(turns, has_work, i) && (is_live(i) || !is_behind_live(turns, has_work, i));
    return (enum lane)lowest(turns, may);
}

enum lane turns_take(struct turns *turns, const bool has_work[LANE_COUNT], const bool is_ready[LANE_COUNT])
{
    bool in_line[LANE_COUNT];
    for (int i = 0; i < LANE_COUNT; i++)
        in_line[i] = has_work[i] && !is_too_soon(turns, has_work, i);
    enum lane first = turns_next(turns, has_work, is_ready);
    if (first != LANE_COUNT)
        turns->since_backfill = first == LANE_BACKFILL ? 0 : turns->since_backfill + 1;
    /* A turn that its owner could not use costs nothing: else the taker would starve later for having been quick. */
    if (first == LANE_COUNT || turns->pass[lowest(turns, in_line)] < turns->pass[first])
        return first;
    if (turns->level < turns->pass[first])
        turns->level = turns->pass[first];
    turns->pass[first] += turns_stride[first];
    return first;
}
