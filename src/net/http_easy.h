/*
 * http_easy.h - one request after the other, waiting for each: for the command line.
 *
 * The daemon never waits like this; it fetches through http_client.h. Here a
 * program asks a daemon something and has nothing else to do. The connection
 * is kept between requests. Bodies may be given whole or read piece by piece,
 * so that a file of any size is sent in constant memory.
 *
 * Thread: one.
 */
#pragma once

#include "base/op.h"

#define HTTP_EASY_ANSWER_BYTES_MAX (64u << 20)

struct http_easy;

struct http_easy_config {
    const char *url;   /* "http://127.0.0.1:7420"; paths are put behind it */
    const char *token; /* bearer token; NULL: none */
    int64_t connect_ms;
    int64_t idle_ms; /* without a byte either way the request is given up */
};

struct http_easy_request {
    const char *method;
    const char *path;         /* "/v1/tenants/t-1?x=y", encoded already */
    const char *content_type; /* of the body; NULL without body */
    struct str body;
    /* Instead of body: fills at most room bytes, returns their number, 0 at the end, -1 to break off. */
    long (*read)(void *data, char *ret_bytes, size_t room);
    void *data;
    int64_t read_bytes; /* how many `read` will give, -1 when not known */
    const char *header; /* one line more, "Idempotency-Key: 7"; NULL: none */
};

struct http_easy_answer {
    int status;
    struct str body;         /* in the op's arena */
    struct str content_type; /* without parameters; empty when absent */
};

/* ERR_INVALID when the URL is none of http or https. */
enum err http_easy_open(struct op *op, const struct http_easy_config *config, struct http_easy **ret_easy);
void http_easy_close(struct http_easy *easy);

/* OK for any answer, whatever its status. ERR_UNAVAILABLE when nobody answers there, ERR_TOO_LARGE when the answer is
 * over HTTP_EASY_ANSWER_BYTES_MAX, ERR_IO when `read` broke off. */
enum err http_easy_send(struct op *op, struct http_easy *easy, const struct http_easy_request *request,
                        struct http_easy_answer *ret_answer);
