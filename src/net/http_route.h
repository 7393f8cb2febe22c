/*
 * http_route.h - which handler a path belongs to.
 *
 * A pattern is literal segments and {name} segments, "/v1/mailings/{id}/stats";
 * "{name*}" as the last one takes the rest of the path with its slashes. The
 * raw path is cut at '/' first and each segment decoded after, so an id may
 * hold any byte, also "%2F". A literal wins over a {name}. Routes of GET answer
 * HEAD as well.
 *
 * Thread: a table is made once and then only read.
 */
#pragma once

#include "base/op.h"

#define HTTP_PARAMS_MAX 4

struct http_request;

enum http_route_flags {
    HTTP_BODY_STREAM = 1, /* the handler runs when the head is there and takes the body in pieces (http_body_take) */
    HTTP_PREFIXED = 2,    /* also found below the server's prefix */
    HTTP_ANY_LOOP = 4, /* the handler may run on each loop of the server, on several at a time; request->loop tells */
    HTTP_CALLERS = 256 /* this one and higher ones mean what the server's owner says; not read here */
};

struct http_route {
    const char *method;  /* "GET" */
    const char *pattern; /* "/v1/mailings/{id}" */
    void (*handle)(struct http_request *request);
    int64_t body_bytes_max; /* 0: the largest body is empty */
    unsigned flags;         /* enum http_route_flags */
    int scope;              /* for the caller's admit(); not read here */
    const void *data;       /* for the handler; not read here */
};

struct http_router;

/* Asserts that patterns are well formed and no two routes are the same. The routes must outlive the router. */
struct http_router *http_router_new(const struct http_route *routes, size_t count);
void http_router_free(struct http_router *router);

struct http_match {
    const struct http_route *route; /* NULL: the path exists, but not with this method */
    struct str params[HTTP_PARAMS_MAX];
    int param_count;
};

/* ERR_NOT_FOUND when no pattern fits, ERR_MALFORMED for a broken percent escape. A method that does not fit gives OK
 * with route NULL; http_router_allow names the ones that do. Decoded params live in op's arena. */
enum err http_router_match(struct op *op, const struct http_router *router, struct str method, struct str path,
                           struct http_match *ret);

/* "GET, HEAD, PUT" of a path that exists, for the Allow header. */
struct str http_router_allow(struct op *op, const struct http_router *router, struct str path);
