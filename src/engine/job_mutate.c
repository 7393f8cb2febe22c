#include "engine/job_mutate.h"

#include "base/buf.h"
#include "base/glob.h"
#include "engine/job_act.h"
#include "engine/job_read.h"
#include "engine/jobs_own.h"

#define SLICE_BYTES_MAX (256u << 20)

struct slice {
    struct job_mutation *mutation;
    struct jobs *jobs;
    struct arena *memory; /* of one job */
};

/* --- which ---------------------------------------------------------------- */

/* The text without blanks outside of strings. */
static struct str compact(struct op *op, struct str json)
{
    char *out = arena_alloc_raw(op->arena, json.n + 1);
    size_t n = 0;
    bool inside = false, escaped = false;
    if (!out)
        return json;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (!inside && (c == ' ' || c == '\t' || c == '\n' || c == '\r'))
            continue;
        if (!escaped && c == '"')
            inside = !inside;
        escaped = inside && !escaped && c == '\\';
        out[n++] = c;
    }
    return (struct str){ out, n };
}

static bool is_wanted(struct op *op, const struct slice *slice, const struct job_known *job)
{
    const struct job_mutation *mutation = slice->mutation;
    if (job->state != mutation->set)
        return false;
    if (mutation->by_jids)
        return true;
    if (mutation->jobtype.n > 0 && !str_eq(mutation->jobtype, job->row.type))
        return false;
    if (mutation->glob.n == 0)
        return true;
    struct job_out out = { .id = job->row.id,
                           .jid = job->row.jid,
                           .queue = job->queue->name,
                           .jobtype = job->row.type,
                           .body = job->row.body,
                           .failure = job->aside.failure,
                           .created_us = jobs_wall_us(slice->jobs, (int64_t)job->row.id),
                           .enqueued_us = jobs_wall_us(slice->jobs, (int64_t)job->row.id) };
    struct buf buf;
    buf_init_arena(&buf, op->arena, SLICE_BYTES_MAX);
    job_write(&buf, &out, S(""));
    return glob_covers(mutation->glob, compact(op, buf_str(&buf)));
}

/* --- one job -------------------------------------------------------------- */

static enum err move(struct op *op, struct tx *tx, struct slice *slice, struct job_known *job)
{
    struct job_mutation *mutation = slice->mutation;
    if (mutation->verb == MUTATION_KILL && job->state == JOB_DEAD)
        return OK;
    enum job_action action = mutation->verb == MUTATION_KILL      ? ACTION_KILL
                             : mutation->verb == MUTATION_DISCARD ? ACTION_CANCEL
                             : mutation->set == JOB_SCHEDULED     ? ACTION_RUN
                                                                  : ACTION_RETRY;
    TRY(job_act_known(op, tx, slice->jobs, job, action));
    mutation->moved++;
    return OK;
}

/* Memory of the job is given back, so that a slice needs no more than its largest one. */
static enum err consider(struct op *op, struct tx *tx, struct slice *slice, uint64_t id)
{
    struct op own;
    struct job_known job;
    bool found = false;
    arena_reset(slice->memory);
    op_init(&own, slice->memory, op->now_us);
    enum err err = id ? job_know(&own, tx, slice->jobs, id, &job, &found) : OK;
    if (err == OK && found && is_wanted(&own, slice, &job))
        err = move(&own, tx, slice, &job);
    return op_inherit(op, err, &own);
}

/* --- one slice ------------------------------------------------------------ */

static enum err slice_of_jids(struct op *op, struct tx *tx, struct slice *slice)
{
    struct job_mutation *mutation = slice->mutation;
    size_t left = mutation->jid_count - mutation->to.jid;
    size_t count = left < MUTATE_SLICE_JOBS ? left : MUTATE_SLICE_JOBS;
    for (size_t i = 0; i < count; i++) {
        uint64_t id;
        TRY(store_job_find(op, tx, mutation->jids[mutation->to.jid++], &id));
        TRY(consider(op, tx, slice, id));
    }
    mutation->is_over = mutation->to.jid == mutation->jid_count;
    return OK;
}

static enum err slice_of_timers(struct op *op, struct tx *tx, struct slice *slice)
{
    struct job_mutation *mutation = slice->mutation;
    struct timer_row rows[MUTATE_SLICE_JOBS], from = { mutation->to.at_us, mutation->to.id };
    enum timer_kind kind = mutation->set == JOB_SCHEDULED ? TIMER_SCHEDULED : TIMER_RETRY;
    int count;
    TRY(store_timer_walk(op, tx, kind, &from, INT64_MAX, MUTATE_SLICE_JOBS, rows, &count));
    for (int i = 0; i < count; i++) {
        /* Ids are made of the time: what was pushed since is none of ours. */
        if (rows[i].id <= (uint64_t)mutation->to.until_us)
            TRY(consider(op, tx, slice, rows[i].id));
        mutation->to.at_us = rows[i].due_us;
        mutation->to.id = rows[i].id;
    }
    mutation->is_over = count < MUTATE_SLICE_JOBS;
    return OK;
}

static enum err slice_of_dead(struct op *op, struct tx *tx, struct slice *slice)
{
    struct job_mutation *mutation = slice->mutation;
    struct dead_row rows[MUTATE_SLICE_JOBS], from = { mutation->to.at_us, mutation->to.id, 0 };
    int count;
    TRY(store_dead_walk(op, tx, &from, MUTATE_SLICE_JOBS, rows, &count));
    mutation->is_over = count < MUTATE_SLICE_JOBS;
    for (int i = 0; i < count; i++) {
        if (rows[i].at_us > mutation->to.until_us) {
            mutation->is_over = true;
            return OK;
        }
        TRY(consider(op, tx, slice, rows[i].id));
        mutation->to.at_us = rows[i].at_us;
        mutation->to.id = rows[i].id;
    }
    return OK;
}

static void begin(struct job_mutation *mutation, const struct jobs *jobs, struct op *op, struct tx *tx)
{
    mutation->to = mutation->from;
    mutation->moved = 0;
    if (mutation->to.begun)
        return;
    mutation->to.begun = true;
    mutation->to.at_us = INT64_MIN;
    mutation->to.until_us = mutation->set == JOB_DEAD ? op->now_us : jobs_engine_us(jobs, tx);
}

enum err job_mutate(struct op *op, struct tx *tx, struct job_mutation *mutation)
{
    struct slice slice = { .mutation = mutation };
    enum err err;
    TRY(jobs_begin(op, tx, &slice.jobs));
    begin(mutation, slice.jobs, op, tx);
    slice.memory = arena_new(SLICE_BYTES_MAX);
    if (mutation->by_jids)
        err = slice_of_jids(op, tx, &slice);
    else if (mutation->set == JOB_DEAD)
        err = slice_of_dead(op, tx, &slice);
    else
        err = slice_of_timers(op, tx, &slice);
    arena_free(slice.memory);
    return err;
}
