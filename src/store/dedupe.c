#include "store/dedupe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/db.h"
#include "store/dedupe_run.h"
#include "store/postgres_table.h"
#include "store/seq.h"

#define SLOTS_MIN      256
#define WORK_PER_KEY   4 /* keys merged or erased for each new one: a key moves about three times */
#define FORGOTTEN_FLAG 0x80000000u

extern const struct schema_step dedupe_step;
extern const struct family dedupe_family;

const struct schema_step dedupe_step = {
    "dedupe",
    "CREATE TABLE dedupe_log (no INTEGER PRIMARY KEY, keys BLOB NOT NULL);"
    "CREATE TABLE dedupe_run (no INTEGER PRIMARY KEY, day INTEGER NOT NULL, state INTEGER NOT NULL,"
    " keys INTEGER NOT NULL, buckets INTEGER NOT NULL, bloom BLOB);"
    "CREATE TABLE dedupe_bucket (no INTEGER PRIMARY KEY, keys BLOB NOT NULL);",
    "CREATE TABLE dedupe_log (no bigint PRIMARY KEY, keys bytea NOT NULL)" PG_PASSES_LARGE ";"
    "CREATE TABLE dedupe_run (no bigint PRIMARY KEY, day bigint NOT NULL, state bigint NOT NULL,"
    " keys bigint NOT NULL, buckets bigint NOT NULL, bloom bytea)" PG_PASSES_LARGE ";"
    "CREATE TABLE dedupe_bucket (no bigint PRIMARY KEY, keys bytea NOT NULL)" PG_PASSES
    ";" PG_EXTERNAL("dedupe_log", "keys") PG_EXTERNAL("dedupe_run", "bloom") PG_PLAIN("dedupe_bucket", "keys"),
};

SQL_SCAN(log_all, "SELECT keys FROM dedupe_log ORDER BY no", NULL);
SQL(log_add, "INSERT INTO dedupe_log (no, keys) VALUES (?1, ?2)", NULL);
SQL_SCAN(log_clear, "DELETE FROM dedupe_log", NULL);

struct entry {
    struct run_key key;
    int32_t day;
    bool used;
};

/* What this transaction did to the young set, in order. */
struct change {
    struct run_key key;
    int32_t day;
    bool forgotten;
};

struct dedupe {
    struct entry *slots; /* open hash table of the young keys */
    size_t slot_count;   /* a power of two */
    size_t count;
    struct change *changes;
    size_t change_count, change_room;
    bool ripened; /* with the commit the young set becomes runs */
    struct runs *runs;
};

size_t dedupe_young_max = 65536;

/* --- the young set --- */

static size_t slot_of(const struct dedupe *dedupe, int32_t day, struct run_key key)
{
    return (run_key_hash(key) ^ (uint64_t)(uint32_t)day * 0x9E3779B97F4A7C15u) >> 20 & (dedupe->slot_count - 1);
}

/* The slot that holds the key, or the free one where it belongs. */
static size_t young_find(const struct dedupe *dedupe, int32_t day, struct run_key key)
{
    size_t i = slot_of(dedupe, day, key);
    for (; dedupe->slots[i].used; i = (i + 1) & (dedupe->slot_count - 1)) {
        const struct entry *entry = &dedupe->slots[i];
        if (entry->key.w[0] == key.w[0] && entry->key.w[1] == key.w[1] && entry->day == day)
            break;
    }
    return i;
}

static void young_resize(struct dedupe *dedupe, size_t slot_count)
{
    struct entry *old = dedupe->slots;
    size_t old_count = dedupe->slot_count;
    dedupe->slots = calloc(slot_count, sizeof *dedupe->slots);
    if (!dedupe->slots)
        abort();
    dedupe->slot_count = slot_count;
    for (size_t i = 0; i < old_count; i++)
        if (old[i].used)
            dedupe->slots[young_find(dedupe, old[i].day, old[i].key)] = old[i];
    free(old);
}

/* Fills the slot that young_find gave; the table may move afterwards. */
static void young_fill(struct dedupe *dedupe, size_t slot, int32_t day, struct run_key key)
{
    struct entry *entry = &dedupe->slots[slot];
    dedupe->count += !entry->used;
    *entry = (struct entry){ .key = key, .day = day, .used = true };
    if (4 * dedupe->count >= 3 * dedupe->slot_count)
        young_resize(dedupe, 2 * dedupe->slot_count);
}

static void young_add(struct dedupe *dedupe, int32_t day, struct run_key key)
{
    young_fill(dedupe, young_find(dedupe, day, key), day, key);
}

/* Frees the slot, and moves those behind it up that would not be found any more. */
static void young_remove(struct dedupe *dedupe, int32_t day, struct run_key key)
{
    size_t mask = dedupe->slot_count - 1, hole = young_find(dedupe, day, key);
    if (!dedupe->slots[hole].used)
        return;
    for (size_t i = (hole + 1) & mask; dedupe->slots[i].used; i = (i + 1) & mask) {
        size_t home = slot_of(dedupe, dedupe->slots[i].day, dedupe->slots[i].key);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue; /* its way from home does not pass the hole */
        dedupe->slots[hole] = dedupe->slots[i];
        hole = i;
    }
    dedupe->slots[hole].used = false;
    dedupe->count--;
}

static void young_clear(struct dedupe *dedupe)
{
    memset(dedupe->slots, 0, dedupe->slot_count * sizeof *dedupe->slots);
    dedupe->count = 0;
}

/* --- changes and their log --- */

static void note(struct dedupe *dedupe, int32_t day, struct run_key key, bool forgotten)
{
    if (dedupe->change_count == dedupe->change_room) {
        dedupe->change_room = dedupe->change_room ? 2 * dedupe->change_room : 1024;
        dedupe->changes = realloc(dedupe->changes, dedupe->change_room * sizeof *dedupe->changes);
        if (!dedupe->changes)
            abort();
    }
    dedupe->changes[dedupe->change_count++] = (struct change){ key, day, forgotten };
}

/* How many changes from the i-th on are of the same day and kind: they share a head in the log. */
static uint32_t stretch(const struct dedupe *dedupe, size_t i)
{
    const struct change *first = &dedupe->changes[i];
    uint32_t n = 1;
    while (i + n < dedupe->change_count && first[n].day == first->day && first[n].forgotten == first->forgotten)
        n++;
    return n;
}

/* One row for the group: stretches of {day, count and kind, keys}. */
static enum err log_write(struct op *op, struct tx *tx, const struct dedupe *dedupe)
{
    uint8_t *row;
    size_t at = 0;
    TRY(op_alloc(op, dedupe->change_count * (sizeof(struct run_key) + 8), &row));
    for (size_t i = 0; i < dedupe->change_count;) {
        uint32_t n = stretch(dedupe, i), head = n | (dedupe->changes[i].forgotten ? FORGOTTEN_FLAG : 0);
        memcpy(row + at, &dedupe->changes[i].day, 4);
        memcpy(row + at + 4, &head, 4);
        at += 8;
        for (; n > 0; n--, i++, at += sizeof(struct run_key))
            memcpy(row + at, &dedupe->changes[i].key, sizeof(struct run_key));
    }
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_add, &stmt));
    bind_int(stmt, 1, (int64_t)store_seq_next(tx, SEQ_DEDUPE));
    bind_blob(stmt, 2, row, at);
    return stmt_done(op, stmt);
}

static enum err log_replay_row(struct op *op, struct dedupe *dedupe, struct str row)
{
    while (row.n > 0) {
        int32_t day;
        uint32_t head;
        if (row.n < 8)
            return fail(op, ERR_IO, "the log of dedupe keys is damaged");
        memcpy(&day, row.p, 4);
        memcpy(&head, row.p + 4, 4);
        size_t n = head & ~FORGOTTEN_FLAG;
        if (n > (row.n - 8) / sizeof(struct run_key))
            return fail(op, ERR_IO, "the log of dedupe keys is damaged");
        for (size_t i = 0; i < n; i++) {
            struct run_key key;
            memcpy(&key, row.p + 8 + i * sizeof key, sizeof key);
            if (head & FORGOTTEN_FLAG)
                young_remove(dedupe, day, key);
            else
                young_add(dedupe, day, key);
        }
        row.p += 8 + n * sizeof(struct run_key);
        row.n -= 8 + n * sizeof(struct run_key);
    }
    return OK;
}

static enum err log_replay(struct op *op, struct tx *tx, struct dedupe *dedupe)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &log_all, &stmt));
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            return OK;
        TRY(log_replay_row(op, dedupe, col_blob_borrowed(stmt, 0)));
    }
}

/* --- ripening --- */

static int by_day(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->day > y->day) - (x->day < y->day);
}

/* The young keys, those of a day together. */
static enum err young_by_day(struct op *op, const struct dedupe *dedupe, struct entry **ret_entries)
{
    struct entry *entries;
    size_t n = 0;
    bool sorted = true;
    TRY(op_alloc(op, dedupe->count * sizeof *entries, &entries));
    for (size_t i = 0; i < dedupe->slot_count; i++) {
        if (!dedupe->slots[i].used)
            continue;
        entries[n] = dedupe->slots[i];
        sorted = sorted && (n == 0 || entries[n].day == entries[0].day);
        n++;
    }
    if (!sorted)
        qsort(entries, n, sizeof *entries, by_day);
    *ret_entries = entries;
    return OK;
}

/* Writes the young keys as runs, one per day, in place of their log. */
static enum err ripen(struct op *op, struct tx *tx, struct dedupe *dedupe)
{
    struct entry *entries;
    struct run_key *keys;
    struct stmt *stmt;
    TRY(young_by_day(op, dedupe, &entries));
    TRY(op_alloc(op, dedupe->count * sizeof *keys, &keys));
    for (size_t i = 0; i < dedupe->count;) {
        size_t n = 0;
        int32_t day = entries[i].day;
        for (; i < dedupe->count && entries[i].day == day; i++)
            keys[n++] = entries[i].key;
        TRY(runs_add(op, tx, dedupe->runs, day, keys, n));
    }
    TRY(tx_stmt(op, tx, &log_clear, &stmt));
    TRY(stmt_done(op, stmt));
    dedupe->ripened = true;
    return OK;
}

/* --- the family --- */

static void dedupe_close(void *state)
{
    struct dedupe *dedupe = state;
    runs_free(dedupe->runs);
    free(dedupe->slots);
    free(dedupe->changes);
    free(dedupe);
}

static enum err dedupe_open(struct op *op, struct tx *tx, void **ret_state)
{
    struct dedupe *dedupe = calloc(1, sizeof *dedupe);
    if (!dedupe)
        abort();
    dedupe->runs = runs_new();
    young_resize(dedupe, SLOTS_MIN);
    enum err err = runs_load(op, tx, dedupe->runs);
    if (err == OK)
        err = log_replay(op, tx, dedupe);
    if (err != OK) {
        dedupe_close(dedupe);
        return err;
    }
    *ret_state = dedupe;
    return OK;
}

static enum err dedupe_flush(struct op *op, struct tx *tx, void *state)
{
    struct dedupe *dedupe = state;
    if (dedupe->change_count == 0)
        return OK;
    TRY(runs_work(op, tx, dedupe->runs, WORK_PER_KEY * dedupe->change_count));
    return dedupe->count >= dedupe_young_max ? ripen(op, tx, dedupe) : log_write(op, tx, dedupe);
}

static enum err dedupe_trim(struct op *op, struct tx *tx, void *state)
{
    const struct dedupe *dedupe = state;
    (void)op;
    if (dedupe->count > dedupe_young_max + dedupe_young_max / 4)
        tx_full(tx);
    return OK;
}

static void dedupe_kept(void *state)
{
    struct dedupe *dedupe = state;
    if (dedupe->ripened)
        young_clear(dedupe);
    dedupe->ripened = false;
    dedupe->change_count = 0;
    runs_kept(dedupe->runs);
}

static void dedupe_drop(void *state)
{
    struct dedupe *dedupe = state;
    while (dedupe->change_count > 0) {
        const struct change *change = &dedupe->changes[--dedupe->change_count];
        if (change->forgotten)
            young_add(dedupe, change->day, change->key);
        else
            young_remove(dedupe, change->day, change->key);
    }
    dedupe->ripened = false;
    runs_drop(dedupe->runs);
}

const struct family dedupe_family = {
    .name = "dedupe",
    .open = dedupe_open,
    .close = dedupe_close,
    .flush = dedupe_flush,
    .trim = dedupe_trim,
    .kept = dedupe_kept,
    .drop = dedupe_drop,
};

/* --- the calls --- */

enum err store_dedupe_take(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2], bool *ret_is_new)
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    struct run_key k = { { key[0], key[1] } };
    size_t slot = young_find(dedupe, day, k);
    bool known = dedupe->slots[slot].used;
    assert(tx_may_write(tx));
    if (!known)
        TRY(runs_has(op, tx, dedupe->runs, day, k, &known));
    if (!known) {
        young_fill(dedupe, slot, day, k);
        note(dedupe, day, k, false);
        tx_wrote(tx);
    }
    *ret_is_new = !known;
    return OK;
}

enum err store_dedupe_forget(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2])
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    struct run_key k = { { key[0], key[1] } };
    assert(tx_may_write(tx));
    if (!dedupe->slots[young_find(dedupe, day, k)].used)
        return runs_forget(op, tx, dedupe->runs, day, k);
    young_remove(dedupe, day, k);
    note(dedupe, day, k, true);
    tx_wrote(tx);
    return OK;
}

enum err store_dedupe_expire(struct op *op, struct tx *tx, int32_t before_day, int64_t max_rows, bool *ret_more)
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    assert(tx_may_write(tx));
    return runs_expire(op, tx, dedupe->runs, before_day, max_rows, ret_more);
}
