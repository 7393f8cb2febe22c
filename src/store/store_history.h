/*
 * store_history.h - the moves of a message's status, an append-only log.
 *
 * A chain: the state record points to the newest row, each row to the one
 * before. Appending costs no index, and a message's few rows are read by
 * primary key when somebody asks.
 */
#pragma once

#include "store/tx.h"

struct history_entry {
    int64_t at_ms;
    uint8_t from; /* enum status, STATUS_NONE at first */
    uint8_t to;
    struct str cause;
};

/* Appends behind prev (0 = none) and returns the new row's number. */
enum err store_history_add(struct op *op, struct tx *tx, uint64_t message_no, uint64_t prev,
                           const struct history_entry *entry, uint64_t *ret_seq);
enum err store_history_get(struct op *op, struct tx *tx, uint64_t seq, struct history_entry *ret, uint64_t *ret_prev);

/* Calls fn for those of the rows `seqs` (which ascend) that are there, in order. Asked together where a look-up costs a
 * trip. For snapshots. The entry's text is borrowed during the call. */
enum err store_history_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                            enum err (*fn)(struct op *op, uint64_t seq, uint64_t prev,
                                           const struct history_entry *entry, void *arg),
                            void *arg);
