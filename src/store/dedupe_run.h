/*
 * dedupe_run.h - written keys of a day: immutable runs of buckets.
 *
 * Private to dedupe.c. A run holds some tens of thousands up to millions of
 * keys of one day. Keys are spread over its buckets by their hash, a bucket is
 * one row of about a page, so finding a key in a run is one read by row id, and
 * a Bloom filter per run answers most "never seen" without any. Filters of days
 * in use that find no room in RAM are done without: each key costs such a run
 * its read. Were they taken in by turns, each look would cost megabytes.
 *
 *     young --full--> run run run run --four of a size--> a run four times as large
 *
 * Merging works a slice per commit and beside the runs it reads; only when the
 * new run is whole does it take their place, and theirs are erased in slices.
 * How far a merge is stands in the log of dedupe.c, so that whoever has the turn
 * goes on with it; the filter of a run being built is made up from its buckets.
 * Each key is so written about three times, in whole pages, where a tree with
 * keys in random places would write a page for every key or two.
 */
#pragma once

#include "store/db.h"

#define RUN_FAN      4       /* runs of about one size that are merged */
#define RUN_KEYS_MAX 4000000 /* larger ones are left alone */
#define BUCKET_KEYS  215     /* on average; a page has room for 252 */

/* Keys in RAM and log before they become runs: 65,536. Tests make it small, to see many merges. */
extern size_t dedupe_young_max;

/* Of filters in RAM: 128 MiB, enough for 95 million keys of the days in use. Tests make it small. */
extern size_t dedupe_filter_bytes_max;

struct runs;

struct run_key {
    uint64_t w[2];
};

/* Where a key stands: 64 well mixed bits. */
static inline uint64_t run_key_hash(struct run_key key)
{
    return (key.w[0] ^ (key.w[1] << 32 | key.w[1] >> 32)) * 0x9E3779B97F4A7C15u;
}

struct runs *runs_new(void);
void runs_free(struct runs *runs);

/* How far a merge is, for whoever goes on with it: a later start, another node. */
struct merge_note {
    uint64_t out; /* the run being built, 0 = none */
    uint64_t in[RUN_FAN];
    uint32_t next; /* first bucket not written */
    uint32_t spare;
};

/* Reads the list of runs, anew when it was read before; `merge` (NULL: as known) says which run is being built. One
 * that nobody builds is erased. Nothing is pending. */
enum err runs_load(struct op *op, struct tx *tx, struct runs *runs, const struct merge_note *merge);

/* A merge is so far by now, says another node. */
void runs_merge_set(struct runs *runs, const struct merge_note *merge);

/* What this transaction says of the merge; false when it did not move. */
bool runs_merge_note(const struct runs *runs, struct merge_note *ret_note);

/* Runs came, went or changed state in this transaction. */
bool runs_list_changed(const struct runs *runs);

/* Is the key in one of the day's runs. */
enum err runs_has(struct op *op, struct tx *tx, struct runs *runs, int32_t day, struct run_key key, bool *ret_has);

/* The same for many keys, by one read of all rows that may have them. */
struct run_ask {
    int32_t day;
    struct run_key key;
    bool known; /* set */
};
enum err runs_ask(struct op *op, struct tx *tx, struct runs *runs, struct run_ask *asks, size_t n);

/* Takes the key out of the day's runs. */
enum err runs_forget(struct op *op, struct tx *tx, struct runs *runs, int32_t day, struct run_key key);

/* Writes n keys, all different and in no run, as a new run of the day. Known after runs_kept. */
enum err runs_add(struct op *op, struct tx *tx, struct runs *runs, int32_t day, const struct run_key *keys, size_t n);

/* Merges and erases about `keys` keys' worth. */
enum err runs_work(struct op *op, struct tx *tx, struct runs *runs, size_t keys);

/* Are there runs of days before before_day, also such as are being erased. */
bool runs_older(const struct runs *runs, int32_t before_day);

/* Ends the runs of days before before_day and erases at most max_buckets rows. */
enum err runs_expire(struct op *op, struct tx *tx, struct runs *runs, int32_t before_day, int64_t max_buckets,
                     int64_t *ret_gone, bool *ret_more);

void runs_kept(struct runs *runs);
void runs_drop(struct runs *runs);
