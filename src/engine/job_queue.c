#include "engine/job_queue.h"

#include <stdlib.h>

#include "engine/job_own.h"
#include "engine/jobs_own.h"

bool queue_name_valid(struct str name)
{
    if (name.n == 0 || name.n > JOB_QUEUE_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
              c == '-'))
            return false;
    }
    return true;
}

bool queue_is_own(struct str name)
{
    return str_starts(name, S("posthouse.")) || str_eq(name, S(KEEP_QUEUE));
}

/* --- views --- */

/* The head of a lane that was never looked at is found by one pick, which changes nothing. */
static enum err oldest_of(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, int64_t *ret_us)
{
    *ret_us = 0;
    if (queue->counts.ready == 0)
        return OK;
    struct lane_pick pick;
    bool found;
    int64_t now_us = jobs_engine_us(jobs, tx);
    if (lanes_oldest(queue_lanes(jobs, queue)) == 0)
        TRY(lanes_pick(op, tx, queue->lanes, queue->cut, now_us, -1, &pick, &found));
    uint64_t oldest = lanes_oldest(queue->lanes);
    if (oldest && now_us > (int64_t)oldest)
        *ret_us = now_us - (int64_t)oldest;
    return OK;
}

static enum err view_of(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, struct queue_view *ret)
{
    int64_t now_us = jobs_engine_us(jobs, tx);
    *ret = (struct queue_view){
        .name = arena_str(op->arena, queue->name),
        .version = queue->version,
        .paused = queue->paused,
        .draining = queue->draining,
        .ready = queue->counts.ready,
        .leased = queue->counts.leased,
        .scheduled = queue->counts.scheduled,
        .retry = queue->counts.retry,
        .blocked = queue->counts.blocked,
        .dead = queue->counts.dead,
        .ready_bytes = queue->counts.ready_bytes,
        .in_per_minute = meter_sum(&queue->in, now_us),
        .out_per_minute = meter_sum(&queue->out, now_us),
        .down_until_us = queue->down_until_us > op->now_us ? queue->down_until_us : 0,
    };
    TRY(policy_shown(op, queue->text, &ret->policy));
    return oldest_of(op, tx, jobs, queue, &ret->latency_us);
}

static bool is_listed(const struct queue *queue)
{
    return queue->no && !queue->gone;
}

enum err queue_get(struct op *op, struct tx *tx, struct str name, struct queue_view *ret)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct queue *queue = queue_find(jobs, name);
    if (!queue || !is_listed(queue))
        return fail(op, ERR_NOT_FOUND, "no queue %.*s", STR(name));
    return view_of(op, tx, jobs, queue, ret);
}

static int by_name(const void *a, const void *b)
{
    const struct queue *const *x = a, *const *y = b;
    return str_cmp((*x)->name, (*y)->name);
}

enum err queue_list(struct op *op, struct tx *tx, struct str after, int max, struct queue_view **ret, size_t *ret_count)
{
    struct jobs *jobs;
    struct queue **sorted;
    size_t n = 0;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(op_alloc(op, (jobs->by_no_room + 1) * sizeof(struct queue *), &sorted));
    TRY(op_alloc(op, (size_t)max * sizeof **ret, ret));
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i] && is_listed(jobs->by_no[i]) && (after.n == 0 || str_cmp(jobs->by_no[i]->name, after) > 0))
            sorted[n++] = jobs->by_no[i];
    qsort(sorted, n, sizeof(struct queue *), by_name);
    *ret_count = n < (size_t)max ? n : (size_t)max;
    for (size_t i = 0; i < *ret_count; i++)
        TRY(view_of(op, tx, jobs, sorted[i], &(*ret)[i]));
    return OK;
}

/* --- changes --- */

static enum err queue_named(struct op *op, struct tx *tx, struct str name, struct jobs **ret_jobs, struct queue **ret)
{
    TRY(jobs_begin(op, tx, ret_jobs));
    if (!queue_name_valid(name))
        return fail_at(op, ERR_INVALID, "/queue", "queue must match [A-Za-z0-9._-]{1,128}");
    return queue_make(op, tx, *ret_jobs, name, ret);
}

static enum err queue_changed_by(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue)
{
    queue->version++;
    queue_changed(jobs, tx, queue);
    TRY(queue_write(op, tx, queue));
    queue_wants(jobs, queue);
    return jobs_serve(op, tx, jobs);
}

enum err queue_pause(struct op *op, struct tx *tx, struct str name, bool paused)
{
    struct jobs *jobs;
    struct queue *queue;
    TRY(queue_named(op, tx, name, &jobs, &queue));
    if (queue->paused == paused && (paused || !queue->draining))
        return OK;
    jobs_touch(jobs, tx);
    queue->paused = paused;
    if (!paused)
        queue->draining = false;
    return queue_changed_by(op, tx, jobs, queue);
}

enum err queue_drain(struct op *op, struct tx *tx, struct str name, bool draining)
{
    struct jobs *jobs;
    struct queue *queue;
    TRY(queue_named(op, tx, name, &jobs, &queue));
    if (queue->draining == draining)
        return OK;
    jobs_touch(jobs, tx);
    queue->draining = draining;
    return queue_changed_by(op, tx, jobs, queue);
}

void queue_recount_keys(struct jobs *jobs, struct queue *queue)
{
    for (size_t i = 0; i < queue->key_slots; i++)
        for (struct key_use *use = queue->keys[i]; use; use = use->next)
            use->leased = 0;
    if (!queue_counts_keys(queue))
        return;
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (const struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next)
            if (lease->queue == queue && lease->key)
                queue_key_use(queue, lease->key, true)->leased++;
}

enum err queue_patch(struct op *op, struct tx *tx, struct str name, const struct queue_patch *patch)
{
    struct jobs *jobs;
    struct queue *queue;
    struct str text, had = { 0 };
    TRY(jobs_begin(op, tx, &jobs));
    if (!queue_name_valid(name))
        return fail_at(op, ERR_INVALID, "/queue", "queue must match [A-Za-z0-9._-]{1,128}");
    queue = queue_find(jobs, name);
    if (queue && is_listed(queue))
        had = queue->text;
    else if (queue_is_own(name))
        had = own_policy(name);
    TRY(handler_patch(op, patch->policy, patch->is_admin, &text));
    TRY(policy_merge(op, had, text, &text));
    TRY(queue_policy_check(op, jobs, name, text, patch->problems));
    if (queue && is_listed(queue) && str_eq(text, had) && patch->paused < 0 && patch->draining < 0)
        return OK; /* a file that is applied again says nothing new */
    TRY(queue_make(op, tx, jobs, name, &queue));
    jobs_touch(jobs, tx);
    TRY(queue_set_policy(op, jobs, queue, text));
    if (patch->paused >= 0)
        queue->paused = patch->paused;
    if (patch->draining >= 0)
        queue->draining = patch->draining;
    queue_recount_keys(jobs, queue);
    budgets_recount(jobs);
    return queue_changed_by(op, tx, jobs, queue);
}

/* QUE-7: one row says that everything ready or blocked up to now is gone. */
enum err queue_delete(struct op *op, struct tx *tx, struct str name)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct queue *queue = queue_find(jobs, name);
    if (!queue || !is_listed(queue))
        return fail(op, ERR_NOT_FOUND, "no queue %.*s", STR(name));
    jobs_touch(jobs, tx);
    TRY(queue_set_policy(op, jobs, queue, S("")));
    queue->cut = jobs_stamp(jobs, tx) + 1;
    queue->paused = queue->draining = false;
    queue->gone = true;
    queue->counts.ready = queue->counts.ready_bytes = queue->counts.blocked = 0;
    queue->sweep = (struct ready_row){ .queue_no = queue->no, .level = -1 };
    queue->sweeping = true;
    queue_recount_keys(jobs, queue);
    budgets_recount(jobs);
    queue_changed(jobs, tx, queue);
    jobs_due(jobs, jobs_engine_us(jobs, tx));
    return queue_write(op, tx, queue);
}
