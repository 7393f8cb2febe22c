/*
 * dedupe_merge.c - runs become fewer: four of a size are merged into one, dead ones are erased, both in slices.
 */
#include <string.h>

#include "store/dedupe_parts.h"

#define SLICE_BUCKETS_MAX 64
#define CATCH_UP_BUCKETS  256 /* of a run being built, written by another node: read for the filter at once */

SQL(run_state, "UPDATE dedupe_run SET state = ?2 WHERE no = ?1", NULL);
SQL(run_finish, "UPDATE dedupe_run SET state = 0, keys = ?2, bloom = ?3 WHERE no = ?1", NULL);
SQL(run_delete, "DELETE FROM dedupe_run WHERE no = ?1", NULL);
SQL(bucket_range, "SELECT keys FROM dedupe_bucket WHERE no >= ?1 AND no <= ?2 ORDER BY no", NULL);
SQL(bucket_erase, "DELETE FROM dedupe_bucket WHERE no >= ?1 AND no < ?2", NULL);

/* --- how far it is --- */

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
        bloom_begin(runs, merge->out);
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

/* --- merging --- */

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
        size_t count = keys.n / sizeof(struct run_key);
        scratch_fit(runs, *n + count);
        for (size_t i = 0; i < count; i++) {
            struct run_key key = bucket_key(keys, i);
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
    for (int i = 0; i < RUN_FAN; i++)
        TRY(run_die(op, tx, runs, merge->in[i]));
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
        for (size_t i = 0; i < keys.n / sizeof(struct run_key); i++)
            bloom_add(out->bloom, out->lines, bucket_key(keys, i));
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

bool runs_older(const struct runs *runs, int32_t before_day)
{
    for (const struct run *run = runs->all; run; run = run->next)
        if (run->day < before_day && !run->gone)
            return true;
    return false;
}

enum err runs_expire(struct op *op, struct tx *tx, struct runs *runs, int32_t before_day, int64_t max_buckets,
                     int64_t *ret_gone, bool *ret_more)
{
    int64_t left = max_buckets;
    for (struct run *run = runs->all; run; run = run->next)
        if (run->day < before_day && run->pending != RUN_DEAD)
            TRY(run_die(op, tx, runs, run));
    TRY(erase_work(op, tx, runs, &left));
    *ret_gone = max_buckets - left;
    *ret_more = runs_older(runs, before_day);
    return OK;
}
