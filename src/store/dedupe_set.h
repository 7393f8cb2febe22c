/*
 * dedupe_set.h - keys of days in RAM: an open hash table that grows and never fills.
 *
 * Private to dedupe.c. Keys are hashes already; what a slot needs of them is
 * mixed with the day, so that equal ids of two days do not meet.
 */
#pragma once

#include "store/dedupe_run.h"

struct key_entry {
    struct run_key key;
    int32_t day;
    bool used;
    bool known; /* of an answer */
};

struct key_set {
    struct key_entry *slots;
    size_t slot_count; /* a power of two */
    size_t count;
};

void key_set_init(struct key_set *set);
void key_set_done(struct key_set *set);

/* The slot at which the search for a key begins. */
static inline size_t key_set_home(const struct key_set *set, int32_t day, struct run_key key)
{
    return (run_key_hash(key) ^ (uint64_t)(uint32_t)day * 0x9E3779B97F4A7C15u) >> 20 & (set->slot_count - 1);
}

/* The slot that holds the key, or the free one where it belongs. Inline: it is all that most events cost here. */
static inline size_t key_set_find(const struct key_set *set, int32_t day, struct run_key key)
{
    size_t i = key_set_home(set, day, key);
    for (; set->slots[i].used; i = (i + 1) & (set->slot_count - 1)) {
        const struct key_entry *entry = &set->slots[i];
        if (entry->key.w[0] == key.w[0] && entry->key.w[1] == key.w[1] && entry->day == day)
            break;
    }
    return i;
}

/* Fills the slot that key_set_find gave; the table may move afterwards. */
void key_set_fill(struct key_set *set, size_t slot, int32_t day, struct run_key key, bool known);

/* Both in one, of a key that is known. */
void key_set_add(struct key_set *set, int32_t day, struct run_key key);

/* Nothing when it is not there. */
void key_set_remove(struct key_set *set, int32_t day, struct run_key key);

/* Empty again, as large as it is. */
void key_set_clear(struct key_set *set);
