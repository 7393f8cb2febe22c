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
SQL(log_first, "SELECT min(seq) FROM block_log", NULL);
SQL_SCAN(log_clear, "DELETE FROM block_log", NULL);

#define KEY_BYTES        sizeof(uint64_t)
#define RECORD_BYTES_MAX 64

void block_log_entry(struct buf *row, uint64_t key, const void *record, size_t record_bytes)
{
    buf_add(row, &key, KEY_BYTES);
    buf_add(row, record, record_bytes);
}

enum err block_log_append(struct op *op, struct tx *tx, int64_t seq, struct str row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_append, &stmt));
    bind_int(stmt, 1, seq);
    bind_blob(stmt, 2, row.p, row.n);
    return stmt_done(op, stmt);
}

enum err block_log_clear(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_clear, &stmt));
    return stmt_done(op, stmt);
}

static enum err each_entry(struct op *op, struct str row,
                           enum err (*fn)(struct op *op, uint64_t key, const void *record, void *arg), void *arg)
{
    while (row.n > 0) {
        uint64_t key;
        if (row.n < KEY_BYTES)
            return fail(op, ERR_IO, "the block log is damaged");
        memcpy(&key, row.p, KEY_BYTES);
        if (key >> 56 >= BLOCK_KINDS)
            return fail(op, ERR_IO, "the block log is damaged: kind %d", (int)(key >> 56));
        size_t bytes = store_block_record_bytes((enum block_kind)(key >> 56));
        if (row.n < KEY_BYTES + bytes)
            return fail(op, ERR_IO, "the block log is damaged");
        TRY(fn(op, key, row.p + KEY_BYTES, arg));
        row.p += KEY_BYTES + bytes;
        row.n -= KEY_BYTES + bytes;
    }
    return OK;
}

enum err block_log_each(struct op *op, struct tx *tx, int64_t after_seq,
                        enum err (*fn)(struct op *op, uint64_t key, const void *record, void *arg), void *arg,
                        int64_t *ret_seq, int64_t *ret_bytes)
{
    struct stmt *stmt;
    int64_t seq = after_seq, bytes = 0;
    TRY(tx_stmt(op, tx, &log_after, &stmt));
    bind_int(stmt, 1, after_seq);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        struct str row = col_blob_borrowed(stmt, 1);
        enum err err = each_entry(op, row, fn, arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
        seq = col_int(stmt, 0);
        bytes += (int64_t)row.n;
    }
    *ret_seq = seq;
    *ret_bytes = bytes;
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
    int64_t first_seq, last_seq;
};

struct block_overlay *block_overlay_new(void)
{
    struct block_overlay *overlay = calloc(1, sizeof *overlay);
    if (!overlay)
        abort();
    return overlay;
}

void block_overlay_free(struct block_overlay *overlay)
{
    if (overlay)
        free(overlay->slots);
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
    overlay->last_seq = 0;
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

enum err block_overlay_read(struct op *op, struct tx *tx, struct block_overlay *overlay)
{
    struct stmt *stmt;
    bool found;
    int64_t bytes;
    TRY(tx_stmt(op, tx, &log_first, &stmt));
    TRY(stmt_row(op, stmt, &found));
    int64_t first_seq = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    if (first_seq != overlay->first_seq || first_seq == 0)
        overlay_empty(overlay); /* settled since: what it holds lies in the blocks */
    overlay->first_seq = first_seq;
    return first_seq == 0 ? OK
                          : block_log_each(op, tx, overlay->last_seq, overlay_put, overlay, &overlay->last_seq, &bytes);
}

const void *block_overlay_find(const struct block_overlay *overlay, uint64_t key)
{
    if (overlay->used == 0)
        return NULL;
    const struct overlay_slot *slot = slot_of(overlay, key);
    return slot->key == key ? slot->record : NULL;
}
