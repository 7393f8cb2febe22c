/*
 * source_metrics.h - what /metrics tells about sources (SRC-23).
 *
 *     posthouse_source_events_total{source,lane,result}   items, each in one result; counted after the commit
 *     posthouse_source_lag_seconds{source,lane}
 *     posthouse_source_last_event_timestamp_seconds{source}
 *
 * Thread: any.
 */
#pragma once

#include "engine/source_commit.h"

/* Adds the results of a page or webhook (LANE_HOOK) whose commit is durable. */
void source_metrics_count(struct str source_id, enum lane lane, const struct source_result *result);

/* Sets the gauges of one source. lag_us per lane, below 0 = not known. */
void source_metrics_gauge(struct str source_id, const int64_t lag_us[LANE_COUNT], int64_t last_event_us);

/* Leaves its gauges out: another node reads the source now, and one of them shall tell. */
void source_metrics_hide(struct str source_id);

/* The figures for source_metrics_gauge, read off the rows; last_event STORE_NO_INSTANT when there was none. */
enum err source_metrics_read(struct op *op, struct tx *tx, uint32_t source_no, int64_t ret_lag_us[LANE_COUNT],
                             int64_t *ret_last_event_us);
