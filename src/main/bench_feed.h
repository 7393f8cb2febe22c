/*
 * bench_feed.h - mailings for benches: filled into a store through the import, then their reports, parsed, in order of
 * time.
 *
 * Mailing n is the same in every process: its recipients and reports follow
 * from its number. Reports belong to whatever source is named, so the same ones
 * come as new ones from another.
 */
#pragma once

#include "engine/import.h"
#include "engine/ledger.h"
#include "engine/simulate_truth.h"

#define FEED_BYTES (64u << 20) /* an op's arena that is given to a feed */

struct bench_feed {
    struct op *op;       /* its arena is reset with each chunk and page */
    uint32_t recipients; /* of each mailing, a multiple of IMPORT_CHUNK_LINES */
    char mailing[32];    /* the open one */
    struct sim *sim;
    struct sim_query query; /* where its reports stand */
    uint8_t hash_key[16];
    struct import_chunk chunk;
    struct import_line lines[IMPORT_CHUNK_LINES];
};

struct bench_feed *bench_feed_new(struct op *op, struct store *store, uint32_t recipients);
void bench_feed_free(struct bench_feed *feed);

/* Makes mailing n and imports its recipients; calls done (may be NULL) after each chunk. */
enum err bench_feed_fill(struct bench_feed *feed, struct store *store, int64_t n,
                         void (*done)(void *data, int64_t recipients), void *data);

/* Its reports from the first. */
enum err bench_feed_open(struct bench_feed *feed, int64_t n);

/* The next max reports or less, as reports of the source; 0 at the end. Texts are in the op's arena, which is reset
 * before unless `keep`. */
enum err bench_feed_page(struct bench_feed *feed, struct str source, bool keep, struct provider_event *ret, size_t max,
                         size_t *ret_count);

/* A page on its way into the figures; a command. */
struct bench_page {
    struct provider_event *events;
    size_t count;
    struct str source;
    int64_t results[RESULT_COUNT];
};
enum err bench_page_apply(struct op *op, struct tx *tx, void *page);
