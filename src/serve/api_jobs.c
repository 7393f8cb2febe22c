/*
 * api_jobs.c - jobs pushed over HTTP, looked at, and acted upon.
 *
 * One job is an object and answered alone; many are an array or NDJSON, one
 * command of the writer, answered with counts and the lines that were refused.
 */
#include "base/duration.h"
#include "base/json_lines.h"
#include "engine/job_act.h"
#include "engine/job_bulk.h"
#include "engine/job_ahead.h"
#include "engine/job_read.h"
#include "engine/job_view.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/rejected.h"
#include "store/store_audit.h"

#include <stdio.h>

struct push_call {
    struct call call;
    struct job_spec *specs;
    int64_t *lines; /* of each spec */
    size_t count, room;
    struct job_pushed *results;
    struct rejected rejected; /* those that could not be read */
    bool one;
};

struct str call_queues(const struct call *call)
{
    const struct caller *caller = access_caller(call->request);
    return caller ? caller->queues : (struct str){ 0 };
}

enum err call_may_queue(struct op *op, const struct call *call, struct str queue)
{
    struct str queues = call_queues(call);
    if (!str_given(queues))
        return OK;
    while (str_given(queues))
        if (str_eq(str_cut(&queues, ','), queue))
            return OK;
    return fail(op, ERR_FORBIDDEN, "this token may not use queue %.*s", STR(queue));
}

/* --- reading ---------------------------------------------------------------- */

static enum err specs_grow(struct op *op, struct push_call *c)
{
    size_t room = c->room ? c->room * 2 : 16;
    struct job_spec *specs;
    int64_t *lines;
    TRY(op_alloc(op, room * sizeof *specs, &specs));
    TRY(op_alloc(op, room * sizeof *lines, &lines));
    if (c->count) {
        memcpy(specs, c->specs, c->count * sizeof *specs);
        memcpy(lines, c->lines, c->count * sizeof *lines);
    }
    c->specs = specs;
    c->lines = lines;
    c->room = room;
    return OK;
}

/* One line. What is wrong with it costs it alone, in a bulk; memory is the whole call's. */
static enum err read_line(struct push_call *c, const struct job_reader *reader, int64_t line, struct str text)
{
    struct op *op = &c->call.post.op;
    if (c->count == c->room)
        TRY(specs_grow(op, c));
    struct job_spec *spec = &c->specs[c->count];
    enum err err = job_read(op, reader, text, spec);
    if (err == OK)
        err = call_may_queue(op, &c->call, spec->queue);
    if (err == OK) {
        c->lines[c->count++] = line;
        return OK;
    }
    if (c->one)
        return err;
    rejected_add(&c->rejected, line, str_of(op->error));
    return OK;
}

static enum err read_array(struct push_call *c, const struct job_reader *reader)
{
    struct op *op = &c->call.post.op;
    struct json j;
    struct str text;
    int64_t line = 0;
    json_init(&j, op->arena, c->call.request->body, JSON_STRICT);
    json_skip(&j);
    TRY(json_finish(&j, op)); /* a body that is no JSON changes nothing */
    json_init(&j, op->arena, c->call.request->body, JSON_STRICT);
    if (json_type(&j) != JSON_ARRAY) {
        c->one = true;
        return read_line(c, reader, 1, c->call.request->body);
    }
    if (json_enter_array(&j))
        while (json_next_item(&j) && json_raw(&j, &text))
            TRY(read_line(c, reader, ++line, text));
    return OK;
}

static enum err read_lines(struct push_call *c, const struct job_reader *reader)
{
    struct json_lines lines;
    struct json_line line;
    json_lines_init(&lines);
    lines.bytes_max = c->call.request->body.n; /* a line may be as large as a job (JOB-5) */
    json_lines_feed(&lines, c->call.request->body, true);
    while (json_line_next(&lines, &line))
        TRY(read_line(c, reader, line.number, line.text));
    return OK;
}

/* --- pushing ---------------------------------------------------------------- */

static struct str not_unique(struct op *op, const struct job_pushed *pushed)
{
    return arena_fmt(op->arena, "Job not unique: job %.*s holds the lock", STR(pushed->jid));
}

/* Lines that could not be read, and jobs that were refused, in the order of their lines. */
static struct rejected all_rejected(struct op *op, const struct push_call *c)
{
    const struct rejected *unread = &c->rejected;
    struct rejected all = { .arena = op->arena };
    size_t n = 0;
    for (size_t i = 0; i < c->count; i++) {
        const struct job_pushed *pushed = &c->results[i];
        if (pushed->result != JOB_REFUSED && pushed->result != JOB_NOT_UNIQUE)
            continue;
        for (; n < unread->named && unread->lines[n].number < c->lines[i]; n++)
            rejected_add(&all, unread->lines[n].number, unread->lines[n].detail);
        rejected_add(&all, c->lines[i], pushed->result == JOB_REFUSED ? pushed->detail : not_unique(op, pushed));
    }
    for (; n < unread->named; n++)
        rejected_add(&all, unread->lines[n].number, unread->lines[n].detail);
    all.count += unread->count - (int64_t)unread->named;
    return all;
}

static void render_bulk(struct op *op, struct push_call *c)
{
    struct json_writer *w = &c->call.json;
    struct rejected rejected = all_rejected(op, c);
    int64_t accepted = 0, duplicates = 0;
    for (size_t i = 0; i < c->count; i++) {
        accepted += c->results[i].result == JOB_PUSHED;
        duplicates += c->results[i].result == JOB_DUPLICATE || c->results[i].result == JOB_RETURNED_HOLDER;
    }
    json_object_begin(w);
    json_member_int(w, "accepted", accepted);
    json_member_int(w, "duplicates", duplicates);
    rejected_write(w, &rejected);
    json_object_end(w);
}

static enum err render_one(struct op *op, struct push_call *c)
{
    const struct job_pushed *pushed = &c->results[0];
    struct json_writer *w = &c->call.json;
    if (pushed->result == JOB_NOT_UNIQUE)
        return fail_at(op, ERR_CONFLICT, "/unique", "%.*s", STR(not_unique(op, pushed)));
    if (pushed->result == JOB_REFUSED) {
        op->retry_after_s = pushed->retry_after_s;
        return fail_at(op, pushed->err, pushed->pointer, "%.*s", STR(pushed->detail));
    }
    c->call.status = pushed->result == JOB_PUSHED ? 201 : 200;
    json_object_begin(w);
    json_member_str(w, "jid", pushed->jid);
    json_member_str(w, "state", str_of(job_state_name(pushed->state)));
    if (pushed->result != JOB_PUSHED)
        json_member_bool(w, "duplicate", true);
    json_object_end(w);
    return OK;
}

static enum err push_commit(struct post *post)
{
    struct push_call *c = (struct push_call *)post;
    call_restart(&c->call);
    TRY(op_alloc(&post->op, (c->count + 1) * sizeof *c->results, &c->results));
    TRY(job_push(&post->op, post->tx, c->specs, c->count, false, c->results));
    if (c->one)
        return render_one(&post->op, c);
    render_bulk(&post->op, c);
    return OK;
}

static void push_ahead(struct post *post)
{
    const struct push_call *c = (struct push_call *)post;
    job_push_ahead(post->tx, c->specs, c->count);
}

void jobs_post(struct http_request *request)
{
    static const struct hop route[] = { { push_commit, THREAD_WRITER, push_ahead },
                                        { call_reply, THREAD_CALLER },
                                        { 0 } };
    struct push_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    size_t bytes_max = c->call.api->config.job_bytes_max;
    struct job_reader reader = { JOB_HTTP, siphash_key_from(store_hash_key(c->call.api->config.store)),
                                 bytes_max ? bytes_max : JOB_BYTES_DEFAULT, false };
    struct op *op = &c->call.post.op;
    enum err err = OK;
    c->rejected.arena = op->arena;
    if (str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson")))
        err = read_lines(c, &reader);
    else
        err = read_array(c, &reader);
    call_send_if(&c->call, err, route);
}

/* --- looking ---------------------------------------------------------------- */

struct list_call {
    struct call call;
    struct job_filter filter;
    int limit;
    struct job_place from;
    bool foreign;
};

static enum err get_read(struct post *post)
{
    struct call *call = call_of(post);
    call_restart(call);
    return job_view(&post->op, post->tx, call_param(call, 0), &call->json);
}

void jobs_get(struct http_request *request)
{
    static const struct hop route[] = { { get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

static struct str place_text(struct op *op, const struct job_place *place)
{
    return arena_fmt(op->arena, "%lld,%lld,%lld,%lld", (long long)place->a, (long long)place->b, (long long)place->c,
                     (long long)place->d);
}

static bool place_read(struct str text, struct job_place *ret)
{
    int64_t *const parts[] = { &ret->a, &ret->b, &ret->c, &ret->d };
    for (int i = 0; i < 4; i++)
        if (!str_given(text) || !str_to_int(str_cut(&text, ','), INT64_MIN, INT64_MAX, parts[i]))
            return false;
    return !str_given(text);
}

static enum err list_read(struct post *post)
{
    struct list_call *c = (struct list_call *)post;
    struct job_place to = c->from;
    bool more = false;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (!c->foreign)
        TRY(job_view_list(&post->op, post->tx, &c->filter, &c->from, c->limit, &c->call.json, &to, &more));
    return list_end(&post->op, &c->call.json, more, CURSOR_JOBS, c->filter.state, place_text(&post->op, &to));
}

void jobs_list(struct http_request *request)
{
    static const struct hop route[] = { { list_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct list_call *c = call_new(request, sizeof *c);
    struct str after, state = http_query(request, S("state")), text = { 0 };
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    struct op *op = &c->call.post.op;
    if (str_given(state) && !job_state_of(state, &c->filter.state)) {
        call_end(&c->call, fail_at(op, ERR_INVALID, "/state",
                                   "state is none of scheduled, ready, leased, retry, blocked, dead, done"));
        return;
    }
    c->filter.queue = http_query(request, S("queue"));
    c->filter.type = http_query(request, S("type"));
    c->filter.key = http_query(request, S("key"));
    c->filter.text = http_query(request, S("text"));
    int64_t of_state = c->filter.state;
    c->foreign = !cursor_read(op, after, CURSOR_JOBS, &of_state, &text) ||
                 (str_given(text) && (of_state != c->filter.state || !place_read(text, &c->from)));
    call_send(&c->call, route);
}

/* --- acting ----------------------------------------------------------------- */

struct act_call {
    struct call call;
    enum job_action action;
};

static enum err act_commit(struct post *post)
{
    struct act_call *c = (struct act_call *)post;
    enum job_state state;
    TRY(job_act(&post->op, post->tx, call_param(&c->call, 0), c->action, &state));
    return OK;
}

/* The job as it is now, read when the change is durable. */
static enum err act_render(struct post *post)
{
    return post->err == OK ? get_read(post) : post->err;
}

static void act(struct http_request *request, enum job_action action)
{
    static const struct hop route[] = {
        { act_commit, THREAD_WRITER }, { act_render, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 }
    };
    struct act_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    c->action = action;
    c->call.shown_once = true; /* moves are idempotent or a conflict by themselves */
    call_send(&c->call, route);
}

void jobs_retry(struct http_request *request)
{
    act(request, ACTION_RETRY);
}

void jobs_run(struct http_request *request)
{
    act(request, ACTION_RUN);
}

void jobs_kill(struct http_request *request)
{
    act(request, ACTION_KILL);
}

void jobs_cancel(struct http_request *request)
{
    act(request, ACTION_CANCEL);
}

/* --- many at once (RETRY-5) -------------------------------------------------- */

struct bulk_call {
    struct call call;
    struct job_bulk bulk;
};

static enum err bulk_commit(struct post *post)
{
    struct bulk_call *c = (struct bulk_call *)post;
    struct json_writer *w = &c->call.json;
    struct str jid, body = c->call.request->body;
    int64_t at_most;
    call_restart(&c->call);
    TRY(job_bulk_push(&post->op, post->tx, body, &c->bulk, &jid, &at_most));
    TRY(store_audit_add(&post->op, post->tx, call_who(&c->call), S("job.bulk"), jid, str_clip(body, 1000)));
    c->call.status = 202;
    json_object_begin(w);
    json_member_str(w, "jid", jid);
    json_member_int(w, "matching_at_most", at_most);
    json_object_end(w);
    return OK;
}

void jobs_bulk(struct http_request *request)
{
    static const struct hop route[] = { { bulk_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct bulk_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    enum err err = job_bulk_read(&c->call.post.op, request->body, &c->bulk, &c->call.problems);
    if (err == OK && str_given(call_queues(&c->call)))
        err = call_may_queue(&c->call.post.op, &c->call, str_given(c->bulk.queue) ? c->bulk.queue : S("*"));
    call_send_if(&c->call, err, route);
}
