/*
 * dedupe.h - each provider event is taken once (SRC-13).
 *
 * A key is 128 bits of a keyed hash, remembered for the UTC day of the event
 * until that day is expired. Exact: no false "already known", ever.
 *
 * Hash keys fall on random pages of a tree, and a page written per event is
 * what an ingest of 100,000/s cannot pay. So new keys of a commit are appended
 * to a log row and kept in RAM ("young"); when that set is full it ripens: its
 * keys are merged into the tree in key order, a slice per commit, while a new
 * young set fills. A Bloom filter per day spares the tree look-up for keys
 * that were never seen; it is rebuilt from the tree after a restart.
 *
 * Everything here is part of the transaction: after a rollback or a crash the
 * keys are known exactly when the events that carried them are.
 */
#pragma once

#include "store/tx.h"

/* Takes the key for the day (days since 1970-01-01 UTC). `ret_is_new` is false when it was taken before. */
enum err store_dedupe_take(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2], bool *ret_is_new);

/* Gives a key back, as when a parked event is thrown away and may come again (LED-14). Unknown keys are no error. */
enum err store_dedupe_forget(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2]);

/* Throws away keys of days before before_day, at most max_rows; `ret_more` says whether some are left. */
enum err store_dedupe_expire(struct op *op, struct tx *tx, int32_t before_day, int64_t max_rows, bool *ret_more);
