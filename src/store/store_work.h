/*
 * store_work.h - bookmarks: how far Posthouse's own jobs are (HAND-5).
 *
 * Written with the effect of each step, gone with the job.
 */
#pragma once

#include "store/tx.h"

struct work_row {
    struct str bookmark; /* what the handler wrote; not given = nothing yet */
    int64_t done, total; /* of whatever it counts */
    int64_t eta_s;       /* how long the rest takes; -1 = not known yet */
};

/* *ret_found false: no step was done yet. */
enum err store_work_get(struct op *op, struct tx *tx, uint64_t id, struct work_row *ret, bool *ret_found);
enum err store_work_put(struct op *op, struct tx *tx, uint64_t id, const struct work_row *row);
enum err store_work_delete(struct op *op, struct tx *tx, uint64_t id);
