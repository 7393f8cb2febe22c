/*
 * http_reply.h - answering a request: whole, or in a stream.
 *
 * Loop thread only. After http_reply, http_problem, http_fail or
 * http_stream_end the request is gone; do not touch it. Header values may hold
 * anything: CR, LF and NUL become blanks, so no value can add a header.
 * Everything a connection has to say in a turn leaves in one write.
 */
#pragma once

#include "net/http_server.h"

#define HTTP_REPLY_HEADERS_BYTES_MAX 32768

/* Adds a header to the answer to come. The name is ours: a token. Above HTTP_REPLY_HEADERS_BYTES_MAX in all the
 * answer becomes a 500. */
void http_reply_header(struct http_request *request, struct str name, struct str value);

/* Answers. content_type may be empty; body is copied or lies in the request's arena (it is read until sent). */
void http_reply(struct http_request *request, int status, struct str content_type, struct str body);

/* 302 to the location, without a body; nobody may keep or index it, so that the next click is seen, too. Headers of
 * http_reply_header are left out. */
void http_redirect(struct http_request *request, struct str location);

/* One entry of a problem's "errors": pointer is a JSON pointer or empty. */
struct http_problem_error {
    struct str pointer;
    struct str detail;
};

/* Answers application/problem+json (RFC 9457). An empty title is the status' own phrase. */
void http_problem(struct http_request *request, int status, struct str title, struct str detail,
                  const struct http_problem_error *errors, size_t error_count);

/* Answers with what stands in request->op: status by err, detail = op.error, errors = op.pointer when set,
 * Retry-After with 429 and 503 (op.retry_after_s, else 1 s and 5 s). */
void http_fail(struct http_request *request, enum err err);

/* 400, 401, 403, 404, 409, 413, 422, 429, 503, else 500. */
int http_status_of(enum err err);

/* "Not Found"; "" for a number without a name. */
const char *http_status_phrase(int status);

/* Streams: the answer begins without a length and ends with http_stream_end. `ready` is called when a full stream can
 * take more, `gone` once when the client left; both may be NULL. After `gone` writes are dropped and the owner still
 * calls http_stream_end. HEAD requests get the headers and drop the rest. */
void http_stream_begin(struct http_request *request, int status, struct str content_type,
                       void (*ready)(struct http_request *request), void (*gone)(struct http_request *request));

/* Copies the bytes out. False when more than HTTP_STREAM_BYTES_HIGH wait unsent: they are taken, but the next ones
 * should wait for `ready`. */
bool http_stream_write(struct http_request *request, struct str bytes);

/* Bytes written and not yet taken by the system. */
size_t http_stream_waiting(const struct http_request *request);

void http_stream_end(struct http_request *request);

/* Ends a stream that cannot be finished: the connection is cut, so the client sees that something is missing. */
void http_stream_abort(struct http_request *request);
