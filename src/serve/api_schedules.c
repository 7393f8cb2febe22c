/*
 * api_schedules.c - jobs by the clock: put, looked at, run by hand, deleted.
 */
#include "base/instant.h"
#include "engine/schedule_builtin.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"
#include "serve/cursor.h"

struct schedule_call {
    struct call call;
    struct schedule_put put;
    struct {
        struct str at;
    } run;
    int64_t at_us;
    int limit;
    struct str after;
    bool foreign;
};

#define RUN_BODY offsetof(struct schedule_call, run)
static const struct json_field run_fields[] = {
    { "at", JSON_FIELD_STR, offsetof(struct schedule_call, run.at) - RUN_BODY, 64, JSON_NULLABLE, 1, 0 },
};

/* --- looking ---------------------------------------------------------------- */

static enum err get_run(struct post *post)
{
    struct call *call = call_of(post);
    call_restart(call);
    return schedule_view(&post->op, post->tx, call_param(call, 0), &call->json);
}

void schedules_get(struct http_request *request)
{
    static const struct hop route[] = { { get_run, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

static enum err list_run(struct post *post)
{
    struct schedule_call *c = (struct schedule_call *)post;
    struct str last = S("");
    bool more = false;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (!c->foreign)
        TRY(schedule_view_list(&post->op, post->tx, c->after, c->limit, &c->call.json, &last, &more));
    return list_end(&post->op, &c->call.json, more, CURSOR_SCHEDULES, 0, last);
}

void schedules_list(struct http_request *request)
{
    static const struct hop route[] = { { list_run, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct schedule_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    c->foreign = !cursor_read(&c->call.post.op, after, CURSOR_SCHEDULES, NULL, &c->after);
    call_send(&c->call, route);
}

/* --- changing --------------------------------------------------------------- */

static enum err put_commit(struct post *post)
{
    struct schedule_call *c = (struct schedule_call *)post;
    TRY(schedule_store(&post->op, post->tx, call_param(&c->call, 0), &c->put));
    TRY(call_note(post, "schedule.put", str_clip(c->call.request->body, 1000)));
    return get_run(post);
}

static enum err check_put(struct schedule_call *c)
{
    struct op *op = &c->call.post.op;
    struct job_reader reader = { JOB_HTTP, siphash_key_from(store_hash_key(c->call.api->config.store)),
                                 JOB_BYTES_DEFAULT, false, true };
    struct str queue = { 0 };
    TRY(schedule_builtin_fill(op, call_param(&c->call, 0), &c->put, &c->call.problems));
    TRY(schedule_check(op, &reader, &c->put, &c->call.problems, &queue));
    return call_may_queue(op, &c->call, queue);
}

void schedules_put(struct http_request *request)
{
    static const struct hop route[] = { { put_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct schedule_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call) || !call_body(&c->call, schedule_put_fields, SCHEDULE_PUT_FIELDS, &c->put, NULL))
        return;
    enum err err = check_put(c);
    call_send_if(&c->call, err, route);
}

static enum err delete_commit(struct post *post)
{
    struct call *call = call_of(post);
    call->status = 204;
    TRY(schedule_delete(&post->op, post->tx, call_param(call, 0)));
    return call_note(post, "schedule.delete", S(""));
}

void schedules_delete(struct http_request *request)
{
    static const struct hop route[] = { { delete_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

/* --- by hand ---------------------------------------------------------------- */

static enum err run_commit(struct post *post)
{
    struct schedule_call *c = (struct schedule_call *)post;
    struct str run;
    call_restart(&c->call);
    TRY(schedule_run(&post->op, post->tx, call_param(&c->call, 0), c->at_us, &run));
    TRY(call_note(post, "schedule.run", run));
    c->call.status = 202;
    json_object_begin(&c->call.json);
    json_member_str(&c->call.json, "run", run);
    json_object_end(&c->call.json);
    return OK;
}

/* The future is for trying out (--dev). */
static enum err read_at(struct schedule_call *c)
{
    struct op *op = &c->call.post.op;
    if (!str_given(c->run.at))
        return OK;
    if (!instant_parse(c->run.at, &c->at_us))
        return json_problem(op, &c->call.problems, "/at", "at must be an instant such as 2026-11-21T19:00:00Z");
    if (c->at_us > op->now_us && !c->call.api->config.dev)
        return json_problem(op, &c->call.problems, "/at", "at must not lie in the future");
    return OK;
}

void schedules_run(struct http_request *request)
{
    static const struct hop route[] = { { run_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct schedule_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    if (request->body.n && !call_body(&c->call, run_fields, sizeof run_fields / sizeof *run_fields, &c->run, NULL))
        return;
    enum err err = read_at(c);
    call_send_if(&c->call, err, route);
}
