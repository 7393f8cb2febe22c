/*
 * store_coverage.c - what was read of a source, and what is gone (see store_source.h).
 */
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/source_delta.h"
#include "store/store_source.h"

const struct schema_step coverage_step = {
    .name = "coverage of sources",
    .sqlite = "CREATE TABLE coverage(source_no INTEGER NOT NULL, class INTEGER NOT NULL, begin_us INTEGER NOT NULL,"
              " end_us INTEGER NOT NULL, passes INTEGER NOT NULL, looks INTEGER NOT NULL, tried INTEGER NOT NULL,"
              " again_us INTEGER NOT NULL,"
              " PRIMARY KEY(source_no, class, begin_us)) WITHOUT ROWID;"
              "CREATE TABLE source_gap(source_no INTEGER NOT NULL, begin_us INTEGER NOT NULL,"
              " end_us INTEGER NOT NULL, at_us INTEGER NOT NULL, PRIMARY KEY(source_no, begin_us)) WITHOUT ROWID;",
    .postgres = "CREATE TABLE coverage(source_no bigint NOT NULL, class bigint NOT NULL,"
                " begin_us bigint NOT NULL, end_us bigint NOT NULL, passes bigint NOT NULL,"
                " looks bigint NOT NULL, tried bigint NOT NULL, again_us bigint NOT NULL, PRIMARY KEY(source_no,"
                " class, begin_us))" PG_CHANGES ";"
                "CREATE TABLE source_gap(source_no bigint NOT NULL, begin_us bigint NOT NULL,"
                " end_us bigint NOT NULL, at_us bigint NOT NULL, PRIMARY KEY(source_no, begin_us));",
};

#define INTERVAL "begin_us, end_us, passes, looks, tried, again_us"
SQL(coverage_all, "SELECT " INTERVAL " FROM coverage WHERE source_no = ?1 AND class = ?2 ORDER BY begin_us",
    "SELECT " INTERVAL " FROM (WITH newest AS"
    " (SELECT " INTERVAL " FROM coverage_delta WHERE source_no = ?1 AND class = ?2" DELTA_NEWEST ")"
    " SELECT i.* FROM newest CROSS JOIN LATERAL unnest(" INTERVAL ") AS i(" INTERVAL ")"
    " UNION ALL SELECT " INTERVAL " FROM coverage WHERE source_no = ?1 AND class = ?2"
    " AND NOT EXISTS (SELECT FROM newest)) AS all_ ORDER BY begin_us");
SQL_ONLY_SQLITE(
    coverage_put,
    "INSERT INTO coverage(source_no, class, begin_us, end_us, passes, looks, tried, again_us)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT(source_no, class, begin_us) DO UPDATE SET end_us = excluded.end_us,"
    " passes = excluded.passes, looks = excluded.looks, tried = excluded.tried, again_us = excluded.again_us");
SQL_ONLY_SQLITE(coverage_delete, "DELETE FROM coverage WHERE source_no = ?1 AND class = ?2 AND begin_us = ?3");
SQL_ONLY_POSTGRES(coverage_add,
                  "INSERT INTO coverage_delta(no, source_no, class, " INTERVAL ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)");
SQL(gap_put,
    "INSERT INTO source_gap(source_no, begin_us, end_us, at_us) VALUES(?1,?2,?3,?4)"
    " ON CONFLICT(source_no, begin_us) DO UPDATE SET end_us = excluded.end_us, at_us = excluded.at_us",
    NULL);
SQL(gap_all, "SELECT begin_us, end_us, at_us FROM source_gap WHERE source_no = ?1 ORDER BY begin_us", NULL);
SQL(gap_trim,
    "DELETE FROM source_gap WHERE source_no = ?1 AND begin_us <= (SELECT begin_us FROM source_gap WHERE source_no = ?1"
    " ORDER BY begin_us DESC LIMIT 1 OFFSET ?2)",
    NULL);

enum err store_coverage_get(struct op *op, struct tx *tx, uint32_t source_no, unsigned class, struct interval **ret,
                            size_t *ret_count)
{
    struct stmt *stmt;
    size_t room = 8, count = 0;
    struct interval *rows;
    TRY(op_alloc(op, room * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &coverage_all, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, class);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        if (count == room) {
            struct interval *wider;
            TRY(op_alloc(op, 2 * room * sizeof *wider, &wider));
            memcpy(wider, rows, count * sizeof *rows);
            rows = wider;
            room *= 2;
        }
        rows[count++] = (struct interval){
            .begin_us = col_int(stmt, 0),
            .end_us = col_int(stmt, 1),
            .passes = (uint32_t)col_int(stmt, 2),
            .looks = (uint8_t)col_int(stmt, 3),
            .tried = (uint8_t)col_int(stmt, 4),
            .again_us = col_int(stmt, 5),
        };
    }
    *ret = rows;
    *ret_count = count;
    return OK;
}

static enum err interval_put(struct op *op, struct tx *tx, uint32_t source_no, unsigned class,
                             const struct interval *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &coverage_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, class);
    bind_int(stmt, 3, row->begin_us);
    bind_int(stmt, 4, row->end_us);
    bind_int(stmt, 5, row->passes);
    bind_int(stmt, 6, row->looks);
    bind_int(stmt, 7, row->tried);
    bind_int(stmt, 8, row->again_us);
    return stmt_later(op, stmt);
}

static enum err interval_delete(struct op *op, struct tx *tx, uint32_t source_no, unsigned class, int64_t begin_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &coverage_delete, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, class);
    bind_int(stmt, 3, begin_us);
    return stmt_later(op, stmt);
}

static bool is_same(const struct interval *a, const struct interval *b)
{
    return a->begin_us == b->begin_us && a->end_us == b->end_us && a->passes == b->passes && a->looks == b->looks &&
           a->tried == b->tried && a->again_us == b->again_us;
}

static bool are_same(const struct interval *a, size_t a_count, const struct interval *b, size_t b_count)
{
    if (a_count != b_count)
        return false;
    for (size_t i = 0; i < a_count; i++)
        if (!is_same(&a[i], &b[i]))
            return false;
    return true;
}

/* All intervals in one row: they are a handful, and a reader needs no other row to know which are gone. */
static enum err intervals_add(struct op *op, struct tx *tx, uint32_t source_no, unsigned class,
                              const struct interval *rows, size_t count)
{
    enum { COLUMNS = 6 };
    struct stmt *stmt;
    int64_t *values;
    TRY(op_alloc(op, (count ? count : 1) * COLUMNS * sizeof *values, &values));
    for (size_t i = 0; i < count; i++) {
        const int64_t column[COLUMNS] = { rows[i].begin_us, rows[i].end_us, rows[i].passes,
                                          rows[i].looks,    rows[i].tried,  rows[i].again_us };
        for (size_t c = 0; c < COLUMNS; c++)
            values[c * count + i] = column[c];
    }
    TRY(tx_stmt(op, tx, &coverage_add, &stmt));
    source_delta_bind_no(tx, stmt, 1);
    bind_int(stmt, 2, source_no);
    bind_int(stmt, 3, class);
    for (int c = 0; c < COLUMNS; c++)
        bind_ints(stmt, 4 + c, values + (size_t)c * count, count);
    return stmt_later(op, stmt);
}

enum err store_coverage_put(struct op *op, struct tx *tx, uint32_t source_no, unsigned class,
                            const struct interval *before, size_t before_count, const struct interval *now,
                            size_t now_count)
{
    if (tx_is_shared(tx))
        return are_same(before, before_count, now, now_count) ? OK
                                                              : intervals_add(op, tx, source_no, class, now, now_count);
    /* Both lists are in order of begin, which is the key. */
    size_t i = 0, k = 0;
    while (i < before_count || k < now_count) {
        bool is_gone = i < before_count && (k == now_count || before[i].begin_us < now[k].begin_us);
        if (is_gone) {
            TRY(interval_delete(op, tx, source_no, class, before[i++].begin_us));
            continue;
        }
        bool is_kept = i < before_count && before[i].begin_us == now[k].begin_us;
        if (!is_kept || !is_same(&before[i], &now[k]))
            TRY(interval_put(op, tx, source_no, class, &now[k]));
        i += is_kept;
        k++;
    }
    return OK;
}

enum err store_gap_add(struct op *op, struct tx *tx, uint32_t source_no, const struct gap_row *gap)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &gap_put, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, gap->begin_us);
    bind_int(stmt, 3, gap->end_us);
    bind_int(stmt, 4, gap->at_us);
    TRY(stmt_later(op, stmt));
    TRY(tx_stmt(op, tx, &gap_trim, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, STORE_GAPS_MAX);
    return stmt_later(op, stmt);
}

enum err store_gap_list(struct op *op, struct tx *tx, uint32_t source_no, struct gap_row **ret, size_t *ret_count)
{
    struct stmt *stmt;
    struct gap_row *rows;
    size_t count = 0;
    TRY(op_alloc(op, STORE_GAPS_MAX * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &gap_all, &stmt));
    bind_int(stmt, 1, source_no);
    while (count < STORE_GAPS_MAX) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        rows[count++] = (struct gap_row){ col_int(stmt, 0), col_int(stmt, 1), col_int(stmt, 2) };
    }
    stmt_reset(stmt);
    *ret = rows;
    *ret_count = count;
    return OK;
}
