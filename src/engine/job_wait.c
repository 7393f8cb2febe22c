/*
 * job_wait.c - fetches that found nothing and wait for it.
 *
 * A held fetch stands in the list of each queue it asked for, in a list of all,
 * and in a heap by the end of its wait. None of this is in rows, so none of it
 * is taken back with a group by reading again: what a group began to hold or
 * to let go is noted and put right when the group is dropped.
 */
#include "engine/jobs_own.h"

#include <assert.h>

enum { FETCH_FREE, FETCH_HELD_NEW, FETCH_HELD, FETCH_RELEASED };

/* --- heap by until_us --- */

static bool ends_before(const void *a, const void *b)
{
    return ((const struct job_fetch *)a)->until_us < ((const struct job_fetch *)b)->until_us;
}

static const struct heap_kind ends = { offsetof(struct job_fetch, heap_place), ends_before };

static void end_add(struct jobs *jobs, struct job_fetch *fetch)
{
    heap_settle(&jobs->ends, &ends, fetch);
    jobs_due(jobs, fetch->until_us);
}

/* --- lists of queues --- */

/* In order of turn, so that one put back has its old place. */
static void wait_attach(struct fetch_wait *wait, struct queue *queue)
{
    struct fetch_wait **link = queue->waits_end;
    if (queue->waits && *queue->waits_end == NULL) {
        /* the usual place is the end; look for an earlier one only when the last was later */
        struct fetch_wait *last = (struct fetch_wait *)((char *)queue->waits_end - offsetof(struct fetch_wait, next));
        if (last->fetch->turn > wait->fetch->turn)
            for (link = &queue->waits; *link && (*link)->fetch->turn < wait->fetch->turn;)
                link = &(*link)->next;
    }
    wait->queue = queue;
    wait->next = *link;
    wait->link = link;
    if (wait->next)
        wait->next->link = &wait->next;
    else
        queue->waits_end = &wait->next;
    *link = wait;
    queue->wait_count++;
}

static void wait_detach(struct jobs *jobs, struct fetch_wait *wait)
{
    struct queue *queue = wait->queue;
    if (!queue)
        return;
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    else
        queue->waits_end = wait->link;
    queue->wait_count--;
    wait->queue = NULL;
    queue_ghost_end(jobs, queue);
}

static void attach_all(struct jobs *jobs, struct job_fetch *fetch)
{
    for (size_t i = 0; i < fetch->queue_count; i++) {
        struct queue *queue = queue_find(jobs, fetch->queues[i]);
        bool again = false;
        for (size_t k = 0; k < i; k++)
            again |= str_eq(fetch->queues[k], fetch->queues[i]);
        if (!queue)
            queue = queue_ghost(jobs, fetch->queues[i]);
        fetch->waits[i].fetch = fetch;
        if (queue && !again)
            wait_attach(&fetch->waits[i], queue);
    }
}

static void detach_all(struct jobs *jobs, struct job_fetch *fetch)
{
    for (size_t i = 0; i < fetch->queue_count; i++)
        wait_detach(jobs, &fetch->waits[i]);
}

/* --- list of all --- */

static void list_add(struct job_fetch **list, struct job_fetch *fetch)
{
    fetch->next = *list;
    fetch->link = list;
    if (fetch->next)
        fetch->next->link = &fetch->next;
    *list = fetch;
}

static void list_remove(struct job_fetch *fetch)
{
    *fetch->link = fetch->next;
    if (fetch->next)
        fetch->next->link = fetch->link;
}

/* --- hold and release --- */

enum err fetch_hold(struct tx *tx, struct jobs *jobs, struct job_fetch *fetch)
{
    struct op *op = &fetch->post->op;
    TRY(op_alloc(op, fetch->queue_count * sizeof *fetch->waits, &fetch->waits));
    fetch->until_us = jobs_engine_us(jobs, tx) + fetch->wait_us;
    fetch->turn = ++jobs->turns;
    fetch->state = FETCH_HELD_NEW;
    fetch->post->held = true;
    list_add(&jobs->held_new, fetch);
    end_add(jobs, fetch);
    attach_all(jobs, fetch);
    jobs->held_count++;
    return OK;
}

static void unhold(struct jobs *jobs, struct job_fetch *fetch)
{
    list_remove(fetch);
    heap_remove(&jobs->ends, &ends, fetch);
    detach_all(jobs, fetch);
    jobs->held_count--;
}

/* The fetch goes home when the group is through: with its jobs, or without. */
static void fetch_release(struct tx *tx, struct jobs *jobs, struct job_fetch *fetch)
{
    (void)tx;
    bool new = fetch->state == FETCH_HELD_NEW;
    if (fetch->state != FETCH_HELD && !new)
        return;
    unhold(jobs, fetch);
    if (new) { /* still the group's own: it is sent on like its other posts */
        fetch->state = FETCH_FREE;
        fetch->post->held = false;
        return;
    }
    fetch->state = FETCH_RELEASED;
    list_add(&jobs->released, fetch);
}

void waits_kept(struct jobs *jobs)
{
    struct job_fetch *fetch;
    while ((fetch = jobs->held_new)) {
        list_remove(fetch);
        fetch->state = FETCH_HELD;
        list_add(&jobs->held, fetch);
    }
    while ((fetch = jobs->released)) {
        list_remove(fetch);
        fetch->state = FETCH_FREE;
        post_release(fetch->post, OK); /* from here on it is somebody else's */
    }
}

void waits_drop(struct jobs *jobs)
{
    struct job_fetch *fetch;
    while ((fetch = jobs->held_new)) { /* their commands run again */
        unhold(jobs, fetch);
        fetch->state = FETCH_FREE;
    }
    while ((fetch = jobs->released)) {
        list_remove(fetch);
        fetch->state = FETCH_HELD;
        fetch->jobs = NULL;
        fetch->count = 0;
        list_add(&jobs->held, fetch);
        end_add(jobs, fetch);
        jobs->held_count++;
        if (!jobs->touched)
            attach_all(jobs, fetch);
    }
    if (jobs->touched) /* the queues are read again: see waits_reattach */
        for (fetch = jobs->held; fetch; fetch = fetch->next)
            for (size_t i = 0; i < fetch->queue_count; i++)
                fetch->waits[i].queue = NULL;
}

void waits_reattach(struct jobs *jobs)
{
    for (struct job_fetch *fetch = jobs->held; fetch; fetch = fetch->next)
        attach_all(jobs, fetch);
}

void waits_over(struct tx *tx, struct jobs *jobs, int64_t now_us)
{
    struct job_fetch *first;
    while ((first = heap_first(&jobs->ends)) && first->until_us <= now_us)
        fetch_release(tx, jobs, first);
    if (first)
        jobs_due(jobs, first->until_us);
}

void waits_all(struct tx *tx, struct jobs *jobs)
{
    for (struct job_fetch *first; (first = heap_first(&jobs->ends));)
        fetch_release(tx, jobs, first);
    if (!tx)
        waits_kept(jobs);
}

enum err job_fetch_cancel(struct op *op, struct tx *tx, struct job_fetch *fetch)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    fetch_release(tx, jobs, fetch);
    return OK;
}

/* --- serving --- */

void queue_wants(struct jobs *jobs, struct queue *queue)
{
    if (!queue->waits || queue->wanted)
        return;
    queue->wanted = true;
    queue->wanted_next = jobs->wanted;
    jobs->wanted = queue;
}

/* The same, ahead of all others. */
void queue_wants_first(struct jobs *jobs, struct queue *queue)
{
    struct queue **link = &jobs->wanted;
    while (*link && *link != queue)
        link = &(*link)->wanted_next;
    if (*link)
        *link = queue->wanted_next;
    queue->wanted = true;
    queue->wanted_next = jobs->wanted;
    jobs->wanted = queue;
}

static enum err queue_serve(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    struct fetch_wait *wait = queue->waits;
    while (wait && queue->counts.ready > 0 && queue_may_start(jobs, queue, NULL, now_us)) {
        struct job_fetch *fetch = wait->fetch;
        struct fetch_wait *next = wait->next;
        struct op *own = &fetch->post->op;
        own->now_us = op->now_us;
        enum err err = fetch_fill(own, tx, jobs, fetch);
        if (err != OK)
            return op_inherit(op, err, own);
        if (fetch->count)
            fetch_release(tx, jobs, fetch);
        else if (!fetch->session.no)
            break; /* what stops this one stops all; only sessions differ */
        wait = next;
    }
    return OK;
}

enum err jobs_serve(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct queue *queue;
    TRY(batches_settle(op, tx, jobs));
    while ((queue = jobs->wanted)) {
        jobs->wanted = queue->wanted_next;
        queue->wanted = false;
        TRY(queue_serve(op, tx, jobs, queue));
        TRY(batches_settle(op, tx, jobs)); /* one that was too old to be served was perhaps the last of its batch */
    }
    return OK;
}
