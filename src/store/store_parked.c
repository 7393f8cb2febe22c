#include "store/store_parked.h"

#include <stdlib.h>
#include <string.h>

#include "store/ahead.h"
#include "store/delta.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step parked_step = {
    .name = "parked events",
    .sqlite = "CREATE TABLE parked(seq INTEGER PRIMARY KEY, source_no INTEGER NOT NULL, tenant_no INTEGER NOT NULL,"
              " at_us INTEGER NOT NULL, parked_at_ms INTEGER NOT NULL, day INTEGER NOT NULL, key0 INTEGER NOT NULL,"
              " key1 INTEGER NOT NULL, event BLOB NOT NULL);"
              "CREATE INDEX parked_source ON parked(source_no, seq);"
              "CREATE TABLE parked_ref(ref INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(ref, seq))"
              " WITHOUT ROWID;"
              "CREATE INDEX parked_ref_seq ON parked_ref(seq);",
    .postgres = "CREATE TABLE parked(seq bigint PRIMARY KEY, source_no bigint NOT NULL,"
                " tenant_no bigint NOT NULL, at_us bigint NOT NULL, parked_at_ms bigint NOT NULL,"
                " day bigint NOT NULL, key0 bigint NOT NULL, key1 bigint NOT NULL, event bytea NOT NULL)" PG_GROWS ";"
                "CREATE INDEX parked_source ON parked(source_no, seq);"
                "CREATE TABLE parked_ref(ref bigint NOT NULL, seq bigint NOT NULL, PRIMARY KEY(ref, seq))" PG_GROWS ";"
                "CREATE INDEX parked_ref_seq ON parked_ref(seq);",
};

#define PARKED_COLUMNS "p.seq, p.source_no, p.tenant_no, p.at_us, p.parked_at_ms, p.day, p.key0, p.key1, p.event"
SQL(parked_insert,
    "INSERT INTO parked(seq, source_no, tenant_no, at_us, parked_at_ms, day, key0, key1, event)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9)",
    NULL);
SQL(parked_ref_insert, "INSERT INTO parked_ref(ref, seq) VALUES(?1,?2) ON CONFLICT DO NOTHING", NULL);
SQL(parked_by_ref,
    "SELECT " PARKED_COLUMNS " FROM parked_ref r JOIN parked p ON p.seq = r.seq WHERE r.ref = ?1"
    " ORDER BY p.at_us, p.seq",
    NULL);
SQL_ONLY_POSTGRES(parked_wanted, "SELECT DISTINCT ref FROM parked_ref WHERE ref = ANY (?1)");
SQL(parked_source_of, "SELECT source_no FROM parked WHERE seq = ?1", NULL);
SQL(parked_delete, "DELETE FROM parked WHERE seq = ?1", NULL);
SQL(parked_ref_delete, "DELETE FROM parked_ref WHERE seq = ?1", NULL);
SQL_SCAN(parked_counts, "SELECT source_no, count(*) FROM parked GROUP BY source_no",
         "SELECT source_no, sum(count)::bigint FROM (SELECT source_no, count FROM parked_count UNION ALL"
         " SELECT source_no, count FROM parked_count_delta WHERE no > " DELTA_FOLDED ") AS parts GROUP BY source_no");
/* Numbers grow with time. */
SQL(parked_old_of_source, "SELECT " PARKED_COLUMNS " FROM parked p WHERE p.source_no = ?1 ORDER BY p.seq LIMIT ?2",
    NULL);

/* How many each source has parked, so that an empty table costs an import nothing. Counted at open, kept exact; where
 * other nodes write too, a counter like any other (delta.h). */
#define SOURCES_MAX 4096

struct parked_counts {
    int64_t all, all_kept;
    int64_t of_source[SOURCES_MAX], of_source_kept[SOURCES_MAX];
    bool moved;
    bool stale; /* another node may have moved them */
};

static enum err counts_read(struct op *op, struct tx *tx, struct parked_counts *counts)
{
    struct stmt *stmt;
    memset(counts, 0, sizeof *counts);
    counts->stale = true; /* unless all of it can be read */
    TRY(tx_stmt(op, tx, &parked_counts, &stmt));
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        counts->of_source[col_int(stmt, 0) % SOURCES_MAX] += col_int(stmt, 1);
        counts->all += col_int(stmt, 1);
    }
    counts->all_kept = counts->all;
    memcpy(counts->of_source_kept, counts->of_source, sizeof counts->of_source);
    counts->stale = false;
    return OK;
}

static enum err counts_open(struct op *op, struct tx *tx, void **ret_state)
{
    struct parked_counts *counts = calloc(1, sizeof *counts);
    if (!counts)
        return fail(op, ERR_UNAVAILABLE, "no memory for the counts of parked events");
    enum err err = counts_read(op, tx, counts);
    if (err != OK)
        free(counts);
    else
        *ret_state = counts;
    return err;
}

static enum err counts_flush(struct op *op, struct tx *tx, void *state)
{
    struct parked_counts *counts = state;
    (void)op;
    if (!counts->moved || !tx_is_shared(tx))
        return OK;
    for (int64_t i = 0; i < SOURCES_MAX; i++) {
        int64_t delta = counts->of_source[i] - counts->of_source_kept[i];
        if (delta == 0)
            continue;
        struct rows *rows = delta_begin(tx, DELTA_PARKED);
        rows_int(rows, i);
        rows_int(rows, delta);
    }
    return OK;
}

static void counts_keep(void *state)
{
    struct parked_counts *counts = state;
    if (!counts->moved)
        return;
    counts->moved = false;
    counts->all_kept = counts->all;
    memcpy(counts->of_source_kept, counts->of_source, sizeof counts->of_source);
}

static void counts_drop(void *state)
{
    struct parked_counts *counts = state;
    counts->moved = false;
    counts->all = counts->all_kept;
    memcpy(counts->of_source, counts->of_source_kept, sizeof counts->of_source);
}

static enum err counts_foreign(struct op *op, struct tx *tx, void *state)
{
    struct parked_counts *counts = state;
    (void)op;
    (void)tx;
    counts->stale = true;
    return OK;
}

const struct family parked_family = {
    .name = "parked events",
    .open = counts_open,
    .close = free,
    .flush = counts_flush,
    .kept = counts_keep,
    .drop = counts_drop,
    .foreign = counts_foreign,
};

static enum err counts_of(struct op *op, struct tx *tx, struct parked_counts **ret_counts)
{
    struct parked_counts *counts = tx_state(tx, &parked_family);
    if (counts->stale)
        TRY(counts_read(op, tx, counts));
    *ret_counts = counts;
    return OK;
}

static enum err counts_add(struct op *op, struct tx *tx, uint32_t source_no, int delta)
{
    struct parked_counts *counts;
    TRY(counts_of(op, tx, &counts));
    counts->all += delta;
    counts->of_source[source_no % SOURCES_MAX] += delta;
    counts->moved = true;
    return OK;
}

enum err store_parked_is_empty(struct op *op, struct tx *tx, bool *ret_empty)
{
    struct parked_counts *counts;
    TRY(counts_of(op, tx, &counts));
    *ret_empty = counts->all == 0;
    return OK;
}

enum err store_parked_count(struct op *op, struct tx *tx, uint32_t source_no, int64_t *ret_count)
{
    struct parked_counts *counts;
    TRY(counts_of(op, tx, &counts));
    *ret_count = counts->of_source[source_no % SOURCES_MAX];
    return OK;
}

static struct ahead_key ref_key(int64_t ref)
{
    return (struct ahead_key){ AHEAD_PARKED, ref, 0 };
}

enum err store_parked_prefetch(struct op *op, struct tx *tx, const int64_t *refs, size_t count)
{
    struct stmt *stmt;
    bool empty;
    if (!tx_is_shared(tx) || !tx_may_write(tx) || count == 0)
        return OK;
    TRY(store_parked_is_empty(op, tx, &empty));
    if (empty)
        return OK;
    TRY(tx_stmt(op, tx, &parked_wanted, &stmt));
    bind_ints(stmt, 1, refs, count);
    for (size_t i = 0; i < count; i++)
        ahead_put(tx, ref_key(refs[i]), (struct ahead_answer){ 0 });
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        ahead_forget(tx, ref_key(col_int(stmt, 0)));
    }
}

enum err store_parked_add(struct op *op, struct tx *tx, struct parked *parked, const int64_t refs[], int ref_count)
{
    parked->seq = store_seq_next(tx, SEQ_PARKED);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &parked_insert, &stmt));
    bind_int(stmt, 1, (int64_t)parked->seq);
    bind_int(stmt, 2, parked->source_no);
    bind_int(stmt, 3, parked->tenant_no);
    bind_int(stmt, 4, parked->at_us);
    bind_int(stmt, 5, parked->parked_at_ms);
    bind_int(stmt, 6, parked->day);
    bind_int(stmt, 7, (int64_t)parked->key[0]);
    bind_int(stmt, 8, (int64_t)parked->key[1]);
    bind_blob(stmt, 9, parked->event.p, parked->event.n);
    TRY(stmt_later(op, stmt));
    for (int i = 0; i < ref_count; i++) {
        ahead_forget(tx, ref_key(refs[i]));
        TRY(tx_stmt(op, tx, &parked_ref_insert, &stmt));
        bind_int(stmt, 1, refs[i]);
        bind_int(stmt, 2, (int64_t)parked->seq);
        TRY(stmt_later(op, stmt));
    }
    return counts_add(op, tx, parked->source_no, 1);
}

static enum err parked_columns(struct op *op, struct stmt *stmt, struct parked *ret)
{
    struct str event = arena_str(op->arena, col_blob_borrowed(stmt, 8));
    if (!str_given(event))
        return fail(op, ERR_TOO_LARGE, "no room for a parked event");
    *ret = (struct parked){ .seq = (uint64_t)col_int(stmt, 0),
                            .source_no = (uint32_t)col_int(stmt, 1),
                            .tenant_no = (uint32_t)col_int(stmt, 2),
                            .at_us = col_int(stmt, 3),
                            .parked_at_ms = col_int(stmt, 4),
                            .day = (int32_t)col_int(stmt, 5),
                            .key = { (uint64_t)col_int(stmt, 6), (uint64_t)col_int(stmt, 7) },
                            .event = event };
    return OK;
}

/* Reads what the statement gives into an array of the op's arena, at most max. */
static enum err parked_rows(struct op *op, struct stmt *stmt, size_t max, struct parked **ret, size_t *ret_count)
{
    size_t room = 16, count = 0;
    struct parked *rows;
    TRY(op_alloc(op, room * sizeof *rows, &rows));
    while (count < max) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        if (count == room) {
            struct parked *wider;
            TRY(op_alloc(op, 2 * room * sizeof *wider, &wider));
            memcpy(wider, rows, count * sizeof *rows);
            rows = wider;
            room *= 2;
        }
        TRY(parked_columns(op, stmt, &rows[count]));
        count++;
    }
    stmt_reset(stmt);
    *ret = rows;
    *ret_count = count;
    return OK;
}

enum err store_parked_find(struct op *op, struct tx *tx, int64_t ref, struct parked **ret, size_t *ret_count)
{
    struct stmt *stmt;
    struct ahead_answer answer;
    *ret = NULL;
    *ret_count = 0;
    if (ahead_find(tx, ref_key(ref), &answer))
        return OK; /* nothing */
    TRY(tx_stmt(op, tx, &parked_by_ref, &stmt));
    bind_int(stmt, 1, ref);
    return parked_rows(op, stmt, SIZE_MAX, ret, ret_count);
}

enum err store_parked_delete(struct op *op, struct tx *tx, uint64_t seq)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &parked_source_of, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    uint32_t source_no = (uint32_t)col_int(stmt, 0);
    stmt_reset(stmt);
    TRY(tx_stmt(op, tx, &parked_delete, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_later(op, stmt));
    TRY(tx_stmt(op, tx, &parked_ref_delete, &stmt));
    bind_int(stmt, 1, (int64_t)seq);
    TRY(stmt_later(op, stmt));
    return counts_add(op, tx, source_no, -1);
}

static enum err of_source(struct op *op, struct tx *tx, uint32_t source_no, int64_t max, struct parked **ret,
                          size_t *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &parked_old_of_source, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, max);
    return parked_rows(op, stmt, (size_t)max, ret, ret_count);
}

enum err store_parked_of_source(struct op *op, struct tx *tx, uint32_t source_no, int64_t before_ms, int max,
                                struct parked **ret, size_t *ret_count)
{
    TRY(of_source(op, tx, source_no, max, ret, ret_count));
    for (size_t i = 0; i < *ret_count; i++)
        if ((*ret)[i].parked_at_ms >= before_ms)
            *ret_count = i;
    return OK;
}

enum err store_parked_next_source(struct op *op, struct tx *tx, int64_t after, int64_t *ret_source_no)
{
    struct parked_counts *counts;
    TRY(counts_of(op, tx, &counts));
    *ret_source_no = -1;
    for (int64_t i = after + 1; i < SOURCES_MAX && *ret_source_no < 0; i++)
        if (counts->of_source[i] > 0)
            *ret_source_no = i;
    return OK;
}

enum err store_parked_over(struct op *op, struct tx *tx, int max, struct parked **ret, size_t *ret_count)
{
    struct parked_counts *counts;
    *ret_count = 0;
    TRY(counts_of(op, tx, &counts));
    for (uint32_t i = 0; i < SOURCES_MAX; i++) {
        int64_t over = counts->of_source[i] - PARKED_PER_SOURCE_MAX;
        if (over > 0)
            return of_source(op, tx, i, over < max ? over : max, ret, ret_count);
    }
    return OK;
}
