/*
 * job_budget.h - what several queues may take together (BUD-1, BUD-2).
 *
 * A start takes from its queue and from the queue's budget; the units belong
 * to the lease. Lowering a budget stops starts until leases have ended.
 */
#pragma once

#include "base/op.h"
#include "store/tx.h"

#define BUDGETS_MAX 10000

struct budget_view {
    struct str id;
    struct str policy; /* JSON object */
    int64_t used;
};

/* Creates or replaces. `policy` was read by budget_policy_read. ERR_BUSY above BUDGETS_MAX. */
enum err budget_put(struct op *op, struct tx *tx, struct str id, struct str policy);
enum err budget_get(struct op *op, struct tx *tx, struct str id, struct budget_view *ret);

/* By id behind `after`, at most max. */
enum err budget_list(struct op *op, struct tx *tx, struct str after, int max, struct budget_view **ret,
                     size_t *ret_count);

/* ERR_CONFLICT while a queue names it; ERR_NOT_FOUND. */
enum err budget_delete(struct op *op, struct tx *tx, struct str id);
