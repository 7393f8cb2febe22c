/*
 * job_slots.c - what a queue may start now: slots, rates, limits per key, and the lanes that ask for them.
 *
 * The queue's own limits are asked first, then those of its budget, then, lane by
 * lane, those of the key (RATE-1, RATE-2, FAIR-2). Whatever says no notes when to
 * look again, so that nobody asks twice in vain.
 */
#include <stdlib.h>

#include "base/chains.h"
#include "engine/job_log.h"

/* --- keys --- */

bool queue_counts_keys(const struct queue *queue)
{
    const struct queue_policy *policy = &queue->policy;
    return policy->key_concurrency != POLICY_NONE || policy->key_rate.limit || policy->key_count;
}

static uint64_t hash_of(const void *entry, const void *data)
{
    (void)data;
    return ((const struct key_use *)entry)->key;
}

static void keys_grow(struct queue *queue)
{
    static const struct chain chain = { offsetof(struct key_use, next), hash_of };
    size_t n = queue->key_slots ? queue->key_slots * 2 : 16;
    queue->keys = chains_move(queue->keys, queue->key_slots, n, &chain, NULL);
    queue->key_slots = n;
}

struct key_use *queue_key_use(struct queue *queue, uint64_t key, bool make)
{
    struct key_use *use = queue->key_slots ? queue->keys[key & (queue->key_slots - 1)] : NULL;
    while (use && use->key != key)
        use = use->next;
    if (use || !make)
        return use;
    if (queue->key_count >= queue->key_slots)
        keys_grow(queue);
    use = calloc(1, sizeof *use);
    if (!use)
        abort();
    *use = (struct key_use){ .key = key, .next = queue->keys[key & (queue->key_slots - 1)], .open_us = NEVER_US };
    queue->keys[key & (queue->key_slots - 1)] = use;
    queue->key_count++;
    use->tat_ns = -1;
    return use;
}

void queue_keys_sweep(struct queue *queue, int64_t now_us)
{
    for (size_t i = 0; i < queue->key_slots; i++)
        for (struct key_use **link = &queue->keys[i], *use; (use = *link);) {
            if (use->leased || use->open_us != NEVER_US || use->tat_ns > now_us * 1000) {
                link = &use->next;
                continue;
            }
            *link = use->next;
            free(use);
            queue->key_count--;
        }
}

void queue_keys_free(struct queue *queue)
{
    for (size_t i = 0; i < queue->key_slots; i++)
        for (struct key_use *use = queue->keys[i], *next; use; use = next) {
            next = use->next;
            free(use);
        }
    free(queue->keys);
}

/* --- lanes --- */

static enum err host_pending(struct op *op, struct tx *tx, void *data)
{
    (void)data;
    return ready_write(op, tx, jobs_of(tx));
}

static int64_t host_weight(void *data, uint64_t key)
{
    const struct queue *queue = data;
    return queue_policy_key(&queue->policy, key).weight;
}

/* FAIR-2. The rows of rates per key are read when a key is first asked for. */
static bool host_may_start(struct op *op, struct tx *tx, void *data, uint64_t key)
{
    struct queue *queue = data;
    if (!key || !queue_counts_keys(queue))
        return true;
    struct jobs *jobs = jobs_of(tx);
    int64_t concurrency = queue_policy_key(&queue->policy, key).concurrency;
    struct key_use *use = queue_key_use(queue, key, true);
    if (concurrency != POLICY_NONE && use->leased >= concurrency)
        return false;
    if (!queue->policy.key_rate.limit)
        return true;
    if (use->tat_ns < 0 && store_key_rate_get(op, tx, queue->no, key, &use->tat_ns) != OK)
        use->tat_ns = 0;
    int64_t now_us = jobs_engine_us(jobs, tx);
    int64_t wait_ns = rate_wait_ns(&queue->policy.key_rate, use->tat_ns, now_us * 1000);
    if (wait_ns == 0)
        return true;
    use->open_us = now_us + (wait_ns + 999) / 1000;
    if (use->open_us < queue->keys_open_us)
        queue->keys_open_us = use->open_us;
    jobs_due(jobs, use->open_us);
    return false;
}

struct lanes *queue_lanes(struct jobs *jobs, struct queue *queue)
{
    if (queue->lanes)
        return queue->lanes;
    struct lanes_host host = { queue, queue->no, &jobs->ids, host_pending, host_weight, host_may_start };
    queue->lanes = lanes_new(&host, queue->counts.ready == 0);
    return queue->lanes;
}

/* --- slots and rates --- */

static bool worker_is_full(const struct queue *queue, const struct session *session)
{
    int64_t limit = queue->policy.worker_concurrency, n = 0;
    if (limit == POLICY_NONE || !session)
        return false;
    for (const struct lease *lease = session->leases; lease; lease = lease->next)
        n += lease->queue == queue;
    return n >= limit;
}

bool queue_has_slot(const struct queue *queue)
{
    const struct queue_policy *policy = &queue->policy;
    return (policy->concurrency == POLICY_NONE || queue->counts.leased < policy->concurrency) &&
           (policy->node_concurrency == POLICY_NONE || queue->leased_here < policy->node_concurrency);
}

bool queue_may_start(struct jobs *jobs, struct queue *queue, const struct session *session, int64_t now_us)
{
    const struct queue_policy *policy = &queue->policy;
    if (queue->paused || jobs->stopping || jobs->lease_count >= LEASES_MAX)
        return false;
    if (!queue_has_slot(queue) || worker_is_full(queue, session))
        return false;
    int64_t wait_ns = rate_wait_ns(&policy->rate, queue->counts.tat_ns, now_us * 1000);
    if (wait_ns > 0) {
        queue->open_us = now_us + (wait_ns + 999) / 1000;
        jobs_due(jobs, queue->open_us);
        return false;
    }
    return budget_may_start(jobs, queue, now_us);
}

enum err queue_started(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, uint64_t key,
                       int64_t now_us)
{
    const struct queue_policy *policy = &queue->policy;
    queue->counts.leased++;
    queue_changed(jobs, tx, queue);
    queue->counts.tat_ns = rate_start(&policy->rate, queue->counts.tat_ns, now_us * 1000);
    struct budget *budget = queue->budget;
    if (budget) {
        budget->used += policy->budget_cost;
        budget->tat_ns = rate_start(&budget->policy.rate, budget->tat_ns, now_us * 1000);
        budget->tat_moved = budget->policy.rate.limit != 0;
    }
    if (!key || !queue_counts_keys(queue))
        return OK;
    struct key_use *use = queue_key_use(queue, key, true);
    use->leased++;
    if (!policy->key_rate.limit)
        return OK;
    use->tat_ns = rate_start(&policy->key_rate, use->tat_ns < 0 ? 0 : use->tat_ns, now_us * 1000);
    log_key_rate(jobs, queue, use);
    return store_key_rate_put(op, tx, queue->no, key, use->tat_ns);
}

void queue_ended(struct queue *queue, uint64_t key)
{
    queue->counts.leased--;
    if (queue->budget)
        queue->budget->used -= queue->policy.budget_cost;
    struct key_use *use = key ? queue_key_use(queue, key, false) : NULL;
    if (!use)
        return;
    use->leased--;
    if (queue->lanes)
        lanes_open_key(queue->lanes, key);
}
