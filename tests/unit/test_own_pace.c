#include "engine/own_pace.h"

#include "engine/job_own.h"
#include "test.h"

/* The rows of the next chunk of housekeeping. */
static int keep_after(int rows, int64_t took_us)
{
    struct own_pace pace = { true, rows };
    own_pace_took(&pace, took_us, false);
    return pace.rows;
}

/* KEEP-5. */
TEST(own_pace, a_chunk_of_housekeeping_doubles_below_10_ms_and_halves_above_20)
{
    EQ(own_pace_begin(S(KEEP_QUEUE)).rows, 500);
    EQ(keep_after(500, 9999), 1000);
    EQ(keep_after(500, 10000), 500);
    EQ(keep_after(500, 20000), 500);
    EQ(keep_after(500, 20001), 250);
    EQ(keep_after(1000, 1), 1000);
    EQ(keep_after(60, 30000), 50);
    EQ(keep_after(50, 50000), 50);
}

/* KEEP-5, HAND-5. */
TEST(own_pace, a_chunk_beyond_50_ms_is_followed_by_one_that_fits)
{
    EQ(keep_after(50, 100000), 9);
    EQ(keep_after(1000, 1000000), 19);
    EQ(keep_after(1, 1000000), 1);
    EQ(keep_after(9, 5000), 50); /* and when it was the disk that was slow, the next ones are as before */
}

/* HAND-5. */
TEST(own_pace, steps_for_people_take_4_ms_and_all_take_8_beside_others)
{
    struct own_pace pace = own_pace_begin(S(OWN_QUEUE)), keep = own_pace_begin(S(KEEP_QUEUE));
    EQ(pace.rows, 100);
    own_pace_took(&pace, 1000, false);
    EQ(pace.rows, 200);
    own_pace_took(&pace, 8000, false);
    EQ(pace.rows, 99);
    own_pace_took(&pace, 8000, true);
    own_pace_took(&keep, 16000, true);
    EQ(pace.rows, 98);
    EQ(keep.rows, 249);
    own_pace_failed(&pace);
    EQ(pace.rows, 49);
}

/* HAND-5. */
TEST(own_pace, others_are_there_who_change_something_a_hundred_times_a_second)
{
    YES(own_pace_is_crowded(10, 100));
    NO(own_pace_is_crowded(9, 100));
    YES(own_pace_is_crowded(50, 500)); /* the look before was a rest of half a second ago */
    NO(own_pace_is_crowded(49, 500));
    YES(own_pace_is_crowded(100, 3600000)); /* nobody looked for an hour: it may all have come just now */
    NO(own_pace_is_crowded(99, 3600000));
}

/* HAND-5. */
TEST(own_pace, own_steps_are_not_others)
{
    struct own_crowd crowd = { 0 };
    for (int i = 1; i <= 50; i++) /* fifty steps in 100 ms, and nobody else */
        NO(own_crowd_look(&crowd, (uint64_t)i, 2 * i));
    YES(own_crowd_look(&crowd, 61, 200)); /* one step and ten others */
    YES(own_crowd_look(&crowd, 62, 250)); /* it looks every 100 ms */
    NO(own_crowd_look(&crowd, 63, 300));
}

/* KEEP-5, BUD-2. */
TEST(own_pace, rests_at_least_as_long_as_it_worked_and_longer_beside_others)
{
    EQ(own_pace_rest_ms(10000, 500000, false), 10);
    EQ(own_pace_rest_ms(10000, 200000, false), 40);
    EQ(own_pace_rest_ms(10, 1000000, false), 1);
    EQ(own_pace_rest_ms(4000, 500000, true), 496);
    EQ(own_pace_rest_ms(100000, 5000, true), 1000);
}
