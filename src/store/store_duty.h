/*
 * store_duty.h - duties: work that one node does at a time, under a lease, and proof of it at the moment of writing.
 *
 *     take --> held by (node, epoch) for a while, with a term no earlier holder had
 *       ^        | renew: longer, same term
 *       |        | give, or its time is over, or the node is lost
 *       +--------+
 *
 * A lease in RAM is a memory of one. What counts is the row, read in the very
 * transaction that writes the work (store_duty_check): whoever slept through
 * the end of a lease finds another term there, or another epoch, and nothing of
 * its transaction is kept (NODE-2). Ends are told by the store's clock.
 *
 * Lanes of sources carry the same in rows of their own (engine/source_lease.h).
 */
#pragma once

#include "store/store_node.h"

#define DUTY_NAME_BYTES_MAX 100

struct duty {
    struct str name;
    struct node_self self; /* who holds it */
    uint64_t term;         /* 0 = not held */
    int64_t until_us;
};

/* Takes a lease for `for_us`: at once when nobody has it, its time is over, its holder is lost or is self; a holder
 * that has it already keeps its term. ERR_CONFLICT while another node holds it, or when self is no more. */
enum err store_duty_take(struct op *op, struct tx *tx, struct str name, const struct node_self *self, int64_t for_us,
                         struct duty *ret);

/* Makes a lease last until `for_us` from now. *ret_is_mine is false, and nothing changes, when it is over or another's.
 * Safe while others write: it only makes longer what its holder has. */
enum err store_duty_renew(struct op *op, struct tx *tx, const struct duty *duty, int64_t for_us, bool *ret_is_mine);

/* Nobody has it: its time is over, or its holder is lost. */
enum err store_duty_is_free(struct op *op, struct tx *tx, struct str name, bool *ret_is_free);

/* May work done under this lease be kept? ERR_CONFLICT when it lapsed, was taken by another, or its node was called
 * lost. To be asked in the transaction that writes the work. */
enum err store_duty_check(struct op *op, struct tx *tx, const struct duty *duty);

/* Another node may take it at once. Never fails for a lease that is lost. */
enum err store_duty_give(struct op *op, struct tx *tx, const struct duty *duty);

/* The leases in force, in order of name: fn gets each. */
enum err store_duty_each(struct op *op, struct tx *tx,
                         enum err (*fn)(struct op *op, const struct duty *duty, void *arg), void *arg);
