#include "store/dedupe_set.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 256

static void resize(struct key_set *set, size_t slot_count)
{
    struct key_entry *old = set->slots;
    size_t old_count = set->slot_count;
    set->slots = calloc(slot_count, sizeof *set->slots);
    if (!set->slots)
        abort();
    set->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].used)
            set->slots[key_set_find(set, old[i].day, old[i].key)] = old[i];
    free(old);
}

void key_set_init(struct key_set *set)
{
    *set = (struct key_set){ NULL, 0, 0 };
    resize(set, SLOTS_MIN);
}

void key_set_done(struct key_set *set)
{
    free(set->slots);
}

void key_set_fill(struct key_set *set, size_t slot, int32_t day, struct run_key key, bool known)
{
    struct key_entry *entry = &set->slots[slot];
    set->count += !entry->used;
    *entry = (struct key_entry){ .key = key, .day = day, .used = true, .known = known };
    if (4 * set->count >= 3 * set->slot_count)
        resize(set, 2 * set->slot_count);
}

void key_set_add(struct key_set *set, int32_t day, struct run_key key)
{
    key_set_fill(set, key_set_find(set, day, key), day, key, true);
}

void key_set_remove(struct key_set *set, int32_t day, struct run_key key)
{
    /* Those behind the hole that would not be found any more move up. */
    size_t mask = set->slot_count - 1, hole = key_set_find(set, day, key);
    if (!set->slots[hole].used)
        return;
    for (size_t i = (hole + 1) & mask; set->slots[i].used; i = (i + 1) & mask) {
        size_t home = key_set_home(set, set->slots[i].day, set->slots[i].key);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* its way from home does not pass the hole */
        set->slots[hole] = set->slots[i];
        hole = i;
    }
    set->slots[hole].used = false;
    set->count--;
}

void key_set_clear(struct key_set *set)
{
    if (set->count > 0)
        memset(set->slots, 0, set->slot_count * sizeof *set->slots);
    set->count = 0;
}
