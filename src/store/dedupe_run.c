#include "store/dedupe_run.h"

#include <stdlib.h>
#include <string.h>

#include "store/dedupe_parts.h"
#include "store/seq.h"

SQL_SCAN(run_list, "SELECT no, day, state, keys, buckets FROM dedupe_run ORDER BY no", NULL);
SQL(run_add, "INSERT INTO dedupe_run (no, day, state, keys, buckets, bloom) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", NULL);
SQL(run_bloom, "SELECT bloom FROM dedupe_run WHERE no = ?1", NULL);

#define COLD_KEYS  1000000 /* keys looked for since anybody asked a filter: it leaves for another */
#define RETRY_KEYS 4096    /* and until one that found no room is tried again */

size_t dedupe_filter_bytes_max = 128 * 1024 * 1024;

/* --- Bloom filters --- */

static void bloom_free(struct runs *runs, struct run *run)
{
    if (run->bloom)
        runs->bloom_bytes -= run->lines * BLOOM_LINE_BYTES;
    free(run->bloom);
    run->bloom = NULL;
}

static bool may_leave(const struct run *run)
{
    return run->bloom && run->state != RUN_BUILDING && !run->is_new; /* that of a run being built is nowhere else */
}

static bool is_cold(const struct runs *runs, const struct run *run)
{
    return run->used + COLD_KEYS < runs->tick;
}

/* Does the filter of `a` leave before that of `b`? Cold ones first, then the largest: without it as many keys must be
 * looked for in rows as without a small one, and it makes the most room. */
static bool leaves_first(const struct runs *runs, const struct run *a, const struct run *b)
{
    if (is_cold(runs, a) != is_cold(runs, b))
        return is_cold(runs, a);
    return a->lines != b->lines ? a->lines > b->lines : a->used < b->used;
}

/* Gives up filters, cold ones only or any, until one of so many lines fits. */
static bool bloom_make_room(struct runs *runs, size_t lines, bool cold_only)
{
    while (runs->bloom_bytes + lines * BLOOM_LINE_BYTES > dedupe_filter_bytes_max) {
        struct run *first = NULL;
        for (struct run *run = runs->all; run; run = run->next)
            if (may_leave(run) && (!cold_only || is_cold(runs, run)) && (!first || leaves_first(runs, run, first)))
                first = run;
        if (!first)
            return false;
        bloom_free(runs, first);
    }
    return true;
}

void bloom_begin(struct runs *runs, struct run *run)
{
    bloom_make_room(runs, run->lines, false);
    run->bloom = aligned_alloc(BLOOM_LINE_BYTES, run->lines * BLOOM_LINE_BYTES);
    if (!run->bloom)
        abort();
    memset(run->bloom, 0, run->lines * BLOOM_LINE_BYTES);
    runs->bloom_bytes += run->lines * BLOOM_LINE_BYTES;
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
    bloom_begin(runs, run);
    memcpy(run->bloom, bytes.p, bytes.n);
    stmt_reset(stmt);
    return OK;
}

enum err bloom_want(struct op *op, struct tx *tx, struct runs *runs, struct run *run)
{
    run->used = runs->tick;
    if (run->bloom || runs->tick < run->retry_at)
        return OK;
    if (bloom_make_room(runs, run->lines, true))
        return bloom_load(op, tx, runs, run);
    run->retry_at = runs->tick + RETRY_KEYS;
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

struct run *run_find(struct runs *runs, uint64_t no)
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

bool runs_list_changed(const struct runs *runs)
{
    return runs->list_changed;
}

/* --- changes --- */

void run_becomes(struct runs *runs, struct run *run, enum run_state state)
{
    run->pending = state;
    runs->changed = runs->list_changed = true;
}

enum err run_insert(struct op *op, struct tx *tx, const struct run *run)
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

struct run *run_begin(struct tx *tx, struct runs *runs, int32_t day, enum run_state state, int64_t keys)
{
    struct run *run = run_new(runs, store_seq_next(tx, SEQ_DEDUPE), day, state, keys, buckets_for(keys));
    run->is_new = true;
    runs->changed = runs->list_changed = true;
    bloom_begin(runs, run);
    return run;
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
