#include "relay/breaker.h"
#include "test.h"

static struct breaker breaker;

static void trouble(int times, int64_t now_ms)
{
    for (int i = 0; i < times; i++)
        breaker_heard(&breaker, true, now_ms);
}

/* HAND-3. */
TEST(breaker, opens_after_ten_troubles_in_a_row)
{
    breaker = (struct breaker){ 0 };
    trouble(9, 0);
    EQ(breaker_allows(&breaker, 10, 0), 10);
    EQ(breaker_heard(&breaker, false, 0), false);
    trouble(9, 0);
    EQ(breaker_allows(&breaker, 10, 0), 10);
    EQ(breaker_heard(&breaker, true, 1000), true);
    EQ(breaker_allows(&breaker, 10, 30999), 0);
    EQ(breaker_allows(&breaker, 10, 31000), 1);
}

/* HAND-3. */
TEST(breaker, sends_one_to_see_and_waits_twice_as_long_when_that_was_in_vain)
{
    breaker = (struct breaker){ 0 };
    trouble(10, 0);
    EQ(breaker_heard(&breaker, true, 5), false); /* was under way when it opened */
    int64_t now_ms = 0;
    static const int64_t pauses[] = { 30000, 60000, 120000, 240000, 480000, 600000, 600000 };
    for (size_t i = 0; i < sizeof pauses / sizeof *pauses; i++) {
        EQ(breaker_allows(&breaker, 10, now_ms + pauses[i] - 1), 0);
        now_ms += pauses[i];
        EQ(breaker_allows(&breaker, 10, now_ms), 1);
        breaker_began(&breaker);
        EQ(breaker_allows(&breaker, 10, now_ms), 0);
        EQ(breaker_heard(&breaker, true, now_ms), true);
    }
    now_ms += 600000;
    breaker_began(&breaker);
    EQ(breaker_heard(&breaker, false, now_ms), true);
    EQ(breaker_allows(&breaker, 10, now_ms), 10);
    trouble(10, now_ms);
    EQ(breaker_allows(&breaker, 10, now_ms + 30000), 1);
}
