/*
 * store_count.h - one counter of a store, to see which writes have stayed: mailing 7, opened.
 */
#pragma once

#include "store/tally.h"
#include "store_test.h"

static inline enum err count_one(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    store_mailing_count(tx, *(const uint32_t *)arg, MAILING_OPENED, 1);
    return OK;
}

static inline enum err opened_of(struct op *op, struct tx *tx, void *arg)
{
    struct mailing_stats stats;
    TRY(store_mailing_stats_get(op, tx, 7, &stats));
    *(int64_t *)arg = stats.figure[MAILING_OPENED];
    return OK;
}

static inline int64_t opened_in(struct fixture *f)
{
    int64_t n = -1;
    READS(f, opened_of, &n);
    return n;
}

static const uint32_t seven = 7;
#define SEVEN ((void *)(uintptr_t)&seven)
