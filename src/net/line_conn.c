#include "net/line_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

#define PROGRESS_BYTES_MIN 1024          /* of a line or answer within its time; less is a client that stalls */
#define OUT_BYTES_MAX      (1024u << 20) /* of one connection; who writes stops long before, at out_bytes_high */
#define KEEPALIVE_S        60            /* a client that vanished without a word is found out by the system */

static void conn_rest(struct line_conn *conn);
static void conn_flush_later(struct line_conn *conn);

/* --- waiting ------------------------------------------------------------ */

static int64_t wait_limit_ms(const struct line_conn *conn, enum line_wait wait)
{
    const struct line_server_config *config = &conn->server->config;
    switch (wait) {
    case LINE_WAIT_LINE:
        return config->line_ms;
    case LINE_WAIT_WRITE:
        return config->write_ms;
    case LINE_WAIT_LINGER:
        return config->linger_ms;
    case LINE_WAIT_NONE:
    case LINE_WAIT_DEADLINE:
        break;
    }
    return 0;
}

/* Bytes the system has taken so far, those of an unfinished write included. */
static uint64_t conn_sent(const struct line_conn *conn)
{
    if (!conn->writing)
        return conn->sent;
    size_t asked = conn->sending.n - conn->sending_at;
    return conn->sent + asked - uv_stream_get_write_queue_size((const uv_stream_t *)&conn->tcp);
}

static uint64_t wait_progress(const struct line_conn *conn)
{
    return conn->wait == LINE_WAIT_WRITE ? conn_sent(conn) : conn->held.n;
}

static void conn_wait(struct line_conn *conn, enum line_wait wait)
{
    conn->wait = wait;
    conn->wait_mark = wait_progress(conn);
    if (wait == LINE_WAIT_NONE)
        loop_timer_clear(conn->server->loop, &conn->timer);
    else if (wait != LINE_WAIT_DEADLINE) /* that one was set when it was asked for */
        loop_timer_set(conn->server->loop, &conn->timer, wait_limit_ms(conn, wait));
}

/* The client has shut its side, and nothing is left to say or to be asked: half a line is no line. */
static bool conn_is_over(const struct line_conn *conn)
{
    bool has_line = conn->scanned < conn->held.n;
    return conn->read_ended && !conn->paused && !has_line && !conn->out.n && !conn->writing;
}

static enum line_wait conn_wait_kind(const struct line_conn *conn)
{
    if (conn->has_deadline)
        return LINE_WAIT_DEADLINE;
    if (conn->shut)
        return LINE_WAIT_LINGER;
    if (conn->out.n || conn->writing)
        return LINE_WAIT_WRITE;
    return conn->held.n && !conn->paused && !conn->finish ? LINE_WAIT_LINE : LINE_WAIT_NONE;
}

static void on_timer(struct timer *timer)
{
    struct line_conn *conn = MAIL_OF(timer, struct line_conn, timer);
    bool may_go_on = conn->wait == LINE_WAIT_LINE || conn->wait == LINE_WAIT_WRITE;
    if (may_go_on && wait_progress(conn) >= conn->wait_mark + PROGRESS_BYTES_MIN) {
        conn_wait(conn, conn->wait);
        return;
    }
    if (conn->wait != LINE_WAIT_LINGER)
        figure_add(&conn->server->dropped, 1);
    line_conn_close(conn);
}

/* --- writing ------------------------------------------------------------ */

/* Everything has left: shut our side when that was the plan. */
static void conn_all_sent(struct line_conn *conn)
{
    if (!conn->finish || conn->shut)
        return;
    conn->shut = true;
    if (conn->read_ended) {
        line_conn_close(conn);
        return;
    }
    listener_shut_side(&conn->tcp);
}

static void conn_took(struct line_conn *conn, size_t bytes)
{
    conn->sent += bytes;
    if (bytes && conn->server->config.sent)
        conn->server->config.sent(conn, conn->sent);
}

static void conn_written(struct line_conn *conn)
{
    if (!conn->closing && !conn->out.n && !conn->writing)
        conn_all_sent(conn);
    if (!conn->closing && conn->held.n && !conn->paused)
        line_conn_resume(conn); /* lines that waited for room */
    conn_rest(conn);
}

static void on_written(uv_write_t *write, int status)
{
    struct line_conn *conn = write->handle->data;
    size_t bytes = conn->sending.n - conn->sending_at;
    conn->writing = false;
    buf_done(&conn->sending);
    if (conn->closing)
        return;
    if (status < 0) {
        line_conn_close(conn);
        return;
    }
    conn_took(conn, bytes);
    if (conn->out.n)
        conn_flush_later(conn);
    conn_written(conn);
}

/* Leaves the rest of `out` to libuv, which writes whenever the socket takes more. */
static void conn_write_queue(struct line_conn *conn, size_t from)
{
    conn->sending = conn->out;
    conn->sending_at = from;
    buf_init(&conn->out, OUT_BYTES_MAX);
    uv_buf_t rest = uv_buf_init(conn->sending.p + from, (unsigned)(conn->sending.n - from));
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, &rest, 1, on_written) < 0) {
        line_conn_close(conn);
        return;
    }
    conn->writing = true;
}

static void conn_write(struct line_conn *conn)
{
    uv_buf_t all = uv_buf_init(conn->out.p, (unsigned)conn->out.n);
    int n = uv_try_write((uv_stream_t *)&conn->tcp, &all, 1);
    if (n < 0 && n != UV_EAGAIN) {
        line_conn_close(conn);
        return;
    }
    size_t took = n > 0 ? (size_t)n : 0;
    if (took < conn->out.n) {
        conn_write_queue(conn, took);
    } else if (conn->out.room > LINE_READ_BYTES) { /* a connection keeps no large buffer */
        buf_done(&conn->out);
        buf_init(&conn->out, OUT_BYTES_MAX);
    } else {
        buf_reset(&conn->out);
    }
    if (!conn->closing)
        conn_took(conn, took);
}

static void on_flush(struct errand *errand)
{
    struct line_conn *conn = MAIL_OF(errand, struct line_conn, flush);
    conn->flush_due = false;
    if (conn->closed) {
        free(conn);
        return;
    }
    if (conn->closing || conn->writing)
        return;
    if (conn->out.full) { /* an answer with a hole in it would be worse than none */
        line_conn_close(conn);
        return;
    }
    if (conn->out.n)
        conn_write(conn);
    if (!conn->closing)
        conn_written(conn);
}

static void conn_flush_later(struct line_conn *conn)
{
    if (conn->flush_due || conn->closing)
        return;
    conn->flush_due = true;
    loop_at_turn_end(conn->server->loop, &conn->flush);
}

uint64_t line_conn_add(struct line_conn *conn, struct str bytes)
{
    if (!conn->closing) {
        buf_add_str(&conn->out, bytes);
        conn->added += bytes.n;
        conn_flush_later(conn);
    }
    return conn->added;
}

/* --- the end ------------------------------------------------------------ */

static void on_closed(uv_handle_t *handle)
{
    struct line_conn *conn = handle->data;
    buf_done(&conn->held);
    buf_done(&conn->out);
    buf_done(&conn->sending);
    conn->closed = true;
    if (!conn->flush_due)
        free(conn);
}

void line_conn_close(struct line_conn *conn)
{
    if (conn->closing)
        return;
    conn->closing = true;
    conn->reading = false;
    conn_wait(conn, LINE_WAIT_NONE);
    conn->server->config.closed(conn);
    line_server_forget(conn);
    uv_close((uv_handle_t *)&conn->tcp, on_closed);
}

void line_conn_finish(struct line_conn *conn)
{
    conn->finish = true;
    conn->has_deadline = false;
    conn_flush_later(conn);
}

/* --- lines -------------------------------------------------------------- */

static bool conn_may_give(const struct line_conn *conn)
{
    return !conn->paused && !conn->finish && !conn->closing &&
           conn->out.n + conn->sending.n <= conn->server->config.out_bytes_high;
}

static void conn_give(struct line_conn *conn, struct str line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    conn->has_deadline = false;
    figure_add(&conn->server->lines, 1);
    conn->server->config.line(conn, line);
}

/* Gives the whole lines of bytes until they are used up or the connection may not have more. Returns what is left;
 * *scanned says how much of that is known to hold no end of a line, now and before. */
static struct str conn_feed(struct line_conn *conn, struct str bytes, size_t *scanned)
{
    conn->feeding = true;
    while (conn_may_give(conn)) {
        char *end = memchr(bytes.p + *scanned, '\n', bytes.n - *scanned);
        if (!end) {
            *scanned = bytes.n;
            break;
        }
        struct str line = { bytes.p, (size_t)(end - bytes.p) };
        bytes.p += line.n + 1;
        bytes.n -= line.n + 1;
        *scanned = 0;
        if (line.n > conn->server->config.line_bytes_max + 1) /* the carriage return may be one */
            conn->server->config.too_long(conn);
        else
            conn_give(conn, line);
    }
    conn->feeding = false;
    if (conn->finish || conn->closing)
        bytes.n = *scanned = 0;
    return bytes;
}

/* Keeps the sum of what all connections hold. False: this one may not hold that much. */
static bool conn_count_held(struct line_conn *conn)
{
    struct line_server *server = conn->server;
    size_t beyond = conn->held.n > LINE_READ_BYTES ? conn->held.n - LINE_READ_BYTES : 0;
    server->held_bytes += beyond - conn->counted;
    conn->counted = beyond;
    bool too_long = conn->scanned > server->config.line_bytes_max + 1;
    return conn->paused || (!too_long && (beyond == 0 || server->held_bytes <= server->config.held_bytes_max));
}

static void conn_drop_held(struct line_conn *conn, size_t bytes)
{
    buf_drop(&conn->held, bytes);
    if (!conn->held.n && conn->held.room) {
        size_t max = conn->held.max;
        buf_done(&conn->held); /* an idle connection holds no buffer */
        buf_init(&conn->held, max);
    }
    conn_count_held(conn);
}

static void conn_take(struct line_conn *conn, struct str bytes)
{
    size_t scanned = 0;
    if (!conn->held.n) {
        bytes = conn_feed(conn, bytes, &scanned);
        buf_add_str(&conn->held, bytes);
        conn->scanned = scanned;
    } else {
        buf_add_str(&conn->held, bytes);
        struct str left = conn_feed(conn, buf_str(&conn->held), &conn->scanned);
        if (!conn->closing)
            conn_drop_held(conn, conn->held.n - left.n);
    }
    assert(conn->closing || !conn->held.full);
    if (!conn->closing && !conn->finish && !conn_count_held(conn)) {
        conn->server->config.too_long(conn);
        conn_drop_held(conn, conn->held.n);
        conn->scanned = 0;
    }
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    (void)suggested;
    struct line_conn *conn = handle->data;
    *ret = uv_buf_init(conn->server->read_buffer, sizeof conn->server->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct line_conn *conn = stream->data;
    if (n == UV_EOF) {
        conn->read_ended = true;
        if (conn->shut)
            line_conn_close(conn);
        else if (conn->server->config.ended)
            conn->server->config.ended(conn);
    } else if (n < 0) {
        line_conn_close(conn);
    } else if (n > 0 && !conn->finish) {
        conn_take(conn, (struct str){ buf->base, (size_t)n });
    }
    conn_rest(conn);
}

bool line_conn_is_left(const struct line_conn *conn)
{
    uv_os_fd_t fd;
    char byte;
    if (conn->read_ended || conn->closing)
        return true;
    return uv_fileno((const uv_handle_t *)&conn->tcp, &fd) == 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

void line_conn_pause(struct line_conn *conn)
{
    conn->paused = true;
}

void line_conn_resume(struct line_conn *conn)
{
    conn->paused = false;
    if (conn->feeding || conn->closing)
        return;
    if (conn->held.n) {
        struct str left = conn_feed(conn, buf_str(&conn->held), &conn->scanned);
        if (!conn->closing)
            conn_drop_held(conn, conn->held.n - left.n);
    }
    conn_rest(conn);
}

/* Called whenever the state may have changed: sets reading and time-out to what the state asks for. */
static void conn_rest(struct line_conn *conn)
{
    if (conn->closing || conn->feeding)
        return;
    if (conn_is_over(conn)) {
        line_conn_close(conn);
        return;
    }
    /* What a connection holds that may have lines is the beginning of one. One that may not is read a little further,
     * so that the end of it is seen. */
    bool wants = !conn->read_ended && (conn->finish || conn_may_give(conn) || conn->held.n < LINE_READ_BYTES);
    if (wants && !conn->reading)
        uv_read_start((uv_stream_t *)&conn->tcp, on_room, on_read);
    else if (!wants && conn->reading)
        uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->reading = wants;

    if (conn->flush_due)
        return; /* the write at the end of the turn decides */
    enum line_wait wait = conn_wait_kind(conn);
    if (wait != conn->wait)
        conn_wait(conn, wait);
}

void line_conn_deadline(struct line_conn *conn, int64_t ms)
{
    conn->has_deadline = ms > 0;
    if (ms > 0) {
        conn->wait = LINE_WAIT_DEADLINE;
        loop_timer_set(conn->server->loop, &conn->timer, ms);
    }
}

/* --- the beginning ------------------------------------------------------ */

void line_conn_keep(struct line_conn *conn, void *data)
{
    conn->data = data;
}

void *line_conn_data(const struct line_conn *conn)
{
    return conn->data;
}

void *line_conn_server_data(const struct line_conn *conn)
{
    return conn->server->config.data;
}

struct addr line_conn_peer(const struct line_conn *conn)
{
    return conn->peer;
}

static void on_unborn_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void line_conn_accept(struct line_server *server)
{
    struct line_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    conn->server = server;
    conn->flush.run = on_flush;
    conn->timer.run = on_timer;
    /* Beyond the longest line only what one read can add. */
    buf_init(&conn->held, server->config.line_bytes_max + 2 * LINE_READ_BYTES);
    buf_init(&conn->out, OUT_BYTES_MAX);
    conn->tcp.data = conn;
    bool full = server->listener.connections >= server->config.connections_max;
    if (!listener_attach(server->loop, &conn->tcp, listener_take(&server->listener, &conn->peer)) || full) {
        figure_add(&server->refused, full);
        uv_close((uv_handle_t *)&conn->tcp, on_unborn_closed);
        return;
    }
    uv_tcp_keepalive(&conn->tcp, 1, KEEPALIVE_S);
    conn->next = server->first;
    if (conn->next)
        conn->next->before = conn;
    server->first = conn;
    listener_joined(&server->listener);
    server->config.opened(conn);
    conn_rest(conn);
}
