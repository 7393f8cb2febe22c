#include "net/http_parse.h"

#include <string.h>

/* Frames may cost 16 bytes for each byte of body, and this much besides: single-byte chunks pass, a flood of chunk
 * extensions or trailers does not. */
#define FRAME_BYTES_SPARE 16384

static struct http_parser *parser_of(llhttp_t *llhttp)
{
    return llhttp->data;
}

static int on_headers_complete(llhttp_t *llhttp)
{
    /* "Upgrade: h2c" is an offer that is not taken up; the request is served as it is. */
    if (llhttp->method != HTTP_CONNECT)
        llhttp->upgrade = 0;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t n)
{
    if (!n)
        return HPE_OK;
    parser_of(llhttp)->piece = (struct str){ at, n };
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *llhttp)
{
    parser_of(llhttp)->ended = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void expect_head(struct http_parser *parser)
{
    llhttp_init(&parser->llhttp, HTTP_REQUEST, &settings);
    parser->llhttp.data = parser;
    parser->head_bytes = 0;
    parser->in_body = parser->paused = parser->ended = false;
}

void http_parser_init(struct http_parser *parser)
{
    *parser = (struct http_parser){ 0 };
    buf_init(&parser->split, HTTP_HEAD_BYTES_MAX);
    expect_head(parser);
}

void http_parser_done(struct http_parser *parser)
{
    buf_done(&parser->split);
}

void http_parser_forget_head(struct http_parser *parser)
{
    if (parser->split.room && !parser->head_bytes) {
        buf_done(&parser->split);
        buf_init(&parser->split, HTTP_HEAD_BYTES_MAX);
    }
}

static enum http_event bad(struct http_parser *parser, int status, const char *detail)
{
    parser->refusal = (struct http_refusal){ status, detail };
    return HTTP_EVENT_BAD;
}

/* Lets llhttp read; takes what it used off *bytes. */
static llhttp_errno_t run(struct http_parser *parser, struct str *bytes, size_t most, size_t *ret_used)
{
    llhttp_resume(&parser->llhttp);
    size_t n = bytes->n < most ? bytes->n : most;
    llhttp_errno_t result = llhttp_execute(&parser->llhttp, bytes->p, n);
    *ret_used = result == HPE_OK ? n : (size_t)(llhttp_get_error_pos(&parser->llhttp) - bytes->p);
    parser->paused = result == HPE_PAUSED;
    bytes->p += *ret_used;
    bytes->n -= *ret_used;
    return result;
}

static enum http_event broken(struct http_parser *parser)
{
    const char *reason = llhttp_get_error_reason(&parser->llhttp);
    return bad(parser, 400, reason && *reason ? reason : "the bytes are no HTTP request");
}

static enum http_event head_is_too_large(struct http_parser *parser)
{
    struct str read = buf_str(&parser->split);
    bool line_ended = memchr(read.p, '\n', read.n) != NULL;
    return line_ended ? bad(parser, 431, "request line and headers are larger than 16 KiB")
                      : bad(parser, 414, "the request line is larger than 16 KiB");
}

static enum http_event head_is_complete(struct http_parser *parser)
{
    llhttp_t *llhttp = &parser->llhttp;
    parser->chunked = llhttp->flags & F_CHUNKED;
    parser->content_length = parser->chunked ? 0 : llhttp->content_length;
    parser->keep_alive = llhttp_should_keep_alive(llhttp);
    parser->has_body = parser->chunked || parser->content_length || (llhttp->flags & F_TRANSFER_ENCODING);
    parser->head_bytes = 0;
    parser->body_bytes = parser->frame_bytes = 0;
    if (parser->has_body)
        parser->in_body = true;
    else
        expect_head(parser);
    return HTTP_EVENT_HEAD;
}

static enum http_event next_in_head(struct http_parser *parser, struct str *bytes, struct str *ret_piece)
{
    if (parser->head_bytes == 0)
        buf_reset(&parser->split);
    const char *start = bytes->p;
    size_t used;
    llhttp_errno_t result = run(parser, bytes, HTTP_HEAD_BYTES_MAX - parser->head_bytes, &used);
    bool whole = parser->head_bytes == 0 && result == HPE_PAUSED;
    parser->head_bytes += used;
    if (!whole)
        buf_add(&parser->split, start, used);

    if (result == HPE_OK)
        return parser->head_bytes == HTTP_HEAD_BYTES_MAX ? head_is_too_large(parser) : HTTP_EVENT_MORE;
    if (result != HPE_PAUSED)
        return broken(parser);
    *ret_piece = whole ? (struct str){ start, used } : buf_str(&parser->split);
    return head_is_complete(parser);
}

static enum http_event next_in_body(struct http_parser *parser, struct str *bytes, struct str *ret_piece)
{
    while (bytes->n || parser->paused) {
        size_t used;
        parser->piece = (struct str){ NULL, 0 };
        llhttp_errno_t result = run(parser, bytes, SIZE_MAX, &used);
        if (result != HPE_OK && result != HPE_PAUSED)
            return broken(parser);
        parser->frame_bytes += used - parser->piece.n;
        if (parser->frame_bytes > FRAME_BYTES_SPARE + 16 * parser->body_bytes)
            return bad(parser, 400, "chunk extensions and trailers are out of proportion");
        parser->body_bytes += parser->piece.n; /* after the check, so that it does not depend on the packets */
        if (parser->piece.n) {
            *ret_piece = parser->piece;
            return HTTP_EVENT_BODY;
        }
        if (parser->ended) {
            expect_head(parser);
            return HTTP_EVENT_END;
        }
    }
    return HTTP_EVENT_MORE;
}

enum http_event http_parser_next(struct http_parser *parser, struct str *bytes, struct str *ret_piece)
{
    if (parser->refusal.status)
        return HTTP_EVENT_BAD;
    if (parser->in_body)
        return next_in_body(parser, bytes, ret_piece);
    return bytes->n ? next_in_head(parser, bytes, ret_piece) : HTTP_EVENT_MORE;
}
