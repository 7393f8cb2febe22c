/*
 * api_tenants.c - tenants and their daily facts.
 */
#include <stdio.h>

#include "base/day.h"
#include "engine/status.h"
#include "engine/tenants.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_ledger.h"
#include "serve/call.h"
#include "serve/render.h"
#include "store/store_fact.h"

#define FACT_DAYS_MAX 400

struct tenant_call {
    struct call call;
    struct tenant_put put;
    uint32_t no; /* of the tenant that was put */
    int32_t from_day, to_day;
    enum channel channel;
};

static const struct json_field tenant_fields[] = {
    { "timezone", JSON_FIELD_STR, offsetof(struct tenant_put, timezone), 64, JSON_NULLABLE, 1, 0 },
    { "retention", JSON_FIELD_OBJECT, offsetof(struct tenant_put, retention), 1024, JSON_NULLABLE, 0, 0 },
    { "contacts", JSON_FIELD_STRS, offsetof(struct tenant_put, contacts), 320, JSON_NULLABLE, 1, TENANT_CONTACTS_MAX },
    { "link_hosts", JSON_FIELD_STRS, offsetof(struct tenant_put, link_hosts), 255, JSON_NULLABLE, 1,
      TENANT_LINK_HOSTS_MAX },
};

static void render_retention(struct json_writer *w, const struct tenant *tenant)
{
    static const char *const channels[] = { "email", "sms", "letter" };
    json_put_name(w, "retention");
    json_object_begin(w);
    for (int i = 0; i < 3; i++) {
        char text[16];
        snprintf(text, sizeof text, "%dd", tenant_retention_days(tenant, str_of(channels[i])));
        json_member_str(w, channels[i], str_of(text));
    }
    json_object_end(w);
}

static void render_tenant(struct json_writer *w, const struct tenant *tenant)
{
    json_object_begin(w);
    json_member_str(w, "id", tenant->id);
    json_member_str(w, "timezone", tenant->timezone);
    render_retention(w, tenant);
    json_member_raw(w, "contacts", str_given(tenant->contacts) ? tenant->contacts : S("[]"));
    json_member_raw(w, "link_hosts", str_given(tenant->link_hosts) ? tenant->link_hosts : S("[]"));
    render_ms(w, "created_at", tenant->created_at_ms, 0);
    json_object_end(w);
}

/* The tenant of the path, as far as the caller may see it. */
static enum err find_tenant(struct op *op, struct call *call, struct tenant *ret)
{
    TRY(store_tenant_get(op, call->post.tx, call_param(call, 0), ret));
    return call_may_see(op, call, ret->no);
}

static enum err tenant_put_commit(struct post *post)
{
    struct tenant_call *c = (struct tenant_call *)post;
    struct tenant tenant;
    TRY(call_may_make_tenant(&post->op, &c->call, call_param(&c->call, 0)));
    TRY(tenant_store(&post->op, post->tx, call_param(&c->call, 0), &c->put, &tenant));
    c->no = tenant.no;
    call_restart(&c->call);
    render_tenant(&c->call.json, &tenant);
    return OK;
}

/* A token may have been bound to this tenant before there was one. */
static enum err tenant_put_reply(struct post *post)
{
    struct tenant_call *c = (struct tenant_call *)post;
    if (post->err == OK)
        tokens_learn_tenant(c->call.api->config.tokens, call_param(&c->call, 0), c->no);
    return call_reply(post);
}

void tenant_put(struct http_request *request)
{
    static const struct hop route[] = { { tenant_put_commit, THREAD_WRITER },
                                        { tenant_put_reply, THREAD_CALLER },
                                        { 0 } };
    struct tenant_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call) ||
        !call_body(&c->call, tenant_fields, sizeof tenant_fields / sizeof *tenant_fields, &c->put, NULL))
        return;
    enum err err = tenant_check(&c->call.post.op, &c->put, &c->call.problems);
    call_send_if(&c->call, err, route);
}

static enum err tenant_get_read(struct post *post)
{
    struct call *call = call_of(post);
    struct tenant tenant;
    TRY(find_tenant(&post->op, call, &tenant));
    render_tenant(&call->json, &tenant);
    return OK;
}

void tenant_get(struct http_request *request)
{
    static const struct hop route[] = { { tenant_get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

static enum err render_fact(struct op *op, struct tx *tx, const struct cohort *cohort, uint8_t status, int64_t count,
                            void *arg)
{
    (void)op;
    (void)tx;
    struct json_writer *w = arg;
    char day[DAY_TEXT_BYTES];
    json_object_begin(w);
    json_member_str(w, "day", day_text(cohort->local_day, day));
    json_member_str(w, "channel", str_of(channel_name((enum channel)cohort->channel)));
    json_member_str(w, "key", str_of(message_key_name((enum message_key)cohort->key)));
    json_member_str(w, "template", cohort->template_name);
    json_member_str(w, "status", str_of(status_name((enum status)status)));
    json_member_int(w, "count", count);
    json_object_end(w);
    return OK;
}

static enum err tenant_facts_read(struct post *post)
{
    struct tenant_call *c = (struct tenant_call *)post;
    struct json_writer *w = &c->call.json;
    struct tenant tenant;
    TRY(find_tenant(&post->op, &c->call, &tenant));
    json_object_begin(w);
    json_put_name(w, "items");
    json_array_begin(w);
    TRY(store_fact_list(&post->op, post->tx, tenant.no, c->from_day, c->to_day, (uint8_t)c->channel, render_fact, w));
    json_array_end(w);
    json_object_end(w);
    return OK;
}

/* LED-28..30: both ends included, at most 400 days. */
static enum err facts_query(struct tenant_call *c)
{
    struct op *op = &c->call.post.op;
    struct str from = http_query(c->call.request, S("from")), to = http_query(c->call.request, S("to"));
    struct str channel = http_query(c->call.request, S("channel"));
    if (!day_parse(from, &c->from_day))
        return fail_at(op, ERR_INVALID, "/from", "from must be a day like 2026-11-01");
    if (!day_parse(to, &c->to_day))
        return fail_at(op, ERR_INVALID, "/to", "to must be a day like 2026-11-21");
    if (c->from_day > c->to_day)
        return fail_at(op, ERR_INVALID, "/to", "to lies before from");
    if (c->to_day - c->from_day >= FACT_DAYS_MAX)
        return fail_at(op, ERR_INVALID, "/to", "at most %d days in one answer", FACT_DAYS_MAX);
    if (str_given(channel) && !channel_of(channel, &c->channel))
        return fail_at(op, ERR_INVALID, "/channel", "channel is none of email, sms, letter");
    return OK;
}

void tenant_facts(struct http_request *request)
{
    static const struct hop route[] = { { tenant_facts_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct tenant_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    enum err err = facts_query(c);
    call_send_if(&c->call, err, route);
}
