#include "engine/keep.h"

#include "base/log.h"
#include "base/metric.h"
#include "engine/check.h"
#include "engine/park.h"
#include "store/store_client_key.h"
#include "store/store_delta.h"
#include "store/store_inbox.h"

#define DAY_US INT64_C(86400000000)

enum err keep_step(struct op *op, struct tx *tx, struct keep_result *ret)
{
    bool more_deltas;
    int gone;
    TRY(park_shrink(op, tx, KEEP_ROWS, &gone));
    TRY(store_client_key_expire(op, tx, (int32_t)(op->now_us / DAY_US) - CLIENT_KEY_DAYS));
    TRY(store_delta_fold(op, tx, STORE_FOLD_ROWS, &more_deltas));
    TRY(store_inbox_shrink(op, tx));
    *ret = (struct keep_result){ .parked_gone = gone, .more = gone == KEEP_ROWS || more_deltas };
    return OK;
}

static struct metric_cell *drift_counter(void)
{
    return METRIC_PLAIN(metric_counter("posthouse_counter_drift_total",
                                       "Counters that differed from their rows when counted again.", "", METRIC_ONE));
}

void keep_declare(void)
{
    drift_counter();
}

static void tell_difference(void *data, const char *line)
{
    (void)data;
    log_error("a counter differs from its rows", LOG_TEXT("difference", line));
}

enum err keep_recount(struct op *op, struct store *store, const struct keep_pace *pace, int64_t *ret_differ)
{
    struct check check = { .store = store,
                           .by_slices = true,
                           .difference = tell_difference,
                           .pause = pace->pause,
                           .mono_us = pace->mono_us,
                           .data = pace->data };
    enum err err = check_run(op, &check);
    metric_add(drift_counter(), check.differ);
    if (err == OK)
        *ret_differ = check.differ;
    return err;
}
