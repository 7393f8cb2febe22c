/*
 * store_source_log.c - what is noted about a source: warnings, the last items, malformed samples (see
 * store_source.h).
 */
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/source_delta.h"
#include "store/store_source.h"

const struct schema_step source_log_step = {
    .name = "notes on sources",
    .sqlite =
        "CREATE TABLE source_warning(source_no INTEGER NOT NULL, code INTEGER NOT NULL, since_us INTEGER NOT NULL,"
        " seen_us INTEGER NOT NULL, number INTEGER NOT NULL, detail TEXT, PRIMARY KEY(source_no, code))"
        " WITHOUT ROWID;"
        "CREATE TABLE source_ring(source_no INTEGER PRIMARY KEY, ring BLOB NOT NULL);"
        "CREATE TABLE source_reason(source_no INTEGER NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,"
        " PRIMARY KEY(source_no, reason)) WITHOUT ROWID;"
        "CREATE TABLE source_sample(source_no INTEGER NOT NULL, seq INTEGER NOT NULL, at_us INTEGER NOT NULL,"
        " reason TEXT NOT NULL, raw TEXT, PRIMARY KEY(source_no, seq)) WITHOUT ROWID;",
    .postgres = "CREATE TABLE source_warning(source_no bigint NOT NULL, code bigint NOT NULL,"
                " since_us bigint NOT NULL, seen_us bigint NOT NULL, number bigint NOT NULL, detail " PG_TEXT ","
                " PRIMARY KEY(source_no, code))" PG_CHANGES ";"
                "CREATE TABLE source_ring(source_no bigint PRIMARY KEY, ring bytea NOT NULL)" PG_CHANGES ";"
                "CREATE TABLE source_reason(source_no bigint NOT NULL, reason " PG_TEXT " NOT NULL,"
                " count bigint NOT NULL, PRIMARY KEY(source_no, reason))" PG_CHANGES ";"
                "CREATE TABLE source_sample(source_no bigint NOT NULL, seq bigint NOT NULL,"
                " at_us bigint NOT NULL, reason " PG_TEXT " NOT NULL, raw " PG_TEXT
                ", PRIMARY KEY(source_no, seq))" PG_PASSES ";",
};

SQL(warning_all,
    "SELECT code, since_us, seen_us, number, detail FROM source_warning WHERE source_no = ?1 ORDER BY code", NULL);
SQL(warning_put,
    "INSERT INTO source_warning(source_no, code, since_us, seen_us, number, detail) VALUES(?1,?2,?3,?4,?5,?6)"
    " ON CONFLICT(source_no, code) DO UPDATE SET since_us = excluded.since_us, seen_us = excluded.seen_us,"
    " number = excluded.number, detail = excluded.detail",
    NULL);
SQL(warning_delete, "DELETE FROM source_warning WHERE source_no = ?1 AND code = ?2", NULL);
SQL(ring_get, "SELECT ring FROM source_ring WHERE source_no = ?1",
    "SELECT ring FROM ((SELECT no, ring FROM source_ring_delta WHERE source_no = ?1" DELTA_NEWEST
    ") UNION ALL (SELECT 0, ring FROM source_ring WHERE source_no = ?1)) AS both_ ORDER BY no DESC LIMIT 1");
SQL(ring_put,
    "INSERT INTO source_ring(source_no, ring) VALUES(?1,?2) ON CONFLICT(source_no) DO UPDATE SET ring = excluded.ring",
    "INSERT INTO source_ring_delta(source_no, ring, no) VALUES(?1,?2,?3)");
SQL(reason_add,
    "INSERT INTO source_reason(source_no, reason, count) VALUES(?1,?2,?3)"
    " ON CONFLICT(source_no, reason) DO UPDATE SET count = source_reason.count + excluded.count",
    NULL);
SQL(reason_all, "SELECT reason, count FROM source_reason WHERE source_no = ?1 ORDER BY reason LIMIT ?2", NULL);
SQL(sample_newest, "SELECT max(seq) FROM source_sample WHERE source_no = ?1", NULL);
SQL(sample_put, "INSERT INTO source_sample(source_no, seq, at_us, reason, raw) VALUES(?1,?2,?3,?4,?5)", NULL);
SQL(sample_trim, "DELETE FROM source_sample WHERE source_no = ?1 AND seq <= ?2", NULL);
SQL(sample_all, "SELECT seq, at_us, reason, raw FROM source_sample WHERE source_no = ?1 ORDER BY seq DESC LIMIT ?2",
    NULL);

#define WARNINGS_MAX 32
#define REASONS_MAX  64

enum err store_warning_list(struct op *op, struct tx *tx, uint32_t source_no, struct warning_row **ret,
                            size_t *ret_count)
{
    struct stmt *stmt;
    struct warning_row *rows;
    size_t count = 0;
    TRY(op_alloc(op, WARNINGS_MAX * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &warning_all, &stmt));
    bind_int(stmt, 1, source_no);
    while (count < WARNINGS_MAX) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        rows[count++] = (struct warning_row){
            .code = (uint8_t)col_int(stmt, 0),
            .since_us = col_int(stmt, 1),
            .seen_us = col_int(stmt, 2),
            .number = col_int(stmt, 3),
            .detail = col_str(op, stmt, 4),
        };
    }
    stmt_reset(stmt);
    *ret = rows;
    *ret_count = count;
    return OK;
}

enum err store_warning_put(struct op *op, struct tx *tx, uint32_t source_no, const struct warning_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &warning_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, row->code);
    bind_int(stmt, 3, row->since_us);
    bind_int(stmt, 4, row->seen_us);
    bind_int(stmt, 5, row->number);
    bind_str(stmt, 6, row->detail);
    return stmt_later(op, stmt);
}

enum err store_warning_delete(struct op *op, struct tx *tx, uint32_t source_no, unsigned code)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &warning_delete, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, code);
    return stmt_later(op, stmt);
}

enum err store_ring_get(struct op *op, struct tx *tx, uint32_t source_no, struct ring *ret)
{
    struct stmt *stmt;
    bool found;
    *ret = (struct ring){ 0 };
    TRY(tx_stmt(op, tx, &ring_get, &stmt));
    bind_int(stmt, 1, source_no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    struct str bytes = col_blob_borrowed(stmt, 0);
    if (bytes.n == sizeof *ret)
        memcpy(ret, bytes.p, bytes.n);
    stmt_reset(stmt);
    return OK;
}

enum err store_ring_put(struct op *op, struct tx *tx, uint32_t source_no, const struct ring *ring)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &ring_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_blob(stmt, 2, ring, sizeof *ring);
    if (tx_is_shared(tx))
        source_delta_bind_no(tx, stmt, 3);
    return stmt_later(op, stmt);
}

enum err store_reason_count(struct op *op, struct tx *tx, uint32_t source_no, struct str reason, int64_t delta)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &reason_add, &stmt));
    bind_int(stmt, 1, source_no);
    bind_str(stmt, 2, reason);
    bind_int(stmt, 3, delta);
    return stmt_later(op, stmt);
}

enum err store_reason_list(struct op *op, struct tx *tx, uint32_t source_no, struct reason_row **ret, size_t *ret_count)
{
    struct stmt *stmt;
    struct reason_row *rows;
    size_t count = 0;
    TRY(op_alloc(op, REASONS_MAX * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &reason_all, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, REASONS_MAX);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        rows[count++] = (struct reason_row){ col_str(op, stmt, 0), col_int(stmt, 1) };
    }
    *ret = rows;
    *ret_count = count;
    return OK;
}

enum err store_sample_add(struct op *op, struct tx *tx, uint32_t source_no, const struct sample_row *row)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &sample_newest, &stmt));
    bind_int(stmt, 1, source_no);
    TRY(stmt_row(op, stmt, &found));
    int64_t seq = found ? col_int(stmt, 0) + 1 : 1;
    stmt_reset(stmt);

    TRY(tx_stmt(op, tx, &sample_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, seq);
    bind_int(stmt, 3, row->at_us);
    bind_str(stmt, 4, row->reason);
    bind_str(stmt, 5, row->raw);
    TRY(stmt_later(op, stmt));
    if (seq <= STORE_SAMPLES_MAX)
        return OK;
    TRY(tx_stmt(op, tx, &sample_trim, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, seq - STORE_SAMPLES_MAX);
    return stmt_later(op, stmt);
}

enum err store_sample_list(struct op *op, struct tx *tx, uint32_t source_no, struct sample_row **ret, size_t *ret_count)
{
    struct stmt *stmt;
    struct sample_row *rows;
    size_t count = 0;
    TRY(op_alloc(op, STORE_SAMPLES_MAX * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &sample_all, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, STORE_SAMPLES_MAX);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        rows[count++] = (struct sample_row){
            .seq = (uint64_t)col_int(stmt, 0),
            .at_us = col_int(stmt, 1),
            .reason = col_str(op, stmt, 2),
            .raw = col_str(op, stmt, 3),
        };
    }
    *ret = rows;
    *ret_count = count;
    return OK;
}
