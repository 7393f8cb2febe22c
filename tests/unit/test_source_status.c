#include "engine/source_metrics.h"
#include "source_lab.h"

static struct lab lab;

static void read_both(int64_t begin_us, int64_t end_us, int64_t at_us)
{
    lab.save.lane = LANE_RECHECK;
    lab.save.marks[0] = (struct coverage_mark){ MARK_READ, lane_classes(LANE_RECHECK), begin_us, end_us, at_us };
    lab.save.mark_count = 1;
    lab.save.epoch = 0;
    SUCCEEDS(lab.op, lab_commit(&lab));
}

TEST(source_status, of_a_new_source_shows_four_lanes_that_have_read_nothing)
{
    lab_start(&lab);
    YES(lab_shows(&lab, "\"lanes\":[{\"lane\":\"opens\",\"state\":\"idle\",\"window\":null,"
                        "\"fetched_through\":\"2023-11-14T22:43:20.000000Z\",\"lag_seconds\":1800,\"events\":0,"));
    YES(lab_shows(&lab, "{\"lane\":\"backfill\",\"state\":\"idle\",\"window\":null,\"fetched_through\":null,"
                        "\"lag_seconds\":null,"));
    YES(lab_shows(&lab, "\"coverage\":[],\"gaps\":[],\"warnings\":[{\"code\":\"lagging\","));
    lab_stop(&lab);
}

TEST(source_status, merges_the_coverage_and_tells_what_is_settled)
{
    lab_start(&lab);
    int64_t begin = lab.setup.row.first_begin_us, now = lab.op->now_us;
    read_both(begin, now - MINUTE, now);
    lab.op->now_us = now + 30 * MINUTE;
    read_both(begin, begin + 10 * MINUTE, lab.op->now_us);
    lab.op->now_us = now + 26 * HOUR;
    read_both(begin, begin + 5 * MINUTE, lab.op->now_us);
    YES(lab_shows(&lab, "\"coverage\":[{\"begin\":\"2023-11-14T22:43:20.000000Z\",\"end\":"
                        "\"2023-11-14T22:48:20.000000Z\",\"passes\":3,\"settled\":true},"
                        "{\"begin\":\"2023-11-14T22:48:20.000000Z\",\"end\":\"2023-11-14T22:53:20.000000Z\","
                        "\"passes\":2,\"settled\":false},"));
    lab_stop(&lab);
}

TEST(source_status, of_a_source_that_only_hears_has_no_lanes)
{
    lab_start_with(&lab, "{\"type\":\"postmark\",\"signing_key\":\"u:p\"}");
    YES(lab_shows(&lab, "\"lanes\":[],\"webhook\":{\"events\":0,"));
    YES(lab_shows(&lab, "\"warnings\":[]"));
    lab_stop(&lab);
}

TEST(source_status, is_one_json_text)
{
    lab_start(&lab);
    struct json j;
    json_init(&j, lab.op->arena, lab_status(&lab), JSON_STRICT);
    SUCCEEDS(lab.op, json_finish(&j, lab.op));
    lab_stop(&lab);
}

/* -------------------------------------------------------------------------------------------------------- keeping */

static enum err keep(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return source_warnings_keep(op, tx, lab.source_no);
}

static enum err differs(struct op *op, struct tx *tx, void *arg)
{
    return source_warnings_look(op, tx, lab.source_no, arg);
}

static bool would_change(void)
{
    bool ret;
    SUCCEEDS(lab.op, store_read(lab.op, lab.store, differs, &ret));
    return ret;
}

TEST(source_status, a_warning_keeps_its_begin_and_goes_with_its_reason)
{
    lab_start(&lab);
    lab.save.epoch = 0;
    struct provider_event bad[] = { { .kind = EVENT_MALFORMED, .reason = "no_time" } };
    lab.save.events = bad;
    lab.save.event_count = 1;
    SUCCEEDS(lab.op, lab_commit(&lab));
    YES(would_change());
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, keep, NULL));
    NO(would_change());

    lab.op->now_us += HOUR; /* it began an hour ago */
    YES(lab_shows(&lab, "{\"code\":\"malformed\",\"since\":\"2023-11-14T23:13:20.000000Z\","));

    struct provider_event good[200];
    for (int i = 0; i < 200; i++)
        good[i] = (struct provider_event){ .kind = EVENT_UNHANDLED, .at_us = T0 };
    lab.save.events = good;
    lab.save.event_count = 200;
    SUCCEEDS(lab.op, lab_commit(&lab));
    NO(lab_shows(&lab, "\"malformed\",\"since\""));
    YES(would_change());
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, keep, NULL));
    NO(would_change());
    lab_stop(&lab);
}

/* -------------------------------------------------------------------------------------------------------- metrics */

static int64_t lags[LANE_COUNT], last_us;

static enum err gauges(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return source_metrics_read(op, tx, lab.source_no, lags, &last_us);
}

TEST(source_metrics, read_the_lag_of_each_lane_off_the_rows)
{
    lab_start(&lab);
    int64_t now = lab.op->now_us;
    read_both(lab.setup.row.first_begin_us, now - MINUTE, now);
    lab.op->now_us = now + 3 * MINUTE;
    SUCCEEDS(lab.op, store_read(lab.op, lab.store, gauges, NULL));
    EQ(lags[LANE_OPENS], 4 * MINUTE);
    EQ(lags[LANE_OTHERS], 4 * MINUTE);
    EQ(lags[LANE_BACKFILL], -1);
    EQ(last_us, STORE_NO_INSTANT);
    lab_stop(&lab);
}
