/*
 * http_problem.c - statuses of errors, and bodies that say what was wrong (RFC 9457).
 */
#include <stdio.h>

#include "base/json_write.h"
#include "net/http_reply.h"

#define PROBLEM_BYTES_MAX (1024 * 1024)

/* Seconds a client should wait when nobody knows better. */
#define BUSY_RETRY_S        1
#define UNAVAILABLE_RETRY_S 5

int http_status_of(enum err err)
{
    switch (err) {
    case OK:
        return 200;
    case ERR_MALFORMED:
        return 400;
    case ERR_UNAUTHORIZED:
        return 401;
    case ERR_FORBIDDEN:
        return 403;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_CONFLICT:
        return 409;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_INVALID:
        return 422;
    case ERR_BUSY:
        return 429;
    case ERR_UNAVAILABLE:
        return 503;
    case ERR_IO:
    case ERR_BUG:
        break;
    }
    return 500;
}

const char *http_status_phrase(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        { 200, "OK" },
        { 302, "Found" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 301, "Moved Permanently" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 307, "Temporary Redirect" },
        { 308, "Permanent Redirect" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 406, "Not Acceptable" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 411, "Length Required" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
        { 507, "Insufficient Storage" },
    };
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

void http_problem(struct http_request *request, int status, struct str title, struct str detail,
                  const struct http_problem_error *errors, size_t error_count)
{
    struct buf buf;
    buf_init_arena(&buf, request->op.arena, PROBLEM_BYTES_MAX);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "type", S("about:blank")); /* RFC 9457 section 4.2.1: the status says it all */
    json_member_str(&w, "title", title.n ? title : str_of(http_status_phrase(status)));
    json_member_int(&w, "status", status);
    if (detail.n)
        json_member_str(&w, "detail", detail);
    if (error_count) {
        json_put_name(&w, "errors");
        json_array_begin(&w);
        for (size_t i = 0; i < error_count; i++) {
            json_object_begin(&w);
            json_member_str(&w, "pointer", errors[i].pointer.n ? errors[i].pointer : S(""));
            json_member_str(&w, "detail", errors[i].detail);
            json_object_end(&w);
        }
        json_array_end(&w);
    }
    json_object_end(&w);
    http_reply(request, status, S("application/problem+json"), buf.full ? S("{}") : buf_str(&buf));
}

static void add_retry_after(struct http_request *request, int status)
{
    int64_t wait_s = request->op.retry_after_s;
    if (wait_s <= 0)
        wait_s = status == 429 ? BUSY_RETRY_S : UNAVAILABLE_RETRY_S;
    char text[24];
    int n = snprintf(text, sizeof text, "%lld", (long long)wait_s);
    http_reply_header(request, S("Retry-After"), (struct str){ text, (size_t)n });
}

void http_fail(struct http_request *request, enum err err)
{
    int status = http_status_of(err);
    if (status == 429 || status == 503)
        add_retry_after(request, status);
    if (status == 401)
        http_reply_header(request, S("WWW-Authenticate"), S("Bearer"));
    struct str detail = str_of(request->op.error);
    struct http_problem_error error = { str_of(request->op.pointer), detail };
    http_problem(request, status, S(""), detail, &error, error.pointer.n ? 1 : 0);
}
