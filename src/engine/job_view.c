#include "engine/job_view.h"

#include "base/instant.h"
#include "engine/jobs_own.h"
#include "store/store_done.h"
#include "store/store_progress.h"
#include "store/store_work.h"

#define PAGE_ROWS 200 /* read at once */

/* What a snapshot knows of the queues. */
struct queue_name {
    struct str name;
    uint64_t cut;
};

struct looking {
    struct op *op;
    struct tx *tx;
    struct siphash_key key;
    struct queue_name *queues;
    size_t queue_count;
    const struct job_filter *filter;
    uint64_t key_hash;
    uint32_t only_queue; /* 0 = any */
    int64_t lag_us;
    struct json_writer *w;
    int max, count, steps;
};

static enum err note_queue(void *arg, const struct queue_row *row, const struct queue_counts *counts)
{
    struct looking *look = arg;
    (void)counts;
    if (row->no >= look->queue_count) {
        size_t room = look->queue_count ? look->queue_count * 2 : 64;
        struct queue_name *wider;
        while (room <= row->no)
            room *= 2;
        TRY(op_alloc(look->op, room * sizeof *wider, &wider));
        if (look->queue_count)
            memcpy(wider, look->queues, look->queue_count * sizeof *wider);
        look->queues = wider;
        look->queue_count = room;
    }
    look->queues[row->no] = (struct queue_name){ arena_str(look->op->arena, row->name), row->cut };
    return OK;
}

static enum err look_begin(struct op *op, struct tx *tx, struct looking *look)
{
    *look = (struct looking){ .op = op, .tx = tx, .key = siphash_key_from(tx_hash_key(tx)) };
    TRY(store_job_clock_get(op, tx, &look->lag_us));
    return store_queue_each(op, tx, note_queue, look);
}

static struct str name_of(const struct looking *look, uint32_t no)
{
    return no < look->queue_count ? look->queues[no].name : S("");
}

/* --- one job --- */

struct seen {
    struct job_row row;
    struct job_opts opts;
    struct aside_row aside;
    struct lease_row lease;
    enum job_state state;
    uint64_t ord;
    int death; /* -1 = not dead */
};

static enum err see(struct looking *look, uint64_t id, struct seen *ret, bool *ret_found)
{
    struct op *op = look->op;
    *ret = (struct seen){ .death = -1 };
    TRY(store_job_get(op, look->tx, id, &ret->row, ret_found));
    if (!*ret_found)
        return OK;
    TRY(job_opts_read(op, ret->row.flags, ret->row.opts, &ret->opts));
    TRY(store_lease_get(op, look->tx, id, &ret->lease));
    TRY(store_aside_get(op, look->tx, id, &ret->aside));
    ret->state = ret->lease.number ? JOB_LEASED : ret->aside.state ? (enum job_state)ret->aside.state : JOB_READY;
    ret->ord = ret->aside.state ? (uint64_t)ret->aside.at : id;
    uint64_t cut = ret->row.queue_no < look->queue_count ? look->queues[ret->row.queue_no].cut : 0;
    if ((ret->state == JOB_READY || ret->state == JOB_BLOCKED) && ret->ord < cut)
        *ret_found = false;
    if (ret->state == JOB_DEAD)
        TRY(store_dead_reason(op, look->tx, ret->aside.at, id, &ret->death));
    return OK;
}

static void put_us(struct json_writer *w, const char *name, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, us ? instant_text(us, 6, text) : (struct str){ 0 });
}

/* Members that came with the push, as they came: they were read then. */
static void put_body(struct op *op, struct json_writer *w, struct str body)
{
    (void)json_copy_members(op, w, arena_fmt(op->arena, "{%.*s}", STR(body)), NULL, NULL);
}

static void put_head(struct looking *look, const struct job_row *row, enum job_state state)
{
    struct json_writer *w = look->w;
    json_member_str(w, "jid", row->jid);
    json_member_str(w, "queue", name_of(look, row->queue_no));
    json_member_str(w, "jobtype", row->type);
    json_member_str(w, "state", str_of(job_state_name(state)));
    put_body(look->op, w, row->body);
    if (!(row->flags & OPT_HAS_CREATED))
        put_us(w, "created_at", (int64_t)row->id + look->lag_us);
}

static void put_state(struct looking *look, const struct seen *seen)
{
    struct json_writer *w = look->w;
    if (seen->state == JOB_SCHEDULED || seen->state == JOB_RETRY)
        put_us(w, "due_at", seen->aside.at);
    if (seen->state == JOB_READY || seen->state == JOB_BLOCKED)
        put_us(w, "enqueued_at", (int64_t)seen->ord + look->lag_us);
    if (seen->state == JOB_LEASED) {
        json_member_str(w, "worker", seen->lease.worker);
        put_us(w, "started_at", seen->lease.started_us + look->lag_us);
        put_us(w, "lease_until", seen->lease.until_us + look->lag_us);
    }
    if (seen->death >= 0) {
        put_us(w, "died_at", seen->aside.at);
        json_member_str(w, "reason", str_of(job_death_name((enum job_death)seen->death)));
    }
    if (str_given(seen->aside.failure))
        json_member_raw(w, "failure", seen->aside.failure);
}

/* HAND-5: how far our own work is. */
static enum err put_work(struct looking *look, const struct seen *seen)
{
    struct json_writer *w = look->w;
    struct work_row row;
    bool found = false;
    if (str_starts(seen->row.type, S("posthouse.")))
        TRY(store_work_get(look->op, look->tx, seen->row.id, &row, &found));
    if (!found)
        return OK;
    json_put_name(w, "progress");
    json_object_begin(w);
    json_member_int(w, "done", row.done);
    json_member_int(w, "total", row.total);
    if (row.eta_s >= 0)
        json_member_int(w, "eta_seconds", row.eta_s);
    else
        json_member_null(w, "eta_seconds");
    json_object_end(w);
    return OK;
}

/* HIST-1: what this life of the job said of itself. */
static enum err put_progress(struct looking *look, struct str jid, uint64_t id)
{
    struct json_writer *w = look->w;
    struct progress_row row;
    bool found;
    TRY(store_progress_get(look->op, look->tx, jid, &row, &found));
    if (!found || row.changed_us < (int64_t)id + look->lag_us)
        return OK;
    json_put_name(w, "progress");
    json_object_begin(w);
    if (row.percent >= 0)
        json_member_int(w, "percent", row.percent);
    else
        json_member_null(w, "percent");
    json_member_str(w, "desc", row.desc);
    put_us(w, "updated_at", row.changed_us);
    json_object_end(w);
    return OK;
}

static enum err put_attempts(struct looking *look, const struct seen *seen)
{
    struct attempt_row rows[ATTEMPTS_KEPT];
    struct json_writer *w = look->w;
    int n = 0;
    if (seen->aside.attempts)
        TRY(store_attempt_list(look->op, look->tx, seen->row.id, rows, &n));
    json_put_name(w, "attempts");
    json_array_begin(w);
    for (int i = 0; i < n; i++)
        attempt_write(w, &rows[i]);
    if (seen->state == JOB_LEASED) {
        json_object_begin(w);
        json_member_int(w, "n", seen->aside.attempts + 1);
        json_member_str(w, "worker", seen->lease.worker);
        put_us(w, "started_at", seen->lease.started_us + look->lag_us);
        json_member_null(w, "ended_at");
        json_member_null(w, "outcome");
        json_member_null(w, "error");
        json_member_null(w, "backtrace");
        json_object_end(w);
    }
    json_array_end(w);
    json_member_int(w, "attempts_dropped", seen->aside.attempts - n);
    return OK;
}

/* A finished one, from its record. The attempt that ended it well has no row of its own (HIST-2). */
static enum err put_done(struct looking *look, const struct done_record *record, bool whole)
{
    struct json_writer *w = look->w;
    struct job_row row = {
        record->id, record->queue_no, record->flags, record->jid, record->type, { 0 }, record->body
    };
    json_object_begin(w);
    put_head(look, &row, JOB_DONE);
    json_member_str(w, "outcome", str_of(job_outcome_name((enum job_outcome)record->outcome)));
    put_us(w, "ended_at", record->ended_us);
    if (whole) {
        TRY(put_progress(look, record->jid, record->id));
        struct str earlier = record->extra.n > 2 ? (struct str){ record->extra.p + 1, record->extra.n - 2 } : S("");
        struct buf buf;
        struct json_writer last;
        struct attempt_row attempt = {
            record->attempts, record->outcome, record->started_us, record->ended_us, record->worker, { 0 }, { 0 }, { 0 }
        };
        buf_init_arena(&buf, look->op->arena, earlier.n + 4096);
        buf_add_char(&buf, '[');
        buf_add_str(&buf, earlier);
        if (record->outcome == JOB_SUCCEEDED) {
            if (earlier.n)
                buf_add_char(&buf, ',');
            json_write_init(&last, &buf);
            attempt_write(&last, &attempt);
        }
        buf_add_char(&buf, ']');
        json_member_raw(w, "attempts", buf_str(&buf));
    }
    json_object_end(w);
    return OK;
}

enum err job_view(struct op *op, struct tx *tx, struct str jid, struct json_writer *w)
{
    struct looking look;
    struct seen seen = { 0 };
    struct done_record record;
    uint64_t id;
    bool found = false;
    TRY(look_begin(op, tx, &look));
    look.w = w;
    TRY(store_job_find(op, tx, jid, &id));
    if (id)
        TRY(see(&look, id, &seen, &found));
    if (found) {
        json_object_begin(w);
        put_head(&look, &seen.row, seen.state);
        put_state(&look, &seen);
        TRY(put_progress(&look, jid, id));
        TRY(put_work(&look, &seen));
        TRY(put_attempts(&look, &seen));
        json_object_end(w);
        return OK;
    }
    TRY(done_find(op, tx, NULL, siphash64(look.key, jid.p, jid.n), jid, &record, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "no job %.*s", STR(jid));
    return put_done(&look, &record, true);
}

/* --- lists --- */

static bool text_matches(const struct job_filter *filter, struct str jid, struct str type, struct str body)
{
    return !str_given(filter->text) || str_search(jid, filter->text) < jid.n ||
           str_search(type, filter->text) < type.n || str_search(body, filter->text) < body.n;
}

/* One more row was looked at; writes it when it fits. */
static enum err offer(struct looking *look, uint64_t id)
{
    struct seen seen;
    bool found;
    const struct job_filter *filter = look->filter;
    look->steps++;
    TRY(see(look, id, &seen, &found));
    if (!found || (filter->state != JOB_NONE && seen.state != filter->state) ||
        (look->only_queue && seen.row.queue_no != look->only_queue) ||
        (str_given(filter->type) && !str_eq(filter->type, seen.row.type)) ||
        (look->key_hash && seen.opts.key != look->key_hash) ||
        !text_matches(filter, seen.row.jid, seen.row.type, seen.row.body))
        return OK;
    look->count++;
    json_object_begin(look->w);
    put_head(look, &seen.row, seen.state);
    put_state(look, &seen);
    json_object_end(look->w);
    return OK;
}

static bool goes_on(const struct looking *look)
{
    return look->count < look->max && look->steps < VIEW_STEPS;
}

/* Goes along the rows behind *at and leaves there the last one it looked at. *ret_more: there may be more behind it. */
static enum err list_along(struct looking *look, struct job_place *at, bool *ret_more)
{
    const struct job_walk walk = { look->filter->state, look->only_queue ? look->only_queue : 1,
                                   look->only_queue ? look->only_queue : (uint32_t)look->queue_count };
    for (*ret_more = true; *ret_more && goes_on(look);) {
        struct job_step steps[PAGE_ROWS];
        int n;
        TRY(job_walk(look->op, look->tx, &walk, at, PAGE_ROWS, steps, &n));
        *ret_more = n == PAGE_ROWS;
        for (int i = 0; i < n; i++) {
            if (!goes_on(look)) {
                *ret_more = true;
                return OK;
            }
            TRY(offer(look, steps[i].id));
            *at = steps[i].at;
        }
    }
    return OK;
}

/* Newest first: a place is (chunk, records of it already given). */
static enum err list_done(struct looking *look, struct job_place *at, bool *more)
{
    const struct job_filter *filter = look->filter;
    while (goes_on(look)) {
        struct done_chunk chunk;
        struct done_record record;
        struct str *starts;
        TRY(store_done_before(look->op, look->tx, at->b ? (uint64_t)at->a + 1 : (uint64_t)at->a, &chunk));
        *more = chunk.no != 0;
        if (!*more)
            return OK;
        if (at->b && (int64_t)chunk.no != at->a)
            at->b = 0;
        TRY(op_alloc(look->op, ((size_t)chunk.count + 1) * sizeof *starts, &starts));
        int64_t n = 0;
        for (struct str rest = chunk.records; n < chunk.count; n++) {
            starts[n] = rest;
            if (!done_record_next(&rest, &record))
                break;
        }
        at->a = (int64_t)chunk.no;
        for (; at->b < n && goes_on(look); at->b++) {
            struct str rest = starts[n - 1 - at->b];
            done_record_next(&rest, &record);
            look->steps++;
            if ((look->only_queue && record.queue_no != look->only_queue) ||
                (str_given(filter->type) && !str_eq(filter->type, record.type)) || look->key_hash ||
                !text_matches(filter, record.jid, record.type, record.body))
                continue;
            look->count++;
            TRY(put_done(look, &record, false));
        }
        if (at->b == n)
            at->b = 0;
    }
    return OK;
}

/* False: no queue has the name. */
static bool find_queue(struct looking *look, struct str name)
{
    for (uint32_t no = 1; no < look->queue_count && !look->only_queue; no++)
        if (str_eq(look->queues[no].name, name))
            look->only_queue = no;
    return look->only_queue != 0;
}

enum err job_view_list(struct op *op, struct tx *tx, const struct job_filter *filter, const struct job_place *from,
                       int max, struct json_writer *w, struct job_place *ret_to, bool *ret_more)
{
    struct looking look;
    TRY(look_begin(op, tx, &look));
    look.filter = filter;
    look.w = w;
    look.max = max;
    look.key_hash = str_given(filter->key) ? job_key_hash(look.key, filter->key, 'k') : 0;
    *ret_to = *from;
    *ret_more = false;
    if (str_given(filter->queue) && !find_queue(&look, filter->queue))
        return OK;
    return filter->state == JOB_DONE ? list_done(&look, ret_to, ret_more) : list_along(&look, ret_to, ret_more);
}
