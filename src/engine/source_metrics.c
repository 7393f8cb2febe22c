#include "engine/source_metrics.h"

#include "base/metric.h"

static struct str lane_label(int lane)
{
    return str_of(lane_name((enum lane)lane));
}

void source_metrics_count(struct str source_id, enum lane lane, const struct source_result *result)
{
    struct metric *events =
        metric_counter("posthouse_source_events_total", "Items of provider events by what became of them.",
                       "source,lane,result", METRIC_ONE);
    for (int i = 0; i < RESULT_COUNT; i++)
        if (result->count[i])
            metric_add(METRIC_AT(events, source_id, lane_label((int)lane),
                                 str_of(event_result_name((enum event_result)i))),
                       result->count[i]);
}

static struct metric *lag_gauge(void)
{
    return metric_gauge("posthouse_source_lag_seconds", "How far a lane is behind what it should have read.",
                        "source,lane", METRIC_SECONDS);
}

static struct metric *last_gauge(void)
{
    return metric_gauge("posthouse_source_last_event_timestamp_seconds",
                        "Time of the newest event heard from a source.", "source", METRIC_SECONDS);
}

void source_metrics_gauge(struct str source_id, const int64_t lag_us[LANE_COUNT], int64_t last_event_us)
{
    struct metric *lag = lag_gauge(), *last = last_gauge();
    for (int i = 0; i < LANE_COUNT; i++)
        if (lag_us[i] >= 0)
            metric_set(METRIC_AT(lag, source_id, lane_label(i)), lag_us[i]);
    if (last_event_us != STORE_NO_INSTANT)
        metric_set(METRIC_AT(last, source_id), last_event_us);
}

void source_metrics_hide(struct str source_id)
{
    for (int i = 0; i < LANE_COUNT; i++)
        metric_hide(METRIC_AT(lag_gauge(), source_id, lane_label(i)));
    metric_hide(METRIC_AT(last_gauge(), source_id));
}

static enum err read_lags(struct op *op, struct tx *tx, const struct source_row *row, struct coverage *maps,
                          int64_t ret_lag_us[LANE_COUNT])
{
    struct timing timing;
    source_config_timing(op, row, &timing);
    for (int i = 0; i < CLASS_COUNT; i++) {
        struct interval *intervals;
        size_t count;
        TRY(store_coverage_get(op, tx, row->no, (unsigned)i, &intervals, &count));
        coverage_load(&maps[i], intervals, count);
    }
    struct lane_view view = { maps, &timing, row->first_begin_us, op->now_us };
    for (int i = 0; i <= LANE_RECHECK; i++)
        ret_lag_us[i] = lane_lag(&view, (enum lane)i);
    return OK;
}

enum err source_metrics_read(struct op *op, struct tx *tx, uint32_t source_no, int64_t ret_lag_us[LANE_COUNT],
                             int64_t *ret_last_event_us)
{
    struct source_row row;
    struct lane_row lanes[STORE_LANES];
    struct coverage maps[CLASS_COUNT];
    TRY(store_source_get_no(op, tx, source_no, &row));
    TRY(store_lane_get(op, tx, source_no, lanes));
    *ret_last_event_us = STORE_NO_INSTANT;
    for (int i = 0; i < STORE_LANES; i++)
        if (lanes[i].last_event_at_us > *ret_last_event_us)
            *ret_last_event_us = lanes[i].last_event_at_us;
    for (int i = 0; i < LANE_COUNT; i++)
        ret_lag_us[i] = -1;
    if (!source_config_is_polled(&row) || row.first_begin_us == STORE_NO_INSTANT)
        return OK;
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_init(&maps[i]);
    enum err err = read_lags(op, tx, &row, maps, ret_lag_us);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&maps[i]);
    return err;
}
