/*
 * job_ahead.c - what the commands of a group will ask the store, asked together before the first of them runs.
 *
 * Where a look-up is a round trip (PostgreSQL). Pushes say their jids, fetches
 * how many jobs they want of which queue: the heads of its lanes are what they
 * will get. A guess that is wrong costs a look-up of its own, nothing else.
 */
#include "engine/job_ahead.h"

#include <stdlib.h>
#include <string.h>

#include "engine/jobs_own.h"

#define FORESIGHT  8   /* times as many jobs as are asked for, so that the next groups need not ask */
#define PEEK_MAX   512 /* of one queue */
#define PEEK_BYTES (4 << 20)
#define FEW        32         /* a trip costs more than so many jobs ... */
#define FEW_BYTES  (64 << 10) /* ... that are small */
#define WISHES_MAX 65536

/* --- what commands say --- */

static void wish_jid(struct job_wishes *wishes, struct str jid)
{
    if (wishes->jid_count == wishes->jid_room) {
        wishes->jid_room = wishes->jid_room ? 2 * wishes->jid_room : 256;
        wishes->jids = realloc(wishes->jids, wishes->jid_room * sizeof *wishes->jids);
        if (!wishes->jids)
            abort();
    }
    wishes->jids[wishes->jid_count++] = jid;
}

void job_push_ahead(struct tx *tx, const struct job_spec *specs, size_t n)
{
    struct job_wishes *wishes = &jobs_of(tx)->wishes;
    for (size_t i = 0; i < n && wishes->jid_count < WISHES_MAX; i++)
        if (str_given(specs[i].jid))
            wish_jid(wishes, specs[i].jid);
}

/* One command that brings many at once, and did not say so before. */
enum err push_ask(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *specs, size_t n)
{
    if (n < 2 || !tx_asks_ahead(tx))
        return OK;
    job_push_ahead(tx, specs, n);
    enum err err = store_job_ahead(op, tx, jobs->wishes.jids, jobs->wishes.jid_count, NULL, 0);
    wishes_clear(jobs);
    return err;
}

/* The jobs come from the first queues that have some. */
void job_fetch_ahead(struct tx *tx, const struct job_fetch *fetch)
{
    struct jobs *jobs = jobs_of(tx);
    int64_t wanted = fetch->max;
    for (size_t i = 0; i < fetch->queue_count && wanted > 0 && jobs->loaded; i++) {
        struct queue *queue = queue_find(jobs, fetch->queues[i]);
        if (queue && queue->no)
            wanted -= queue_wish(jobs, queue, wanted);
    }
}

/* A slot that an end frees goes to who waits for it. */
void job_end_ahead(struct tx *tx, const struct job_ref *ref)
{
    struct jobs *jobs = jobs_of(tx);
    const struct lease *lease = NULL;
    if (jobs->loaded)
        lease = lease_find(jobs, ref->by_jid ? jobs_hash(jobs, ref->jid) : ref->lease.jid_hash);
    if (lease && lease->queue->waits)
        queue_wish(jobs, lease->queue, 1);
}

int64_t queue_wish(struct jobs *jobs, struct queue *queue, int64_t wanted)
{
    int64_t left = queue->counts.ready - queue->wished;
    if (left <= 0)
        return 0;
    if (queue->wished == 0) {
        queue->wish_next = jobs->wishes.queues;
        jobs->wishes.queues = queue;
    }
    wanted = wanted < left ? wanted : left;
    queue->wished += wanted;
    return wanted;
}

void wishes_clear(struct jobs *jobs)
{
    struct job_wishes *wishes = &jobs->wishes;
    wishes->jid_count = wishes->id_count = 0;
    for (struct queue *queue; (queue = wishes->queues);) {
        wishes->queues = queue->wish_next;
        queue->wished = 0;
    }
}

void wishes_free(struct jobs *jobs)
{
    free(jobs->wishes.jids);
    free(jobs->wishes.ids);
}

/* --- and what is asked for it --- */

/* Whose jids are taken is asked with the turn: what RAM knows says nothing about it. */
enum err wishes_send(struct op *op, struct tx *tx, struct jobs *jobs)
{
    return store_job_ask(op, tx, jobs->wishes.jids, jobs->wishes.jid_count);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* How many jobs of the size that is usual in the queue are so many bytes. */
static int64_t jobs_in(const struct queue *queue, int64_t bytes)
{
    int64_t size = queue->counts.ready > 0 ? queue->counts.ready_bytes / queue->counts.ready : 0;
    return bytes / (size > 0 ? size : 1);
}

static size_t peek_max(const struct queue *queue)
{
    int64_t wanted = queue->wished * FORESIGHT, few = least(jobs_in(queue, FEW_BYTES), FEW);
    wanted = least(wanted > few ? wanted : few, least(jobs_in(queue, PEEK_BYTES), PEEK_MAX));
    return wanted < 1 ? 1 : (size_t)wanted;
}

static enum err heads_of(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue)
{
    uint64_t ids[PEEK_MAX];
    struct lane_pick pick;
    bool found, unknown = false;
    int64_t ageing_us = queue->policy.priorities ? queue->policy.ageing_us : -1;
    TRY(lanes_pick(op, tx, queue_lanes(jobs, queue), queue->cut, jobs_engine_us(jobs, tx), ageing_us, &pick, &found));
    size_t n = lanes_peek(queue->lanes, peek_max(queue), ids);
    for (size_t i = 0; i < n && i < (size_t)queue->wished && !unknown; i++)
        unknown = !store_job_is_ahead(tx, ids[i]);
    if (!unknown)
        return OK;
    struct job_wishes *wishes = &jobs->wishes;
    if (wishes->id_count + n > wishes->id_room) {
        wishes->id_room = 2 * (wishes->id_count + n);
        wishes->ids = realloc(wishes->ids, wishes->id_room * sizeof *wishes->ids);
        if (!wishes->ids)
            abort();
    }
    memcpy(wishes->ids + wishes->id_count, ids, n * sizeof *ids);
    wishes->id_count += n;
    return OK;
}

enum err wishes_ask(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct job_wishes *wishes = &jobs->wishes;
    enum err err = OK;
    for (struct queue *queue = wishes->queues; queue && err == OK; queue = queue->wish_next)
        err = heads_of(op, tx, jobs, queue);
    if (err == OK && wishes->jid_count + wishes->id_count > 0)
        err = store_job_ahead(op, tx, wishes->jids, wishes->jid_count, wishes->ids, wishes->id_count);
    wishes_clear(jobs);
    return err;
}
