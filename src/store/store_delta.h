/*
 * store_delta.h - folds what counters moved by into the counters (LED-18).
 *
 * On PostgreSQL figures of mailings, daily facts and links are a row that
 * stands and rows that wait; every reader adds both, so folding changes no
 * answer. On SQLite there is nothing to fold.
 */
#pragma once

#include "store/tx.h"

#define STORE_FOLD_ROWS 5000  /* in one step */
#define STORE_FOLD_US   50000 /* after which a step begins no further thousand */

/* Folds at most max_rows of the oldest rows that wait, for about STORE_FOLD_US; `ret_more` says whether some are left.
 */
enum err store_delta_fold(struct op *op, struct tx *tx, int64_t max_rows, bool *ret_more);
