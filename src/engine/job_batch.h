/*
 * job_batch.h - batches: a set of jobs, and jobs of their own that are called when the set is through.
 *
 *     new -> OPEN --commit--> COMMITTED --every member attempted--> `complete` is pushed
 *             ^                  |       --every member acked-----> `success` is pushed, after
 *             +------open--------+                                  `complete` was acked
 *             +--30 min without a push--> EXPIRED: no callback, members run on
 *
 * Members run from their push on. What is not through is a set of job ids, so
 * an ack that comes twice removes nothing twice (BATCH-2). A callback is pushed
 * in the transaction of whatever was last; it carries `custom._bid`. A parent's
 * callback waits for those of its children. Callbacks are called once, also
 * when the batch is opened again behind them.
 *
 * What ends without success and not by our word (discarded, dead and swept)
 * stays in `pending` and `failed`: `success` of such a batch never comes.
 */
#pragma once

#include "engine/job_read.h"
#include "store/tx.h"

#define BATCH_TEXT_MAX      1024
#define BATCH_CANCELLED_MAX 1000 /* jids told to a callback; all are counted */

/* What a client says of a new batch: JSON objects, not given = none. */
struct batch_new {
    struct str description, parent, complete, success;
};

/* In any thread: are the callbacks jobs of this door, and is there one. ERR_INVALID with pointer. ret_queues (may be
 * NULL) are where they go; not given = no such callback. */
enum err batch_new_check(struct op *op, const struct job_reader *reader, const struct batch_new *batch,
                         struct str ret_queues[2]);

/* The id in op's arena. ERR_NOT_FOUND with "No such batch b-..." for an unknown parent. */
enum err batch_create(struct op *op, struct tx *tx, const struct batch_new *batch, enum job_door door,
                      struct str *ret_id);

/* Both may come again. ERR_NOT_FOUND. */
enum err batch_commit(struct op *op, struct tx *tx, struct str bid);
enum err batch_open(struct op *op, struct tx *tx, struct str bid);

struct batch_view {
    struct str bid, parent, description; /* parent, description: not given = none */
    int64_t created_us;                  /* wall */
    int64_t total, pending, failed, cancelled;
    bool committed;
    const char *complete, *success; /* "" waits, "1" pushed, "2" acked; NULL: there is none */
};

/* In the writer. */
enum err batch_get(struct op *op, struct tx *tx, struct str bid, struct batch_view *ret);
