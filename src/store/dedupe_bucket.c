/*
 * dedupe_bucket.c - keys of runs in rows: looked up, taken out, written.
 */
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "store/dedupe_parts.h"

#define GUESSES_MIN 256

SQL(bucket_get, "SELECT keys FROM dedupe_bucket WHERE no = ?1", NULL);
SQL(bucket_add, "INSERT INTO dedupe_bucket (no, keys) VALUES (?1, ?2)", NULL);
SQL(bucket_set, "UPDATE dedupe_bucket SET keys = ?2 WHERE no = ?1", NULL);
SQL_ONLY_POSTGRES(bucket_rows, "INSERT INTO dedupe_bucket (no, keys) SELECT * FROM unnest(?1::bigint[], ?2::bytea[])");
SQL_ONLY_POSTGRES(bucket_wanted, "SELECT no, keys FROM dedupe_bucket WHERE no = ANY (?1)");

/* --- looking up --- */

static bool bucket_find(struct str bucket, struct run_key key, size_t *ret_at)
{
    for (size_t at = 0; at + sizeof key <= bucket.n; at += sizeof key)
        if (memcmp(bucket.p + at, &key, sizeof key) == 0) {
            *ret_at = at;
            return true;
        }
    return false;
}

static enum err bucket_read(struct op *op, struct tx *tx, const struct run *run, uint32_t bucket,
                            struct stmt **ret_stmt, struct str *ret_keys)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &bucket_get, &stmt));
    bind_int(stmt, 1, row_of(run, bucket));
    TRY(stmt_row(op, stmt, &found));
    *ret_keys = found ? col_blob_borrowed(stmt, 0) : (struct str){ "", 0 };
    *ret_stmt = stmt;
    return OK;
}

static enum err run_has(struct op *op, struct tx *tx, struct runs *runs, struct run *run, struct run_key key,
                        bool *ret_has)
{
    *ret_has = false;
    TRY(bloom_want(op, tx, runs, run));
    if (run->bloom && !bloom_may_have(run->bloom, run->lines, key))
        return OK;
    struct stmt *stmt;
    struct str keys;
    size_t at;
    TRY(bucket_read(op, tx, run, place_of(run_key_hash(key), run->buckets), &stmt, &keys));
    *ret_has = bucket_find(keys, key, &at);
    stmt_reset(stmt);
    return OK;
}

enum err runs_has(struct op *op, struct tx *tx, struct runs *runs, int32_t day, struct run_key key, bool *ret_has)
{
    bool has = false;
    runs->tick++;
    /* Each filter is a cache miss: let them all be under way before the first is needed. */
    for (const struct run *run = *chain_of(runs, day); run; run = run->in_day)
        if (run->bloom)
            __builtin_prefetch(bloom_line(run->bloom, run->lines, key));
    for (struct run *run = *chain_of(runs, day); run && !has; run = run->in_day)
        if (run->day == day && run->pending == RUN_LIVE && !run->is_new)
            TRY(run_has(op, tx, runs, run, key, &has));
    *ret_has = has;
    return OK;
}

/* A row that may have a key. */
struct guess {
    int64_t row;
    struct run_ask *ask;
};

/* As many as needed, in the op's arena. */
struct guesses {
    struct guess *all;
    size_t count, room;
};

static enum err guess_add(struct op *op, struct guesses *guesses, int64_t row, struct run_ask *ask)
{
    if (guesses->count == guesses->room) {
        struct guess *wider;
        size_t room = guesses->room ? 2 * guesses->room : GUESSES_MIN;
        TRY(op_alloc(op, room * sizeof *wider, &wider));
        if (guesses->count > 0)
            memcpy(wider, guesses->all, guesses->count * sizeof *wider);
        guesses->all = wider;
        guesses->room = room;
    }
    guesses->all[guesses->count++] = (struct guess){ row, ask };
    return OK;
}

static int by_row(const void *a, const void *b)
{
    const struct guess *x = a, *y = b;
    return sort_cmp_i64(x->row, y->row);
}

/* The rows that may have the key: by the filters of its day, one in each run without a filter in RAM. */
static enum err key_guess(struct op *op, struct tx *tx, struct runs *runs, struct run_ask *ask, struct guesses *guesses)
{
    for (struct run *run = *chain_of(runs, ask->day); run; run = run->in_day) {
        if (run->day != ask->day || run->pending != RUN_LIVE || run->is_new)
            continue;
        TRY(bloom_want(op, tx, runs, run));
        if (!run->bloom || bloom_may_have(run->bloom, run->lines, ask->key))
            TRY(guess_add(op, guesses, row_of(run, place_of(run_key_hash(ask->key), run->buckets)), ask));
    }
    return OK;
}

/* Looks into one row for the keys that may be there; the guesses are in order of rows. */
static void row_look(int64_t row, struct str keys, const struct guess *guesses, size_t n)
{
    size_t low = 0, high = n, at;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (guesses[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < n && guesses[low].row == row; low++)
        guesses[low].ask->known |= bucket_find(keys, guesses[low].ask->key, &at);
}

enum err runs_ask(struct op *op, struct tx *tx, struct runs *runs, struct run_ask *asks, size_t n)
{
    struct guesses guesses = { 0 };
    int64_t *rows;
    runs->tick += n;
    for (size_t i = 0; i < n; i++)
        TRY(key_guess(op, tx, runs, &asks[i], &guesses));
    if (guesses.count == 0)
        return OK;
    TRY(op_alloc(op, guesses.count * sizeof *rows, &rows));
    qsort(guesses.all, guesses.count, sizeof *guesses.all, by_row);
    for (size_t i = 0; i < guesses.count; i++)
        rows[i] = guesses.all[i].row;
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &bucket_wanted, &stmt));
    bind_ints(stmt, 1, rows, guesses.count);
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            return OK;
        row_look(col_int(stmt, 0), col_blob_borrowed(stmt, 1), guesses.all, guesses.count);
    }
}

/* --- taking out --- */

static enum err bucket_without(struct op *op, struct tx *tx, const struct run *run, struct run_key key)
{
    uint32_t bucket = place_of(run_key_hash(key), run->buckets);
    struct stmt *stmt;
    struct str keys;
    size_t at;
    TRY(bucket_read(op, tx, run, bucket, &stmt, &keys));
    if (!bucket_find(keys, key, &at)) {
        stmt_reset(stmt);
        return OK;
    }
    char *rest;
    TRY(op_alloc(op, keys.n, &rest));
    memcpy(rest, keys.p, at);
    memcpy(rest + at, keys.p + at + sizeof key, keys.n - at - sizeof key);
    size_t n = keys.n - sizeof key;
    stmt_reset(stmt);
    TRY(tx_stmt(op, tx, &bucket_set, &stmt));
    bind_int(stmt, 1, row_of(run, bucket));
    bind_blob(stmt, 2, rest, n);
    return stmt_later(op, stmt);
}

enum err runs_forget(struct op *op, struct tx *tx, struct runs *runs, int32_t day, struct run_key key)
{
    for (struct run *run = *chain_of(runs, day); run; run = run->in_day)
        if (run->day == day && run->pending != RUN_DEAD && !run->is_new)
            TRY(bucket_without(op, tx, run, key)); /* of a run being built, too: the key may have arrived there */
    return OK;
}

/* --- writing --- */

void scratch_fit(struct runs *runs, size_t keys)
{
    if (2 * keys <= runs->scratch_room)
        return;
    runs->scratch_room = 2 * keys + keys / 2;
    runs->scratch = realloc(runs->scratch, runs->scratch_room * sizeof *runs->scratch);
    if (!runs->scratch)
        abort();
}

static enum err buckets_insert(struct op *op, struct tx *tx, const int64_t *rows, const struct str *buckets, size_t n)
{
    struct stmt *stmt;
    if (n > 0 && tx_is_shared(tx)) {
        TRY(tx_stmt(op, tx, &bucket_rows, &stmt));
        bind_ints(stmt, 1, rows, n);
        bind_blobs(stmt, 2, buckets, n);
        return stmt_later(op, stmt);
    }
    for (size_t i = 0; i < n; i++) {
        TRY(tx_stmt(op, tx, &bucket_add, &stmt));
        bind_int(stmt, 1, rows[i]);
        bind_blob(stmt, 2, buckets[i].p, buckets[i].n);
        TRY(stmt_later(op, stmt));
    }
    return OK;
}

enum err buckets_write(struct op *op, struct tx *tx, const struct run *run, uint32_t from, uint32_t to,
                       const struct run_key *keys, size_t n, struct run_key *room)
{
    uint32_t *end;
    TRY(op_alloc(op, (to - from) * sizeof *end, &end));
    for (size_t i = 0; i < n; i++)
        end[place_of(run_key_hash(keys[i]), run->buckets) - from]++;
    for (uint32_t b = 1; b < to - from; b++)
        end[b] += end[b - 1];
    for (size_t i = 0; i < n; i++) {
        room[--end[place_of(run_key_hash(keys[i]), run->buckets) - from]] = keys[i];
        bloom_add(run->bloom, run->lines, keys[i]);
    }
    int64_t *rows;
    struct str *buckets;
    size_t count = 0;
    TRY(op_alloc(op, (to - from) * sizeof *rows, &rows));
    TRY(op_alloc(op, (to - from) * sizeof *buckets, &buckets));
    for (uint32_t b = 0; b < to - from; b++) { /* end[b] is now where the bucket begins */
        size_t stop = b + 1 < to - from ? end[b + 1] : n;
        if (stop == end[b])
            continue;
        rows[count] = row_of(run, from + b);
        buckets[count++] = (struct str){ (const char *)(room + end[b]), (stop - end[b]) * sizeof *room };
    }
    return buckets_insert(op, tx, rows, buckets, count);
}

enum err runs_add(struct op *op, struct tx *tx, struct runs *runs, int32_t day, const struct run_key *keys, size_t n)
{
    struct run *run = run_begin(tx, runs, day, RUN_LIVE, (int64_t)n);
    scratch_fit(runs, n);
    TRY(buckets_write(op, tx, run, 0, run->buckets, keys, n, runs->scratch));
    return run_insert(op, tx, run);
}
