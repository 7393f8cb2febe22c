#include "engine/job_push.h"

#include "base/id.h"
#include "engine/jobs_own.h"

#define DISK_AGAIN_S 10 /* a client is told to come again after so long */

/* One job of a push on its way in. */
struct entering {
    const struct job_spec *spec;
    struct job_pushed *ret;
    struct queue *queue;
    struct job_known job;
};

static struct entering entering_of(struct jobs *jobs, const struct job_spec *spec, struct job_pushed *ret)
{
    *ret = (struct job_pushed){ .jid = spec->jid, .pointer = "" };
    return (struct entering){ .spec = spec, .ret = ret, .queue = queue_find(jobs, spec->queue) };
}

static enum err refuse(struct job_pushed *ret, enum err err, const char *pointer, struct str detail)
{
    ret->result = JOB_REFUSED;
    ret->err = err;
    ret->pointer = pointer;
    ret->detail = detail;
    return OK;
}

/* --- is it one we have (JOB-3) --- */

static enum err duplicate_check(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    const struct finished *finished = finished_find(jobs, jobs_hash(jobs, e->spec->jid), jobs_engine_us(jobs, tx));
    (void)op;
    *ret_goes = finished == NULL;
    if (!finished)
        return OK;
    e->ret->result = JOB_DUPLICATE;
    e->ret->state = JOB_DONE;
    jobs->totals.duplicates++;
    return OK;
}

/* Is the job of this row live: then the push is a duplicate. */
static enum err look_at_same(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, uint64_t id,
                             struct job_known *old, bool *ret_live)
{
    bool found;
    TRY(job_know(op, tx, jobs, id, old, &found));
    if (!found)
        return fail(op, ERR_BUG, "the row of jid %.*s is and is not there", STR(e->spec->jid));
    *ret_live = old->state != JOB_DEAD && old->state != JOB_NONE;
    if (!*ret_live)
        return OK;
    e->ret->result = JOB_DUPLICATE;
    e->ret->state = old->state;
    jobs->totals.duplicates++;
    return OK;
}

/* A row has the jid. One that is dead, or was deleted with its queue, makes room for the new life. */
static enum err same_jid(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_again)
{
    struct job_known old;
    uint64_t id;
    bool live;
    TRY(store_job_find(op, tx, e->spec->jid, &id));
    TRY(look_at_same(op, tx, jobs, e, id, &old, &live));
    *ret_again = !live;
    if (live)
        return OK;
    jobs_touch(jobs, tx);
    TRY(job_left(op, tx, jobs, &old, old.state == JOB_DEAD ? JOB_DISCARDED : JOB_CANCELLED));
    if (old.state == JOB_DEAD)
        TRY(job_lift(op, tx, jobs, &old));
    return job_forget(op, tx, jobs, &old);
}

/* --- is there room (QUE-5, QUE-6) --- */

static enum err disk_check(struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    *ret_goes = !atomic_load(&jobs->disk_low);
    if (*ret_goes)
        return OK;
    e->ret->retry_after_s = DISK_AGAIN_S;
    return refuse(e->ret, ERR_UNAVAILABLE, "", S("the disk is nearly full; what is queued goes on"));
}

static enum err admit(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    const struct queue *queue = e->queue;
    const struct queue_policy *policy = &queue->policy;
    struct str name = queue->name;
    *ret_goes = false;
    if (queue->draining)
        return refuse(e->ret, ERR_CONFLICT, "/queue", S("queue is draining"));
    int64_t waiting = queue->counts.ready + queue->counts.blocked + queue->counts.scheduled;
    bool full = (policy->max_queued != POLICY_NONE && waiting >= policy->max_queued) ||
                (policy->max_bytes != POLICY_NONE && queue->counts.ready_bytes >= policy->max_bytes);
    if (!full && policy->max_age_us != POLICY_NONE && queue->counts.ready > 0) {
        uint64_t oldest = queue->lanes ? lanes_oldest(queue->lanes) : 0;
        full = oldest && jobs_engine_us(jobs, tx) - (int64_t)oldest > policy->max_age_us;
    }
    *ret_goes = !full;
    if (!full)
        return OK;
    e->ret->retry_after_s = 1;
    return refuse(e->ret, ERR_BUSY, "/queue",
                  arena_fmt(op->arena, "queue \"%.*s\" is full (%lld jobs)", STR(name), (long long)waiting));
}

/* --- one job --- */

static struct str jid_for(struct op *op, const struct job_spec *spec, uint64_t id)
{
    char text[ID_TEXT_BYTES];
    return str_given(spec->jid) ? spec->jid : arena_str(op->arena, id_make(op_now_ms(op), id, text));
}

/* What the row of the job will say; its options are packed into bytes. */
static void fill_row(struct op *op, struct entering *e, char bytes[JOB_OPTS_BYTES_MAX])
{
    const struct job_spec *spec = e->spec;
    e->job.row = (struct job_row){
        .id = e->job.row.id,
        .queue_no = e->queue->no,
        .type = spec->jobtype,
        .body = spec->body,
        .jid_is_new = !str_given(spec->jid),
    };
    e->job.row.jid = e->ret->jid = jid_for(op, spec, e->job.row.id);
    job_opts_of(spec, &e->job.opts);
    e->job.row.flags = e->job.opts.flags;
    e->job.row.opts = job_opts_pack(&e->job.opts, bytes);
}

static enum err write_row(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    *ret_goes = true;
    for (;;) {
        bool added, again;
        TRY(store_job_add(op, tx, &e->job.row, &added));
        if (added)
            return OK;
        TRY(same_jid(op, tx, jobs, e, &again));
        *ret_goes = again;
        if (!again)
            return OK;
    }
}

/* The locks come before the row: a job that is not unique leaves nothing. Its jid is looked at first, because a re-sent
 * push finds its own lock taken and must not hear that it is not unique. */
static enum err take_locks(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    const struct job_spec *spec = e->spec;
    struct job_known old;
    uint64_t id = 0;
    bool live = false;
    if (str_given(spec->jid))
        TRY(store_job_find(op, tx, spec->jid, &id));
    if (id)
        TRY(look_at_same(op, tx, jobs, e, id, &old, &live)); /* one that is dead stays until the lock is ours */
    *ret_goes = !live;
    if (live)
        return OK;
    return unique_take(op, tx, jobs, spec, e->job.row.id, e->ret, ret_goes);
}

static enum err batch_check(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool *ret_goes)
{
    TRY(batch_knows(op, tx, jobs, e->spec->batch, ret_goes));
    if (*ret_goes)
        return OK;
    return refuse(e->ret, ERR_INVALID, "/batch", arena_fmt(op->arena, "No such batch %.*s", STR(e->spec->batch)));
}

static bool joins_batch(const struct job_spec *spec)
{
    return str_given(spec->batch) && !spec->callback;
}

/* All that may refuse it before it has a row. */
static enum err check(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool inside, bool *ret_goes)
{
    const struct job_spec *spec = e->spec;
    bool goes = true;
    if (str_given(spec->jid) && jobs->finished_count)
        TRY(duplicate_check(op, tx, jobs, e, &goes));
    if (goes && !inside)
        TRY(disk_check(jobs, e, &goes));
    if (goes && e->queue && e->queue->no && !inside)
        TRY(admit(op, tx, jobs, e, &goes));
    if (goes && joins_batch(spec))
        TRY(batch_check(op, tx, jobs, e, &goes));
    e->job.row.id = jobs_stamp(jobs, tx);
    if (goes && spec->unique.for_us)
        TRY(take_locks(op, tx, jobs, e, &goes));
    *ret_goes = goes;
    return OK;
}

/* It has its row; now its place. */
static enum err settle(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e)
{
    const struct job_spec *spec = e->spec;
    struct str *opts = &e->job.row.opts;
    *opts = opts->p ? (struct str){ "", opts->n } : (struct str){ 0 }; /* its length */
    jobs_touch(jobs, tx);
    if (joins_batch(spec))
        TRY(batch_join(op, tx, jobs, spec->batch, e->job.row.id));
    e->queue->counts.pushed++;
    TRY(job_put(op, tx, jobs, e->queue, &e->job, spec->at_us, JOB_SCHEDULED, true));
    e->ret->result = JOB_PUSHED;
    e->ret->state = e->job.state;
    return OK;
}

static enum err push_one(struct op *op, struct tx *tx, struct jobs *jobs, struct entering *e, bool inside)
{
    char bytes[JOB_OPTS_BYTES_MAX];
    bool goes;
    TRY(check(op, tx, jobs, e, inside, &goes));
    if (!goes)
        return OK;
    if (!e->queue || !e->queue->no || e->queue->gone)
        TRY(queue_make(op, tx, jobs, e->spec->queue, &e->queue));
    fill_row(op, e, bytes);
    TRY(write_row(op, tx, jobs, e, &goes));
    return goes ? settle(op, tx, jobs, e) : OK;
}

/* --- many jobs --- */

/* Jobs that are checked and want their rows: those of one statement cost less than each by itself. */
struct line {
    struct entering jobs[STORE_JOBS_TOGETHER];
    char opts[STORE_JOBS_TOGETHER][JOB_OPTS_BYTES_MAX];
    size_t count;
};

/* May others be checked before this one has its place: nothing that it changes is looked at for them. */
static bool may_line_up(const struct entering *e)
{
    const struct queue *queue = e->queue;
    if (!queue || !queue->no || queue->gone || e->spec->unique.for_us || joins_batch(e->spec))
        return false;
    const struct queue_policy *policy = &queue->policy;
    return policy->max_queued == POLICY_NONE && policy->max_bytes == POLICY_NONE && policy->max_age_us == POLICY_NONE;
}

/* Adds the rows of a full line; *ret_there is set for the jobs that have theirs now. */
static enum err line_add(struct op *op, struct tx *tx, const struct line *line, bool ret_there[STORE_JOBS_TOGETHER])
{
    const struct job_row *rows[STORE_JOBS_TOGETHER];
    uint64_t ids[STORE_JOBS_TOGETHER] = { 0 }, there[STORE_JOBS_TOGETHER] = { 0 };
    size_t n = 0;
    bool all;
    for (size_t i = 0; i < line->count; i++) {
        rows[i] = &line->jobs[i].job.row;
        ids[i] = rows[i]->id;
    }
    TRY(store_job_add_together(op, tx, rows, &all));
    if (!all)
        TRY(store_job_there(op, tx, ids, line->count, there, &n));
    for (size_t i = 0, k = 0; i < line->count; i++) {
        ret_there[i] = all || (k < n && there[k] == ids[i]);
        k += !all && ret_there[i];
    }
    return OK;
}

/* All of the line go in, in their order. */
static enum err line_flush(struct op *op, struct tx *tx, struct jobs *jobs, struct line *line)
{
    bool there[STORE_JOBS_TOGETHER] = { false };
    if (line->count == STORE_JOBS_TOGETHER)
        TRY(line_add(op, tx, line, there));
    for (size_t i = 0; i < line->count; i++) {
        struct entering *e = &line->jobs[i];
        bool goes = true;
        if (!there[i])
            TRY(write_row(op, tx, jobs, e, &goes));
        if (goes)
            TRY(settle(op, tx, jobs, e));
    }
    line->count = 0;
    return OK;
}

static enum err push_many(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *specs, size_t n,
                          bool inside, struct job_pushed *results)
{
    struct line line;
    line.count = 0;
    for (size_t i = 0; i < n; i++) {
        struct entering *e = &line.jobs[line.count];
        bool goes;
        *e = entering_of(jobs, &specs[i], &results[i]);
        if (!may_line_up(e)) {
            TRY(line_flush(op, tx, jobs, &line));
            struct entering alone = entering_of(jobs, &specs[i], &results[i]);
            TRY(push_one(op, tx, jobs, &alone, inside));
            continue;
        }
        TRY(check(op, tx, jobs, e, inside, &goes));
        if (goes)
            fill_row(op, e, line.opts[line.count++]);
        if (line.count == STORE_JOBS_TOGETHER)
            TRY(line_flush(op, tx, jobs, &line));
    }
    return line_flush(op, tx, jobs, &line);
}

enum err push_inside(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *spec,
                     struct job_pushed *ret)
{
    struct entering e = entering_of(jobs, spec, ret);
    return push_one(op, tx, jobs, &e, true);
}

enum err job_push(struct op *op, struct tx *tx, const struct job_spec *specs, size_t n, bool inside,
                  struct job_pushed *results)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(push_ask(op, tx, jobs, specs, n));
    if (n >= STORE_JOBS_TOGETHER && store_job_likes_together(tx)) {
        TRY(push_many(op, tx, jobs, specs, n, inside, results));
        return jobs_serve(op, tx, jobs);
    }
    for (size_t i = 0; i < n; i++) {
        struct entering e = entering_of(jobs, &specs[i], &results[i]);
        TRY(push_one(op, tx, jobs, &e, inside));
    }
    return jobs_serve(op, tx, jobs);
}
