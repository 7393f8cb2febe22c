#include "store/store_history.h"

#include <stdlib.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"

/* One step with the log of touches (store_touch.c): files have had it so. */
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

SQL_ONLY_SQLITE(history_insert, "INSERT INTO history(seq, message_no, prev, at_ms, from_status, to_status, cause)"
                                " VALUES(?1,?2,?3,?4,?5,?6,?7)");
SQL_ONLY_POSTGRES(history_rows, "INSERT INTO history(seq, message_no, prev, at_ms, from_status, to_status, cause)"
                                " SELECT * FROM unnest(?1" PG_INTS ",?2" PG_INTS ",?3" PG_INTS ",?4" PG_INTS
                                ",?5" PG_INTS ",?6" PG_INTS ",?7" PG_TEXTS ")");
#define HISTORY_COLUMNS "prev, at_ms, from_status, to_status, cause, seq"
SQL(history_by_seq, "SELECT " HISTORY_COLUMNS " FROM history WHERE seq = ?1", NULL);
SQL_ONLY_POSTGRES(history_by_seqs, "SELECT " HISTORY_COLUMNS " FROM history WHERE seq = ANY (?1) ORDER BY seq");

/* PostgreSQL: rows of the command under way, inserted together behind it. */

static enum err history_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort();
    rows_init(rows, "iiiiiit");
    *ret_state = rows;
    return OK;
}

static void history_close(void *state)
{
    rows_done(state);
    free(state);
}

static enum err history_write(struct op *op, struct tx *tx, void *state)
{
    return rows_write(op, tx, state, &history_rows);
}

static void history_drop(void *state)
{
    rows_clear(state);
}

const struct family history_family = {
    .name = "history",
    .open = history_open,
    .close = history_close,
    .flush = history_write,
    .trim = history_write,
    .drop = history_drop,
};

/* NULL where rows are written one by one. */
static struct rows *history_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &history_family) : NULL;
}

static enum err history_add_row(struct op *op, struct tx *tx, uint64_t seq, uint64_t message_no, uint64_t prev,
                                const struct history_entry *entry)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &history_insert, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    bind_int(stmt, 2, (int64_t)message_no);
    bind_int(stmt, 3, (int64_t)prev);
    bind_int(stmt, 4, entry->at_ms);
    bind_int(stmt, 5, entry->from);
    bind_int(stmt, 6, entry->to);
    bind_str(stmt, 7, entry->cause);
    return stmt_done(op, stmt);
}

enum err store_history_add(struct op *op, struct tx *tx, uint64_t message_no, uint64_t prev,
                           const struct history_entry *entry, uint64_t *ret_seq)
{
    uint64_t seq = store_seq_next(tx, SEQ_HISTORY);
    struct rows *rows = history_of(tx);
    *ret_seq = seq;
    if (!rows)
        return history_add_row(op, tx, seq, message_no, prev, entry);
    tx_wrote(tx);
    rows_begin(rows);
    rows_int(rows, (int64_t)seq);
    rows_int(rows, (int64_t)message_no);
    rows_int(rows, (int64_t)prev);
    rows_int(rows, entry->at_ms);
    rows_int(rows, entry->from);
    rows_int(rows, entry->to);
    rows_str(rows, entry->cause);
    return OK;
}

static struct history_entry history_columns(struct stmt *stmt, struct str cause)
{
    return (struct history_entry){
        .at_ms = col_int(stmt, 1), .from = (uint8_t)col_int(stmt, 2), .to = (uint8_t)col_int(stmt, 3), .cause = cause
    };
}

enum err store_history_get(struct op *op, struct tx *tx, uint64_t seq, struct history_entry *ret, uint64_t *ret_prev)
{
    struct stmt *stmt;
    bool found;
    if (history_of(tx))
        TRY(history_write(op, tx, history_of(tx)));
    TRY(tx_stmt(op, tx, &history_by_seq, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "history row %lld is missing", (long long)seq);
    *ret_prev = (uint64_t)col_int(stmt, 0);
    *ret = history_columns(stmt, col_str(op, stmt, 4));
    stmt_reset(stmt);
    return OK;
}

struct visit {
    enum err (*fn)(struct op *op, uint64_t seq, uint64_t prev, const struct history_entry *entry, void *arg);
    void *arg;
};

static enum err visit_row(struct op *op, struct stmt *stmt, void *arg)
{
    const struct visit *visit = arg;
    struct history_entry entry = history_columns(stmt, col_str_borrowed(stmt, 4));
    return visit->fn(op, (uint64_t)col_int(stmt, 5), (uint64_t)col_int(stmt, 0), &entry, visit->arg);
}

enum err store_history_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                            enum err (*fn)(struct op *op, uint64_t seq, uint64_t prev,
                                           const struct history_entry *entry, void *arg),
                            void *arg)
{
    struct visit visit = { fn, arg };
    return stmt_each_of(op, tx, &history_by_seq, &history_by_seqs, seqs, count, visit_row, &visit);
}
