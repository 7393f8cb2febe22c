#include "store/delta.h"

#include <assert.h>
#include <stdlib.h>

#include "store/postgres_table.h"
#include "store/seq.h"
#include "store/source_delta.h"
#include "store/store_delta.h"

extern const struct schema_step delta_step;
extern const struct family delta_family;

#define FIGURES(X)                                                                                                     \
    X(messages)                                                                                                        \
    X(delivered)                                                                                                       \
    X(failed_permanent)                                                                                                \
    X(failed_temporary)                                                                                                \
    X(opened)                                                                                                          \
    X(clicked)                                                                                                         \
    X(opened_human)                                                                                                    \
    X(clicked_human)                                                                                                   \
    X(opened_machine)                                                                                                  \
    X(clicked_machine)                                                                                                 \
    X(complained)                                                                                                      \
    X(unsubscribed)

#define COLUMN(name) #name " bigint NOT NULL, "
#define NAME(name)   #name ", "
#define SUM(name)    "sum(" #name ")::bigint, "
#define ADD(name)    #name " = s." #name " + excluded." #name ", "

const struct schema_step delta_step = {
    "counters that wait to be folded",
    "",
    "CREATE TABLE mailing_stats_delta (no bigint PRIMARY KEY, mailing_no bigint NOT NULL, " FIGURES(
        COLUMN) "first_event_at_us bigint NOT NULL, last_event_at_us bigint NOT NULL)" PG_PASSES ";"
                "CREATE INDEX mailing_stats_delta_mailing ON mailing_stats_delta (mailing_no, no);"
                "CREATE TABLE fact_delta (no bigint PRIMARY KEY, cohort_no bigint NOT NULL, status bigint NOT NULL,"
                " count bigint NOT NULL)" PG_PASSES ";"
                "CREATE INDEX fact_delta_cohort ON fact_delta (cohort_no, no);"
                "CREATE TABLE mailing_link_delta (no bigint PRIMARY KEY, link_no bigint NOT NULL, members bigint NOT "
                "NULL,"
                " clicks bigint NOT NULL)" PG_PASSES ";"
                "CREATE INDEX mailing_link_delta_link ON mailing_link_delta (link_no, no);"
                "CREATE TABLE parked_count (source_no bigint PRIMARY KEY, count bigint NOT NULL)" PG_CHANGES ";"
                "CREATE TABLE parked_count_delta (no bigint PRIMARY KEY, source_no bigint NOT NULL, count bigint NOT "
                "NULL)" PG_PASSES ";"
                "CREATE TABLE delta_fold (one bigint PRIMARY KEY, no bigint NOT NULL)" PG_CHANGES ";"
                "INSERT INTO delta_fold VALUES (1, 0);",
};

#define BETWEEN " WHERE no > ?1 AND no <= ?2"

SQL_ONLY_POSTGRES(stats_rows, "INSERT INTO mailing_stats_delta SELECT * FROM unnest(?1::bigint[],"
                              " ?2::bigint[], ?3::bigint[], ?4::bigint[], ?5::bigint[], ?6::bigint[], ?7::bigint[],"
                              " ?8::bigint[], ?9::bigint[], ?10::bigint[], ?11::bigint[], ?12::bigint[],"
                              " ?13::bigint[], ?14::bigint[], ?15::bigint[], ?16::bigint[])");
SQL_ONLY_POSTGRES(
    stats_fold,
    "INSERT INTO mailing_stats AS s (mailing_no, " FIGURES(
        NAME) "first_event_at_us, last_event_at_us)"
              " SELECT mailing_no, " FIGURES(
                  SUM) "coalesce(min(nullif(first_event_at_us, 0)), 0), max(last_event_at_us)"
                       " FROM mailing_stats_delta" BETWEEN " GROUP BY mailing_no ORDER BY mailing_no"
                       " ON CONFLICT (mailing_no) DO UPDATE SET " FIGURES(
                           ADD) "first_event_at_us = coalesce(least(nullif(s.first_event_at_us, 0),"
                                " nullif(excluded.first_event_at_us, 0)), 0),"
                                " last_event_at_us = greatest(s.last_event_at_us, excluded.last_event_at_us)");
SQL_ONLY_POSTGRES(stats_folded, "DELETE FROM mailing_stats_delta" BETWEEN);

SQL_ONLY_POSTGRES(fact_rows, "INSERT INTO fact_delta SELECT * FROM unnest(?1::bigint[], ?2::bigint[],"
                             " ?3::bigint[], ?4::bigint[])");
SQL_ONLY_POSTGRES(fact_fold, "INSERT INTO fact AS f (cohort_no, status, count) SELECT cohort_no, status,"
                             " sum(count)::bigint FROM fact_delta" BETWEEN " GROUP BY 1, 2 ORDER BY 1, 2"
                             " ON CONFLICT (cohort_no, status) DO UPDATE SET count = f.count + excluded.count");
SQL_ONLY_POSTGRES(fact_folded, "DELETE FROM fact_delta" BETWEEN);

SQL_ONLY_POSTGRES(link_rows, "INSERT INTO mailing_link_delta SELECT * FROM unnest(?1::bigint[], ?2::bigint[],"
                             " ?3::bigint[], ?4::bigint[])");
SQL_ONLY_POSTGRES(link_fold,
                  "UPDATE mailing_link AS l SET members = l.members + d.members, clicks = l.clicks + d.clicks"
                  " FROM (SELECT link_no, sum(members)::bigint AS members, sum(clicks)::bigint AS clicks"
                  " FROM mailing_link_delta" BETWEEN " GROUP BY 1) AS d WHERE l.no = d.link_no");
SQL_ONLY_POSTGRES(link_folded, "DELETE FROM mailing_link_delta" BETWEEN);

SQL_ONLY_POSTGRES(parked_rows, "INSERT INTO parked_count_delta SELECT * FROM unnest(?1::bigint[], ?2::bigint[],"
                               " ?3::bigint[])");
SQL_ONLY_POSTGRES(parked_fold, "INSERT INTO parked_count AS p (source_no, count) SELECT source_no, sum(count)::bigint"
                               " FROM parked_count_delta" BETWEEN " GROUP BY 1 ORDER BY 1"
                               " ON CONFLICT (source_no) DO UPDATE SET count = p.count + excluded.count");
SQL_ONLY_POSTGRES(parked_folded, "DELETE FROM parked_count_delta" BETWEEN);

SQL_ONLY_POSTGRES(fold_get, "SELECT no FROM delta_fold WHERE one = 1");
SQL_ONLY_POSTGRES(fold_set, "UPDATE delta_fold SET no = ?1 WHERE one = 1");

static const struct kind {
    const char *types;
    const struct sql *rows, *fold, *folded;
} kinds[DELTAS] = {
    [DELTA_STATS] = { "iiiiiiiiiiiiiiii", &stats_rows, &stats_fold, &stats_folded },
    [DELTA_FACT] = { "iiii", &fact_rows, &fact_fold, &fact_folded },
    [DELTA_LINK] = { "iiii", &link_rows, &link_fold, &link_folded },
    [DELTA_PARKED] = { "iii", &parked_rows, &parked_fold, &parked_folded },
};

#define PIECE_ROWS 1000 /* between two looks at the clock */

struct delta_state {
    struct rows rows[DELTAS];
    int64_t folded, folded_kept; /* at least; more when another node folded */
    bool stale;                  /* another node may have */
};

static void delta_close(void *state)
{
    struct delta_state *deltas = state;
    for (int i = 0; i < DELTAS; i++)
        rows_done(&deltas->rows[i]);
    free(deltas);
}

static enum err delta_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct delta_state *deltas = calloc(1, sizeof *deltas);
    if (!deltas)
        abort();
    for (int i = 0; i < DELTAS; i++)
        rows_init(&deltas->rows[i], kinds[i].types);
    deltas->stale = true;
    *ret_state = deltas;
    return OK;
}

struct rows *delta_begin(struct tx *tx, enum delta delta)
{
    struct delta_state *deltas = tx_state(tx, &delta_family);
    rows_begin(&deltas->rows[delta]);
    rows_int(&deltas->rows[delta], (int64_t)store_seq_next(tx, SEQ_DELTA));
    return &deltas->rows[delta];
}

static enum err rows_flush(struct op *op, struct tx *tx, struct delta_state *deltas)
{
    for (int i = 0; i < DELTAS; i++)
        TRY(rows_write(op, tx, &deltas->rows[i], kinds[i].rows));
    return OK;
}

static enum err folded_read(struct op *op, struct tx *tx, struct delta_state *deltas)
{
    struct stmt *stmt;
    bool found;
    if (!deltas->stale)
        return OK;
    TRY(tx_stmt(op, tx, &fold_get, &stmt));
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_IO, "the number of the newest folded counter is missing");
    deltas->folded = deltas->folded_kept = col_int(stmt, 0);
    deltas->stale = false;
    stmt_reset(stmt);
    return OK;
}

/* Folds the numbers (from, to] of every kind and waits for the end, to know how long it took. */
static enum err fold_range(struct op *op, struct tx *tx, int64_t from, int64_t to)
{
    struct stmt *stmt;
    for (int i = 0; i < DELTAS; i++) {
        const struct sql *steps[] = { kinds[i].fold, kinds[i].folded };
        for (int s = 0; s < 2; s++) {
            TRY(tx_stmt(op, tx, steps[s], &stmt));
            bind_int(stmt, 1, from);
            bind_int(stmt, 2, to);
            TRY(stmt_later(op, stmt));
        }
    }
    TRY(source_delta_fold(op, tx, from, to));
    TRY(tx_stmt(op, tx, &fold_set, &stmt));
    bind_int(stmt, 1, to);
    return stmt_done(op, stmt);
}

enum err store_delta_fold(struct op *op, struct tx *tx, int64_t max_rows, bool *ret_more)
{
    *ret_more = false;
    if (!tx_is_shared(tx))
        return OK;
    struct delta_state *deltas = tx_state(tx, &delta_family);
    TRY(rows_flush(op, tx, deltas));
    TRY(folded_read(op, tx, deltas));
    int64_t newest = (int64_t)store_seq_newest(tx, SEQ_DELTA), from = deltas->folded;
    if (newest == from)
        return OK;
    int64_t to = newest - from > max_rows ? from + max_rows : newest, began_us = tx_mono_now_us(tx);
    while (deltas->folded < to) {
        int64_t next = to - deltas->folded > PIECE_ROWS ? deltas->folded + PIECE_ROWS : to;
        TRY(fold_range(op, tx, deltas->folded, next));
        deltas->folded = next;
        if (tx_mono_now_us(tx) - began_us >= STORE_FOLD_US)
            break;
    }
    *ret_more = deltas->folded < newest;
    return OK;
}

/* --- the family --- */

static bool many_wait(struct tx *tx, const struct delta_state *deltas)
{
    return (int64_t)store_seq_newest(tx, SEQ_DELTA) - deltas->folded > DELTA_WAIT_MAX;
}

static enum err delta_flush(struct op *op, struct tx *tx, void *state)
{
    struct delta_state *deltas = state;
    bool more;
    if (!tx_is_shared(tx))
        return OK;
    TRY(rows_flush(op, tx, deltas));
    if (many_wait(tx, deltas))
        TRY(folded_read(op, tx, deltas));
    return many_wait(tx, deltas) ? store_delta_fold(op, tx, STORE_FOLD_ROWS, &more) : OK;
}

static void delta_kept(void *state)
{
    struct delta_state *deltas = state;
    deltas->folded_kept = deltas->folded;
}

static void delta_drop(void *state)
{
    struct delta_state *deltas = state;
    for (int i = 0; i < DELTAS; i++)
        rows_clear(&deltas->rows[i]);
    deltas->folded = deltas->folded_kept;
}

/* Another node may have folded. */
static enum err delta_foreign(struct op *op, struct tx *tx, void *state)
{
    struct delta_state *deltas = state;
    (void)op;
    (void)tx;
    deltas->stale = true;
    return OK;
}

const struct family delta_family = {
    .name = "counters that wait",
    .open = delta_open,
    .close = delta_close,
    .flush = delta_flush,
    .kept = delta_kept,
    .drop = delta_drop,
    .foreign = delta_foreign,
};
