#include "net/http_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"

#define HELD_BYTES_MAX     131072 /* one read, with room to spare */
#define PIECES_MAX         16     /* of one write */
#define BODY_IN_ARENA_MAX  16384  /* larger bodies get memory that can grow in place */
#define BODY_BYTES_AT_ONCE 65536  /* room made before the bytes have come */
#define PROGRESS_BYTES_MIN 1024   /* of body or answer within its time; less is a client that stalls */
#define UNSENT_BYTES_MAX   65536  /* of answers the client does not read: its next request waits for it */

/* --- writing ------------------------------------------------------------ */

static void conn_rest(struct http_conn *conn);
static void conn_go_on(struct http_conn *conn);

static void conn_consume(struct http_conn *conn, size_t n)
{
    conn->sent += n;
    http_out_consume(&conn->out, &conn->server->pool, n);
}

/* Everything has left: shut our side when that was the plan. */
static void conn_all_sent(struct http_conn *conn)
{
    if (!conn->finish || conn->shut)
        return;
    conn->shut = true;
    if (conn->read_ended) {
        http_conn_close(conn);
        return;
    }
    listener_shut_side(&conn->tcp);
}

static void conn_written(struct http_conn *conn)
{
    struct http_request *request = conn->request;
    if (request && request->stream_full && conn->out.waiting <= HTTP_STREAM_BYTES_HIGH / 4) {
        request->stream_full = false;
        if (request->stream_ready)
            request->stream_ready(request);
    }
    if (!conn->closing && !conn->out.waiting)
        conn_all_sent(conn);
    conn_go_on(conn);
}

static void on_written(uv_write_t *write, int status)
{
    struct http_conn *conn = write->handle->data;
    size_t bytes = (size_t)(uintptr_t)write->data;
    free(write);
    conn->writing = NULL;
    if (conn->closing)
        return;
    if (status < 0) {
        http_conn_close(conn);
        return;
    }
    conn_consume(conn, bytes);
    if (conn->out.waiting)
        http_conn_flush_later(conn);
    conn_written(conn);
}

/* Leaves the rest to libuv, which writes whenever the socket takes more. */
static void conn_write_queue(struct http_conn *conn)
{
    uv_buf_t bufs[PIECES_MAX];
    unsigned count = http_out_gather(&conn->out, bufs, PIECES_MAX);
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++)
        bytes += bufs[i].len;
    uv_write_t *write = malloc(sizeof *write);
    if (!write)
        abort();
    write->data = (void *)(uintptr_t)bytes;
    if (uv_write(write, (uv_stream_t *)&conn->tcp, bufs, count, on_written) < 0) {
        free(write);
        http_conn_close(conn);
        return;
    }
    conn->writing = write;
}

static void conn_write(struct http_conn *conn)
{
    while (conn->out.waiting) {
        uv_buf_t bufs[PIECES_MAX];
        unsigned count = http_out_gather(&conn->out, bufs, PIECES_MAX);
        int n = uv_try_write((uv_stream_t *)&conn->tcp, bufs, count);
        if (n < 0 && n != UV_EAGAIN) {
            http_conn_close(conn);
            return;
        }
        size_t asked = 0;
        for (unsigned i = 0; i < count; i++)
            asked += bufs[i].len;
        if (n > 0)
            conn_consume(conn, (size_t)n);
        if (n < 0 || (size_t)n < asked) {
            conn_write_queue(conn);
            break;
        }
    }
}

static void on_flush(struct errand *errand)
{
    struct http_conn *conn = MAIL_OF(errand, struct http_conn, flush);
    conn->flush_due = false;
    if (conn->closed) {
        free(conn);
        return;
    }
    if (conn->closing || conn->writing)
        return;
    conn_write(conn);
    if (!conn->closing)
        conn_written(conn);
}

void http_conn_flush_later(struct http_conn *conn)
{
    if (conn->flush_due || conn->closing)
        return;
    conn->flush_due = true;
    loop_at_turn_end(conn->server->loop, &conn->flush);
}

/* --- the end ------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *conn = handle->data;
    http_out_clear(&conn->out, &conn->server->pool);
    http_parser_done(&conn->parser);
    buf_done(&conn->held);
    http_server_forget(conn);
    conn->closed = true;
    if (!conn->flush_due)
        free(conn);
}

/* No more of the body will come: the taker hears it once. */
static void body_breaks(struct http_request *request, enum err err, const char *why)
{
    void (*take)(struct http_request *, struct str, enum http_body) = request->body_take;
    request->body_take = NULL;
    request->body_complete = true;
    request->keep_alive = false;
    request->body_err = fail(&request->op, err, "%s", why);
    if (take)
        take(request, (struct str){ NULL, 0 }, HTTP_BODY_BROKEN);
}

void http_conn_close(struct http_conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    conn->reading = false;
    http_conn_wait(conn, HTTP_WAIT_HANDLER); /* nothing more to time */
    uv_close((uv_handle_t *)&conn->tcp, on_closed);

    struct http_request *request = conn->request;
    conn->request = NULL;
    if (!request)
        return;
    request->conn = NULL;
    if (!request->handed) {
        http_request_give(request);
        return;
    }
    if (request->streaming && request->stream_gone)
        request->stream_gone(request);
    else if (!request->body_complete && !request->answered)
        body_breaks(request, ERR_IO, "the client left before the body was complete");
    else if (request->left)
        request->left(request, true);
}

/* --- events of the parser ----------------------------------------------- */

/* Answers an error that this folder found; what else the client sends is thrown away. */
static void conn_refuse(struct http_conn *conn, int status, const char *detail)
{
    conn->deaf = true;
    figure_add(&conn->server->broken, 1);
    struct http_request *request = conn->request;
    if (!request)
        request = conn->request = http_request_take(conn->server, conn);
    if (request->handed) {
        enum err err = status == 413 ? ERR_TOO_LARGE : status == 408 ? ERR_IO : ERR_MALFORMED;
        body_breaks(request, err, detail);
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
    struct str prefix = conn->server->config.prefix, path = request->path;
    ret->route = NULL;
    if (!prefix.n || !str_starts(path, prefix) || path.n == prefix.n || path.p[prefix.n] != '/')
        return ERR_NOT_FOUND;
    struct op aside;
    op_init(&aside, request->op.arena, request->op.now_us);
    path = (struct str){ path.p + prefix.n, path.n - prefix.n };
    TRY(http_router_match(&aside, conn->server->router, request->method, path, ret));
    return ret->route && ret->route->flags & HTTP_PREFIXED ? OK : ERR_NOT_FOUND;
}

static bool request_find_route(struct http_conn *conn, struct http_request *request)
{
    struct http_match match;
    enum err err = match_below_prefix(conn, request, &match);
    if (err != OK)
        err = http_router_match(&request->op, conn->server->router, request->method, request->path, &match);
    if (err != OK) {
        http_fail(request, err);
        return false;
    }
    if (!match.route) {
        http_reply_header(request, S("Allow"), http_router_allow(&request->op, conn->server->router, request->path));
        http_problem(request, 405, S(""), S("this path does not answer to that method"), NULL, 0);
        return false;
    }
    request->route = match.route;
    request->param_count = match.param_count;
    memcpy(request->params, match.params, sizeof match.params[0] * (size_t)match.param_count);
    return true;
}

/* What is known before the body: true when the request may go on. */
static bool request_may_enter(struct http_conn *conn, struct http_request *request)
{
    request->handed = true; /* each of these answers by itself when it refuses */
    if (!request_find_route(conn, request))
        return false;
    if (conn->server->config.admit) {
        enum err err = conn->server->config.admit(request);
        if (err != OK) {
            http_fail(request, err);
            return false;
        }
    }
    if (conn->parser.content_length > (uint64_t)request->route->body_bytes_max) {
        figure_add(&conn->server->broken, 1);
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

static void conn_on_body_expected(struct http_conn *conn, struct http_request *request)
{
    if (request->head.expects_continue && request->head.minor == 1) {
        http_out_add(&conn->out, &conn->server->pool, S("HTTP/1.1 100 Continue\r\n\r\n"));
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
static void conn_on_no_body(struct http_conn *conn, struct http_request *request)
{
    request_dispatch(request);
    if (conn->request == request)
        body_ends(request);
}

static void conn_on_head(struct http_conn *conn, struct str head)
{
    struct http_server *server = conn->server;
    http_conn_wait(conn, HTTP_WAIT_HANDLER);
    figure_add(&server->requests, 1);
    conn->asked = true;
    struct http_request *request = conn->request = http_request_take(server, conn);

    char *copy = arena_alloc_raw(request->op.arena, head.n);
    assert(copy); /* an arena holds a head */
    memcpy(copy, head.p, head.n);
    http_parser_forget_head(&conn->parser);
    struct http_refusal refusal = http_head_read((struct str){ copy, head.n }, &request->head);
    if (refusal.status) {
        conn_refuse(conn, refusal.status, refusal.detail);
        return;
    }
    request->method = request->head.method;
    request->target = request->head.target;
    request->path = request->head.path;
    request->query = request->head.query;
    request->head_only = str_eq(request->method, S("HEAD"));
    request->keep_alive = conn->parser.keep_alive;
    request->body_complete = !conn->parser.has_body;
    if (!request_may_enter(conn, request))
        return;
    if (conn->parser.has_body)
        conn_on_body_expected(conn, request);
    else
        conn_on_no_body(conn, request);
}

static void conn_on_body(struct http_conn *conn, struct str piece)
{
    struct http_request *request = conn->request;
    conn->progress += piece.n;
    if (conn->progress >= PROGRESS_BYTES_MIN && conn->wait == HTTP_WAIT_BODY)
        http_conn_wait(conn, HTTP_WAIT_BODY);

    request->body_bytes += (int64_t)piece.n;
    if (request->body_bytes > request->route->body_bytes_max) {
        conn_refuse(conn, 413, "the body is larger than this path takes");
        return;
    }
    if (request->handed) {
        if (request->body_take)
            request->body_take(request, piece, HTTP_BODY_PIECE);
        return;
    }
    buf_add_str(&request->body_buffer, piece);
    if (request->body_buffer.full)
        conn_refuse(conn, 413, "the body does not fit the memory of a request");
}

static void conn_on_body_end(struct http_conn *conn)
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

/* --- reading ------------------------------------------------------------ */

static bool conn_may_parse(const struct http_conn *conn)
{
    return !conn->closing && !conn->finish && !conn->deaf && !conn->paused &&
           !(conn->request && conn->request->body_complete) && conn->out.waiting < UNSENT_BYTES_MAX;
}

/* Lets the parser work on bytes until they are used up or something must be waited for; returns what is left. */
static struct str conn_feed(struct http_conn *conn, struct str bytes)
{
    conn->feeding = true;
    enum http_event event = HTTP_EVENT_BODY;
    while (event != HTTP_EVENT_MORE && conn_may_parse(conn)) {
        struct str piece = { NULL, 0 };
        event = http_parser_next(&conn->parser, &bytes, &piece);
        switch (event) {
        case HTTP_EVENT_MORE:
            break;
        case HTTP_EVENT_HEAD:
            conn_on_head(conn, piece);
            break;
        case HTTP_EVENT_BODY:
            conn_on_body(conn, piece);
            break;
        case HTTP_EVENT_END:
            conn_on_body_end(conn);
            break;
        case HTTP_EVENT_BAD:
            conn_refuse(conn, conn->parser.refusal.status, conn->parser.refusal.detail);
            break;
        }
    }
    conn->feeding = false;
    if (conn->closing || conn->finish || conn->deaf)
        bytes.n = 0;
    return bytes;
}

/* After an answer or a pause: first the bytes that had to wait. */
static void conn_go_on(struct http_conn *conn)
{
    if (conn->feeding || conn->closing)
        return;
    if (conn->held.n || conn->parser.paused) {
        struct str left = conn_feed(conn, buf_str(&conn->held));
        buf_drop(&conn->held, conn->held.n - left.n);
        if (!conn->held.n && conn->held.room) {
            buf_done(&conn->held); /* an idle connection holds no buffer */
            buf_init(&conn->held, HELD_BYTES_MAX);
        }
    }
    conn_rest(conn);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct http_conn *conn = handle->data;
    *ret = uv_buf_init(conn->server->read_buffer, sizeof conn->server->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_conn *conn = stream->data;
    if (n == UV_EOF) {
        conn->read_ended = true;
        if (conn->request && conn->request->handed && conn->request->left)
            conn->request->left(conn->request, false);
        conn_rest(conn);
        return;
    }
    if (n < 0) {
        http_conn_close(conn);
        return;
    }
    if (n == 0 || conn->deaf || conn->finish)
        return; /* thrown away */
    struct str bytes = { buf->base, (size_t)n };
    if (!conn->held.n)
        bytes = conn_feed(conn, bytes);
    buf_add_str(&conn->held, bytes);
    assert(!conn->held.full); /* reading rests while bytes are held, so one read is the most */
    conn_rest(conn);
}

void http_conn_pause(struct http_conn *conn, bool paused)
{
    conn->paused = paused;
    if (!paused)
        conn_go_on(conn);
}

void http_conn_answered(struct http_conn *conn, bool keep)
{
    conn->request = NULL;
    conn->paused = false;
    if (!keep)
        conn->finish = true;
    http_conn_flush_later(conn);
    conn_go_on(conn);
}

/* --- what the connection waits for -------------------------------------- */

/* Bytes the system has taken so far, those of an unfinished write included. */
static uint64_t conn_sent(const struct http_conn *conn)
{
    if (!conn->writing)
        return conn->sent;
    size_t asked = (size_t)(uintptr_t)conn->writing->data;
    return conn->sent + asked - uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
}

static enum http_wait conn_wait_kind(const struct http_conn *conn)
{
    if (conn->shut)
        return HTTP_WAIT_LINGER;
    if (conn->out.waiting)
        return HTTP_WAIT_WRITE;
    if (conn->request)
        return conn->request->body_complete || conn->paused || conn->deaf ? HTTP_WAIT_HANDLER : HTTP_WAIT_BODY;
    if (http_parser_in_head(&conn->parser))
        return HTTP_WAIT_HEAD;
    return conn->asked ? HTTP_WAIT_IDLE : HTTP_WAIT_FIRST;
}

/* The client has shut its side, and there is nothing left to answer or send: half a body gets no answer. */
static bool conn_is_over(const struct http_conn *conn)
{
    bool owes_answer = conn->request && conn->request->body_complete;
    return conn->read_ended && !owes_answer && !conn->held.n && !conn->paused && !conn->out.waiting;
}

/* Called whenever the state may have changed: sets reading and time-out to what the state asks for. */
static void conn_rest(struct http_conn *conn)
{
    if (conn->closing || conn->feeding)
        return;
    if (conn_is_over(conn)) {
        http_conn_close(conn);
        return;
    }
    bool wants = !conn->read_ended && !conn->held.n && !conn->paused;
    if (wants && !conn->reading)
        uv_read_start((uv_stream_t *)&conn->tcp, on_room, on_read);
    else if (!wants && conn->reading)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->reading = wants;

    if (conn->flush_due)
        return; /* the write at the end of the turn decides */
    enum http_wait wait = conn_wait_kind(conn);
    if (wait == conn->wait)
        return;
    http_conn_wait(conn, wait);
    if (wait == HTTP_WAIT_WRITE)
        conn->sent_mark = conn_sent(conn);
    if ((wait == HTTP_WAIT_IDLE || wait == HTTP_WAIT_FIRST) && conn->server->listener.draining)
        http_conn_close(conn);
}

static bool write_moved(struct http_conn *conn)
{
    uint64_t sent = conn_sent(conn);
    if (sent < conn->sent_mark + PROGRESS_BYTES_MIN)
        return false;
    http_conn_wait(conn, HTTP_WAIT_WRITE);
    conn->sent_mark = sent;
    return true;
}

bool http_conn_expire(struct http_conn *conn)
{
    switch (conn->wait) {
    case HTTP_WAIT_HANDLER:
        return false;
    case HTTP_WAIT_WRITE:
        if (write_moved(conn))
            return false;
        figure_add(&conn->server->dropped, 1);
        http_conn_close(conn);
        return true;
    case HTTP_WAIT_HEAD:
    case HTTP_WAIT_BODY:
        figure_add(&conn->server->dropped, 1);
        http_conn_wait(conn, HTTP_WAIT_HANDLER);
        conn_refuse(conn, 408, "the request came too slowly");
        conn_rest(conn);
        return true;
    case HTTP_WAIT_FIRST:
        figure_add(&conn->server->dropped, 1);
        break;
    case HTTP_WAIT_IDLE:
    case HTTP_WAIT_LINGER:
        break;
    }
    http_conn_close(conn);
    return true;
}

bool http_conn_give_way(struct http_conn *conn)
{
    if (conn->wait == HTTP_WAIT_WRITE && write_moved(conn))
        return false;
    figure_add(&conn->server->dropped, 1);
    http_conn_close(conn);
    return true;
}

/* --- the beginning ------------------------------------------------------ */

void http_conn_accept(struct http_server *server, bool refuse)
{
    struct http_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    conn->server = server;
    conn->flush.run = on_flush;
    http_parser_init(&conn->parser);
    buf_init(&conn->held, HELD_BYTES_MAX);
    conn->tcp.data = conn;
    listener_joined(&server->listener);
    http_conn_wait(conn, HTTP_WAIT_FIRST);
    if (!listener_accept(&server->listener, &conn->tcp, &conn->peer)) {
        http_conn_close(conn);
        return;
    }
    if (refuse) {
        figure_add(&server->refused, 1);
        conn->request = http_request_take(server, conn);
        conn->request->handed = true;
        conn->request->op.retry_after_s = 1;
        http_fail(conn->request, fail(&conn->request->op, ERR_UNAVAILABLE, "too many connections"));
    }
    conn_rest(conn);
}
