/*
 * fuzz_http.c - a stream of requests gives the same events however it is cut into packets, every head
 * that is accepted can be read in one way only, and every path is found, not found or refused.
 *
 * The first byte of an input seeds the cuts, the rest are the bytes of the connection.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/random.h"
#include "fuzz.h"
#include "base/form.h"
#include "net/http_auth.h"
#include "net/http_parse.h"
#include "net/http_route.h"

#define EVENTS_BYTES_MAX (4 * 1024 * 1024)

static void handle(struct http_request *request)
{
    (void)request;
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/v1/mailings/{id}", .handle = handle },
    { .method = "PUT", .pattern = "/v1/mailings/{id}", .handle = handle },
    { .method = "GET", .pattern = "/v1/mailings/{id}/stats", .handle = handle },
    { .method = "POST", .pattern = "/v1/mailings/all", .handle = handle },
    { .method = "GET", .pattern = "/ui/{path*}", .handle = handle },
    { .method = "GET", .pattern = "/", .handle = handle },
};

static void check_line(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        assert(s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0');
}

static bool lies_in(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_route(struct op *op, const struct http_head *head)
{
    static struct http_router *router;
    if (!router)
        router = http_router_new(routes, sizeof routes / sizeof *routes);
    struct http_match match;
    enum err err = http_router_match(op, router, head->method, head->path, &match);
    if (err != OK)
        assert(err == ERR_NOT_FOUND || err == ERR_MALFORMED);
    else if (match.route)
        for (int i = 0; i < match.param_count; i++)
            assert(str_given(match.params[i]));
    else
        assert(http_router_allow(op, router, head->path).n);
}

/* The status a head is refused with, 0 when it is taken. */
static int check_head(struct op *op, struct str text)
{
    struct http_head head;
    struct http_refusal refusal = http_head_read(text, &head);
    if (refusal.status) {
        assert(refusal.status >= 400 && refusal.status <= 505 && refusal.detail);
        return refusal.status;
    }
    check_line(head.method);
    check_line(head.target);
    assert(lies_in(head.method, text) && lies_in(head.target, text) && lies_in(head.query, head.target));
    assert(lies_in(head.path, head.target) || str_eq(head.path, S("/")));
    int hosts = 0;
    for (int i = 0; i < head.line_count; i++) {
        struct str name = { head.text.p + head.lines[i].name_at, head.lines[i].name_bytes };
        struct str value = { head.text.p + head.lines[i].value_at, head.lines[i].value_bytes };
        check_line(name);
        check_line(value);
        assert(lies_in(name, text) && lies_in(value, text));
        assert(name.n && str_given(http_head_find(&head, name)));
        hosts += str_eq_nocase(name, S("Host"));
    }
    assert(hosts == 1 || (hosts == 0 && head.minor == 0));

    struct form_field field;
    struct str query = head.query, user, password;
    while (form_next(op->arena, &query, &field))
        ;
    http_auth_bearer(http_head_find(&head, S("Authorization")));
    http_auth_basic(op->arena, http_head_find(&head, S("Authorization")), &user, &password);
    check_route(op, &head);
    return 0;
}

/* Writes down what the parser tells; packets of 1 to `most` bytes. */
static void collect(struct buf *events, struct op *op, struct str bytes, struct rng *rng, size_t most)
{
    struct http_parser parser;
    http_parser_init(&parser);
    enum http_event event = HTTP_EVENT_MORE;
    while (bytes.n && event != HTTP_EVENT_BAD) {
        size_t n = 1 + (size_t)rng_below(rng, most);
        n = n < bytes.n ? n : bytes.n;
        /* A copy of its own, so that reading past the packet is seen. */
        char *copy = malloc(n);
        assert(copy);
        memcpy(copy, bytes.p, n);
        struct str packet = { copy, n }, piece = { NULL, 0 };
        while ((event = http_parser_next(&parser, &packet, &piece)) != HTTP_EVENT_MORE && event != HTTP_EVENT_BAD) {
            if (event == HTTP_EVENT_HEAD)
                buf_add_fmt(events, "\nhead %zu %d %d %d %llu %d:", piece.n, check_head(op, piece), parser.has_body,
                            parser.keep_alive, (unsigned long long)parser.content_length, parser.chunked);
            assert(event != HTTP_EVENT_BODY || piece.n);
            buf_add_str(events, event == HTTP_EVENT_END ? S("\nend") : piece);
        }
        free(copy);
        bytes.p += n;
        bytes.n -= n;
    }
    if (event == HTTP_EVENT_BAD)
        buf_add_fmt(events, "\nbad %d", parser.refusal.status);
    http_parser_done(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    struct str stream = { (const char *)data + 1, bytes - 1 };
    struct arena *arena = arena_new(64 * 1024 * 1024);
    struct op op;
    op_init(&op, arena, 0);
    struct rng rng;
    rng_init(&rng, data[0]);
    struct buf whole, cut;
    buf_init(&whole, EVENTS_BYTES_MAX);
    buf_init(&cut, EVENTS_BYTES_MAX);
    collect(&whole, &op, stream, &rng, SIZE_MAX / 2);
    collect(&cut, &op, stream, &rng, 1 + data[0] % 64);
    assert(whole.full || cut.full || str_eq(buf_str(&whole), buf_str(&cut)));
    buf_done(&whole);
    buf_done(&cut);
    arena_free(arena);
    return 0;
}
