/*
 * api_events.c - events recorded over HTTP, listed, and looked at.
 */
#include "serve/api_events.h"

#include "engine/events.h"
#include "serve/access.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/rejected.h"
#include "serve/render.h"

#include <string.h>

#define SOURCES_MAX 16 /* named when an id is ambiguous */

struct post_call {
    struct call call;
    struct event_row *rows;
    size_t count, room;
    struct rejected rejected;
    bool any_json; /* some line could be read at all */
};

/* The tenant that the caller's token is bound to; not given: all. */
static struct str own_tenant(const struct call *call)
{
    const struct caller *caller = access_caller(call->request);
    return caller ? caller->tenant : (struct str){ 0 };
}

/* --- recording ---------------------------------------------------------------- */

static enum err rows_grow(struct op *op, struct post_call *c)
{
    struct event_row *rows;
    size_t room = c->room ? 2 * c->room : 16;
    TRY(op_alloc(op, room * sizeof *rows, &rows));
    if (c->count)
        memcpy(rows, c->rows, c->count * sizeof *rows);
    c->rows = rows;
    c->room = room;
    return OK;
}

/* One line. What is wrong with it costs it alone; only another one's tenant refuses the whole request (EVT-4). */
static enum err take_line(struct post_call *c, int64_t line, struct str text)
{
    struct op *op = &c->call.post.op;
    struct str tenant = own_tenant(&c->call);
    if (c->count == c->room)
        TRY(rows_grow(op, c));
    struct event_row *row = &c->rows[c->count];
    enum err err = event_read(op, text, row);
    c->any_json |= err != ERR_MALFORMED;
    if (err == OK) {
        if (str_given(tenant) && row->tenant.n == 0)
            row->tenant = tenant;
        c->count++;
        return call_may_make_tenant(op, &c->call, row->tenant);
    }
    if (err != ERR_MALFORMED && err != ERR_INVALID)
        return err;
    rejected_add(&c->rejected, line, str_of(op->error));
    return OK;
}

static enum err take_items(struct post_call *c, struct str body)
{
    struct op *op = &c->call.post.op;
    struct json j;
    struct str text;
    int64_t line = 0;
    json_init(&j, op->arena, body, JSON_STRICT);
    json_skip(&j);
    TRY(json_finish(&j, op)); /* a body that is no JSON changes nothing */
    json_init(&j, op->arena, body, JSON_STRICT);
    if (json_type(&j) != JSON_ARRAY)
        return take_line(c, 1, str_trim(body));
    if (json_enter_array(&j))
        while (json_next_item(&j) && json_raw(&j, &text))
            TRY(take_line(c, ++line, text));
    return OK;
}

static enum err take_lines(struct post_call *c, struct str body)
{
    for (int64_t line = 1; str_given(body); line++) {
        struct str text = str_trim(str_cut(&body, '\n'));
        if (text.n)
            TRY(take_line(c, line, text));
    }
    if (c->rejected.named && !c->any_json)
        return fail(&c->call.post.op, ERR_MALFORMED, "no line could be read: %.*s", STR(c->rejected.lines[0].detail));
    return OK;
}

static void render_counts(struct post_call *c)
{
    struct json_writer *w = &c->call.json;
    int64_t accepted = 0;
    for (size_t i = 0; i < c->count; i++)
        accepted += c->rows[i].added;
    json_object_begin(w);
    json_member_int(w, "accepted", accepted);
    json_member_int(w, "duplicates", (int64_t)c->count - accepted);
    rejected_write(w, &c->rejected);
    json_object_end(w);
}

static enum err post_commit(struct post *post)
{
    struct post_call *c = (struct post_call *)post;
    call_restart(&c->call);
    TRY(events_record(&post->op, post->tx, c->rows, c->count));
    render_counts(c);
    return OK;
}

void events_post(struct http_request *request)
{
    static const struct hop route[] = { { post_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct post_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->rejected.arena = c->call.post.op.arena;
    bool lines = str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson"));
    enum err err = lines ? take_lines(c, request->body) : take_items(c, request->body);
    call_send_if(&c->call, err, route);
}

/* --- looking ------------------------------------------------------------------ */

static void member_text(struct json_writer *w, const char *name, struct str text)
{
    if (str_given(text) && text.n)
        json_member_str(w, name, text);
    else
        json_member_null(w, name);
}

static void member_raw(struct json_writer *w, const char *name, struct str json, struct str absent)
{
    json_put_name(w, name);
    json_put_raw(w, str_given(json) ? json : absent);
}

static void render_event(struct json_writer *w, const struct event_row *row)
{
    json_object_begin(w);
    json_member_int(w, "seq", (int64_t)row->seq);
    json_member_str(w, "id", row->id);
    json_member_str(w, "type", row->type);
    json_member_str(w, "source", row->source);
    render_us(w, "time", row->time_us, INT64_MIN);
    render_us(w, "received_at", row->received_us, INT64_MIN);
    member_text(w, "tenant", row->tenant);
    member_text(w, "subject", row->subject);
    member_raw(w, "data", row->data, S("null"));
    member_raw(w, "receivers", row->receivers, S("{}"));
    member_text(w, "originator", row->originator);
    json_member_bool(w, "private", row->is_private);
    json_object_end(w);
}

struct list_call {
    struct call call;
    struct event_filter filter;
    int limit;
    bool nothing;
};

static enum err list_row(struct op *op, const struct event_row *row, void *arg)
{
    (void)op;
    struct list_call *c = arg;
    render_event(&c->call.json, row);
    return OK;
}

static enum err list_read(struct post *post)
{
    struct list_call *c = (struct list_call *)post;
    bool more = false;
    uint64_t last = 0;
    call_restart(&c->call);
    list_begin(&c->call.json);
    if (!c->nothing)
        TRY(store_event_list(&post->op, post->tx, &c->filter, c->limit, list_row, c, &more, &last));
    return list_end(&post->op, &c->call.json, more, CURSOR_EVENTS, (int64_t)last, (struct str){ 0 });
}

void events_list(struct http_request *request)
{
    static const struct hop route[] = { { list_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct list_call *c = call_new(request, sizeof *c);
    struct str after;
    int64_t before = 0;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    struct str own = own_tenant(&c->call);
    c->filter.tenant = http_query(request, S("tenant"));
    c->filter.type = http_query(request, S("type"));
    c->nothing = !cursor_read(&c->call.post.op, after, CURSOR_EVENTS, &before, NULL) ||
                 (str_given(own) && str_given(c->filter.tenant) && !str_eq(own, c->filter.tenant));
    if (str_given(own))
        c->filter.tenant = own;
    c->filter.before = before > 0 ? (uint64_t)before : 0;
    call_send(&c->call, route);
}

/* Names the sources that used the id (EVT-2). */
static enum err ambiguous(struct op *op, struct str id, const struct event_row *rows, int count)
{
    struct str sources = rows[0].source;
    for (int i = 1; i < count; i++)
        if (!str_eq(rows[i].source, rows[i - 1].source))
            sources = arena_fmt(op->arena, "%.*s, %.*s", STR(sources), STR(rows[i].source));
    return fail_at(op, ERR_CONFLICT, "/source",
                   "there are several events '%.*s', of %.*s: say which with ?source= or ?tenant=", STR(id),
                   STR(sources));
}

struct get_call {
    struct call call;
    struct str source, tenant; /* not given: any */
};

static enum err get_read(struct post *post)
{
    struct get_call *c = (struct get_call *)post;
    struct call *call = &c->call;
    struct str id = call_param(call, 0);
    struct event_row rows[SOURCES_MAX];
    int count;
    call_restart(call);
    TRY(store_event_find(&post->op, post->tx, id, c->source, c->tenant, SOURCES_MAX, rows, &count));
    if (count == 0)
        return fail(&post->op, ERR_NOT_FOUND, "there is no event '%.*s'", STR(id));
    if (count > 1)
        return ambiguous(&post->op, id, rows, count);
    render_event(&call->json, &rows[0]);
    return OK;
}

void events_get(struct http_request *request)
{
    static const struct hop route[] = { { get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct get_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    struct str own = own_tenant(&c->call);
    c->source = http_query(request, S("source"));
    c->tenant = str_given(own) ? own : http_query(request, S("tenant"));
    call_send(&c->call, route);
}
