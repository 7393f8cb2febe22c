#include "test.h"

#include "engine/lanes.h"

#define S_US  INT64_C(1000000)
#define MIN   (60 * S_US)
#define HOUR  (60 * MIN)
#define DAY   (24 * HOUR)
#define START (1000 * DAY)

static struct coverage maps[CLASS_COUNT];
static struct timing timing;

static struct lane_view fresh(int64_t now_us)
{
    for (int i = 0; i < CLASS_COUNT; i++) {
        coverage_done(&maps[i]);
        coverage_init(&maps[i]);
    }
    timing_default(&timing);
    return (struct lane_view){ maps, &timing, START, now_us };
}

static void read_both(int64_t begin_us, int64_t end_us, int64_t at_us)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_read(&maps[i], &timing.plan, begin_us, end_us, at_us);
}

TEST(lanes, a_live_window_runs_from_the_first_unread_instant_to_a_minute_ago)
{
    struct lane_view view = fresh(START + HOUR);
    coverage_read(&maps[CLASS_OPENS], &timing.plan, START, START + 10 * MIN, START + 11 * MIN);
    int64_t begin, end;
    YES(lane_window(&view, LANE_OPENS, &begin, &end));
    EQ(begin, START + 10 * MIN);
    EQ(end, START + 59 * MIN);
    YES(lane_window(&view, LANE_OTHERS, &begin, &end));
    EQ(begin, START);
}

TEST(lanes, a_window_without_time_in_it_asks_for_nothing)
{
    struct lane_view view = fresh(START + 10 * MIN);
    read_both(START, START + 9 * MIN, START + 10 * MIN);
    int64_t begin, end;
    NO(lane_window(&view, LANE_OPENS, &begin, &end));
    NO(lane_window(&view, LANE_RECHECK, &begin, &end));
}

TEST(lanes, the_next_window_begins_exactly_where_the_last_one_ended)
{
    struct lane_view view = fresh(START + 10 * MIN);
    int64_t begin, end, next_end;
    YES(lane_window(&view, LANE_OPENS, &begin, &end));
    coverage_read(&maps[CLASS_OPENS], &timing.plan, begin, end, view.now_us);
    view.now_us += 30 * S_US;
    YES(lane_window(&view, LANE_OPENS, &begin, &next_end));
    EQ(begin, end);
    EQ(next_end, end + 30 * S_US);
}

TEST(lanes, unread_time_before_the_first_reading_is_nobodys_window)
{
    struct lane_view view = fresh(START + 10 * MIN);
    read_both(START - 30 * DAY, START - 20 * DAY, START);
    int64_t begin, end;
    YES(lane_window(&view, LANE_OPENS, &begin, &end));
    EQ(begin, START);
    NO(lane_lost(&view, LANE_OPENS, &begin, &end));
}

TEST(lanes, a_stretch_read_by_a_backfill_is_not_read_again_by_the_live_lane)
{
    struct lane_view view = fresh(START + 2 * HOUR);
    read_both(START + HOUR, START + 90 * MIN, START + 2 * HOUR);
    int64_t begin, end;
    YES(lane_window(&view, LANE_OPENS, &begin, &end));
    EQ(begin, START);
    EQ(end, START + HOUR);
}

TEST(lanes, recheck_stays_behind_both_live_lanes)
{
    struct lane_view view = fresh(START + DAY);
    coverage_read(&maps[CLASS_OPENS], &timing.plan, START, START + 2 * HOUR, START + 2 * HOUR + MIN);
    coverage_read(&maps[CLASS_OTHERS], &timing.plan, START, START + HOUR, START + HOUR + MIN);
    int64_t begin, end;
    YES(lane_window(&view, LANE_RECHECK, &begin, &end));
    EQ(begin, START + 31 * MIN + 1);
    EQ(end, START + HOUR);
}

TEST(lanes, recheck_takes_the_oldest_due_stretch_first)
{
    struct lane_view view = fresh(START + 25 * HOUR);
    for (int64_t at = START; at < view.now_us; at += HOUR)
        read_both(at, at + HOUR, at + HOUR + MIN);
    int64_t begin, end;
    YES(lane_window(&view, LANE_RECHECK, &begin, &end));
    EQ(begin, START);
}

TEST(lanes, the_first_reading_reaches_back_to_the_oldest_recent_mailing)
{
    EQ(lane_first_begin(START, STORE_NO_INSTANT, START, 3 * DAY), START - 30 * MIN);
    EQ(lane_first_begin(START, START - DAY, START, 3 * DAY), START - DAY);
    EQ(lane_first_begin(START, START - 10 * MIN, START, 3 * DAY), START - 30 * MIN);
    EQ(lane_first_begin(START, START - 20 * DAY, START, 3 * DAY), START - 3 * DAY);
    EQ(lane_first_begin(START - 10 * DAY, STORE_NO_INSTANT, START, 3 * DAY), START - 3 * DAY);
}

TEST(lanes, unread_time_beyond_the_retention_is_lost)
{
    struct lane_view view = fresh(START + 5 * DAY);
    coverage_read(&maps[CLASS_OPENS], &timing.plan, START, START + DAY, START + DAY);
    int64_t begin, end;
    YES(lane_lost(&view, LANE_OPENS, &begin, &end));
    EQ(begin, START + DAY);
    EQ(end, START + 2 * DAY);
    coverage_gap(&maps[CLASS_OPENS], begin, end);
    NO(lane_lost(&view, LANE_OPENS, &begin, &end));
    YES(lane_window(&view, LANE_OPENS, &begin, &end));
    EQ(begin, START + 2 * DAY);
}

TEST(lanes, a_first_reading_at_the_limit_loses_nothing_while_it_gets_ready)
{
    struct lane_view view = fresh(START + 3 * DAY + 20 * S_US);
    int64_t begin, end;
    NO(lane_lost(&view, LANE_OPENS, &begin, &end));
    view.now_us += MIN;
    YES(lane_lost(&view, LANE_OPENS, &begin, &end));
}

TEST(lanes, lag_is_the_distance_to_the_first_unread_instant_and_for_recheck_how_overdue)
{
    struct lane_view view = fresh(START + HOUR);
    EQ(lane_lag(&view, LANE_OPENS), HOUR);
    EQ(lane_lag(&view, LANE_RECHECK), 0);
    read_both(START, START + 20 * MIN, START + 21 * MIN);
    EQ(lane_lag(&view, LANE_OPENS), 40 * MIN);
    EQ(lane_lag(&view, LANE_RECHECK), 30 * MIN);
    view.now_us = START + 25 * MIN;
    EQ(lane_lag(&view, LANE_RECHECK), 0);
}

TEST(lanes, the_pause_follows_the_age_of_the_newest_mailing)
{
    fresh(START);
    EQ(lane_pause(&timing, START - HOUR, false, START), 30 * S_US);
    EQ(lane_pause(&timing, START - 2 * DAY, false, START), 5 * MIN);
    EQ(lane_pause(&timing, START - 2 * DAY, true, START), 30 * S_US);
    EQ(lane_pause(&timing, START - 31 * DAY, false, START), HOUR);
    EQ(lane_pause(&timing, STORE_NO_INSTANT, false, START), HOUR);
    timing.every_us = S_US;
    EQ(lane_pause(&timing, START - 2 * DAY, false, START), 10 * S_US);
    EQ(lane_pause(&timing, STORE_NO_INSTANT, false, START), 2 * MIN);
    timing.every_us = 2 * HOUR;
    EQ(lane_pause(&timing, STORE_NO_INSTANT, false, START), 2 * HOUR);
}

TEST(lanes, a_backfill_is_clipped_to_what_is_over)
{
    fresh(START);
    struct op op;
    op_init(&op, NULL, START);
    int64_t end = 0;
    SUCCEEDS(&op, lane_backfill_window(&op, &timing, START - DAY, START - HOUR, START, &end));
    EQ(end, START - HOUR);
    SUCCEEDS(&op, lane_backfill_window(&op, &timing, START - DAY, START + DAY, START, &end));
    EQ(end, START - MIN);
    EQ(lane_backfill_window(&op, &timing, START - HOUR, START - HOUR, START, &end), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/end");
    EQ(lane_backfill_window(&op, &timing, START - MIN, START + DAY, START, &end), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/begin");
}

TEST(lanes, have_names_and_classes)
{
    STR_EQ(str_of(lane_name(LANE_BACKFILL)), "backfill");
    STR_EQ(str_of(lane_name(LANE_HOOK)), "webhook");
    STR_EQ(str_of(lane_state_name(LANE_WAITING)), "waiting");
    EQ(lane_classes(LANE_OPENS), 1);
    EQ(lane_classes(LANE_OTHERS), 2);
    EQ(lane_classes(LANE_RECHECK), 3);
}
