#include "test.h"

#include <time.h>

#include "base/day.h"

TEST(day, counts_from_1970)
{
    EQ(day_from_date(1970, 1, 1), 0);
    EQ(day_from_date(2026, 11, 21), 20778);
    EQ(day_from_date(0, 1, 1), DAY_MIN);
    EQ(day_from_date(9999, 12, 31), DAY_MAX);
}

TEST(day, agrees_with_the_c_library_on_every_day_of_eight_centuries)
{
    for (int32_t days = -146097; days < 146097; days++) {
        time_t at = (time_t)days * 86400;
        struct tm tm;
        int32_t year;
        int month, day;
        gmtime_r(&at, &tm);
        day_to_date(days, &year, &month, &day);
        if (year != tm.tm_year + 1900 || month != tm.tm_mon + 1 || day != tm.tm_mday)
            EQ(days, INT32_MAX); /* shows the day at fault */
        if (day_from_date(year, month, day) != days || day_weekday(days) != tm.tm_wday)
            EQ(days, INT32_MAX);
    }
}

TEST(day, goes_there_and_back_far_from_now)
{
    for (int32_t days = -2000000000; days < 2000000000; days += 999983) {
        int32_t year;
        int month, day;
        day_to_date(days, &year, &month, &day);
        EQ(day_from_date(year, month, day), days);
    }
}

TEST(day, knows_which_dates_exist)
{
    YES(day_date_exists(2024, 2, 29));
    YES(day_date_exists(2000, 2, 29));
    NO(day_date_exists(2100, 2, 29));
    NO(day_date_exists(2026, 2, 29));
    NO(day_date_exists(2026, 4, 31));
    NO(day_date_exists(2026, 0, 1));
    NO(day_date_exists(2026, 13, 1));
    NO(day_date_exists(2026, 1, 0));
    NO(day_date_exists(10000, 1, 1));
}

TEST(day, reads_and_writes_one_form)
{
    int32_t days = 7;
    char text[DAY_TEXT_BYTES];
    YES(day_parse(S("2026-11-21"), &days));
    EQ(days, 20778);
    STR_EQ(day_text(days, text), "2026-11-21");
    STR_EQ(day_text(DAY_MIN, text), "0000-01-01");
    STR_EQ(day_text(DAY_MAX, text), "9999-12-31");
}

TEST(day, refuses_every_other_form)
{
    static const char *const bad[] = { "",           "2026-11-2",  "2026-11-211", "2026/11/21",
                                       "2026-02-29", "20261121",   "2026-1-021",  " 2026-11-21",
                                       "2026-13-01", "+026-11-21", "2026-11-00",  "yyyy-mm-dd" };
    int32_t days = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(day_parse(str_of(bad[i]), &days));
    NO(day_parse((struct str){ NULL, 0 }, &days));
    EQ(days, 7);
}

TEST(day, names_the_weekday)
{
    EQ(day_weekday(0), 4);
    EQ(day_weekday(-1), 3);
    EQ(day_weekday(day_from_date(2026, 11, 21)), 6);
}
