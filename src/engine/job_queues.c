/*
 * job_queues.c - queues in RAM: their counters, limits and windows.
 */
#include "engine/job_log.h"
#include "engine/job_own.h"

#include <stdlib.h>
#include <string.h>

#include "store/seq.h"

#define GHOSTS_MAX 100000

/* --- figures of the last minute --- */

static void meter_turn(struct meter *meter, int64_t second)
{
    int64_t missed = second - meter->second;
    if (missed <= 0)
        return;
    for (int64_t i = 1; i <= missed && i <= MINUTE_SLOTS; i++)
        meter->counts[(meter->second + i) % MINUTE_SLOTS] = 0;
    meter->second = second;
}

void meter_add(struct meter *meter, int64_t now_us, int64_t n)
{
    meter_turn(meter, now_us / 1000000);
    meter->counts[meter->second % MINUTE_SLOTS] += (uint32_t)n;
}

int64_t meter_sum(const struct meter *meter, int64_t now_us)
{
    struct meter copy = *meter;
    int64_t sum = 0;
    meter_turn(&copy, now_us / 1000000);
    for (int i = 0; i < MINUTE_SLOTS; i++)
        sum += copy.counts[i];
    return sum;
}

/* --- by name and number --- */

static size_t slot_of(const struct jobs *jobs, struct str name)
{
    return jobs_hash(jobs, name) & (jobs->queue_slots - 1);
}

static void slots_grow(struct jobs *jobs)
{
    size_t n = jobs->queue_slots;
    struct queue **old = jobs->queues;
    jobs->queue_slots = n ? n * 2 : 64;
    jobs->queues = calloc(jobs->queue_slots, sizeof(struct queue *));
    if (!jobs->queues)
        abort();
    for (size_t i = 0; i < n; i++)
        for (struct queue *queue = old[i], *next; queue; queue = next) {
            next = queue->hash_next;
            size_t slot = slot_of(jobs, queue->name);
            queue->hash_next = jobs->queues[slot];
            jobs->queues[slot] = queue;
        }
    free(old);
}

struct queue *queue_find(struct jobs *jobs, struct str name)
{
    if (jobs->queue_slots == 0)
        return NULL;
    struct queue *queue = jobs->queues[slot_of(jobs, name)];
    while (queue && !str_eq(queue->name, name))
        queue = queue->hash_next;
    return queue;
}

struct queue *queue_by_no(struct jobs *jobs, uint32_t no)
{
    return no < jobs->by_no_room ? jobs->by_no[no] : NULL;
}

static void number_queue(struct jobs *jobs, struct queue *queue, uint32_t no)
{
    queue->no = no;
    if (no >= jobs->by_no_room) {
        size_t room = jobs->by_no_room ? jobs->by_no_room : 64;
        while (room <= no)
            room *= 2;
        jobs->by_no = realloc(jobs->by_no, room * sizeof(struct queue *));
        if (!jobs->by_no)
            abort();
        memset(jobs->by_no + jobs->by_no_room, 0, (room - jobs->by_no_room) * sizeof(struct queue *));
        jobs->by_no_room = room;
    }
    jobs->by_no[no] = queue;
}

static uint64_t key_hash(void *data, struct str key)
{
    const struct jobs *jobs = data;
    return job_key_hash(jobs->key, key, 'k');
}

enum err queue_policy_check(struct op *op, struct jobs *jobs, struct str name, struct str text)
{
    struct queue_policy policy;
    TRY(queue_policy_read(op, text, key_hash, jobs, &policy, NULL));
    TRY(handler_check(op, jobs, &policy));
    if (policy.concurrency == 0 && queue_is_own(name)) /* KEEP-1 */
        return fail_at(op, ERR_INVALID, "/concurrency", "a queue of Posthouse's own keeps a slot: pause it instead");
    const struct budget *budget = str_given(policy.budget) ? budget_find(jobs, policy.budget) : NULL;
    if (str_given(policy.budget) && !budget)
        return fail_at(op, ERR_INVALID, "/budget", "no budget %.*s", STR(policy.budget));
    if (budget && budget->policy.concurrency != POLICY_NONE && policy.budget_cost > budget->policy.concurrency)
        return fail_at(op, ERR_INVALID, "/budget_cost", "budget_cost must be from 1 to the budget's concurrency, %lld",
                       (long long)budget->policy.concurrency);
    return OK;
}

enum err queue_set_policy(struct op *op, struct jobs *jobs, struct queue *queue, struct str text)
{
    struct arena *memory = arena_new(1 << 20);
    struct op own;
    op_init(&own, memory, op->now_us);
    struct str name = arena_str(memory, queue->name), kept = arena_str(memory, text);
    struct queue_policy policy;
    enum err err = queue_policy_read(&own, kept, key_hash, jobs, &policy, NULL);
    if (err != OK) {
        err = fail_at(op, err, own.pointer, "%s", own.error);
        arena_free(memory);
        return err;
    }
    if (queue->own || str_given(queue->policy.handler) || str_given(policy.handler))
        handlers_changed(jobs);
    if (!str_eq(queue->policy.handler, policy.handler))
        queue->down_until_us = 0; /* another one may be up */
    arena_free(queue->memory);
    queue->memory = memory;
    queue->name = name;
    queue->text = kept;
    queue->policy = policy;
    queue->budget = str_given(policy.budget) ? budget_find(jobs, policy.budget) : NULL;
    lanes_free(queue->lanes); /* weights and limits of keys may be others */
    queue->lanes = NULL;
    queue->open_us = NEVER_US;
    queue->keys_open_us = 0; /* keys may wait for what is not any more: the next tick looks */
    return OK;
}

static struct queue *queue_new(struct jobs *jobs, struct str name)
{
    struct queue *queue = calloc(1, sizeof *queue);
    if (!queue)
        abort();
    queue->memory = arena_new(1 << 20);
    queue->name = arena_str(queue->memory, name);
    queue->own = queue_is_own(name);
    queue->waits_end = &queue->waits;
    if (jobs->queue_count >= jobs->queue_slots)
        slots_grow(jobs);
    size_t slot = slot_of(jobs, name);
    queue->hash_next = jobs->queues[slot];
    jobs->queues[slot] = queue;
    jobs->queue_count++;
    struct op op;
    op_init(&op, jobs->arena, 0);
    queue_set_policy(&op, jobs, queue, S("")); /* the empty policy is valid */
    return queue;
}

static void key_uses_free(struct queue *queue)
{
    for (size_t i = 0; i < queue->key_slots; i++)
        for (struct key_use *use = queue->keys[i], *next; use; use = next) {
            next = use->next;
            free(use);
        }
    free(queue->keys);
}

static void queue_free(struct queue *queue)
{
    lanes_free(queue->lanes);
    key_uses_free(queue);
    arena_free(queue->memory);
    free(queue);
}

struct queue *queue_ghost(struct jobs *jobs, struct str name)
{
    return jobs->queue_count < GHOSTS_MAX ? queue_new(jobs, name) : NULL;
}

void queue_ghost_end(struct jobs *jobs, struct queue *queue)
{
    if (queue->no || queue->waits)
        return;
    struct queue **link = &jobs->queues[slot_of(jobs, queue->name)];
    while (*link != queue)
        link = &(*link)->hash_next;
    *link = queue->hash_next;
    jobs->queue_count--;
    queue_free(queue);
}

enum err queue_write(struct op *op, struct tx *tx, struct queue *queue)
{
    log_queues(jobs_of(tx));
    struct queue_row row = {
        .no = queue->no,
        .version = queue->version,
        .paused = queue->paused,
        .draining = queue->draining,
        .gone = queue->gone,
        .cut = queue->cut,
        .name = queue->name,
        .policy = queue->text,
    };
    return store_queue_put(op, tx, &row);
}

enum err queue_make(struct op *op, struct tx *tx, struct jobs *jobs, struct str name, struct queue **ret)
{
    struct queue *queue = queue_find(jobs, name);
    if (queue && queue->no && !queue->gone) {
        *ret = queue;
        return OK;
    }
    uint32_t no = queue && queue->no ? queue->no : 0;
    if (!no && store_seq_newest(tx, SEQ_QUEUE) >= QUEUES_MAX)
        return fail(op, ERR_BUSY, "there are %d queues, no more are made", QUEUES_MAX);
    jobs_touch(jobs, tx);
    if (!queue)
        queue = queue_new(jobs, name);
    if (!no)
        number_queue(jobs, queue, (uint32_t)store_seq_next(tx, SEQ_QUEUE));
    queue->gone = false;
    queue->version++;
    if (queue->own)
        TRY(queue_set_policy(op, jobs, queue, own_policy(name)));
    queue_changed(jobs, tx, queue);
    *ret = queue;
    return queue_write(op, tx, queue);
}

/* --- counters --- */

void queue_changed(struct jobs *jobs, struct tx *tx, struct queue *queue)
{
    jobs_touch(jobs, tx);
    if (queue->dirty)
        return;
    queue->dirty = true;
    queue->dirty_next = jobs->dirty;
    jobs->dirty = queue;
}

enum err queues_flush(struct op *op, struct tx *tx, struct jobs *jobs)
{
    for (struct queue *queue; (queue = jobs->dirty);) {
        if (jobs->log.on)
            log_counts(jobs, queue);
        else
            TRY(store_queue_count(op, tx, queue->no, &queue->counts));
        jobs->dirty = queue->dirty_next;
        queue->dirty = false;
    }
    for (struct budget *budget = jobs->budgets; budget; budget = budget->next) {
        if (budget->tat_moved)
            TRY(store_budget_tat(op, tx, budget->id, budget->tat_ns));
        if (budget->tat_moved)
            log_budget(jobs, budget);
        budget->tat_moved = false;
    }
    return OK;
}

struct loading {
    struct jobs *jobs;
    struct op *op;
};

static enum err load_queue(void *arg, const struct queue_row *row, const struct queue_counts *counts)
{
    struct loading *loading = arg;
    struct queue *queue = queue_new(loading->jobs, row->name);
    number_queue(loading->jobs, queue, row->no);
    queue->version = row->version;
    queue->paused = row->paused;
    queue->draining = row->draining;
    queue->gone = row->gone;
    queue->cut = row->cut;
    queue->sweeping = row->cut != 0;
    queue->counts = *counts;
    if (row->policy.n)
        TRY(queue_set_policy(loading->op, loading->jobs, queue, row->policy));
    return OK;
}

enum err queues_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct loading loading = { jobs, op };
    return store_queue_each(op, tx, load_queue, &loading);
}

/* One of those that another node made or changed. Its counters come with the entries of the log. */
static enum err follow_queue(void *arg, const struct queue_row *row, const struct queue_counts *counts)
{
    struct loading *loading = arg;
    struct queue *queue = queue_find(loading->jobs, row->name);
    bool is_new = !queue || !queue->no;
    if (!is_new && queue->version == row->version && queue->cut == row->cut && queue->gone == row->gone &&
        queue->paused == row->paused && queue->draining == row->draining && str_eq(queue->text, row->policy))
        return OK;
    if (!queue)
        queue = queue_new(loading->jobs, row->name);
    if (is_new) {
        number_queue(loading->jobs, queue, row->no);
        queue->counts = *counts;
    }
    queue->version = row->version;
    queue->paused = row->paused;
    queue->draining = row->draining;
    queue->gone = row->gone;
    queue->sweeping |= queue->cut != row->cut;
    if (queue->sweeping)
        queue->sweep = (struct ready_row){ .queue_no = row->no };
    queue->cut = row->cut;
    queue_wants(loading->jobs, queue);
    return str_eq(queue->text, row->policy) ? OK : queue_set_policy(loading->op, loading->jobs, queue, row->policy);
}

enum err queues_follow(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct loading loading = { jobs, op };
    return store_queue_each(op, tx, follow_queue, &loading);
}

void queues_unload(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->queue_slots; i++)
        for (struct queue *queue = jobs->queues[i], *next; queue; queue = next) {
            next = queue->hash_next;
            queue_free(queue);
        }
    free(jobs->queues);
    free(jobs->by_no);
    jobs->queues = jobs->by_no = NULL;
    jobs->queue_slots = jobs->queue_count = jobs->by_no_room = 0;
    jobs->dirty = jobs->wanted = NULL;
}

/* --- keys --- */

bool queue_counts_keys(const struct queue *queue)
{
    const struct queue_policy *policy = &queue->policy;
    return policy->key_concurrency != POLICY_NONE || policy->key_rate.limit || policy->key_count;
}

static void keys_grow(struct queue *queue)
{
    size_t n = queue->key_slots;
    struct key_use **old = queue->keys;
    queue->key_slots = n ? n * 2 : 16;
    queue->keys = calloc(queue->key_slots, sizeof(struct key_use *));
    if (!queue->keys)
        abort();
    for (size_t i = 0; i < n; i++)
        for (struct key_use *use = old[i], *next; use; use = next) {
            next = use->next;
            use->next = queue->keys[use->key & (queue->key_slots - 1)];
            queue->keys[use->key & (queue->key_slots - 1)] = use;
        }
    free(old);
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
    queue->lanes = lanes_new(&host, queue->counts.ready == 0 && queue->cut == 0);
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

void queue_ended(struct jobs *jobs, struct queue *queue, uint64_t key)
{
    (void)jobs;
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
