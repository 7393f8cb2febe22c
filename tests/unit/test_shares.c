/* How bulk and all others divide the writer: time by hand. */
#include "store/shares.h"
#include "test.h"

#define MS 1000

static struct shares shares;

static void fresh(void)
{
    shares = (struct shares){ 0 };
}

/* A group of bulk beside others. Returns when it was through. */
static int64_t crowded_bulk(int64_t at_us, int commands, int64_t took_us)
{
    shares_bulk_ran(&shares, true, commands, at_us, at_us + took_us);
    return at_us + took_us;
}

TEST(shares, bulk_has_the_writer_to_itself_while_nobody_else_comes)
{
    fresh();
    NO(shares_is_crowded(&shares, 1000 * MS));
    EQ(shares_bulk(&shares, false, 512), 512);
    shares_bulk_ran(&shares, false, 512, 1000 * MS, 1050 * MS);
    NO(shares_bulk_rests(&shares, 1050 * MS));
}

TEST(shares, others_are_remembered_for_a_tenth_of_a_second)
{
    fresh();
    shares_others(&shares, 1000 * MS);
    YES(shares_is_crowded(&shares, 1100 * MS));
    NO(shares_is_crowded(&shares, 1101 * MS));
}

TEST(shares, bulk_beside_others_begins_with_one_command)
{
    fresh();
    EQ(shares_bulk(&shares, true, 512), 1);
}

TEST(shares, bulk_beside_others_is_as_much_as_eight_milliseconds_hold)
{
    fresh();
    crowded_bulk(1000 * MS, 1, 2 * MS);
    EQ(shares_bulk(&shares, true, 512), 4);
    EQ(shares_bulk(&shares, true, 3), 3);
    fresh();
    crowded_bulk(1000 * MS, 1, 20 * MS);
    EQ(shares_bulk(&shares, true, 512), 1);
}

TEST(shares, what_a_command_takes_is_known_by_its_groups)
{
    fresh();
    crowded_bulk(1000 * MS, 4, 8 * MS);
    EQ(shares.each_us, 2 * MS);
    for (int i = 0; i < 50; i++)
        crowded_bulk(2000 * MS, 1, 4 * MS);
    YES(shares.each_us > 3900);
    EQ(shares_bulk(&shares, true, 512), 2);
}

/* LNK-41 */
TEST(shares, bulk_rests_half_as_long_again_as_it_took)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 4 * MS);
    YES(shares_bulk_rests(&shares, at_us + 6 * MS - 1));
    NO(shares_bulk_rests(&shares, at_us + 6 * MS));
}

TEST(shares, a_long_command_does_not_make_bulk_rest_for_ever)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 500 * MS);
    YES(shares_bulk_rests(&shares, at_us + SHARES_REST_US_MAX - 1));
    NO(shares_bulk_rests(&shares, at_us + SHARES_REST_US_MAX));
}

TEST(shares, a_rest_that_nobody_uses_ends)
{
    fresh();
    int64_t at_us = crowded_bulk(1000 * MS, 1, 4 * MS);
    shares_unused(&shares);
    NO(shares_bulk_rests(&shares, at_us));
}

/* Promise 5, in time that is made up: pages of 1.5 ms and 0.5 ms for each commit, workers whose groups take 0.3 ms and
 * who are back 0.2 ms after each. */
TEST(shares, workers_and_pages_that_both_never_rest_have_at_least_a_third_of_what_they_have_alone)
{
    int64_t now_us = 1000 * MS, end_us = now_us + 1000 * MS, workers = 0, pages = 0;
    fresh();
    while (now_us < end_us) {
        shares_others(&shares, now_us);
        now_us += 300;
        workers++;
        int64_t back_us = now_us + 200;
        if (shares_bulk_rests(&shares, now_us)) {
            now_us = back_us;
            continue;
        }
        YES(shares_is_crowded(&shares, now_us));
        int n = shares_bulk(&shares, true, 4);
        int64_t began_us = now_us;
        now_us += 500 + n * 1500;
        shares_bulk_ran(&shares, true, n, began_us, now_us);
        pages += n;
    }
    YES(workers * 3 >= 1000 * MS / 500);
    YES(pages * 3 >= 4 * 1000 * MS / 6500);
}
