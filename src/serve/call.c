#include "serve/call.h"

#include <stdlib.h>

#include "base/clock.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/idempotency.h"
#include "serve/redirect.h"
#include "store/store_audit.h"

#define PAGE_DEFAULT 50
#define PAGE_MAX     1000

#define CALL_ID_BYTES_MAX 128

void *call_new(struct http_request *request, size_t bytes)
{
    struct call *call;
    if (op_alloc(&request->op, bytes, &call) != OK) {
        http_fail(request, ERR_TOO_LARGE);
        return NULL;
    }
    call->request = request;
    call->api = request->server_data;
    call->status = 200;
    buf_init_arena(&call->answer, request->op.arena, CALL_ANSWER_BYTES_MAX);
    json_write_init(&call->json, &call->answer);
    call->post.op = request->op;
    loop_adopt(request->loop, &call->post);
    return call;
}

/* All problems of a body in one answer, the first one as its detail. */
static void end_with_problems(struct call *call)
{
    struct http_problem_error errors[JSON_PROBLEMS_MAX];
    for (size_t i = 0; i < call->problems.count; i++)
        errors[i] = (struct http_problem_error){ call->problems.items[i].pointer, call->problems.items[i].detail };
    http_problem(call->request, 422, S(""), str_of(call->post.op.error), errors, call->problems.count);
}

void call_end(struct call *call, enum err err)
{
    idempotency_end(call, err);
    if (err == OK && call->answer.full)
        err = fail(&call->post.op, ERR_TOO_LARGE, "the answer is larger than %u bytes; ask for a smaller page",
                   CALL_ANSWER_BYTES_MAX);
    if (err == ERR_INVALID && call->problems.count > 0) {
        end_with_problems(call);
        return;
    }
    if (err != OK) {
        call->request->op = call->post.op;
        http_fail(call->request, err);
        return;
    }
    bool has_body = call->status != 204 && call->answer.n > 0;
    http_reply(call->request, call->status, has_body ? S("application/json") : S(""), buf_str(&call->answer));
}

bool call_body(struct call *call, const struct json_field *fields, size_t count, void *target, struct json_seen *seen)
{
    enum err err = json_read_body(&call->post.op, call->request->body, fields, count, target, seen, &call->problems);
    if (err == OK)
        return true;
    call_end(call, err);
    return false;
}

void call_send(struct call *call, const struct hop *route)
{
    bool is_stream = (call->request->route->flags & HTTP_BODY_STREAM) != 0;
    if (!is_stream && !call->shown_once && !idempotency_begin(call))
        return;
    call->post.hop = !is_stream && call->idempotency ? idempotency_wrap(call, route) : route;
    bool shows_clicks = (call->request->route->flags & API_SHOWS_CLICKS) != 0;
    if (shows_clicks && call->api->redirect)
        redirect_send_behind(call->api->redirect, call);
    else
        post_send(&call->post);
}

void call_send_if(struct call *call, enum err err, const struct hop *route)
{
    if (err == OK)
        call_send(call, route);
    else
        call_end(call, err);
}

void call_run(struct http_request *request, const struct hop *route)
{
    struct call *call = call_new(request, sizeof *call);
    if (call)
        call_send(call, route);
}

void call_run_named(struct http_request *request, const struct hop *route)
{
    struct call *call = call_new(request, sizeof *call);
    if (call && call_id(call))
        call_send(call, route);
}

enum err call_reply(struct post *post)
{
    call_end(call_of(post), post->err);
    return OK;
}

bool call_page(struct call *call, int *ret_limit, struct str *ret_after)
{
    struct str limit = http_query(call->request, S("limit"));
    int64_t value = PAGE_DEFAULT;
    if (str_given(limit) && !str_to_int(limit, 1, PAGE_MAX, &value)) {
        call_end(call,
                 fail_at(&call->post.op, ERR_INVALID, "/limit", "limit must be a whole number from 1 to %d", PAGE_MAX));
        return false;
    }
    *ret_limit = (int)value;
    *ret_after = http_query(call->request, S("after"));
    return true;
}

bool call_id(struct call *call)
{
    struct str id = call_param(call, 0);
    if (id.n > 0 && id.n <= CALL_ID_BYTES_MAX && str_is_utf8(id) && str_find(id, '\0') == id.n)
        return true;
    call_end(call, fail(&call->post.op, ERR_INVALID, "an id is 1 to %d bytes of UTF-8", CALL_ID_BYTES_MAX));
    return false;
}

/* A token bound to a tenant that does not exist yet sees nothing, which no tenant's number says. */
uint32_t call_tenant(const struct call *call)
{
    const struct caller *caller = access_caller(call->request);
    if (!caller || !str_given(caller->tenant))
        return 0;
    return caller->tenant_no ? caller->tenant_no : UINT32_MAX;
}

enum err call_may_see(struct op *op, const struct call *call, uint32_t tenant_no)
{
    uint32_t only = call_tenant(call);
    return only == 0 || only == tenant_no ? OK : fail(op, ERR_NOT_FOUND, "there is no such thing for this token");
}

enum err call_may_make_tenant(struct op *op, const struct call *call, struct str tenant)
{
    const struct caller *caller = access_caller(call->request);
    if (!caller || !str_given(caller->tenant) || str_eq(caller->tenant, tenant))
        return OK;
    return fail(op, ERR_FORBIDDEN, "this token is bound to tenant %.*s", STR(caller->tenant));
}

void call_restart(struct call *call)
{
    buf_reset(&call->answer);
    json_write_init(&call->json, &call->answer);
}

struct str call_who(const struct call *call)
{
    const struct caller *caller = access_caller(call->request);
    return caller ? caller->id : S("local");
}

enum err call_note(struct post *post, const char *action, struct str detail)
{
    const struct call *call = call_of(post);
    return store_audit_add(&post->op, post->tx, call_who(call), str_of(action), call_param(call, 0), detail);
}
