#include "test.h"

#include "base/random.h"

TEST(random, gives_bytes_that_differ)
{
    uint8_t a[32] = { 0 }, b[32] = { 0 };
    random_bytes(a, sizeof a);
    random_bytes(b, sizeof b);
    NE(memcmp(a, b, sizeof a), 0);
    random_bytes(a, 0);
}

TEST(random, follows_the_published_generator)
{
    /* xoshiro256** from the state 1, 2, 3, 4. */
    static const uint64_t expected[] = { 11520, 0, 1509978240, 1215971899390074240 };
    struct rng rng = { { 1, 2, 3, 4 } };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        YES(rng_next(&rng) == expected[i]);
}

TEST(random, repeats_itself_for_the_same_seed_only)
{
    struct rng a, b, c;
    rng_init(&a, 7);
    rng_init(&b, 7);
    rng_init(&c, 8);
    for (int i = 0; i < 100; i++) {
        uint64_t next = rng_next(&a);
        YES(next == rng_next(&b));
        YES(next != rng_next(&c));
    }
}

TEST(random, stays_below_its_limit_and_reaches_every_value)
{
    struct rng rng;
    int seen[6] = { 0 };
    rng_init(&rng, 1);
    for (int i = 0; i < 6000; i++) {
        uint64_t value = rng_below(&rng, 6);
        YES(value < 6);
        seen[value]++;
    }
    for (int i = 0; i < 6; i++)
        YES(seen[i] > 850 && seen[i] < 1150);
    EQ(rng_below(&rng, 1), 0);
}

TEST(random, includes_both_ends_of_a_range)
{
    struct rng rng;
    bool low = false, high = false;
    rng_init(&rng, 1);
    for (int i = 0; i < 1000; i++) {
        int64_t value = rng_between(&rng, -2, 2);
        YES(value >= -2 && value <= 2);
        low |= value == -2;
        high |= value == 2;
    }
    YES(low && high);
    EQ(rng_between(&rng, INT64_MAX, INT64_MAX), INT64_MAX);
    rng_between(&rng, INT64_MIN, INT64_MAX);
}

TEST(random, has_the_shares_it_promises)
{
    struct rng rng;
    int hits = 0;
    rng_init(&rng, 1);
    for (int i = 0; i < 20000; i++) {
        double unit = rng_unit(&rng);
        YES(unit >= 0 && unit < 1);
        hits += rng_chance(&rng, 0.05);
    }
    YES(hits > 850 && hits < 1150);
    NO(rng_chance(&rng, 0));
    YES(rng_chance(&rng, 1));
}
