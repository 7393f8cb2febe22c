/*
 * job_fetch.h - hands jobs to workers, or lets them wait.
 *
 * A fetch runs in the writer. Queues are tried in the order given; a queue that
 * is paused, at its concurrency, at its rate, or whose budget is spent counts
 * as empty (RATE-2). What is found is leased in the same transaction, so the
 * lease is on disk before the bytes leave (LEASE-1).
 *
 * Nothing there and wait_us above 0: the fetch is *held*. Its post stays with
 * the engine, costs no database work, and comes home by its route later: with
 * jobs, as soon as one becomes ready (leased in the transaction that made it
 * ready; one job wakes one waiter, the one that waits longest), or empty at its
 * time or by job_fetch_cancel. The hop of a door is therefore just
 *
 *     static enum err fetch_run(struct post *post)
 *     {
 *         struct fetch_command *command = (struct fetch_command *)post;
 *         return job_fetch(&post->op, post->tx, &command->fetch);
 *     }
 *
 * and its next hop, on the caller's thread, reads command->fetch.jobs.
 *
 * Then the bytes leave, and the door must say what became of them: for every
 * lease either job_delivered (written to the socket) or job_return (the peer
 * is gone: back to the head of its lane, no attempt counted, LEASE-5).
 */
#pragma once

#include "base/post.h"
#include "engine/job.h"
#include "engine/session.h"

#define FETCH_MAX        1000
#define FETCH_QUEUES_MAX 256
#define FETCH_BYTES_MAX                                                                                                \
    (8 << 20) /* an answer ends with the job that passes it; the arena of a fetch must have room                       \
                 for so much and for one job of the largest size, twice */
#define FETCH_WAIT_US_MAX (30 * INT64_C(1000000))

struct job_fetch {
    /* What the door asks; all texts live in the post's arena. */
    struct post *post; /* the post this is part of: what is held */
    const struct str *queues;
    size_t queue_count;        /* 1..FETCH_QUEUES_MAX; unknown names are empty queues */
    int max;                   /* 1..FETCH_MAX */
    int64_t wait_us;           /* 0 = answer at once */
    struct session_id session; /* who fetches; { 0 } = nobody in particular */
    struct str worker;         /* name kept with the attempt; not given = none */
    bool weighted;             /* queues by their weights instead of in order */
    bool inside;               /* by Posthouse itself: may ask for its own queues */

    /* The answer, in the post's arena. */
    struct job_out *jobs;
    int count;

    /* The engine's, while held. */
    struct job_fetch *next, **link;
    struct fetch_wait *waits; /* one per queue */
    int64_t until_us;         /* engine time */
    uint64_t turn;
    size_t heap_place;
    int state;
};

/* See above. A session that is quiet, terminated or lost gets nothing, but waits its time. */
enum err job_fetch(struct op *op, struct tx *tx, struct job_fetch *fetch);

/* Ends the wait of a held fetch: it comes home, empty unless it was served just before. For a fetch that is not held
 * any more this does nothing, so a door may send it at any time before it frees the fetch: as a command of its own,
 * naming the same struct. A door frees the memory of a fetch only after it came home. */
enum err job_fetch_cancel(struct op *op, struct tx *tx, struct job_fetch *fetch);

/* The lease's job was written to its socket. Any thread, cheap, after the fetch came home. Told to the store with the
 * next group (LEASE-5). */
struct jobs;
void job_delivered(struct jobs *jobs, uint64_t lease);

/* The lease's job never reached its worker: it is READY again at the place it had. Nothing for a lease that ended. */
enum err job_return(struct op *op, struct tx *tx, uint64_t id, uint64_t lease);
