/*
 * store_progress.h - how far jobs say they are (HIST-1), by jid, so that it outlives the job.
 */
#pragma once

#include "store/tx.h"

struct progress_row {
    int percent;        /* -1 = never said */
    struct str desc;    /* not given = never said */
    int end;            /* the engine's: how the job ended; 0 = it has not */
    int64_t changed_us; /* wall */
    int64_t kept_us;    /* engine time of the newest change: sweeps go by it */
};

enum err store_progress_put(struct op *op, struct tx *tx, struct str jid, const struct progress_row *row);

/* *ret_found false: nothing was said. */
enum err store_progress_get(struct op *op, struct tx *tx, struct str jid, struct progress_row *ret, bool *ret_found);

/* Takes away at most max rows not changed since; *ret_gone is how many. */
enum err store_progress_sweep(struct op *op, struct tx *tx, int64_t before_us, int max, int64_t *ret_gone);
