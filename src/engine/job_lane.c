#include "engine/job_lane.h"

#include <stdlib.h>
#include <string.h>

/* Room for one more place at the end. */
static void lane_reserve(struct lane *lane)
{
    if (lane->head + lane->count < lane->room)
        return;
    if (lane->head) {
        memmove(lane->places, lane->places + lane->head, lane->count * sizeof *lane->places);
        lane->head = 0;
    }
    if (lane->count < lane->room)
        return;
    lane->room = lane->room ? (lane->count + 1) * 2 : 4;
    lane->places = realloc(lane->places, lane->room * sizeof *lane->places);
    if (!lane->places)
        abort();
}

void lane_append(struct lane *lane, const struct lane_place *place)
{
    lane_reserve(lane);
    lane->places[lane->head + lane->count++] = *place;
    lane->last = place->ord;
}

/* First index in the window whose place is at least ord. */
static uint32_t lane_search(const struct lane *lane, uint64_t ord)
{
    uint32_t low = 0, high = lane->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (lane->places[lane->head + middle].ord < ord)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Mostly near the head: when there is room in front, those before it move there. */
void lane_insert(struct lane *lane, const struct lane_place *place)
{
    if (lane->head == 0)
        lane_reserve(lane);
    uint32_t at = lane_search(lane, place->ord);
    if (lane->head == 0) {
        memmove(lane->places + at + 1, lane->places + at, (lane->count - at) * sizeof *lane->places);
    } else {
        memmove(lane->places + lane->head - 1, lane->places + lane->head, at * sizeof *lane->places);
        lane->head--;
    }
    lane->places[lane->head + at] = *place;
    lane->count++;
    if (place->ord > lane->last)
        lane->last = place->ord;
}

bool lane_remove(struct lane *lane, uint64_t ord)
{
    uint32_t at = lane_search(lane, ord);
    if (at == lane->count || lane->places[lane->head + at].ord != ord)
        return false;
    struct lane_place *place = lane->places + lane->head + at;
    memmove(place, place + 1, (lane->count - at - 1) * sizeof *place);
    lane->count--;
    return true;
}

size_t lane_peek(const struct lane *lane, size_t max, uint64_t *ret_ids)
{
    size_t n = lane->count < max ? lane->count : max;
    for (size_t i = 0; i < n; i++) {
        const struct lane_place *place = &lane->places[lane->head + i];
        ret_ids[i] = place->job ? place->job : place->ord;
    }
    return n;
}
