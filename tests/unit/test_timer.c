#include "net/timer.h"
#include "test.h"

#define NEVER UINT64_MAX

TEST(timer, comes_in_order_of_time_then_of_setting)
{
    struct timers timers;
    struct timer late = { 0 }, early = { 0 }, first = { 0 }, second = { 0 };
    timers_init(&timers);
    timers_set(&timers, &late, 300);
    timers_set(&timers, &first, 200);
    timers_set(&timers, &second, 200);
    timers_set(&timers, &early, 100);
    EQ(timers_next_ms(&timers), 100);
    YES(timers_take_due(&timers, 99, NEVER) == NULL);
    YES(timers_take_due(&timers, 250, NEVER) == &early);
    YES(timers_take_due(&timers, 250, NEVER) == &first);
    YES(timers_take_due(&timers, 250, NEVER) == &second);
    YES(timers_take_due(&timers, 250, NEVER) == NULL);
    YES(timers_take_due(&timers, 300, NEVER) == &late);
    EQ(timers_next_ms(&timers), INT64_MAX);
    timers_done(&timers);
}

TEST(timer, moves_when_it_is_set_again_and_is_forgotten_when_cleared)
{
    struct timers timers;
    struct timer a = { 0 }, b = { 0 };
    timers_init(&timers);
    timers_set(&timers, &a, 100);
    timers_set(&timers, &b, 200);
    timers_set(&timers, &a, 300);
    EQ(timers_next_ms(&timers), 200);
    timers_clear(&timers, &b);
    NO(timer_is_set(&b));
    timers_clear(&timers, &b);
    EQ(timers_next_ms(&timers), 300);
    YES(timers_take_due(&timers, 300, NEVER) == &a);
    NO(timer_is_set(&a));
    timers_done(&timers);
}

TEST(timer, set_to_now_while_timers_run_waits_for_the_next_turn)
{
    struct timers timers;
    struct timer a = { 0 };
    timers_init(&timers);
    timers_set(&timers, &a, 100);
    uint64_t newer = timers.orders;
    YES(timers_take_due(&timers, 100, newer) == &a);
    timers_set(&timers, &a, 100);
    YES(timers_take_due(&timers, 100, newer) == NULL);
    YES(timers_take_due(&timers, 100, timers.orders) == &a);
    timers_done(&timers);
}

TEST(timer, keeps_its_order_among_thousands)
{
    enum { COUNT = 5000 };
    static struct timer many[COUNT];
    struct timers timers;
    timers_init(&timers);
    uint32_t x = 1;
    for (int i = 0; i < COUNT; i++) {
        x = x * 1664525 + 1013904223;
        timers_set(&timers, &many[i], x >> 12);
    }
    int cleared = 0;
    for (int i = 0; i < COUNT; i += 3, cleared++)
        timers_clear(&timers, &many[i]);

    int64_t before = -1;
    int count = 0;
    for (struct timer *due; (due = timers_take_due(&timers, INT64_MAX, NEVER)) != NULL; count++) {
        YES(due->due_ms >= before);
        before = due->due_ms;
    }
    EQ(count, COUNT - cleared);
    timers_done(&timers);
}
