/* How long a group waits for more commands. */
#include "store/gather.h"
#include "test.h"

static struct gather gather;

static void groups(int n, int64_t commands)
{
    for (int i = 0; i < n; i++)
        gather_note(&gather, commands, 0, 400);
}

static void fresh(void)
{
    gather = (struct gather){ 0 };
}

TEST(gather, waits_for_as_many_as_came_last)
{
    fresh();
    EQ(gather_wanted(&gather), 0);
    groups(1, 10);
    EQ(gather_wanted(&gather), 10);
    groups(1, 3);
    EQ(gather_wanted(&gather), 3);
}

TEST(gather, two_halves_are_waited_for_together_now_and_then)
{
    fresh();
    for (int i = 1; i < GATHER_JOIN_EVERY; i++) {
        groups(1, 5);
        EQ(gather_wanted(&gather), 5);
    }
    groups(1, 5);
    EQ(gather_wanted(&gather), 10);
    groups(1, 10); /* both came */
    EQ(gather_wanted(&gather), 10);
}

TEST(gather, one_or_two_clients_are_never_waited_for)
{
    fresh();
    groups(GATHER_JOIN_EVERY, 1);
    EQ(gather_wanted(&gather), 1);
}

/* So many groups of five that each take so long, one behind the other; then the patience right behind them. */
static int64_t patience_behind(int n, int64_t took_us)
{
    int64_t now_us = 1000000;
    for (int i = 0; i < n; i++, now_us += took_us)
        gather_note(&gather, 5, now_us - took_us, now_us);
    return gather_patience_us(&gather, now_us - took_us);
}

TEST(gather, is_more_patient_where_groups_take_longer_and_never_very)
{
    fresh();
    EQ(gather_patience_us(&gather, 0), GATHER_US);
    int64_t us = patience_behind(100, 2000);
    YES(us > 490 && us <= 500);
    EQ(patience_behind(100, 90000), GATHER_US_MAX);
    EQ(patience_behind(100, 200), GATHER_US);
}

TEST(gather, is_not_patient_when_nothing_came_for_as_long_as_a_group_takes)
{
    fresh();
    patience_behind(100, 2000);
    int64_t ended_us = gather.ended_us;
    YES(gather_patience_us(&gather, ended_us + 1500) > GATHER_US);
    EQ(gather_patience_us(&gather, ended_us + 2100), GATHER_US);
}
