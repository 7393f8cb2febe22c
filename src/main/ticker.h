/*
 * ticker.h - tells the job machine what time it is.
 *
 * A thread of its own that sleeps until the machine says something falls due
 * (a timer, the end of a lease, a limit that opens), or is woken because
 * something falls due earlier than was said. At most one tick is under way.
 */
#pragma once

#include "engine/jobs.h"
#include "engine/node.h"

struct ticker;

struct ticker_config {
    struct store *store;      /* outlives the ticker */
    struct node_board *nodes; /* who leads */
    const char *directory;    /* whose disk is watched; NULL: none. Outlives the ticker */
    int64_t min_free_bytes;   /* with less, pushes are refused (jobs_disk_low) */
};

/* Opens the machine of the store and starts the thread. */
enum err ticker_start(struct op *op, const struct ticker_config *config, struct ticker **ret_ticker);
struct jobs *ticker_jobs(const struct ticker *ticker);

/* Ticks soon: another node did something that may be for who waits here. Any thread. */
void ticker_nudge(struct ticker *ticker);

/* No job is leased from now on, and fetches that wait come home (STOP-1). */
void ticker_stop_leasing(struct ticker *ticker);

/* Ends the thread; then, when the store is closed, the machine goes. */
void ticker_stop(struct ticker *ticker);
void ticker_free(struct ticker *ticker);
