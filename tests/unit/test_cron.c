#include "test.h"

#include "base/instant.h"
#include "engine/cron.h"

static struct arena *arena;
static struct op op;

static const struct zone *zone_named(const char *name)
{
    const struct zone *zone;
    if (!arena)
        arena = arena_new(1 << 20);
    arena_reset(arena);
    op_init(&op, arena, 0);
    SUCCEEDS(&op, zone_get(&op, str_of(name), &zone));
    return zone;
}

static struct cron parsed(const char *text)
{
    struct cron cron;
    op_init(&op, arena, 0);
    SUCCEEDS(&op, cron_parse(&op, str_of(text), &cron));
    return cron;
}

static int64_t at(const char *text)
{
    int64_t us = 0;
    YES(instant_parse(str_of(text), &us));
    return us;
}

static const char *shown(int64_t us)
{
    static char text[INSTANT_TEXT_BYTES];
    instant_text(us, 0, text);
    return text;
}

/* The instants from `from` on (exclusive) are these, separated by blanks. */
static void due(const char *zone_text, const char *text, const char *from, const char *expected)
{
    const struct zone *zone = zone_named(zone_text);
    struct cron cron = parsed(text);
    struct str rest = str_of(expected);
    int64_t now_us = at(from);
    while (str_given(rest)) {
        char want[64];
        struct str word = str_cut(&rest, ' ');
        snprintf(want, sizeof want, "%.*s", STR(word));
        YES(cron_next(&cron, zone, 0, now_us, &now_us));
        STR_EQ(str_of(shown(now_us)), want);
    }
}

/* --- SCHED-2: the table of instants --- */

TEST(cron, a_skipped_hour_runs_at_the_jump_and_a_doubled_one_the_first_time)
{
    due("Europe/London", "30 1 * * *", "2026-03-28T00:00:00Z",
        "2026-03-28T01:30:00Z 2026-03-29T01:00:00Z 2026-03-30T00:30:00Z");
    due("Europe/London", "30 1 * * *", "2026-10-23T12:00:00Z",
        "2026-10-24T00:30:00Z 2026-10-25T00:30:00Z 2026-10-26T01:30:00Z");
    due("America/New_York", "30 2 * * *", "2026-03-07T00:00:00Z",
        "2026-03-07T07:30:00Z 2026-03-08T07:00:00Z 2026-03-09T06:30:00Z");
}

TEST(cron, half_hour_jumps_of_lord_howe)
{
    due("Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00Z", "2026-10-03T15:30:00Z");
    due("Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00Z", "2026-04-04T14:45:00Z 2026-04-05T15:15:00Z");
}

TEST(cron, a_midnight_that_does_not_exist_is_the_first_instant_of_its_day)
{
    due("Africa/Cairo", "0 0 * * *", "2026-04-23T12:00:00Z", "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z");
}

TEST(cron, a_cron_of_every_hour_runs_on_elapsed_time)
{
    due("Europe/London", "*/30 * * * *", "2026-10-24T23:59:59Z",
        "2026-10-25T00:00:00Z 2026-10-25T00:30:00Z 2026-10-25T01:00:00Z 2026-10-25T01:30:00Z 2026-10-25T02:00:00Z");
    due("Europe/London", "15 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T00:15:00Z 2026-03-29T01:15:00Z");
    due("Asia/Kathmandu", "0 * * * *", "2026-03-29T00:00:00Z", "2026-03-29T00:15:00Z 2026-03-29T01:15:00Z");
}

TEST(cron, several_nominal_times_on_one_instant_are_one_run)
{
    due("Europe/London", "0,30 1 * * *", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z 2026-03-30T00:00:00Z");
    due("Pacific/Apia", "0 6,18 30-31 12 *", "2011-12-29T12:00:00Z",
        "2011-12-30T10:00:00Z 2011-12-30T16:00:00Z 2011-12-31T04:00:00Z");
}

TEST(cron, every_counts_from_its_anchor)
{
    struct cron cron = parsed("@every 90s");
    int64_t next_us;
    YES(cron_next(&cron, zone_utc(), 7, 7, &next_us));
    EQ(next_us, 90000007);
    YES(cron_next(&cron, zone_utc(), 7, 90000006, &next_us));
    EQ(next_us, 90000007);
    YES(cron_next(&cron, zone_utc(), 7, 90000007, &next_us));
    EQ(next_us, 180000007);
    YES(cron_next(&cron, zone_utc(), 7, -1, &next_us));
    EQ(next_us, 7);
}

/* --- SCHED-1 --- */

TEST(cron, reads_names_lists_ranges_and_steps)
{
    due("UTC", "5-10/2,40 8 * jan,MAR mon-wed", "2026-01-01T00:00:00Z",
        "2026-01-05T08:05:00Z 2026-01-05T08:07:00Z 2026-01-05T08:09:00Z 2026-01-05T08:40:00Z 2026-01-06T08:05:00Z");
    due("UTC", "0 0 * * 7", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z 2026-11-29T00:00:00Z");
    due("UTC", "0 0 * * fri-sun", "2026-11-19T12:00:00Z",
        "2026-11-20T00:00:00Z 2026-11-21T00:00:00Z 2026-11-22T00:00:00Z 2026-11-27T00:00:00Z");
    due("UTC", "@weekly", "2026-11-20T00:00:00Z", "2026-11-22T00:00:00Z 2026-11-29T00:00:00Z");
    due("UTC", "@monthly", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z 2027-01-01T00:00:00Z");
    due("UTC", "@yearly", "2026-11-20T00:00:00Z", "2027-01-01T00:00:00Z");
    due("UTC", "@daily", "2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z");
    due("UTC", "  @hourly ", "2026-11-20T00:00:00Z", "2026-11-20T01:00:00Z");
}

TEST(cron, day_and_weekday_both_restricted_mean_either)
{
    due("UTC", "0 12 13 * fri", "2026-11-01T00:00:00Z",
        "2026-11-06T12:00:00Z 2026-11-13T12:00:00Z 2026-11-20T12:00:00Z 2026-11-27T12:00:00Z 2026-12-04T12:00:00Z "
        "2026-12-11T12:00:00Z 2026-12-13T12:00:00Z");
}

TEST(cron, the_29th_of_february_is_found_and_the_30th_never)
{
    struct cron cron = parsed("0 0 29 2 *");
    int64_t next_us = at("2096-02-29T00:00:00Z");
    YES(cron_next(&cron, zone_utc(), 0, next_us, &next_us));
    STR_EQ(str_of(shown(next_us)), "2104-02-29T00:00:00Z");
    cron = parsed("0 0 30 2 *");
    NO(cron_next(&cron, zone_utc(), 0, 0, &next_us));
    cron = parsed("0 * 30 2 *");
    NO(cron_next(&cron, zone_utc(), 0, 0, &next_us));
}

TEST(cron, says_which_field_is_wrong)
{
    static const char *const bad[][2] = {
        { "0 0 * *", "4 fields instead of five: minute hour day month weekday" },
        { "", "0 fields instead of five: minute hour day month weekday" },
        { "* * * * * *", "more than 5 fields instead of five: minute hour day month weekday" },
        { "60 * * * *", "minute \"60\": a number from 0 to 59, a range like 0-4, a step like */2, or a list" },
        { "* 24 * * *", "hour \"24\": a number from 0 to 23, a range like 0-4, a step like */2, or a list" },
        { "* * 0 * *", "day \"0\": a number from 1 to 31, a range like 1-5, a step like */2, or a list" },
        { "* * * foo *",
          "month \"foo\": a name or a number from 1 to 12, a range like 1-5, a step like */2, or a list" },
        { "* * * * 8",
          "weekday \"8\": a name or a number from 0 to 7 (0 and 7 are Sunday), a range like 0-4, a step like */2, or a "
          "list" },
        { "@noon", "\"@noon\" is none of @hourly @daily @weekly @monthly @yearly @every" },
        { "@every 500ms", "@every takes a duration of at least 1s, like @every 90s" },
        { "@every", "\"@every\" is none of @hourly @daily @weekly @monthly @yearly @every" },
    };
    struct cron cron;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        op_init(&op, arena, 0);
        EQ(cron_parse(&op, str_of(bad[i][0]), &cron), ERR_INVALID);
        STR_EQ(str_of(op.error), bad[i][1]);
    }
    static const char *const also[] = { "5-1 * * * *", "*/0 * * * *", "1,,2 * * * *", "5/10 * * * *", "-1 * * * *",
                                        "1- * * * *",  "+1 * * * *",  "*-5 * * * *",  "1-2-3 * * * *" };
    for (size_t i = 0; i < sizeof also / sizeof *also; i++)
        EQ(cron_parse(&op, str_of(also[i]), &cron), ERR_INVALID);
}

/* --- against a walk through every minute of a year --- */

/* Nominal local minutes of the year in order; each runs at its first instant, or at the jump that left it out. */
static void year_by_local(const struct zone *zone, const struct cron *cron, int64_t begin_us, int64_t end_us)
{
    int64_t expected_us = begin_us, got_us = begin_us;
    for (int64_t local_us = begin_us - 2 * INT64_C(86400000000); local_us < end_us + 2 * INT64_C(86400000000);
         local_us += 60000000) {
        struct civil local = instant_to_civil(local_us);
        int32_t day = day_from_date(local.year, local.month, local.day);
        bool days = (cron->days >> local.day & 1) && (cron->weekdays >> day_weekday(day) & 1);
        if (!days || !(cron->minutes >> local.minute & 1) || !(cron->hours >> local.hour & 1))
            continue;
        int64_t first_us, second_us;
        zone_from_local(zone, &local, &first_us, &second_us);
        if (first_us <= expected_us || first_us > end_us)
            continue;
        expected_us = first_us;
        YES(cron_next(cron, zone, 0, got_us, &got_us));
        EQ(got_us, expected_us);
    }
}

TEST(cron, a_year_in_twelve_zones_has_every_nominal_time_once)
{
    static const char *const zones[] = { "Europe/London",    "America/New_York", "Australia/Lord_Howe",
                                         "Africa/Cairo",     "America/Santiago", "Asia/Tehran",
                                         "Pacific/Apia",     "America/St_Johns", "Africa/Casablanca",
                                         "Antarctica/Troll", "Asia/Kathmandu",   "America/Godthab" };
    static const char *const crons[] = { "30 1 * * *", "*/20 0-3 * * *", "0 0 * * *", "59 23 * * 0,6" };
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++)
        for (size_t c = 0; c < sizeof crons / sizeof *crons; c++) {
            const struct zone *zone = zone_named(zones[z]);
            struct cron cron = parsed(crons[c]);
            year_by_local(zone, &cron, at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
        }
}

TEST(cron, a_year_of_every_hour_has_every_instant_that_shows_its_minute)
{
    static const char *const zones[] = { "Europe/London", "Australia/Lord_Howe", "Antarctica/Troll", "Asia/Kathmandu" };
    for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
        const struct zone *zone = zone_named(zones[z]);
        struct cron cron = parsed("7,40 * * * *");
        int64_t got_us = at("2026-01-01T00:00:00Z");
        for (int64_t us = got_us + 60000000; us < at("2027-01-01T00:00:00Z"); us += 60000000) {
            int minute = zone_to_local(zone, us).minute;
            if (minute != 7 && minute != 40)
                continue;
            YES(cron_next(&cron, zone, 0, got_us, &got_us));
            EQ(got_us, us);
        }
    }
}

/* --- SCHED-4 --- */

TEST(cron, jitter_is_the_same_for_the_same_nominal_time)
{
    EQ(cron_jitter_ms(S("nightly"), INT64_C(1795307400000), 300000), 146895);
    EQ(cron_jitter_ms(S("nightly"), INT64_C(1795393800000), 300000), 112090);
    EQ(cron_jitter_ms(S("nightly"), INT64_C(1795393800000), 0), 0);
}
