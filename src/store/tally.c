#include "store/tally.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "store/db.h"
#include "store/delta.h"
#include "store/postgres_table.h"

extern const struct schema_step tally_step;
extern const struct family tally_family;

#define TALLIES_MAX 65536 /* of one kind in RAM: more end the group */

const struct schema_step tally_step = {
    "figures",
    "CREATE TABLE mailing_stats ("
    " mailing_no INTEGER PRIMARY KEY,"
    " messages INTEGER NOT NULL DEFAULT 0, delivered INTEGER NOT NULL DEFAULT 0,"
    " failed_permanent INTEGER NOT NULL DEFAULT 0, failed_temporary INTEGER NOT NULL DEFAULT 0,"
    " opened INTEGER NOT NULL DEFAULT 0, clicked INTEGER NOT NULL DEFAULT 0,"
    " opened_human INTEGER NOT NULL DEFAULT 0, clicked_human INTEGER NOT NULL DEFAULT 0,"
    " opened_machine INTEGER NOT NULL DEFAULT 0, clicked_machine INTEGER NOT NULL DEFAULT 0,"
    " complained INTEGER NOT NULL DEFAULT 0, unsubscribed INTEGER NOT NULL DEFAULT 0,"
    " first_event_at_us INTEGER NOT NULL DEFAULT 0, last_event_at_us INTEGER NOT NULL DEFAULT 0);"
    "CREATE TABLE fact (cohort_no INTEGER NOT NULL, status INTEGER NOT NULL, count INTEGER NOT NULL,"
    " PRIMARY KEY (cohort_no, status)) WITHOUT ROWID;",
    "CREATE TABLE mailing_stats ("
    " mailing_no bigint PRIMARY KEY,"
    " messages bigint NOT NULL DEFAULT 0, delivered bigint NOT NULL DEFAULT 0,"
    " failed_permanent bigint NOT NULL DEFAULT 0, failed_temporary bigint NOT NULL DEFAULT 0,"
    " opened bigint NOT NULL DEFAULT 0, clicked bigint NOT NULL DEFAULT 0,"
    " opened_human bigint NOT NULL DEFAULT 0, clicked_human bigint NOT NULL DEFAULT 0,"
    " opened_machine bigint NOT NULL DEFAULT 0, clicked_machine bigint NOT NULL DEFAULT 0,"
    " complained bigint NOT NULL DEFAULT 0, unsubscribed bigint NOT NULL DEFAULT 0,"
    " first_event_at_us bigint NOT NULL DEFAULT 0, last_event_at_us bigint NOT NULL DEFAULT 0)" PG_CHANGES ";"
    "CREATE TABLE fact (cohort_no bigint NOT NULL, status bigint NOT NULL, count bigint NOT NULL,"
    " PRIMARY KEY (cohort_no, status))" PG_CHANGES ";",
};

#define STATS_COLUMNS                                                                                                  \
    "messages, delivered, failed_permanent, failed_temporary, opened, clicked, opened_human, clicked_human, "          \
    "opened_machine, clicked_machine, complained, unsubscribed, first_event_at_us, last_event_at_us"

/* What stands in the row, and what still waits to be folded into it. */
SQL(stats_get, "SELECT " STATS_COLUMNS " FROM mailing_stats WHERE mailing_no = ?1",
    "SELECT sum(messages)::bigint, sum(delivered)::bigint, sum(failed_permanent)::bigint,"
    " sum(failed_temporary)::bigint, sum(opened)::bigint, sum(clicked)::bigint, sum(opened_human)::bigint,"
    " sum(clicked_human)::bigint, sum(opened_machine)::bigint, sum(clicked_machine)::bigint,"
    " sum(complained)::bigint, sum(unsubscribed)::bigint, min(nullif(first_event_at_us, 0)), max(last_event_at_us)"
    " FROM (SELECT " STATS_COLUMNS " FROM mailing_stats WHERE mailing_no = ?1 UNION ALL SELECT " STATS_COLUMNS
    " FROM mailing_stats_delta WHERE mailing_no = ?1 AND no > " DELTA_FOLDED ") AS parts");
SQL_ONLY_SQLITE(stats_put,
                "INSERT INTO mailing_stats (mailing_no, " STATS_COLUMNS ")"
                " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
                " ON CONFLICT (mailing_no) DO UPDATE SET"
                " messages = messages + ?2, delivered = delivered + ?3, failed_permanent = failed_permanent + ?4,"
                " failed_temporary = failed_temporary + ?5, opened = opened + ?6, clicked = clicked + ?7,"
                " opened_human = opened_human + ?8, clicked_human = clicked_human + ?9,"
                " opened_machine = opened_machine + ?10, clicked_machine = clicked_machine + ?11,"
                " complained = complained + ?12, unsubscribed = unsubscribed + ?13,"
                " first_event_at_us = CASE WHEN ?14 = 0 THEN first_event_at_us"
                "  WHEN first_event_at_us = 0 THEN ?14 ELSE min(first_event_at_us, ?14) END,"
                " last_event_at_us = max(last_event_at_us, ?15)");
SQL(fact_get, "SELECT count FROM fact WHERE cohort_no = ?1 AND status = ?2",
    "SELECT sum(count)::bigint FROM (SELECT count FROM fact WHERE cohort_no = ?1 AND status = ?2 UNION ALL"
    " SELECT count FROM fact_delta WHERE cohort_no = ?1 AND status = ?2 AND no > " DELTA_FOLDED ") AS parts");
SQL(facts_get, "SELECT status, count FROM fact WHERE cohort_no = ?1",
    "SELECT status, count FROM fact WHERE cohort_no = ?1 UNION ALL"
    " SELECT status, count FROM fact_delta WHERE cohort_no = ?1 AND no > " DELTA_FOLDED);
SQL_ONLY_SQLITE(fact_put, "INSERT INTO fact (cohort_no, status, count) VALUES (?1, ?2, ?3)"
                          " ON CONFLICT (cohort_no, status) DO UPDATE SET count = count + ?3");

/* --- deltas by key --- */

/* An open hash table whose entries begin with their key; 0 is no key. Emptied after each group. */
struct deltas {
    char *entries;
    size_t entry_bytes;
    size_t slots, used; /* slots: a power of two */
    char *last;         /* most calls ask for the entry of the call before */
};

struct mailing_delta {
    uint64_t mailing_no;
    int64_t figure[MAILING_FIGURES];
    int64_t first_us, last_us;
};

struct fact_delta {
    uint64_t no; /* cohort_no * 256 + status */
    int64_t messages;
};

struct tally {
    struct deltas mailings, facts;
};

static uint64_t key_at(const char *entry)
{
    uint64_t key;
    memcpy(&key, entry, sizeof key);
    return key;
}

static char *deltas_slot(const struct deltas *deltas, uint64_t key)
{
    size_t i = key * 0x9E3779B97F4A7C15u >> 32;
    char *entry;
    do
        entry = deltas->entries + (i++ & (deltas->slots - 1)) * deltas->entry_bytes;
    while (key_at(entry) != 0 && key_at(entry) != key);
    return entry;
}

static void deltas_resize(struct deltas *deltas, size_t slots)
{
    struct deltas grown = { .entry_bytes = deltas->entry_bytes, .slots = slots, .used = deltas->used };
    grown.entries = calloc(slots, deltas->entry_bytes);
    if (!grown.entries)
        abort();
    for (size_t i = 0; i < deltas->slots; i++) {
        const char *entry = deltas->entries + i * deltas->entry_bytes;
        if (key_at(entry) != 0)
            memcpy(deltas_slot(&grown, key_at(entry)), entry, deltas->entry_bytes);
    }
    free(deltas->entries);
    *deltas = grown;
}

/* The entry of the key, made of zeros when new. */
static void *deltas_at(struct deltas *deltas, uint64_t key)
{
    assert(key != 0);
    if (deltas->last && key_at(deltas->last) == key)
        return deltas->last;
    if (2 * deltas->used >= deltas->slots)
        deltas_resize(deltas, 2 * deltas->slots);
    char *entry = deltas_slot(deltas, key);
    if (key_at(entry) == 0) {
        memcpy(entry, &key, sizeof key);
        deltas->used++;
    }
    return deltas->last = entry;
}

static const void *deltas_peek(const struct deltas *deltas, uint64_t key)
{
    const char *entry = deltas_slot(deltas, key);
    return key_at(entry) == key ? entry : NULL;
}

static int by_key(const void *a, const void *b)
{
    return sort_cmp_u64(key_at(a), key_at(b));
}

/* The entries moved to the front, in key order. The table is no table any more until deltas_clear. */
static size_t deltas_sort(struct deltas *deltas)
{
    size_t n = 0;
    for (size_t i = 0; i < deltas->slots && n < deltas->used; i++) {
        char *entry = deltas->entries + i * deltas->entry_bytes;
        if (key_at(entry) == 0)
            continue;
        if (i != n)
            memcpy(deltas->entries + n * deltas->entry_bytes, entry, deltas->entry_bytes);
        n++;
    }
    qsort(deltas->entries, n, deltas->entry_bytes, by_key);
    return n;
}

static void deltas_clear(struct deltas *deltas)
{
    if (deltas->used == 0)
        return;
    deltas->last = NULL;
    deltas->used = 0;
    if (deltas->slots <= 1024) {
        memset(deltas->entries, 0, deltas->slots * deltas->entry_bytes);
        return;
    }
    free(deltas->entries); /* one large group must not make every later one clear its table */
    deltas->slots = 0;
    deltas->entries = NULL;
    deltas_resize(deltas, 64);
}

/* --- the family --- */

static enum err tally_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op, (void)tx;
    struct tally *tally = calloc(1, sizeof *tally);
    if (!tally)
        abort();
    tally->mailings.entry_bytes = sizeof(struct mailing_delta);
    tally->facts.entry_bytes = sizeof(struct fact_delta);
    deltas_resize(&tally->mailings, 64);
    deltas_resize(&tally->facts, 64);
    *ret_state = tally;
    return OK;
}

static void tally_close(void *state)
{
    struct tally *tally = state;
    free(tally->mailings.entries);
    free(tally->facts.entries);
    free(tally);
}

static enum err mailing_write(struct op *op, struct tx *tx, const struct mailing_delta *delta)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &stats_put, &stmt));
    bind_int(stmt, 1, (int64_t)delta->mailing_no);
    for (int i = 0; i < MAILING_FIGURES; i++)
        bind_int(stmt, 2 + i, delta->figure[i]);
    bind_int(stmt, 2 + MAILING_FIGURES, delta->first_us);
    bind_int(stmt, 3 + MAILING_FIGURES, delta->last_us);
    return stmt_done(op, stmt);
}

static enum err fact_write(struct op *op, struct tx *tx, const struct fact_delta *delta)
{
    struct stmt *stmt;
    if (delta->messages == 0)
        return OK; /* moved there and away again in one group */
    TRY(tx_stmt(op, tx, &fact_put, &stmt));
    bind_int(stmt, 1, (int64_t)(delta->no >> 8));
    bind_int(stmt, 2, (int64_t)(delta->no & 255));
    bind_int(stmt, 3, delta->messages);
    return stmt_done(op, stmt);
}

/* On PostgreSQL what changed is added as rows of its own (LED-18). */
static void mailing_delta_add(struct tx *tx, const struct mailing_delta *delta)
{
    struct rows *rows = delta_begin(tx, DELTA_STATS);
    rows_int(rows, (int64_t)delta->mailing_no);
    for (int i = 0; i < MAILING_FIGURES; i++)
        rows_int(rows, delta->figure[i]);
    rows_int(rows, delta->first_us);
    rows_int(rows, delta->last_us);
}

static void fact_delta_add(struct tx *tx, const struct fact_delta *delta)
{
    if (delta->messages == 0)
        return;
    struct rows *rows = delta_begin(tx, DELTA_FACT);
    rows_int(rows, (int64_t)(delta->no >> 8));
    rows_int(rows, (int64_t)(delta->no & 255));
    rows_int(rows, delta->messages);
}

static enum err deltas_add(struct tx *tx, struct tally *tally)
{
    const struct mailing_delta *mailings = (const struct mailing_delta *)(const void *)tally->mailings.entries;
    const struct fact_delta *facts = (const struct fact_delta *)(const void *)tally->facts.entries;
    size_t n = deltas_sort(&tally->mailings);
    for (size_t i = 0; i < n; i++)
        mailing_delta_add(tx, &mailings[i]);
    n = deltas_sort(&tally->facts);
    for (size_t i = 0; i < n; i++)
        fact_delta_add(tx, &facts[i]);
    return OK;
}

static enum err tally_flush(struct op *op, struct tx *tx, void *state)
{
    struct tally *tally = state;
    if (tx_is_shared(tx))
        return deltas_add(tx, tally);
    const struct mailing_delta *mailings = (const struct mailing_delta *)(const void *)tally->mailings.entries;
    const struct fact_delta *facts = (const struct fact_delta *)(const void *)tally->facts.entries;
    size_t n = deltas_sort(&tally->mailings);
    for (size_t i = 0; i < n; i++)
        TRY(mailing_write(op, tx, &mailings[i]));
    n = deltas_sort(&tally->facts);
    for (size_t i = 0; i < n; i++)
        TRY(fact_write(op, tx, &facts[i]));
    return OK;
}

static enum err tally_trim(struct op *op, struct tx *tx, void *state)
{
    const struct tally *tally = state;
    (void)op;
    if (tally->mailings.used > TALLIES_MAX || tally->facts.used > TALLIES_MAX)
        tx_full(tx);
    return OK;
}

static void tally_clear(void *state)
{
    struct tally *tally = state;
    deltas_clear(&tally->mailings);
    deltas_clear(&tally->facts);
}

const struct family tally_family = {
    .name = "tally",
    .open = tally_open,
    .close = tally_close,
    .flush = tally_flush,
    .trim = tally_trim,
    .kept = tally_clear,
    .drop = tally_clear,
};

/* --- the calls --- */

const char *mailing_figure_name(enum mailing_figure figure)
{
    static const char *const names[MAILING_FIGURES] = {
        [MAILING_MESSAGES] = "messages",
        [MAILING_DELIVERED] = "delivered",
        [MAILING_FAILED_PERMANENT] = "failed_permanent",
        [MAILING_FAILED_TEMPORARY] = "failed_temporary",
        [MAILING_OPENED] = "opened",
        [MAILING_CLICKED] = "clicked",
        [MAILING_OPENED_HUMAN] = "opened_human",
        [MAILING_CLICKED_HUMAN] = "clicked_human",
        [MAILING_OPENED_MACHINE] = "opened_machine",
        [MAILING_CLICKED_MACHINE] = "clicked_machine",
        [MAILING_COMPLAINED] = "complained",
        [MAILING_UNSUBSCRIBED] = "unsubscribed",
    };
    assert(figure < MAILING_FIGURES);
    return names[figure];
}

void store_mailing_count(struct tx *tx, uint32_t mailing_no, enum mailing_figure figure, int64_t delta)
{
    struct tally *tally = tx_state(tx, &tally_family);
    struct mailing_delta *mailing = deltas_at(&tally->mailings, mailing_no);
    assert(figure < MAILING_FIGURES);
    mailing->figure[figure] += delta;
    tx_wrote(tx);
}

void store_mailing_seen(struct tx *tx, uint32_t mailing_no, int64_t at_us)
{
    struct tally *tally = tx_state(tx, &tally_family);
    struct mailing_delta *mailing = deltas_at(&tally->mailings, mailing_no);
    if (mailing->first_us == 0 || at_us < mailing->first_us)
        mailing->first_us = at_us;
    if (at_us > mailing->last_us)
        mailing->last_us = at_us;
    tx_wrote(tx);
}

void store_fact_count(struct tx *tx, uint32_t cohort_no, unsigned status, int64_t delta)
{
    struct tally *tally = tx_state(tx, &tally_family);
    assert(cohort_no != 0 && status < 256);
    struct fact_delta *fact = deltas_at(&tally->facts, (uint64_t)cohort_no << 8 | status);
    fact->messages += delta;
    tx_wrote(tx);
}

/* Adds what the transaction has not written yet. */
static void stats_add_pending(struct tx *tx, uint32_t mailing_no, struct mailing_stats *stats)
{
    struct tally *tally = tx_state(tx, &tally_family);
    const struct mailing_delta *delta = deltas_peek(&tally->mailings, mailing_no);
    if (!delta)
        return;
    for (int i = 0; i < MAILING_FIGURES; i++)
        stats->figure[i] += delta->figure[i];
    if (delta->first_us != 0 && (stats->first_event_at_us == 0 || delta->first_us < stats->first_event_at_us))
        stats->first_event_at_us = delta->first_us;
    if (delta->last_us > stats->last_event_at_us)
        stats->last_event_at_us = delta->last_us;
}

enum err store_mailing_stats_get(struct op *op, struct tx *tx, uint32_t mailing_no, struct mailing_stats *ret_stats)
{
    struct mailing_stats stats = { 0 };
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &stats_get, &stmt));
    bind_int(stmt, 1, mailing_no);
    TRY(stmt_row(op, stmt, &found));
    if (found) {
        for (int i = 0; i < MAILING_FIGURES; i++)
            stats.figure[i] = col_int(stmt, i);
        stats.first_event_at_us = col_int(stmt, MAILING_FIGURES);
        stats.last_event_at_us = col_int(stmt, MAILING_FIGURES + 1);
        stmt_reset(stmt);
    }
    if (tx_may_write(tx))
        stats_add_pending(tx, mailing_no, &stats);
    *ret_stats = stats;
    return OK;
}

enum err store_facts_get(struct op *op, struct tx *tx, uint32_t cohort_no, int64_t *ret_count, unsigned statuses)
{
    struct stmt *stmt;
    memset(ret_count, 0, statuses * sizeof *ret_count);
    TRY(tx_stmt(op, tx, &facts_get, &stmt));
    bind_int(stmt, 1, cohort_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        if ((uint64_t)col_int(stmt, 0) < statuses)
            ret_count[col_int(stmt, 0)] += col_int(stmt, 1);
    }
}

enum err store_fact_get(struct op *op, struct tx *tx, uint32_t cohort_no, unsigned status, int64_t *ret_count)
{
    struct stmt *stmt;
    bool found;
    uint64_t no = (uint64_t)cohort_no << 8 | status;
    int64_t count = 0;
    TRY(tx_stmt(op, tx, &fact_get, &stmt));
    bind_int(stmt, 1, cohort_no);
    bind_int(stmt, 2, status);
    TRY(stmt_row(op, stmt, &found));
    if (found) {
        count = col_int(stmt, 0);
        stmt_reset(stmt);
    }
    if (tx_may_write(tx)) {
        struct tally *tally = tx_state(tx, &tally_family);
        const struct fact_delta *delta = deltas_peek(&tally->facts, no);
        count += delta ? delta->messages : 0;
    }
    *ret_count = count;
    return OK;
}
