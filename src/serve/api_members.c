/*
 * api_members.c - members and suppressions.
 */

#include "engine/names.h"
#include "engine/suppress.h"
#include "serve/api_ledger.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/render.h"
#include "store/block.h"
#include "store/store_member.h"
#include "store/store_message.h"
#include "store/store_tenant.h"

#define TRACKED_MIN 5 /* below it a rate says nothing (LED-17) */

struct address_call {
    struct call call;
    struct str tenant, address;
    enum suppression_reason reason;
    int limit;
    struct str after;
};

/* The tenant asked for or bound to; 0 = none named. An unknown one is ERR_NOT_FOUND. */
static enum err asked_tenant(struct op *op, struct call *call, struct str id, uint32_t *ret_no)
{
    *ret_no = call_tenant(call);
    if (!str_given(id))
        return OK;
    struct tenant tenant;
    TRY(store_tenant_get(op, call->post.tx, id, &tenant));
    TRY(call_may_see(op, call, tenant.no));
    *ret_no = tenant.no;
    return OK;
}

static enum err find_member(struct op *op, struct address_call *c, struct member *ret)
{
    struct tx *tx = c->call.post.tx;
    struct str id = call_param(&c->call, 0);
    uint32_t tenant_no, tenants[2];
    int count;
    TRY(asked_tenant(op, &c->call, c->tenant, &tenant_no));
    if (tenant_no == 0) {
        TRY(store_member_tenants(op, tx, id, tenants, &count));
        if (count == 2)
            return fail_at(op, ERR_INVALID, "/tenant", "several tenants have a member of this name: add ?tenant=");
        tenant_no = count ? tenants[0] : 0;
    }
    return store_member_get(op, tx, tenant_no, id, ret);
}

struct reasons {
    bool seen[SUPPRESS_UNSUBSCRIBE + 1];
};

static enum err note_reason(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    (void)op;
    (void)tx;
    ((struct reasons *)arg)->seen[row->reason] = true;
    return OK;
}

static enum err render_reasons(struct op *op, struct call *call, const struct member *member)
{
    const int64_t *hashes;
    size_t count;
    bool more;
    struct reasons reasons = { 0 };
    TRY(store_member_addresses(op, call->post.tx, member, &hashes, &count));
    for (size_t i = 0; i < count; i++)
        TRY(store_suppression_list(op, call->post.tx, member->tenant_no, true, hashes[i], 0, 100, note_reason, &reasons,
                                   &more));
    json_put_name(&call->json, "suppressed");
    json_array_begin(&call->json);
    for (enum suppression_reason r = SUPPRESS_BOUNCE; r <= SUPPRESS_UNSUBSCRIBE; r++)
        if (reasons.seen[r])
            json_put_str(&call->json, str_of(suppression_reason_name(r)));
    json_array_end(&call->json);
    return OK;
}

static enum err member_get_read(struct post *post)
{
    struct address_call *c = (struct address_call *)post;
    struct json_writer *w = &c->call.json;
    struct member member;
    const struct member_state *state;
    TRY(find_member(&post->op, c, &member));
    TRY(store_block_get(&post->op, post->tx, BLOCK_MEMBER, member.no, &state));
    json_object_begin(w);
    json_member_str(w, "id", member.id);
    json_member_int(w, "messages", state->messages);
    json_member_int(w, "opened", state->opened);
    json_member_int(w, "tracked", state->tracked);
    render_rate(w, "open_rate", state->tracked_opened, state->tracked < TRACKED_MIN ? 0 : state->tracked);
    render_us(w, "last_seen_at", state->last_seen_us, 0);
    TRY(render_reasons(&post->op, &c->call, &member));
    json_object_end(w);
    return OK;
}

void member_get(struct http_request *request)
{
    static const struct hop route[] = { { member_get_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct address_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->tenant = http_query(request, S("tenant"));
    call_send(&c->call, route);
}

struct suppression_list_state {
    struct json_writer *w;
    uint64_t last;
};

static enum err render_suppression(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    struct suppression_list_state *state = arg;
    struct json_writer *w = state->w;
    struct tenant tenant;
    struct message_row message = { 0 };
    TRY(store_tenant_get_no(op, tx, row->tenant_no, &tenant));
    if (row->message_no) {
        enum err err = store_message_get(op, tx, row->message_no, &message);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    json_object_begin(w);
    json_member_str(w, "address", row->address);
    json_member_str(w, "tenant", tenant.id);
    json_member_str(w, "reason", str_of(suppression_reason_name((enum suppression_reason)row->reason)));
    json_member_str(w, "scope", row->scope);
    render_us(w, "since", row->since_us, 0);
    render_us(w, "last_at", row->last_at_us, 0);
    json_member_str(w, "message", message.id);
    json_member_str(w, "source", row->source);
    json_object_end(w);
    state->last = row->no;
    return OK;
}

static enum err suppression_list_read(struct post *post)
{
    struct address_call *c = (struct address_call *)post;
    struct suppression_list_state state = { .w = &c->call.json };
    uint32_t tenant_no;
    bool more = false, by_address = str_given(c->address);
    enum err err = asked_tenant(&post->op, &c->call, c->tenant, &tenant_no);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    int64_t hash = by_address ? name_recipient(&post->op, post->tx, CHANNEL_EMAIL, c->address) : 0;
    int64_t after = 0;
    bool known = cursor_read(&post->op, c->after, CURSOR_SUPPRESSIONS, &after, NULL) && after >= 0;
    list_begin(&c->call.json);
    if (err == OK && known)
        TRY(store_suppression_list(&post->op, post->tx, tenant_no, by_address, hash, (uint64_t)after, c->limit,
                                   render_suppression, &state, &more));
    return list_end(&post->op, &c->call.json, more, CURSOR_SUPPRESSIONS, (int64_t)state.last, S(""));
}

void suppression_list(struct http_request *request)
{
    static const struct hop route[] = { { suppression_list_read, THREAD_READER },
                                        { call_reply, THREAD_CALLER },
                                        { 0 } };
    struct address_call *c = call_new(request, sizeof *c);
    if (!c || !call_page(&c->call, &c->limit, &c->after))
        return;
    c->address = http_query(request, S("address"));
    c->tenant = http_query(request, S("tenant"));
    call_send(&c->call, route);
}

static enum err suppression_delete_commit(struct post *post)
{
    struct address_call *c = (struct address_call *)post;
    uint32_t tenant_no;
    TRY(asked_tenant(&post->op, &c->call, c->tenant, &tenant_no));
    TRY(suppress_release(&post->op, post->tx, tenant_no, call_param(&c->call, 0), c->reason));
    return call_note(post, "suppression.release", str_of(suppression_reason_name(c->reason)));
}

void suppression_delete(struct http_request *request)
{
    static const struct hop route[] = { { suppression_delete_commit, THREAD_WRITER },
                                        { call_reply, THREAD_CALLER },
                                        { 0 } };
    struct address_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    struct str reason = http_query(request, S("reason"));
    if (str_given(reason) && !suppression_reason_of(reason, &c->reason)) {
        call_end(&c->call,
                 fail_at(&c->call.post.op, ERR_INVALID, "/reason", "reason is bounce, complaint or unsubscribe"));
        return;
    }
    c->tenant = http_query(request, S("tenant"));
    c->call.status = 204;
    call_send(&c->call, route);
}
