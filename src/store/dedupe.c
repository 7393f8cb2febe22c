#include "store/dedupe.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/sort.h"
#include "store/db.h"
#include "store/dedupe_set.h"
#include "store/postgres_table.h"
#include "store/seq.h"

#define WORK_PER_KEY   4 /* keys merged or erased for each new one: a key moves about three times */
#define FORGOTTEN_FLAG 0x80000000u
#define NOTE           INT32_MIN /* in place of a day: what follows are no keys, but see enum note */
#define ASKED_MAX      65536     /* keys whose answers are remembered within a group */

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

SQL(log_after, "SELECT no, keys FROM dedupe_log WHERE no > ?1 ORDER BY no", NULL);
SQL(log_add, "INSERT INTO dedupe_log (no, keys) VALUES (?1, ?2)", NULL);
SQL(log_erase, "DELETE FROM dedupe_log WHERE no >= ?1 AND no < ?2", NULL);

/* What a row of the log says beside its keys. */
enum note {
    NOTE_RIPENED = 1, /* the young keys of all rows before are in runs; those rows are gone */
    NOTE_RUNS = 2,    /* the list of runs changed */
    NOTE_MERGE = 3    /* struct merge_note: how far a merge is */
};

/* What this transaction did to the young set, in order. */
struct change {
    struct run_key key;
    int32_t day;
    bool forgotten;
};

/* Rows of the log as far as this node knows. */
struct log {
    int64_t first, newest;
};

struct dedupe {
    struct key_set young;
    struct key_set asked; /* answers of runs, read ahead for this group */
    struct change *changes;
    size_t change_count, change_room;
    bool ripened; /* with the commit the young set becomes runs */
    struct log log, log_kept;
    struct runs *runs;
    struct buf row;
};

size_t dedupe_young_max = 65536;

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

static void note_add(struct dedupe *dedupe, enum note what, const void *bytes, size_t n)
{
    int32_t day = NOTE;
    uint32_t head = what;
    buf_add(&dedupe->row, &day, sizeof day);
    buf_add(&dedupe->row, &head, sizeof head);
    buf_add(&dedupe->row, bytes, n);
}

/* The group's row begins with what it says of the runs. */
static void row_begin(struct dedupe *dedupe, bool ripened)
{
    struct merge_note merge;
    buf_reset(&dedupe->row);
    if (ripened)
        note_add(dedupe, NOTE_RIPENED, NULL, 0);
    if (runs_list_changed(dedupe->runs))
        note_add(dedupe, NOTE_RUNS, NULL, 0);
    if (runs_merge_note(dedupe->runs, &merge) || ripened)
        note_add(dedupe, NOTE_MERGE, &merge, sizeof merge);
}

static enum err row_write(struct op *op, struct tx *tx, struct dedupe *dedupe)
{
    struct stmt *stmt;
    if (dedupe->row.n == 0)
        return OK;
    dedupe->log.newest = (int64_t)store_seq_next(tx, SEQ_DEDUPE);
    TRY(tx_stmt(op, tx, &log_add, &stmt));
    bind_int(stmt, 1, dedupe->log.newest);
    bind_blob(stmt, 2, dedupe->row.p, dedupe->row.n);
    return stmt_later(op, stmt);
}

/* One row for the group: notes, then stretches of {day, count and kind, keys}. */
static enum err log_write(struct op *op, struct tx *tx, struct dedupe *dedupe)
{
    row_begin(dedupe, false);
    for (size_t i = 0; i < dedupe->change_count;) {
        uint32_t n = stretch(dedupe, i), head = n | (dedupe->changes[i].forgotten ? FORGOTTEN_FLAG : 0);
        buf_add(&dedupe->row, &dedupe->changes[i].day, 4);
        buf_add(&dedupe->row, &head, 4);
        for (; n > 0; n--, i++)
            buf_add(&dedupe->row, &dedupe->changes[i].key, sizeof(struct run_key));
    }
    return row_write(op, tx, dedupe);
}

/* What the rows read at once say of the runs. */
struct news {
    int64_t row;
    bool runs;
    bool has_merge;
    struct merge_note merge;
};

static enum err replay_note(struct op *op, struct dedupe *dedupe, uint32_t what, struct str *left, struct news *news)
{
    if (what == NOTE_RIPENED) {
        key_set_clear(&dedupe->young);
        dedupe->log.first = news->row;
    } else if (what == NOTE_RUNS) {
        news->runs = true;
    } else if (what == NOTE_MERGE && left->n >= sizeof news->merge) {
        news->has_merge = true;
        memcpy(&news->merge, left->p, sizeof news->merge);
        *left = (struct str){ left->p + sizeof news->merge, left->n - sizeof news->merge };
    } else {
        return fail(op, ERR_IO, "the log of dedupe keys is damaged");
    }
    return OK;
}

static void replay_keys(struct dedupe *dedupe, int32_t day, uint32_t head, const char *keys)
{
    size_t n = head & ~FORGOTTEN_FLAG;
    for (size_t i = 0; i < n; i++) {
        struct run_key key;
        memcpy(&key, keys + i * sizeof key, sizeof key);
        if (head & FORGOTTEN_FLAG)
            key_set_remove(&dedupe->young, day, key);
        else
            key_set_add(&dedupe->young, day, key);
    }
}

static enum err log_replay_row(struct op *op, struct dedupe *dedupe, struct str row, struct news *news)
{
    while (row.n > 0) {
        int32_t day;
        uint32_t head;
        if (row.n < 8)
            return fail(op, ERR_IO, "the log of dedupe keys is damaged");
        memcpy(&day, row.p, 4);
        memcpy(&head, row.p + 4, 4);
        row = (struct str){ row.p + 8, row.n - 8 };
        if (day == NOTE) {
            TRY(replay_note(op, dedupe, head, &row, news));
            continue;
        }
        size_t n = head & ~FORGOTTEN_FLAG;
        if (n > row.n / sizeof(struct run_key))
            return fail(op, ERR_IO, "the log of dedupe keys is damaged");
        replay_keys(dedupe, day, head, row.p);
        row = (struct str){ row.p + n * sizeof(struct run_key), row.n - n * sizeof(struct run_key) };
    }
    return OK;
}

static enum err after_stmt(struct op *op, struct tx *tx, const struct dedupe *dedupe, struct stmt **ret_stmt)
{
    TRY(tx_stmt(op, tx, &log_after, ret_stmt));
    bind_int(*ret_stmt, 1, dedupe->log.newest);
    return OK;
}

/* Reads the rows of the log behind those known. They are known to the end only when what they say of the runs is, too:
 * before that a group that fails sets the log back. */
static enum err log_replay(struct op *op, struct tx *tx, struct dedupe *dedupe, struct news *news)
{
    struct stmt *stmt;
    if (!tx_answer(tx, &log_after, &stmt))
        TRY(after_stmt(op, tx, dedupe, &stmt));
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        news->row = dedupe->log.newest = col_int(stmt, 0);
        enum err err = log_replay_row(op, dedupe, col_blob_borrowed(stmt, 1), news);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
    return OK;
}

/* --- ripening --- */

static int by_day(const void *a, const void *b)
{
    const struct key_entry *x = a, *y = b;
    return sort_cmp_i64(x->day, y->day);
}

/* The young keys, those of a day together. */
static enum err young_by_day(struct op *op, const struct dedupe *dedupe, struct key_entry **ret_entries)
{
    struct key_entry *entries;
    size_t n = 0;
    bool sorted = true;
    TRY(op_alloc(op, dedupe->young.count * sizeof *entries, &entries));
    for (size_t i = 0; i < dedupe->young.slot_count; i++) {
        if (!dedupe->young.slots[i].used)
            continue;
        entries[n] = dedupe->young.slots[i];
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
    struct key_entry *entries;
    struct run_key *keys;
    struct stmt *stmt;
    size_t count = dedupe->young.count;
    TRY(young_by_day(op, dedupe, &entries));
    TRY(op_alloc(op, count * sizeof *keys, &keys));
    for (size_t i = 0; i < count;) {
        size_t n = 0;
        int32_t day = entries[i].day;
        for (; i < count && entries[i].day == day; i++)
            keys[n++] = entries[i].key;
        TRY(runs_add(op, tx, dedupe->runs, day, keys, n));
    }
    dedupe->ripened = true;
    row_begin(dedupe, true);
    TRY(row_write(op, tx, dedupe));
    TRY(tx_stmt(op, tx, &log_erase, &stmt));
    bind_int(stmt, 1, dedupe->log.first);
    bind_int(stmt, 2, dedupe->log.newest);
    dedupe->log.first = dedupe->log.newest;
    return stmt_later(op, stmt);
}

/* --- the family --- */

static void dedupe_close(void *state)
{
    struct dedupe *dedupe = state;
    runs_free(dedupe->runs);
    key_set_done(&dedupe->young);
    key_set_done(&dedupe->asked);
    free(dedupe->changes);
    buf_done(&dedupe->row);
    free(dedupe);
}

static enum err dedupe_open(struct op *op, struct tx *tx, void **ret_state)
{
    struct dedupe *dedupe = calloc(1, sizeof *dedupe);
    if (!dedupe)
        abort();
    dedupe->runs = runs_new();
    key_set_init(&dedupe->young);
    key_set_init(&dedupe->asked);
    buf_init(&dedupe->row, SIZE_MAX / 2);
    struct news news = { .runs = true };
    enum err err = log_replay(op, tx, dedupe, &news);
    if (err == OK)
        err = runs_load(op, tx, dedupe->runs, &news.merge);
    if (err != OK) {
        dedupe_close(dedupe);
        return err;
    }
    dedupe->log_kept = dedupe->log;
    *ret_state = dedupe;
    return OK;
}

static enum err dedupe_flush(struct op *op, struct tx *tx, void *state)
{
    struct dedupe *dedupe = state;
    if (dedupe->change_count > 0)
        TRY(runs_work(op, tx, dedupe->runs, WORK_PER_KEY * dedupe->change_count));
    bool full = dedupe->change_count > 0 && dedupe->young.count >= dedupe_young_max;
    return full ? ripen(op, tx, dedupe) : log_write(op, tx, dedupe);
}

static enum err dedupe_trim(struct op *op, struct tx *tx, void *state)
{
    const struct dedupe *dedupe = state;
    (void)op;
    if (dedupe->young.count > dedupe_young_max + dedupe_young_max / 4)
        tx_full(tx);
    return OK;
}

static void dedupe_kept(void *state)
{
    struct dedupe *dedupe = state;
    if (dedupe->ripened)
        key_set_clear(&dedupe->young);
    key_set_clear(&dedupe->asked);
    dedupe->ripened = false;
    dedupe->change_count = 0;
    dedupe->log_kept = dedupe->log;
    runs_kept(dedupe->runs);
}

static void dedupe_drop(void *state)
{
    struct dedupe *dedupe = state;
    while (dedupe->change_count > 0) {
        const struct change *change = &dedupe->changes[--dedupe->change_count];
        if (change->forgotten)
            key_set_add(&dedupe->young, change->day, change->key);
        else
            key_set_remove(&dedupe->young, change->day, change->key);
    }
    key_set_clear(&dedupe->asked);
    dedupe->ripened = false;
    dedupe->log = dedupe->log_kept;
    runs_drop(dedupe->runs);
}

static enum err dedupe_ask(struct op *op, struct tx *tx, void *state)
{
    struct stmt *stmt;
    TRY(after_stmt(op, tx, state, &stmt));
    return stmt_ask(op, stmt);
}

/* Other nodes took keys, made runs of them, merged or erased some. */
static enum err dedupe_foreign(struct op *op, struct tx *tx, void *state)
{
    struct dedupe *dedupe = state;
    struct news news = { .runs = false };
    TRY(log_replay(op, tx, dedupe, &news));
    if (news.runs)
        TRY(runs_load(op, tx, dedupe->runs, news.has_merge ? &news.merge : NULL));
    else if (news.has_merge)
        runs_merge_set(dedupe->runs, &news.merge);
    dedupe->log_kept = dedupe->log;
    return OK;
}

const struct family dedupe_family = {
    .name = "dedupe",
    .open = dedupe_open,
    .close = dedupe_close,
    .flush = dedupe_flush,
    .trim = dedupe_trim,
    .kept = dedupe_kept,
    .drop = dedupe_drop,
    .foreign = dedupe_foreign,
    .ask = dedupe_ask,
};

/* --- the calls --- */

static struct run_key key_of(const struct dedupe_key *key)
{
    return (struct run_key){ { key->key[0], key->key[1] } };
}

static const struct key_entry *set_look(const struct key_set *set, const struct dedupe_key *key)
{
    return &set->slots[key_set_find(set, key->day, key_of(key))];
}

enum err store_dedupe_prefetch(struct op *op, struct tx *tx, struct dedupe_key *keys, size_t count)
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    struct run_ask *asks;
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        keys[i].known = false;
    if (!tx_is_shared(tx) || count == 0 || dedupe->asked.count + count > ASKED_MAX)
        return OK;
    TRY(op_alloc(op, count * sizeof *asks, &asks));
    for (size_t i = 0; i < count; i++)
        if (!set_look(&dedupe->young, &keys[i])->used)
            asks[n++] = (struct run_ask){ .day = keys[i].day, .key = key_of(&keys[i]) };
    TRY(runs_ask(op, tx, dedupe->runs, asks, n));
    for (size_t i = 0; i < n; i++)
        key_set_fill(&dedupe->asked, key_set_find(&dedupe->asked, asks[i].day, asks[i].key), asks[i].day, asks[i].key,
                     asks[i].known);
    for (size_t i = 0; i < count; i++)
        keys[i].known = set_look(&dedupe->young, &keys[i])->used || set_look(&dedupe->asked, &keys[i])->known;
    return OK;
}

enum err store_dedupe_take(struct op *op, struct tx *tx, int32_t day, const uint64_t key[2], bool *ret_is_new)
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    struct run_key k = { { key[0], key[1] } };
    size_t slot = key_set_find(&dedupe->young, day, k);
    bool known = dedupe->young.slots[slot].used;
    assert(tx_may_write(tx));
    if (!known) {
        const struct key_entry *answer = &dedupe->asked.slots[key_set_find(&dedupe->asked, day, k)];
        if (answer->used)
            known = answer->known;
        else
            TRY(runs_has(op, tx, dedupe->runs, day, k, &known));
    }
    if (!known) {
        key_set_fill(&dedupe->young, slot, day, k, true);
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
    key_set_clear(&dedupe->asked);
    if (!dedupe->young.slots[key_set_find(&dedupe->young, day, k)].used)
        return runs_forget(op, tx, dedupe->runs, day, k);
    key_set_remove(&dedupe->young, day, k);
    note(dedupe, day, k, true);
    tx_wrote(tx);
    return OK;
}

enum err store_dedupe_has_older(struct op *op, struct tx *tx, int32_t before_day, bool *ret)
{
    const struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    (void)op;
    *ret = runs_older(dedupe->runs, before_day);
    return OK;
}

enum err store_dedupe_expire(struct op *op, struct tx *tx, int32_t before_day, int64_t max_rows, int64_t *ret_gone,
                             bool *ret_more)
{
    struct dedupe *dedupe = tx_state(tx, &dedupe_family);
    assert(tx_may_write(tx));
    return runs_expire(op, tx, dedupe->runs, before_day, max_rows, ret_gone, ret_more);
}
