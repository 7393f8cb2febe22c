/*
 * member_map.h - which message of a mailing is a member's: (mailing, m) -> message, member.
 *
 * A click names its member by text; everything behind the door goes by number.
 * The map is keyed by a 56-bit part of a keyed hash, so nobody can look for two
 * names that meet, and an entry is 16 bytes: a million members cost 18 MiB.
 * Buckets of 8, and the next ones when that is full; then an entry not used lately is given up. It grows with
 * what is put in, up to its maximum, and never beyond (LNK-22).
 *
 * That somebody is no recipient is remembered, too, but only for 2 s: he may
 * be imported any moment.
 *
 * Thread: one at a time, under the lock of its redirect. Loops do not read their clocks at the same moment, so `now_ms`
 * may be a little less than what was told before.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMBER_MAP_BYTES_MAX  (32u << 20)
#define MEMBER_MAP_MISSING_MS 2000

struct member_map;

/* Who it is; message_no 0: nobody of the mailing (or the link has none). */
struct member_entry {
    uint64_t message_no; /* below 2^36 */
    uint32_t member_no;
    bool test; /* of a test message */
};

struct member_map *member_map_new(size_t bytes_max);
void member_map_free(struct member_map *map);

/* Has memory bring what member_map_find will look at: it need not be waited for then. */
void member_map_fetch(const struct member_map *map, uint64_t hash);

/* False when nothing is known of this hash. */
bool member_map_find(struct member_map *map, uint64_t hash, int64_t now_ms, struct member_entry *ret);

/* Remembers who it is; an entry without message and member is forgotten after MEMBER_MAP_MISSING_MS. */
void member_map_put(struct member_map *map, uint64_t hash, int64_t now_ms, const struct member_entry *entry);

size_t member_map_bytes(const struct member_map *map);
