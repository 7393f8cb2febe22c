/*
 * dedupe.h - each provider event is taken once (SRC-13).
 *
 * A key is 128 bits of a keyed hash, remembered for the UTC day of the event
 * until that day is expired. Exact: no false "already known", ever.
 *
 * Hash keys fall on random pages of a tree, and a page written per event is
 * what an ingest of 100,000/s cannot pay. So new keys of a commit are appended
 * to a log row and kept in RAM ("young"); when that set is full it ripens: its
 * keys become a run (dedupe_run.h), whose Bloom filter spares the look-up for
 * keys that were never seen. Where several nodes write, each reads what the
 * others logged since its own last group: keys, and what became of the runs.
 *
 * Everything here is part of the transaction: after a rollback or a crash the
 * keys are known exactly when the events that carried them are.
 */
#pragma once

#include "store/tx.h"

/* Takes the key for the day (days since 1970-01-01 UTC). `ret_is_new` is false when it was taken before. */
enum err store_dedupe_take(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2], bool *ret_is_new);

struct dedupe_key {
    int32_t day;
    uint64_t key[2];
    bool known; /* set by prefetch */
};

/* Says that these keys will be taken soon. On PostgreSQL what runs know of them is read together, and `known` says
 * which were taken before; else nothing is done, and none is. */
enum err store_dedupe_prefetch(struct op *op, struct tx *tx, struct dedupe_key *keys, size_t count);

/* Gives a key back, as when a parked event is thrown away and may come again (LED-14). Unknown keys are no error. */
enum err store_dedupe_forget(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2]);

/* Throws away keys of days before before_day, at most max_rows of some hundred keys each; `ret_more` says whether some
 * are left. */
enum err store_dedupe_has_older(struct op *op, struct tx *tx, int32_t before_day, bool *ret);
enum err store_dedupe_expire(struct op *op, struct tx *tx, int32_t before_day, int64_t max_rows, int64_t *ret_gone,
                             bool *ret_more);
