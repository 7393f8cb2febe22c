#include "store/store_touch.h"

#include <stdlib.h>
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"

/* Clicks of tracked links know which destination they were sent to, and stand for others just like them. */
const struct schema_step touch_step = {
    .name = "touches of tracked links",
    .sqlite = "ALTER TABLE touch ADD COLUMN version INTEGER NOT NULL DEFAULT 0;"
              "ALTER TABLE touch ADD COLUMN repeats INTEGER NOT NULL DEFAULT 0;",
    .postgres = "ALTER TABLE touch ADD COLUMN version bigint NOT NULL DEFAULT 0;"
                "ALTER TABLE touch ADD COLUMN repeats bigint NOT NULL DEFAULT 0;",
};

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

struct touches {
    struct rows rows;
    struct touch_row *chains; /* open hash table by seq; 0 = free */
    size_t chains_room, chains_used;
};

static enum err touches_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct touches *touches = calloc(1, sizeof *touches);
    if (!touches)
        abort();
    rows_init(&touches->rows, "iiiiiiiiii");
    *ret_state = touches;
    return OK;
}

static void touches_close(void *state)
{
    struct touches *touches = state;
    rows_done(&touches->rows);
    free(touches->chains);
    free(touches);
}

static enum err touches_write(struct op *op, struct tx *tx, void *state)
{
    struct touches *touches = state;
    return rows_write(op, tx, &touches->rows, &touch_rows);
}

static void chains_clear(void *state)
{
    struct touches *touches = state;
    if (touches->chains_used > 0)
        memset(touches->chains, 0, touches->chains_room * sizeof *touches->chains);
    touches->chains_used = 0;
}

static void touches_drop(void *state)
{
    struct touches *touches = state;
    rows_clear(&touches->rows);
    chains_clear(touches);
}

const struct family touch_family = {
    .name = "touches",
    .open = touches_open,
    .close = touches_close,
    .flush = touches_write,
    .trim = touches_write,
    .kept = chains_clear,
    .drop = touches_drop,
};

/* NULL where rows are written one by one. */
static struct touches *touches_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &touch_family) : NULL;
}

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
    struct touches *touches = touches_of(tx);
    row->seq = store_seq_next(tx, SEQ_TOUCH);
    if (!touches)
        return touch_add_row(op, tx, row);
    tx_wrote(tx);
    rows_begin(&touches->rows);
    rows_int(&touches->rows, (int64_t)row->seq);
    rows_int(&touches->rows, (int64_t)row->message_no);
    rows_int(&touches->rows, (int64_t)row->prev);
    rows_int(&touches->rows, row->at_us);
    rows_int(&touches->rows, row->kind);
    rows_int(&touches->rows, row->link_no);
    rows_int(&touches->rows, row->bits);
    rows_int(&touches->rows, row->client);
    rows_int(&touches->rows, row->version);
    rows_int(&touches->rows, row->repeats);
    return OK;
}

/* Where a row stands among those that wait: their numbers are neighbours. */
static bool waits(const struct touches *touches, uint64_t seq, size_t *ret_row)
{
    if (touches->rows.count == 0)
        return false;
    uint64_t first = (uint64_t)rows_int_at(&touches->rows, 0, TOUCH_SEQ);
    *ret_row = (size_t)(seq - first);
    return seq >= first && seq - first < touches->rows.count;
}

static struct touch_row touch_waiting(const struct touches *touches, size_t row)
{
    const struct rows *rows = &touches->rows;
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
static struct touch_row *chain_place(const struct touches *touches, uint64_t seq)
{
    size_t at = seq * 0x9E3779B97F4A7C15u >> 32;
    while (touches->chains[at & (touches->chains_room - 1)].seq != 0 &&
           touches->chains[at & (touches->chains_room - 1)].seq != seq)
        at++;
    return &touches->chains[at & (touches->chains_room - 1)];
}

static void chains_widen(struct touches *touches)
{
    struct touches wider = { .chains_room = touches->chains_room ? 2 * touches->chains_room : 1024 };
    wider.chains = calloc(wider.chains_room, sizeof *wider.chains);
    if (!wider.chains)
        abort();
    for (size_t i = 0; i < touches->chains_room; i++)
        if (touches->chains[i].seq)
            *chain_place(&wider, touches->chains[i].seq) = touches->chains[i];
    free(touches->chains);
    touches->chains = wider.chains;
    touches->chains_room = wider.chains_room;
}

static void chain_keep(struct touches *touches, const struct touch_row *row)
{
    if (2 * (touches->chains_used + 1) > touches->chains_room)
        chains_widen(touches);
    struct touch_row *place = chain_place(touches, row->seq);
    touches->chains_used += place->seq == 0;
    *place = *row;
}

static struct touch_row *chain_find(const struct touches *touches, uint64_t seq)
{
    struct touch_row *place = touches->chains_used > 0 ? chain_place(touches, seq) : NULL;
    return place && place->seq ? place : NULL;
}

enum err store_touch_prefetch(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count)
{
    struct touches *touches = touches_of(tx);
    struct stmt *stmt;
    int64_t *starts;
    size_t n = 0, row;
    if (!touches || count == 0)
        return OK;
    if (touches->chains_used > CHAINS_MAX)
        chains_clear(touches);
    TRY(op_alloc(op, count * sizeof *starts, &starts));
    for (size_t i = 0; i < count; i++)
        if (seqs[i] && !waits(touches, seqs[i], &row) && !chain_find(touches, seqs[i]))
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
        chain_keep(touches, &touch);
    }
}

/* In the writer's transaction of PostgreSQL the whole chain is read with its first row. */
static enum err touch_in_ram(struct op *op, struct tx *tx, struct touches *touches, uint64_t seq, struct touch_row *ret)
{
    size_t row;
    if (waits(touches, seq, &row)) {
        *ret = touch_waiting(touches, row);
        return OK;
    }
    TRY(store_touch_prefetch(op, tx, &seq, 1));
    const struct touch_row *touch = chain_find(touches, seq);
    if (!touch)
        return fail(op, ERR_NOT_FOUND, "touch row %lld is missing", (long long)seq);
    *ret = *touch;
    return OK;
}

enum err store_touch_get(struct op *op, struct tx *tx, uint64_t seq, struct touch_row *ret)
{
    struct stmt *stmt;
    bool found;
    if (touches_of(tx))
        return touch_in_ram(op, tx, touches_of(tx), seq, ret);
    TRY(tx_stmt(op, tx, &touch_by_seq, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "touch row %lld is missing", (long long)seq);
    *ret = touch_columns(stmt);
    stmt_reset(stmt);
    return OK;
}

struct visit {
    enum err (*fn)(struct op *op, const struct touch_row *row, void *arg);
    void *arg;
};

static enum err visit_row(struct op *op, struct stmt *stmt, void *arg)
{
    const struct visit *visit = arg;
    struct touch_row row = touch_columns(stmt);
    return visit->fn(op, &row, visit->arg);
}

enum err store_touch_each(struct op *op, struct tx *tx, const uint64_t *seqs, size_t count,
                          enum err (*fn)(struct op *op, const struct touch_row *row, void *arg), void *arg)
{
    struct visit visit = { fn, arg };
    return stmt_each_of(op, tx, &touch_by_seq, &touch_by_seqs, seqs, count, visit_row, &visit);
}

enum err store_touch_set_bits(struct op *op, struct tx *tx, uint64_t seq, uint32_t bits)
{
    struct stmt *stmt;
    struct touches *touches = touches_of(tx);
    size_t row;
    if (touches && waits(touches, seq, &row)) {
        rows_int_set(&touches->rows, row, TOUCH_BITS, bits);
        return OK;
    }
    struct touch_row *kept = touches ? chain_find(touches, seq) : NULL;
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
    struct touches *touches = touches_of(tx);
    size_t row;
    if (touches && waits(touches, seq, &row)) {
        rows_int_set(&touches->rows, row, TOUCH_REPEATS, rows_int_at(&touches->rows, row, TOUCH_REPEATS) + 1);
        return OK;
    }
    struct touch_row *kept = touches ? chain_find(touches, seq) : NULL;
    if (kept)
        kept->repeats++;
    TRY(tx_stmt(op, tx, &touch_repeat, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    return stmt_later(op, stmt);
}
