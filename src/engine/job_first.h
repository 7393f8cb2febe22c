/*
 * job_first.h - from where to look for the first of rows that come and go.
 *
 * The next timer that is due, the first job behind a gate: rows are added at
 * one end and leave at the other. On PostgreSQL those that left stay where they
 * were while anybody holds an old snapshot - a dump, a forgotten session - and
 * whoever looks for the first walks over all of them again. So RAM remembers
 * below what no row is left, and a look begins there.
 *
 * What is remembered is a lower bound and never more: who adds a row below
 * lowers it, here and, by the log of jobs, at other nodes. It goes with the rest
 * of the RAM (jobs_unload); the look after that begins at the very first row.
 *
 * Thread: the writer's.
 */
#pragma once

#include "store/store_ready.h"

#define FIRST_GATES 1024 /* remembered; others are looked at from their first row */

struct gate_first {
    uint64_t gate, ord;
};

struct job_first {
    int64_t timer_us[TIMER_RETRY + 1];
    int64_t batch_us;
    struct gate_first gates[FIRST_GATES];
};

/* Nothing is known. */
void first_forget(struct job_first *first);

/* A timer of either kind is due then: none may be looked for behind it. */
void first_timer_is(struct job_first *first, int64_t due_us);

/* Jobs blocked at this gate have places behind it; 0 = nothing is known. Places of one gate only grow (jobs_stamp). */
uint64_t first_blocked(const struct job_first *first, uint64_t gate);
void first_blocked_behind(struct job_first *first, uint64_t gate, uint64_t ord);
