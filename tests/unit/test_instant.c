#include "test.h"

#include <time.h>

#include "base/instant.h"
#include "base/random.h"

#define AT_2026 INT64_C(1795287600000000) /* 2026-11-21T19:00:00Z */

struct sample {
    const char *text;
    int64_t us;
};

static int64_t parsed(const char *text)
{
    int64_t us = -1;
    return instant_parse(str_of(text), &us) ? us : INT64_MIN;
}

TEST(instant, reads_rfc_3339)
{
    static const struct sample cases[] = {
        { "2026-11-21T19:00:00Z", AT_2026 },
        { "2026-11-21T19:00:00.123Z", AT_2026 + 123000 },
        { "2026-11-21t19:00:00.000001z", AT_2026 + 1 },
        { "2026-11-21T21:00:00+02:00", AT_2026 },
        { "2026-11-21T13:30:00.5-05:30", AT_2026 + 500000 },
        { "2026-11-21T19:00:00-00:00", AT_2026 },
        { "1970-01-01T00:00:00Z", 0 },
        { "1969-12-31T23:59:59.999999Z", -1 },
        { "9999-12-31T23:59:59.999999Z", INSTANT_US_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        EQ(parsed(cases[i].text), cases[i].us);
}

TEST(instant, cuts_decimals_and_never_rounds)
{
    EQ(parsed("2026-11-21T19:00:00.1234567Z"), AT_2026 + 123456);
    EQ(parsed("2026-11-21T19:00:00.9999999999999999999999999Z"), AT_2026 + 999999);
    EQ(parsed("1969-12-31T23:59:59.9999999Z"), -1);
}

TEST(instant, takes_a_leap_second_as_the_next_second_and_only_at_the_end_of_a_utc_day)
{
    EQ(parsed("2016-12-31T23:59:60Z"), INT64_C(1483228800000000));
    EQ(parsed("2016-12-31T23:59:60.7Z"), INT64_C(1483228800000000));
    EQ(parsed("2017-01-01T01:59:60+02:00"), INT64_C(1483228800000000));
    EQ(parsed("2016-12-31T12:00:60Z"), INT64_MIN);
}

TEST(instant, refuses_what_is_not_rfc_3339)
{
    static const char *const bad[] = {
        "",
        "2026-11-21",
        "2026-11-21T19:00:00",
        "2026-11-21 19:00:00Z",
        "2026-11-21T19:00Z",
        "2026-11-21T19:00:00.Z",
        "2026-11-21T19:00:00,5Z",
        "2026-11-21T19:00:00+0200",
        "2026-11-21T19:00:00+02",
        "2026-11-21T19:00:00+24:00",
        "2026-11-21T19:00:00+02:60",
        "2026-11-21T24:00:00Z",
        "2026-11-21T19:60:00Z",
        "2026-11-21T19:00:61Z",
        "2026-02-29T19:00:00Z",
        "2026-11-21T19:00:00ZZ",
        "2026-11-21T19:00:00Z ",
        " 2026-11-21T19:00:00Z",
        "-026-11-21T19:00:00Z",
        "1795287600",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ(parsed(bad[i]), INT64_MIN);
    int64_t us = 7;
    NO(instant_parse((struct str){ NULL, 0 }, &us));
    EQ(us, 7);
}

TEST(instant, reads_the_forms_providers_use)
{
    static const struct sample cases[] = {
        { "2026-11-21T19:00:00.1234567Z", AT_2026 + 123456 }, /* Postmark */
        { "2026-11-21T14:00:00.0000000-05:00", AT_2026 },
        { "2026-11-21 21:00:00+0200", AT_2026 }, /* MMG */
        { "2026-11-21 21:00:00 +0200", AT_2026 },
        { "2026-11-21 21:00:00+02", AT_2026 },
        { "2026-11-21T19:00Z", AT_2026 },
        { " 2026-11-21T19:00:00Z\r\n", AT_2026 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = -1;
        struct civil local;
        EQ(instant_parse_loose(str_of(cases[i].text), &us, &local), INSTANT_FIXED);
        EQ(us, cases[i].us);
    }
}

TEST(instant, keeps_a_reading_without_offset_apart)
{
    int64_t us = 7;
    struct civil local = { 0 };
    EQ(instant_parse_loose(S("2016-07-05 17:01:07"), &us, &local), INSTANT_LOCAL);
    EQ(us, 7);
    EQ(local.year, 2016);
    EQ(local.month, 7);
    EQ(local.day, 5);
    EQ(local.hour, 17);
    EQ(local.minute, 1);
    EQ(local.second, 7);
    EQ(local.us, 0);
    EQ(instant_parse_loose(S("2016-07-05T17:01:07.25"), &us, &local), INSTANT_LOCAL);
    EQ(local.us, 250000);
}

TEST(instant, refuses_loose_text_that_is_no_time)
{
    static const char *const bad[] = { "",
                                       "abc",
                                       "2026-11-21",
                                       "2026-11-21  19:00:00",
                                       "2026-11-21 19:00:00 UTC+1",
                                       "2026-11-21 19:00:00 +2",
                                       "2026-11-21 19:00:00 +020",
                                       "2026-11-21 19:00:60",
                                       "2026-11-21_19:00:00Z",
                                       "2026-11-21 19:00:00Zx" };
    int64_t us = 7;
    struct civil local = { .year = 7 };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        EQ(instant_parse_loose(str_of(bad[i]), &us, &local), INSTANT_NONE);
    EQ(us, 7);
    EQ(local.year, 7);
}

TEST(instant, reads_decimal_seconds_exactly)
{
    static const struct sample cases[] = {
        { "1666214138.4046676", INT64_C(1666214138404667) },
        { "1666214138.40", INT64_C(1666214138400000) },
        { "1529006854", INT64_C(1529006854000000) },
        { "0", 0 },
        { "0.000001", 1 },
        { "0.0000019", 1 },
        { "253402300799.9999999", INSTANT_US_MAX },
        { "00000000000000000000000000012", 12000000 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t us = -1;
        YES(instant_parse_seconds(str_of(cases[i].text), &us));
        EQ(us, cases[i].us);
    }
}

TEST(instant, refuses_seconds_that_are_not_plain_decimals)
{
    static const char *const bad[] = { "",
                                       "abc",
                                       "-1",
                                       "+1",
                                       "1.",
                                       ".5",
                                       "1e9",
                                       "1.5e3",
                                       "1 ",
                                       " 1",
                                       "0x10",
                                       "1_0",
                                       "nan",
                                       "inf",
                                       "1.2.3",
                                       "253402300800",
                                       "99999999999999999999999999",
                                       "1,5" };
    int64_t us = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(instant_parse_seconds(str_of(bad[i]), &us));
    NO(instant_parse_seconds((struct str){ NULL, 0 }, &us));
    EQ(us, 7);
}

TEST(instant, reads_mail_dates)
{
    static const char *const same[] = {
        "Sat, 21 Nov 2026 19:00:00 -0000", "Sat, 21 Nov 2026 19:00:00 +0000",
        "21 Nov 2026 19:00:00 GMT",        "Sat, 21 Nov 2026 19:00 UT",
        "sat, 21 nov 2026 14:00:00 EST",   "Sat,  21  Nov 2026  21:00:00  +0200 (CEST)",
        "Sat, 21 Nov 2026 19:00:00 UTC",   "Sat, 21 Nov 2026 19:00:00 Z",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int64_t us = -1;
        YES(instant_parse_mail(str_of(same[i]), &us));
        EQ(us, AT_2026);
    }
    int64_t us = -1;
    YES(instant_parse_mail(S("1 Feb 2026 00:00:00 +0000"), &us));
    EQ(us, INT64_C(1769904000000000));
}

TEST(instant, refuses_broken_mail_dates)
{
    static const char *const bad[] = { "",
                                       "Sat 21 Nov 2026 19:00:00 GMT",
                                       "Sat, 21 Nov 26 19:00:00 GMT",
                                       "Sat, 31 Nov 2026 19:00:00 GMT",
                                       "Sat, 21 Nov 2026 19:00:00",
                                       "Sat, 21 Nov 2026 25:00:00 GMT",
                                       "Sat, 21 Foo 2026 19:00:00 GMT",
                                       "Sat, 21 Nov 2026 19:00:00 +02",
                                       "Sat, 21 Nov 2026 19:00:00 GMT x" };
    int64_t us = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(instant_parse_mail(str_of(bad[i]), &us));
    EQ(us, 7);
}

TEST(instant, reads_the_three_http_dates)
{
    static const char *const same[] = { "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                                        "Sun Nov  6 08:49:37 1994" };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        int64_t us = -1;
        YES(instant_parse_http(str_of(same[i]), AT_2026, &us));
        EQ(us, INT64_C(784111777000000));
    }
}

TEST(instant, puts_a_two_digit_year_near_now)
{
    int64_t us = -1;
    YES(instant_parse_http(S("Wednesday, 01-Jan-75 00:00:00 GMT"), AT_2026, &us));
    EQ(instant_to_civil(us).year, 2075);
    YES(instant_parse_http(S("Saturday, 01-Jan-77 00:00:00 GMT"), AT_2026, &us));
    EQ(instant_to_civil(us).year, 1977);
}

TEST(instant, refuses_other_http_dates)
{
    static const char *const bad[] = { "",
                                       "120",
                                       "Sun, 06 Nov 1994 08:49:37 +0000",
                                       "Sun, 6 Nov 1994 08:49:37 GMT",
                                       "Sun, 06 Nov 1994 08:49 GMT",
                                       "Sun, 06-Nov-94 08:49:37 GMT",
                                       "Sunday, 06 Nov 1994 08:49:37 GMT",
                                       "Sun Nov 31 08:49:37 1994",
                                       "Sunnnnnnnnnnnn, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov 6 08:49:37 1994" };
    int64_t us = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(instant_parse_http(str_of(bad[i]), AT_2026, &us));
    EQ(us, 7);
}

TEST(instant, writes_each_form)
{
    char text[INSTANT_TEXT_BYTES];
    STR_EQ(instant_text(AT_2026 + 123456, 0, text), "2026-11-21T19:00:00Z");
    STR_EQ(instant_text(AT_2026 + 123956, 3, text), "2026-11-21T19:00:00.123Z");
    STR_EQ(instant_text(AT_2026 + 123456, 6, text), "2026-11-21T19:00:00.123456Z");
    STR_EQ(instant_text(-1, 6, text), "1969-12-31T23:59:59.999999Z");
    STR_EQ(instant_text_mail(AT_2026, text), "Sat, 21 Nov 2026 19:00:00 -0000");
    STR_EQ(instant_text_http(AT_2026, text), "Sat, 21 Nov 2026 19:00:00 GMT");
    STR_EQ(instant_text_seconds(INT64_C(1700000000123999), 3, text), "1700000000.123");
    STR_EQ(instant_text_seconds(INT64_C(1700000000123999), 0, text), "1700000000");
    STR_EQ(instant_text_seconds(7, 6, text), "0.000007");
    STR_EQ(instant_text_seconds(-7, 6, text), "0");
}

TEST(instant, holds_what_text_cannot_show_at_the_nearer_end)
{
    char text[INSTANT_TEXT_BYTES];
    STR_EQ(instant_text(INT64_MAX, 6, text), "9999-12-31T23:59:59.999999Z");
    STR_EQ(instant_text(INT64_MIN, 3, text), "0000-01-01T00:00:00.000Z");
}

TEST(instant, agrees_with_the_c_library_and_reads_back_what_it_wrote)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        int64_t us = rng_between(&rng, INT64_C(-62167219200000000), INSTANT_US_MAX);
        int64_t back = 0;
        char text[INSTANT_TEXT_BYTES], expected[INSTANT_TEXT_BYTES];
        time_t second = (time_t)(us >= 0 ? us / 1000000 : -((999999 - us) / 1000000));
        struct tm tm;
        gmtime_r(&second, &tm);
        strftime(expected, sizeof expected, "T%H:%M:%SZ", &tm);

        STR_EQ(str_of(instant_text(us, 0, text).p + 10), expected);
        YES(instant_parse(instant_text(us, 6, text), &back));
        EQ(back, us);
        if (us >= 0) {
            YES(instant_parse_seconds(instant_text_seconds(us, 6, text), &back));
            EQ(back, us);
        }
    }
}
