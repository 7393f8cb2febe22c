#include "test.h"

#include "base/instant.h"
#include "base/tzrule.h"

static struct tzrule rule_of(const char *text)
{
    struct tzrule rule;
    YES(tzrule_parse(str_of(text), &rule));
    return rule;
}

static void begins_and_ends(const char *text, int32_t year, const char *begins, const char *ends)
{
    char written[INSTANT_TEXT_BYTES];
    struct tzrule rule = rule_of(text);
    STR_EQ(instant_text(tzrule_summer_begins(&rule, year) * 1000000, 0, written), begins);
    STR_EQ(instant_text(tzrule_summer_ends(&rule, year) * 1000000, 0, written), ends);
}

TEST(tzrule, knows_the_last_sundays_of_london)
{
    begins_and_ends("GMT0BST,M3.5.0/1,M10.5.0", 2026, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z");
}

TEST(tzrule, knows_the_first_and_second_sundays_of_new_york)
{
    begins_and_ends("EST5EDT,M3.2.0,M11.1.0", 2027, "2027-03-14T07:00:00Z", "2027-11-07T06:00:00Z");
}

TEST(tzrule, knows_half_hours_in_the_south)
{
    begins_and_ends("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 2026, "2026-10-03T15:30:00Z", "2026-04-04T15:00:00Z");
}

TEST(tzrule, takes_summer_time_below_standard_time)
{
    struct tzrule dublin = rule_of("IST-1GMT0,M10.5.0,M3.5.0/1");
    EQ(dublin.standard_s, 3600);
    EQ(dublin.summer_s, 0);
    begins_and_ends("IST-1GMT0,M10.5.0,M3.5.0/1", 2026, "2026-10-25T01:00:00Z", "2026-03-29T01:00:00Z");
}

TEST(tzrule, takes_hours_outside_the_day)
{
    begins_and_ends("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 2026, "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z");
    begins_and_ends("EET-2EEST,M4.5.5/0,M10.5.4/24", 2026, "2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z");
}

TEST(tzrule, counts_days_with_and_without_the_leap_day)
{
    begins_and_ends("AAA0BBB,J60/0,J365/0", 2024, "2024-03-01T00:00:00Z", "2024-12-30T23:00:00Z");
    begins_and_ends("AAA0BBB,59/0,364/0", 2024, "2024-02-29T00:00:00Z", "2024-12-29T23:00:00Z");
    begins_and_ends("AAA0BBB,J59/0,0/0", 2023, "2023-02-28T00:00:00Z", "2022-12-31T23:00:00Z");
}

TEST(tzrule, may_have_no_summer_time)
{
    struct tzrule rule = rule_of("<+0545>-5:45");
    EQ(rule.standard_s, 20700);
    NO(rule.changes);
}

TEST(tzrule, refuses_what_is_no_rule)
{
    static const char *const bad[] = {
        "",
        "UT",
        "UTC",
        "0",
        "<+01",
        "<>0",
        "GMT25",
        "GMT0BST",
        "GMT0BST,M3.5.0",
        "GMT0BST,M13.5.0,M10.5.0",
        "GMT0BST,M3.6.0,M10.5.0",
        "GMT0BST,M3.5.7,M10.5.0",
        "GMT0BST,M3.5.0,M10.5.0,",
        "GMT0BST,J0,J5",
        "GMT0BST,366,5",
        "GMT0BST,M3.5.0/168,M10.5.0",
        "GMT0:60",
        "GMT0 ",
        "GMT0BST,M3.5,M10.5.0",
        "GMT00000",
        "GMT0BST,M3.5.0/,M10.5.0",
    };
    struct tzrule rule = { .standard_s = 7 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(tzrule_parse(str_of(bad[i]), &rule));
    EQ(rule.standard_s, 7);
}
