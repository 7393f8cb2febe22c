#include "net/http_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/http_reply.h"

#define PIECES_MAX       16    /* of one write */
#define UNSENT_BYTES_MAX 65536 /* of answers the client does not read: its next request waits for it */

/* --- writing ------------------------------------------------------------ */

static void conn_rest(struct http_conn *conn);
static void conn_go_on(struct http_conn *conn);

static void conn_consume(struct http_conn *conn, size_t n)
{
    conn->sent += n;
    http_out_consume(&conn->out, &conn->desk->pool, n);
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
    loop_at_turn_end(conn->desk->loop, &conn->flush);
}

/* --- the end ------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct http_conn *conn = handle->data;
    http_out_clear(&conn->out, &conn->desk->pool);
    http_parser_done(&conn->parser);
    buf_done(&conn->held);
    buf_done(&conn->head);
    http_desk_forget(conn);
    conn->closed = true;
    if (!conn->flush_due)
        free(conn);
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
        http_request_break(request, ERR_IO, "the client left before the body was complete");
    else if (request->left)
        request->left(request, true);
}

/* --- reading ------------------------------------------------------------ */

static bool conn_may_parse(const struct http_conn *conn)
{
    return !conn->closing && !conn->finish && !conn->deaf && !conn->paused && !conn->leaving &&
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
        http_conn_event(conn, event, piece);
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
            buf_init(&conn->held, HTTP_HELD_BYTES_MAX);
        }
    }
    conn_rest(conn);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct http_conn *conn = handle->data;
    *ret = uv_buf_init(conn->desk->read_buffer, sizeof conn->desk->read_buffer);
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
    return conn->read_ended && !owes_answer && !conn->held.n && !conn->paused && !conn->leaving && !conn->out.waiting;
}

/* Called whenever the state may have changed: sets reading and time-out to what the state asks for. */
static void conn_rest(struct http_conn *conn)
{
    if (conn->closing || conn->feeding || http_conn_depart(conn))
        return;
    if (conn_is_over(conn)) {
        http_conn_close(conn);
        return;
    }
    bool wants = !conn->read_ended && !conn->held.n && !conn->paused && !conn->leaving;
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
    if ((wait == HTTP_WAIT_IDLE || wait == HTTP_WAIT_FIRST) && conn->desk->draining)
        http_conn_close(conn);
}

static bool write_moved(struct http_conn *conn)
{
    uint64_t sent = conn_sent(conn);
    if (sent < conn->sent_mark + HTTP_PROGRESS_BYTES_MIN)
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
        figure_add(&conn->desk->dropped, 1);
        http_conn_close(conn);
        return true;
    case HTTP_WAIT_HEAD:
    case HTTP_WAIT_BODY:
        figure_add(&conn->desk->dropped, 1);
        http_conn_wait(conn, HTTP_WAIT_HANDLER);
        http_conn_refuse(conn, 408, "the request came too slowly");
        conn_rest(conn);
        return true;
    case HTTP_WAIT_FIRST:
        figure_add(&conn->desk->dropped, 1);
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
    figure_add(&conn->desk->dropped, 1);
    http_conn_close(conn);
    return true;
}

/* --- the beginning ------------------------------------------------------ */

void http_conn_turn_down(struct http_conn *conn, const char *why)
{
    struct http_request *request = conn->request = http_request_take(conn->desk, conn);
    request->handed = true;
    request->op.retry_after_s = 1;
    http_fail(request, fail(&request->op, ERR_UNAVAILABLE, "%s", why));
}

void http_conn_begin(struct http_desk *desk, const struct http_guest *guest, bool refuse)
{
    struct http_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    conn->desk = desk;
    conn->peer = guest->peer;
    conn->flush.run = on_flush;
    http_parser_init(&conn->parser);
    buf_init(&conn->held, HTTP_HELD_BYTES_MAX);
    conn->tcp.data = conn;
    http_conn_wait(conn, HTTP_WAIT_FIRST);
    if (!listener_attach(desk->loop, &conn->tcp, guest->fd)) {
        http_conn_close(conn);
        return;
    }
    if (refuse)
        http_conn_turn_down(conn, "too many connections");
    else if (guest->said.n)
        buf_add_str(&conn->held, conn_feed(conn, buf_str(&guest->said)));
    conn_rest(conn);
}
