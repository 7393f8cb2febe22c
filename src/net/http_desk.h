/*
 * http_desk.h - one loop's share of a server: its connections, its requests, its figures.
 *
 * Only this folder includes it. A server has a desk on its own loop, the first,
 * and one on each loop it has besides. The first one sees who comes and deals
 * them out as guests: a descriptor and, when something was read already, that.
 *
 *     listener --> first desk --deals: who has fewest--> another desk
 *                       ^                                     |
 *                       `--a head whose route is not for it---'
 *
 * Who came to the first desk, or back to it, stays there. All between desks are
 * errands, so each desk hears of guests before it hears of the end.
 *
 * Thread: a desk is its loop's; `open` and figures may be read by any.
 */
#pragma once

#include "net/http_out.h"
#include "net/http_server.h"
#include "net/listener.h"

enum http_wait {
    HTTP_WAIT_HANDLER, /* on us: no time-out */
    HTTP_WAIT_FIRST,   /* nothing was asked yet */
    HTTP_WAIT_IDLE,
    HTTP_WAIT_HEAD,
    HTTP_WAIT_BODY,
    HTTP_WAIT_WRITE,
    HTTP_WAIT_LINGER
};
#define HTTP_WAITS 7

struct http_wait_list {
    struct http_conn *first, *last;
};

/* A client on the way to a desk. */
struct http_guest {
    struct errand errand;
    struct http_desk *desk; /* whose he will be */
    int fd;
    struct addr peer;
    int above;       /* how many had come before him above the maximum; negative: he has a place */
    struct buf said; /* read elsewhere */
};

struct http_desk {
    struct http_server *server;
    struct loop *loop;
    int connections;
    _Atomic int open; /* those, and guests on their way here */
    struct http_wait_list waits[HTTP_WAITS];
    struct timer sweep;
    struct http_pool pool;
    struct http_request *free_requests;
    int free_request_count;
    int requests_out; /* taken from the pool and not given back */
    bool draining;    /* the end begins: no request follows another */
    bool cut;         /* the end has taken long enough: nobody stays */
    bool drained;     /* no connection is left */
    struct errand drain, left;
    struct timer last_call;
    uint64_t trace_seed;
    int64_t date_s; /* second that `date` shows */
    char date[64];  /* "Date: ...\r\n" */
    size_t date_n;
    _Atomic uint64_t refused, requests, broken, dropped;
    char read_buffer[65536]; /* shared: what is read is parsed or held before the next read */
};

struct http_server {
    struct http_server_config config;
    struct http_router *router;
    struct listener listener;
    int64_t wait_ms;      /* of http_server_close */
    _Atomic int desks_up; /* desks with a connection or a request; the last one frees the server */
    int desk_count;
    struct http_desk *desks[HTTP_LOOPS_MAX]; /* [0] is the first */
};

static inline bool http_desk_is_first(const struct http_desk *desk)
{
    return desk == desk->server->desks[0];
}

struct http_desk *http_desk_new(struct http_server *server, struct loop *loop);
void http_desk_free(struct http_desk *desk);

/* --- guests --- */

/* A client has come, and is this desk's now: he gets a connection, or a word why not. */
void http_desk_receive(struct http_desk *desk, const struct http_guest *guest);

/* Another desk's thread: the guest sets out, and takes along what he said. */
void http_desk_send(struct http_desk *desk, const struct http_guest *guest);

/* Somebody of this desk who stands still gives his place to one who comes (LNK-40). False: nobody does. */
bool http_desk_make_place(struct http_desk *desk);

/* A connection is gone: it leaves its list and the count. */
void http_desk_forget(struct http_conn *conn);

/* --- waiting --- */

/* Moves the connection to the list of this wait and starts its time anew. */
void http_conn_wait(struct http_conn *conn, enum http_wait wait);

/* --- the end --- */

/* The end begins: who is idle goes, others get their answer; after server->wait_ms nobody stays. When the last one of
 * another desk than the first has left, the first hears of it. */
void http_desk_drain(struct http_desk *desk);

/* Closes whoever is left. */
void http_desk_cut(struct http_desk *desk);

/* No connection is left; the desk goes with its last request, the server with its last desk. */
void http_desk_end(struct http_desk *desk);

/* --- requests --- */

/* A fresh request from the pool, with its op begun. */
struct http_request *http_request_take(struct http_desk *desk, struct http_conn *conn);

/* Back to the pool, once answered (or never handed out) and no byte of it is still to be sent. */
void http_request_give(struct http_request *request);

/* "Date: Sat, 21 Nov 2026 19:00:00 GMT\r\n" of this second. */
struct str http_desk_date(struct http_desk *desk);
