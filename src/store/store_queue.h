/*
 * store_queue.h - queues, their counters, and budgets.
 *
 * All of them are read at a start. Counters are written once per queue and
 * group, in a narrow row of their own.
 */
#pragma once

#include "store/tx.h"

struct queue_row {
    uint32_t no;
    int64_t version;
    bool paused, draining, gone; /* gone: deleted, and nothing pushed since */
    uint64_t cut;                /* ready and blocked jobs with a place below it were deleted with the queue (QUE-7) */
    struct str name;
    struct str policy; /* JSON object */
};

/* Bytes of the row: the file format. Little-endian; a field may be added where `unused` stands. */
struct queue_counts {
    int64_t ready, ready_bytes, leased, scheduled, retry, blocked, dead;
    int64_t pushed, processed, failures; /* of all time */
    int64_t tat_ns;                      /* of its rate, engine time */
    int64_t unused[5];
};
_Static_assert(sizeof(struct queue_counts) == 128, "file format");

enum err store_queue_put(struct op *op, struct tx *tx, const struct queue_row *row);

/* Writes the counters. On PostgreSQL that is for every JOB_LOG_FOLD groups: what others see comes from the log. */
enum err store_queue_count(struct op *op, struct tx *tx, uint32_t no, const struct queue_counts *counts);

/* The counters of one queue as they stand in store_job_log.h, one behind the other. */
struct queue_counts_entry {
    uint64_t no;
    struct queue_counts counts;
};

/* Brings queue_count up to the log; before the tables are copied elsewhere. */
enum err store_queue_fold(struct op *op, struct tx *tx);
enum err store_queue_each(struct op *op, struct tx *tx,
                          enum err (*fn)(void *arg, const struct queue_row *row, const struct queue_counts *counts),
                          void *arg);

/* When a fairness key of a rate-limited queue may start again. */
enum err store_key_rate_put(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key, int64_t tat_ns);
enum err store_key_rate_get(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key, int64_t *ret_tat_ns);

/* All queues' keys behind `after` (queue_no 0 = from the first), at most max; and one row less. */
struct key_rate_row {
    uint32_t queue_no;
    uint64_t key;
    int64_t tat_ns;
};
enum err store_key_rate_walk(struct op *op, struct tx *tx, const struct key_rate_row *after, int max,
                             struct key_rate_row *ret, int *ret_count);
enum err store_key_rate_delete(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key);

struct budget_row {
    struct str id;
    struct str policy; /* JSON object */
    int64_t tat_ns;
};

enum err store_budget_put(struct op *op, struct tx *tx, const struct budget_row *row);
enum err store_budget_tat(struct op *op, struct tx *tx, struct str id, int64_t tat_ns);
enum err store_budget_delete(struct op *op, struct tx *tx, struct str id);
enum err store_budget_each(struct op *op, struct tx *tx, enum err (*fn)(void *arg, const struct budget_row *row),
                           void *arg);

/* How far engine time lags behind the wall clock, from the newest run that saw a step; 0 at first. */
enum err store_job_clock_get(struct op *op, struct tx *tx, int64_t *ret_lag_us);
enum err store_job_clock_put(struct op *op, struct tx *tx, int64_t lag_us);
