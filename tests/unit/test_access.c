#include "base/crypto.h"
#include "serve/access.h"
#include "serve/api.h"
#include "store/store_tenant.h"
#include "store_test.h"

/* One request against one table of tokens, without a socket. */
struct door {
    struct api api;
    struct http_route route;
    struct http_request request;
    char head[1024];
};

static void door_init(struct door *door, int scope, bool dev)
{
    memset(door, 0, sizeof *door);
    door->api.config.tokens = tokens_new();
    door->api.config.dev = dev;
    door->route = (struct http_route){ .method = "GET", .pattern = "/x", .scope = scope };
    op_init(&door->request.op, arena_new(1 << 20), 0);
    door->request.server_data = &door->api;
    door->request.route = &door->route;
    struct op op;
    addr_parse(&op, S("127.0.0.1:5000"), &door->request.peer);
}

static void door_done(struct door *door)
{
    tokens_free(door->api.config.tokens);
    arena_free(door->request.op.arena);
}

/* Adds a token and returns its text, in the request's arena. */
static const char *door_token(struct door *door, unsigned scopes, const char *tenant)
{
    struct token token = { .id = S("tok-1"), .name = S("n"), .scopes = scopes, .tenant = str_of(tenant) };
    char *text = arena_alloc(door->request.op.arena, TOKEN_TEXT_BYTES);
    token_make(text, token.sha256);
    tokens_add(door->api.config.tokens, &token, tenant ? 7 : 0);
    return text;
}

/* Asks with these header lines (each ends in CRLF); %s is the token. */
static enum err door_ask(struct door *door, const char *format, const char *token)
{
    char lines[768];
    snprintf(lines, sizeof lines, format, token);
    int n = snprintf(door->head, sizeof door->head, "GET /x HTTP/1.1\r\n%s\r\n", lines);
    struct http_request *request = &door->request;
    request->caller = NULL;
    EQ(http_head_read((struct str){ door->head, (size_t)n }, &request->head).status, 0);
    buf_init_arena(&request->reply_headers, request->op.arena, 1024);
    return access_admit(request);
}

#define LOCAL  "Host: localhost:7420\r\n"
#define BEARER LOCAL "Authorization: Bearer %s\r\n"

TEST(access, of_a_public_route_needs_nothing)
{
    struct door door;
    door_init(&door, ACCESS_PUBLIC, false);
    EQ(door_ask(&door, LOCAL, ""), OK);
    YES(access_caller(&door.request) == NULL);
    door_done(&door);
}

TEST(access, without_a_token_names_the_command_that_makes_one)
{
    struct door door;
    door_init(&door, ACCESS_READ, false);
    EQ(door_ask(&door, LOCAL, ""), ERR_UNAUTHORIZED);
    YES(strstr(door.request.op.error, "posthouse token create NAME --scope read,write,admin --data DIR"));

    door_token(&door, TOKEN_READ, NULL);
    EQ(door_ask(&door, LOCAL, ""), ERR_UNAUTHORIZED);
    YES(strstr(door.request.op.error, "posthouse token create NAME --scope read,write"));
    NO(strstr(door.request.op.error, "--data"));
    door_done(&door);
}

TEST(access, is_for_the_scope_of_the_token_only)
{
    struct door door;
    door_init(&door, ACCESS_WRITE, false);
    const char *read = door_token(&door, TOKEN_READ, NULL), *write = door_token(&door, TOKEN_WRITE, NULL);
    EQ(door_ask(&door, BEARER, read), ERR_FORBIDDEN);
    STR_EQ(str_of(door.request.op.error), "this token lacks the scope write");
    EQ(door_ask(&door, BEARER, write), OK);
    STR_EQ(access_caller(&door.request)->id, "tok-1");
    door_done(&door);
}

TEST(access, with_scope_admin_includes_the_others)
{
    struct door door;
    door_init(&door, ACCESS_WRITE, false);
    EQ(door_ask(&door, BEARER, door_token(&door, TOKEN_ADMIN, NULL)), OK);
    door_done(&door);
}

TEST(access, ends_when_the_token_is_revoked)
{
    struct door door;
    door_init(&door, ACCESS_READ, false);
    const char *token = door_token(&door, TOKEN_READ, NULL);
    EQ(door_ask(&door, BEARER, token), OK);
    tokens_remove(door.api.config.tokens, S("tok-1"));
    EQ(door_ask(&door, BEARER, token), ERR_UNAUTHORIZED);
    EQ(tokens_count(door.api.config.tokens), 0);
    door_done(&door);
}

TEST(access, of_a_token_bound_to_a_tenant_is_not_to_the_whole)
{
    struct door door;
    door_init(&door, ACCESS_READ, false);
    const char *token = door_token(&door, TOKEN_READ, "t-1");
    EQ(door_ask(&door, BEARER, token), OK);
    STR_EQ(access_caller(&door.request)->tenant, "t-1");
    EQ(access_caller(&door.request)->tenant_no, 7);
    door.route.scope = ACCESS_READ | ACCESS_WHOLE;
    EQ(door_ask(&door, BEARER, token), ERR_FORBIDDEN);
    door_done(&door);
}

TEST(access, of_a_bound_token_learns_the_number_of_a_new_tenant)
{
    struct door door;
    door_init(&door, ACCESS_READ, false);
    const char *token = door_token(&door, TOKEN_READ, "t-1");
    tokens_learn_tenant(door.api.config.tokens, S("t-2"), 8);
    tokens_learn_tenant(door.api.config.tokens, S("t-1"), 9);
    EQ(door_ask(&door, BEARER, token), OK);
    EQ(access_caller(&door.request)->tenant_no, 9);
    door_done(&door);
}

TEST(access, takes_a_token_as_password_for_pages_only)
{
    struct door door;
    door_init(&door, ACCESS_READ, false);
    struct token token = { .id = S("tok-1"), .scopes = TOKEN_READ };
    struct str text = S("secret");
    crypto_sha256(&text, 1, token.sha256);
    tokens_add(door.api.config.tokens, &token, 0);
    const char *basic = LOCAL "Authorization: Basic bWU6c2VjcmV0\r\n"; /* me:secret */
    EQ(door_ask(&door, basic, ""), ERR_UNAUTHORIZED);
    door.route.scope = ACCESS_READ | ACCESS_PAGE;
    EQ(door_ask(&door, basic, ""), OK);
    door_done(&door);
}

TEST(access, in_dev_mode_needs_no_token_from_this_machine)
{
    struct door door;
    door_init(&door, ACCESS_ADMIN, true);
    EQ(door_ask(&door, LOCAL, ""), OK);
    STR_EQ(access_caller(&door.request)->id, "dev");
    EQ(door_ask(&door, "Host: 127.0.0.1\r\n", ""), OK);
    EQ(door_ask(&door, "Host: [::1]:80\r\n", ""), OK);
    addr_parse(&door.request.op, S("192.0.2.1:5000"), &door.request.peer);
    EQ(door_ask(&door, LOCAL, ""), ERR_UNAUTHORIZED);
    door_done(&door);
}

TEST(access, in_dev_mode_still_refuses_a_wrong_token)
{
    struct door door;
    door_init(&door, ACCESS_READ, true);
    EQ(door_ask(&door, BEARER, "ph_wrong"), ERR_UNAUTHORIZED);
    door_done(&door);
}

TEST(access, in_dev_mode_is_closed_to_web_pages_of_others)
{
    struct door door;
    door_init(&door, ACCESS_WRITE, true);
    EQ(door_ask(&door, "Host: evil.example:7420\r\n", ""), ERR_UNAUTHORIZED);
    EQ(door_ask(&door, LOCAL "Origin: https://evil.example\r\n", ""), ERR_UNAUTHORIZED);
    EQ(door_ask(&door, LOCAL "Origin: null\r\n", ""), ERR_UNAUTHORIZED);
    EQ(door_ask(&door, LOCAL "Origin: http://localhost:7420\r\n", ""), OK);
    door_done(&door);
}

TEST(access, tokens_are_long_and_differ)
{
    char one[TOKEN_TEXT_BYTES], other[TOKEN_TEXT_BYTES];
    uint8_t hash[32], expected[32];
    token_make(one, hash);
    token_make(other, expected);
    EQ(strlen(one), 46);
    YES(strcmp(one, other) != 0);
    struct str text = str_of(one);
    crypto_sha256(&text, 1, expected);
    YES(memcmp(hash, expected, sizeof hash) == 0);
}

TEST(access, scopes_are_words_separated_by_commas)
{
    unsigned scopes = 0;
    YES(token_scopes_parse(S("write, read"), &scopes));
    EQ(scopes, TOKEN_READ | TOKEN_WRITE);
    NO(token_scopes_parse(S("read,wirte"), &scopes));
    NO(token_scopes_parse(S(""), &scopes));
    NO(token_scopes_parse((struct str){ 0 }, &scopes));
    EQ(scopes, TOKEN_READ | TOKEN_WRITE);
    struct str words[4];
    EQ(token_scopes_words(TOKEN_ADMIN | TOKEN_READ, words), 2);
    STR_EQ(words[0], "read");
    STR_EQ(words[1], "admin");
}

/* ------------------------------------------------------------------------------------------------- several nodes */

static struct fixture rows;

struct made {
    const char *id, *tenant;
    uint8_t sha256[32];
};

static enum err make_run(struct op *op, struct tx *tx, void *arg)
{
    struct made *made = arg;
    struct token token = {
        .id = str_of(made->id), .name = S("n"), .scopes = TOKEN_READ, .tenant = str_of(made->tenant)
    };
    memcpy(token.sha256, made->sha256, sizeof token.sha256);
    return store_token_add(op, tx, &token);
}

/* A token in the rows, made at another node; its text. */
static const char *made_elsewhere(const char *id, const char *tenant)
{
    struct made made = { .id = id, .tenant = tenant };
    char *text = arena_alloc(rows.arena, TOKEN_TEXT_BYTES);
    token_make(text, made.sha256);
    WRITES(&rows, make_run, &made);
    return text;
}

static enum err revoke_run(struct op *op, struct tx *tx, void *arg)
{
    const char *id = arg;
    return store_token_revoke(op, tx, str_of(id));
}

static enum err tenant_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant = { .id = S("t-1"), .timezone = S("UTC"), .retention = S("{}") };
    return store_tenant_put(op, tx, &tenant);
}

struct look {
    struct tokens *tokens;
    uint64_t changes;
};

static enum err look_run(struct op *op, struct tx *tx, void *arg)
{
    struct look *look = arg;
    return tokens_refresh(op, tx, look->tokens, look->changes);
}

static void looks(struct door *door)
{
    struct look look = { door->api.config.tokens, tokens_changes(door->api.config.tokens) };
    READS(&rows, look_run, &look);
}

TEST(access, of_what_another_node_made_or_revoked_is_known_after_a_look)
{
    struct door door;
    fixture_start(&rows);
    door_init(&door, ACCESS_READ, false);
    const char *one = made_elsewhere("tok-1", NULL), *two = made_elsewhere("tok-2", NULL);
    EQ(door_ask(&door, BEARER, one), ERR_UNAUTHORIZED);
    looks(&door);
    EQ(door_ask(&door, BEARER, one), OK);
    EQ(door_ask(&door, BEARER, two), OK);
    char id[] = "tok-1";
    WRITES(&rows, revoke_run, id);
    looks(&door);
    EQ(door_ask(&door, BEARER, one), ERR_UNAUTHORIZED);
    EQ(door_ask(&door, BEARER, two), OK);
    EQ(tokens_count(door.api.config.tokens), 1);
    door_done(&door);
    fixture_end(&rows);
}

TEST(access, of_a_bound_token_learns_of_a_tenant_that_another_node_made)
{
    struct door door;
    fixture_start(&rows);
    door_init(&door, ACCESS_READ, false);
    const char *token = made_elsewhere("tok-1", "t-1");
    looks(&door);
    EQ(door_ask(&door, BEARER, token), OK);
    EQ(access_caller(&door.request)->tenant_no, 0);
    WRITES(&rows, tenant_run, NULL);
    looks(&door);
    EQ(door_ask(&door, BEARER, token), OK);
    NE(access_caller(&door.request)->tenant_no, 0);
    door_done(&door);
    fixture_end(&rows);
}

TEST(access, of_a_token_made_here_does_not_end_by_a_look_that_began_before)
{
    struct door door;
    fixture_start(&rows);
    door_init(&door, ACCESS_READ, false);
    made_elsewhere("tok-9", NULL);
    struct look look = { door.api.config.tokens, tokens_changes(door.api.config.tokens) };
    const char *token = door_token(&door, TOKEN_READ, NULL); /* durable, but not in that look's snapshot */
    READS(&rows, look_run, &look);
    EQ(door_ask(&door, BEARER, token), OK);
    door_done(&door);
    fixture_end(&rows);
}
