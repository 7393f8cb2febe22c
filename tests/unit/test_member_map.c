#include "serve/member_map.h"

#include "test.h"

static uint64_t hash_of(uint64_t i)
{
    uint64_t x = (i + 1) * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    return x ^ (x >> 27);
}

/* LNK-22 */
TEST(member_map, gives_every_member_back_while_there_is_room)
{
    struct member_map *map = member_map_new(MEMBER_MAP_BYTES_MAX);
    size_t lost = 0;
    for (uint64_t i = 0; i < 1000000; i++) {
        struct member_entry who = { .message_no = i + (UINT64_C(5) << 32),
                                    .member_no = (uint32_t)i + 1,
                                    .test = i % 2 };
        member_map_put(map, hash_of(i), 0, &who);
    }
    for (uint64_t i = 0; i < 1000000; i++) {
        struct member_entry who = { 0 };
        if (!member_map_find(map, hash_of(i), 1000000, &who)) {
            lost++;
            continue;
        }
        EQ(who.message_no, i + (UINT64_C(5) << 32));
        EQ(who.member_no, i + 1);
        EQ(who.test, i % 2);
    }
    YES(lost < 30000); /* of a million: they are looked up again */
    YES(member_map_bytes(map) < (28 << 20));
    member_map_free(map);
}

TEST(member_map, never_grows_beyond_its_bytes)
{
    struct member_map *map = member_map_new(1 << 20);
    for (uint64_t i = 0; i < 500000; i++) {
        struct member_entry who = { .message_no = i + 1, .member_no = 1 };
        member_map_put(map, hash_of(i), 0, &who);
        YES(member_map_find(map, hash_of(i), 0, &who));
    }
    YES(member_map_bytes(map) <= 1 << 20);
    member_map_free(map);
}

TEST(member_map, forgets_soon_that_somebody_is_no_recipient)
{
    struct member_map *map = member_map_new(1 << 20);
    struct member_entry who = { 0 };
    member_map_put(map, hash_of(1), 10000, &who);
    YES(member_map_find(map, hash_of(1), 10000 + MEMBER_MAP_MISSING_MS, &who));
    EQ(who.message_no, 0);
    NO(member_map_find(map, hash_of(1), 10200 + MEMBER_MAP_MISSING_MS, &who));
    who = (struct member_entry){ .message_no = 4, .member_no = 5 };
    member_map_put(map, hash_of(1), 20000, &who);
    YES(member_map_find(map, hash_of(1), 90000, &who));
    EQ(who.message_no, 4);
    member_map_free(map);
}
