/*
 * source_lease.h - which node reads a source.
 *
 * The lanes of a source are leased together, for a minute, and the lease is
 * renewed every 20 s (SRC-10). Each taking has an epoch of its own, higher than
 * all before: what was read under an older one is refused. Ends are told by the
 * store's clock (store_node.h), so nodes need not agree on the time.
 */
#pragma once

#include "store/store_node.h"
#include "store/store_source.h"

#define SOURCE_LEASE_US INT64_C(60000000)
#define SOURCE_RENEW_US INT64_C(20000000)

/* Takes the lanes of a source for a node: at once when they are free, the node's own already, or their holder was
 * called lost; else when the lease is over. ERR_CONFLICT while another holds them, or when the node's own life is over.
 * Writes the begin of the first reading when there is none. */
enum err source_lease_take(struct op *op, struct tx *tx, uint32_t source_no, const struct node_self *node,
                           uint64_t *ret_epoch);

/* Every 20 s. ERR_CONFLICT when the lease is lost, or the node's life is over. */
enum err source_lease_renew(struct op *op, struct tx *tx, uint32_t source_no, const struct node_self *node,
                            uint64_t epoch);

/* At shutdown: another node may go on at once. Never fails for a lease that is lost. */
enum err source_lease_give(struct op *op, struct tx *tx, uint32_t source_no, uint64_t epoch);

/* Whether a lane's row is still held under the epoch, by a node whose life is not over; if so, its lease begins anew in
 * *row. ERR_CONFLICT otherwise: nothing read under it may be kept. */
enum err source_lease_go_on(struct op *op, struct tx *tx, const struct node_self *node, uint64_t epoch,
                            struct lane_row *row);
