#include "store/store_touch.h"

#include <stdlib.h>
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
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

/* Clicks of tracked links know which destination they were sent to, and stand for others just like them. */
const struct schema_step touch_step = {
    .name = "touches of tracked links",
    .sqlite = "ALTER TABLE touch ADD COLUMN version INTEGER NOT NULL DEFAULT 0;"
              "ALTER TABLE touch ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;",
    .postgres = "ALTER TABLE touch ADD COLUMN version bigint NOT NULL DEFAULT 0;"
                "ALTER TABLE touch ADD COLUMN repeats bigint NOT NULL DEFAULT 0;",
};

SQL_ONLY_SQLITE(history_insert, "INSERT INTO history(seq, message_no, prev, at_ms, from_status, to_status, cause)"
                                " VALUES(?1,?2,?3,?4,?5,?6,?7)");
SQL_ONLY_POSTGRES(history_rows, "INSERT INTO history(seq, message_no, prev, at_ms, from_status, to_status, cause)"
                                " SELECT * FROM unnest(?1" PG_INTS ",?2" PG_INTS ",?3" PG_INTS ",?4" PG_INTS
                                ",?5" PG_INTS ",?6" PG_INTS ",?7" PG_TEXTS ")");
SQL(history_by_seq, "SELECT prev, at_ms, from_status, to_status, cause FROM history WHERE seq = ?1", NULL);

SQL_ONLY_POSTGRES(history_by_seqs, "SELECT prev, at_ms, from_status, to_status, cause, seq FROM history"
                                   " WHERE seq = ANY (?1) ORDER BY seq");

#define TOUCH_COLUMNS "seq, message_no, prev, at_us, kind, link_no, bits, client, version, repeats"
SQL_ONLY_SQLITE(touch_insert, "INSERT INTO touch(" TOUCH_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)");
SQL_ONLY_POSTGRES(touch_rows, "INSERT INTO touch(" TOUCH_COLUMNS ") SELECT * FROM unnest(?1" PG_INTS ",?2" PG_INTS
                              ",?3" PG_INTS ",?4" PG_INTS ",?5" PG_INTS ",?6" PG_INTS ",?7" PG_INTS ",?8" PG_INTS
                              ",?9" PG_INTS ",?10" PG_INTS ")");
SQL(touch_by_seq, "SELECT " TOUCH_COLUMNS " FROM touch WHERE seq = ?1", NULL);
SQL_ONLY_POSTGRES(touch_by_seqs, "SELECT " TOUCH_COLUMNS " FROM touch WHERE seq = ANY (?1) ORDER BY seq");
SQL(touch_set_bits, "UPDATE touch SET bits = ?2 WHERE seq = ?1", NULL);
SQL(touch_repeat, "UPDATE touch SET repeats = repeats + 1 WHERE seq = ?1", NULL);
/* Whole chains at once. OFFSET keeps each step a look-up by key. */
SQL_ONLY_POSTGRES(
    touch_chains,
    "SELECT " TOUCH_COLUMNS " FROM (WITH RECURSIVE chain AS (SELECT " TOUCH_COLUMNS
    " FROM touch WHERE seq = ANY (?1) UNION ALL SELECT t.* FROM chain AS c CROSS JOIN LATERAL (SELECT " TOUCH_COLUMNS
    " FROM touch WHERE seq = c.prev OFFSET 0) AS t) SELECT * FROM chain) AS chains");

/* PostgreSQL: rows of the command under way, inserted together behind it, and chains that were read at once. */
enum {
    TOUCH_SEQ,
    TOUCH_MESSAGE,
    TOUCH_PREV,
    TOUCH_AT,
    TOUCH_KIND,
    TOUCH_LINK,
    TOUCH_BITS,
    TOUCH_CLIENT,
    TOUCH_VERSION,
    TOUCH_REPEATS
};

#define CHAINS_MAX 65536 /* rows kept */

struct logs {
    struct rows history, touches;
    struct touch_row *chains; /* open hash table by seq; 0 = free */
    size_t chains_room, chains_used;
};

static enum err logs_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct logs *logs = calloc(1, sizeof *logs);
    if (!logs)
        abort();
    rows_init(&logs->history, "iiiiiit");
    rows_init(&logs->touches, "iiiiiiiiii");
    *ret_state = logs;
    return OK;
}

static void logs_close(void *state)
{
    struct logs *logs = state;
    rows_done(&logs->history);
    rows_done(&logs->touches);
    free(logs->chains);
    free(logs);
}

static enum err logs_write(struct op *op, struct tx *tx, void *state)
{
    struct logs *logs = state;
    TRY(rows_write(op, tx, &logs->history, &history_rows));
    return rows_write(op, tx, &logs->touches, &touch_rows);
}

static void chains_clear(void *state)
{
    struct logs *logs = state;
    if (logs->chains_used > 0)
        memset(logs->chains, 0, logs->chains_room * sizeof *logs->chains);
    logs->chains_used = 0;
}

static void logs_drop(void *state)
{
    struct logs *logs = state;
    rows_clear(&logs->history);
    rows_clear(&logs->touches);
    chains_clear(logs);
}

const struct family log_family = {
    .name = "history and touches",
    .open = logs_open,
    .close = logs_close,
    .flush = logs_write,
    .trim = logs_write,
    .kept = chains_clear,
    .drop = logs_drop,
};

/* NULL where rows are written one by one. */
static struct logs *logs_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &log_family) : NULL;
}

/* --- history --- */

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
    struct logs *logs = logs_of(tx);
    *ret_seq = seq;
    if (!logs)
        return history_add_row(op, tx, seq, message_no, prev, entry);
    tx_wrote(tx);
    rows_begin(&logs->history);
    rows_int(&logs->history, (int64_t)seq);
    rows_int(&logs->history, (int64_t)message_no);
    rows_int(&logs->history, (int64_t)prev);
    rows_int(&logs->history, entry->at_ms);
    rows_int(&logs->history, entry->from);
    rows_int(&logs->history, entry->to);
    rows_str(&logs->history, entry->cause);
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
    if (logs_of(tx))
        TRY(logs_write(op, tx, logs_of(tx)));
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

static enum err history_each_alone(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                                   enum err (*fn)(struct op *op, uint64_t seq, uint64_t prev,
                                                  const struct history_entry *entry, void *arg),
                                   void *arg)
{
    for (size_t i = 0; i < count; i++) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &history_by_seq, &stmt));
        bind_int(stmt, 1, (int64_t)seqs[i]);
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            continue;
        struct history_entry entry = history_columns(stmt, col_str_borrowed(stmt, 4));
        enum err err = fn(op, seqs[i], (uint64_t)col_int(stmt, 0), &entry, arg);
        stmt_reset(stmt);
        TRY(err);
    }
    return OK;
}

/* The statement that asks for all of them, begun. */
static enum err ask_together(struct op *op, struct tx *tx, const struct sql *sql, const uint64_t *seqs, size_t count,
                             struct stmt **ret_stmt)
{
    int64_t *numbers;
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    for (size_t i = 0; i < count; i++)
        numbers[i] = (int64_t)seqs[i];
    TRY(tx_stmt(op, tx, sql, ret_stmt));
    bind_ints(*ret_stmt, 1, numbers, count);
    return OK;
}

enum err store_history_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                            enum err (*fn)(struct op *op, uint64_t seq, uint64_t prev,
                                           const struct history_entry *entry, void *arg),
                            void *arg)
{
    struct stmt *stmt;
    if (!tx_is_shared(tx))
        return history_each_alone(op, tx, seqs, count, fn, arg);
    TRY(ask_together(op, tx, &history_by_seqs, seqs, count, &stmt));
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct history_entry entry = history_columns(stmt, col_str_borrowed(stmt, 4));
        enum err err = fn(op, (uint64_t)col_int(stmt, 5), (uint64_t)col_int(stmt, 0), &entry, arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

/* --- touches --- */

static struct touch_row touch_columns(struct stmt *stmt)
{
    return (struct touch_row){ .seq = (uint64_t)col_int(stmt, TOUCH_SEQ),
                               .message_no = (uint64_t)col_int(stmt, TOUCH_MESSAGE),
                               .prev = (uint64_t)col_int(stmt, TOUCH_PREV),
                               .at_us = col_int(stmt, TOUCH_AT),
                               .kind = (uint32_t)col_int(stmt, TOUCH_KIND),
                               .link_no = (uint32_t)col_int(stmt, TOUCH_LINK),
                               .bits = (uint32_t)col_int(stmt, TOUCH_BITS),
                               .client = col_int(stmt, TOUCH_CLIENT),
                               .version = (uint32_t)col_int(stmt, TOUCH_VERSION),
                               .repeats = (uint32_t)col_int(stmt, TOUCH_REPEATS) };
}

static enum err touch_add_row(struct op *op, struct tx *tx, const struct touch_row *row)
{
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
    bind_int(stmt, 9, row->version);
    bind_int(stmt, 10, row->repeats);
    return stmt_done(op, stmt);
}

enum err store_touch_add(struct op *op, struct tx *tx, struct touch_row *row)
{
    struct logs *logs = logs_of(tx);
    row->seq = store_seq_next(tx, SEQ_TOUCH);
    if (!logs)
        return touch_add_row(op, tx, row);
    tx_wrote(tx);
    rows_begin(&logs->touches);
    rows_int(&logs->touches, (int64_t)row->seq);
    rows_int(&logs->touches, (int64_t)row->message_no);
    rows_int(&logs->touches, (int64_t)row->prev);
    rows_int(&logs->touches, row->at_us);
    rows_int(&logs->touches, row->kind);
    rows_int(&logs->touches, row->link_no);
    rows_int(&logs->touches, row->bits);
    rows_int(&logs->touches, row->client);
    rows_int(&logs->touches, row->version);
    rows_int(&logs->touches, row->repeats);
    return OK;
}

/* Where a row stands among those that wait: their numbers are neighbours. */
static bool waits(const struct logs *logs, uint64_t seq, size_t *ret_row)
{
    if (logs->touches.count == 0)
        return false;
    uint64_t first = (uint64_t)rows_int_at(&logs->touches, 0, TOUCH_SEQ);
    *ret_row = (size_t)(seq - first);
    return seq >= first && seq - first < logs->touches.count;
}

static struct touch_row touch_waiting(const struct logs *logs, size_t row)
{
    const struct rows *rows = &logs->touches;
    return (struct touch_row){ .seq = (uint64_t)rows_int_at(rows, row, TOUCH_SEQ),
                               .message_no = (uint64_t)rows_int_at(rows, row, TOUCH_MESSAGE),
                               .prev = (uint64_t)rows_int_at(rows, row, TOUCH_PREV),
                               .at_us = rows_int_at(rows, row, TOUCH_AT),
                               .kind = (uint32_t)rows_int_at(rows, row, TOUCH_KIND),
                               .link_no = (uint32_t)rows_int_at(rows, row, TOUCH_LINK),
                               .bits = (uint32_t)rows_int_at(rows, row, TOUCH_BITS),
                               .client = rows_int_at(rows, row, TOUCH_CLIENT),
                               .version = (uint32_t)rows_int_at(rows, row, TOUCH_VERSION),
                               .repeats = (uint32_t)rows_int_at(rows, row, TOUCH_REPEATS) };
}

/* The place of a row in the table of chains, or the free one where it belongs. */
static struct touch_row *chain_place(const struct logs *logs, uint64_t seq)
{
    size_t at = seq * 0x9E3779B97F4A7C15u >> 32;
    while (logs->chains[at & (logs->chains_room - 1)].seq != 0 && logs->chains[at & (logs->chains_room - 1)].seq != seq)
        at++;
    return &logs->chains[at & (logs->chains_room - 1)];
}

static void chains_widen(struct logs *logs)
{
    struct logs wider = { .chains_room = logs->chains_room ? 2 * logs->chains_room : 1024 };
    wider.chains = calloc(wider.chains_room, sizeof *wider.chains);
    if (!wider.chains)
        abort();
    for (size_t i = 0; i < logs->chains_room; i++)
        if (logs->chains[i].seq)
            *chain_place(&wider, logs->chains[i].seq) = logs->chains[i];
    free(logs->chains);
    logs->chains = wider.chains;
    logs->chains_room = wider.chains_room;
}

static void chain_keep(struct logs *logs, const struct touch_row *row)
{
    if (2 * (logs->chains_used + 1) > logs->chains_room)
        chains_widen(logs);
    struct touch_row *place = chain_place(logs, row->seq);
    logs->chains_used += place->seq == 0;
    *place = *row;
}

static struct touch_row *chain_find(const struct logs *logs, uint64_t seq)
{
    struct touch_row *place = logs->chains_used > 0 ? chain_place(logs, seq) : NULL;
    return place && place->seq ? place : NULL;
}

enum err store_touch_prefetch(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count)
{
    struct logs *logs = logs_of(tx);
    struct stmt *stmt;
    int64_t *starts;
    size_t n = 0, row;
    if (!logs || count == 0)
        return OK;
    if (logs->chains_used > CHAINS_MAX)
        chains_clear(logs);
    TRY(op_alloc(op, count * sizeof *starts, &starts));
    for (size_t i = 0; i < count; i++)
        if (seqs[i] && !waits(logs, seqs[i], &row) && !chain_find(logs, seqs[i]))
            starts[n++] = (int64_t)seqs[i];
    if (n == 0)
        return OK;
    TRY(tx_stmt(op, tx, &touch_chains, &stmt));
    bind_ints(stmt, 1, starts, n);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct touch_row touch = touch_columns(stmt);
        chain_keep(logs, &touch);
    }
}

/* In the writer's transaction of PostgreSQL the whole chain is read with its first row. */
static enum err touch_in_ram(struct op *op, struct tx *tx, struct logs *logs, uint64_t seq, struct touch_row *ret)
{
    size_t row;
    if (waits(logs, seq, &row)) {
        *ret = touch_waiting(logs, row);
        return OK;
    }
    TRY(store_touch_prefetch(op, tx, &seq, 1));
    const struct touch_row *touch = chain_find(logs, seq);
    if (!touch)
        return fail(op, ERR_NOT_FOUND, "touch row %lld is missing", (long long)seq);
    *ret = *touch;
    return OK;
}

enum err store_touch_get(struct op *op, struct tx *tx, uint64_t seq, struct touch_row *ret)
{
    struct stmt *stmt;
    bool found;
    if (logs_of(tx))
        return touch_in_ram(op, tx, logs_of(tx), seq, ret);
    TRY(tx_stmt(op, tx, &touch_by_seq, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "touch row %lld is missing", (long long)seq);
    *ret = touch_columns(stmt);
    stmt_reset(stmt);
    return OK;
}

static enum err touch_each_alone(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                                 enum err (*fn)(struct op *op, const struct touch_row *row, void *arg), void *arg)
{
    for (size_t i = 0; i < count; i++) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &touch_by_seq, &stmt));
        bind_int(stmt, 1, (int64_t)seqs[i]);
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            continue;
        struct touch_row row = touch_columns(stmt);
        stmt_reset(stmt);
        TRY(fn(op, &row, arg));
    }
    return OK;
}

enum err store_touch_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                          enum err (*fn)(struct op *op, const struct touch_row *row, void *arg), void *arg)
{
    struct stmt *stmt;
    if (!tx_is_shared(tx))
        return touch_each_alone(op, tx, seqs, count, fn, arg);
    TRY(ask_together(op, tx, &touch_by_seqs, seqs, count, &stmt));
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct touch_row row = touch_columns(stmt);
        enum err err = fn(op, &row, arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_touch_set_bits(struct op *op, struct tx *tx, uint64_t seq, uint32_t bits)
{
    struct stmt *stmt;
    struct logs *logs = logs_of(tx);
    size_t row;
    if (logs && waits(logs, seq, &row)) {
        rows_int_set(&logs->touches, row, TOUCH_BITS, bits);
        return OK;
    }
    struct touch_row *kept = logs ? chain_find(logs, seq) : NULL;
    if (kept)
        kept->bits = bits;
    TRY(tx_stmt(op, tx, &touch_set_bits, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    bind_int(stmt, 2, bits);
    return stmt_later(op, stmt);
}

enum err store_touch_repeat(struct op *op, struct tx *tx, uint64_t seq)
{
    struct stmt *stmt;
    struct logs *logs = logs_of(tx);
    size_t row;
    if (logs && waits(logs, seq, &row)) {
        rows_int_set(&logs->touches, row, TOUCH_REPEATS, rows_int_at(&logs->touches, row, TOUCH_REPEATS) + 1);
        return OK;
    }
    struct touch_row *kept = logs ? chain_find(logs, seq) : NULL;
    if (kept)
        kept->repeats++;
    TRY(tx_stmt(op, tx, &touch_repeat, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    return stmt_later(op, stmt);
}
