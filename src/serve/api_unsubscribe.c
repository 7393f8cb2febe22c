/*
 * api_unsubscribe.c - one-click unsubscription: a page with one button, the POST of a mail program, tokens for senders.
 *
 * Scanners fetch every link, so a GET only shows the page. A token that is not
 * ours gets the same pages: nobody learns from an answer which ones are.
 */
#include "serve/api_unsubscribe.h"

#include "base/form.h"
#include "base/json_lines.h"
#include "base/metric.h"
#include "engine/unsubscribe.h"
#include "net/multipart.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/call.h"
#include "serve/redirect.h"
#include "serve/rejected.h"

/* --- pages ------------------------------------------------------------------------- */

#define PAGE(title, content)                                                                                           \
    S("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" "                              \
      "content=\"width=device-width\"><title>" title "</title>" content "</html>\n")

static void answer_page(struct http_request *request, int status, struct str page)
{
    http_reply_header(request, S("Content-Security-Policy"),
                      S("default-src 'none'; style-src 'self'; form-action 'self'"));
    http_reply_header(request, S("X-Robots-Tag"), S("noindex, nofollow"));
    http_reply_header(request, S("Cache-Control"), S("no-store"));
    http_reply_header(request, S("Referrer-Policy"), S("no-referrer"));
    http_reply(request, status, S("text/html; charset=utf-8"), page);
}

void unsubscribe_page(struct http_request *request)
{
    const struct api *api = request->server_data;
    if (api->redirect)
        redirect_probe(api->redirect, request);
    answer_page(request, 200,
                PAGE("Unsubscribe",
                     "<h1>Unsubscribe</h1><p>You will get no more of these mails.</p>"
                     "<form method=\"post\"><button name=\"page\" value=\"1\">Unsubscribe</button></form>"));
}

/* --- POST --------------------------------------------------------------------------- */

struct unsubscribe_call {
    struct call call;
    struct unsubscribe what;
    struct str via;
};

/* What a mail program sends (RFC 8058), as a form of either kind; anything else was the button of the page. */
static bool is_one_click(struct op *op, struct str content_type, struct str body)
{
    struct str name = S("List-Unsubscribe"), value = S("One-Click");
    struct multipart multipart;
    struct multipart_part part;
    if (multipart_init(op, &multipart, content_type, body) != OK)
        return str_eq(form_get(op->arena, body, name), value);
    while (multipart_next(op, &multipart, &part) == OK && str_given(part.name))
        if (str_eq(part.name, name) && str_eq(part.value, value))
            return true;
    return false;
}

static struct str via_of(struct http_request *request)
{
    struct op aside; /* what is no form is no mistake */
    op_init(&aside, request->op.arena, request->op.now_us);
    bool one_click = is_one_click(&aside, http_header(request, S("Content-Type")), request->body);
    return one_click ? S("one-click") : S("page");
}

static enum err post_commit(struct post *post)
{
    const struct unsubscribe_call *c = (const struct unsubscribe_call *)post;
    return unsubscribe_apply(&post->op, post->tx, &c->what, c->via);
}

static enum err post_reply(struct post *post)
{
    struct call *call = call_of(post);
    if (post->err == OK)
        answer_page(call->request, 200, PAGE("Unsubscribed", "<h1>You are unsubscribed</h1>"));
    else
        call_end(call, post->err);
    return OK;
}

static void count_unknown(void)
{
    metric_add(METRIC_PLAIN(metric_counter("posthouse_unsubscribe_unknown_tokens_total",
                                           "Unsubscribe requests whose token is not ours.", "", METRIC_ONE)),
               1);
}

void unsubscribe_post(struct http_request *request)
{
    static const struct hop route[] = { { post_commit, THREAD_WRITER }, { post_reply, THREAD_CALLER }, { 0 } };
    struct unsubscribe_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    if (unsubscribe_open(&c->call.post.op, &c->call.api->config.unsubscribe, call_param(&c->call, 0), &c->what)) {
        c->via = via_of(request);
        c->call.post.hop = route;
        post_send(&c->call.post);
        return;
    }
    count_unknown();
    answer_page(request, 200, PAGE("Unsubscribed", "<h1>You are unsubscribed</h1>"));
}

/* --- tokens ------------------------------------------------------------------------- */

static const struct json_field token_fields[] = {
    { "tenant", JSON_FIELD_STR, offsetof(struct unsubscribe, tenant), 128, JSON_REQUIRED, 1, 0 },
    { "recipient", JSON_FIELD_STR, offsetof(struct unsubscribe, recipient), 320, JSON_REQUIRED, 1, 0 },
    { "scope", JSON_FIELD_STR, offsetof(struct unsubscribe, scope), UNSUBSCRIBE_SCOPE_BYTES_MAX, 0, 1, 0 },
};

struct tokens_call {
    struct call call;
    struct json_writer *w;
    struct op aside; /* of one line: a bad one does not fail the others */
    struct rejected rejected;
    int64_t accepted;
};

static enum err make_token(struct tokens_call *c, struct str text, struct str *ret_token)
{
    struct op *op = &c->aside;
    struct unsubscribe what = { .scope = S("mailings") };
    TRY(json_read_body(op, text, token_fields, sizeof token_fields / sizeof *token_fields, &what, NULL, NULL));
    TRY(unsubscribe_check(op, &what));
    TRY(call_may_make_tenant(op, &c->call, what.tenant));
    return unsubscribe_seal(op, &c->call.api->config.unsubscribe, &what, ret_token);
}

static void take_line(struct tokens_call *c, int64_t number, struct str text)
{
    struct arena *arena = c->call.request->op.arena;
    struct json_writer *w = &c->call.json;
    struct str token = { 0 };
    if (make_token(c, text, &token) == OK) {
        json_object_begin(w);
        json_member_int(w, "line", number);
        json_member_str(w, "url", arena_fmt(arena, "%.*s/u/%.*s", STR(c->call.api->config.links_base), STR(token)));
        json_object_end(w);
        c->accepted++;
        return;
    }
    rejected_add(&c->rejected, number, str_of(c->aside.error));
}

static enum err take_array(struct tokens_call *c, struct str body)
{
    struct op *op = &c->call.post.op;
    struct json check, items;
    struct str item;
    json_init(&check, op->arena, body, JSON_STRICT);
    json_skip(&check);
    TRY(json_finish(&check, op));
    json_init(&items, op->arena, body, JSON_STRICT);
    if (!json_enter_array(&items))
        return fail(op, ERR_INVALID, "the body must be an object, an array, or NDJSON");
    for (int64_t number = 1; json_next_item(&items) && json_raw(&items, &item); number++)
        take_line(c, number, item);
    return OK;
}

static enum err take_all(struct tokens_call *c)
{
    struct http_request *request = c->call.request;
    struct str body = str_trim(request->body);
    if (!str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson")) && body.n && body.p[0] == '[')
        return take_array(c, body);
    struct json_lines lines;
    struct json_line line;
    if (!str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson"))) {
        take_line(c, 1, body);
        return OK;
    }
    json_lines_init(&lines);
    json_lines_feed(&lines, request->body, true);
    while (json_line_next(&lines, &line))
        take_line(c, line.number, line.too_long ? S("") : line.text);
    return OK;
}

void unsubscribe_tokens(struct http_request *request)
{
    struct tokens_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    struct json_writer *w = &c->call.json;
    op_init(&c->aside, request->op.arena, request->op.now_us);
    c->rejected.arena = request->op.arena;
    json_object_begin(w);
    json_put_name(w, "items");
    json_array_begin(w);
    enum err err = take_all(c);
    json_array_end(w);
    json_member_int(w, "accepted", c->accepted);
    rejected_write(w, &c->rejected);
    json_object_end(w);
    call_end(&c->call, err);
}
