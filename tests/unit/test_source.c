#include "source_world.h"

/* ------------------------------------------------------------------------------------------------------- reading */

TEST(source, reads_both_live_lanes_up_to_a_minute_ago_and_rests)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(50, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    add_many(10, NOW0 - 15 * MIN, NOW0 - 5 * MIN, false);
    world_sort();
    run_until(NOW0 + 10 * SEC);
    YES(caught_up());
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    EQ(through(CLASS_OTHERS), NOW0 - MIN);
    EQ(world.asked[LANE_OPENS], 2);
    EQ(world.asked[LANE_OTHERS], 2);
    EQ(world.lanes[LANE_OPENS].state, LANE_IDLE);
    YES(world.lanes[LANE_OPENS].next_run_at_us >= NOW0 + 27 * SEC);
    YES(world.lanes[LANE_OPENS].next_run_at_us <= NOW0 + 33 * SEC);
    world_done();
}

TEST(source, an_empty_window_is_covered_to_its_end_by_one_request)
{
    world_begin(NOW0 - 30 * MIN);
    run_until(NOW0 + 10 * SEC);
    EQ(world.asked[LANE_OPENS], 1);
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    run_until(NOW0 + 70 * SEC);
    YES(through(CLASS_OPENS) > NOW0 - MIN);
    world_done();
}

TEST(source, an_event_that_shows_late_is_found_by_the_recheck_after_half_an_hour)
{
    world_begin(NOW0 - 30 * MIN);
    struct item *late = add(NOW0 + 5 * MIN, true);
    late->visible_us = NOW0 + 15 * MIN;
    run_until(NOW0 + 34 * MIN);
    EQ(late->seen, 0);
    run_until(NOW0 + 40 * MIN);
    EQ(late->seen, 1);
    world_done();
}

TEST(source, the_look_after_a_day_does_not_starve_the_one_after_half_an_hour)
{
    world_begin(NOW0 - 30 * MIN);
    struct item *late = add(NOW0 + 26 * HOUR, true);
    late->visible_us = NOW0 + 26 * HOUR + 15 * MIN;
    run_until(NOW0 + 26 * HOUR);
    int asked = world.asked[LANE_RECHECK];
    run_until(NOW0 + 26 * HOUR + 40 * MIN);
    EQ(late->seen, 1);
    YES(world.asked[LANE_RECHECK] - asked < 300); /* two looks each half minute, not one as fast as they are answered */
    world_done();
}

TEST(source, everything_settles_after_a_day_with_three_passes)
{
    world_begin(NOW0);
    struct item *very_late = add(NOW0 + MIN, false);
    very_late->visible_us = NOW0 + 2 * HOUR;
    run_until(NOW0 + 25 * HOUR);
    EQ(very_late->seen, 1);
    struct interval merged[16];
    size_t n = coverage_merge(world.kept, merged, 16);
    YES(n >= 3 && n <= 4);
    YES(coverage_is_settled(&merged[0], &world.setup.timing.plan));
    EQ(merged[0].passes, 3);
    EQ(merged[0].begin_us, NOW0);
    world_done();
}

TEST(source, never_has_more_than_two_requests_under_way)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(20000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, true);
    add_many(5000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, false);
    world_sort();
    run_until(NOW0 + 5 * MIN);
    YES(caught_up());
    EQ(world.most_flights, 2);
    world_done();
}

TEST(source, a_lane_that_is_behind_is_read_in_two_windows_side_by_side)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(60000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, true);
    world.latency_us = SEC;
    run_until(NOW0 + 120 * SEC);
    /* 200 pages of a second each, one after the other, would take 200 s. */
    YES(caught_up());
    int twice = 0;
    for (int i = 0; i < world.item_count; i++)
        twice += world.items[i].seen > 1;
    YES(twice < 100);
    world_done();
}

TEST(source, more_events_at_one_instant_than_a_page_holds_are_all_read)
{
    world_begin(NOW0 - 30 * MIN);
    for (int i = 0; i < 2000; i++)
        add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 20 * SEC);
    YES(caught_up());
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    world_done();
}

TEST(source, a_page_of_bad_items_only_is_not_the_end)
{
    world_begin(NOW0 - 30 * MIN);
    for (int i = 0; i < 900; i++)
        add(NOW0 - 20 * MIN + i, true)->is_bad = true;
    add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 20 * SEC);
    YES(caught_up());
    EQ(world.items[0].seen, 1);
    world_done();
}

TEST(source, two_hundred_thousand_opens_starve_neither_bounces_nor_a_backfill)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(200000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    add_many(9000, NOW0 - HOUR, NOW0 - 5 * MIN, false);
    add_many(5000, NOW0 - 30 * DAY, NOW0 - 29 * DAY, false);
    world_sort();
    world.lanes[LANE_BACKFILL].window_begin_us = world.lanes[LANE_BACKFILL].position_us = NOW0 - 30 * DAY;
    world.lanes[LANE_BACKFILL].window_end_us = NOW0 - 29 * DAY;
    crash();
    for (int i = 0; i < 200000 && world.asked_total < 36; i++)
        step(INT64_MAX - 1);
    YES(world.asked[LANE_OPENS] >= 18);
    YES(world.asked[LANE_OTHERS] >= 9);
    YES(world.asked[LANE_BACKFILL] >= 3);
    run_until(world.now_us + 10 * MIN);
    YES(caught_up());
    world_done();
}

/* How long it takes until everything visible of a class was read. */
static int64_t time_to_read(bool is_open, int64_t from_us)
{
    while (world.now_us < NOW0 + HOUR) {
        bool is_read = true;
        for (int i = first_at(from_us); i < world.item_count && is_read; i++)
            is_read = world.items[i].is_open != is_open || world.items[i].seen;
        if (is_read)
            break;
        step(INT64_MAX - 1);
    }
    return world.now_us - NOW0;
}

TEST(source, bounces_of_the_same_minutes_are_read_within_half_a_minute_while_a_hundred_thousand_opens_wait)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(100000, NOW0 - 30 * MIN, NOW0 - 2 * MIN, true);
    add_many(4000, NOW0 - 30 * MIN, NOW0 - 2 * MIN, false);
    world_sort();
    int64_t others_us = time_to_read(false, NOW0 - HOUR);
    int waiting = 0;
    for (int i = 0; i < world.item_count; i++)
        waiting += world.items[i].is_open && !world.items[i].seen;
    print_message("4000 others read after %.1f s of simulated time, %d opens still wait\n", (double)others_us / 1e6,
                  waiting);
    YES(others_us <= 30 * SEC);
    YES(waiting > 50000);
    world_done();
}

/* The live lanes have 330 pages to read; a month of a former mailing may be asked for beside them. */
static int64_t time_of_live_lanes(bool with_backfill)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(90000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    add_many(9000, NOW0 - HOUR, NOW0 - 5 * MIN, false);
    add_many(40000, NOW0 - 32 * DAY, NOW0 - 2 * DAY, true);
    world_sort();
    if (with_backfill) {
        world.lanes[LANE_BACKFILL].window_begin_us = world.lanes[LANE_BACKFILL].position_us = NOW0 - 32 * DAY;
        world.lanes[LANE_BACKFILL].window_end_us = NOW0 - 2 * DAY;
        crash();
    }
    int64_t others_us = time_to_read(false, NOW0 - HOUR), opens_us = time_to_read(true, NOW0 - HOUR);
    world_done();
    return opens_us > others_us ? opens_us : others_us;
}

TEST(source, a_backfill_of_a_month_delays_the_live_lanes_by_at_most_a_tenth)
{
    int64_t alone_us = time_of_live_lanes(false), beside_us = time_of_live_lanes(true);
    print_message("live lanes: %.1f s alone, %.1f s beside a backfill, ratio %.3f\n", (double)alone_us / 1e6,
                  (double)beside_us / 1e6, (double)beside_us / (double)alone_us);
    YES(beside_us * 10 <= alone_us * 11);
}

TEST(source, fetches_one_page_ahead_but_keeps_pages_in_order)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(3000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    world.commit_us = 3 * SEC; /* the writer is slower than the provider */
    int64_t last_us = 0;
    while (step(NOW0 + 5 * MIN)) {
        YES(through(CLASS_OPENS) >= last_us);
        last_us = through(CLASS_OPENS);
    }
    YES(caught_up());
    world_done();
}

/* --------------------------------------------------------------------------------------------------------- crashes */

TEST(source, a_crash_between_any_two_steps_loses_nothing)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        world_begin(NOW0 - 2 * HOUR);
        add_many(4000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
        add_many(800, NOW0 - HOUR, NOW0 - 5 * MIN, false);
        world_sort();
        for (int i = 0; i < 400 && !caught_up(); i++) {
            step(NOW0 + HOUR);
            if (rng_below(&rng, 6) == 0)
                crash();
        }
        run_until(world.now_us + 2 * MIN);
        YES(caught_up());
        world_done();
    }
}

TEST(source, resumes_at_the_committed_position_with_a_fresh_first_request)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(3000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    while (world.pages_kept < 3)
        step(INT64_MAX - 1);
    int64_t position_us = through(CLASS_OPENS);
    crash();
    int before = world.asked[LANE_OPENS];
    while (world.asked[LANE_OPENS] == before)
        step(INT64_MAX - 1);
    EQ(world.last[LANE_OPENS].begin_us, position_us);
    NO(str_given(world.last[LANE_OPENS].token));
    run_until(world.now_us + MIN);
    YES(caught_up());
    world_done();
}

TEST(source, a_page_the_store_refused_is_read_again)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.save_fails = 3;
    run_until(NOW0 + 2 * MIN);
    YES(caught_up());
    EQ(world.items[0].seen, 1);
    world_done();
}

TEST(source, stops_when_its_lease_is_lost_until_it_is_taken_again)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.save_fails = 1;
    world.save_err = ERR_CONFLICT;
    run_until(NOW0 + MIN);
    YES(source_is_fenced(world.source));
    NO(caught_up());
    int asked = world.asked_total;
    run_until(NOW0 + 10 * MIN);
    EQ(world.asked_total, asked);

    world_setup();
    world.setup.epoch = 2;
    source_reload(world.source, &world.setup, world.now_us);
    run_until(NOW0 + 11 * MIN);
    YES(caught_up());
    world_done();
}

/* ------------------------------------------------------------------------------------------------------- time lost */

TEST(source, time_beyond_the_retention_becomes_a_gap_and_reading_goes_on)
{
    world_begin(NOW0 - 10 * DAY);
    coverage_read(&world.kept[CLASS_OPENS], &world.setup.timing.plan, NOW0 - 10 * DAY, NOW0 - 5 * DAY, NOW0);
    coverage_read(&world.kept[CLASS_OTHERS], &world.setup.timing.plan, NOW0 - 10 * DAY, NOW0 - MIN, NOW0);
    crash();
    run_until(NOW0 + 10 * SEC);
    EQ(world.gaps, 1);
    EQ(world.kept[CLASS_OPENS].at[1].passes, 0);
    EQ(world.kept[CLASS_OPENS].at[1].begin_us, NOW0 - 5 * DAY);
    EQ(world.kept[CLASS_OPENS].at[1].end_us, NOW0 - 3 * DAY);
    YES(through(CLASS_OPENS) >= NOW0 - MIN);
    world_done();
}

TEST(source, a_clock_ahead_of_the_provider_declares_nothing_read_that_has_not_happened_there)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = 5 * MIN;
    run_until(NOW0 + 10 * SEC);
    EQ(world.codes_on[WARN_CLOCK_SKEW], 1);
    run_until(NOW0 + 10 * MIN);
    YES(through(CLASS_OPENS) <= world.now_us - 6 * MIN);
    YES(through(CLASS_OPENS) >= world.now_us - 7 * MIN);
    world_done();
}

static void an_hour_back(int64_t date_behind_us)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = date_behind_us;
    add_many(40, NOW0, NOW0 + 20 * MIN, true);
    add_many(40, NOW0, NOW0 + 20 * MIN, false);
    world_sort();
    run_until(NOW0 + 5 * MIN);
    clock_steps(-HOUR);
    for (int i = 1; i <= 15; i++) {
        run_until(NOW0 + 5 * MIN + i * MIN);
        YES(through(CLASS_OPENS) >= world.now_us - 2 * MIN);
        YES(through(CLASS_OTHERS) >= world.now_us - 2 * MIN);
        YES(through(CLASS_OPENS) <= world.now_us - 59 * SEC);
    }
    world_done();
}

TEST(source, a_clock_that_steps_back_an_hour_rests_no_lane)
{
    an_hour_back(0);
    an_hour_back(INT64_MIN);
}

TEST(source, a_clock_an_hour_ahead_that_is_set_right_rests_no_lane)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = 0;
    world.off_us = HOUR;
    run_until(NOW0 + 5 * MIN);
    YES(through(CLASS_OPENS) >= world.now_us - 2 * MIN);
    YES(through(CLASS_OPENS) <= world.now_us - 59 * SEC);
    EQ(world.codes_on[WARN_CLOCK_SKEW], 1);
    clock_steps(-HOUR);
    run_until(NOW0 + 7 * MIN);
    YES(through(CLASS_OPENS) >= world.now_us - 2 * MIN);
    YES(through(CLASS_OPENS) <= world.now_us - 59 * SEC);
    EQ(world.codes_off[WARN_CLOCK_SKEW], 1);
    world_done();
}

TEST(source, a_clock_that_steps_forward_reads_nothing_that_has_not_happened)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = 0;
    run_until(NOW0 + 5 * MIN);
    clock_steps(HOUR);
    for (int i = 1; i <= 5; i++) {
        run_until(NOW0 + 5 * MIN + i * MIN);
        YES(through(CLASS_OPENS) >= world.now_us - 2 * MIN);
        YES(through(CLASS_OPENS) <= world.now_us - 59 * SEC);
    }
    world_done();
}

static void wait_of_two_minutes(int64_t by_us)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = 0;
    world.refuse_status = 429;
    world.refuse_wait_us = 120 * SEC;
    world.refuse_count = 2; /* both lanes ask at once */
    run_until(NOW0 + 10 * SEC);
    int asked = world.asked_total;
    clock_steps(by_us);
    run_until(NOW0 + 119 * SEC);
    EQ(world.asked_total, asked);
    run_until(NOW0 + 125 * SEC);
    YES(world.asked_total > asked);
    YES(through(CLASS_OPENS) >= NOW0 - MIN);
    world_done();
}

TEST(source, a_rate_limit_lasts_as_long_as_asked_whatever_the_clock_does)
{
    wait_of_two_minutes(-HOUR);
    wait_of_two_minutes(HOUR);
}

/* -------------------------------------------------------------------------------------------------------- backfill */

static void start_backfill(int64_t begin_us, int64_t end_us)
{
    struct lane_row *row = &world.lanes[LANE_BACKFILL];
    row->window_begin_us = row->position_us = begin_us;
    row->window_end_us = end_us;
    world_setup();
    source_reload(world.source, &world.setup, world.now_us);
}

TEST(source, a_backfill_reads_as_asked_settles_at_once_and_is_done)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(5000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    run_until(NOW0 + SEC);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    run_until(NOW0 + 60 * SEC);
    YES(caught_up());
    EQ(world.lanes[LANE_BACKFILL].window_begin_us, STORE_NO_INSTANT);
    EQ(world.lanes[LANE_BACKFILL].state, LANE_IDLE);
    EQ(world.kept[CLASS_OTHERS].at[0].begin_us, NOW0 - 40 * DAY);
    YES(coverage_is_settled(&world.kept[CLASS_OTHERS].at[0], &world.setup.timing.plan));
    world_done();
}

TEST(source, a_backfill_is_done_also_when_its_later_half_was_empty)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(800, NOW0 - 40 * DAY, NOW0 - 39 * DAY, true);
    world.commit_us = 100 * 1000; /* both halves are read to their end before either is kept */
    run_until(NOW0 + SEC);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    run_until(NOW0 + 60 * SEC);
    YES(caught_up());
    EQ(world.lanes[LANE_BACKFILL].window_begin_us, STORE_NO_INSTANT);
    EQ(world.lanes[LANE_BACKFILL].state, LANE_IDLE);
    EQ(world.lanes[LANE_BACKFILL].position_us, NOW0 - 35 * DAY);
    world_done();
}

TEST(source, a_backfill_survives_a_crash)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(5000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    while (world.pages_kept < 5)
        step(INT64_MAX - 1);
    crash();
    YES(world.lanes[LANE_BACKFILL].position_us > NOW0 - 40 * DAY);
    run_until(NOW0 + 60 * SEC);
    YES(caught_up());
    world_done();
}

TEST(source, a_cancelled_backfill_keeps_the_page_in_hand_and_stops)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(50000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    while (world.asked[LANE_BACKFILL] < 6)
        step(INT64_MAX - 1);
    world.lanes[LANE_BACKFILL].window_begin_us = world.lanes[LANE_BACKFILL].window_end_us = STORE_NO_INSTANT;
    world.lanes[LANE_BACKFILL].state = LANE_IDLE;
    world_setup();
    int kept = world.pages_kept;
    source_reload(world.source, &world.setup, world.now_us);
    run_until(world.now_us + 10 * SEC);
    YES(world.pages_kept > kept);
    EQ(world.asked[LANE_BACKFILL], 6);
    EQ(world.lanes[LANE_BACKFILL].window_begin_us, STORE_NO_INSTANT);
    EQ(world.lanes[LANE_BACKFILL].state, LANE_IDLE);
    world_done();
}

TEST(source, a_new_mailing_ends_a_long_pause)
{
    world_begin(NOW0 - 30 * MIN);
    world.setup.newest_sent_us = STORE_NO_INSTANT;
    crash();
    run_until(NOW0 + 10 * MIN);
    int asked = world.asked[LANE_OPENS];
    EQ(asked, 1);
    source_news(world.source, world.now_us, world.now_us);
    run_until(world.now_us + SEC);
    EQ(world.asked[LANE_OPENS], asked + 1);
    world_done();
}

TEST(source, a_window_of_the_logs_api_ends_without_token_and_asks_for_a_hundred)
{
    world_begin(NOW0 - 30 * MIN);
    world.setup.row.api = S("logs");
    crash();
    run_until(NOW0 + SEC);
    EQ(world.last[LANE_OPENS].limit, 100);
    world_done();
}
