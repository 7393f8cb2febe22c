#include "engine/job_budget.h"

#include <stdlib.h>
#include <string.h>

#include "engine/job_log.h"

static struct budget *budget_new(struct jobs *jobs, struct str id)
{
    struct budget *budget = calloc(1, sizeof *budget + id.n);
    if (!budget)
        abort();
    if (id.n)
        memcpy(budget + 1, id.p, id.n);
    budget->id = (struct str){ (char *)(budget + 1), id.n };
    budget->open_us = NEVER_US;
    budget->next = jobs->budgets;
    jobs->budgets = budget;
    return budget;
}

static enum err budget_policy(struct op *op, struct budget *budget, struct str text)
{
    struct budget_policy policy;
    TRY(budget_policy_read(op, text, &policy, NULL));
    char *copy = malloc(text.n + 1);
    if (!copy)
        abort();
    memcpy(copy, text.p, text.n);
    free((void *)(uintptr_t)budget->text.p);
    budget->text = (struct str){ copy, text.n };
    budget->policy = policy;
    return OK;
}

struct loading {
    struct op *op;
    struct jobs *jobs;
};

static enum err load_budget(void *arg, const struct budget_row *row)
{
    struct loading *loading = arg;
    struct budget *budget = budget_new(loading->jobs, row->id);
    budget->tat_ns = row->tat_ns;
    return budget_policy(loading->op, budget, row->policy);
}

/* There from the start (BUD-2, KEEP-1); the row is written when somebody changes one. */
static const struct {
    const char *id, *policy;
} own_budgets[] = {
    { "background", "{\"concurrency\":8,\"cpu_share\":0.5}" },
    { "keep", "{\"concurrency\":2,\"cpu_share\":0.5}" },
};
#define OWN_BUDGETS (sizeof own_budgets / sizeof *own_budgets)

static bool is_own(struct str id)
{
    for (size_t i = 0; i < OWN_BUDGETS; i++)
        if (str_eq(id, str_of(own_budgets[i].id)))
            return true;
    return false;
}

enum err budgets_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct loading loading = { op, jobs };
    TRY(store_budget_each(op, tx, load_budget, &loading));
    for (size_t i = 0; i < OWN_BUDGETS; i++) {
        struct str id = str_of(own_budgets[i].id);
        if (!budget_find(jobs, id))
            TRY(budget_policy(op, budget_new(jobs, id), str_of(own_budgets[i].policy)));
    }
    return OK;
}

static void budget_free(struct budget *budget)
{
    free((void *)(uintptr_t)budget->text.p);
    free(budget);
}

void budgets_unload(struct jobs *jobs)
{
    for (struct budget *budget = jobs->budgets, *next; budget; budget = next) {
        next = budget->next;
        budget_free(budget);
    }
    jobs->budgets = NULL;
}

struct budget *budget_find(struct jobs *jobs, struct str id)
{
    struct budget *budget = jobs->budgets;
    while (budget && !str_eq(budget->id, id))
        budget = budget->next;
    return budget;
}

static bool has_room(struct jobs *jobs, struct budget *budget, int64_t cost, int64_t now_us)
{
    if (budget->policy.concurrency != POLICY_NONE && budget->used + cost > budget->policy.concurrency)
        return false;
    int64_t wait_ns = rate_wait_ns(&budget->policy.rate, budget->tat_ns, now_us * 1000);
    if (wait_ns == 0)
        return true;
    budget->open_us = now_us + (wait_ns + 999) / 1000;
    jobs_due(jobs, budget->open_us);
    return false;
}

/* A queue that shares the budget, has work, and someone who waits for it. */
static bool is_hungry(const struct queue *queue, const struct budget *budget)
{
    return queue->budget == budget && queue->no && queue->counts.ready > 0 && queue->waits && !queue->paused &&
           queue_has_slot(queue);
}

static struct queue *next_hungry(struct jobs *jobs, const struct budget *budget)
{
    for (uint32_t i = 1; i <= jobs->by_no_room; i++) {
        struct queue *queue = jobs->by_no[(budget->turn + i) % jobs->by_no_room];
        if (queue && is_hungry(queue, budget))
            return queue;
    }
    return NULL;
}

/* Deficit round robin over hungry queues: a queue may start while it has credit, or when no other one is hungry. */
bool budget_may_start(struct jobs *jobs, const struct queue *queue, int64_t now_us)
{
    struct budget *budget = queue->budget;
    return !budget || has_room(jobs, budget, queue->policy.budget_cost, now_us);
}

/* Units came back: the queue whose turn it is gets them first. It is asked for last, because the list of those to serve
 * begins with the newest. */
void budget_freed(struct jobs *jobs, struct budget *budget)
{
    struct queue *first = jobs->by_no_room && budget->turn < jobs->by_no_room ? jobs->by_no[budget->turn] : NULL;
    if (first && is_hungry(first, budget) && first->credit > 0) {
        first->credit -= first->policy.budget_cost;
    } else {
        first = next_hungry(jobs, budget);
        if (!first)
            return;
        budget->turn = first->no;
        first->credit = first->policy.weight * first->policy.budget_cost - first->policy.budget_cost;
    }
    queue_wants_first(jobs, first);
}

void budgets_recount(struct jobs *jobs)
{
    for (struct budget *budget = jobs->budgets; budget; budget = budget->next)
        budget->used = 0;
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (const struct lease *lease = jobs->leases[i]; lease; lease = lease->hash_next)
            if (lease->queue->budget)
                lease->queue->budget->used += lease->queue->policy.budget_cost;
}

/* --- what operators do --- */

static size_t budget_count(const struct jobs *jobs)
{
    size_t n = 0;
    for (const struct budget *budget = jobs->budgets; budget; budget = budget->next)
        n++;
    return n;
}

enum err budget_put(struct op *op, struct tx *tx, struct str id, struct str policy)
{
    struct jobs *jobs;
    struct budget_policy checked;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(budget_policy_read(op, policy, &checked, NULL));
    if (checked.concurrency == 0 && is_own(id))
        return fail_at(op, ERR_INVALID, "/concurrency",
                       "a budget of Posthouse's own keeps a unit: pause its queue instead");
    struct budget *budget = budget_find(jobs, id);
    if (!budget && budget_count(jobs) >= BUDGETS_MAX)
        return fail(op, ERR_BUSY, "there are %d budgets, no more are made", BUDGETS_MAX);
    jobs_touch(jobs, tx);
    log_all(jobs);
    if (!budget)
        budget = budget_new(jobs, id);
    TRY(budget_policy(op, budget, policy));
    struct budget_row row = { budget->id, budget->text, budget->tat_ns };
    TRY(store_budget_put(op, tx, &row));
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i] && jobs->by_no[i]->budget == budget)
            queue_wants(jobs, jobs->by_no[i]);
    return jobs_serve(op, tx, jobs);
}

static struct budget_view view_of(struct op *op, const struct budget *budget)
{
    return (struct budget_view){ arena_str(op->arena, budget->id), arena_str(op->arena, budget->text), budget->used };
}

enum err budget_get(struct op *op, struct tx *tx, struct str id, struct budget_view *ret)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    const struct budget *budget = budget_find(jobs, id);
    if (!budget)
        return fail(op, ERR_NOT_FOUND, "no budget %.*s", STR(id));
    *ret = view_of(op, budget);
    return OK;
}

static int by_id(const void *a, const void *b)
{
    const struct budget_view *x = a, *y = b;
    return str_cmp(x->id, y->id);
}

enum err budget_list(struct op *op, struct tx *tx, struct str after, int max, struct budget_view **ret,
                     size_t *ret_count)
{
    struct jobs *jobs;
    size_t n = 0;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(op_alloc(op, (budget_count(jobs) + 1) * sizeof **ret, ret));
    for (const struct budget *budget = jobs->budgets; budget; budget = budget->next)
        if (after.n == 0 || str_cmp(budget->id, after) > 0)
            (*ret)[n++] = view_of(op, budget);
    qsort(*ret, n, sizeof **ret, by_id);
    *ret_count = n < (size_t)max ? n : (size_t)max;
    return OK;
}

enum err budget_delete(struct op *op, struct tx *tx, struct str id)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct budget *budget = budget_find(jobs, id);
    if (!budget)
        return fail(op, ERR_NOT_FOUND, "no budget %.*s", STR(id));
    if (is_own(id))
        return fail(op, ERR_CONFLICT, "the budget %.*s is Posthouse's own", STR(id));
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i] && jobs->by_no[i]->budget == budget)
            return fail(op, ERR_CONFLICT, "budget %.*s is in use by queue %.*s", STR(id), STR(jobs->by_no[i]->name));
    jobs_touch(jobs, tx);
    log_all(jobs);
    TRY(store_budget_delete(op, tx, id));
    struct budget **link = &jobs->budgets;
    while (*link != budget)
        link = &(*link)->next;
    *link = budget->next;
    budget_free(budget);
    return OK;
}
