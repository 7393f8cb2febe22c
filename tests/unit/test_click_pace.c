#include "serve/click_pace.h"

#include "test.h"

#define EASY 1000

/* The store takes 100 clicks every 10 ms: 100 us each. */
static struct click_pace start(void)
{
    struct click_pace pace;
    click_pace_init(&pace, EASY, EASY);
    for (int64_t ms = 1000; ms <= 2000; ms += 10)
        click_pace_stored(&pace, 100, true, ms);
    return pace;
}

/* How many of a crowd that never ends enter within a second. */
static int64_t enter(struct click_pace *pace, size_t used)
{
    int64_t entered = 0;
    for (int64_t ms = 2000; ms < 3000;) {
        int64_t wait_ms = click_pace_take(pace, used, 10, ms);
        entered += wait_ms ? 0 : 10;
        ms += wait_ms;
        if (entered > 1000000)
            break;
    }
    return entered;
}

TEST(click_pace, lets_in_no_more_than_its_limit_however_little_there_is)
{
    struct click_pace pace = start();
    click_pace_limit(&pace, 2000);
    int64_t entered = enter(&pace, 0);
    YES(entered >= 1990 && entered <= 2020);
    click_pace_limit(&pace, 0);
    YES(enter(&pace, 0) > 1000000);
}

TEST(click_pace, slows_nobody_while_there_is_little)
{
    struct click_pace pace = start();
    YES(enter(&pace, EASY) > 1000000);
}

TEST(click_pace, lets_in_what_the_store_takes_at_twice_as_many)
{
    struct click_pace pace = start();
    int64_t entered = enter(&pace, 2 * EASY);
    YES(entered >= 9900 && entered <= 10100);
}

TEST(click_pace, lets_in_fewer_the_more_there_are)
{
    struct click_pace pace = start();
    int64_t entered = enter(&pace, 3 * EASY);
    YES(entered >= 4900 && entered <= 5100);
    pace = start();
    entered = enter(&pace, EASY + EASY / 2);
    YES(entered >= 19900 && entered <= 20100);
}

TEST(click_pace, follows_a_store_that_becomes_slower)
{
    struct click_pace pace = start();
    for (int64_t ms = 2020; ms <= 4000; ms += 20)
        click_pace_stored(&pace, 100, true, ms);
    int64_t entered = enter(&pace, 2 * EASY);
    YES(entered >= 4900 && entered <= 5100);
}

/* How long nobody clicked says nothing of the store. */
TEST(click_pace, does_not_count_the_time_the_store_had_nothing_to_do)
{
    struct click_pace pace = start();
    click_pace_stored(&pace, 100, false, 2010);
    click_pace_stored(&pace, 100, true, 60000);
    click_pace_stored(&pace, 100, true, 60010);
    YES(enter(&pace, 2 * EASY) >= 9900);
}

TEST(click_pace, slows_nobody_before_it_knows_the_store)
{
    struct click_pace pace;
    click_pace_init(&pace, EASY, EASY);
    YES(enter(&pace, 10 * EASY) > 1000000);
}

TEST(click_pace, lets_somebody_in_now_and_then_however_slow_the_store_is)
{
    struct click_pace pace;
    click_pace_init(&pace, EASY, EASY);
    click_pace_stored(&pace, 1, true, 1);
    click_pace_stored(&pace, 1, true, 1000000);
    YES(enter(&pace, 100 * EASY) >= 100);
}
