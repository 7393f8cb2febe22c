/*
 * source_delta.h - how far sources are, as rows that wait to be folded (SRC-14).
 *
 * Only on PostgreSQL, beside the counters of delta.h. Each page a source reads
 * moves its lane, its coverage and its ring. Were these rows updated, every
 * page would leave dead versions of them, and under an old snapshot the next
 * look would walk over all. So a page adds rows that say how it is now:
 *
 *     lane           lane_delta           the whole row
 *     coverage       coverage_delta       all intervals of the class, as arrays
 *     source_ring    source_ring_delta    the whole ring
 *
 * What holds is the newest row that is not folded, else the row that stands.
 * Rows take their numbers from the sequence of delta.h and are folded with the
 * counters. Their indexes lead to the newest first, by the negated number: an
 * order only they have, so that no planner finds the newest row of all first.
 */
#pragma once

#include "store/delta.h"

/* For the texts of readers: the newest row of a key, when it is not folded yet. */
#define DELTA_NEWEST " AND -no < -" DELTA_FOLDED " ORDER BY -no LIMIT 1"

/* The number of a new row: parameter i of its statement. */
void source_delta_bind_no(struct tx *tx, struct stmt *stmt, int i);

/* Folds the numbers (from, to]; nobody waits for it. */
enum err source_delta_fold(struct op *op, struct tx *tx, int64_t from, int64_t to);
