#include "test.h"

#include "base/random.h"
#include "store/dedupe_set.h"

#define KEYS 2000

static struct run_key key_of(uint64_t n)
{
    return (struct run_key){ { n * 0x9E3779B97F4A7C15u, n * 0xC2B2AE3D27D4EB4Fu } };
}

static bool has(const struct key_set *set, int32_t day, uint64_t n)
{
    return set->slots[key_set_find(set, day, key_of(n))].used;
}

TEST(dedupe_set, holds_what_was_added_and_not_removed_whatever_the_order)
{
    static bool there[2][KEYS];
    struct key_set set;
    struct rng rng;
    size_t count = 0;
    key_set_init(&set);
    rng_init(&rng, 7);
    for (int step = 0; step < 40000; step++) {
        int32_t day = (int32_t)rng_below(&rng, 2);
        uint64_t n = rng_below(&rng, KEYS);
        bool adds = rng_below(&rng, 20000) > (uint64_t)step / 2; /* more and more of them go */
        count += (size_t)adds - (size_t)there[day][n];
        if (adds)
            key_set_add(&set, day, key_of(n));
        else
            key_set_remove(&set, day, key_of(n));
        there[day][n] = adds;
        if (step % 1000 != 999)
            continue;
        for (int32_t d = 0; d < 2; d++)
            for (uint64_t k = 0; k < KEYS; k++)
                EQ(has(&set, d, k), there[d][k]);
    }
    EQ(set.count, count);
    key_set_clear(&set);
    EQ(set.count, 0);
    NO(has(&set, 0, 1));
    key_set_done(&set);
}

TEST(dedupe_set, tells_an_answer_from_a_key)
{
    struct key_set set;
    key_set_init(&set);
    key_set_fill(&set, key_set_find(&set, 5, key_of(1)), 5, key_of(1), false);
    const struct key_entry *entry = &set.slots[key_set_find(&set, 5, key_of(1))];
    YES(entry->used);
    NO(entry->known);
    NO(has(&set, 6, 1)); /* the same key of another day */
    key_set_add(&set, 5, key_of(1));
    EQ(set.count, 1);
    key_set_done(&set);
}
