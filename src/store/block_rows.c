/*
 * block_rows.c - the tables of blocks, and how a block is read from its row.
 */
#include <string.h>

#include "store/block_parts.h"
#include "store/postgres_table.h"

extern const struct schema_step block_step;

const struct schema_step block_step = {
    "blocks",
    "CREATE TABLE block_message_fixed (no INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE block_message_delivery (no INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE block_message_engagement (no INTEGER PRIMARY KEY, data BLOB NOT NULL);"
    "CREATE TABLE block_member (no INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    /* Two blocks fill a page of PostgreSQL. Those that are changed for months have room for their next version, so that
     * a settled block stays on its page; block_message_fixed is written as messages are made, then left alone. */
    "CREATE TABLE block_message_fixed (no bigint PRIMARY KEY, data bytea NOT NULL)" PG_GROWS ";"
    "CREATE TABLE block_message_delivery (no bigint PRIMARY KEY, data bytea NOT NULL)" PG_CHANGES ";"
    "CREATE TABLE block_message_engagement (no bigint PRIMARY KEY, data bytea NOT NULL)" PG_CHANGES ";"
    "CREATE TABLE block_member (no bigint PRIMARY KEY, data bytea NOT NULL)" PG_CHANGES
    ";" PG_PLAIN("block_message_fixed", "data") PG_PLAIN("block_message_delivery", "data")
        PG_PLAIN("block_message_engagement", "data") PG_PLAIN("block_member", "data"),
};

#define BLOCK_SQL(kind, table)                                                                                         \
    SQL(kind##_get, "SELECT data FROM " table " WHERE no = ?1", NULL);                                                 \
    SQL(kind##_add, "INSERT INTO " table " (no, data) VALUES (?1, ?2)", NULL);                                         \
    SQL(kind##_set, "UPDATE " table " SET data = ?2 WHERE no = ?1", NULL);                                             \
    SQL_WALK(kind##_walk, "SELECT no, data FROM " table " WHERE no >= ?1 AND no < ?2 ORDER BY no", NULL);              \
    SQL_ONLY_POSTGRES(kind##_pick, "SELECT no, data FROM " table " WHERE no = ANY (?1) ORDER BY no");                  \
    SQL(kind##_erase, "DELETE FROM " table " WHERE no >= ?1 AND no < ?2", NULL)

BLOCK_SQL(fixed, "block_message_fixed");
BLOCK_SQL(delivery, "block_message_delivery");
BLOCK_SQL(engagement, "block_message_engagement");
BLOCK_SQL(member, "block_member");
BLOCK_SQL(link, "block_link");
BLOCK_SQL(visitor, "block_visitor");

const struct block_kind_of block_kinds[BLOCK_KINDS] = {
#define KIND(type, name)                                                                                               \
    {                                                                                                                  \
        sizeof(type), BLOCK_BYTES / sizeof(type), &name##_get, &name##_add, &name##_set, &name##_walk, &name##_pick,   \
            &name##_erase                                                                                              \
    }
    [BLOCK_MESSAGE_FIXED] = KIND(struct message_fixed, fixed),
    [BLOCK_MESSAGE_DELIVERY] = KIND(struct message_delivery, delivery),
    [BLOCK_MESSAGE_ENGAGEMENT] = KIND(struct message_engagement, engagement),
    [BLOCK_MEMBER] = KIND(struct member_state, member),
    [BLOCK_LINK] = KIND(struct link_state, link),
    [BLOCK_VISITOR] = KIND(struct message_engagement, visitor),
};

size_t store_block_record_bytes(enum block_kind kind)
{
    return block_kinds[kind].record_bytes;
}

uint64_t store_block_per_block(enum block_kind kind)
{
    return block_kinds[kind].per_block;
}

uint64_t block_key(enum block_kind kind, uint64_t block_no)
{
    return (uint64_t)kind << 56 | block_no;
}

uint64_t block_key_of(uint64_t record_key)
{
    enum block_kind kind = (enum block_kind)(record_key >> 56);
    return block_key(kind, (record_key & NUMBER_MASK) / block_kinds[kind].per_block);
}

enum err block_copy_row(struct op *op, struct stmt *stmt, int column, uint8_t *data)
{
    struct str row = col_blob_borrowed(stmt, column);
    if (row.n != BLOCK_BYTES)
        return fail(op, ERR_IO, "a state block is damaged: %zu bytes", row.n);
    memcpy(data, row.p, BLOCK_BYTES);
    return OK;
}

enum err block_read_row(struct op *op, struct tx *tx, enum block_kind kind, uint64_t block_no, uint8_t *data,
                        bool *ret_stored)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, block_kinds[kind].get, &stmt));
    bind_int(stmt, 1, (int64_t)block_no);
    TRY(stmt_row(op, stmt, &found));
    if (found) {
        TRY(block_copy_row(op, stmt, 0, data));
        stmt_reset(stmt);
    } else {
        memset(data, 0, BLOCK_BYTES);
    }
    *ret_stored = found;
    return OK;
}
