/* How many clicks may enter beside others: sums by hand. */
#include "serve/click_beside.h"
#include "test.h"

static struct click_beside beside;
static struct click_look look;

static void fresh(void)
{
    beside = (struct click_beside){ 0 };
    look = (struct click_look){ .at_ms = 5000, .processors = 2 };
    EQ(click_beside_look(&beside, &look), 0);
}

/* A tenth of a second in which so much came, and who stored it stood in line for so long. */
static int64_t tenth(uint64_t clicks, int64_t ran_us, uint64_t commands, int64_t queued_us)
{
    look.at_ms += 100;
    look.clicks += clicks;
    look.ran_us += ran_us;
    look.commands += commands;
    look.queued_us += queued_us;
    return click_beside_look(&beside, &look);
}

TEST(click_beside, clicks_alone_come_as_they_like)
{
    fresh();
    EQ(tenth(6000, 60000, 0, 40000), 0);
    EQ(tenth(6000, 60000, 9, 40000), 0); /* fewer than a hundred a second by others */
}

TEST(click_beside, nobody_is_slowed_where_others_find_a_processor)
{
    fresh();
    EQ(tenth(6000, 60000, 800, 9999), 0);
}

/* LNK-41 */
TEST(click_beside, clicks_keep_to_their_part_of_the_processors_while_others_stand_in_line)
{
    fresh();
    EQ(tenth(6000, 60000, 800, 30000), 24000); /* 10 us each of 12 % of two processors */
    look.processors = 16;
    EQ(tenth(6000, 60000, 800, 30000), 192000);
    EQ(tenth(2000, 20000, 800, 0), 0);
}

TEST(click_beside, what_else_the_loops_do_is_not_counted_as_clicks)
{
    fresh();
    EQ(tenth(1000, 90000, 800, 30000), 8000); /* 30 us each, not 90 */
    EQ(tenth(99, 90000, 800, 30000), 0);      /* so few are in nobody's way */
}

TEST(click_beside, looks_that_come_too_soon_change_nothing_and_old_ones_say_nothing)
{
    fresh();
    EQ(tenth(6000, 60000, 800, 30000), 24000);
    look.at_ms += BESIDE_LOOK_MS - 1;
    EQ(click_beside_look(&beside, &look), 24000);
    look.at_ms += BESIDE_LOOK_MS_MAX;
    look.clicks += 60000;
    look.commands += 8000;
    look.queued_us += 900000;
    EQ(click_beside_look(&beside, &look), 0);
}
