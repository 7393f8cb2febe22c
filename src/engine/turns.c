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
    *turns = (struct turns){ 0 };
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

enum lane turns_take(struct turns *turns, const bool has_work[LANE_COUNT], const bool is_ready[LANE_COUNT])
{
    turns_welcome(turns, has_work);
    int first = LANE_COUNT;
    for (int i = 0; i < LANE_COUNT; i++)
        if (is_ready[i] && (first == LANE_COUNT || turns->pass[i] < turns->pass[first]))
            first = i;
    if (first == LANE_COUNT)
        return LANE_COUNT;

    if (turns->level < turns->pass[first])
        turns->level = turns->pass[first];
    turns->pass[first] += turns_stride[first];
    return (enum lane)first;
}
