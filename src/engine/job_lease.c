#include "engine/job_lease.h"

#include <stdlib.h>

#include "base/chains.h"
#include "engine/job_log.h"

/* --- in RAM --- */

static uint64_t hash_of(const void *entry, const void *data)
{
    (void)data;
    return ((const struct lease *)entry)->jid_hash;
}

static void slots_grow(struct jobs *jobs)
{
    static const struct chain chain = { offsetof(struct lease, hash_next), hash_of };
    size_t n = jobs->lease_slots ? jobs->lease_slots * 2 : 256;
    jobs->leases = chains_move(jobs->leases, jobs->lease_slots, n, &chain, NULL);
    jobs->lease_slots = n;
}

struct lease *lease_find(struct jobs *jobs, uint64_t jid_hash)
{
    struct lease *lease = jobs->lease_slots ? jobs->leases[jid_hash & (jobs->lease_slots - 1)] : NULL;
    while (lease && lease->jid_hash != jid_hash)
        lease = lease->hash_next;
    return lease;
}

static void lease_join_session(struct lease *lease, struct session *session)
{
    lease->session = session;
    lease->next = session->leases;
    lease->link = &session->leases;
    if (lease->next)
        lease->next->link = &lease->next;
    session->leases = lease;
    session->lease_count++;
}

void lease_leave_session(struct lease *lease)
{
    if (!lease->session)
        return;
    *lease->link = lease->next;
    if (lease->next)
        lease->next->link = lease->link;
    lease->session->lease_count--;
    lease->session = NULL;
    lease->next = NULL;
}

struct lease *lease_new(struct jobs *jobs, const struct lease_row *row, const struct job_row *job,
                        const struct job_opts *opts)
{
    struct lease *lease = malloc(sizeof *lease + job->jid.n + job->type.n + row->worker.n);
    if (!lease)
        abort();
    char *tail = (char *)(lease + 1);
    struct session *session = session_of(jobs, (struct session_id){ row->session_no, row->session_epoch });
    *lease = (struct lease){
        .id = row->id,
        .number = row->number,
        .jid_hash = jobs_hash(jobs, job->jid),
        .queue = queue_by_no(jobs, job->queue_no),
        .epoch = row->session_epoch,
        .flags = job->flags,
        .level = opts->level,
        .attempt = row->attempt,
        .key = opts->key,
        .mutex = opts->mutex,
        .ord = row->ord,
        .started_us = row->started_us,
        .until_us = row->until_us,
        .hard_us = row->hard_us,
        .aside = row->ord != 0,
        .here = !jobs->node || row->node == jobs->node,
        .jid = tail_str(&tail, job->jid),
        .type = tail_str(&tail, job->type),
        .worker = tail_str(&tail, row->worker),
    };
    lease->queue->leased_here += lease->here;
    if (jobs->lease_count++ >= jobs->lease_slots)
        slots_grow(jobs);
    struct lease **slot = &jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)];
    lease->hash_next = *slot;
    *slot = lease;
    if (session)
        lease_join_session(lease, session);
    int64_t due_us = lease_due_us(jobs, lease);
    if (due_us < jobs->next_lease_us) {
        jobs->next_lease_us = due_us;
        jobs_due(jobs, due_us);
    }
    return lease;
}

static void lease_forget(struct jobs *jobs, struct lease *lease)
{
    struct lease **link = &jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)];
    while (*link != lease)
        link = &(*link)->hash_next;
    *link = lease->hash_next;
    jobs->lease_count--;
    lease->queue->leased_here -= lease->here;
    lease_leave_session(lease);
    free(lease);
}

void leases_unload(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (struct lease *lease = jobs->leases[i], *next; lease; lease = next) {
            next = lease->hash_next;
            free(lease);
        }
    free(jobs->leases);
    jobs->leases = NULL;
    jobs->lease_slots = jobs->lease_count = 0;
}

void lease_follow(struct jobs *jobs, struct lease *lease)
{
    struct queue *queue = lease->queue;
    if (queue->budget)
        queue->budget->used += queue->policy.budget_cost;
    if (lease->key && queue_counts_keys(queue))
        queue_key_use(queue, lease->key, true)->leased++;
    lease_number_begun(jobs, lease->number);
}

void lease_follow_aside(struct lease *lease)
{
    lease->ord = lease->id;
    lease->aside = true;
}

/* --- its end --- */

/* What it took is there again, and whoever waits for it may have it. */
static void lease_give_back(struct jobs *jobs, struct lease *lease)
{
    struct queue *queue = lease->queue;
    queue_ended(queue, lease->key);
    queue_wants(jobs, queue);
    if (queue->budget)
        budget_freed(jobs, queue->budget);
    lease_number_over(jobs, lease->number);
}

void lease_follow_end(struct jobs *jobs, struct lease *lease)
{
    lease_give_back(jobs, lease);
    lease_forget(jobs, lease);
}

enum err lease_know(struct op *op, struct tx *tx, struct jobs *jobs, const struct lease *lease, struct job_known *ret)
{
    bool found;
    TRY(job_know(op, tx, jobs, lease->id, ret, &found));
    return found ? OK : fail(op, ERR_BUG, "leased job %.*s has no row", STR(lease->jid));
}

enum err lease_end(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, bool keep_gate)
{
    uint64_t mutex = lease->mutex, id = lease->id;
    jobs_touch(jobs, tx);
    TRY(store_lease_delete(op, tx, id));
    lease_give_back(jobs, lease);
    queue_changed(jobs, tx, lease->queue);
    log_lease_end(jobs, lease);
    lease_forget(jobs, lease);
    if (mutex && keep_gate) {
        struct gate_row gate = { .holder = id };
        return store_gate_put(op, tx, mutex, &gate);
    }
    return gate_leave(op, tx, jobs, mutex, id);
}

enum err lease_put_aside(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct aside_row *ret)
{
    struct lease_row row;
    TRY(store_aside_get(op, tx, lease->id, ret));
    if (lease->aside)
        return OK;
    TRY(store_lease_get(op, tx, lease->id, &row));
    jobs_touch(jobs, tx);
    row.ord = lease->id;
    TRY(store_lease_delete(op, tx, lease->id));
    TRY(store_lease_add(op, tx, &row));
    lease_follow_aside(lease);
    log_lease_aside(jobs, lease);
    *ret = (struct aside_row){ .id = lease->id, .state = JOB_READY, .at = (int64_t)row.ord };
    return OK;
}

/* LEASE-5. A job deleted with its queue meanwhile has no place there any more: it comes back as a new one. */
enum err lease_return(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    struct lease *lease = job->lease;
    struct queue *queue = lease->queue;
    uint64_t ord = lease->ord ? lease->ord : lease->id;
    if (ord < queue->cut) {
        TRY(lease_end(op, tx, jobs, lease, false));
        return job_put(op, tx, jobs, queue, job, 0, JOB_SCHEDULED, false);
    }
    struct ready_row row = { queue->no, lease->level, lease->key, ord, lease->ord ? lease->id : 0 };
    TRY(lease_end(op, tx, jobs, lease, true));
    job->lease = NULL;
    TRY(store_ready_add(op, tx, &row));
    log_returned(jobs, &row);
    lanes_return(queue_lanes(jobs, queue), row.level, row.key, &(struct lane_place){ row.ord, row.job });
    queue->counts.ready++;
    queue->counts.ready_bytes += (int64_t)job_bytes(&job->row);
    job_move(job, JOB_READY);
    queue_wants(jobs, queue);
    return OK;
}

enum err lease_lost(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease)
{
    struct job_known job;
    if (!lease->queue->own)
        return lease_fail(op, tx, jobs, lease, NULL, FAULT_LOST);
    TRY(lease_know(op, tx, jobs, lease, &job));
    return lease_return(op, tx, jobs, &job);
}
