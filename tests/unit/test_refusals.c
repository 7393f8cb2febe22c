#include "serve/refusals.h"
#include "test.h"

TEST(refusals, writes_the_first_one_at_once_and_counts_the_others_for_a_minute)
{
    struct refusals *refusals = refusals_new();
    int64_t now_us = INT64_C(1800000000000000);
    EQ(refusals_note(refusals, 7, now_us), 1);
    EQ(refusals_note(refusals, 7, now_us + 1), 0);
    EQ(refusals_note(refusals, 7, now_us + REFUSALS_EVERY_US - 1), 0);
    EQ(refusals_note(refusals, 7, now_us + REFUSALS_EVERY_US), 3);
    EQ(refusals_note(refusals, 7, now_us + REFUSALS_EVERY_US + 1), 0);
    refusals_free(refusals);
}

TEST(refusals, counts_each_source_for_itself_and_bears_a_clock_that_steps_back)
{
    struct refusals *refusals = refusals_new();
    int64_t now_us = INT64_C(1800000000000000);
    EQ(refusals_note(refusals, 7, now_us), 1);
    EQ(refusals_note(refusals, 8, now_us), 1);
    EQ(refusals_note(refusals, 8, now_us - 1), 1);
    EQ(refusals_note(refusals, 7 + REFUSALS_SOURCES_MAX, now_us), 1);
    refusals_free(refusals);
}
