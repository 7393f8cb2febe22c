/*
 * api_mailings.c - mailings, their figures, failures and links.
 */
#include <stdlib.h>

#include "base/sort.h"
#include "engine/source_signal.h"
#include "engine/tenants.h"
#include "serve/api_ledger.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/render.h"
#include "store/records.h"
#include "store/store_link.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

struct mailing_call {
    struct call call;
    struct mailing_put put;
    int limit;
    struct str after;
    int severity;
};

static enum err find_mailing(struct op *op, struct call *call, struct mailing *ret)
{
    TRY(store_mailing_get(op, call->post.tx, call_param(call, 0), ret));
    return call_may_see(op, call, ret->tenant_no);
}

/* The mailing and its figures. */
static enum err render_mailing(struct op *op, struct call *call, const struct mailing *mailing)
{
    struct json_writer *w = &call->json;
    struct tenant tenant;
    struct mailing_stats stats;
    TRY(store_tenant_get_no(op, call->post.tx, mailing->tenant_no, &tenant));
    TRY(store_mailing_stats_get(op, call->post.tx, mailing->no, &stats));
    json_object_begin(w);
    json_member_str(w, "id", mailing->id);
    json_member_str(w, "tenant", tenant.id);
    json_member_str(w, "subject", mailing->subject);
    render_us(w, "sent_at", mailing->sent_at_us, INT64_MIN);
    json_member_bool(w, "track_opens", mailing->track_opens);
    json_member_bool(w, "track_clicks", mailing->track_clicks);
    render_ms(w, "created_at", mailing->created_at_ms, 0);
    json_put_name(w, "stats");
    json_object_begin(w);
    render_stats(w, &stats);
    json_object_end(w);
    json_object_end(w);
    return OK;
}

static enum err mailing_put_commit(struct post *post)
{
    struct mailing_call *c = (struct mailing_call *)post;
    struct mailing mailing;
    struct tenant tenant;
    if (call_tenant(&c->call) && store_tenant_get(&post->op, post->tx, c->put.tenant, &tenant) == OK)
        TRY(call_may_see(&post->op, &c->call, tenant.no));
    TRY(mailing_store(&post->op, post->tx, call_param(&c->call, 0), &c->put, &mailing));
    call_restart(&c->call);
    return render_mailing(&post->op, &c->call, &mailing);
}

/* A mailing that was just sent makes its sources look at once. */
static enum err mailing_put_reply(struct post *post)
{
    if (post->err == OK)
        source_signal();
    return call_reply(post);
}

void mailing_put(struct http_request *request)
{
    static const struct hop route[] = { { mailing_put_commit, THREAD_WRITER },
                                        { mailing_put_reply, THREAD_CALLER },
                                        { 0 } };
    struct mailing_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->put.track_opens = c->put.track_clicks = true;
    if (call_id(&c->call) && call_body(&c->call, mailing_put_fields, MAILING_PUT_FIELDS, &c->put, NULL))
        call_send(&c->call, route);
}

static enum err mailing_get_read(struct post *post)
{
    struct call *call = call_of(post);
    struct mailing mailing;
    TRY(find_mailing(&post->op, call, &mailing));
    return render_mailing(&post->op, call, &mailing);
}

void mailing_get(struct http_request *request)
{
    static const struct hop route[] = { { mailing_get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

/* From the committed state: who was answered sees his change (LED-19). */
static enum err mailing_stats_read(struct post *post)
{
    struct call *call = call_of(post);
    struct mailing mailing;
    struct mailing_stats stats;
    TRY(find_mailing(&post->op, call, &mailing));
    TRY(store_mailing_stats_get(&post->op, post->tx, mailing.no, &stats));
    json_object_begin(&call->json);
    render_stats(&call->json, &stats);
    json_object_end(&call->json);
    return OK;
}

void mailing_stats(struct http_request *request)
{
    static const struct hop route[] = { { mailing_stats_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

/* Where a list of this mailing goes on; false for a cursor of another list or another mailing (LED-25). */
static bool list_place(struct mailing_call *c, enum cursor_kind kind, uint64_t *ret_after)
{
    int64_t number = 0;
    struct str mailing = call_param(&c->call, 0);
    if (!cursor_read(&c->call.post.op, c->after, kind, &number, &mailing))
        return false;
    *ret_after = (uint64_t)number;
    return str_eq(mailing, call_param(&c->call, 0)) && number >= 0;
}

struct failure_list {
    struct json_writer *w;
    uint64_t last;
};

static enum err render_failure(struct op *op, struct tx *tx, const struct failure_row *row, void *arg)
{
    struct failure_list *list = arg;
    struct json_writer *w = list->w;
    struct message_row message;
    TRY(store_message_get(op, tx, row->message_no, &message));
    json_object_begin(w);
    json_member_str(w, "message", message.id);
    json_member_str(w, "recipient", message.recipient);
    json_member_str(w, "severity", row->severity == FAILURE_PERMANENT ? S("permanent") : S("temporary"));
    json_put_name(w, "code");
    if (row->code == INT32_MIN)
        json_put_null(w);
    else
        json_put_int(w, row->code);
    json_member_str(w, "enhanced_code", row->enhanced.n ? row->enhanced : (struct str){ 0 });
    json_member_str(w, "text", row->text);
    render_us(w, "at", row->at_us, 0);
    json_object_end(w);
    list->last = row->message_no;
    return OK;
}

static enum err mailing_failures_read(struct post *post)
{
    struct mailing_call *c = (struct mailing_call *)post;
    struct mailing mailing;
    struct failure_list list = { .w = &c->call.json };
    bool more = false;
    TRY(find_mailing(&post->op, &c->call, &mailing));
    uint64_t after;
    list_begin(&c->call.json);
    if (list_place(c, CURSOR_FAILURES, &after))
        TRY(store_failure_list(&post->op, post->tx, mailing.no, c->severity, after, c->limit, render_failure, &list,
                               &more));
    return list_end(&post->op, &c->call.json, more, CURSOR_FAILURES, (int64_t)list.last, call_param(&c->call, 0));
}

static struct mailing_call *list_call(struct http_request *request)
{
    struct mailing_call *c = call_new(request, sizeof *c);
    return c && call_page(&c->call, &c->limit, &c->after) ? c : NULL;
}

void mailing_failures(struct http_request *request)
{
    static const struct hop route[] = { { mailing_failures_read, THREAD_READER },
                                        { call_reply, THREAD_CALLER },
                                        { 0 } };
    struct mailing_call *c = list_call(request);
    if (!c)
        return;
    struct str severity = http_query(request, S("severity"));
    if (str_given(severity) && !str_eq(severity, S("permanent")) && !str_eq(severity, S("temporary"))) {
        call_end(&c->call, fail_at(&c->call.post.op, ERR_INVALID, "/severity", "severity is permanent or temporary"));
        return;
    }
    if (str_given(severity))
        c->severity = str_eq(severity, S("permanent")) ? FAILURE_PERMANENT : FAILURE_TEMPORARY;
    call_send(&c->call, route);
}

/* Links that a provider reported and tracked ones, in one order: by number. */
struct link_item {
    uint32_t no;
    struct str url, code;
    int64_t members, clicks, human, machine;
};

struct link_list {
    struct link_item *items;
    size_t count;
};

static enum err add_reported(struct op *op, struct tx *tx, const struct link_row *row, void *arg)
{
    (void)op;
    (void)tx;
    struct link_list *list = arg;
    list->items[list->count++] =
        (struct link_item){ .no = row->no, .url = row->url, .members = row->members, .clicks = row->clicks };
    return OK;
}

static enum err add_tracked(struct op *op, struct tx *tx, const struct link *link, void *arg)
{
    struct link_list *list = arg;
    const struct link_state *state;
    TRY(store_link_state(op, tx, link->no, &state));
    list->items[list->count++] = (struct link_item){ .no = link->no,
                                                     .url = link->url,
                                                     .code = link->code,
                                                     .members = state->members,
                                                     .clicks = state->clicks,
                                                     .human = state->human,
                                                     .machine = state->machine };
    return OK;
}

static int by_number(const void *a, const void *b)
{
    const struct link_item *x = a, *y = b;
    return sort_cmp_u64(x->no, y->no);
}

static void render_link(struct json_writer *w, const struct link_item *item)
{
    json_object_begin(w);
    json_member_str(w, "url", item->url);
    json_member_int(w, "members", item->members);
    json_member_int(w, "clicks", item->clicks);
    if (str_given(item->code)) {
        json_member_str(w, "code", item->code);
        json_member_int(w, "human", item->human);
        json_member_int(w, "machine", item->machine);
    }
    json_object_end(w);
}

static enum err read_links(struct op *op, struct mailing_call *c, uint32_t mailing_no, uint32_t after,
                           struct link_list *list, bool *ret_more)
{
    TRY(op_alloc(op, 2 * ((size_t)c->limit + 1) * sizeof *list->items, &list->items));
    TRY(store_link_list(op, c->call.post.tx, mailing_no, after, c->limit, add_reported, list, ret_more));
    TRY(store_link_each(op, c->call.post.tx, mailing_no, after, c->limit + 1, add_tracked, list));
    qsort(list->items, list->count, sizeof *list->items, by_number);
    *ret_more |= list->count > (size_t)c->limit;
    if (list->count > (size_t)c->limit)
        list->count = (size_t)c->limit;
    return OK;
}

static enum err mailing_links_read(struct post *post)
{
    struct mailing_call *c = (struct mailing_call *)post;
    struct mailing mailing;
    struct link_list list = { 0 };
    bool more = false;
    TRY(find_mailing(&post->op, &c->call, &mailing));
    uint64_t after;
    list_begin(&c->call.json);
    if (list_place(c, CURSOR_LINKS, &after) && after <= UINT32_MAX)
        TRY(read_links(&post->op, c, mailing.no, (uint32_t)after, &list, &more));
    for (size_t i = 0; i < list.count; i++)
        render_link(&c->call.json, &list.items[i]);
    uint32_t last = list.count ? list.items[list.count - 1].no : 0;
    return list_end(&post->op, &c->call.json, more, CURSOR_LINKS, last, call_param(&c->call, 0));
}

void mailing_links(struct http_request *request)
{
    static const struct hop route[] = { { mailing_links_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct mailing_call *c = list_call(request);
    if (c)
        call_send(&c->call, route);
}
