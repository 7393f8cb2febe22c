/*
 * api_messages.c - single messages and lists of them.
 */
#include <stdio.h>
#include <string.h>

#include "engine/messages.h"
#include "engine/names.h"
#include "serve/api_ledger.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/render.h"
#include "store/block.h"
#include "store/store_tenant.h"

struct message_call {
    struct call call;
    struct message_patch patch;
    enum status current; /* for the 409 of a PATCH */
    struct message_filter filter;
    struct str tenant, mailing, recipient;
    int limit;
    bool foreign_cursor;
};

/* Names of the tenant and mailing a row belongs to; lists remember the newest pair. */
struct owner_names {
    uint32_t tenant_no, mailing_no;
    struct str tenant, mailing;
};

static enum err read_names(struct op *op, struct tx *tx, const struct message_row *row, struct owner_names *names)
{
    struct tenant tenant;
    struct mailing mailing = { 0 };
    if (names->tenant_no != row->tenant_no) {
        TRY(store_tenant_get_no(op, tx, row->tenant_no, &tenant));
        names->tenant_no = row->tenant_no;
        names->tenant = tenant.id;
    }
    if (names->mailing_no != row->mailing_no) {
        if (row->mailing_no)
            TRY(store_mailing_get_no(op, tx, row->mailing_no, &mailing));
        names->mailing_no = row->mailing_no;
        names->mailing = mailing.id;
    }
    return OK;
}

static void render_row(struct json_writer *w, const struct message_row *row, const struct owner_names *names,
                       enum status status)
{
    json_member_str(w, "id", row->id);
    json_member_str(w, "tenant", names->tenant);
    json_member_str(w, "mailing", names->mailing);
    json_member_str(w, "channel", str_of(channel_name((enum channel)row->channel)));
    json_member_str(w, "key", str_of(message_key_name((enum message_key)row->key)));
    json_member_str(w, "recipient", row->recipient);
    json_member_str(w, "status", str_of(status_name(status)));
    json_member_str(w, "provider", row->provider);
    json_member_str(w, "provider_message_id", row->provider_message_id);
    json_member_str(w, "template", row->template_name);
    json_member_str(w, "reference", row->reference);
    render_ms(w, "created_at", row->created_at_ms, 0);
    render_us(w, "sent_at", row->sent_at_us, 0);
}

static void render_history(struct json_writer *w, const struct message_view *view)
{
    json_put_name(w, "history");
    json_array_begin(w);
    for (size_t i = 0; i < view->history_count; i++) {
        const struct history_entry *entry = &view->history[i];
        json_object_begin(w);
        render_ms(w, "at", entry->at_ms, 0);
        if (entry->from == STATUS_NONE)
            json_member_null(w, "from");
        else
            json_member_str(w, "from", str_of(status_name((enum status)entry->from)));
        json_member_str(w, "to", str_of(status_name((enum status)entry->to)));
        json_member_str(w, "cause", entry->cause);
        json_object_end(w);
    }
    json_array_end(w);
}

static enum err render_view(struct op *op, struct call *call, uint64_t no)
{
    struct json_writer *w = &call->json;
    struct message_view view;
    struct owner_names names = { 0 };
    TRY(message_view(op, call->post.tx, no, &view));
    TRY(call_may_see(op, call, view.row.tenant_no));
    TRY(read_names(op, call->post.tx, &view.row, &names));
    json_object_begin(w);
    render_row(w, &view.row, &names, (enum status)view.delivery.status);
    render_us(w, "delivered_at", view.delivery.delivered_at_us, 0);
    render_us(w, "opened_at", view.engagement.opened_at_us, 0);
    render_us(w, "clicked_at", view.engagement.clicked_at_us, 0);
    render_us(w, "failed_at", view.delivery.failed_at_us, 0);
    render_us(w, "complained_at", view.word.complained_at_us, 0);
    render_us(w, "unsubscribed_at", view.word.unsubscribed_at_us, 0);
    render_history(w, &view);
    json_object_end(w);
    return OK;
}

static enum err message_get_read(struct post *post)
{
    struct call *call = call_of(post);
    uint64_t no;
    TRY(store_message_find_id(&post->op, post->tx, call_param(call, 0), &no));
    return render_view(&post->op, call, no);
}

void message_get(struct http_request *request)
{
    static const struct hop route[] = { { message_get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

static const struct json_field patch_fields[] = {
    { "status", JSON_FIELD_STR, offsetof(struct message_patch, status), 32, 0, 1, 0 },
    { "provider", JSON_FIELD_STR, offsetof(struct message_patch, provider), NAME_BYTES_MAX, 0, 1, 0 },
    { "provider_message_id", JSON_FIELD_STR, offsetof(struct message_patch, provider_message_id), 1024, 0, 1, 0 },
    { "sent_at", JSON_FIELD_STR, offsetof(struct message_patch, sent_at), 40, 0, 1, 0 },
};

static enum err message_patch_commit(struct post *post)
{
    struct message_call *c = (struct message_call *)post;
    uint64_t no;
    struct message_row row;
    c->current = STATUS_NONE;
    TRY(store_message_find_id(&post->op, post->tx, call_param(&c->call, 0), &no));
    TRY(store_message_get(&post->op, post->tx, no, &row));
    TRY(call_may_see(&post->op, &c->call, row.tenant_no));
    TRY(message_patch(&post->op, post->tx, no, &c->patch, &c->current));
    call_restart(&c->call);
    return render_view(&post->op, &c->call, no);
}

/* A refused move tells the status that stands (interface, PATCH). */
static enum err message_patch_reply(struct post *post)
{
    struct message_call *c = (struct message_call *)post;
    if (post->err != ERR_CONFLICT || c->current == STATUS_NONE) {
        call_end(&c->call, post->err);
        return OK;
    }
    struct json_writer *w = &c->call.json;
    call_restart(&c->call);
    json_object_begin(w);
    json_member_str(w, "type", S("about:blank"));
    json_member_str(w, "title", S("Conflict"));
    json_member_int(w, "status", 409);
    json_member_str(w, "detail", str_of(post->op.error));
    json_member_str(w, "current_status", str_of(status_name(c->current)));
    json_object_end(w);
    http_reply(c->call.request, 409, S("application/problem+json"), buf_str(&c->call.answer));
    return OK;
}

void message_patch_request(struct http_request *request)
{
    static const struct hop route[] = { { message_patch_commit, THREAD_WRITER },
                                        { message_patch_reply, THREAD_CALLER },
                                        { 0 } };
    struct message_call *c = call_new(request, sizeof *c);
    if (c && call_body(&c->call, patch_fields, sizeof patch_fields / sizeof *patch_fields, &c->patch, NULL))
        call_send(&c->call, route);
}

struct list_state {
    struct message_call *c;
    struct owner_names names;
};

static enum err list_row(struct op *op, struct tx *tx, const struct message_row *row, bool probe, bool *ret_take,
                         void *arg)
{
    struct list_state *state = arg;
    struct json_writer *w = &state->c->call.json;
    const struct message_delivery *delivery;
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_DELIVERY, row->no, &delivery));
    *ret_take = !state->c->filter.statuses || state->c->filter.statuses >> delivery->status & 1;
    if (!*ret_take || probe)
        return OK;
    TRY(read_names(op, tx, row, &state->names));
    json_object_begin(w);
    render_row(w, row, &state->names, (enum status)delivery->status);
    render_us(w, "delivered_at", delivery->delivered_at_us, 0);
    render_us(w, "failed_at", delivery->failed_at_us, 0);
    json_object_end(w);
    return OK;
}

/* Unknown tenants and mailings have no messages: an empty page, not an error. */
static enum err list_places(struct op *op, struct tx *tx, struct message_call *c, bool *ret_nothing)
{
    struct tenant tenant;
    struct mailing mailing;
    *ret_nothing = c->foreign_cursor;
    if (str_given(c->tenant)) {
        enum err err = store_tenant_get(op, tx, c->tenant, &tenant);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        *ret_nothing |= err != OK;
        c->filter.tenant_no = err == OK ? tenant.no : 0;
    }
    if (str_given(c->mailing)) {
        enum err err = store_mailing_get(op, tx, c->mailing, &mailing);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
        *ret_nothing |= err != OK;
        c->filter.mailing_no = err == OK ? mailing.no : 0;
    }
    uint32_t only = call_tenant(&c->call);
    *ret_nothing |= only && c->filter.tenant_no && only != c->filter.tenant_no;
    if (only)
        c->filter.tenant_no = only;
    if (str_given(c->recipient)) {
        enum channel channel = c->filter.channel ? (enum channel)c->filter.channel : CHANNEL_EMAIL;
        c->filter.by_recipient = true;
        c->filter.recipient_hash = name_recipient(op, tx, channel, c->recipient);
    }
    return OK;
}

static enum err message_list_read(struct post *post)
{
    struct message_call *c = (struct message_call *)post;
    struct list_state state = { .c = c };
    struct message_row last = { 0 };
    bool nothing, more = false;
    TRY(list_places(&post->op, post->tx, c, &nothing));
    list_begin(&c->call.json);
    if (!nothing)
        TRY(store_message_list(&post->op, post->tx, &c->filter, c->limit, list_row, &state, &more, &last));
    return list_end(&post->op, &c->call.json, more, CURSOR_MESSAGES, last.created_at_ms, last.id);
}

static enum err list_statuses(struct op *op, struct str words, uint32_t *ret_statuses)
{
    uint32_t statuses = 0;
    while (str_given(words)) {
        enum status status;
        struct str word = str_cut(&words, ',');
        if (!status_of(word, &status))
            return fail_at(op, ERR_INVALID, "/status", "there is no status '%.*s'", STR(word));
        statuses |= 1u << status;
    }
    *ret_statuses = statuses;
    return OK;
}

static enum err list_query(struct message_call *c)
{
    struct op *op = &c->call.post.op;
    struct http_request *request = c->call.request;
    enum channel channel;
    struct str word = http_query(request, S("channel"));
    if (str_given(word) && !channel_of(word, &channel))
        return fail_at(op, ERR_INVALID, "/channel", "channel is none of email, sms, letter");
    if (str_given(word))
        c->filter.channel = (uint8_t)channel;
    TRY(list_statuses(op, http_query(request, S("status")), &c->filter.statuses));
    c->tenant = http_query(request, S("tenant"));
    c->mailing = http_query(request, S("mailing"));
    c->recipient = http_query(request, S("recipient"));
    return OK;
}

void message_list(struct http_request *request)
{
    static const struct hop route[] = { { message_list_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct message_call *c = call_new(request, sizeof *c);
    struct str after;
    if (!c || !call_page(&c->call, &c->limit, &after))
        return;
    enum err err = list_query(c);
    if (err != OK) {
        call_end(&c->call, err);
        return;
    }
    c->filter.after = str_given(after);
    c->foreign_cursor =
        !cursor_read(&c->call.post.op, after, CURSOR_MESSAGES, &c->filter.after_created_at_ms, &c->filter.after_id);
    call_send(&c->call, route);
}
