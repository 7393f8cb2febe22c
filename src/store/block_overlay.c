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

#define FREE_KEY  UINT64_MAX
#define SLOTS_MIN 1024

/* Open addressing by record key. */
struct slots {
    struct {
        uint64_t key;
        size_t at; /* of its bytes */
    } * slots;
    size_t room, used; /* room is 0 or a power of two */
    struct buf records;
};

struct block_overlay {
    struct slots young, old;
    int64_t last_seq;
    struct buf entries; /* scratch */
};

static size_t slot_of(const struct slots *slots, uint64_t key)
{
    size_t at = key * 0x9E3779B97F4A7C15u >> 20 & (slots->room - 1);
    while (slots->slots[at].key != FREE_KEY && slots->slots[at].key != key)
        at = (at + 1) & (slots->room - 1);
    return at;
}

static void slots_clear(struct slots *slots)
{
    free(slots->slots);
    slots->slots = NULL;
    slots->room = slots->used = 0;
    buf_done(&slots->records);
    buf_init(&slots->records, SIZE_MAX / 2);
}

static void slots_widen(struct slots *slots)
{
    struct slots wider = { .room = slots->room ? 2 * slots->room : SLOTS_MIN };
    wider.slots = malloc(wider.room * sizeof *wider.slots);
    if (!wider.slots)
        abort();
    for (size_t i = 0; i < wider.room; i++)
        wider.slots[i].key = FREE_KEY;
    for (size_t i = 0; i < slots->room; i++)
        if (slots->slots[i].key != FREE_KEY)
            wider.slots[slot_of(&wider, slots->slots[i].key)] = slots->slots[i];
    free(slots->slots);
    slots->slots = wider.slots;
    slots->room = wider.room;
}

static size_t bytes_of(uint64_t key)
{
    return store_block_record_bytes((enum block_kind)(key >> 56)); /* a multiple of 8: records stay aligned */
}

static void slots_put(struct slots *slots, uint64_t key, const void *record)
{
    if (4 * (slots->used + 1) > 3 * slots->room)
        slots_widen(slots);
    size_t at = slot_of(slots, key);
    if (slots->slots[at].key == key) {
        memcpy(slots->records.p + slots->slots[at].at, record, bytes_of(key));
        return;
    }
    slots->slots[at].key = key;
    slots->slots[at].at = slots->records.n;
    slots->used++;
    buf_add(&slots->records, record, bytes_of(key));
}

static const void *slots_find(const struct slots *slots, uint64_t key)
{
    if (slots->used == 0)
        return NULL;
    size_t at = slot_of(slots, key);
    return slots->slots[at].key == key ? slots->records.p + slots->slots[at].at : NULL;
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
    for (size_t i = 0; i < overlay->young.room && !ends; i++)
        if (overlay->young.slots[i].key != FREE_KEY)
            slots_put(&overlay->old, overlay->young.slots[i].key,
                      overlay->young.records.p + overlay->young.slots[i].at);
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
