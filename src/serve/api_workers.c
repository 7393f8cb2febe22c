/*
 * api_workers.c - worker processes of both doors: listed, told to be quiet or to end, and the beat of one over HTTP.
 */
#include "engine/session.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/render.h"

struct worker_call {
    struct call call;
    struct {
        struct str hostname, state;
        int64_t pid, rss_kb;
    } body;
    enum session_state wish;
    int limit;
    struct str after;
    bool foreign;
};

static void worker_render(struct json_writer *w, const struct session_view *view)
{
    json_object_begin(w);
    json_member_str(w, "id", view->name);
    json_member_str(w, "kind", view->http ? S("http") : S("worker"));
    json_member_str(w, "state", view->suspect ? S("suspect") : str_of(session_state_name(view->state)));
    json_member_str(w, "hostname", view->hostname);
    json_member_int(w, "pid", view->pid);
    if (str_given(view->labels))
        json_member_raw(w, "labels", view->labels);
    json_member_int(w, "rss_kb", view->rss_kb);
    json_member_int(w, "connections", view->sockets);
    json_member_int(w, "leased", view->leased);
    render_us(w, "started_at", view->since_us, 0);
    render_us(w, "seen_at", view->seen_us, 0);
    json_object_end(w);
}

static enum err workers_read(struct post *post)
{
    struct worker_call *c = (struct worker_call *)post;
    struct session_view *views;
    size_t n;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (c->foreign)
        return list_end(&post->op, &c->call.json, false, CURSOR_WORKERS, 0, S(""));
    TRY(session_list(&post->op, post->tx, c->after, c->limit + 1, &views, &n));
    bool more = n > (size_t)c->limit;
    n = more ? (size_t)c->limit : n;
    for (size_t i = 0; i < n; i++)
        worker_render(&c->call.json, &views[i]);
    return list_end(&post->op, &c->call.json, more, CURSOR_WORKERS, 0, n ? views[n - 1].name : S(""));
}

void workers_list(struct http_request *request)
{
    static const struct hop route[] = { { workers_read, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct worker_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    c->foreign = !cursor_read(&c->call.post.op, after, CURSOR_WORKERS, NULL, &c->after);
    call_send(&c->call, route);
}

static enum err beat_commit(struct post *post)
{
    struct worker_call *c = (struct worker_call *)post;
    struct json_writer *w = &c->call.json;
    struct session_info info = {
        .name = call_param(&c->call, 0), .hostname = c->body.hostname, .pid = c->body.pid, .http = true
    };
    enum session_state state;
    struct str *revoked;
    size_t n = 0;
    call_restart(&c->call);
    TRY(session_beat(&post->op, post->tx, &info, c->wish, c->body.rss_kb, &state, &revoked, &n));
    json_object_begin(w);
    json_member_str(w, "state", str_of(session_state_name(state)));
    json_put_name(w, "revoked");
    json_array_begin(w);
    for (size_t i = 0; i < n; i++)
        json_put_str(w, revoked[i]);
    json_array_end(w);
    json_object_end(w);
    return OK;
}

#define WORKER_BODY offsetof(struct worker_call, body)
static const struct json_field beat_fields[] = {
    { "hostname", JSON_FIELD_STR, offsetof(struct worker_call, body.hostname) - WORKER_BODY, 255, JSON_NULLABLE, 0, 0 },
    { "pid", JSON_FIELD_INT, offsetof(struct worker_call, body.pid) - WORKER_BODY, INT32_MAX, JSON_NULLABLE, 0, 0 },
    { "rss_kb", JSON_FIELD_INT, offsetof(struct worker_call, body.rss_kb) - WORKER_BODY, INT64_MAX, JSON_NULLABLE, 0,
      0 },
    { "state", JSON_FIELD_STR, offsetof(struct worker_call, body.state) - WORKER_BODY, 16, JSON_NULLABLE, 1, 0 },
};

void workers_beat(struct http_request *request)
{
    static const struct hop route[] = { { beat_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct worker_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    if (request->body.n && !call_body(&c->call, beat_fields, sizeof beat_fields / sizeof *beat_fields, &c->body, NULL))
        return;
    c->wish = str_eq(c->body.state, S("quiet"))       ? SESSION_QUIET
              : str_eq(c->body.state, S("terminate")) ? SESSION_TERMINATE
                                                      : SESSION_RUNNING;
    c->call.shown_once = true;
    call_send(&c->call, route);
}

static enum err tell_commit(struct post *post)
{
    struct worker_call *c = (struct worker_call *)post;
    struct session_view view;
    call_restart(&c->call);
    TRY(session_tell(&post->op, post->tx, call_param(&c->call, 0), c->wish));
    TRY(session_get(&post->op, post->tx, call_param(&c->call, 0), &view));
    worker_render(&c->call.json, &view);
    return OK;
}

static void tell(struct http_request *request, enum session_state state)
{
    static const struct hop route[] = { { tell_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct worker_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    c->wish = state;
    call_send(&c->call, route);
}

void workers_quiet(struct http_request *request)
{
    tell(request, SESSION_QUIET);
}

void workers_terminate(struct http_request *request)
{
    tell(request, SESSION_TERMINATE);
}
