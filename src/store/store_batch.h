/*
 * store_batch.h - batches: sets of jobs, and what is called when they are through.
 *
 * A row of counters per batch, its texts beside it, and the set of the jobs that
 * are not through yet: removing one from the set says whether it was there, so
 * nothing is counted twice (BATCH-2).
 */
#pragma once

#include "store/tx.h"

struct batch_row {
    uint64_t no;
    uint64_t parent;    /* 0 = none */
    int64_t created_us; /* wall */
    int64_t touched_us; /* engine time of the newest push, or of its end */
    int64_t due_us;     /* engine time at which it is looked at again */
    int phase;          /* the engine's: open, committed, expired */
    int calls;          /* which callbacks it has: a bit each */
    int complete;       /* how far each callback is */
    int success;
    int64_t total;         /* jobs pushed */
    int64_t pending;       /* rows of the set */
    int64_t fresh;         /* of these: not attempted yet */
    int64_t failed;        /* of these: their newest attempt failed */
    int64_t lost;          /* ended without success, and not by our word: success is never called */
    int64_t cancelled;     /* ended by our word */
    int64_t kids_complete; /* child batches that hold its complete callback back */
    int64_t kids_success;
};

/* JSON objects of jobs; not given = none. */
struct batch_texts {
    struct str description, complete, success;
};

enum err store_batch_add(struct op *op, struct tx *tx, const struct batch_row *row, const struct batch_texts *texts);
enum err store_batch_put(struct op *op, struct tx *tx, const struct batch_row *row);
enum err store_batch_get(struct op *op, struct tx *tx, uint64_t no, struct batch_row *ret, bool *ret_found);
enum err store_batch_texts(struct op *op, struct tx *tx, uint64_t no, struct batch_texts *ret);

/* The row and its texts; members and cancelled ones go by the calls below. */
enum err store_batch_delete(struct op *op, struct tx *tx, uint64_t no);

/* Numbers of those that are due, the longest due first, at most max; *ret_next_us is when the next one is. */
enum err store_batch_due(struct op *op, struct tx *tx, const struct due_range *range, int max, uint64_t *ret,
                         int *ret_count, int64_t *ret_next_us);

/* Behind `after` in order, at most max; for check and sweeps. */
enum err store_batch_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct batch_row *ret, int *ret_count);

enum batch_mark { MARK_FRESH, MARK_FAILED }; /* a member's; file format */

enum err store_batch_job_put(struct op *op, struct tx *tx, uint64_t no, uint64_t job, enum batch_mark mark);

/* *ret_there false: it was not in the set. */
enum err store_batch_job_get(struct op *op, struct tx *tx, uint64_t no, uint64_t job, enum batch_mark *ret,
                             bool *ret_there);
enum err store_batch_job_delete(struct op *op, struct tx *tx, uint64_t no, uint64_t job);
enum err store_batch_job_walk(struct op *op, struct tx *tx, uint64_t no, uint64_t after, int max, uint64_t *ret,
                              int *ret_count);

/* What the rows of a set add up to. Reads all of them. */
enum err store_batch_job_count(struct op *op, struct tx *tx, uint64_t no, int64_t *ret_pending, int64_t *ret_fresh,
                               int64_t *ret_failed);

/* Jids of members that were cancelled or expired, for the callbacks. Deletes report whether there was one. */
enum err store_batch_cancelled_add(struct op *op, struct tx *tx, uint64_t no, struct str jid);
enum err store_batch_cancelled_delete(struct op *op, struct tx *tx, uint64_t no, struct str jid, bool *ret_there);
enum err store_batch_cancelled_list(struct op *op, struct tx *tx, uint64_t no, int max, struct str *ret,
                                    int *ret_count);
enum err store_batch_cancelled_clear(struct op *op, struct tx *tx, uint64_t no);
