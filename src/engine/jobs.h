/*
 * jobs.h - the job machine: what the engine keeps in RAM beside the rows.
 *
 * The rows are the truth. In RAM stand only what can be read from them again:
 * windows over `ready` (lanes), slots and leases, rates, counters, sessions;
 * and the fetches that wait. Everything belongs to the writer's thread. When a
 * group is rolled back the RAM is thrown away and read again before the next
 * command, which is rare and needs no undoing of single steps.
 *
 * One machine per store. Commands find it by their tx (jobs_of).
 */
#pragma once

#include "base/op.h"
#include "store/tx.h"

struct jobs;
struct duty; /* store_duty.h */

struct jobs_config {
    struct store *store;
    struct str node; /* its name among those that share the store: what its own limits count by (NODE-4) */
    /* Told on the writer's thread when jobs_tick should run earlier than it said: the ticker's ear. May be NULL. */
    void (*wake)(void *data);
    void *data;
    uint64_t seed; /* of jitter; 0 = one nobody knows */
};

/* Before anything is posted. Reads the queues, the leases and the sessions; no scan of what waits. */
enum err jobs_open(struct op *op, const struct jobs_config *config, struct jobs **ret_jobs);

/* After store_close: fetches still held come home empty. */
void jobs_close(struct jobs *jobs);

/* The machine of the tx's store; only in the writer. */
struct jobs *jobs_of(struct tx *tx);

/*
 * What time brings: due timers, leases over, lost sessions, waits over, rates that allow again; and sweeps, if the
 * lease of the leader is held (NODE-2; lead NULL: nobody else is there). Does at most one slice of each; *ret_next_us
 * is how long until the next call is useful (0 = at once).
 */
enum err jobs_tick(struct op *op, struct tx *tx, const struct duty *lead, int64_t *ret_next_us);

/* How long the newest tick had the writer, until it was stored, and whether others wanted it: what is swept next, and
 * when, goes by that (own_pace.h). By who ticks, between two ticks. */
void jobs_tick_took(struct jobs *jobs, int64_t took_us, bool is_crowded);

/* Free space is below what is kept for work already taken: pushes from outside are refused with ERR_UNAVAILABLE, what
 * Posthouse itself moves is not (QUE-5). Any thread. */
void jobs_disk_low(struct jobs *jobs, bool low);

/*
 * NODE-3. Did another node change something while fetches wait here: then a tick gives them what is theirs now. Looks
 * at nothing unless some wait; in a snapshot, on any thread, 20 times a second.
 */
enum err jobs_look(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_news);

/* STOP-1: from now on no fetch gets a job, held ones come home. In the writer. */
enum err jobs_stop_leasing(struct op *op, struct tx *tx);

/* Everything is gone without a trace: queues, jobs in every state, history, counters. Sessions stay. For development
 * (WORK-9): it is one transaction whatever there is. job_flush.c. */
enum err jobs_flush(struct op *op, struct tx *tx);
