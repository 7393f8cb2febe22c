#include "serve/click_follow.h"

#include "test.h"

/* A command of all that may go takes took_ms, while `came` clicks join. */
static void command(struct click_follow *follow, int64_t took_ms, uint64_t came, int64_t now_ms)
{
    click_follow_sent(follow, 1000, now_ms - took_ms);
    click_follow_back(follow, follow->most, false, 1000 + came, now_ms);
}

static struct click_follow start(void)
{
    struct click_follow follow;
    click_follow_init(&follow);
    return follow;
}

TEST(click_follow, goes_on_at_once_while_fewer_come_than_the_store_could_take)
{
    struct click_follow follow = start();
    command(&follow, 40, FOLLOW_FEW / 2, 5000);
    EQ(click_follow_wait(&follow, 5000), 0);
}

TEST(click_follow, rests_nine_times_as_long_as_a_command_took_in_a_burst)
{
    struct click_follow follow = start();
    command(&follow, 40, FOLLOW_FEW / 2 + 1, 5000);
    EQ(click_follow_wait(&follow, 5000), 360);
    EQ(click_follow_wait(&follow, 5359), 1);
    EQ(click_follow_wait(&follow, 5360), 0);
}

TEST(click_follow, rests_for_a_while_only_however_long_a_command_took)
{
    struct click_follow follow = start();
    command(&follow, 3000, 100000, 5000);
    EQ(click_follow_wait(&follow, 5000), FOLLOW_REST_MS);
}

TEST(click_follow, rests_no_longer_when_somebody_waits)
{
    struct click_follow follow = start();
    command(&follow, 40, 100000, 5000);
    click_follow_hurry(&follow);
    EQ(click_follow_wait(&follow, 5000), 0);
}

TEST(click_follow, stores_more_at_once_while_that_is_quick)
{
    struct click_follow follow = start();
    EQ(follow.most, FOLLOW_FEW);
    command(&follow, FOLLOW_QUICK_MS, 0, 5000);
    EQ(follow.most, 2 * FOLLOW_FEW);
    command(&follow, FOLLOW_LONG_MS, 0, 6000);
    EQ(follow.most, 2 * FOLLOW_FEW);
    command(&follow, FOLLOW_LONG_MS + 1, 0, 7000);
    EQ(follow.most, FOLLOW_FEW);
    command(&follow, FOLLOW_LONG_MS + 1, 0, 8000);
    EQ(follow.most, FOLLOW_FEW);
}

TEST(click_follow, stores_few_at_once_while_others_want_the_writer)
{
    struct click_follow follow = start();
    click_follow_sent(&follow, 0, 5000);
    click_follow_back(&follow, FOLLOW_FEW, true, 0, 5010);
    EQ(follow.most, FOLLOW_MIN);
}

TEST(click_follow, leaves_the_writer_to_others_in_a_burst)
{
    struct click_follow follow = start();
    click_follow_sent(&follow, 1000, 4999);
    click_follow_back(&follow, FOLLOW_MIN, true, 1000 + FOLLOW_MIN, 5000);
    EQ(click_follow_wait(&follow, 5000), FOLLOW_REST_MS);
    click_follow_hurry(&follow);
    click_follow_sent(&follow, 2000, 7000);
    click_follow_back(&follow, FOLLOW_MIN, true, 2000 + FOLLOW_MIN / 2, 7010);
    EQ(click_follow_wait(&follow, 7010), 0); /* no burst: it follows at once */
}
