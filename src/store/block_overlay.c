/*
 * block_overlay.c - the log of changed records as a reading connection holds it.
 *
 * Two tables: what the log held when the sweep under way began, and what came
 * since. When the sweep ends the first one lies in the blocks and is dropped.
 */
#include <stdlib.h>
#include <string.h>

#include "store/block_log.h"
#include "store/db.h"

#define SLOTS_MIN 1024
#define UNIT      sizeof(uint64_t) /* records and their keys are multiples of it */

/* Open addressing by record key. The entries stand one behind the other as in the log, key and bytes. */
struct slots {
    uint32_t *slots;   /* where an entry begins, in units from 1; 0 = free */
    size_t room, used; /* room is 0 or a power of two */
    struct buf entries;
};

struct block_overlay {
    struct slots young, old;
    int64_t last_seq;
    struct buf entries; /* scratch */
};

static char *entry_at(const struct slots *slots, uint32_t slot)
{
    return slots->entries.p + (slot - 1) * UNIT;
}

static uint64_t key_at(const struct slots *slots, uint32_t slot)
{
    uint64_t key;
    memcpy(&key, entry_at(slots, slot), sizeof key);
    return key;
}

/* The slot of a key, or the free one where it belongs. */
static uint32_t *slot_of(const struct slots *slots, uint64_t key)
{
    size_t at = key * 0x9E3779B97F4A7C15u >> 20 & (slots->room - 1);
    while (slots->slots[at] && key_at(slots, slots->slots[at]) != key)
        at = (at + 1) & (slots->room - 1);
    return &slots->slots[at];
}

static void slots_clear(struct slots *slots)
{
    free(slots->slots);
    slots->slots = NULL;
    slots->room = slots->used = 0;
    buf_done(&slots->entries);
    buf_init(&slots->entries, UINT32_MAX * UNIT);
}

static void slots_widen(struct slots *slots)
{
    uint32_t *before = slots->slots;
    size_t count = slots->room;
    slots->room = count ? 2 * count : SLOTS_MIN;
    slots->slots = calloc(slots->room, sizeof *slots->slots);
    if (!slots->slots)
        abort();
    for (size_t i = 0; i < count; i++)
        if (before[i])
            *slot_of(slots, key_at(slots, before[i])) = before[i];
    free(before);
}

static size_t bytes_of(uint64_t key)
{
    return store_block_record_bytes((enum block_kind)(key >> 56)); /* a multiple of 8: records stay aligned */
}

static void slots_put(struct slots *slots, uint64_t key, const void *record)
{
    if (4 * (slots->used + 1) > 3 * slots->room)
        slots_widen(slots);
    uint32_t *slot = slot_of(slots, key);
    if (*slot) {
        memcpy(entry_at(slots, *slot) + sizeof key, record, bytes_of(key));
        return;
    }
    *slot = (uint32_t)(slots->entries.n / UNIT) + 1;
    slots->used++;
    block_log_entry(&slots->entries, key, record, bytes_of(key));
}

static const void *slots_find(const struct slots *slots, uint64_t key)
{
    uint32_t slot = slots->used > 0 ? *slot_of(slots, key) : 0;
    return slot ? entry_at(slots, slot) + sizeof key : NULL;
}

struct block_overlay *block_overlay_new(void)
{
    struct block_overlay *overlay = calloc(1, sizeof *overlay);
    if (!overlay)
        abort();
    buf_init(&overlay->entries, SIZE_MAX / 2);
    slots_clear(&overlay->young);
    slots_clear(&overlay->old);
    return overlay;
}

void block_overlay_free(struct block_overlay *overlay)
{
    if (overlay) {
        slots_clear(&overlay->young);
        slots_clear(&overlay->old);
        buf_done(&overlay->entries);
    }
    free(overlay);
}

static void overlay_clear(struct block_overlay *overlay)
{
    slots_clear(&overlay->young);
    slots_clear(&overlay->old);
}

static enum err entry_put(struct op *op, uint64_t key, const void *record, void *arg)
{
    (void)op;
    slots_put(&((struct block_overlay *)arg)->young, key, record);
    return OK;
}

/* What the overlay holds lies in the blocks by now. */
static enum err entry_settled(struct op *op, int64_t former, int64_t seq, void *arg)
{
    (void)op;
    (void)former;
    (void)seq;
    overlay_clear(arg);
    return OK;
}

/* A sweep that begins while there is another has replaced it: its writer was started anew. */
static enum err entry_swept(struct op *op, bool ends, void *arg)
{
    struct block_overlay *overlay = arg;
    (void)op;
    if (!ends && overlay->old.used == 0) {
        struct slots empty = overlay->old;
        overlay->old = overlay->young;
        overlay->young = empty;
        return OK;
    }
    for (size_t i = 0; i < overlay->young.room && !ends; i++) {
        uint32_t slot = overlay->young.slots[i];
        if (slot)
            slots_put(&overlay->old, key_at(&overlay->young, slot), entry_at(&overlay->young, slot) + sizeof(uint64_t));
    }
    slots_clear(ends ? &overlay->old : &overlay->young);
    return OK;
}

enum err block_overlay_read(struct op *op, struct tx *tx, struct block_overlay *overlay)
{
    static const struct block_log_visit visit = { .record = entry_put, .settled = entry_settled, .swept = entry_swept };
    int64_t first, newest;
    buf_reset(&overlay->entries);
    TRY(block_log_read(op, tx, overlay->last_seq, &overlay->entries, &first, &newest));
    if (first > overlay->last_seq + 1 && !tx_is_shared(tx))
        overlay_clear(overlay); /* rows went before they were read here, and with them all older ones: settled */
    TRY(block_log_each(op, buf_str(&overlay->entries), &visit, overlay));
    block_log_read_done(&overlay->entries);
    overlay->last_seq = newest;
    return OK;
}

const void *block_overlay_find(const struct block_overlay *overlay, uint64_t key)
{
    const void *record = slots_find(&overlay->young, key);
    return record ? record : slots_find(&overlay->old, key);
}
