#include "store/gather.h"

void gather_note(struct gather *gather, int64_t commands, int64_t began_us, int64_t now_us)
{
    atomic_store(&gather->took_us, (7 * atomic_load(&gather->took_us) + now_us - began_us) / 8);
    atomic_store(&gather->ended_us, now_us);
    atomic_store(&gather->before, atomic_load(&gather->group));
    atomic_store(&gather->group, commands);
    atomic_fetch_add(&gather->groups, 1);
}

int64_t gather_wanted(const struct gather *gather)
{
    int64_t group = atomic_load(&gather->group), both = group + atomic_load(&gather->before);
    bool joins = atomic_load(&gather->groups) % GATHER_JOIN_EVERY == 0 && both >= GATHER_JOIN_MIN;
    return joins ? both : group;
}

int64_t gather_patience_us(const struct gather *gather, int64_t now_us)
{
    int64_t took_us = atomic_load(&gather->took_us), us = took_us / 4;
    bool idle = now_us - atomic_load(&gather->ended_us) > took_us;
    return idle || us < GATHER_US ? GATHER_US : us > GATHER_US_MAX ? GATHER_US_MAX : us;
}
