/*
 * job_batch_life.c - how batches begin, are committed, expire and are forgotten; and the sweep that proves their sets.
 */
#include "engine/job_batch_own.h"

#include <stdio.h>

#define NO_BATCH "No such batch %.*s"

/* --- begin --- */

static enum err callback_check(struct op *op, const struct job_reader *reader, struct str json, const char *word,
                               struct str *ret_queue)
{
    struct job_reader own = *reader;
    struct job_spec spec;
    char sentence[OP_ERROR_BYTES_MAX], pointer[OP_POINTER_BYTES_MAX];
    if (!str_given(json))
        return OK;
    own.callback = true;
    enum err err = job_read(op, &own, json, &spec);
    if (err == OK && ret_queue)
        *ret_queue = spec.queue;
    if (err != ERR_INVALID)
        return err;
    snprintf(sentence, sizeof sentence, "%s", op->error);
    snprintf(pointer, sizeof pointer, "/%.8s%.*s", word, (int)sizeof pointer - 10, op->pointer);
    return fail_at(op, err, pointer, "%s", sentence);
}

enum err batch_new_check(struct op *op, const struct job_reader *reader, const struct batch_new *batch,
                         struct str ret_queues[2])
{
    if (!str_given(batch->complete) && !str_given(batch->success))
        return fail_at(op, ERR_INVALID, "/success", "a batch needs a callback: success, complete or both");
    TRY(callback_check(op, reader, batch->complete, "complete", ret_queues));
    return callback_check(op, reader, batch->success, "success", ret_queues ? ret_queues + 1 : NULL);
}

static enum err batch_must(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, struct batch **ret)
{
    TRY(batch_of(op, tx, jobs, bid, ret));
    if (*ret && (*ret)->row.phase != BATCH_EXPIRED)
        return OK;
    struct str shown = str_clip(bid, JOB_JID_BYTES_MAX);
    return fail(op, ERR_NOT_FOUND, NO_BATCH, STR(shown));
}

enum err batch_create(struct op *op, struct tx *tx, const struct batch_new *new, enum job_door door, struct str *ret_id)
{
    struct jobs *jobs;
    struct batch *parent = NULL;
    struct batch_texts texts = { new->description, new->complete, new->success };
    TRY(jobs_begin(op, tx, &jobs));
    if (str_given(new->parent)) {
        enum err err = batch_must(op, tx, jobs, new->parent, &parent);
        struct str shown = str_clip(new->parent, JOB_JID_BYTES_MAX);
        if (err == ERR_NOT_FOUND) /* a value is wrong, not the place that was asked for */
            return fail_at(op, ERR_INVALID, "/parent", NO_BATCH, STR(shown));
        TRY(err);
    }
    jobs_touch(jobs, tx);
    int64_t now_us = jobs_engine_us(jobs, tx);
    struct batch_row row = {
        .no = jobs_stamp(jobs, tx),
        .parent = parent ? parent->row.no : 0,
        .created_us = op->now_us,
        .touched_us = now_us,
        .due_us = now_us + BATCH_OPEN_US,
        .phase = BATCH_IS_OPEN,
        .calls = (str_given(new->complete) ? CALL_COMPLETE : 0) | (str_given(new->success) ? CALL_SUCCESS : 0) |
                 (door == JOB_HTTP ? CALLS_OF_HTTP : 0),
    };
    TRY(store_batch_add(op, tx, &row, &texts));
    batch_add(jobs, &row);
    if (parent) {
        batch_touch(jobs, tx, parent);
        parent->row.kids_complete++;
        parent->row.kids_success++;
        parent->row.touched_us = now_us;
    }
    *ret_id = batch_text(op, row.no);
    return jobs_serve(op, tx, jobs);
}

enum err batch_commit(struct op *op, struct tx *tx, struct str bid)
{
    struct jobs *jobs;
    struct batch *batch;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(batch_must(op, tx, jobs, bid, &batch));
    if (batch->row.phase == BATCH_COMMITTED)
        return OK;
    batch_touch(jobs, tx, batch);
    batch->row.phase = BATCH_COMMITTED;
    batch->row.due_us = NEVER_US;
    return jobs_serve(op, tx, jobs);
}

enum err batch_open(struct op *op, struct tx *tx, struct str bid)
{
    struct jobs *jobs;
    struct batch *batch;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(batch_must(op, tx, jobs, bid, &batch));
    batch_touch(jobs, tx, batch);
    batch->row.phase = BATCH_IS_OPEN;
    batch->row.touched_us = jobs_engine_us(jobs, tx);
    batch->row.due_us = batch->row.touched_us + BATCH_OPEN_US;
    return jobs_serve(op, tx, jobs);
}

static const char *part_text(const struct batch_row *row, enum batch_call call, int part)
{
    static const char *const texts[] = { [PART_WAITS] = "", [PART_CALLED] = "1", [PART_OVER] = "2" };
    return row->calls & (int)call ? texts[part] : NULL;
}

enum err batch_get(struct op *op, struct tx *tx, struct str bid, struct batch_view *ret)
{
    struct jobs *jobs;
    struct batch *batch;
    struct batch_texts texts;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(batch_must(op, tx, jobs, bid, &batch));
    TRY(store_batch_texts(op, tx, batch->row.no, &texts));
    const struct batch_row *row = &batch->row;
    *ret = (struct batch_view){
        .bid = batch_text(op, row->no),
        .parent = row->parent ? batch_text(op, row->parent) : (struct str){ 0 },
        .description = texts.description,
        .created_us = row->created_us,
        .total = row->total,
        .pending = row->pending + row->lost,
        .failed = row->failed + row->lost,
        .cancelled = row->cancelled,
        .committed = row->phase == BATCH_COMMITTED,
        .complete = part_text(row, CALL_COMPLETE, row->complete),
        .success = part_text(row, CALL_SUCCESS, row->success),
    };
    return OK;
}

/* --- end --- */

/* Members and texts of one that nobody may ask for any more, a slice at a time. */
static enum err forget_slice(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch)
{
    uint64_t ids[BATCH_SLICE * 2];
    int n;
    TRY(store_batch_job_walk(op, tx, batch->row.no, 0, BATCH_SLICE * 2, ids, &n));
    jobs_touch(jobs, tx);
    for (int i = 0; i < n; i++) {
        bool there;
        TRY(batch_remove_job(op, tx, batch, ids[i], &there));
    }
    batch->changed = true;
    if (n == BATCH_SLICE * 2)
        return OK;
    TRY(store_batch_cancelled_clear(op, tx, batch->row.no));
    TRY(store_batch_delete(op, tx, batch->row.no));
    batch->gone = true;
    return OK;
}

enum err batches_forget(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct batch_row rows[BATCH_SLICE];
    uint64_t after = 0;
    TRY(batches_write(op, tx, jobs));
    for (int n = BATCH_SLICE; n == BATCH_SLICE;) {
        TRY(store_batch_walk(op, tx, after, BATCH_SLICE, rows, &n));
        for (int i = 0; i < n; i++) {
            struct batch *batch;
            after = rows[i].no;
            TRY(batch_at(op, tx, jobs, after, &batch));
            while (batch && !batch->gone)
                TRY(forget_slice(op, tx, jobs, batch));
        }
    }
    return OK;
}

/* A child that ends without its success is as bad as a lost member; one that expired is passed over. */
static enum err leave_parent(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch)
{
    struct batch *parent = NULL;
    bool failed = batch->row.phase != BATCH_EXPIRED && batch->row.success != PART_OVER;
    if (batch->row.parent && failed)
        TRY(batch_at(op, tx, jobs, batch->row.parent, &parent));
    if (parent)
        parent->row.lost++;
    TRY(batch_part_over(op, tx, jobs, batch, CALL_COMPLETE));
    return batch_part_over(op, tx, jobs, batch, CALL_SUCCESS);
}

static enum err tell_expired(struct op *op, struct tx *tx, struct jobs *jobs, const struct batch_row *row)
{
    struct batch_texts texts;
    TRY(store_batch_texts(op, tx, row->no, &texts));
    return news_batch_expired(op, tx, jobs, batch_text(op, row->no), texts.description, row->total, row->pending);
}

static enum err batch_due_now(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, int64_t now_us)
{
    struct batch_row *row = &batch->row;
    jobs_touch(jobs, tx);
    batch->changed = true;
    if (row->phase == BATCH_IS_OPEN && row->touched_us + BATCH_OPEN_US > now_us) {
        row->due_us = row->touched_us + BATCH_OPEN_US;
        return OK;
    }
    if (row->phase == BATCH_IS_OPEN) {
        row->phase = BATCH_EXPIRED;
        jobs->totals.batches_expired++;
        TRY(tell_expired(op, tx, jobs, row));
    }
    TRY(leave_parent(op, tx, jobs, batch));
    return forget_slice(op, tx, jobs, batch);
}

enum err batches_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us)
{
    uint64_t due[BATCH_SLICE];
    int n;
    int64_t next_us;
    if (now_us < jobs->batches_due_us) {
        jobs_due(jobs, jobs->batches_due_us);
        return OK;
    }
    TRY(batches_write(op, tx, jobs));
    struct due_range range = { jobs->first.batch_us, now_us, now_us + BATCH_AHEAD_US };
    TRY(store_batch_due(op, tx, &range, BATCH_SLICE, due, &n, &next_us));
    for (int i = 0; i < n; i++) {
        struct batch *batch;
        TRY(batch_at(op, tx, jobs, due[i], &batch));
        if (batch)
            TRY(batch_due_now(op, tx, jobs, batch, now_us));
    }
    /* Batches made meanwhile are due 30 min later at the earliest: a look every now and then finds them all. */
    if (n == 0)
        jobs->first.batch_us = next_us < now_us - BATCH_SPARE_US ? next_us : now_us - BATCH_SPARE_US;
    jobs->batches_due_us = n ? now_us : next_us;
    jobs_due(jobs, jobs->batches_due_us);
    return OK;
}

/* --- the sweep (BATCH-5) --- */

/* A member is a job that is there, live or dead. */
static enum err sweep_members(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch, bool *ret_more)
{
    uint64_t ids[BATCH_SLICE * 2], live[BATCH_SLICE * 2];
    int n;
    size_t found = 0;
    TRY(store_batch_job_walk(op, tx, batch->row.no, jobs->batch_job_cursor, BATCH_SLICE * 2, ids, &n));
    if (n)
        TRY(store_job_there(op, tx, ids, (size_t)n, live, &found));
    for (int i = 0, k = 0; i < n; i++) {
        bool there;
        if ((size_t)k < found && live[k] == ids[i]) {
            k++;
            continue;
        }
        TRY(batch_remove_job(op, tx, batch, ids[i], &there));
        batch_touch(jobs, tx, batch);
        jobs->totals.batch_repairs++;
    }
    *ret_more = n == BATCH_SLICE * 2;
    jobs->batch_job_cursor = *ret_more ? ids[n - 1] : 0;
    return OK;
}

static enum err sweep_counts(struct op *op, struct tx *tx, struct jobs *jobs, struct batch *batch)
{
    struct batch_row *row = &batch->row;
    int64_t pending, fresh, failed;
    if (row->pending > BATCH_COUNT_MAX)
        return OK;
    TRY(store_batch_job_count(op, tx, row->no, &pending, &fresh, &failed));
    if (pending == row->pending && fresh == row->fresh && failed == row->failed)
        return OK;
    jobs->totals.batch_repairs++;
    row->pending = pending;
    row->fresh = fresh;
    row->failed = failed;
    batch_touch(jobs, tx, batch);
    return OK;
}

enum err batches_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    struct batch_row rows[BATCH_SLICE];
    int n, members = 0;
    if (jobs_engine_us(jobs, tx) < jobs->batches_swept_us)
        return OK;
    TRY(store_batch_walk(op, tx, jobs->batch_cursor, BATCH_SLICE, rows, &n));
    for (int i = 0; i < n && members < BATCH_SLICE * 4; i++) {
        struct batch *batch;
        bool more = false;
        TRY(batch_at(op, tx, jobs, rows[i].no, &batch));
        if (batch && batch->row.phase != BATCH_EXPIRED) {
            TRY(sweep_members(op, tx, jobs, batch, &more));
            TRY(sweep_counts(op, tx, jobs, batch));
            members += more ? BATCH_SLICE * 4 : (int)batch->row.pending;
        }
        if (!more)
            jobs->batch_cursor = rows[i].no;
    }
    *ret_more |= n > 0;
    if (n)
        return OK;
    jobs->batch_cursor = 0;
    jobs->batches_swept_us = jobs_engine_us(jobs, tx) + BATCH_SWEEP_US;
    return OK;
}
