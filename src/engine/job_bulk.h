/*
 * job_bulk.h - one action on many jobs, as a job of our own (RETRY-5).
 *
 * Which jobs is said by a filter; which of them are meant is settled when it
 * begins: what is pushed, or comes into the state, later is not touched, so it
 * ends however fast others come. Each is moved once. One that is leased
 * meanwhile is passed over and counted, unless leased ones were asked for; one
 * that may not be moved is refused and named in the result.
 */
#pragma once

#include "base/json_fields.h"
#include "engine/job_act.h"
#include "engine/job_own.h"

#define BULK_TYPE         "posthouse.bulk"
#define BULK_JIDS_MAX     10000
#define BULK_REFUSALS_MAX 100 /* named; all are counted */

struct job_bulk {
    enum job_action action;
    enum job_state state;                       /* JOB_NONE: any but done */
    struct str queue, type, key, text, errtype; /* not given = any */
    int64_t before_us;                          /* pushed before, wall; 0 = any */
    struct json_strs jids;                      /* by_jids: these alone, the rest of the filter as well */
    bool by_jids;
};

/* Reads {"action","filter","all"}. ERR_INVALID with the pointer: an empty filter needs "all":true. */
enum err job_bulk_read(struct op *op, struct str body, struct job_bulk *ret, struct json_problems *problems);

/* Makes the job; `body` was read by job_bulk_read. *ret_at_most is what counters say. In the writer. */
enum err job_bulk_push(struct op *op, struct tx *tx, struct str body, const struct job_bulk *bulk, struct str *ret_jid,
                       int64_t *ret_at_most);

/* For the registry of job_own.c. */
enum err job_bulk_step(struct op *op, struct tx *tx, struct own_work *work);
