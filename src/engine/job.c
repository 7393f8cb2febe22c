#include "engine/job.h"

#define TO(state) (1u << (state))

/* JOB-1: the drawing of job.h as a table. */
static const struct {
    const char *name;
    unsigned to;
} job_moves[JOB_STATES] = {
    [JOB_NONE] = { "none", TO(JOB_SCHEDULED) | TO(JOB_READY) | TO(JOB_BLOCKED) },
    [JOB_SCHEDULED] = { "scheduled",
                        TO(JOB_SCHEDULED) | TO(JOB_READY) | TO(JOB_BLOCKED) | TO(JOB_DEAD) | TO(JOB_DONE) },
    [JOB_READY] = { "ready",
                    TO(JOB_READY) | TO(JOB_SCHEDULED) | TO(JOB_LEASED) | TO(JOB_DEAD) | TO(JOB_DONE) | TO(JOB_NONE) },
    [JOB_LEASED] = { "leased", TO(JOB_DONE) | TO(JOB_READY) | TO(JOB_BLOCKED) | TO(JOB_SCHEDULED) | TO(JOB_RETRY) |
                                   TO(JOB_DEAD) },
    [JOB_RETRY] = { "retry", TO(JOB_READY) | TO(JOB_BLOCKED) | TO(JOB_DEAD) | TO(JOB_DONE) },
    [JOB_BLOCKED] = { "blocked", TO(JOB_READY) | TO(JOB_DEAD) | TO(JOB_DONE) | TO(JOB_NONE) },
    [JOB_DEAD] = { "dead", TO(JOB_READY) | TO(JOB_BLOCKED) | TO(JOB_DEAD) | TO(JOB_DONE) | TO(JOB_NONE) },
    [JOB_DONE] = { "done", TO(JOB_READY) | TO(JOB_BLOCKED) | TO(JOB_NONE) },
};

const char *job_state_name(enum job_state state)
{
    return job_moves[state].name;
}

bool job_state_of(struct str name, enum job_state *ret)
{
    for (int i = JOB_SCHEDULED; i < JOB_STATES; i++)
        if (str_eq(name, str_of(job_moves[i].name))) {
            *ret = (enum job_state)i;
            return true;
        }
    return false;
}

bool job_may_move(enum job_state from, enum job_state to)
{
    return job_moves[from].to & TO(to);
}

const char *job_outcome_name(enum job_outcome outcome)
{
    static const char *const names[] = {
        [JOB_SUCCEEDED] = "done",      [JOB_FAILED] = "failed",   [JOB_EXPIRED_LEASE] = "expired",
        [JOB_LOST] = "lost",           [JOB_TIMEOUT] = "timeout", [JOB_RETURNED] = "returned",
        [JOB_SNOOZED] = "snoozed",     [JOB_LATE] = "late",       [JOB_CANCELLED] = "cancelled",
        [JOB_DISCARDED] = "discarded", [JOB_EXPIRED] = "expired", [JOB_KILLED] = "killed",
    };
    return names[outcome];
}

const char *job_death_name(enum job_death death)
{
    static const char *const names[] = {
        [DEATH_EXHAUSTED] = "exhausted",
        [DEATH_FINAL] = "final",
        [DEATH_KILLED] = "killed",
        [DEATH_POISON] = "poison",
        [DEATH_HANDLER_GONE] = "handler-gone",
    };
    return names[death];
}
