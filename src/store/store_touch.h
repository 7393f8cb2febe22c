/*
 * store_touch.h - append-only logs of a message: its history and its touches.
 *
 * Both are chains: the state record points to the newest row, each row to the
 * one before. Appending costs no index, and a message's few rows are read by
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

/* A row of the touch log; kind and bits are those of engine/classify.h. */
struct touch_row {
    uint64_t seq;
    uint64_t message_no; /* or the visitor's number */
    uint64_t prev;
    int64_t at_us;
    uint32_t kind;
    uint32_t link_no;
    uint32_t version; /* of a tracked link, 0 for what a provider reported */
    uint32_t repeats; /* further clicks that are counted here */
    uint32_t bits;
    int64_t client;
};

/* Says that the chains that end in these rows (0 = none) will be read soon. On PostgreSQL they are read together; else
 * nothing is done. */
enum err store_touch_prefetch(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count);

enum err store_touch_add(struct op *op, struct tx *tx, struct touch_row *row); /* sets row->seq */
enum err store_touch_get(struct op *op, struct tx *tx, uint64_t seq, struct touch_row *ret);

/* As store_history_each. */
enum err store_touch_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                          enum err (*fn)(struct op *op, const struct touch_row *row, void *arg), void *arg);
enum err store_touch_set_bits(struct op *op, struct tx *tx, uint64_t seq, uint32_t bits);

/* One more click that is like this one. */
enum err store_touch_repeat(struct op *op, struct tx *tx, uint64_t seq);
