#include "engine/source_lease.h"

#include "engine/lanes.h"
#include "engine/source_config.h"
#include "engine/warnings.h"
#include "store/store_tenant.h"

static bool is_held(const struct lane_row *row, uint64_t epoch, int64_t now_us)
{
    return row->lease_epoch == epoch && row->lease_until_us >= now_us;
}

/* A node that others called lost keeps nothing, whatever its leases say. */
static enum err check_life(struct op *op, struct tx *tx, const struct node_self *node, int64_t *ret_clock_us)
{
    bool is_alive;
    TRY(store_node_look(op, tx, node, &is_alive, ret_clock_us));
    if (!is_alive)
        return fail(op, ERR_CONFLICT, "node %.*s was called lost: what it read under its leases is dropped",
                    STR(node->id));
    return OK;
}

static enum err begin_first_reading(struct op *op, struct tx *tx, uint32_t source_no)
{
    struct source_row row;
    TRY(store_source_get_no(op, tx, source_no, &row));
    if (row.first_begin_us != STORE_NO_INSTANT)
        return OK;
    struct timing timing;
    int64_t oldest_us;
    source_config_timing(op, &row, &timing);
    TRY(store_mailing_oldest_sent(op, tx, row.tenant_no, op->now_us - WARN_KEEP_US, &oldest_us));
    return store_source_begin_put(op, tx, source_no,
                                  lane_first_begin(row.created_at_us, oldest_us, op->now_us, timing.retention_us));
}

/* Whether somebody else holds a lane's lease now. */
static enum err check_free(struct op *op, struct tx *tx, const struct lane_row *row, const struct node_self *node,
                           int64_t clock_us)
{
    if (!str_given(row->lease_node) || row->lease_until_us < clock_us || str_eq(row->lease_node, node->id))
        return OK;
    struct node_row holder;
    bool found;
    TRY(store_node_find(op, tx, row->lease_node, &holder, &found));
    if (found && holder.is_lost)
        return OK;
    return fail(op, ERR_CONFLICT, "source number %u is read by node %.*s", (unsigned)row->source_no,
                STR(row->lease_node));
}

enum err source_lease_take(struct op *op, struct tx *tx, uint32_t source_no, const struct node_self *node,
                           uint64_t *ret_epoch)
{
    struct lane_row rows[STORE_LANES];
    uint64_t epoch = 0;
    int64_t clock_us;
    TRY(check_life(op, tx, node, &clock_us));
    TRY(store_lane_get(op, tx, source_no, rows));
    for (int i = 0; i < LANE_COUNT; i++) {
        TRY(check_free(op, tx, &rows[i], node, clock_us));
        epoch = rows[i].lease_epoch > epoch ? rows[i].lease_epoch : epoch;
    }
    TRY(begin_first_reading(op, tx, source_no));
    for (int i = 0; i < LANE_COUNT; i++) {
        rows[i].lease_node = node->id;
        rows[i].lease_epoch = epoch + 1;
        rows[i].lease_until_us = clock_us + SOURCE_LEASE_US;
        TRY(store_lane_put(op, tx, &rows[i]));
    }
    *ret_epoch = epoch + 1;
    return OK;
}

/* The lanes of an epoch get a new end; ERR_CONFLICT when one of them is not held under it any more. */
static enum err lease_move(struct op *op, struct tx *tx, uint32_t source_no, uint64_t epoch, int64_t clock_us,
                           int64_t until_us)
{
    struct lane_row rows[STORE_LANES];
    TRY(store_lane_get(op, tx, source_no, rows));
    for (int i = 0; i < LANE_COUNT; i++)
        if (!is_held(&rows[i], epoch, clock_us))
            return fail(op, ERR_CONFLICT, "source number %u: the lease is lost", (unsigned)source_no);
    for (int i = 0; i < LANE_COUNT; i++) {
        rows[i].lease_until_us = until_us;
        TRY(store_lane_put(op, tx, &rows[i]));
    }
    return OK;
}

enum err source_lease_renew(struct op *op, struct tx *tx, uint32_t source_no, const struct node_self *node,
                            uint64_t epoch)
{
    int64_t clock_us;
    TRY(check_life(op, tx, node, &clock_us));
    return lease_move(op, tx, source_no, epoch, clock_us, clock_us + SOURCE_LEASE_US);
}

enum err source_lease_give(struct op *op, struct tx *tx, uint32_t source_no, uint64_t epoch)
{
    int64_t clock_us;
    TRY(store_clock_us(op, tx, &clock_us));
    enum err err = lease_move(op, tx, source_no, epoch, clock_us, clock_us - 1);
    return err == ERR_CONFLICT ? OK : err;
}

enum err source_lease_go_on(struct op *op, struct tx *tx, const struct node_self *node, uint64_t epoch,
                            struct lane_row *row)
{
    int64_t clock_us;
    TRY(check_life(op, tx, node, &clock_us));
    if (!is_held(row, epoch, clock_us))
        return fail(op, ERR_CONFLICT, "source number %u: the lease of lane %s lapsed", (unsigned)row->source_no,
                    lane_name((enum lane)row->lane));
    row->lease_until_us = clock_us + SOURCE_LEASE_US;
    return OK;
}
