/*
 * store_run_part.h - parts of runs that have not ended well: each a job, or held back.
 *
 * A run of our own work makes a part for each of those it works for (keep_run.h).
 * One that ended well has no row any more, and stands in the run's figures.
 */
#pragma once

#include "store/tx.h"

struct part_row {
    uint64_t run;
    struct str name;   /* one of a run has it */
    int64_t cutoff_us; /* what is older than that is its work */
    int state;         /* enum fired_state: waits (held back), live, dead */
    struct str jid;    /* not given = held back from the start */
    int64_t since_us;  /* wall: when it came into its state */
};

/* Makes or replaces. */
enum err store_part_put(struct op *op, struct tx *tx, const struct part_row *row);
enum err store_part_get(struct op *op, struct tx *tx, uint64_t run, struct str name, struct part_row *ret,
                        bool *ret_found);
enum err store_part_delete(struct op *op, struct tx *tx, uint64_t run, struct str name);

/* Those of a run behind `after`, in order of their names. */
enum err store_part_list(struct op *op, struct tx *tx, uint64_t run, struct str after, int max, struct part_row *ret,
                         int *ret_count);

/* Those that are held back, of all runs, behind a part of a run, in order of both. */
enum err store_part_held(struct op *op, struct tx *tx, uint64_t run, struct str after, int max, struct part_row *ret,
                         int *ret_count);

/* Of each run, how many are held back since then or longer; the oldest runs first. */
struct held_count {
    uint64_t run;
    int64_t parts, since_us;
};
enum err store_part_held_since(struct op *op, struct tx *tx, int64_t since_us, int max, struct held_count *ret,
                               int *ret_count);

/* All go: their jobs are gone. */
enum err store_part_delete_all(struct op *op, struct tx *tx);
