/*
 * job_unique.c - locks of unique jobs (UNI-1..3).
 */
#include "engine/job_log.h"

#include "engine/job_push.h"
#include "store/store_uniq.h"

/* In `rule` of a lock's row. */
#define RULE_UNTIL(rule)  ((rule)&3)
#define RULE_STATES(rule) ((rule) >> 2 & 0xFF)

static enum err lock_put(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_unique *unique, uint64_t id,
                         int64_t at_us)
{
    int64_t delay_us = at_us > op->now_us ? at_us - op->now_us : 0;
    struct uniq_row row = { id, jobs_engine_us(jobs, tx) + delay_us + unique->for_us,
                            unique->until | unique->states << 2 };
    return store_uniq_put(op, tx, unique->key, &row);
}

/* Does the lock still hold: by time, and by what became of its job. */
static enum err lock_holds(struct op *op, struct tx *tx, struct jobs *jobs, const struct uniq_row *lock,
                           struct job_known *holder, bool *ret)
{
    bool found;
    *ret = false;
    if (!lock->id || lock->until_us <= jobs_engine_us(jobs, tx))
        return OK;
    TRY(job_know(op, tx, jobs, lock->id, holder, &found));
    if (RULE_UNTIL(lock->rule) == UNIQUE_EXPIRY)
        *ret = !RULE_STATES(lock->rule) || !found || RULE_STATES(lock->rule) >> holder->state & 1;
    else if (found && holder->state != JOB_NONE)
        *ret = !RULE_STATES(lock->rule) || RULE_STATES(lock->rule) >> holder->state & 1;
    if (!found)
        holder->row.jid = S("");
    return OK;
}

/* UNI-2 replace: the holder keeps jid and place, and gets a new body row. */
static enum err holder_replace(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *spec,
                               struct job_known *holder)
{
    struct job_opts opts;
    char bytes[JOB_OPTS_BYTES_MAX];
    bool added;
    enum job_state state = holder->state;
    struct queue *queue = holder->queue;
    job_opts_of(spec, &opts);
    opts.key = holder->opts.key; /* its lane and gate stay */
    opts.mutex = holder->opts.mutex;
    opts.flags = (opts.flags & ~(OPT_KEY | OPT_MUTEX | OPT_LEVEL)) | (holder->opts.flags & (OPT_KEY | OPT_MUTEX));
    opts.batch = holder->opts.batch;
    opts.callback = holder->opts.callback;
    opts.run = holder->opts.run;
    opts.flags = (opts.flags & ~(OPT_BATCH | OPT_RUN)) | (holder->opts.flags & (OPT_BATCH | OPT_CALLBACK | OPT_RUN));
    opts.level = holder->opts.level;
    if (state == JOB_SCHEDULED || state == JOB_READY) {
        opts.level = spec->priority;
        opts.key = spec->key;
        opts.flags = (opts.flags & ~(OPT_KEY | OPT_LEVEL)) | (spec->key ? OPT_KEY : 0);
    }
    if (opts.level)
        opts.flags |= OPT_LEVEL;
    bool moves = state == JOB_SCHEDULED ||
                 (state == JOB_READY && (opts.key != holder->opts.key || opts.level != holder->opts.level)) ||
                 (state == JOB_READY && spec->at_us > op->now_us);
    if (moves)
        TRY(job_lift(op, tx, jobs, holder));
    else if (state == JOB_READY)
        queue->counts.ready_bytes -= (int64_t)job_bytes(&holder->row);
    TRY(store_job_delete(op, tx, holder->row.id, holder->row.jid));
    holder->row.flags = opts.flags;
    holder->row.opts = job_opts_pack(&opts, bytes);
    holder->row.body = spec->body;
    holder->opts = opts;
    TRY(store_job_add(op, tx, &holder->row, &added));
    log_replaced(jobs, holder->row.id);
    if (moves)
        return job_put(op, tx, jobs, queue, holder, spec->at_us, JOB_SCHEDULED, false);
    if (state == JOB_READY)
        queue->counts.ready_bytes += (int64_t)job_bytes(&holder->row);
    return OK;
}

enum err unique_take(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *spec, uint64_t id,
                     struct job_pushed *ret, bool *ret_taken)
{
    const struct job_unique *unique = &spec->unique;
    struct uniq_row lock;
    struct job_known holder = { 0 };
    bool holds;
    TRY(store_uniq_get(op, tx, unique->key, &lock));
    TRY(lock_holds(op, tx, jobs, &lock, &holder, &holds));
    *ret_taken = !holds;
    if (!holds) {
        jobs_touch(jobs, tx);
        return lock_put(op, tx, jobs, unique, id, spec->at_us);
    }
    bool there = holder.row.id && holder.state != JOB_NONE;
    ret->jid = holder.row.jid;
    ret->state = there ? holder.state : JOB_DONE;
    bool replace = unique->conflict == CONFLICT_REPLACE && there && holder.state != JOB_LEASED;
    if (unique->conflict == CONFLICT_REJECT || (unique->conflict == CONFLICT_REPLACE && !replace)) {
        ret->result = JOB_NOT_UNIQUE;
        ret->err = ERR_CONFLICT;
        ret->detail = S("Job not unique");
        return OK;
    }
    ret->result = JOB_RETURNED_HOLDER;
    if (unique->conflict == CONFLICT_RETURN)
        return OK;
    jobs_touch(jobs, tx);
    if (replace) {
        TRY(holder_replace(op, tx, jobs, spec, &holder));
        ret->state = holder.state;
    }
    return lock_put(op, tx, jobs, unique, lock.id, replace ? spec->at_us : 0);
}

enum err unique_release(struct op *op, struct tx *tx, const struct job_opts *opts, uint64_t id)
{
    struct uniq_row lock;
    if (!(opts->flags & OPT_UNIQUE))
        return OK;
    TRY(store_uniq_get(op, tx, opts->unique.key, &lock));
    if (lock.id != id || RULE_UNTIL(lock.rule) == UNIQUE_EXPIRY)
        return OK;
    return store_uniq_delete(op, tx, opts->unique.key);
}
