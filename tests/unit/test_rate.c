#include "engine/rate.h"

#include "test.h"

/* Asks at each time (ms); answers are 0 = started, or ms to wait. */
static void asks(const struct rate *rate, const int64_t *at_ms, const int64_t *answers, size_t n)
{
    int64_t tat_ns = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t now_ns = at_ms[i] * 1000000, wait_ns = rate_wait_ns(rate, tat_ns, now_ns);
        EQ((wait_ns + 999999) / 1000000, answers[i]);
        if (wait_ns == 0)
            tat_ns = rate_start(rate, tat_ns, now_ns);
    }
}

/* RATE-1. */
TEST(rate, spaces_starts_evenly_and_never_grants_more_than_the_limit)
{
    struct rate rate = { 40, 60000000, 1 };
    asks(&rate, (int64_t[]){ 0, 0, 1499, 1500, 1500, 10000, 10000 }, (int64_t[]){ 0, 1500, 1, 0, 1500, 0, 1500 }, 7);
}

TEST(rate, lets_a_burst_through_and_saves_up_no_more_than_that)
{
    struct rate rate = { 10, 1000000, 3 };
    asks(&rate, (int64_t[]){ 0, 0, 0, 0, 100, 100, 5000, 5000, 5000, 5000 },
         (int64_t[]){ 0, 0, 0, 100, 0, 100, 0, 0, 0, 100 }, 10);
}

TEST(rate, rounds_the_distance_of_starts_up)
{
    struct rate rate = { 7, 1000000, 1 };
    asks(&rate, (int64_t[]){ 0, 0, 142, 143 }, (int64_t[]){ 0, 143, 1, 0 }, 4);
}

TEST(rate, without_a_limit_never_waits)
{
    struct rate rate = { 0 };
    EQ(rate_wait_ns(&rate, 0, 5), 0);
    EQ(rate_start(&rate, 3, 5), 3);
}

TEST(rate, never_passes_the_limit_in_any_window)
{
    struct rate rate = { 40, 60000000, 1 };
    int64_t starts[400], tat_ns = 0;
    int n = 0;
    for (int64_t ms = 0; ms < 600000 && n < 400; ms += 7) {
        if (rate_wait_ns(&rate, tat_ns, ms * 1000000))
            continue;
        tat_ns = rate_start(&rate, tat_ns, ms * 1000000);
        starts[n++] = ms;
    }
    for (int i = 0; i + 40 < n; i++)
        YES(starts[i + 40] - starts[i] >= 60000);
}
