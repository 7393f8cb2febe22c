/*
 * api_links.c - tracked links, one at a time: made, changed, read.
 */
#include "serve/api_links.h"

#include "engine/links.h"
#include "serve/api.h"
#include "serve/call.h"
#include "serve/redirect.h"
#include "serve/render.h"
#include "store/store_tenant.h"

struct link_call {
    struct call call;
    struct link_put put;
    struct link link;
    bool made;
};

struct str link_short_url(struct arena *arena, const struct api *api, struct str code)
{
    return arena_fmt(arena, "%.*s/r/%.*s", STR(api->config.links_base), STR(code));
}

void link_render(struct json_writer *w, struct arena *arena, const struct api *api, const struct link *link,
                 struct str tenant, struct str mailing)
{
    json_member_str(w, "code", link->code);
    json_member_str(w, "url", link->url);
    json_member_str(w, "short_url", link_short_url(arena, api, link->code));
    json_member_str(w, "tenant", tenant);
    json_member_str(w, "mailing", mailing);
    json_member_bool(w, "honeypot", link->honeypot);
    json_member_int(w, "version", link->version);
    render_ms(w, "changed_at", link->changed_at_ms, 0);
    render_ms(w, "created_at", link->created_at_ms, 0);
}

static void render_figures(struct json_writer *w, const char *name, const uint32_t figures[4])
{
    json_put_name(w, name);
    json_object_begin(w);
    json_member_int(w, "clicks", figures[0]);
    json_member_int(w, "members", figures[1]);
    json_member_int(w, "human", figures[2]);
    json_member_int(w, "machine", figures[3]);
    json_object_end(w);
}

static enum err render_link(struct op *op, struct call *call, const struct link *link)
{
    struct tx *tx = call->post.tx;
    struct json_writer *w = &call->json;
    struct tenant tenant;
    struct mailing mailing = { 0 };
    const struct link_state *state;
    TRY(store_tenant_get_no(op, tx, link->tenant_no, &tenant));
    if (link->mailing_no)
        TRY(store_mailing_get_no(op, tx, link->mailing_no, &mailing));
    TRY(store_link_state(op, tx, link->no, &state));
    const uint32_t now[] = { state->clicks, state->members, state->human, state->machine };
    const uint32_t all[] = { state->all_clicks, state->all_members, state->all_human, state->all_machine };
    json_object_begin(w);
    link_render(w, op->arena, call->api, link, tenant.id, mailing.id);
    render_figures(w, "stats", now);
    render_figures(w, "all_time", all);
    json_object_end(w);
    return OK;
}

/* --- PUT ------------------------------------------------------------------------ */

static enum err put_commit(struct post *post)
{
    struct link_call *c = (struct link_call *)post;
    TRY(link_store(&post->op, post->tx, call_param(&c->call, 0), &c->put, call_tenant(&c->call), &c->link, &c->made));
    call_restart(&c->call);
    c->call.status = c->made ? 201 : 200;
    return render_link(&post->op, &c->call, &c->link);
}

/* From here on the new destination is used; whoever was sent to the former one has been answered by then. */
static enum err put_reply(struct post *post)
{
    struct link_call *c = (struct link_call *)post;
    struct redirect *redirect = c->call.api->redirect;
    if (post->err != OK || !redirect)
        return call_reply(post);
    redirect_learn(redirect, &c->link);
    redirect_end_after(redirect, &c->call);
    return OK;
}

static enum err check_put(struct link_call *c)
{
    struct op *op = &c->call.post.op;
    if (!link_code_valid(call_param(&c->call, 0)))
        return fail(op, ERR_INVALID, "a code is 1 to 128 of A-Z a-z 0-9 . _ ~ - and not . or ..");
    struct str url = { 0 };
    TRY(link_check(op, &c->put, &url));
    c->put.url = url;
    return OK;
}

void link_put_request(struct http_request *request)
{
    static const struct hop route[] = { { put_commit, THREAD_WRITER }, { put_reply, THREAD_CALLER }, { 0 } };
    struct link_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, link_fields, LINK_FIELDS, &c->put, NULL))
        return;
    enum err err = check_put(c);
    call_send_if(&c->call, err, route);
}

/* --- GET ------------------------------------------------------------------------ */

static enum err get_read(struct post *post)
{
    struct call *call = call_of(post);
    struct link link;
    TRY(store_link_by_code(&post->op, post->tx, call_param(call, 0), &link));
    TRY(call_may_see(&post->op, call, link.tenant_no));
    return render_link(&post->op, call, &link);
}

void link_get_request(struct http_request *request)
{
    static const struct hop route[] = { { get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}
