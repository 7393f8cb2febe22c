/*
 * store_touch.h - opens and clicks of a message or a visitor, an append-only log.
 *
 * A chain as its history is (store_history.h): the state record points to the
 * newest row, each row to the one before.
 */
#pragma once

#include "store/tx.h"

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

/* Calls fn for those of the rows `seqs` (which ascend) that are there, in order. Asked together where a look-up costs a
 * trip. For snapshots. */
enum err store_touch_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                          enum err (*fn)(struct op *op, const struct touch_row *row, void *arg), void *arg);
enum err store_touch_set_bits(struct op *op, struct tx *tx, uint64_t seq, uint32_t bits);

/* One more click that is like this one. */
enum err store_touch_repeat(struct op *op, struct tx *tx, uint64_t seq);
