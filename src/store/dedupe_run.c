#include "store/dedupe_run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/dedupe_bloom.h"
#include "store/seq.h"

#define RUN_SHIFT         24 /* a bucket's row number is run << 24 | bucket */
#define SLICE_BUCKETS_MAX 64
#define DAY_CHAINS        128
#define GUESSES_PER_KEY   2 /* on average; a key is in one run, and filters err seldom */
#define GUESSES_SPARE     64
#define CATCH_UP_BUCKETS  256 /* of a run being built, written by another node: read for the filter at once */

enum run_state {
    RUN_LIVE = 0,
    RUN_BUILDING = 1, /* output of a merge under way */
    RUN_DEAD = 2      /* being erased */
};

struct run {
    struct run *next;   /* of all runs */
    struct run *in_day; /* next of those whose day has the same chain */
    uint64_t no;
    int32_t day;
    enum run_state state;   /* as of the newest commit */
    enum run_state pending; /* what it becomes with the commit */
    int64_t keys;
    uint32_t buckets;
    uint32_t erased; /* of a dead run: buckets already gone */
    uint32_t erased_pending;
    bool gone;      /* its row leaves with this commit */
    bool is_new;    /* its row comes with this commit */
    uint8_t *bloom; /* NULL: not in RAM */
    size_t lines;
    uint32_t in_bloom; /* of a run being built: buckets whose keys are in the filter */
    bool listed;       /* by the list just read */
    uint64_t used;     /* tick of the newest look */
};

struct merge {
    struct run *out; /* NULL: none under way */
    struct run *in[RUN_FAN];
    uint32_t next, next_pending; /* first bucket not written */
};

struct runs {
    struct run *all;
    struct run *chains[DAY_CHAINS]; /* by day */
    struct merge merge;
    bool changed; /* some run has something pending */
    bool list_changed, merge_moved;
    size_t bloom_bytes;
    uint64_t tick;
    struct run_key *scratch; /* keys of a slice, then the same by bucket */
    size_t scratch_room;
};

SQL_SCAN(run_list, "SELECT no, day, state, keys, buckets FROM dedupe_run ORDER BY no", NULL);
SQL(run_add, "INSERT INTO dedupe_run (no, day, state, keys, buckets, bloom) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", NULL);
SQL(run_state, "UPDATE dedupe_run SET state = ?2 WHERE no = ?1", NULL);
SQL(run_finish, "UPDATE dedupe_run SET state = 0, keys = ?2, bloom = ?3 WHERE no = ?1", NULL);
SQL(run_bloom, "SELECT bloom FROM dedupe_run WHERE no = ?1", NULL);
SQL(run_delete, "DELETE FROM dedupe_run WHERE no = ?1", NULL);
SQL(bucket_get, "SELECT keys FROM dedupe_bucket WHERE no = ?1", NULL);
SQL(bucket_add, "INSERT INTO dedupe_bucket (no, keys) VALUES (?1, ?2)", NULL);
SQL(bucket_set, "UPDATE dedupe_bucket SET keys = ?2 WHERE no = ?1", NULL);
SQL(bucket_range, "SELECT keys FROM dedupe_bucket WHERE no >= ?1 AND no <= ?2 ORDER BY no", NULL);
SQL_ONLY_POSTGRES(bucket_rows, "INSERT INTO dedupe_bucket (no, keys) SELECT * FROM unnest(?1::bigint[], ?2::bytea[])");
SQL_ONLY_POSTGRES(bucket_wanted, "SELECT no, keys FROM dedupe_bucket WHERE no = ANY (?1)");
SQL(bucket_erase, "DELETE FROM dedupe_bucket WHERE no >= ?1 AND no < ?2", NULL);

/* --- arithmetic --- */

static int64_t row_of(const struct run *run, uint32_t bucket)
{
    return (int64_t)(run->no << RUN_SHIFT | bucket);
}

/* --- Bloom filters --- */

static void bloom_free(struct runs *runs, struct run *run)
{
    if (run->bloom)
        runs->bloom_bytes -= run->lines * BLOOM_LINE_BYTES;
    free(run->bloom);
    run->bloom = NULL;
}

static void bloom_alloc(struct runs *runs, struct run *run)
{
    run->bloom = aligned_alloc(BLOOM_LINE_BYTES, run->lines * BLOOM_LINE_BYTES);
    if (!run->bloom)
        abort();
    memset(run->bloom, 0, run->lines * BLOOM_LINE_BYTES);
    runs->bloom_bytes += run->lines * BLOOM_LINE_BYTES;
}

/* Gives up the filters least used until `bytes` more fit. That of a run being built is nowhere else and stays. */
static void bloom_make_room(struct runs *runs, size_t bytes)
{
    while (runs->bloom_bytes + bytes > BLOOM_BYTES_MAX) {
        struct run *oldest = NULL;
        for (struct run *run = runs->all; run; run = run->next)
            if (run->bloom && run->state != RUN_BUILDING && !run->is_new && (!oldest || run->used < oldest->used))
                oldest = run;
        if (!oldest)
            return;
        bloom_free(runs, oldest);
    }
}

static enum err bloom_load(struct op *op, struct tx *tx, struct runs *runs, struct run *run)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &run_bloom, &stmt));
    bind_int(stmt, 1, (int64_t)run->no);
    TRY(stmt_row(op, stmt, &found));
    struct str bytes = found ? col_blob_borrowed(stmt, 0) : (struct str){ NULL, 0 };
    if (bytes.n != run->lines * BLOOM_LINE_BYTES)
        return fail(op, ERR_IO, "the filter of dedupe run %llu is damaged", (unsigned long long)run->no);
    bloom_make_room(runs, bytes.n);
    bloom_alloc(runs, run);
    memcpy(run->bloom, bytes.p, bytes.n);
    stmt_reset(stmt);
    return OK;
}

/* --- the list --- */

struct runs *runs_new(void)
{
    struct runs *runs = calloc(1, sizeof *runs);
    if (!runs)
        abort();
    return runs;
}

static struct run **chain_of(struct runs *runs, int32_t day)
{
    return &runs->chains[(uint32_t)day % DAY_CHAINS];
}

/* Frees a run that was taken out of `all`. */
static void run_free(struct runs *runs, struct run *run)
{
    struct run **link = chain_of(runs, run->day);
    while (*link != run)
        link = &(*link)->in_day;
    *link = run->in_day;
    bloom_free(runs, run);
    free(run);
}

void runs_free(struct runs *runs)
{
    while (runs->all) {
        struct run *run = runs->all;
        runs->all = run->next;
        run_free(runs, run);
    }
    free(runs->scratch);
    free(runs);
}

static struct run *run_new(struct runs *runs, uint64_t no, int32_t day, enum run_state state, int64_t keys,
                           uint32_t buckets)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    struct run **chain = chain_of(runs, day);
    *run = (struct run){ .next = runs->all,
                         .in_day = *chain,
                         .no = no,
                         .day = day,
                         .state = state,
                         .pending = state,
                         .keys = keys,
                         .buckets = buckets,
                         .lines = lines_for(keys) };
    runs->all = *chain = run;
    return run;
}

static struct run *run_find(struct runs *runs, uint64_t no)
{
    struct run *run = runs->all;
    while (run && run->no != no)
        run = run->next;
    return run;
}

/* Takes the runs out for which `leaves` holds. */
static void runs_sweep(struct runs *runs, bool (*leaves)(const struct run *run))
{
    for (struct run **link = &runs->all; *link;) {
        struct run *run = *link;
        if (!leaves(run)) {
            link = &run->next;
            continue;
        }
        *link = run->next;
        run_free(runs, run);
    }
}

static bool is_not_listed(const struct run *run)
{
    return !run->listed;
}

void runs_merge_set(struct runs *runs, const struct merge_note *note)
{
    struct merge *merge = &runs->merge;
    *merge = (struct merge){ .out = note->out ? run_find(runs, note->out) : NULL };
    if (!merge->out)
        return;
    merge->next = merge->next_pending = note->next;
    for (int i = 0; i < RUN_FAN && merge->out; i++) {
        merge->in[i] = run_find(runs, note->in[i]);
        if (!merge->in[i])
            merge->out = NULL; /* its day is being erased */
    }
    if (merge->out && !merge->out->bloom) {
        merge->out->in_bloom = 0;
        bloom_make_room(runs, merge->out->lines * BLOOM_LINE_BYTES);
        bloom_alloc(runs, merge->out);
    }
}

bool runs_merge_note(const struct runs *runs, struct merge_note *ret_note)
{
    const struct merge *merge = &runs->merge;
    *ret_note = (struct merge_note){ 0 };
    if (merge->out && merge->out->pending == RUN_BUILDING) {
        ret_note->out = merge->out->no;
        ret_note->next = merge->next_pending;
        for (int i = 0; i < RUN_FAN; i++)
            ret_note->in[i] = merge->in[i]->no;
    }
    return runs->merge_moved;
}

bool runs_list_changed(const struct runs *runs)
{
    return runs->list_changed;
}

static void run_listed(struct runs *runs, struct stmt *stmt)
{
    uint64_t no = (uint64_t)col_int(stmt, 0);
    enum run_state state = (enum run_state)col_int(stmt, 2);
    struct run *run = run_find(runs, no);
    if (!run)
        run = run_new(runs, no, (int32_t)col_int(stmt, 1), state, col_int(stmt, 3), (uint32_t)col_int(stmt, 4));
    if (run->state == RUN_BUILDING && state != RUN_BUILDING)
        bloom_free(runs, run); /* another node went on with it, and stored the whole filter */
    run->state = run->pending = state;
    run->listed = true;
}

enum err runs_load(struct op *op, struct tx *tx, struct runs *runs, const struct merge_note *merge)
{
    struct stmt *stmt;
    struct merge_note known;
    runs_merge_note(runs, &known);
    for (struct run *run = runs->all; run; run = run->next)
        run->listed = false;
    TRY(tx_stmt(op, tx, &run_list, &stmt));
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        run_listed(runs, stmt);
    }
    runs_sweep(runs, is_not_listed);
    runs_merge_set(runs, merge ? merge : &known);
    for (struct run *run = runs->all; run; run = run->next)
        if (run->state == RUN_BUILDING && run != runs->merge.out)
            run->state = run->pending = RUN_DEAD; /* the merge begins anew: nobody knows its inputs */
    return OK;
}

static void run_becomes(struct runs *runs, struct run *run, enum run_state state)
{
    run->pending = state;
    runs->changed = runs->list_changed = true;
}

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
    if (!run->bloom)
        TRY(bloom_load(op, tx, runs, run));
    run->used = runs->tick;
    *ret_has = false;
    if (!bloom_may_have(run->bloom, run->lines, key))
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

static int by_row(const void *a, const void *b)
{
    const struct guess *x = a, *y = b;
    return (x->row > y->row) - (x->row < y->row);
}

/* The rows that may have the key, by the filters of its day. */
static enum err key_guess(struct op *op, struct tx *tx, struct runs *runs, struct run_ask *ask, struct guess *guesses,
                          size_t max, size_t *n)
{
    for (struct run *run = *chain_of(runs, ask->day); run && *n < max; run = run->in_day) {
        if (run->day != ask->day || run->pending != RUN_LIVE || run->is_new)
            continue;
        if (!run->bloom)
            TRY(bloom_load(op, tx, runs, run));
        run->used = runs->tick;
        if (bloom_may_have(run->bloom, run->lines, ask->key))
            guesses[(*n)++] = (struct guess){ row_of(run, place_of(run_key_hash(ask->key), run->buckets)), ask };
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
    struct guess *guesses;
    int64_t *rows;
    size_t count = 0, max = n * GUESSES_PER_KEY + GUESSES_SPARE;
    TRY(op_alloc(op, max * sizeof *guesses, &guesses));
    TRY(op_alloc(op, max * sizeof *rows, &rows));
    runs->tick++;
    for (size_t i = 0; i < n; i++)
        TRY(key_guess(op, tx, runs, &asks[i], guesses, max, &count));
    if (count == max)
        return fail(op, ERR_BUG, "the filters of dedupe keys are of no use");
    if (count == 0)
        return OK;
    qsort(guesses, count, sizeof *guesses, by_row);
    for (size_t i = 0; i < count; i++)
        rows[i] = guesses[i].row;
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &bucket_wanted, &stmt));
    bind_ints(stmt, 1, rows, count);
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            return OK;
        row_look(col_int(stmt, 0), col_blob_borrowed(stmt, 1), guesses, count);
    }
}

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

static void scratch_fit(struct runs *runs, size_t keys)
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

/* Writes n keys, all of buckets [from, to) of the run, and notes them in its filter. */
static enum err buckets_write(struct op *op, struct tx *tx, const struct run *run, uint32_t from, uint32_t to,
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

static enum err run_insert(struct op *op, struct tx *tx, const struct run *run)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &run_add, &stmt));
    bind_int(stmt, 1, (int64_t)run->no);
    bind_int(stmt, 2, run->day);
    bind_int(stmt, 3, run->state);
    bind_int(stmt, 4, run->keys);
    bind_int(stmt, 5, run->buckets);
    if (run->state == RUN_BUILDING)
        bind_null(stmt, 6);
    else
        bind_blob(stmt, 6, run->bloom, run->lines * BLOOM_LINE_BYTES);
    return stmt_later(op, stmt);
}

/* A run that exists with the commit; its filter is empty in RAM. */
static struct run *run_begin(struct tx *tx, struct runs *runs, int32_t day, enum run_state state, int64_t keys)
{
    struct run *run = run_new(runs, store_seq_next(tx, SEQ_DEDUPE), day, state, keys, buckets_for(keys));
    run->is_new = true;
    runs->changed = runs->list_changed = true;
    bloom_make_room(runs, run->lines * BLOOM_LINE_BYTES);
    bloom_alloc(runs, run);
    return run;
}

enum err runs_add(struct op *op, struct tx *tx, struct runs *runs, int32_t day, const struct run_key *keys, size_t n)
{
    struct run *run = run_begin(tx, runs, day, RUN_LIVE, (int64_t)n);
    scratch_fit(runs, n);
    TRY(buckets_write(op, tx, run, 0, run->buckets, keys, n, runs->scratch));
    return run_insert(op, tx, run);
}

/* --- merging --- */

/* Four live runs of the run's day and tier, itself among them. */
static bool merge_find(struct runs *runs, const struct run *like, struct run *ret_in[RUN_FAN])
{
    int n = 0;
    for (struct run *run = *chain_of(runs, like->day); run && n < RUN_FAN; run = run->in_day)
        if (run->day == like->day && run->pending == RUN_LIVE && !run->is_new &&
            tier_of(run->keys) == tier_of(like->keys) && run->keys <= RUN_KEYS_MAX)
            ret_in[n++] = run;
    return n == RUN_FAN;
}

static enum err merge_begin(struct op *op, struct tx *tx, struct runs *runs)
{
    struct merge *merge = &runs->merge;
    for (struct run *run = runs->all; run; run = run->next) {
        if (run->pending != RUN_LIVE || run->is_new || run->keys > RUN_KEYS_MAX || !merge_find(runs, run, merge->in))
            continue;
        int64_t keys = 0;
        for (int i = 0; i < RUN_FAN; i++)
            keys += merge->in[i]->keys;
        merge->out = run_begin(tx, runs, run->day, RUN_BUILDING, keys);
        merge->next = merge->next_pending = 0;
        runs->merge_moved = true;
        return run_insert(op, tx, merge->out);
    }
    return OK;
}

/* Adds the keys of one input that belong to buckets [from, to) of the output to the scratch. */
static enum err merge_gather(struct op *op, struct tx *tx, struct runs *runs, const struct run *in, uint32_t from,
                             uint32_t to, size_t *n)
{
    uint32_t out_buckets = runs->merge.out->buckets;
    uint64_t low = first_of(from, out_buckets);
    uint64_t high = to < out_buckets ? first_of(to, out_buckets) - 1 : UINT64_MAX;
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &bucket_range, &stmt));
    bind_int(stmt, 1, row_of(in, place_of(low, in->buckets)));
    bind_int(stmt, 2, row_of(in, place_of(high, in->buckets)));
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            return OK;
        struct str keys = col_blob_borrowed(stmt, 0);
        scratch_fit(runs, *n + keys.n / sizeof(struct run_key));
        for (size_t at = 0; at + sizeof(struct run_key) <= keys.n; at += sizeof(struct run_key)) {
            struct run_key key;
            memcpy(&key, keys.p + at, sizeof key);
            uint64_t hash = run_key_hash(key);
            if (hash >= low && hash <= high)
                runs->scratch[(*n)++] = key;
        }
    }
}

/* The output takes the place of its inputs. */
static enum err merge_finish(struct op *op, struct tx *tx, struct runs *runs)
{
    struct merge *merge = &runs->merge;
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &run_finish, &stmt));
    bind_int(stmt, 1, (int64_t)merge->out->no);
    bind_int(stmt, 2, merge->out->keys);
    bind_blob(stmt, 3, merge->out->bloom, merge->out->lines * BLOOM_LINE_BYTES);
    TRY(stmt_later(op, stmt));
    run_becomes(runs, merge->out, RUN_LIVE);
    runs->merge_moved = true;
    for (int i = 0; i < RUN_FAN; i++) {
        run_becomes(runs, merge->in[i], RUN_DEAD);
        TRY(tx_stmt(op, tx, &run_state, &stmt));
        bind_int(stmt, 1, (int64_t)merge->in[i]->no);
        bind_int(stmt, 2, RUN_DEAD);
        TRY(stmt_later(op, stmt));
    }
    return OK;
}

/* Notes in the filter of the run being built some of the keys that are there already: written by another node, or
 * before a restart. */
static enum err merge_catch_up(struct op *op, struct tx *tx, struct runs *runs)
{
    struct run *out = runs->merge.out;
    uint32_t left = runs->merge.next - out->in_bloom;
    uint32_t to = out->in_bloom + (left < CATCH_UP_BUCKETS ? left : CATCH_UP_BUCKETS);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &bucket_range, &stmt));
    bind_int(stmt, 1, row_of(out, out->in_bloom));
    bind_int(stmt, 2, row_of(out, to - 1));
    for (;;) {
        bool more;
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct str keys = col_blob_borrowed(stmt, 0);
        for (size_t at = 0; at + sizeof(struct run_key) <= keys.n; at += sizeof(struct run_key)) {
            struct run_key key;
            memcpy(&key, keys.p + at, sizeof key);
            bloom_add(out->bloom, out->lines, key);
        }
    }
    out->in_bloom = to;
    return OK;
}

static enum err merge_work(struct op *op, struct tx *tx, struct runs *runs, uint32_t buckets)
{
    struct merge *merge = &runs->merge;
    if (!merge->out)
        return merge_begin(op, tx, runs);
    if (merge->out->pending != RUN_BUILDING)
        return OK; /* its day was expired in this transaction */
    if (merge->out->in_bloom < merge->next)
        TRY(merge_catch_up(op, tx, runs));
    if (merge->out->in_bloom < merge->next)
        return OK; /* more of it next time */
    uint32_t from = merge->next, left = merge->out->buckets - from;
    uint32_t to = from + (left < buckets ? left : buckets);
    size_t n = 0;
    for (int i = 0; i < RUN_FAN; i++)
        TRY(merge_gather(op, tx, runs, merge->in[i], from, to, &n));
    scratch_fit(runs, n);
    TRY(buckets_write(op, tx, merge->out, from, to, runs->scratch, n, runs->scratch + n));
    merge->next_pending = merge->out->in_bloom = to;
    runs->changed = runs->merge_moved = true;
    return to == merge->out->buckets ? merge_finish(op, tx, runs) : OK;
}

/* --- erasing --- */

/* Erases up to *buckets rows of dead runs, and the runs that are empty then. */
static enum err erase_work(struct op *op, struct tx *tx, struct runs *runs, int64_t *buckets)
{
    for (struct run *run = runs->all; run && *buckets > 0; run = run->next) {
        if (run->pending != RUN_DEAD || run->gone)
            continue;
        uint32_t left = run->buckets - run->erased_pending;
        uint32_t n = left < *buckets ? left : (uint32_t)*buckets;
        struct stmt *stmt;
        TRY(tx_stmt(op, tx, &bucket_erase, &stmt));
        bind_int(stmt, 1, row_of(run, run->erased_pending));
        bind_int(stmt, 2, row_of(run, run->erased_pending + n));
        TRY(stmt_later(op, stmt));
        run->erased_pending += n;
        runs->changed = true;
        *buckets -= n;
        if (run->erased_pending < run->buckets)
            continue;
        TRY(tx_stmt(op, tx, &run_delete, &stmt));
        bind_int(stmt, 1, (int64_t)run->no);
        TRY(stmt_later(op, stmt));
        run->gone = true;
        runs->list_changed = true;
    }
    return OK;
}

enum err runs_work(struct op *op, struct tx *tx, struct runs *runs, size_t keys)
{
    int64_t buckets = (int64_t)(keys / BUCKET_KEYS) + 1;
    if (buckets > SLICE_BUCKETS_MAX)
        buckets = SLICE_BUCKETS_MAX;
    TRY(merge_work(op, tx, runs, (uint32_t)buckets));
    return erase_work(op, tx, runs, &buckets);
}

static enum err run_die(struct op *op, struct tx *tx, struct runs *runs, struct run *run)
{
    struct stmt *stmt;
    run_becomes(runs, run, RUN_DEAD);
    runs->merge_moved |= run == runs->merge.out;
    TRY(tx_stmt(op, tx, &run_state, &stmt));
    bind_int(stmt, 1, (int64_t)run->no);
    bind_int(stmt, 2, RUN_DEAD);
    return stmt_later(op, stmt);
}

enum err runs_expire(struct op *op, struct tx *tx, struct runs *runs, int32_t before_day, int64_t max_buckets,
                     bool *ret_more)
{
    for (struct run *run = runs->all; run; run = run->next)
        if (run->day < before_day && run->pending != RUN_DEAD)
            TRY(run_die(op, tx, runs, run));
    TRY(erase_work(op, tx, runs, &max_buckets));
    *ret_more = false;
    for (const struct run *run = runs->all; run; run = run->next)
        if (run->day < before_day && run->pending == RUN_DEAD && !run->gone)
            *ret_more = true;
    return OK;
}

/* --- the group --- */

/* A merge whose output is live or dead by now is over. */
static void merge_settle(struct runs *runs)
{
    struct merge *merge = &runs->merge;
    merge->next = merge->next_pending;
    if (merge->out && merge->out->state != RUN_BUILDING)
        merge->out = NULL;
}

static bool is_gone(const struct run *run)
{
    return run->gone;
}

static bool is_new(const struct run *run)
{
    return run->is_new;
}

void runs_kept(struct runs *runs)
{
    if (!runs->changed)
        return;
    runs->changed = runs->list_changed = runs->merge_moved = false;
    for (struct run *run = runs->all; run; run = run->next) {
        run->state = run->pending;
        run->erased = run->erased_pending;
        run->is_new = false;
        if (run->state == RUN_DEAD)
            bloom_free(runs, run);
    }
    merge_settle(runs);
    runs_sweep(runs, is_gone);
}

void runs_drop(struct runs *runs)
{
    struct merge *merge = &runs->merge;
    if (!runs->changed)
        return;
    runs->changed = runs->list_changed = runs->merge_moved = false;
    if (merge->out && merge->out->is_new)
        merge->out = NULL;
    merge->next_pending = merge->next;
    if (merge->out && merge->out->in_bloom > merge->next)
        merge->out->in_bloom = merge->next; /* the rest is added again */
    for (struct run *run = runs->all; run; run = run->next) {
        run->pending = run->state;
        run->erased_pending = run->erased;
        run->gone = false;
    }
    runs_sweep(runs, is_new);
}
