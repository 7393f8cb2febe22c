#include "net/http_route.h"
#include "test.h"

static void handle(struct http_request *request)
{
    (void)request;
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/v1/mailings", .handle = handle },
    { .method = "GET", .pattern = "/v1/mailings/{id}", .handle = handle },
    { .method = "PUT", .pattern = "/v1/mailings/{id}", .handle = handle },
    { .method = "GET", .pattern = "/v1/mailings/{id}/stats", .handle = handle },
    { .method = "POST", .pattern = "/v1/mailings/rebuild", .handle = handle },
    { .method = "GET", .pattern = "/v1/{kind}/all", .handle = handle },
    { .method = "GET", .pattern = "/ui/{path*}", .handle = handle },
    { .method = "GET", .pattern = "/", .handle = handle },
};

static struct op op;
static struct arena *arena;
static struct http_router *router;

static void begin(void)
{
    if (!arena)
        arena = arena_new(65536);
    if (!router)
        router = http_router_new(routes, sizeof routes / sizeof *routes);
    arena_reset(arena);
    op_init(&op, arena, 0);
}

/* The pattern that method and path lead to, with the first param: "/v1/mailings/{id} 7". */
static struct str lookup(const char *method, const char *path)
{
    begin();
    struct http_match match;
    enum err err = http_router_match(&op, router, str_of(method), str_of(path), &match);
    if (err != OK)
        return str_of(err_name(err));
    if (!match.route)
        return S("method");
    return arena_fmt(arena, "%s %.*s", match.route->pattern, match.param_count ? (int)match.params[0].n : 0,
                     match.param_count ? match.params[0].p : "");
}

TEST(http_route, finds_literals_and_params)
{
    STR_EQ(lookup("GET", "/"), "/ ");
    STR_EQ(lookup("GET", "/v1/mailings"), "/v1/mailings ");
    STR_EQ(lookup("GET", "/v1/mailings/7"), "/v1/mailings/{id} 7");
    STR_EQ(lookup("PUT", "/v1/mailings/7"), "/v1/mailings/{id} 7");
    STR_EQ(lookup("GET", "/v1/mailings/7/stats"), "/v1/mailings/{id}/stats 7");
    STR_EQ(lookup("HEAD", "/v1/mailings/7/stats"), "/v1/mailings/{id}/stats 7");
}

TEST(http_route, prefers_a_literal_but_finds_the_way_back)
{
    STR_EQ(lookup("POST", "/v1/mailings/rebuild"), "/v1/mailings/rebuild ");
    STR_EQ(lookup("GET", "/v1/mailings/rebuild"), "/v1/mailings/{id} rebuild");
    STR_EQ(lookup("GET", "/v1/mailings/rebuild/stats"), "/v1/mailings/{id}/stats rebuild");
    STR_EQ(lookup("GET", "/v1/mailings/all"), "/v1/mailings/{id} all");
    STR_EQ(lookup("GET", "/v1/sources/all"), "/v1/{kind}/all sources");
}

TEST(http_route, decodes_ids_after_cutting_the_path)
{
    STR_EQ(lookup("GET", "/v1/mailings/a%2Fb%3F%20c"), "/v1/mailings/{id} a/b? c");
    STR_EQ(lookup("GET", "/v1/%6dailings/7"), "/v1/mailings/{id} 7");
    STR_EQ(lookup("GET", "/v1/mailings/a+b"), "/v1/mailings/{id} a+b");
    STR_EQ(lookup("GET", "/v1/mailings/%"), "malformed");
    STR_EQ(lookup("GET", "/v1/mailings/%4"), "malformed");
}

TEST(http_route, takes_the_rest_of_a_path)
{
    STR_EQ(lookup("GET", "/ui/"), "/ui/{path*} ");
    STR_EQ(lookup("GET", "/ui/a/b%20c.js"), "/ui/{path*} a/b c.js");
    STR_EQ(lookup("GET", "/ui"), "not_found");
}

TEST(http_route, refuses_empty_segments_and_other_paths)
{
    STR_EQ(lookup("GET", "/v1/mailings/"), "not_found");
    STR_EQ(lookup("GET", "/v1/mailings//stats"), "not_found");
    STR_EQ(lookup("GET", "//v1/mailings"), "not_found");
    STR_EQ(lookup("GET", "/v1"), "not_found");
    STR_EQ(lookup("GET", "*"), "not_found");
    STR_EQ(lookup("GET", ""), "not_found");
    char deep[401];
    memset(deep, '/', 400);
    deep[400] = '\0';
    STR_EQ(lookup("GET", deep), "not_found");
}

TEST(http_route, names_the_methods_a_path_does_answer)
{
    STR_EQ(lookup("DELETE", "/v1/mailings/7"), "method");
    STR_EQ(http_router_allow(&op, router, S("/v1/mailings/7")), "GET, HEAD, PUT");
    STR_EQ(lookup("DELETE", "/v1/mailings/rebuild"), "method");
    STR_EQ(http_router_allow(&op, router, S("/v1/mailings/rebuild")), "POST");
}
