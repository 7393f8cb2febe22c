/*
 * bench_clicks.h - a mailing whose links are clicked by chance, for benches.
 *
 * Every request takes one of the links and one of the recipients, so a click
 * costs what it costs when everybody reads at once.
 *
 * Thread: one at a time.
 */
#pragma once

#include "base/random.h"
#include "engine/import.h"
#include "engine/links.h"
#include "main/load.h"

#define BENCH_CLICKS_CHUNK 1000 /* recipients or links made in one command */

struct store;

struct bench_clicks {
    int64_t members, links;
    char (*codes)[LINK_CODE_BYTES];
    int64_t from; /* of the chunk being made */
    struct rng rng;
    struct import_line lines[BENCH_CLICKS_CHUNK];
};

struct bench_clicks *bench_clicks_new(int64_t members, int64_t links);
void bench_clicks_free(struct bench_clicks *clicks);

/* Makes the mailing, its recipients and its links in a store that runs no threads, or (NULL) in that of the daemon that
 * runs in this process; calls done (may be NULL) after each chunk. Errors are the store's. */
enum err bench_clicks_fill(struct op *op, struct bench_clicks *clicks, struct store *store,
                           void (*done)(void *data, int64_t count), void *data);

/* The next request of a load; data is the struct bench_clicks. */
size_t bench_clicks_next(void *data, char ret_request[LOAD_REQUEST_BYTES_MAX]);
