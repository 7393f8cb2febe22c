#include "net/http_reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "net/http_conn.h"

#define BODY_COPIED_MAX   16384 /* larger bodies are sent from where they lie */
#define HEAD_FIXED_BYTES  256   /* status line, length, date, connection: all lines without text of others */
#define CHUNK_FRAME_BYTES 20    /* size in hex and two CR LF */

/* --- writing the head --------------------------------------------------- */

struct pen {
    char *at;
};

static void put(struct pen *pen, struct str s)
{
    memcpy(pen->at, s.p, s.n);
    pen->at += s.n;
}

static void put_number(struct pen *pen, uint64_t number, unsigned base)
{
    char digits[20];
    int n = 0;
    do
        digits[n++] = "0123456789abcdef"[number % base];
    while (number /= base);
    while (n)
        *pen->at++ = digits[--n];
}

/* Bytes that could end or split a header line become blanks (RFC 9110 section 5.5). */
static char in_value(char c)
{
    return ((unsigned char)c < 0x20 && c != '\t') || c == 0x7f ? ' ' : c;
}

/* Sixteen at a time, which the compiler does at once. */
static void copy_value(char *restrict out, const char *restrict in, size_t n)
{
    for (; n >= 16; n -= 16, in += 16, out += 16)
        for (int i = 0; i < 16; i++)
            out[i] = in_value(in[i]);
    for (; n > 0; n--)
        *out++ = in_value(*in++);
}

static void put_value(struct pen *pen, struct str value)
{
    copy_value(pen->at, value.p, value.n);
    pen->at += value.n;
}

static void add_value(struct buf *buf, struct str value)
{
    if (!buf_reserve(buf, value.n))
        return;
    copy_value(buf->p + buf->n, value.p, value.n);
    buf->n += value.n;
}

void http_reply_header(struct http_request *request, struct str name, struct str value)
{
    assert(!request->answered && name.n && str_find(name, '\n') == name.n);
    buf_add_str(&request->reply_headers, name);
    buf_add_str(&request->reply_headers, S(": "));
    add_value(&request->reply_headers, value);
    buf_add_str(&request->reply_headers, S("\r\n"));
}

static bool has_no_body(int status)
{
    return status == 204 || status == 304 || status < 200;
}

enum reply_length { LENGTH_KNOWN, LENGTH_CHUNKED, LENGTH_UNTIL_CLOSE };

static void write_head(struct http_request *request, struct str content_type, enum reply_length length,
                       uint64_t body_bytes, bool keep)
{
    struct http_conn *conn = request->conn;
    struct http_pool *pool = &request->desk->pool;
    struct str phrase = str_of(http_status_phrase(request->status));
    size_t most = HEAD_FIXED_BYTES + phrase.n + request->reply_headers.n + content_type.n;
    struct pen pen = { http_out_room(&conn->out, pool, most) };
    const char *start = pen.at;

    put(&pen, S("HTTP/1.1 "));
    put_number(&pen, (uint64_t)request->status, 10);
    put(&pen, S(" "));
    put(&pen, phrase);
    put(&pen, S("\r\n"));
    put(&pen, buf_str(&request->reply_headers));
    if (content_type.n) {
        put(&pen, S("Content-Type: "));
        put(&pen, content_type);
        put(&pen, S("\r\n"));
    }
    if (length == LENGTH_KNOWN && !has_no_body(request->status)) {
        put(&pen, S("Content-Length: "));
        put_number(&pen, body_bytes, 10);
        put(&pen, S("\r\n"));
    } else if (length == LENGTH_CHUNKED) {
        put(&pen, S("Transfer-Encoding: chunked\r\n"));
    }
    put(&pen, http_desk_date(request->desk));
    if (!keep)
        put(&pen, S("Connection: close\r\n"));
    else if (request->head.minor == 0)
        put(&pen, S("Connection: keep-alive\r\n"));
    put(&pen, S("\r\n"));
    assert((size_t)(pen.at - start) <= most);
    http_out_used(&conn->out, (size_t)(pen.at - start));
}

/* --- whole answers ------------------------------------------------------ */

/* May the connection take another request after this answer? */
static bool may_keep(const struct http_request *request)
{
    return request->keep_alive && request->body_complete && !request->desk->draining && !request->conn->deaf;
}

/* The handler has done its duty: the request goes back, as soon as no output points into it. */
static void request_done(struct http_request *request)
{
    const struct http_server_config *config = &request->desk->server->config;
    if (config->answered)
        config->answered(request, request->status);
    request->conn = NULL;
    request->answered = true;
    request->streaming = false;
    request->handed = false;
    if (!request->sends)
        http_request_give(request);
}

void http_request_sent(struct http_request *request)
{
    request->sends--;
    if (!request->sends && !request->handed)
        http_request_give(request);
}

static void send_body(struct http_request *request, struct str body)
{
    struct http_pool *pool = &request->desk->pool;
    if (!body.n || request->head_only || has_no_body(request->status))
        return;
    if (body.n <= BODY_COPIED_MAX) {
        http_out_add(&request->conn->out, pool, body);
        return;
    }
    request->sends++;
    http_out_refer(&request->conn->out, pool, body, request);
}

void http_reply(struct http_request *request, int status, struct str content_type, struct str body)
{
    assert(loop_is_mine(request->loop));
    assert(request->handed && !request->answered);
    if (request->reply_headers.full) { /* a cut header line must not go out */
        buf_reset(&request->reply_headers);
        request->reply_headers.full = false;
        status = 500;
        content_type = S("");
        body = S("");
    }
    request->status = status;
    request->answered = true;
    struct http_conn *conn = request->conn;
    if (!conn) {
        request_done(request);
        return;
    }
    bool keep = may_keep(request);
    write_head(request, content_type, LENGTH_KNOWN, body.n, keep);
    send_body(request, body);
    request_done(request);
    http_conn_answered(conn, keep);
}

/* The head of a redirect in one go: what thousands of readers wait for after a mailing. */
static void write_redirect(struct http_request *request, struct str location, bool keep)
{
    static const char lines[] = "X-Robots-Tag: noindex, nofollow\r\nCache-Control: no-store\r\nContent-Length: 0\r\n";
    struct http_conn *conn = request->conn;
    size_t most = HEAD_FIXED_BYTES + location.n + sizeof lines;
    struct pen pen = { http_out_room(&conn->out, &request->desk->pool, most) };
    const char *start = pen.at;
    put(&pen, S("HTTP/1.1 302 Found\r\nLocation: "));
    put_value(&pen, location);
    put(&pen, S("\r\n"));
    put(&pen, (struct str){ lines, sizeof lines - 1 });
    put(&pen, http_desk_date(request->desk));
    if (!keep)
        put(&pen, S("Connection: close\r\n"));
    else if (request->head.minor == 0)
        put(&pen, S("Connection: keep-alive\r\n"));
    put(&pen, S("\r\n"));
    assert((size_t)(pen.at - start) <= most);
    http_out_used(&conn->out, (size_t)(pen.at - start));
}

void http_redirect(struct http_request *request, struct str location)
{
    assert(loop_is_mine(request->loop));
    assert(request->handed && !request->answered);
    request->status = 302;
    request->answered = true;
    struct http_conn *conn = request->conn;
    bool keep = conn && may_keep(request);
    if (conn)
        write_redirect(request, location, keep);
    request_done(request);
    if (conn)
        http_conn_answered(conn, keep);
}

/* --- streams ------------------------------------------------------------ */

void http_stream_begin(struct http_request *request, int status, struct str content_type,
                       void (*ready)(struct http_request *request), void (*gone)(struct http_request *request))
{
    assert(loop_is_mine(request->loop));
    assert(request->handed && !request->answered && !has_no_body(status));
    request->status = status;
    request->answered = request->streaming = true;
    request->stream_ready = ready;
    request->stream_gone = gone;
    if (!request->conn)
        return;
    if (request->head.minor == 0)
        request->keep_alive = false; /* HTTP/1.0 knows no chunks: the end of the connection is the end */
    enum reply_length length = request->head.minor == 0 ? LENGTH_UNTIL_CLOSE : LENGTH_CHUNKED;
    write_head(request, content_type, length, 0, may_keep(request));
    http_conn_flush_later(request->conn);
}

bool http_stream_write(struct http_request *request, struct str bytes)
{
    assert(request->streaming);
    struct http_conn *conn = request->conn;
    if (!conn || request->head_only || !bytes.n)
        return true;
    struct http_pool *pool = &request->desk->pool;
    if (request->head.minor == 0) {
        http_out_add(&conn->out, pool, bytes);
    } else {
        struct pen pen = { http_out_room(&conn->out, pool, bytes.n + CHUNK_FRAME_BYTES) };
        const char *start = pen.at;
        put_number(&pen, bytes.n, 16);
        put(&pen, S("\r\n"));
        put(&pen, bytes);
        put(&pen, S("\r\n"));
        http_out_used(&conn->out, (size_t)(pen.at - start));
    }
    http_conn_flush_later(conn);
    request->stream_full = conn->out.waiting > HTTP_STREAM_BYTES_HIGH;
    return !request->stream_full;
}

size_t http_stream_waiting(const struct http_request *request)
{
    return request->conn ? request->conn->out.waiting : 0;
}

void http_stream_end(struct http_request *request)
{
    assert(loop_is_mine(request->loop));
    assert(request->streaming);
    struct http_conn *conn = request->conn;
    if (!conn) {
        request_done(request);
        return;
    }
    if (request->head.minor == 1 && !request->head_only)
        http_out_add(&conn->out, &request->desk->pool, S("0\r\n\r\n"));
    bool keep = may_keep(request);
    request_done(request);
    http_conn_answered(conn, keep);
}

void http_stream_abort(struct http_request *request)
{
    assert(request->streaming);
    struct http_conn *conn = request->conn;
    request->stream_gone = NULL;
    if (conn)
        http_conn_close(conn);
    request_done(request);
}
