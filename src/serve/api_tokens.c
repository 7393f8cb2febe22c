/*
 * api_tokens.c - making, listing and revoking tokens through the daemon.
 */
#include "base/id.h"
#include "base/instant.h"
#include "base/random.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_ops.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "store/store_audit.h"

#define QUEUES_MAX 100

struct token_body {
    struct str name;
    struct json_strs scopes;
    struct str tenant;
    struct json_strs queues;
};

static const struct json_field token_fields[] = {
    { "name", JSON_FIELD_STR, offsetof(struct token_body, name), TOKEN_NAME_BYTES_MAX, JSON_REQUIRED, 1, 0 },
    { "scopes", JSON_FIELD_STRS, offsetof(struct token_body, scopes), 16, JSON_REQUIRED, 1, 4 },
    { "tenant", JSON_FIELD_STR, offsetof(struct token_body, tenant), 128, JSON_NULLABLE, 1, 0 },
    { "queues", JSON_FIELD_STRS, offsetof(struct token_body, queues), 128, JSON_NULLABLE, 1, QUEUES_MAX },
};

struct token_call {
    struct call call;
    struct token_body body;
    struct token token;
    uint32_t tenant_no;
    char id[ID_TEXT_BYTES];
    char text[TOKEN_TEXT_BYTES];
};

static struct str join(struct op *op, const struct json_strs *texts)
{
    struct str joined = { 0 };
    for (size_t i = 0; i < texts->count; i++)
        joined = i == 0 ? texts->items[i] : arena_fmt(op->arena, "%.*s,%.*s", STR(joined), STR(texts->items[i]));
    return joined;
}

static void write_texts(struct json_writer *w, const char *name, struct str joined)
{
    json_put_name(w, name);
    if (!str_given(joined)) {
        json_put_null(w);
        return;
    }
    json_array_begin(w);
    while (str_given(joined))
        json_put_str(w, str_cut(&joined, ','));
    json_array_end(w);
}

static void write_instant(struct json_writer *w, const char *name, int64_t at_ms)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, at_ms ? instant_text(at_ms * 1000, 3, text) : (struct str){ 0 });
}

/* Members of a token as lists show them: never its text, never its hash. */
static void write_token(struct json_writer *w, const struct token *token)
{
    struct str words[4];
    size_t count = token_scopes_words(token->scopes, words);
    json_member_str(w, "id", token->id);
    json_member_str(w, "name", token->name);
    json_put_name(w, "scopes");
    json_array_begin(w);
    for (size_t i = 0; i < count; i++)
        json_put_str(w, words[i]);
    json_array_end(w);
    json_member_str(w, "tenant", token->tenant);
    write_texts(w, "queues", token->queues);
    write_instant(w, "created_at", token->created_at_ms);
    write_instant(w, "revoked_at", token->revoked_at_ms);
}

/* --- POST /v1/tokens ------------------------------------------------------ */

static bool body_is_good(struct token_call *c)
{
    struct op *op = &c->call.post.op;
    unsigned scopes = 0;
    if (!token_scopes_parse(join(op, &c->body.scopes), &scopes))
        json_problem(op, &c->call.problems, "/scopes", "scopes are read, write, work and admin");
    for (size_t i = 0; i < c->body.queues.count; i++)
        if (str_find(c->body.queues.items[i], ',') < c->body.queues.items[i].n)
            json_problem(op, &c->call.problems, "/queues", "a queue's name holds no comma");
    struct str queues = join(op, &c->body.queues);
    if (queues.n > TOKEN_QUEUES_BYTES_MAX)
        json_problem(op, &c->call.problems, "/queues", "at most %d bytes in all", TOKEN_QUEUES_BYTES_MAX);
    const struct api *api = c->call.api;
    if (c->call.problems.count) {
        call_end(&c->call, ERR_INVALID);
        return false;
    }
    if (tokens_count(api->config.tokens) >= TOKENS_MAX) {
        call_end(&c->call, fail(op, ERR_CONFLICT, "there are %d tokens already; revoke one first", TOKENS_MAX));
        return false;
    }
    c->token = (struct token){ .name = c->body.name, .scopes = scopes, .tenant = c->body.tenant, .queues = queues };
    return true;
}

static enum err token_create_commit(struct post *post)
{
    struct token_call *c = (struct token_call *)post;
    TRY(store_token_add(&post->op, post->tx, &c->token));
    TRY(token_tenant_no(&post->op, post->tx, &c->token, &c->tenant_no));
    return store_audit_add(&post->op, post->tx, call_who(&c->call), S("token.create"), c->token.id, c->token.name);
}

static enum err token_create_reply(struct post *post)
{
    struct token_call *c = (struct token_call *)post;
    if (post->err == OK) {
        struct json_writer *w = &c->call.json;
        tokens_add(c->call.api->config.tokens, &c->token, c->tenant_no);
        json_object_begin(w);
        write_token(w, &c->token);
        json_member_str(w, "token", str_of(c->text));
        json_object_end(w);
        c->call.status = 201;
        http_reply_header(c->call.request, S("Cache-Control"), S("no-store"));
    }
    return call_reply(post);
}

void token_create(struct http_request *request)
{
    static const struct hop route[] = { { token_create_commit, THREAD_WRITER },
                                        { token_create_reply, THREAD_CALLER },
                                        { 0 } };
    struct token_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, token_fields, sizeof token_fields / sizeof *token_fields, &c->body, NULL) ||
        !body_is_good(c))
        return;
    c->call.shown_once = true;
    token_make(c->text, c->token.sha256);
    c->token.id = id_make(op_now_ms(&request->op), random_u64(), c->id);
    call_send(&c->call, route);
}

/* --- GET /v1/tokens ------------------------------------------------------- */

struct token_page {
    struct call call;
    int limit;
    struct str after;
};

static enum err token_list_read(struct post *post)
{
    struct token_page *c = (struct token_page *)post;
    struct json_writer *w = &c->call.json;
    int64_t after = 0;
    bool more = cursor_read(&post->op, c->after, CURSOR_TOKENS, &after, NULL);
    int written = 0;
    list_begin(w);
    while (more && written < c->limit) {
        struct token *tokens;
        int count, want = c->limit - written < TOKEN_LIST_MAX ? c->limit - written : TOKEN_LIST_MAX;
        TRY(store_token_list(&post->op, post->tx, (uint64_t)after, want, &tokens, &count));
        for (int i = 0; i < count; i++) {
            json_object_begin(w);
            write_token(w, &tokens[i]);
            json_object_end(w);
            after = (int64_t)tokens[i].no;
        }
        written += count;
        more = count == want;
    }
    return list_end(&post->op, w, more, CURSOR_TOKENS, after, (struct str){ 0 });
}

void token_list(struct http_request *request)
{
    static const struct hop route[] = { { token_list_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct token_page *c = call_new(request, sizeof *c);
    if (c && call_page(&c->call, &c->limit, &c->after))
        call_send(&c->call, route);
}

/* --- DELETE /v1/tokens/{id} ----------------------------------------------- */

static enum err token_revoke_commit(struct post *post)
{
    struct call *call = call_of(post);
    TRY(store_token_revoke(&post->op, post->tx, call_param(call, 0)));
    return call_note(post, "token.revoke", (struct str){ 0 });
}

static enum err token_revoke_reply(struct post *post)
{
    struct call *call = call_of(post);
    call->status = 204;
    if (post->err == OK)
        tokens_remove(call->api->config.tokens, call_param(call, 0));
    return call_reply(post);
}

void token_revoke(struct http_request *request)
{
    static const struct hop route[] = { { token_revoke_commit, THREAD_WRITER },
                                        { token_revoke_reply, THREAD_CALLER },
                                        { 0 } };
    call_run(request, route);
}
