#include "test.h"

#include "base/duration.h"

TEST(duration, reads_each_unit)
{
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {
        { "250ms", 250 },    { "90s", 90000 },     { "5m", 300000 }, { "1h", 3600000 },
        { "7d", 604800000 }, { "2w", 1209600000 }, { "0s", 0 },      { "36500d", DURATION_MS_MAX },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        YES(duration_parse(str_of(cases[i].text), &ms));
        EQ(ms, cases[i].ms);
    }
}

TEST(duration, refuses_what_is_not_one_number_and_one_unit)
{
    static const char *const bad[] = { "",     "5",  "m",       "-5m",    "+5m", " 5m",  "5 m",
                                       "1.5h", "5M", "1h30m",   "36501d", "5x",  "5mss", "99999999999999999999s",
                                       "5m ",  "ms", "5minutes" };
    int64_t ms = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(duration_parse(str_of(bad[i]), &ms));
    EQ(ms, 7);
}

TEST(duration, writes_the_largest_unit_that_is_exact)
{
    char text[DURATION_TEXT_BYTES];
    STR_EQ(duration_text(0, text), "0s");
    STR_EQ(duration_text(90000, text), "90s");
    STR_EQ(duration_text(300000, text), "5m");
    STR_EQ(duration_text(1209600000, text), "14d");
    STR_EQ(duration_text(1001, text), "1001ms");
}

TEST(duration, goes_out_as_a_number_of_seconds)
{
    char text[DURATION_TEXT_BYTES];
    STR_EQ(duration_text_s(0, text), "0");
    STR_EQ(duration_text_s(90000, text), "90");
    STR_EQ(duration_text_s(250, text), "0.25");
    STR_EQ(duration_text_s(1001, text), "1.001");
    STR_EQ(duration_text_s(-1500, text), "-1.5");
}
