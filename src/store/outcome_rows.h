/*
 * outcome_rows.h - failures and words of the messages of a group (PostgreSQL).
 *
 * Private to src/store. What a page of events will ask is read together, and
 * what a group changes is one statement for each of the two tables:
 *
 *     store_failure_prefetch --> read  \
 *                                       > store_failure_get looks here first
 *     store_failure_put -------> dirty /   dirty is written when the group ends
 *
 * Rows here are true until then, for nobody else writes; nothing outlives the
 * group. On SQLite all of these say "not here".
 */
#pragma once

#include "store/db.h"
#include "store/store_outcome.h"

/* True when the row is known here; texts are in the op's arena. */
bool outcome_failure_find(struct op *op, struct tx *tx, uint64_t message_no, struct failure_row *ret);
bool outcome_word_find(struct tx *tx, uint64_t message_no, struct word_row *ret);

/* Takes the row, to be written later. False on SQLite: the caller writes it. */
bool outcome_failure_put(struct tx *tx, const struct failure_row *row);
bool outcome_word_put(struct tx *tx, uint64_t message_no, const struct word_row *row);

/* Before the tables are read by other columns than the message. */
enum err outcome_settle(struct op *op, struct tx *tx);
