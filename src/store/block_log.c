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

#define READ_BYTES_KEPT (256 * 1024)

#define KEY_BYTES    sizeof(uint64_t)
#define WHOLE        (UINT64_C(0x80) << 56)
#define SETTLED      (UINT64_C(0xFE) << 56)
#define SWEEP_BEGINS (UINT64_C(0xFC) << 56)
#define SWEEP_ENDS   (UINT64_C(0xFD) << 56)

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

static void add_key(struct buf *row, uint64_t key)
{
    buf_add(row, &key, KEY_BYTES);
}

void block_log_sweep_begins(struct buf *row)
{
    add_key(row, SWEEP_BEGINS);
}

void block_log_sweep_ends(struct buf *row)
{
    add_key(row, SWEEP_ENDS);
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

static enum err after_stmt(struct op *op, struct tx *tx, int64_t after_seq, struct stmt **ret_stmt)
{
    TRY(tx_stmt(op, tx, &log_after, ret_stmt));
    bind_int(*ret_stmt, 1, after_seq);
    return OK;
}

enum err block_log_ask(struct op *op, struct tx *tx, int64_t after_seq)
{
    struct stmt *stmt;
    TRY(after_stmt(op, tx, after_seq, &stmt));
    return stmt_ask(op, stmt);
}

enum err block_log_read(struct op *op, struct tx *tx, int64_t after_seq, struct buf *entries, int64_t *ret_first,
                        int64_t *ret_seq)
{
    struct stmt *stmt;
    int64_t first = after_seq, seq = after_seq;
    if (!tx_answer(tx, &log_after, &stmt))
        TRY(after_stmt(op, tx, after_seq, &stmt));
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        buf_add_str(entries, col_blob_borrowed(stmt, 1));
        seq = col_int(stmt, 0);
        if (first == after_seq)
            first = seq;
    }
    *ret_first = first;
    *ret_seq = seq;
    return OK;
}

void block_log_read_done(struct buf *entries)
{
    if (entries->room <= READ_BYTES_KEPT)
        return;
    buf_done(entries);
    buf_init(entries, SIZE_MAX / 2);
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
    if (key == SWEEP_BEGINS || key == SWEEP_ENDS) {
        *entries = (struct str){ p + bytes, entries->n - bytes };
        return visit->swept ? visit->swept(op, key == SWEEP_ENDS, arg) : OK;
    }
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
