#include "serve/member_map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WAYS             8
#define BUCKETS_FIRST    512
#define BUCKETS_TRIED    16
#define MESSAGE_MAX      (UINT64_C(1) << 36)
#define CACHE_LINE_BYTES 64

/* Low byte of `tag`: the flags, and the upper four bits of the message's number. */
#define FLAG_USED    0x80u /* the slot is taken */
#define FLAG_TEST    0x40u
#define FLAG_MISSING 0x20u /* nobody; `message` is when that was found out, in 1/16 s */
#define FLAG_RECENT  0x10u /* used since the bucket was last short of room */

struct slot {
    uint64_t tag; /* upper 56 bits of the hash, flags, bits 32..35 of the message's number */
    uint32_t message;
    uint32_t member;
};

struct member_map {
    struct slot *slots;
    size_t buckets, buckets_max, used;
};

static size_t bytes_of(size_t buckets)
{
    return buckets * WAYS * sizeof(struct slot);
}

/* Each bucket lies in two lines of the processor's cache, and not in three. */
static struct slot *slots_new(size_t buckets)
{
    struct slot *slots = aligned_alloc(CACHE_LINE_BYTES, bytes_of(buckets));
    if (!slots)
        abort();
    return memset(slots, 0, bytes_of(buckets));
}

struct member_map *member_map_new(size_t bytes_max)
{
    struct member_map *map = calloc(1, sizeof *map);
    if (!map)
        abort();
    map->buckets = BUCKETS_FIRST;
    map->buckets_max = bytes_max / bytes_of(1);
    if (map->buckets > map->buckets_max)
        map->buckets = map->buckets_max;
    assert(map->buckets > 0);
    map->slots = slots_new(map->buckets);
    return map;
}

void member_map_free(struct member_map *map)
{
    if (map)
        free(map->slots);
    free(map);
}

size_t member_map_bytes(const struct member_map *map)
{
    return bytes_of(map->buckets);
}

/* By the upper bits, which stand in the tag, so that a wider table can be filled from the slots. */
static struct slot *bucket_of(const struct member_map *map, uint64_t tag)
{
    return map->slots + (size_t)((tag >> 32) * map->buckets >> 32) * WAYS;
}

void member_map_fetch(const struct member_map *map, uint64_t hash)
{
    const struct slot *bucket = bucket_of(map, hash);
    __builtin_prefetch(bucket);
    __builtin_prefetch(bucket + WAYS / 2);
}

static bool same(const struct slot *slot, uint64_t hash)
{
    return slot->tag >> 8 == hash >> 8 && slot->tag & FLAG_USED;
}

static uint32_t sixteenths(int64_t now_ms)
{
    return (uint32_t)(now_ms * 16 / 1000);
}

/* The bucket that takes what does not fit into this one. */
static struct slot *next_bucket(const struct member_map *map, struct slot *bucket)
{
    return bucket + WAYS < map->slots + map->buckets * WAYS ? bucket + WAYS : map->slots;
}

/* The slot of a hash in one bucket, else a free one, else NULL; *ret_found tells which. */
static struct slot *look(struct slot *bucket, uint64_t hash, bool *ret_found)
{
    struct slot *free = NULL;
    *ret_found = true;
    for (int i = 0; i < WAYS; i++) {
        if (same(&bucket[i], hash))
            return &bucket[i];
        if (!(bucket[i].tag & FLAG_USED))
            free = &bucket[i];
    }
    *ret_found = false;
    return free;
}

/* The slot of a hash, or a free one for it: the next bucket is looked at only when the one before is full. NULL when
 * all of them are. */
static struct slot *find(const struct member_map *map, uint64_t hash, bool *ret_found)
{
    struct slot *bucket = bucket_of(map, hash), *slot = NULL;
    for (int i = 0; i < BUCKETS_TRIED && !slot; i++) {
        slot = look(bucket, hash, ret_found);
        bucket = next_bucket(map, bucket);
    }
    return slot;
}

bool member_map_find(struct member_map *map, uint64_t hash, int64_t now_ms, struct member_entry *ret)
{
    bool found;
    struct slot *slot = find(map, hash, &found);
    if (!found)
        return false;
    if (slot->tag & FLAG_MISSING) {
        if ((int32_t)(sixteenths(now_ms) - slot->message) > MEMBER_MAP_MISSING_MS * 16 / 1000)
            return false;
        *ret = (struct member_entry){ 0 };
        return true;
    }
    slot->tag |= FLAG_RECENT;
    *ret = (struct member_entry){ .message_no = (slot->tag & 15) << 32 | slot->message,
                                  .member_no = slot->member,
                                  .test = (slot->tag & FLAG_TEST) != 0 };
    return true;
}

/* Gives up an entry of the bucket that was not used lately. */
static struct slot *oldest_of(struct slot *bucket, uint64_t hash)
{
    for (int i = 0; i < WAYS; i++)
        if (!(bucket[i].tag & FLAG_RECENT))
            return &bucket[i];
    for (int i = 0; i < WAYS; i++)
        bucket[i].tag &= ~(uint64_t)FLAG_RECENT;
    return &bucket[hash >> 8 & (WAYS - 1)];
}

/* The place for a hash: its own, a free one, or that of an entry not used lately. */
static struct slot *place_of(struct member_map *map, uint64_t hash)
{
    bool found;
    struct slot *slot = find(map, hash, &found);
    if (!slot)
        return oldest_of(bucket_of(map, hash), hash);
    map->used += !found;
    return slot;
}

static void grow(struct member_map *map)
{
    struct member_map wider = { .buckets = map->buckets + map->buckets / 8 + 1, .buckets_max = map->buckets_max };
    if (wider.buckets > map->buckets_max)
        wider.buckets = map->buckets_max;
    wider.slots = slots_new(wider.buckets);
    for (size_t i = 0; i < map->buckets * WAYS; i++)
        if (map->slots[i].tag & FLAG_USED)
            *place_of(&wider, map->slots[i].tag) = map->slots[i];
    free(map->slots);
    *map = wider;
}

void member_map_put(struct member_map *map, uint64_t hash, int64_t now_ms, const struct member_entry *entry)
{
    assert(entry->message_no < MESSAGE_MAX);
    if (map->used * 8 > map->buckets * WAYS * 7 && map->buckets < map->buckets_max)
        grow(map);
    bool missing = entry->message_no == 0 && entry->member_no == 0;
    uint64_t flags = FLAG_USED | (entry->test ? FLAG_TEST : 0) | (missing ? FLAG_MISSING : 0);
    *place_of(map, hash) = (struct slot){ .tag = (hash & ~UINT64_C(255)) | flags | (entry->message_no >> 32 & 15),
                                          .message = missing ? sixteenths(now_ms) : (uint32_t)entry->message_no,
                                          .member = entry->member_no };
}
