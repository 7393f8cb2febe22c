/*
 * workshop.h - the door for workers in a daemon: its loop, its configuration, its end.
 *
 * Stopping has two steps, because what workers hold should still be ended
 * while the machine is there: first the acks that come (STOP-1), then, behind
 * the ticker, the door itself.
 *
 * Thread: the daemon's.
 */
#pragma once

#include <stdatomic.h>

#include "base/conf.h"
#include "net/addr.h"
#include "store/tx.h"

struct workshop;
struct jobs;

/* ERR_INVALID, with a sentence, for a door that others could reach without any password. */
enum err workshop_check(struct op *op, const struct conf *conf);

/* Opens the door. The store runs its threads; it and the machine outlive the workshop. *ret_workshop is also set after
 * an error. */
enum err workshop_open(struct op *op, struct store *store, struct jobs *jobs, const struct conf *conf,
                       struct workshop **ret_workshop);
struct addr workshop_addr(const struct workshop *workshop);

/* Nobody new comes in, and workers that are connected have at most wait_ms to finish what they hold, or until `hurry`
 * (may be NULL) is set. Leasing has stopped before. */
void workshop_stop(struct workshop *workshop, int64_t wait_ms, const atomic_bool *hurry);

/* Behind the ticker, before the store. */
void workshop_close(struct workshop *workshop);
