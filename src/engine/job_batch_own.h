/*
 * job_batch_own.h - batches inside the job machine: what its other files call.
 *
 *     job_batch.c       members that come and go, callbacks that are due
 *     job_batch_life.c  new, open, commit; expiry and removal; the sweep
 *
 * Rows that a group touches stand in RAM until it ends and are written once.
 */
#pragma once

#include "engine/job_batch.h"
#include "engine/jobs_own.h"
#include "store/store_batch.h"

#define BATCH_OPEN_US   (INT64_C(30) * 60 * 1000000)   /* without a push, until it expires */
#define BATCH_KEPT_US   (INT64_C(24) * 3600 * 1000000) /* after its last callback */
#define BATCH_SWEEP_US  (INT64_C(10) * 60 * 1000000)   /* BATCH-5 */
#define BATCH_AHEAD_US  (INT64_C(60) * 1000000)        /* how far ahead the next that is due is looked for */
#define BATCH_SPARE_US  (INT64_C(60) * 1000000)        /* how far another node may be behind our clock */
#define BATCH_SLICE     500                            /* batches, or twice as many members, in one step */
#define BATCH_COUNT_MAX 10000                          /* members counted again by the sweep; check counts all */

enum batch_phase { BATCH_IS_OPEN, BATCH_COMMITTED, BATCH_EXPIRED };

enum batch_call { CALL_COMPLETE = 1, CALL_SUCCESS = 2 }; /* bits of `calls`; of a job: which one it is */
#define CALLS_OF_HTTP 4                                  /* in `calls`: jobs are read as HTTP writes them */

enum batch_part { PART_WAITS, PART_CALLED, PART_OVER }; /* over: acked, or it has no callback and its time came */

struct batch {
    struct batch *next, *all_next, *wanting_next;
    struct batch_row row;
    bool wanting; /* in the list of those to look at when the command is through */
    bool changed, gone;
};

/* The batch of this number, NULL = none. Lives until the group ends. */
enum err batch_at(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t no, struct batch **ret);
enum err batch_of(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, struct batch **ret);
struct batch *batch_add(struct jobs *jobs, const struct batch_row *row);

/* Its row is written, and its callbacks are looked at, before the command ends. */
void batch_touch(struct jobs *jobs, struct tx *tx, struct batch *batch);

/* A child holds its parent's callbacks back no longer. */
enum err batch_part_over(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, enum batch_call call);

/* A set counts one less; true when the job was in it. */
enum err batch_remove_job(struct op *op, struct tx *tx, struct batch *batch, uint64_t id, bool *ret_there);
struct str batch_text(struct op *op, uint64_t no);
