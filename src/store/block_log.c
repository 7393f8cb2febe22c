#include "store/block_log.h"

#include <stdlib.h>
#include <string.h>

#include "store/db.h"
#include "store/postgres_table.h"

extern const struct schema_step block_log_step;

const struct schema_step block_log_step = {
    "block log",
    "CREATE TABLE block_log (seq INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    "CREATE TABLE block_log (seq bigint PRIMARY KEY, data bytea NOT NULL)" PG_PASSES_LARGE
    ";" PG_EXTERNAL("block_log", "data"),
};

SQL(log_append, "INSERT INTO block_log (seq, data) VALUES (?1, ?2)", NULL);
SQL(log_after, "SELECT seq, data FROM block_log WHERE seq > ?1 ORDER BY seq", NULL);
SQL(log_erase, "DELETE FROM block_log WHERE seq >= ?1 AND seq < ?2", NULL);

#define KEY_BYTES        sizeof(uint64_t)
#define RECORD_BYTES_MAX 64
#define WHOLE            (UINT64_C(0x80) << 56)
#define SETTLED          (UINT64_C(0xFE) << 56)

void block_log_entry(struct buf *row, uint64_t key, const void *record, size_t record_bytes)
{
    buf_add(row, &key, KEY_BYTES);
    buf_add(row, record, record_bytes);
}

void block_log_whole(struct buf *row, uint64_t block_key)
{
    uint64_t key = WHOLE | block_key;
    buf_add(row, &key, KEY_BYTES);
}

void block_log_settled(struct buf *row, int64_t former, int64_t seq)
{
    uint64_t key = SETTLED;
    buf_add(row, &key, KEY_BYTES);
    buf_add(row, &former, sizeof former);
    buf_add(row, &seq, sizeof seq);
}

enum err block_log_append(struct op *op, struct tx *tx, int64_t seq, struct str row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_append, &stmt));
    bind_int(stmt, 1, seq);
    bind_blob(stmt, 2, row.p, row.n);
    return stmt_later(op, stmt);
}

enum err block_log_erase(struct op *op, struct tx *tx, int64_t from, int64_t seq)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_erase, &stmt));
    bind_int(stmt, 1, from);
    bind_int(stmt, 2, seq);
    return stmt_later(op, stmt);
}

enum err block_log_read(struct op *op, struct tx *tx, int64_t after_seq, struct buf *entries, int64_t *ret_seq)
{
    struct stmt *stmt;
    int64_t seq = after_seq;
    TRY(tx_stmt(op, tx, &log_after, &stmt));
    bind_int(stmt, 1, after_seq);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        buf_add_str(entries, col_blob_borrowed(stmt, 1));
        seq = col_int(stmt, 0);
    }
    *ret_seq = seq;
    return OK;
}

/* Visits the first entry and takes it from the front. */
static enum err entry_visit(struct op *op, struct str *entries, const struct block_log_visit *visit, void *arg)
{
    uint64_t key;
    int64_t settled[2];
    size_t bytes = KEY_BYTES;
    const char *p = entries->p;
    if (entries->n < KEY_BYTES)
        return fail(op, ERR_IO, "the block log is damaged");
    memcpy(&key, p, KEY_BYTES);
    bool is_whole = key != SETTLED && key & WHOLE;
    unsigned kind = (unsigned)(key >> 56) & 0x7F;
    if (key != SETTLED && kind >= BLOCK_KINDS)
        return fail(op, ERR_IO, "the block log is damaged: kind %u", kind);
    if (key == SETTLED)
        bytes += sizeof settled;
    else if (!is_whole)
        bytes += store_block_record_bytes((enum block_kind)kind);
    if (entries->n < bytes)
        return fail(op, ERR_IO, "the block log is damaged");
    *entries = (struct str){ p + bytes, entries->n - bytes };
    if (is_whole)
        return visit->whole ? visit->whole(op, key & ~WHOLE, arg) : OK;
    if (key != SETTLED)
        return visit->record ? visit->record(op, key, p + KEY_BYTES, arg) : OK;
    memcpy(settled, p + KEY_BYTES, sizeof settled);
    return visit->settled ? visit->settled(op, settled[0], settled[1], arg) : OK;
}

enum err block_log_each(struct op *op, struct str entries, const struct block_log_visit *visit, void *arg)
{
    while (entries.n > 0)
        TRY(entry_visit(op, &entries, visit, arg));
    return OK;
}

/* Open addressing; a slot with key UINT64_MAX is free. */
struct overlay_slot {
    uint64_t key;
    uint8_t record[RECORD_BYTES_MAX];
};

struct block_overlay {
    struct overlay_slot *slots;
    size_t room, used; /* room is 0 or a power of two */
    int64_t last_seq;
    struct buf entries; /* scratch */
};

struct block_overlay *block_overlay_new(void)
{
    struct block_overlay *overlay = calloc(1, sizeof *overlay);
    if (!overlay)
        abort();
    buf_init(&overlay->entries, SIZE_MAX / 2);
    return overlay;
}

void block_overlay_free(struct block_overlay *overlay)
{
    if (overlay) {
        free(overlay->slots);
        buf_done(&overlay->entries);
    }
    free(overlay);
}

bool block_overlay_is_empty(const struct block_overlay *overlay)
{
    return overlay->used == 0;
}

static struct overlay_slot *slot_of(const struct block_overlay *overlay, uint64_t key)
{
    size_t at = key * 0x9E3779B97F4A7C15u >> 20 & (overlay->room - 1);
    while (overlay->slots[at].key != UINT64_MAX && overlay->slots[at].key != key)
        at = (at + 1) & (overlay->room - 1);
    return &overlay->slots[at];
}

static void overlay_empty(struct block_overlay *overlay)
{
    for (size_t i = 0; i < overlay->room; i++)
        overlay->slots[i].key = UINT64_MAX;
    overlay->used = 0;
}

static void overlay_widen(struct block_overlay *overlay)
{
    struct block_overlay wider = { .room = overlay->room ? 2 * overlay->room : 1024 };
    wider.slots = malloc(wider.room * sizeof *wider.slots);
    if (!wider.slots)
        abort();
    overlay_empty(&wider);
    for (size_t i = 0; i < overlay->room; i++)
        if (overlay->slots[i].key != UINT64_MAX)
            *slot_of(&wider, overlay->slots[i].key) = overlay->slots[i];
    free(overlay->slots);
    overlay->slots = wider.slots;
    overlay->room = wider.room;
}

static enum err overlay_put(struct op *op, uint64_t key, const void *record, void *arg)
{
    (void)op;
    struct block_overlay *overlay = arg;
    if (2 * (overlay->used + 1) > overlay->room)
        overlay_widen(overlay);
    struct overlay_slot *slot = slot_of(overlay, key);
    overlay->used += slot->key == UINT64_MAX;
    slot->key = key;
    memcpy(slot->record, record, store_block_record_bytes((enum block_kind)(key >> 56)));
    return OK;
}

/* What the overlay holds lies in the blocks by now. */
static enum err overlay_settled(struct op *op, int64_t former, int64_t seq, void *arg)
{
    (void)op;
    (void)former;
    (void)seq;
    overlay_empty(arg);
    return OK;
}

enum err block_overlay_read(struct op *op, struct tx *tx, struct block_overlay *overlay)
{
    static const struct block_log_visit visit = { .record = overlay_put, .settled = overlay_settled };
    int64_t newest;
    buf_reset(&overlay->entries);
    TRY(block_log_read(op, tx, overlay->last_seq, &overlay->entries, &newest));
    TRY(block_log_each(op, buf_str(&overlay->entries), &visit, overlay));
    overlay->last_seq = newest;
    return OK;
}

const void *block_overlay_find(const struct block_overlay *overlay, uint64_t key)
{
    if (overlay->used == 0)
        return NULL;
    const struct overlay_slot *slot = slot_of(overlay, key);
    return slot->key == key ? slot->record : NULL;
}
