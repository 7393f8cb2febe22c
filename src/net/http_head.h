/*
 * http_head.h - the head of a request: where its request line and headers stand.
 *
 * llhttp has accepted the bytes already; here they are indexed once, as offsets,
 * and held to what llhttp lets pass but a server should not: folded lines, bare
 * line feeds, two blanks in the request line, a missing or second Host, other
 * versions than 1.0 and 1.1, codings besides chunked. What two readers of one
 * head could understand differently is refused (RFC 9112 section 11.2).
 */
#pragma once

#include "base/str.h"

#define HTTP_HEAD_BYTES_MAX 16384 /* request line and headers: 431 above */
#define HTTP_HEADERS_MAX    100   /* header lines: 431 above */

/* Why a request is refused before any handler sees it. */
struct http_refusal {
    int status;         /* 0: not refused */
    const char *detail; /* a sentence for the client */
};

/* One header line, as offsets into the head; the value without blanks around it. */
struct http_line {
    uint16_t name_at, name_bytes;
    uint16_t value_at, value_bytes;
};

struct http_head {
    struct str text; /* request line to the empty line */
    struct str method;
    struct str target; /* as sent */
    struct str path;   /* without scheme and host, when the target had them (RFC 9112 section 3.2.2) */
    struct str query;  /* behind '?'; not given when there is none */
    int minor;         /* HTTP/1.minor */
    bool expects_continue;
    int line_count;
    struct http_line lines[HTTP_HEADERS_MAX];
};

/* Indexes text, which must stay in place; at most HTTP_HEAD_BYTES_MAX bytes. *ret is filled only as far as it was
 * readable when the answer is a refusal. */
struct http_refusal http_head_read(struct str text, struct http_head *ret);

/* First header of that name, compared without case; not given when absent. */
struct str http_head_find(const struct http_head *head, struct str name);
