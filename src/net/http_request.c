/*
 * http_request.c - from what the parser finds to a handler: route, admission, body.
 */
#include <assert.h>
#include <string.h>

#include "net/http_conn.h"
#include "net/http_reply.h"

#define BODY_IN_ARENA_MAX  16384 /* larger bodies get memory that can grow in place */
#define BODY_BYTES_AT_ONCE 65536 /* room made before the bytes have come */

void http_request_break(struct http_request *request, enum err err, const char *why)
{
    void (*take)(struct http_request *, struct str, enum http_body) = request->body_take;
    request->body_take = NULL;
    request->body_complete = true;
    request->keep_alive = false;
    request->body_err = fail(&request->op, err, "%s", why);
    if (take)
        take(request, (struct str){ NULL, 0 }, HTTP_BODY_BROKEN);
}

void http_conn_refuse(struct http_conn *conn, int status, const char *detail)
{
    conn->deaf = true;
    figure_add(&conn->desk->broken, 1);
    struct http_request *request = conn->request;
    if (!request)
        request = conn->request = http_request_take(conn->desk, conn);
    if (request->handed) {
        enum err err = status == 413 ? ERR_TOO_LARGE : status == 408 ? ERR_IO : ERR_MALFORMED;
        http_request_break(request, err, detail);
        return;
    }
    request->handed = true;
    request->keep_alive = false;
    http_problem(request, status, S(""), str_of(detail), NULL, 0);
}

static void request_dispatch(struct http_request *request)
{
    request->handed = true;
    request->route->handle(request);
}

/* "/blog/r/x" where the prefix is "/blog": the rest, when a prefixed route answers it. */
static enum err match_below_prefix(struct http_conn *conn, struct http_request *request, struct http_match *ret)
{
    struct str prefix = conn->desk->server->config.prefix, path = request->path;
    ret->route = NULL;
    if (!prefix.n || !str_starts(path, prefix) || path.n == prefix.n || path.p[prefix.n] != '/')
        return ERR_NOT_FOUND;
    struct op aside;
    op_init(&aside, request->op.arena, request->op.now_us);
    path = (struct str){ path.p + prefix.n, path.n - prefix.n };
    TRY(http_router_match(&aside, conn->desk->server->router, request->method, path, ret));
    return ret->route && ret->route->flags & HTTP_PREFIXED ? OK : ERR_NOT_FOUND;
}

/* OK without a route: the path exists, but not with this method. */
static enum err request_find_route(struct http_conn *conn, struct http_request *request)
{
    struct http_match match;
    enum err err = match_below_prefix(conn, request, &match);
    if (err != OK)
        TRY(http_router_match(&request->op, conn->desk->server->router, request->method, request->path, &match));
    request->route = match.route;
    if (!match.route)
        return OK;
    request->param_count = match.param_count;
    memcpy(request->params, match.params, sizeof match.params[0] * (size_t)match.param_count);
    return OK;
}

/* Only some routes are answered on every loop of a server; what has no route is the first desk's, too. */
static bool request_is_for_this_desk(const struct http_conn *conn, const struct http_request *request)
{
    return http_desk_is_first(conn->desk) || (request->route && request->route->flags & HTTP_ANY_LOOP);
}

/* What is known before the body, err being that of its route: true when the request may go on. */
static bool request_may_enter(struct http_conn *conn, struct http_request *request, enum err err)
{
    const struct http_server *server = conn->desk->server;
    request->handed = true; /* each of these answers by itself when it refuses */
    if (err == OK && !request->route) {
        http_reply_header(request, S("Allow"), http_router_allow(&request->op, server->router, request->path));
        http_problem(request, 405, S(""), S("this path does not answer to that method"), NULL, 0);
        return false;
    }
    if (err == OK && server->config.admit)
        err = server->config.admit(request);
    if (err != OK) {
        http_fail(request, err);
        return false;
    }
    if (conn->parser.content_length > (uint64_t)request->route->body_bytes_max) {
        figure_add(&conn->desk->broken, 1);
        http_fail(request, fail(&request->op, ERR_TOO_LARGE, "the body may hold at most %lld bytes here",
                                (long long)request->route->body_bytes_max));
        return false;
    }
    request->handed = false;
    return true;
}

static void request_prepare_body(struct http_conn *conn, struct http_request *request)
{
    uint64_t length = conn->parser.content_length;
    size_t max = (size_t)request->route->body_bytes_max;
    if (!conn->parser.chunked && length <= BODY_IN_ARENA_MAX) {
        buf_init_arena(&request->body_buffer, request->op.arena, (size_t)length);
        buf_reserve(&request->body_buffer, (size_t)length);
        return;
    }
    buf_init(&request->body_buffer, conn->parser.chunked ? max : (size_t)length);
    if (!conn->parser.chunked)
        buf_reserve(&request->body_buffer, length < BODY_BYTES_AT_ONCE ? (size_t)length : BODY_BYTES_AT_ONCE);
}

static void on_body_expected(struct http_conn *conn, struct http_request *request)
{
    if (request->head.expects_continue && request->head.minor == 1) {
        http_out_add(&conn->out, &conn->desk->pool, S("HTTP/1.1 100 Continue\r\n\r\n"));
        http_conn_flush_later(conn);
    }
    if (request->route->flags & HTTP_BODY_STREAM) {
        request_dispatch(request); /* it may have answered and be gone now */
        assert(conn->request != request || request->body_take || request->answered);
        return;
    }
    request_prepare_body(conn, request);
}

static void body_ends(struct http_request *request)
{
    void (*take)(struct http_request *, struct str, enum http_body) = request->body_take;
    request->body_take = NULL;
    if (take)
        take(request, (struct str){ NULL, 0 }, HTTP_BODY_END);
}

/* A streamed body of no bytes has an end, too. */
static void on_no_body(struct http_conn *conn, struct http_request *request)
{
    request_dispatch(request);
    if (conn->request == request)
        body_ends(request);
}

/* The head outlives its bytes: all that points into it is the request's. */
static struct http_refusal request_read_head(struct http_conn *conn, struct http_request *request, struct str head)
{
    char *copy = arena_alloc_raw(request->op.arena, head.n);
    assert(copy); /* an arena holds a head */
    memcpy(copy, head.p, head.n);
    http_parser_forget_head(&conn->parser);
    struct http_refusal refusal = http_head_read((struct str){ copy, head.n }, &request->head);
    if (refusal.status)
        return refusal;
    request->method = request->head.method;
    request->target = request->head.target;
    request->path = request->head.path;
    request->query = request->head.query;
    request->head_only = str_eq(request->method, S("HEAD"));
    request->keep_alive = conn->parser.keep_alive;
    request->body_complete = !conn->parser.has_body;
    return refusal;
}

static void on_head(struct http_conn *conn, struct str head)
{
    http_conn_wait(conn, HTTP_WAIT_HANDLER);
    conn->asked = true;
    struct http_request *request = conn->request = http_request_take(conn->desk, conn);
    struct http_refusal refusal = request_read_head(conn, request, head);
    enum err err = refusal.status ? OK : request_find_route(conn, request);
    if (!refusal.status && !request_is_for_this_desk(conn, request)) {
        conn->request = NULL;
        http_conn_leave(conn, request->head.text);
        http_request_give(request);
        return;
    }
    figure_add(&conn->desk->requests, 1);
    if (refusal.status)
        http_conn_refuse(conn, refusal.status, refusal.detail);
    else if (!request_may_enter(conn, request, err))
        return;
    else if (conn->parser.has_body)
        on_body_expected(conn, request);
    else
        on_no_body(conn, request);
}

static void on_body(struct http_conn *conn, struct str piece)
{
    struct http_request *request = conn->request;
    conn->progress += piece.n;
    if (conn->progress >= HTTP_PROGRESS_BYTES_MIN && conn->wait == HTTP_WAIT_BODY)
        http_conn_wait(conn, HTTP_WAIT_BODY);

    request->body_bytes += (int64_t)piece.n;
    if (request->body_bytes > request->route->body_bytes_max) {
        http_conn_refuse(conn, 413, "the body is larger than this path takes");
        return;
    }
    if (request->handed) {
        if (request->body_take)
            request->body_take(request, piece, HTTP_BODY_PIECE);
        return;
    }
    buf_add_str(&request->body_buffer, piece);
    if (request->body_buffer.full)
        http_conn_refuse(conn, 413, "the body does not fit the memory of a request");
}

static void on_body_end(struct http_conn *conn)
{
    struct http_request *request = conn->request;
    request->body_complete = true;
    if (!request->handed) {
        request->body = buf_str(&request->body_buffer);
        request_dispatch(request);
        return;
    }
    body_ends(request);
}

void http_conn_event(struct http_conn *conn, enum http_event event, struct str piece)
{
    switch (event) {
    case HTTP_EVENT_MORE:
        break;
    case HTTP_EVENT_HEAD:
        on_head(conn, piece);
        break;
    case HTTP_EVENT_BODY:
        on_body(conn, piece);
        break;
    case HTTP_EVENT_END:
        on_body_end(conn);
        break;
    case HTTP_EVENT_BAD:
        http_conn_refuse(conn, conn->parser.refusal.status, conn->parser.refusal.detail);
        break;
    }
}
