#include "engine/job_batch_own.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "base/json_write.h"
#include "engine/job_push.h"

/* --- names --- */

#define BID_DIGITS 12 /* of the number in id.h's digits: 60 bits, an instant for many thousand years */

struct str batch_text(struct op *op, uint64_t no)
{
    char text[ID_TEXT_BYTES];
    struct str id = id_make(0, no, text);
    return arena_fmt(op->arena, "b-%s", id.p + id.n - BID_DIGITS);
}

static bool bid_read(struct str bid, uint64_t *ret)
{
    char text[ID_TEXT_BYTES];
    int64_t ms;
    struct str id = id_make(0, 0, text);
    if (bid.n != BID_DIGITS + 2 || !str_starts(bid, S("b-")))
        return false;
    memcpy(text + id.n - BID_DIGITS, bid.p + 2, BID_DIGITS);
    return id_parse(id, &ms, ret);
}

/* --- rows of a group --- */

#define SLOT(no) ((no)*UINT64_C(0x9E3779B97F4A7C15) >> 56) /* BATCH_SLOTS of them */
_Static_assert(BATCH_SLOTS == 256, "SLOT gives eight bits");

struct batch *batch_add(struct jobs *jobs, const struct batch_row *row)
{
    struct batch *batch = calloc(1, sizeof *batch), **slot = &jobs->batches[SLOT(row->no)];
    if (!batch)
        abort();
    batch->row = *row;
    batch->next = *slot;
    batch->all_next = jobs->all_batches;
    *slot = jobs->all_batches = batch;
    return batch;
}

enum err batch_at(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t no, struct batch **ret)
{
    struct batch_row row;
    bool found;
    for (*ret = jobs->batches[SLOT(no)]; *ret; *ret = (*ret)->next)
        if ((*ret)->row.no == no) {
            if ((*ret)->gone)
                *ret = NULL;
            return OK;
        }
    TRY(store_batch_get(op, tx, no, &row, &found));
    if (found)
        *ret = batch_add(jobs, &row);
    return OK;
}

enum err batch_of(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, struct batch **ret)
{
    uint64_t no;
    *ret = NULL;
    return bid_read(bid, &no) ? batch_at(op, tx, jobs, no, ret) : OK;
}

void batch_touch(struct jobs *jobs, struct tx *tx, struct batch *batch)
{
    jobs_touch(jobs, tx);
    batch->changed = true;
    if (batch->wanting)
        return;
    batch->wanting = true;
    batch->wanting_next = jobs->batches_wanting;
    jobs->batches_wanting = batch;
}

enum err batches_write(struct op *op, struct tx *tx, struct jobs *jobs)
{
    for (const struct batch *batch = jobs->all_batches; batch; batch = batch->all_next)
        if (batch->changed && !batch->gone)
            TRY(store_batch_put(op, tx, &batch->row));
    return OK;
}

void batches_drop(struct jobs *jobs)
{
    for (struct batch *batch; (batch = jobs->all_batches);) {
        jobs->all_batches = batch->all_next;
        jobs->batches[SLOT(batch->row.no)] = NULL; /* all of the slot go */
        free(batch);
    }
    jobs->batches_wanting = NULL;
}

/* --- members --- */

enum err batch_knows(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, bool *ret)
{
    struct batch *batch;
    TRY(batch_of(op, tx, jobs, bid, &batch));
    *ret = batch && batch->row.phase != BATCH_EXPIRED;
    return OK;
}

static enum err put_fresh(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, uint64_t id)
{
    batch_touch(jobs, tx, batch);
    batch->row.touched_us = jobs_engine_us(jobs, tx);
    batch->row.due_us = batch->row.phase == BATCH_COMMITTED ? NEVER_US : batch->row.due_us;
    batch->row.pending++;
    batch->row.fresh++;
    return store_batch_job_put(op, tx, batch->row.no, id, MARK_FRESH);
}

enum err batch_join(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, uint64_t id)
{
    struct batch *batch;
    TRY(batch_of(op, tx, jobs, bid, &batch));
    assert(batch);
    batch->row.total++;
    return put_fresh(op, tx, jobs, batch, id);
}

enum err batch_rejoin(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job)
{
    struct batch *batch;
    bool there;
    if (!job_is_member(&job->opts))
        return OK;
    TRY(batch_of(op, tx, jobs, job->opts.batch, &batch));
    if (!batch || batch->row.phase == BATCH_EXPIRED)
        return OK;
    TRY(store_batch_cancelled_delete(op, tx, batch->row.no, job->row.jid, &there));
    batch->row.cancelled -= there;
    return put_fresh(op, tx, jobs, batch, job->row.id);
}

enum err batch_failed(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job)
{
    struct batch *batch;
    enum batch_mark mark;
    bool there;
    if (!job_is_member(&job->opts))
        return OK;
    TRY(batch_of(op, tx, jobs, job->opts.batch, &batch));
    if (!batch)
        return OK;
    TRY(store_batch_job_get(op, tx, batch->row.no, job->row.id, &mark, &there));
    if (!there || mark == MARK_FAILED)
        return OK;
    batch_touch(jobs, tx, batch);
    batch->row.fresh--;
    batch->row.failed++;
    return store_batch_job_put(op, tx, batch->row.no, job->row.id, MARK_FAILED);
}

enum err batch_remove_job(struct op *op, struct tx *tx, struct batch *batch, uint64_t id, bool *ret_there)
{
    enum batch_mark mark;
    TRY(store_batch_job_get(op, tx, batch->row.no, id, &mark, ret_there));
    if (!*ret_there)
        return OK;
    batch->row.pending--;
    batch->row.fresh -= mark == MARK_FRESH;
    batch->row.failed -= mark == MARK_FAILED;
    assert(batch->row.pending >= 0 && batch->row.fresh >= 0 && batch->row.failed >= 0);
    return store_batch_job_delete(op, tx, batch->row.no, id);
}

static enum err member_ended(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch,
                             const struct job_known *job, enum job_outcome outcome)
{
    bool there;
    TRY(batch_remove_job(op, tx, batch, job->row.id, &there));
    if (!there)
        return OK;
    batch_touch(jobs, tx, batch);
    if (outcome == JOB_CANCELLED || outcome == JOB_EXPIRED) {
        if (batch->row.cancelled++ < BATCH_CANCELLED_MAX)
            return store_batch_cancelled_add(op, tx, batch->row.no, job->row.jid);
    } else if (outcome != JOB_SUCCEEDED) {
        batch->row.lost++;
    }
    return OK;
}

enum err batch_ended(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                     enum job_outcome outcome)
{
    struct batch *batch;
    if (!(job->opts.flags & OPT_BATCH))
        return OK;
    TRY(batch_of(op, tx, jobs, job->opts.batch, &batch));
    if (!batch)
        return OK;
    if (!job->opts.callback)
        return member_ended(op, tx, jobs, batch, job, outcome);
    batch_touch(jobs, tx, batch);
    return batch_part_over(op, tx, jobs, batch, (enum batch_call)job->opts.callback);
}

/* --- callbacks --- */

enum err batch_part_over(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, enum batch_call call)
{
    int *part = call == CALL_COMPLETE ? &batch->row.complete : &batch->row.success;
    struct batch *parent;
    if (*part == PART_OVER)
        return OK;
    *part = PART_OVER;
    if (!batch->row.parent)
        return OK;
    TRY(batch_at(op, tx, jobs, batch->row.parent, &parent));
    if (!parent)
        return OK;
    batch_touch(jobs, tx, parent);
    if (call == CALL_COMPLETE)
        parent->row.kids_complete--;
    else
        parent->row.kids_success--;
    return OK;
}

static bool drop_ours(struct json_writer *w, struct str name, struct str value, void *data)
{
    (void)w;
    (void)value;
    (void)data;
    return str_eq(name, S("bid")) || str_eq(name, S("_bid")) || str_eq(name, S("_cancelled"));
}

/* What the client put there, and which batch this is about. */
static enum err write_custom(struct op *op, struct tx *tx, struct json_writer *w, const struct batch *batch,
                             struct str custom)
{
    struct str *jids;
    int n = 0;
    json_object_begin(w);
    TRY(json_copy_members(op, w, custom, drop_ours, NULL));
    json_member_str(w, "_bid", batch_text(op, batch->row.no));
    if (batch->row.cancelled) {
        TRY(op_alloc(op, BATCH_CANCELLED_MAX * sizeof *jids, &jids));
        TRY(store_batch_cancelled_list(op, tx, batch->row.no, BATCH_CANCELLED_MAX, jids, &n));
        json_put_name(w, "_cancelled");
        json_array_begin(w);
        for (int i = 0; i < n; i++)
            json_put_str(w, jids[i]);
        json_array_end(w);
    }
    json_object_end(w);
    return OK;
}

/* The callback as the client gave it, with our members in its custom. */
static enum err write_callback(struct op *op, struct tx *tx, const struct batch *batch, struct str given,
                               struct str *ret)
{
    struct buf buf;
    struct json_writer w;
    struct str custom = { 0 };
    buf_init_arena(&buf, op->arena, given.n + BATCH_CANCELLED_MAX * (JOB_JID_BYTES_MAX * 6) + 4096);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, given, job_custom_out, &custom));
    json_put_name(&w, "custom");
    TRY(write_custom(op, tx, &w, batch, custom));
    json_object_end(&w);
    *ret = buf_str(&buf);
    return buf.full ? fail(op, ERR_TOO_LARGE, "the callback of a batch is too large") : OK;
}

/* The texts were read once when the batch was made, so a refusal now is a change of limits: it is told and passed. */
static enum err push_callback(struct op *op, struct tx *tx, struct jobs *jobs, const struct batch *batch,
                              enum batch_call call)
{
    struct job_reader reader = { .door = batch->row.calls & CALLS_OF_HTTP ? JOB_HTTP : JOB_WORKER,
                                 .key = jobs->key,
                                 .bytes_max = JOB_BYTES_MAX,
                                 .callback = true };
    struct batch_texts texts;
    struct job_spec spec;
    struct job_pushed pushed;
    struct str json;
    TRY(store_batch_texts(op, tx, batch->row.no, &texts));
    TRY(write_callback(op, tx, batch, call == CALL_COMPLETE ? texts.complete : texts.success, &json));
    TRY(job_read(op, &reader, json, &spec));
    spec.batch = batch_text(op, batch->row.no);
    spec.callback = (uint8_t)call;
    spec.unique = (struct job_unique){ 0 };
    TRY(push_inside(op, tx, jobs, &spec, &pushed));
    if (pushed.result == JOB_PUSHED)
        return OK;
    spec.jid = (struct str){ 0 }; /* somebody has a job of this name: ours gets one of its own */
    TRY(push_inside(op, tx, jobs, &spec, &pushed));
    return pushed.result == JOB_PUSHED ? OK : fail(op, ERR_BUG, "the callback of a batch is refused");
}

static enum err call_part(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, enum batch_call call)
{
    int *part = call == CALL_COMPLETE ? &batch->row.complete : &batch->row.success;
    if (!(batch->row.calls & (int)call))
        return batch_part_over(op, tx, jobs, batch, call);
    *part = PART_CALLED;
    return push_callback(op, tx, jobs, batch, call);
}

static enum err settle(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch)
{
    struct batch_row *row = &batch->row;
    if (row->phase != BATCH_COMMITTED)
        return OK;
    if (row->complete == PART_WAITS && row->fresh == 0 && row->kids_complete == 0)
        TRY(call_part(op, tx, jobs, batch, CALL_COMPLETE));
    if (row->complete == PART_OVER && row->success == PART_WAITS && row->pending == 0 && row->lost == 0 &&
        row->kids_success == 0)
        TRY(call_part(op, tx, jobs, batch, CALL_SUCCESS));
    bool never = row->success == PART_WAITS && row->lost > 0 && row->pending == 0 && row->kids_success == 0;
    if (row->due_us == NEVER_US && row->complete == PART_OVER && row->pending == 0 &&
        (row->success == PART_OVER || never)) {
        row->due_us = jobs_engine_us(jobs, tx) + BATCH_KEPT_US;
    }
    return OK;
}

enum err batches_settle(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct batch *batch;
    while ((batch = jobs->batches_wanting)) {
        jobs->batches_wanting = batch->wanting_next;
        batch->wanting = false;
        if (!batch->gone)
            TRY(settle(op, tx, jobs, batch));
    }
    return OK;
}
