/*
 * job_queue.h - queues: pause, drain, delete, and what is in them.
 *
 * A queue appears with its first push, pause or policy. Figures are counters
 * kept by the transitions themselves; asking costs the same at any depth
 * (QUE-8). The policy is job_policy.h.
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

#define QUEUES_MAX 10000

/* True for `[A-Za-z0-9._-]{1,128}`. */
bool queue_name_valid(struct str name);

/* Queues whose names begin with "posthouse." are Posthouse's own (JOB-4). */
bool queue_is_own(struct str name);

struct queue_view {
    struct str name;
    int64_t version;
    bool paused, draining;
    int64_t ready, leased, scheduled, retry, blocked, dead;
    int64_t ready_bytes;
    int64_t latency_us; /* age of the oldest ready job; 0 = none */
    int64_t in_per_minute, out_per_minute;
    struct str policy;     /* the policy as a JSON object, its secrets hidden (job_handler.h) */
    int64_t down_until_us; /* its handler is not asked before, wall; 0 = it is up (HAND-3) */
};

/* In the writer. ERR_NOT_FOUND for a queue that never was. */
enum err queue_get(struct op *op, struct tx *tx, struct str name, struct queue_view *ret);

/* By name behind `after`, at most max. */
enum err queue_list(struct op *op, struct tx *tx, struct str after, int max, struct queue_view **ret,
                    size_t *ret_count);

/* QUE-6. Pausing a name without jobs is remembered. ERR_INVALID for a bad name; unknown ones are made. */
enum err queue_pause(struct op *op, struct tx *tx, struct str name, bool paused);
enum err queue_drain(struct op *op, struct tx *tx, struct str name, bool draining);

/* PATCH: `policy` is an object that is merged into the queue's policy, null takes a word away (policy_merge). */
struct queue_patch {
    struct str policy;
    int paused, draining;           /* -1 = as it is */
    bool is_admin;                  /* a handler it sets may reach private addresses */
    struct json_problems *problems; /* of the policy; may be NULL */
};

/* ERR_INVALID with pointer and range; takes effect at the next start. The queue is made when it is new. */
enum err queue_patch(struct op *op, struct tx *tx, struct str name, const struct queue_patch *patch);

/* QUE-7: ready and blocked jobs are gone, pause and policy too. ERR_NOT_FOUND for an unknown one. */
enum err queue_delete(struct op *op, struct tx *tx, struct str name);

/* Sums over all queues, and of all time, for INFO and metrics. */
struct job_totals {
    int64_t ready, leased, scheduled, retry, blocked, dead;
    int64_t queues, sessions;
    int64_t pushed, processed, failures; /* processed: attempts that ended either way */
    int64_t duplicates, late_acks, lost, poisoned, slot_repairs;
    int64_t batches_expired, batch_repairs;
};
void job_totals(struct tx *tx, struct job_totals *ret);
