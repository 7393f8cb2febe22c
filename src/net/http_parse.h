/*
 * http_parse.h - requests out of a stream of bytes, however it is cut into packets.
 *
 * llhttp (strict) does the reading. Its callbacks are turned round: the caller
 * asks for the next event and may stop at any one, which is how a paused body
 * or an unanswered request holds the next bytes back. No socket is touched
 * here, so the fuzzer and tests cut the bytes as they like.
 *
 *   HEAD  --no body-->  HEAD of the next request
 *   HEAD  --body--> BODY BODY ... END --> HEAD of the next request
 *   anything broken: BAD, for ever
 */
#pragma once

#include <llhttp.h>

#include "base/buf.h"
#include "net/http_head.h"

enum http_event {
    HTTP_EVENT_MORE, /* all bytes are used up */
    HTTP_EVENT_HEAD, /* piece is the whole head */
    HTTP_EVENT_BODY, /* piece is the next part of the body, never empty */
    HTTP_EVENT_END,  /* the body is complete */
    HTTP_EVENT_BAD   /* parser->refusal tells why */
};

struct http_parser {
    llhttp_t llhttp;
    struct buf split;     /* a head that came in several reads */
    size_t head_bytes;    /* of the head being read */
    uint64_t body_bytes;  /* of the body being read */
    uint64_t frame_bytes; /* chunk sizes, extensions and trailers around it */
    struct str piece;
    struct http_refusal refusal;
    bool in_body;
    bool paused; /* llhttp stands at an event and is resumed by the next call */
    bool ended;

    /* Of the head reported last. */
    bool has_body;
    bool chunked;
    bool keep_alive;         /* the client wants to send more requests */
    uint64_t content_length; /* 0 when chunked */
};

void http_parser_init(struct http_parser *parser);
void http_parser_done(struct http_parser *parser);

/* Takes what it needs off *bytes and tells the next event. The piece points into the bytes or into the parser and
 * lasts until the next call. */
enum http_event http_parser_next(struct http_parser *parser, struct str *bytes, struct str *ret_piece);

/* Gives back the memory of a head that came in pieces, once the caller has copied it. */
void http_parser_forget_head(struct http_parser *parser);

/* True when bytes of a head have come but not all of it. */
static inline bool http_parser_in_head(const struct http_parser *parser)
{
    return parser->head_bytes > 0;
}
