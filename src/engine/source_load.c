/*
 * source_load.c - the rows that the machine of source.h is made from.
 */
#include "engine/source.h"

enum err source_load(struct op *op, struct tx *tx, uint32_t source_no, struct source_setup *ret)
{
    *ret = (struct source_setup){ .newest_sent_us = STORE_NO_INSTANT };
    TRY(store_source_get_no(op, tx, source_no, &ret->row));
    source_config_timing(op, &ret->row, &ret->timing);
    TRY(store_lane_get(op, tx, source_no, ret->lanes));
    for (int i = 0; i < CLASS_COUNT; i++)
        TRY(store_coverage_get(op, tx, source_no, (unsigned)i, &ret->intervals[i], &ret->interval_count[i]));
    ret->epoch = ret->lanes[LANE_OPENS].lease_epoch;
    return store_source_newest_mailing(op, tx, ret->row.tenant_no, &ret->newest_sent_us);
}
