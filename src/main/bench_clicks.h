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

struct http_easy;
struct store;

struct bench_clicks {
    char mailing[32]; /* its id */
    int64_t members,
        links; /* that are clicked; more links may be made and clicked later, up to those of bench_clicks_new */
    int64_t members_made, links_made;
    char (*codes)[LINK_CODE_BYTES];
    int64_t from, to; /* of the chunk being made */
    struct rng rng;
    struct import_line lines[BENCH_CLICKS_CHUNK];
};

/* links: the most there will be. */
struct bench_clicks *bench_clicks_new(int64_t members, int64_t links);
void bench_clicks_free(struct bench_clicks *clicks);

/* What a filling tells: recipients and links made so far. NULL: nobody listens. */
struct bench_clicks_progress {
    void (*made)(void *data, int64_t count);
    void *data;
};

/* Makes the mailing, its recipients and its links as far as they are not made yet, in a store that runs no threads, or
 * (NULL) in that of the daemon that runs in this process. Errors are the store's. */
enum err bench_clicks_fill(struct op *op, struct bench_clicks *clicks, struct store *store,
                           const struct bench_clicks_progress *progress);

/* The same through the API of any daemon, a mailing of its own that stays there. */
enum err bench_clicks_fill_by_api(struct op *op, struct bench_clicks *clicks, struct http_easy *api,
                                  const struct bench_clicks_progress *progress);

/* Returns when the daemon has stored every click that was answered: what it still owed is in its processor time, too.
 */
enum err bench_clicks_settle(struct op *op, struct bench_clicks *clicks, struct http_easy *api);

/* The next request of a load; data is the struct bench_clicks. */
size_t bench_clicks_next(void *data, char ret_request[LOAD_REQUEST_BYTES_MAX]);
