/*
 * keep.h - what must go some day, taken away a little at a time.
 *
 *     reports that wait for a message nobody made     1,000,000 per source (LED-14)
 *     keys that make clients comparable               3 days (LED-24)
 *     what counters moved by, into the counters       a minute, where the store keeps it apart (LED-18)
 *
 * What may wait for the night is the work of schedules (keep_run.h). Answers
 * under Idempotency-Keys and tokens of webhooks leave by themselves when new
 * ones come. One step is one command of the writer and bounded in rows, so
 * nobody notices it; whoever calls it comes again while there is more.
 */
#pragma once

#include "store/tx.h"

#define KEEP_ROWS 500 /* of each kind in one step */

struct keep_result {
    int parked_gone; /* reports thrown away with their keys: worth a warning */
    bool more;       /* come again soon */
};

/* One step by the op's clock. Errors are the store's. */
enum err keep_step(struct op *op, struct tx *tx, struct keep_result *ret);

/* Counts everything again (check.h) in the calling thread: each counter that differs is a bug, an error line in the log
 * and one more in posthouse_counter_drift_total (LED-35). pause and mono_us as in struct check. */
struct keep_pace {
    bool (*pause)(void *data);
    int64_t (*mono_us)(void *data);
    void *data;
};
enum err keep_recount(struct op *op, struct store *store, const struct keep_pace *pace, int64_t *ret_differ);

/* Declares the metric, so that it shows 0 from the start. */
void keep_declare(void);
