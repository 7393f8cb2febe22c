/*
 * http_conn.h - one connection of the server, between its socket and its request.
 *
 * Only this folder includes it. A connection has at most one request at a time
 * and is in exactly one kind of wait; each kind has a list in order of begin,
 * so the sweep looks at list heads only, however many connections there are.
 *
 *   FIRST --bytes--> HEAD --head--> BODY --all--> HANDLER --answer--> WRITE --sent--> IDLE --bytes--> HEAD
 *                                                                       |
 *                                         close asked, after an error:  +--> LINGER --> closed
 *
 * LINGER: our side is shut, the client may still talk for a moment; closing with
 * unread bytes would reset the connection and destroy the answer on its way.
 */
#pragma once

#include "base/buf.h"
#include "net/http_out.h"
#include "net/http_parse.h"
#include "net/http_server.h"
#include "net/listener.h"

#define HTTP_PROGRESS_BYTES_MIN 1024 /* of body or answer within its time; less is a client that stalls */

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

struct http_conn {
    uv_tcp_t tcp;
    struct http_server *server;
    struct http_conn *next, *before; /* in the list of its wait */
    int64_t since_ms;                /* when this wait began or was last renewed */
    size_t progress;                 /* bytes of body since then */
    uint64_t sent;                   /* bytes of answers the system has taken */
    uint64_t sent_mark;              /* the same when the wait for writing began */
    enum http_wait wait;
    struct addr peer;
    struct http_parser parser;
    struct http_request *request; /* the one being read or answered */
    struct buf held;              /* bytes that came before their turn */
    struct http_out out;
    uv_write_t *writing; /* a write the system has not taken wholly */
    struct errand flush;
    bool flush_due;  /* flush is queued for the end of this turn */
    bool feeding;    /* the parser runs: whoever answers now must not start it again */
    bool reading;    /* libuv delivers bytes */
    bool paused;     /* a streamed body waits for its taker */
    bool deaf;       /* what comes is broken or unwanted and thrown away */
    bool finish;     /* shut when everything is sent */
    bool shut;       /* our side is shut */
    bool read_ended; /* the client's side is shut */
    bool asked;      /* a head has come */
    bool closing;    /* uv_close was called */
    bool closed;     /* and has finished */
};

struct http_wait_list {
    struct http_conn *first, *last;
};

struct http_server {
    struct loop *loop;
    struct http_server_config config;
    struct http_router *router;
    struct listener listener;
    struct http_wait_list waits[HTTP_WAITS];
    struct timer sweep;
    struct http_pool pool;
    struct http_request *free_requests;
    int free_request_count;
    int requests_out; /* taken from the pool and not given back */
    bool drained;     /* closed: it goes with the last of them */
    uint64_t trace_seed;
    int64_t date_s; /* second that `date` shows */
    char date[64];  /* "Date: ...\r\n" */
    size_t date_n;
    _Atomic uint64_t refused, requests, broken, dropped;
    char read_buffer[65536]; /* shared: what is read is parsed or held before the next read */
};

/* http_conn.c */

/* Takes the connection that waits at the listener; with refuse it only hears a 503. */
void http_conn_accept(struct http_server *server, bool refuse);

/* Ends the connection now; its request is given up or told. */
void http_conn_close(struct http_conn *conn);

/* The wait of this connection has lasted too long. False: it made progress and waits on. */
bool http_conn_expire(struct http_conn *conn);

/* Somebody else needs the place of this connection, which is the oldest of its wait. False: it made progress. */
bool http_conn_give_way(struct http_conn *conn);

/* The request's answer is complete in conn->out. keep: read the next request. */
void http_conn_answered(struct http_conn *conn, bool keep);

/* Something was added to conn->out: it leaves at the end of this turn. */
void http_conn_flush_later(struct http_conn *conn);

/* The taker of a streamed body wants no more for now, or again; what had come meanwhile is given first. */
void http_conn_pause(struct http_conn *conn, bool paused);

/* http_request.c */

/* What the parser found in the bytes of the connection. */
void http_conn_event(struct http_conn *conn, enum http_event event, struct str piece);

/* Answers an error that this folder found; what else the client sends is thrown away. */
void http_conn_refuse(struct http_conn *conn, int status, const char *detail);

/* No more of the body will come: the taker hears it once. */
void http_request_break(struct http_request *request, enum err err, const char *why);

/* http_reply.c */

/* Output that pointed into the request's memory has left. */
void http_request_sent(struct http_request *request);

/* http_server.c */

/* A fresh request from the pool, with its op begun. */
struct http_request *http_request_take(struct http_server *server, struct http_conn *conn);

/* Back to the pool, once answered (or never handed out) and no byte of it is still to be sent. */
void http_request_give(struct http_request *request);

/* Moves the connection to the list of this wait and starts its time anew. */
void http_conn_wait(struct http_conn *conn, enum http_wait wait);

/* A connection is gone: it leaves its list and the count. */
void http_server_forget(struct http_conn *conn);

/* "Date: Sat, 21 Nov 2026 19:00:00 GMT\r\n" of this second. */
struct str http_server_date(struct http_server *server);
