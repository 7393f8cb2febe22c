#include "engine/job_first.h"

#include <string.h>

void first_forget(struct job_first *first)
{
    memset(first, 0, sizeof *first);
    for (int kind = 0; kind <= TIMER_RETRY; kind++)
        first->timer_us[kind] = INT64_MIN;
    first->batch_us = INT64_MIN;
}

void first_timer_is(struct job_first *first, int64_t due_us)
{
    for (int kind = 0; kind <= TIMER_RETRY; kind++)
        if (due_us < first->timer_us[kind])
            first->timer_us[kind] = due_us;
}

/* Gates are hashes of their keys already. */
static size_t slot_of(uint64_t gate)
{
    return (size_t)(gate % FIRST_GATES);
}

uint64_t first_blocked(const struct job_first *first, uint64_t gate)
{
    const struct gate_first *known = &first->gates[slot_of(gate)];
    return known->gate == gate ? known->ord : 0;
}

void first_blocked_behind(struct job_first *first, uint64_t gate, uint64_t ord)
{
    first->gates[slot_of(gate)] = (struct gate_first){ gate, ord };
}
