/*
 * job_queues.c - queues in RAM: by name and number, with their policies and counters.
 */
#include "engine/job_log.h"
#include "engine/job_own.h"

#include <stdlib.h>
#include <string.h>

#include "base/chains.h"
#include "store/seq.h"

#define GHOSTS_MAX 100000

/* --- by name and number --- */

static size_t slot_of(const struct jobs *jobs, struct str name)
{
    return jobs_hash(jobs, name) & (jobs->queue_slots - 1);
}

static uint64_t hash_of(const void *entry, const void *data)
{
    return jobs_hash(data, ((const struct queue *)entry)->name);
}

static void slots_grow(struct jobs *jobs)
{
    static const struct chain chain = { offsetof(struct queue, hash_next), hash_of };
    size_t n = jobs->queue_slots ? jobs->queue_slots * 2 : 64;
    jobs->queues = chains_move(jobs->queues, jobs->queue_slots, n, &chain, jobs);
    jobs->queue_slots = n;
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

enum err queue_policy_check(struct op *op, struct jobs *jobs, struct str name, struct str text,
                            struct json_problems *problems)
{
    struct queue_policy policy;
    TRY(queue_policy_read(op, text, key_hash, jobs, &policy, problems));
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
        op_inherit(op, err, &own);
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

static void queue_free(struct queue *queue)
{
    lanes_free(queue->lanes);
    queue_keys_free(queue);
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
        if (!budget->tat_moved)
            continue;
        TRY(store_budget_tat(op, tx, budget->id, budget->tat_ns));
        log_budget(jobs, budget);
        budget->tat_moved = false;
    }
    return OK;
}

struct loading {
    struct jobs *jobs;
    struct op *op;
};

/* What the row says of it beside its name, number and policy. */
static void queue_read_row(struct queue *queue, const struct queue_row *row)
{
    queue->version = row->version;
    queue->paused = row->paused;
    queue->draining = row->draining;
    queue->gone = row->gone;
    queue->cut = row->cut;
}

static enum err load_queue(void *arg, const struct queue_row *row, const struct queue_counts *counts)
{
    struct loading *loading = arg;
    struct queue *queue = queue_new(loading->jobs, row->name);
    number_queue(loading->jobs, queue, row->no);
    queue_read_row(queue, row);
    queue->sweeping = row->cut != 0; /* what a run before may have left */
    queue->sweep = (struct ready_row){ .queue_no = row->no };
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
    queue->sweeping |= queue->cut != row->cut;
    if (queue->sweeping)
        queue->sweep = (struct ready_row){ .queue_no = row->no };
    queue_read_row(queue, row);
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
