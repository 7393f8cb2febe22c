/*
 * job_mutate.h - moves many jobs of one set at once: MUTATE of the worker door.
 *
 * A mutation names a set, what to do with its jobs, and which of them; it runs
 * in slices, so that a million dead jobs hold nobody up, and each slice is a
 * command of the writer. Only jobs that were in the set when it began are
 * touched, so it ends however fast others come (WORK-8).
 *
 *     requeue   READY, at the tail of its queue
 *     kill      DEAD; a dead one stays as it is
 *     discard   gone: DONE with outcome cancelled
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

#define MUTATE_SLICE_JOBS 500

enum job_mutation_verb { MUTATION_REQUEUE, MUTATION_KILL, MUTATION_DISCARD };

struct job_mutation_place {
    bool begun;
    int64_t until_us; /* of death: those that died later are not touched */
    int64_t at_us;    /* newest job that was looked at */
    uint64_t id;
    size_t jid; /* of those that were named, the next one */
};

struct job_mutation {
    enum job_mutation_verb verb;
    enum job_state set; /* JOB_SCHEDULED, JOB_RETRY or JOB_DEAD */
    bool by_jids;       /* those that are named and in the set; the rest does not count */
    const struct str *jids;
    size_t jid_count;
    struct str jobtype; /* empty = any */
    struct str glob;    /* over the job's compact JSON; empty = any */

    struct job_mutation_place from; /* where the slice begins; all zero at first */
    struct job_mutation_place to;   /* where the next one begins */
    int64_t moved;                  /* by this slice */
    bool is_over;
};

/* One slice. Afterwards the caller moves `to` into `from` and comes again unless is_over. */
enum err job_mutate(struct op *op, struct tx *tx, struct job_mutation *mutation);
