/*
 * api_sources.c - sources: what is read from whom, how far it is, and reading back on demand.
 *
 * What a document may hold is engine/source_config.h, what is told about a
 * source engine/source_status.h. Here stands who may do it, and that no source
 * points into our own network: whoever may write sources could otherwise have
 * the daemon ask whatever it can reach, with the answer shown as an error.
 */
#include "serve/api_sources.h"

#include "base/cidr.h"
#include "base/instant.h"
#include "engine/source_commit.h"
#include "engine/source_signal.h"
#include "engine/source_status.h"
#include "net/addr.h"
#include "serve/api.h"
#include "serve/call.h"
#include "serve/cursor.h"

struct source_call {
    struct call call;
    struct source_row row;
    struct str tenant;
    struct str begin, end; /* of a backfill, as given */
    int64_t begin_us, end_us;
    struct str after;
    int limit;
    bool is_foreign; /* the cursor */
};

/* The host of a checked URL: what stands behind "//", without port and brackets. */
static struct str url_host(struct str url)
{
    size_t at = str_search(url, S("//")) + 2;
    struct str host = { url.p + at, url.n - at };
    host.n = str_find(host, '/');
    if (host.n && host.p[0] == '[')
        return (struct str){ host.p + 1, str_find(host, ']') - 1 };
    host.n = str_find(host, ':');
    return host;
}

/* Looks at hosts that are addresses. A name is looked at when it is called, whatever it resolves to (http_client.h). */
static enum err check_reach(struct op *op, const struct api_config *config, struct str base_url)
{
    if (!str_given(base_url) || config->dev)
        return OK;
    struct addr addr = { .port = 0 };
    struct str host = url_host(base_url);
    bool is_address = cidr_ip_parse(str_eq(host, S("localhost")) ? S("127.0.0.1") : host, addr.ip);
    if (!is_address || !addr_is_internal(&addr) || (config->reachable && cidr_list_has(config->reachable, host)))
        return OK;
    return fail_at(op, ERR_INVALID, "/base_url",
                   "points into a private network that [sources] allow of the configuration does not name");
}

/* ------------------------------------------------------------------------------------------------------------- put */

static enum err find_source(struct op *op, struct call *call, struct source_row *ret)
{
    TRY(store_source_get(op, call->post.tx, call_param(call, 0), ret));
    return call_may_see(op, call, ret->tenant_no);
}

/* A source of somebody else is not there for this token, so it cannot be replaced either. */
static enum err may_replace(struct op *op, struct call *call)
{
    struct source_row before;
    enum err err = store_source_get(op, call->post.tx, call_param(call, 0), &before);
    if (err == ERR_NOT_FOUND) {
        op->error[0] = '\0';
        return OK;
    }
    TRY(err);
    return call_may_see(op, call, before.tenant_no);
}

static enum err sources_put_commit(struct post *post)
{
    struct source_call *c = (struct source_call *)post;
    struct source_row row = c->row; /* the hop may run again */
    bool is_new;
    TRY(call_may_make_tenant(&post->op, &c->call, c->tenant));
    TRY(may_replace(&post->op, &c->call));
    TRY(source_put(&post->op, post->tx, &row, c->tenant, &is_new));
    TRY(call_note(post, is_new ? "source.create" : "source.change", (struct str){ 0 }));
    call_restart(&c->call);
    return source_status_write(&post->op, post->tx, &row, &c->call.json);
}

/* Last hop of every change: the poller looks at once. */
static enum err reply_and_ring(struct post *post)
{
    if (post->err == OK)
        source_signal();
    call_end(call_of(post), post->err);
    return OK;
}

void sources_put(struct http_request *request)
{
    static const struct hop route[] = { { sources_put_commit, THREAD_WRITER },
                                        { reply_and_ring, THREAD_CALLER },
                                        { 0 } };
    struct source_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call))
        return;
    struct op *op = &c->call.post.op;
    enum err err =
        source_config_parse(op, call_param(&c->call, 0), request->body, &c->call.problems, &c->row, &c->tenant);
    if (err == OK)
        err = check_reach(op, &c->call.api->config, c->row.base_url);
    call_send_if(&c->call, err, route);
}

/* --------------------------------------------------------------------------------------------------- get and list */

static enum err sources_get_read(struct post *post)
{
    struct call *call = call_of(post);
    struct source_row row;
    TRY(find_source(&post->op, call, &row));
    return source_status_write(&post->op, post->tx, &row, &call->json);
}

void sources_get(struct http_request *request)
{
    static const struct hop route[] = { { sources_get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

/* One page of those the caller may see; rows of others are passed over. */
struct source_list {
    struct source_call *c;
    struct str seen, last; /* ids: of the newest row, of the newest one shown */
    int rows, shown;
    bool more;
};

static enum err list_source(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    struct source_list *list = arg;
    uint32_t only = call_tenant(&list->c->call);
    list->rows++;
    list->seen = row->id;
    if (only != 0 && only != row->tenant_no)
        return OK;
    if (list->shown == list->c->limit) {
        list->more = true;
        return OK;
    }
    list->shown++;
    list->last = row->id;
    return source_status_write(op, tx, row, &list->c->call.json);
}

static enum err sources_list_read(struct post *post)
{
    struct source_call *c = (struct source_call *)post;
    struct source_list list = { .c = c, .seen = c->after };
    int ask = c->limit + 1;
    list_begin(&c->call.json);
    for (bool go = !c->is_foreign; go; go = list.rows == ask && !list.more) {
        list.rows = 0;
        TRY(store_source_each(&post->op, post->tx, list.seen, ask, list_source, &list));
    }
    return list_end(&post->op, &c->call.json, list.more, CURSOR_SOURCES, 0, list.last);
}

void sources_list(struct http_request *request)
{
    static const struct hop route[] = { { sources_list_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct source_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    c->is_foreign = !cursor_read(&c->call.post.op, after, CURSOR_SOURCES, NULL, &c->after);
    call_send(&c->call, route);
}

/* -------------------------------------------------------------------------------------------------------- backfill */

static const struct json_field backfill_fields[] = {
    { "begin", JSON_FIELD_STR, offsetof(struct source_call, begin), INSTANT_TEXT_BYTES, JSON_REQUIRED, 1, 0 },
    { "end", JSON_FIELD_STR, offsetof(struct source_call, end), INSTANT_TEXT_BYTES, JSON_REQUIRED, 1, 0 },
};

static enum err find_and_start(struct op *op, struct source_call *c, struct source_row *ret)
{
    struct tx *tx = c->call.post.tx;
    TRY(find_source(op, &c->call, ret));
    return source_backfill_start(op, tx, ret->id, c->begin_us, c->end_us);
}

static enum err sources_backfill_commit(struct post *post)
{
    struct source_call *c = (struct source_call *)post;
    struct source_row row;
    TRY(find_and_start(&post->op, c, &row));
    TRY(call_note(post, "source.backfill", (struct str){ 0 }));
    call_restart(&c->call);
    c->call.status = 202;
    return source_status_write(&post->op, post->tx, &row, &c->call.json);
}

static enum err read_instants(struct source_call *c)
{
    struct op *op = &c->call.post.op;
    enum err err = OK;
    if (!instant_parse(c->begin, &c->begin_us))
        err = json_problem(op, &c->call.problems, "/begin", "must be an instant like 2026-11-21T19:00:00Z");
    if (!instant_parse(c->end, &c->end_us))
        err = json_problem(op, &c->call.problems, "/end", "must be an instant like 2026-11-21T19:00:00Z");
    return err;
}

void sources_backfill(struct http_request *request)
{
    static const struct hop route[] = { { sources_backfill_commit, THREAD_WRITER },
                                        { reply_and_ring, THREAD_CALLER },
                                        { 0 } };
    struct source_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, backfill_fields, sizeof backfill_fields / sizeof *backfill_fields, c, NULL))
        return;
    enum err err = read_instants(c);
    call_send_if(&c->call, err, route);
}

static enum err sources_backfill_stop_commit(struct post *post)
{
    struct call *call = call_of(post);
    struct source_row row;
    TRY(find_source(&post->op, call, &row));
    call->status = 204;
    TRY(source_backfill_stop(&post->op, post->tx, row.id));
    return call_note(post, "source.cancel", (struct str){ 0 });
}

void sources_backfill_stop(struct http_request *request)
{
    static const struct hop route[] = { { sources_backfill_stop_commit, THREAD_WRITER },
                                        { reply_and_ring, THREAD_CALLER },
                                        { 0 } };
    call_run(request, route);
}
