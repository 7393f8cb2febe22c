/*
 * ticker.h - tells the job machine what time it is.
 *
 * A thread of its own that sleeps until the machine says something falls due
 * (a timer, the end of a lease, a limit that opens), or is woken because
 * something falls due earlier than was said. At most one tick is under way.
 */
#pragma once

#include "engine/jobs.h"

struct ticker;

/* Opens the machine of this store and starts the thread. The store outlives both. */
enum err ticker_start(struct op *op, struct store *store, struct ticker **ret_ticker);
struct jobs *ticker_jobs(const struct ticker *ticker);

/* No job is leased from now on, and fetches that wait come home (STOP-1). */
void ticker_stop_leasing(struct ticker *ticker);

/* Ends the thread; then, when the store is closed, the machine goes. */
void ticker_stop(struct ticker *ticker);
void ticker_free(struct ticker *ticker);
