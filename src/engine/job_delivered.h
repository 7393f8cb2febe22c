/*
 * job_delivered.h - which leases are still on their way to a socket (LEASE-5).
 *
 * A lease is in the store before its bytes leave. A door tells its number when
 * they have left, and whoever ends a lease tells it, too: then the number is
 * over. Numbers rise, so those that are not over lie in a window with a byte
 * each, and the mark below which all are over is kept with each group. After a
 * start the leases above the mark may never have reached their workers: when
 * nobody says anything for UNDELIVERED_US their jobs go back.
 *
 * Thread: the writer's; job_delivered and jobs_has_untold any.
 */
#pragma once

#include "store/tx.h"

#include <pthread.h>

#define UNDELIVERED_US (INT64_C(60) * 1000000)

struct jobs;
struct lease;

struct undelivered {
    pthread_mutex_t lock;
    uint64_t *told; /* numbers told by doors since the last group */
    size_t told_count, told_room;
    uint8_t *over;                /* of (first, newest], a byte each: delivered, or ended */
    uint64_t first, newest, boot; /* boot: newest at the start of this run */
    size_t room;                  /* a power of two */
};

void undelivered_init(struct undelivered *u);
void undelivered_done(struct undelivered *u);

/* After the rows were read: at the start of the run (`first`), or again after a rollback. */
enum err undelivered_load(struct op *op, struct tx *tx, struct jobs *jobs, bool first);

/* Before COMMIT: what doors told counts, and the mark goes into the store. After it: the window begins at the mark. */
void undelivered_flush(struct tx *tx, struct jobs *jobs);
void undelivered_kept(struct jobs *jobs);

/* Other nodes have not heard yet of some lease that it was delivered: the next group says it. */
bool jobs_has_untold(struct jobs *jobs);

/* A lease got this number; it was delivered, here or by another node, or ended. */
void lease_number_begun(struct jobs *jobs, uint64_t number);
void lease_number_over(struct jobs *jobs, uint64_t number);
bool lease_number_is_over(const struct jobs *jobs, uint64_t number);

/* Another node's word: of the numbers up to `newest` those in the list, which ascend, are not over; all others are. */
void lease_numbers_settle(struct jobs *jobs, uint64_t newest, const uint64_t *open, size_t count);

/* Engine time when something becomes of the lease if nobody says anything: it ends, or its job goes back. */
int64_t lease_due_us(const struct jobs *jobs, const struct lease *lease);
