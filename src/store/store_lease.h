/*
 * store_lease.h - leases and the worker processes that hold them.
 *
 * Times are engine time. At a start all leases and sessions are read once.
 */
#pragma once

#include "store/store_job.h"

struct lease_row {
    uint64_t id;     /* of the job */
    uint64_t number; /* of the lease */
    uint32_t session_no, session_epoch;
    int64_t started_us, until_us, hard_us; /* hard: end of the attempt whatever is extended; 0 = none */
    uint64_t ord;                          /* the job's place in its lane; 0 = its id */
    int attempt;
    uint64_t node; /* that handed it out: a hash of its name; 0 = not said */
    struct str worker;
};

enum err store_lease_add(struct op *op, struct tx *tx, const struct lease_row *row);
enum err store_lease_delete(struct op *op, struct tx *tx, uint64_t id);
enum err store_lease_extend(struct op *op, struct tx *tx, uint64_t id, int64_t until_us);

/* One lease; number 0 = none. */
enum err store_lease_get(struct op *op, struct tx *tx, uint64_t id, struct lease_row *ret);

/* Every lease with its job's row (no body), in order of the jobs' ids; texts are borrowed during the call. */
enum err store_lease_each(struct op *op, struct tx *tx,
                          enum err (*fn)(void *arg, const struct lease_row *lease, const struct job_row *job),
                          void *arg);

/* Leases behind this job's id, for lists. */
enum err store_lease_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct lease_row **ret,
                          size_t *ret_count);

struct session_row {
    uint32_t no, epoch;
    int state;
    bool http;
    int64_t pid, since_us;
    struct str name, hostname, labels;
};

enum err store_session_put(struct op *op, struct tx *tx, const struct session_row *row);
enum err store_session_delete(struct op *op, struct tx *tx, uint32_t no);
enum err store_session_each(struct op *op, struct tx *tx, enum err (*fn)(void *arg, const struct session_row *row),
                            void *arg);
