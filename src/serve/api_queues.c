/*
 * api_queues.c - queues with their policies and figures, and budgets.
 *
 * Figures come from the counters of the engine, so these reads run in the
 * writer, where they cost microseconds whatever waits.
 */
#include "base/duration.h"
#include "engine/job_budget.h"
#include "engine/job_handler.h"
#include "engine/job_policy.h"
#include "engine/job_queue.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/render.h"

#include <stdio.h>

struct queue_call {
    struct call call;
    struct queue_patch patch;
    int limit;
    struct str after;
    bool foreign;
};

/* `retry` is the word of the policy where the queue has it, else the figure, which `retrying` always is (ADR 0033). */
static void queue_render(struct op *op, struct json_writer *w, const struct queue_view *view)
{
    char seconds[DURATION_TEXT_BYTES];
    struct str retry;
    json_object_begin(w);
    json_member_str(w, "name", view->name);
    json_member_int(w, "version", view->version);
    json_member_bool(w, "paused", view->paused);
    json_member_bool(w, "draining", view->draining);
    json_member_int(w, "ready", view->ready);
    json_member_int(w, "leased", view->leased);
    json_member_int(w, "scheduled", view->scheduled);
    json_member_int(w, "retrying", view->retry);
    if (!json_find(op->arena, view->policy, JSON_STRICT, S("retry"), &retry))
        json_member_int(w, "retry", view->retry);
    json_member_int(w, "blocked", view->blocked);
    json_member_int(w, "dead", view->dead);
    json_member_int(w, "ready_bytes", view->ready_bytes);
    json_member_raw(w, "latency_seconds", duration_text_s(view->latency_us / 1000, seconds));
    json_member_int(w, "in_per_minute", view->in_per_minute);
    json_member_int(w, "out_per_minute", view->out_per_minute);
    if (view->down_until_us)
        render_us(w, "handler_down_until", view->down_until_us, 0);
    (void)json_copy_members(op, w, view->policy, NULL, NULL); /* it was read before */
    json_object_end(w);
}

/* --- looking ---------------------------------------------------------------- */

static enum err get_run(struct post *post)
{
    struct call *call = call_of(post);
    struct queue_view view;
    call_restart(call);
    TRY(queue_get(&post->op, post->tx, call_param(call, 0), &view));
    queue_render(&post->op, &call->json, &view);
    return OK;
}

void queues_get(struct http_request *request)
{
    static const struct hop route[] = { { get_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

static enum err list_run(struct post *post)
{
    struct queue_call *c = (struct queue_call *)post;
    struct queue_view *views;
    size_t n;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (c->foreign)
        return list_end(&post->op, &c->call.json, false, CURSOR_QUEUES, 0, S(""));
    TRY(queue_list(&post->op, post->tx, c->after, c->limit + 1, &views, &n));
    bool more = n > (size_t)c->limit;
    n = more ? (size_t)c->limit : n;
    for (size_t i = 0; i < n; i++)
        queue_render(&post->op, &c->call.json, &views[i]);
    return list_end(&post->op, &c->call.json, more, CURSOR_QUEUES, 0, n ? views[n - 1].name : S(""));
}

void queues_list(struct http_request *request)
{
    static const struct hop route[] = { { list_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct queue_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    c->foreign = !cursor_read(&c->call.post.op, after, CURSOR_QUEUES, NULL, &c->after);
    call_send(&c->call, route);
}

/* --- changing --------------------------------------------------------------- */

static enum err patch_commit(struct post *post)
{
    struct queue_call *c = (struct queue_call *)post;
    TRY(queue_patch(&post->op, post->tx, call_param(&c->call, 0), &c->patch));
    struct str shown;
    TRY(policy_shown(&post->op, c->patch.policy, &shown));
    TRY(call_note(post, "queue.patch", str_clip(shown, 1000)));
    return get_run(post);
}

/* `paused` and `draining` are no part of the policy; a version that was read is let pass. */
static enum err patch_read(struct queue_call *c)
{
    struct op *op = &c->call.post.op;
    struct json j;
    struct json_writer w;
    struct buf *policy;
    struct str name, value;
    bool flag;
    TRY(op_alloc(op, sizeof *policy, &policy));
    buf_init_arena(policy, op->arena, POLICY_BYTES_MAX);
    json_write_init(&w, policy);
    json_object_begin(&w);
    json_init(&j, op->arena, c->call.request->body, JSON_STRICT);
    if (json_type(&j) != JSON_OBJECT && json_ok(&j) && json_type(&j) != JSON_END)
        return fail(op, ERR_INVALID, "the body must be an object");
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            bool paused = str_eq(name, S("paused")), draining = str_eq(name, S("draining"));
            if (paused || draining) {
                if (!json_bool(&j, &flag))
                    return json_problem(op, &c->call.problems, paused ? "/paused" : "/draining",
                                        "%.*s must be true or false", STR(name));
                *(paused ? &c->patch.paused : &c->patch.draining) = flag;
            } else if (!str_eq(name, S("version")) && json_raw(&j, &value)) {
                json_put_name_str(&w, name);
                json_put_raw(&w, value);
            }
        }
    TRY(json_finish(&j, op));
    json_object_end(&w);
    if (policy->full)
        return fail(op, ERR_TOO_LARGE, "a policy must have at most %d bytes", POLICY_BYTES_MAX);
    c->patch.policy = buf_str(policy);
    return OK;
}

void queues_patch(struct http_request *request)
{
    static const struct hop route[] = { { patch_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct queue_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    const struct caller *caller = access_caller(request);
    c->patch = (struct queue_patch){ .paused = -1, .draining = -1, .problems = &c->call.problems };
    c->patch.is_admin = caller && (caller->scopes & TOKEN_ADMIN);
    enum err err = patch_read(c);
    call_send_if(&c->call, err, route);
}

static enum err delete_commit(struct post *post)
{
    struct call *call = call_of(post);
    call->status = 204;
    TRY(queue_delete(&post->op, post->tx, call_param(call, 0)));
    return call_note(post, "queue.delete", S(""));
}

void queues_delete(struct http_request *request)
{
    static const struct hop route[] = { { delete_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

static enum err drain_commit(struct post *post)
{
    struct call *call = call_of(post);
    struct queue_view view;
    call_restart(call);
    TRY(queue_get(&post->op, post->tx, call_param(call, 0), &view));
    TRY(queue_drain(&post->op, post->tx, call_param(call, 0), true));
    TRY(call_note(post, "queue.drain", S("")));
    call->status = 202;
    json_object_begin(&call->json);
    json_member_bool(&call->json, "draining", true);
    json_member_int(&call->json, "ready", view.ready);
    json_member_int(&call->json, "leased", view.leased);
    json_object_end(&call->json);
    return OK;
}

void queues_drain(struct http_request *request)
{
    static const struct hop route[] = { { drain_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

/* --- budgets ---------------------------------------------------------------- */

static void budget_render(struct op *op, struct json_writer *w, const struct budget_view *view)
{
    json_object_begin(w);
    json_member_str(w, "id", view->id);
    (void)json_copy_members(op, w, view->policy, NULL, NULL); /* it was read before */
    json_member_int(w, "used", view->used);
    json_object_end(w);
}

static enum err budget_get_run(struct post *post)
{
    struct call *call = call_of(post);
    struct budget_view view;
    call_restart(call);
    TRY(budget_get(&post->op, post->tx, call_param(call, 0), &view));
    budget_render(&post->op, &call->json, &view);
    return OK;
}

static enum err budget_put_commit(struct post *post)
{
    struct call *call = call_of(post);
    TRY(budget_put(&post->op, post->tx, call_param(call, 0), call->request->body));
    TRY(call_note(post, "budget.put", str_clip(call->request->body, 1000)));
    return budget_get_run(post);
}

void budgets_put(struct http_request *request)
{
    static const struct hop route[] = { { budget_put_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct call *call = call_new(request, sizeof *call);
    struct budget_policy policy;
    if (!call || !call_id(call))
        return;
    enum err err = budget_policy_read(&call->post.op, request->body, &policy, &call->problems);
    call_send_if(call, err, route);
}

void budgets_get(struct http_request *request)
{
    static const struct hop route[] = { { budget_get_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

static enum err budget_list_run(struct post *post)
{
    struct queue_call *c = (struct queue_call *)post;
    struct budget_view *views;
    size_t n;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (c->foreign)
        return list_end(&post->op, &c->call.json, false, CURSOR_BUDGETS, 0, S(""));
    TRY(budget_list(&post->op, post->tx, c->after, c->limit + 1, &views, &n));
    bool more = n > (size_t)c->limit;
    n = more ? (size_t)c->limit : n;
    for (size_t i = 0; i < n; i++)
        budget_render(&post->op, &c->call.json, &views[i]);
    return list_end(&post->op, &c->call.json, more, CURSOR_BUDGETS, 0, n ? views[n - 1].id : S(""));
}

void budgets_list(struct http_request *request)
{
    static const struct hop route[] = { { budget_list_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct queue_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    c->foreign = !cursor_read(&c->call.post.op, after, CURSOR_BUDGETS, NULL, &c->after);
    call_send(&c->call, route);
}

static enum err budget_delete_commit(struct post *post)
{
    struct call *call = call_of(post);
    call->status = 204;
    TRY(budget_delete(&post->op, post->tx, call_param(call, 0)));
    return call_note(post, "budget.delete", S(""));
}

void budgets_delete(struct http_request *request)
{
    static const struct hop route[] = { { budget_delete_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}
