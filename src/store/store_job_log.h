/*
 * store_job_log.h - what each group changed in the job machine, for the RAM of other nodes (PostgreSQL).
 *
 * One row per group. `changes` is the engine's own language (engine/job_log.c);
 * `counts` are the counters of the queues the group touched, so that no row of
 * a counter is updated by every group: the newest one of a queue here is what
 * counts, and queue_count has only what is older than the log (store_queue.h).
 * SQLite has no rows here.
 */
#pragma once

#include "store/tx.h"

#define JOB_LOG_KEPT 4096 /* rows that stay; counters are folded long before */
#define JOB_LOG_FOLD 128  /* groups between two folds of counters */

struct job_log_row {
    uint64_t no; /* without a gap */
    int64_t at_us;
    struct str counts, changes;
};

enum err store_job_log_add(struct op *op, struct tx *tx, const struct job_log_row *row);

/* Sends the question of the call below in the trip that begins the transaction. */
enum err store_job_log_ask(struct op *op, struct tx *tx, uint64_t after);

/* Rows behind `after`, in order, bytes borrowed during the call. What was asked with the turn is not asked again. */
enum err store_job_log_each(struct op *op, struct tx *tx, uint64_t after,
                            enum err (*fn)(void *arg, const struct job_log_row *row), void *arg);

/* The counters of all rows, in order. */
enum err store_job_log_counts(struct op *op, struct tx *tx, void (*fn)(void *arg, struct str counts), void *arg);

/* Number of the newest row, 0 = none; for looks from aside. On SQLite 0. */
enum err store_job_log_newest(struct op *op, struct tx *tx, uint64_t *ret_no);

/* Removes rows from behind `after` up to `upto`. */
enum err store_job_log_clear(struct op *op, struct tx *tx, uint64_t after, uint64_t upto);
