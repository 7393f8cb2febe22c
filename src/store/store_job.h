/*
 * store_job.h - what a push said: written once, deleted once.
 *
 * The state of a job is not here: it is where its narrow row lies (`ready`,
 * `timer`, `blocked`, `lease`, `dead`). Flags and options are the engine's;
 * this family keeps them as they are.
 */
#pragma once

#include "store/tx.h"

#define STORE_JOBS_TOGETHER 16 /* rows of store_job_add_together */

struct job_row {
    uint64_t id;
    uint32_t queue_no;
    uint32_t flags;
    struct str jid, type;
    struct str opts; /* bytes; not given = none */
    struct str body;
    bool jid_is_new; /* store_job_add need not look for it: it was made for this row */
};

/* *ret_added is false, and nothing changed, when a row has the jid already. */
enum err store_job_add(struct op *op, struct tx *tx, const struct job_row *row, bool *ret_added);

/* True where rows are better added together than each by itself. */
bool store_job_likes_together(struct tx *tx);

/* Adds those of these STORE_JOBS_TOGETHER rows whose jid no row has, earlier ones first. *ret_all is false when some
 * were left out: store_job_there says which are there. Only where store_job_likes_together. */
enum err store_job_add_together(struct op *op, struct tx *tx, const struct job_row *const *rows, bool *ret_all);

/* Texts lie in op's arena. *ret_found false: no such row. */
enum err store_job_get(struct op *op, struct tx *tx, uint64_t id, struct job_row *ret, bool *ret_found);

/* Id of the row with this jid; 0 = none. */
enum err store_job_find(struct op *op, struct tx *tx, struct str jid, uint64_t *ret_id);

/* Which of these ids have a row, in order; ids ascend. */
enum err store_job_there(struct op *op, struct tx *tx, const uint64_t *ids, size_t n, uint64_t *ret, size_t *ret_count);

/* The row of this id, which has this jid. */
enum err store_job_delete(struct op *op, struct tx *tx, uint64_t id, struct str jid);

/* Sends the question for these jids with what begins the transaction; store_job_ahead of the same jids has its answer.
 */
enum err store_job_ask(struct op *op, struct tx *tx, const struct str *jids, size_t count);

/*
 * Says what is going to be asked: whether rows have these jids (store_job_add, store_job_find), and the rows of these
 * ids (store_job_get), in the order in which they are wanted. Where a look-up is a round trip all of it is one, and
 * rows stay known beyond the group; elsewhere this does nothing.
 */
enum err store_job_ahead(struct op *op, struct tx *tx, const struct str *jids, size_t jid_count, const uint64_t *ids,
                         size_t id_count);

/* True when store_job_get would not have to ask for this row. */
bool store_job_is_ahead(struct tx *tx, uint64_t id);

/* Another node replaced the row of this id. */
void store_job_forget(struct tx *tx, uint64_t id);

/* Rows with an id behind `after`, in order, at most max, without their bodies; for check and sweeps. */
enum err store_job_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct job_row **ret, size_t *ret_count);
