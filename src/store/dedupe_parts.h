/*
 * dedupe_parts.h - the inside of the runs of dedupe keys, shared by dedupe_run.c (the list and its filters),
 * dedupe_bucket.c (keys in rows) and dedupe_merge.c.
 *
 * What a transaction changes is pending in RAM until runs_kept or runs_drop.
 */
#pragma once

#include <string.h>

#include "store/dedupe_bloom.h"

#define RUN_SHIFT  24 /* a bucket's row number is run << 24 | bucket */
#define DAY_CHAINS 128

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
    uint64_t retry_at; /* tick from which on its filter is tried again, which found no room */
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
    uint64_t tick;           /* keys looked for */
    struct run_key *scratch; /* keys of a slice, then the same by bucket */
    size_t scratch_room;
};

static inline int64_t row_of(const struct run *run, uint32_t bucket)
{
    return (int64_t)(run->no << RUN_SHIFT | bucket);
}

static inline struct run **chain_of(struct runs *runs, int32_t day)
{
    return &runs->chains[(uint32_t)day % DAY_CHAINS];
}

/* Key number `at` of a bucket's row, which is aligned to nothing. */
static inline struct run_key bucket_key(struct str keys, size_t at)
{
    struct run_key key;
    memcpy(&key, keys.p + at * sizeof key, sizeof key);
    return key;
}

/* --- dedupe_run.c --- */

/* NULL when there is none of that number. */
struct run *run_find(struct runs *runs, uint64_t no);

/* A run that exists with the commit; its filter is empty in RAM. */
struct run *run_begin(struct tx *tx, struct runs *runs, int32_t day, enum run_state state, int64_t keys);

/* Writes its row; that of a live one with its filter. */
enum err run_insert(struct op *op, struct tx *tx, const struct run *run);

/* With the commit, in RAM alone. */
void run_becomes(struct runs *runs, struct run *run, enum run_state state);

/* Notes a look at the run, and reads its stored filter into RAM if it is not there and fits beside those in use:
 * run->bloom may be NULL afterwards. */
enum err bloom_want(struct op *op, struct tx *tx, struct runs *runs, struct run *run);

/* An empty filter in RAM; others may leave for it. */
void bloom_begin(struct runs *runs, struct run *run);

/* --- dedupe_bucket.c --- */

/* The scratch holds so many keys twice, what is in it stays. */
void scratch_fit(struct runs *runs, size_t keys);

/* Writes n keys, all of buckets [from, to) of the run, and notes them in its filter. `room` holds n keys and is used up
 * to the commit. */
enum err buckets_write(struct op *op, struct tx *tx, const struct run *run, uint32_t from, uint32_t to,
                       const struct run_key *keys, size_t n, struct run_key *room);
