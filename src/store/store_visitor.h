/*
 * store_visitor.h - who clicks links without a mailing: a number for each keyed hash of a tenant and a name.
 *
 * The records of a visitor (BLOCK_VISITOR) are found by that number, as those
 * of a message are by its own. The name itself is not kept.
 */
#pragma once

#include "store/tx.h"

struct visitor {
    uint32_t tenant_no;
    int64_t hash;
};

/* His number, made when he is new. */
enum err store_visitor_meet(struct op *op, struct tx *tx, struct visitor visitor, uint64_t *ret_no);

/* Asks for all of them at once, and for their records, where asking costs a trip; then ret_nos has their numbers, 0 for
 * who is new or already asked for. Elsewhere all are 0. In the writer's transaction. */
enum err store_visitor_prefetch(struct op *op, struct tx *tx, const struct visitor *visitors, size_t count,
                                uint64_t *ret_nos);

/* The highest number of any visitor; 0 when there is none. For check. */
enum err store_visitor_newest(struct op *op, struct tx *tx, uint64_t *ret_no);
