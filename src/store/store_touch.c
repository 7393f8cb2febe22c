#include "store/store_touch.h"

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step log_step = {
    .name = "history and touches",
    .sqlite = "CREATE TABLE history(seq INTEGER PRIMARY KEY, message_no INTEGER NOT NULL, prev INTEGER NOT NULL,"
              " at_ms INTEGER NOT NULL, from_status INTEGER NOT NULL, to_status INTEGER NOT NULL, cause TEXT NOT NULL);"
              "CREATE TABLE touch(seq INTEGER PRIMARY KEY, message_no INTEGER NOT NULL, prev INTEGER NOT NULL,"
              " at_us INTEGER NOT NULL, kind INTEGER NOT NULL, link_no INTEGER NOT NULL, bits INTEGER NOT NULL,"
              " client INTEGER NOT NULL);",
    .postgres = "CREATE TABLE history(seq bigint PRIMARY KEY, message_no bigint NOT NULL, prev bigint NOT NULL,"
                " at_ms bigint NOT NULL, from_status bigint NOT NULL, to_status bigint NOT NULL,"
                " cause " PG_TEXT " NOT NULL)" PG_GROWS ";"
                "CREATE TABLE touch(seq bigint PRIMARY KEY, message_no bigint NOT NULL, prev bigint NOT NULL,"
                " at_us bigint NOT NULL, kind bigint NOT NULL, link_no bigint NOT NULL, bits bigint NOT NULL,"
                " client bigint NOT NULL)" PG_GROWS ";",
};

SQL(history_insert,
    "INSERT INTO history(seq, message_no, prev, at_ms, from_status, to_status, cause) VALUES(?1,?2,?3,?4,?5,?6,?7)",
    NULL);
SQL(history_by_seq, "SELECT prev, at_ms, from_status, to_status, cause FROM history WHERE seq = ?1", NULL);
SQL(touch_insert,
    "INSERT INTO touch(seq, message_no, prev, at_us, kind, link_no, bits, client) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
    NULL);
SQL(touch_by_seq, "SELECT message_no, prev, at_us, kind, link_no, bits, client FROM touch WHERE seq = ?1", NULL);
SQL(touch_set_bits, "UPDATE touch SET bits = ?2 WHERE seq = ?1", NULL);

enum err store_history_add(struct op *op, struct tx *tx, uint64_t message_no, uint64_t prev,
                           const struct history_entry *entry, uint64_t *ret_seq)
{
    uint64_t seq = store_seq_next(tx, SEQ_HISTORY);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &history_insert, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    bind_int(stmt, 2, (int64_t)message_no);
    bind_int(stmt, 3, (int64_t)prev);
    bind_int(stmt, 4, entry->at_ms);
    bind_int(stmt, 5, entry->from);
    bind_int(stmt, 6, entry->to);
    bind_str(stmt, 7, entry->cause);
    TRY(stmt_done(op, stmt));
    *ret_seq = seq;
    return OK;
}

enum err store_history_get(struct op *op, struct tx *tx, uint64_t seq, struct history_entry *ret, uint64_t *ret_prev)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &history_by_seq, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "history row %lld is missing", (long long)seq);
    *ret_prev = (uint64_t)col_int(stmt, 0);
    *ret = (struct history_entry){ .at_ms = col_int(stmt, 1),
                                   .from = (uint8_t)col_int(stmt, 2),
                                   .to = (uint8_t)col_int(stmt, 3),
                                   .cause = col_str(op, stmt, 4) };
    stmt_reset(stmt);
    return OK;
}

enum err store_touch_add(struct op *op, struct tx *tx, struct touch_row *row)
{
    row->seq = store_seq_next(tx, SEQ_TOUCH);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &touch_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->seq);
    bind_int(stmt, 2, (int64_t)row->message_no);
    bind_int(stmt, 3, (int64_t)row->prev);
    bind_int(stmt, 4, row->at_us);
    bind_int(stmt, 5, row->kind);
    bind_int(stmt, 6, row->link_no);
    bind_int(stmt, 7, row->bits);
    bind_int(stmt, 8, row->client);
    return stmt_done(op, stmt);
}

enum err store_touch_get(struct op *op, struct tx *tx, uint64_t seq, struct touch_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &touch_by_seq, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "touch row %lld is missing", (long long)seq);
    *ret = (struct touch_row){ .seq = seq,
                               .message_no = (uint64_t)col_int(stmt, 0),
                               .prev = (uint64_t)col_int(stmt, 1),
                               .at_us = col_int(stmt, 2),
                               .kind = (uint32_t)col_int(stmt, 3),
                               .link_no = (uint32_t)col_int(stmt, 4),
                               .bits = (uint32_t)col_int(stmt, 5),
                               .client = col_int(stmt, 6) };
    stmt_reset(stmt);
    return OK;
}

enum err store_touch_set_bits(struct op *op, struct tx *tx, uint64_t seq, uint32_t bits)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &touch_set_bits, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    bind_int(stmt, 2, bits);
    return stmt_done(op, stmt);
}
