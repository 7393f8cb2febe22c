#include "test.h"

#include "engine/warnings.h"

#define SEC  INT64_C(1000000)
#define MIN  (60 * SEC)
#define HR   (60 * MIN)
#define DAYS (24 * HR)
#define NOW  (20000 * DAYS)

static struct op op;
static struct warning_facts facts;
static struct lane_row lanes[STORE_LANES];
static struct coverage maps[CLASS_COUNT];
static struct timing timing;
static struct ring ring;
static struct warning_row noted[4];
static struct warning found[WARN_COUNT];
static size_t count;

/* A source that reads well: both classes up to a minute ago. */
static void fresh(void)
{
    if (!op.arena)
        op_init(&op, arena_new(1 << 20), NOW);
    op.now_us = NOW;
    memset(lanes, 0, sizeof lanes);
    memset(&ring, 0, sizeof ring);
    timing_default(&timing);
    for (int i = 0; i < CLASS_COUNT; i++) {
        coverage_done(&maps[i]);
        coverage_init(&maps[i]);
        coverage_read(&maps[i], &timing.plan, NOW - 10 * DAYS, NOW - MIN, NOW);
    }
    for (int i = 0; i < STORE_LANES; i++)
        lanes[i].behind_since_us = STORE_NO_INSTANT;
    facts = (struct warning_facts){ .is_polled = true,
                                    .lanes = lanes,
                                    .maps = maps,
                                    .timing = &timing,
                                    .first_begin_us = NOW - 10 * DAYS,
                                    .ring = &ring,
                                    .noted = noted,
                                    .oldest_sent_us = STORE_NO_INSTANT };
}

static void note(enum warning_code code, int64_t since_us, int64_t seen_us)
{
    noted[facts.noted_count++] =
        (struct warning_row){ .code = (uint8_t)code, .since_us = since_us, .seen_us = seen_us, .number = 3 };
}

static bool warns(enum warning_code code)
{
    count = warnings_find(&op, &facts, found);
    for (size_t i = 0; i < count; i++)
        if (found[i].code == code)
            return true;
    return false;
}

TEST(warnings, a_source_that_reads_well_has_none)
{
    fresh();
    EQ(warnings_find(&op, &facts, found), 0);
}

TEST(warnings, silence_after_a_hundred_messages_two_hours_ago)
{
    fresh();
    facts.silent_sent = 99;
    NO(warns(WARN_NO_EVENTS));
    facts.silent_sent = 100;
    YES(warns(WARN_NO_EVENTS));
    lanes[LANE_HOOK].count[5] = 1;
    NO(warns(WARN_NO_EVENTS));
}

TEST(warnings, a_live_lane_ten_minutes_behind_for_five_minutes)
{
    fresh();
    op.now_us = NOW + 13 * MIN; /* 14 min behind */
    NO(warns(WARN_LAGGING));
    lanes[LANE_OPENS].behind_since_us = op.now_us - 5 * MIN;
    YES(warns(WARN_LAGGING));
    lanes[LANE_OPENS].behind_since_us = STORE_NO_INSTANT;
    op.now_us = NOW + 14 * MIN; /* standing still for so long it must have been behind for 5 */
    YES(warns(WARN_LAGGING));
}

TEST(warnings, a_rate_limit_that_lasts_over_ten_minutes)
{
    fresh();
    note(WARN_RATE_LIMITED, NOW - 10 * MIN + 1, NOW);
    NO(warns(WARN_RATE_LIMITED));
    op.now_us++;
    YES(warns(WARN_RATE_LIMITED));
    EQ(found[0].since_us, NOW - 10 * MIN + 1);
}

TEST(warnings, noted_ones_hold_as_long_as_they_should)
{
    fresh();
    note(WARN_CREDENTIALS_REFUSED, NOW - 10 * DAYS, NOW - 10 * DAYS);
    note(WARN_HOOK_REFUSED, NOW - 2 * HR, NOW - HR + 1);
    note(WARN_CLOCK_SKEW, NOW - 2 * HR, NOW - HR + 1);
    YES(warns(WARN_CREDENTIALS_REFUSED));
    YES(warns(WARN_HOOK_REFUSED));
    YES(warns(WARN_CLOCK_SKEW));
    op.now_us++;
    YES(warns(WARN_CREDENTIALS_REFUSED));
    NO(warns(WARN_HOOK_REFUSED));
    NO(warns(WARN_CLOCK_SKEW));
}

TEST(warnings, a_hole_until_it_was_read)
{
    fresh();
    coverage_hole(&maps[CLASS_OPENS], &timing.plan, NOW - 20 * DAYS, NOW - 20 * DAYS + 1000, NOW);
    YES(warns(WARN_UNREAD_GAP));
    coverage_read(&maps[CLASS_OPENS], &timing.plan, NOW - 20 * DAYS, NOW - 20 * DAYS + 1000, NOW);
    NO(warns(WARN_UNREAD_GAP));
}

TEST(warnings, lost_time_names_begin_and_end)
{
    fresh();
    struct gap_row gap = { 1700000000000000, 1700003600000000, NOW - HR };
    op.now_us = 1700010000000000;
    facts.gaps = &gap;
    facts.gap_count = 1;
    YES(warns(WARN_RETENTION_EXCEEDED));
    for (size_t i = 0; i < count; i++)
        if (found[i].code == WARN_RETENTION_EXCEEDED)
            STR_EQ(found[i].detail, "never read, and older than the provider keeps: 2023-11-14T22:13:20.000Z to "
                                    "2023-11-14T23:13:20.000Z");
}

TEST(warnings, shares_of_the_last_ten_thousand_items)
{
    fresh();
    for (int i = 0; i < 20000; i++)
        ring_add(&ring, i % 100 == 0, i % 99 == 0);
    NO(warns(WARN_PARKED));
    YES(warns(WARN_MALFORMED));
    for (int i = 0; i < 10000; i++)
        ring_add(&ring, false, false);
    NO(warns(WARN_MALFORMED));
}

TEST(warnings, a_mailing_sent_before_the_first_reading_until_a_backfill)
{
    fresh();
    facts.oldest_sent_us = NOW - 20 * DAYS;
    YES(warns(WARN_UNCOVERED_MAILING));
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_read(&maps[i], &timing.plan, NOW - 20 * DAYS, NOW - 10 * DAYS, NOW);
    NO(warns(WARN_UNCOVERED_MAILING));
}

TEST(warnings, a_source_that_only_hears_has_no_lanes_to_warn_about)
{
    fresh();
    facts.is_polled = false;
    facts.first_begin_us = STORE_NO_INSTANT;
    op.now_us = NOW + DAYS;
    EQ(warnings_find(&op, &facts, found), 0);
}

TEST(ring, remembers_ten_thousand_items_and_forgets_by_the_hundred)
{
    struct ring r = { 0 };
    int64_t items, parked, malformed;
    for (int i = 0; i < 9950; i++)
        ring_add(&r, true, false);
    ring_sum(&r, &items, &parked, &malformed);
    EQ(items, 9950);
    EQ(parked, 9950);
    EQ(malformed, 0);
    for (int i = 0; i < 10051; i++)
        ring_add(&r, false, true);
    ring_sum(&r, &items, &parked, &malformed);
    YES(items > 9900 && items <= 10000);
    EQ(parked, 0);
    EQ(malformed, items);
}

TEST(warnings, have_names)
{
    STR_EQ(str_of(warning_name(WARN_NO_EVENTS)), "no_events");
    STR_EQ(str_of(warning_name(WARN_FALLING_BEHIND)), "falling_behind");
}
