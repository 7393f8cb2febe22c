#include "source_world.h"

/* ---------------------------------------------------------------------------------------------------------- faults */

TEST(source, a_rate_limit_makes_every_lane_wait_as_long_as_asked)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(100, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.refuse_count = 1;
    world.refuse_status = 429;
    world.refuse_wait_us = 2 * SEC;
    while (world.refuse_count)
        step(INT64_MAX - 1);
    int64_t limited_us = world.now_us;
    int asked = world.asked_total;
    run_until(limited_us + 2 * SEC - 1);
    EQ(world.asked_total, asked);
    EQ(world.lanes[LANE_OPENS].state, LANE_WAITING);
    EQ(world.lanes[LANE_OPENS].next_run_at_us, limited_us + 2 * SEC);
    EQ(world.codes_on[WARN_RATE_LIMITED], 1);
    run_until(limited_us + 5 * SEC);
    YES(caught_up());
    EQ(world.codes_off[WARN_RATE_LIMITED], 1);
    EQ(world.lanes[LANE_OPENS].state, LANE_IDLE);
    world_done();
}

TEST(source, a_failing_provider_is_asked_again_with_growing_pauses)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(100, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.refuse_count = 1000000;
    world.refuse_status = 503;
    run_until(NOW0 + HOUR);
    YES(world.asked_total < 100);
    YES(world.asked_total > 20);
    NE(world.lanes[LANE_OPENS].state, LANE_IDLE);
    world.refuse_count = 0;
    run_until(NOW0 + HOUR + 6 * MIN);
    YES(caught_up());
    world_done();
}

TEST(source, refused_credentials_are_an_error_tried_every_five_minutes_and_at_once_after_a_put)
{
    world_begin(NOW0 - 30 * MIN);
    world.refuse_count = 1000000;
    world.refuse_status = 401;
    run_until(NOW0 + 4 * MIN);
    EQ(world.asked_total, 2); /* both were under way */
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    EQ(world.codes_on[WARN_CREDENTIALS_REFUSED], 1);
    run_until(NOW0 + 6 * MIN);
    EQ(world.asked_total, 4);

    world.refuse_count = 0;
    world_setup();
    source_reload(world.source, &world.setup, world.now_us);
    run_until(world.now_us + SEC);
    EQ(through(CLASS_OPENS) > NOW0, true);
    EQ(world.codes_off[WARN_CREDENTIALS_REFUSED], 1);
    world_done();
}

TEST(source, an_expired_page_token_begins_again_at_the_position_once_a_minute)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    while (world.pages_kept < 1)
        step(INT64_MAX - 1);
    world.refuse_count = 1;
    world.refuse_status = 400;
    run_until(NOW0 + 10 * SEC);
    YES(caught_up());
    world_done();
}

TEST(source, a_repeated_token_ends_the_run_and_keeps_the_position)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(20000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.same_token = true;
    run_until(NOW0 + 20 * SEC);
    NO(caught_up());
    YES(world.asked_total < 60);
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    YES(through(CLASS_OPENS) > NOW0 - 20 * MIN && through(CLASS_OPENS) < NOW0 - 10 * MIN);
    world.same_token = false;
    run_until(NOW0 + 10 * MIN);
    YES(caught_up());
    world_done();
}

TEST(source, three_equal_pages_in_a_row_end_the_run)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(2000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.same_page = true;
    run_until(NOW0 + 20 * SEC);
    YES(world.asked_total < 60);
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    world_done();
}

/* ------------------------------------------------------------------------------------------------- unreadable pages */

static struct item *poisoned(int n, int64_t begin_us, int64_t end_us, int which)
{
    add_many(n, begin_us, end_us, true);
    world.items[which].is_poison = true;
    return &world.items[which];
}

TEST(source, five_retries_come_before_a_page_is_halved)
{
    world_begin(NOW0 - 30 * MIN);
    poisoned(300, NOW0 - 20 * MIN, NOW0 - 19 * MIN, 17);
    int opens = 0, whole = 0;
    while (opens < 7) {
        int before = world.asked[LANE_OPENS];
        step(INT64_MAX - 1);
        if (world.asked[LANE_OPENS] == before)
            continue;
        opens++;
        whole += world.last[LANE_OPENS].limit == 300;
    }
    EQ(whole, 6);
    EQ(world.last[LANE_OPENS].limit, 150);
    world_done();
}

TEST(source, a_poisoned_item_is_isolated_to_a_millisecond_within_about_forty_requests)
{
    int total = 0;
    for (int which = 0; which < 300; which += 13) {
        world_begin(NOW0 - 30 * MIN);
        struct item *poison = poisoned(600, NOW0 - 20 * MIN, NOW0 - 19 * MIN, which);
        int asked = 0;
        while (!world.holes && asked < 200) {
            step(INT64_MAX - 1);
            asked = world.asked[LANE_OPENS];
        }
        EQ(world.holes, 1);
        YES(asked <= (which ? 40 : 50)); /* the first one lies ten minutes behind anything known */
        total += asked;
        run_until(world.now_us + 20 * SEC);
        YES(caught_up()); /* all but the poison */
        NO(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
        struct interval *at = world.kept[CLASS_OPENS].at;
        size_t hole = 0;
        while (at[hole].passes)
            hole++;
        YES(at[hole].end_us - at[hole].begin_us <= 1000);
        EQ(world.codes_on[WARN_UNREAD_GAP], 1);
        world_done();
    }
    YES(total / 24 <= 36);
}

TEST(source, a_poisoned_item_is_got_over_also_where_the_provider_gives_more_than_was_asked_for)
{
    world_begin(NOW0 - 30 * MIN);
    world.has_rough_ends = true;
    struct item *poison = poisoned(600, NOW0 - 20 * MIN + 657, NOW0 - 19 * MIN, 100);
    for (int i = 90; i < 110; i++)
        world.items[i].at_us = poison->at_us + (i - 100) * 900;
    run_until(NOW0 + 2 * MIN);
    YES(world.holes >= 1 && world.holes <= 2);
    YES(world.asked[LANE_OPENS] < 100);
    int unseen = 0;
    for (int i = 0; i < world.item_count; i++)
        unseen += world.items[i].seen == 0;
    YES(unseen <= 5); /* within the millisecond and the one before it */
    world_done();
}

TEST(source, two_poisoned_items_are_two_holes_also_where_the_first_is_at_the_position)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(600, NOW0 - 20 * MIN, NOW0 - 19 * MIN, true);
    world.items[0].is_poison = true;
    world.items[1].at_us = world.items[0].at_us + 300;
    world.items[200].is_poison = true;
    world.setup.row.first_begin_us = world.items[0].at_us; /* the window begins with it */
    crash();
    run_until(NOW0 + 3 * MIN);
    EQ(world.holes, 2);
    YES(world.asked[LANE_OPENS] < 120);
    int unseen = 0;
    for (int i = 0; i < world.item_count; i++)
        unseen += world.items[i].seen == 0;
    EQ(unseen, 3); /* the two, and one of the first one's millisecond */
    world_done();
}

TEST(source, a_hole_is_tried_again_by_each_recheck_and_closes_when_the_provider_heals)
{
    world_begin(NOW0 - 30 * MIN);
    struct item *poison = poisoned(100, NOW0 - 10 * MIN, NOW0 - 9 * MIN, 50);
    run_until(NOW0 + 15 * MIN);
    EQ(world.holes, 1);
    NO(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
    run_until(NOW0 + 40 * MIN);
    YES(world.holes >= 2);                    /* the recheck after half an hour met it again ... */
    EQ(world.least_limit[LANE_RECHECK], 300); /* ... and did not have to look for it */
    poison->is_poison = false;
    run_until(NOW0 + 25 * HOUR);
    EQ(poison->seen, 1);
    YES(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
    world_done();
}

TEST(source, a_burst_of_garbage_makes_no_hole)
{
    for (int burst = 1; burst <= 34; burst += 3) {
        world_begin(NOW0 - 30 * MIN);
        struct item *poison = poisoned(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, 0);
        for (int i = 0; i < world.item_count; i++)
            world.items[i].is_poison = true;
        while (world.asked[LANE_OPENS] < burst)
            step(INT64_MAX - 1);
        for (int i = 0; i < world.item_count; i++)
            world.items[i].is_poison = false;
        run_until(world.now_us + 10 * MIN);
        YES(caught_up());
        EQ(poison->seen >= 1, true);
        world_done();
    }
}

TEST(source, a_whole_unreadable_stretch_does_not_stop_what_lies_behind_it)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(3, NOW0 - 20 * MIN, NOW0 - 20 * MIN + 3 * SEC, true);
    for (int i = 0; i < 3; i++)
        world.items[i].is_poison = true;
    struct item *behind = add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 10 * MIN);
    EQ(world.holes, 3);
    EQ(behind->seen, 1);
    world_done();
}

TEST(source, a_poisoned_item_among_hundreds_of_one_instant_costs_that_millisecond_only)
{
    world_begin(NOW0 - 30 * MIN);
    for (int i = 0; i < 900; i++)
        add(NOW0 - 20 * MIN, true);
    add_many(500, NOW0 - 19 * MIN, NOW0 - 18 * MIN, true);
    world.items[620].is_poison = true;
    run_until(NOW0 + 3 * MIN);
    EQ(world.holes, 1);
    YES(world.asked[LANE_OPENS] < 100);
    EQ(world.items[1399].seen, 1);
    EQ(world.items[0].seen > 0, true);
    world_done();
}
