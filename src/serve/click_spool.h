/*
 * click_spool.h - clicks that are durable in the spool and not yet in the store.
 *
 * A thread of its own writes and syncs the file (store/spool.h), all jobs that
 * wait in one sync. While that takes less than the two changes of threads cost,
 * and the thread has nothing to do, a loop does it in the thread's place at the
 * end of its turn, for the jobs of all loops; jobs that come meanwhile are left
 * for the next turn. The owner knows which records are durable and not stored;
 * whoever stores them reads them there, so that a journal of a million clicks
 * costs no memory but what the system spares for its pages.
 *
 *     with the owner's lock    click_spool_send ... click_spool_take    click_spool_done, for each job
 *     without it                                          click_spool_write
 *
 * Thread: one at a time, under the lock of its line; which says otherwise any thread.
 */
#pragma once

#include "engine/click.h"
#include "net/loop.h"

struct click_spool;

/* Records of the file, [from, to). */
struct click_records {
    uint64_t from, to;
};

/* Clicks to be made durable. Embed it; it stays in place until it was given to click_spool_done. */
struct click_spool_job {
    struct mail mail;     /* of the thread's mailbox, or of those that are taken */
    struct errand errand; /* its `run`: what is done on the loop when the thread has written it */
    const struct click *clicks;
    size_t count;
    struct click_records records; /* where they are, when it went well */
    enum err err;
    char reason[OP_ERROR_BYTES_MAX];
};

/* The job a mail is part of. */
static inline struct click_spool_job *click_spool_job_of(struct mail *mail)
{
    return MAIL_OF(mail, struct click_spool_job, mail);
}

/* Opens the file when there is one and starts the thread; what stands in it of this node with a number above
 * `stored` is kept. A file that is made has so many places. */
enum err click_spool_open(struct op *op, struct loop *loop, const char *path, struct str node, size_t places,
                          uint64_t stored, struct click_spool **ret_spool);

/* Runs what waits, ends the thread: nothing is sent to the loop any more. Any thread. */
void click_spool_stop(struct click_spool *spool);

/* Stopped before, or now. */
void click_spool_close(struct click_spool *spool);

/* Has the file made, by the thread, when there is none yet; the errand then runs on the loop. Tried once. */
void click_spool_make(struct click_spool *spool, struct errand *made);

/* The file is there. */
bool click_spool_is_made(const struct click_spool *spool);

/* Adds a job; jobs are done in order. */
void click_spool_send(struct click_spool *spool, struct click_spool_job *job);

/* At the end of a turn: the jobs, when they are to be written here and now, else NULL: there are none, or the thread
 * has them, or another loop is writing and they wait for the next one who asks (*ret_left). */
struct mail *click_spool_take(struct click_spool *spool, bool *ret_left);

/* Writes and syncs them; by the thread that took them, without any lock. */
void click_spool_write(struct click_spool *spool, struct mail *jobs);

/* All that were taken are done: another loop may write. */
void click_spool_give(struct click_spool *spool);

/* A job was written, or failed: when it succeeded its clicks are kept for the store from now on. */
void click_spool_done(struct click_spool *spool, struct click_spool_job *job);

/* Clicks that it has room for. */
size_t click_spool_room(const struct click_spool *spool);

/* Clicks that take room in it: those kept, and those of jobs under way. */
size_t click_spool_used(const struct click_spool *spool);

/* The oldest records kept, at most so many. */
struct click_records click_spool_oldest(const struct click_spool *spool, size_t most);

/* Reads their clicks, as far as their numbers are above `above` and grow; damaged ones are left out. Any thread, while
 * they are kept. ERR_IO. */
enum err click_spool_read(struct op *op, const struct click_spool *spool, struct click_records records, uint64_t above,
                          struct click *ret_clicks, size_t *ret_count);

/* The oldest records, these, are stored: they are kept no longer. */
void click_spool_drop(struct click_spool *spool, struct click_records records);

/* The newest number ever seen in the file or kept; 0 = none. */
uint64_t click_spool_newest(const struct click_spool *spool);

/* Nothing is kept: the file may be emptied. Done by the thread, behind what was sent before. */
void click_spool_clear(struct click_spool *spool);

/* How many records are kept. Any thread. */
int64_t click_spool_left(const struct click_spool *spool);
