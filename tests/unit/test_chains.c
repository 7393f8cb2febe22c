#include "test.h"

#include <stdlib.h>

#include "base/chains.h"

struct word {
    int64_t before;
    struct word *next;
    uint64_t hash;
};

static uint64_t hash_of(const void *entry, const void *data)
{
    return ((const struct word *)entry)->hash + *(const uint64_t *)data;
}

static const struct chain chain = { offsetof(struct word, next), hash_of };

static int count(struct word *const *slots, size_t n)
{
    int found = 0;
    for (size_t i = 0; i < n; i++)
        for (const struct word *word = slots[i]; word; word = word->next)
            found++;
    return found;
}

TEST(chains, begins_with_empty_slots)
{
    uint64_t salt = 0;
    struct word **slots = chains_move(NULL, 0, 4, &chain, &salt);
    EQ(count(slots, 4), 0);
    free(slots);
}

TEST(chains, takes_each_entry_to_the_slot_of_its_hash)
{
    uint64_t salt = 1;
    struct word words[6] = { 0 };
    struct word **slots = chains_move(NULL, 0, 1, &chain, &salt);
    for (int i = 0; i < 6; i++) {
        words[i] = (struct word){ .before = 7, .next = slots[0], .hash = (uint64_t)i };
        slots[0] = &words[i];
    }
    slots = chains_move(slots, 1, 4, &chain, &salt);
    EQ(count(slots, 4), 6);
    for (size_t i = 0; i < 4; i++)
        for (const struct word *word = slots[i]; word; word = word->next) {
            EQ((word->hash + salt) & 3, i);
            EQ(word->before, 7);
        }
    free(slots);
}
