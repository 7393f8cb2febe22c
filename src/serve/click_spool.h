/*
 * click_spool.h - clicks that are durable in the spool and not yet in the store.
 *
 * A thread of its own writes and syncs the file (store/spool.h), all jobs that
 * wait in one sync; the loop keeps what is durable in order, to store it later.
 *
 * Thread: owned by the loop of its line; click_spool_left may be asked by any.
 */
#pragma once

#include "engine/click.h"
#include "net/loop.h"

struct click_spool;

/* Clicks to be made durable. Embed it; it stays in place until `done` has run on the loop. */
struct click_spool_job {
    struct mail mail;     /* of the thread's mailbox */
    struct errand errand; /* of the loop's */
    struct click_spool *spool;
    const struct click *clicks;
    size_t count;
    enum err err;
    char reason[OP_ERROR_BYTES_MAX];
    void (*done)(struct click_spool_job *job);
};

/* Opens the file when there is one and starts the thread; what stands in it of this node with a number above
 * `stored` is kept. */
enum err click_spool_open(struct op *op, struct loop *loop, const char *path, struct str node, uint64_t stored,
                          struct click_spool **ret_spool);

/* Runs what waits, ends the thread: nothing is sent to the loop any more. Any thread. */
void click_spool_stop(struct click_spool *spool);

/* Stopped before, or now. */
void click_spool_close(struct click_spool *spool);

/* Has the file made, by the thread, when there is none yet, then made(data) on the loop; tried once. */
void click_spool_make(struct click_spool *spool, void (*made)(void *data), void *data);

/* The file is there. */
bool click_spool_is_made(const struct click_spool *spool);

/* Sends a job to the thread; jobs are done in order. When it succeeds its clicks are kept for the store. */
void click_spool_send(struct click_spool *spool, struct click_spool_job *job);

/* Clicks that take room in it: those kept, and those of jobs under way. */
size_t click_spool_used(const struct click_spool *spool);

/* The oldest clicks kept, at most room; returns how many. */
size_t click_spool_peek(const struct click_spool *spool, struct click *ret_clicks, size_t room);

/* Clicks up to this number are stored: they are kept no longer. */
void click_spool_drop(struct click_spool *spool, uint64_t stored);

/* The newest number ever seen in the file or kept; 0 = none. */
uint64_t click_spool_newest(const struct click_spool *spool);

/* Nothing is kept: the file may be emptied. Done by the thread, behind what was sent before. */
void click_spool_clear(struct click_spool *spool);

/* How many are kept. Any thread. */
int64_t click_spool_left(const struct click_spool *spool);
