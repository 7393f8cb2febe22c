/*
 * http_server.h - HTTP/1.1 on a loop, or on several: connections in, requests out to handlers.
 *
 * llhttp reads, libuv carries, this folder keeps the limits. A handler gets a
 * `struct http_request`, owns it until it has answered exactly once (http_reply.h)
 * and answers on the thread of its loop (request->loop): at once, or later when its post comes home.
 * When the client leaves meanwhile the answer is dropped; a handler whose work is
 * only worth it for somebody who waits names a `left`, else nothing changes for it.
 *
 *   accept -> head -> route -> admit -> body -> handle -> reply -> next head
 *               |       |        |       |
 *              400     404      401     413 408
 *              408     405      403
 *              431
 *
 * Requests of one connection are answered in order: the next one is read only
 * when the one before is answered. Slow clients are dropped by time-outs, never
 * waited for.
 *
 * A server with further loops deals connections out to all of them. Routes with
 * HTTP_ANY_LOOP are answered where the connection is; with the first head for
 * anything else it goes to the server's own loop (http_move.c) and stays there.
 * So all other handlers may suppose that one thread runs them.
 */
#pragma once

#include "base/buf.h"
#include "net/addr.h"
#include "net/http_head.h"
#include "net/http_route.h"
#include "net/loop.h"

#define HTTP_STREAM_BYTES_HIGH 65536 /* http_stream_write asks to wait above this many unsent bytes */
#define HTTP_LOOPS_MAX         8     /* of one server */

struct http_server;
struct http_conn;
struct http_desk;

enum http_body {
    HTTP_BODY_PIECE,  /* bytes, valid during the call */
    HTTP_BODY_END,    /* the body was complete; no bytes */
    HTTP_BODY_BROKEN, /* no more will come: op.error tells why; answer with http_fail(request, request->body_err) */
};

struct http_request {
    struct op op; /* lives until the answer is given; op.arena is the request's memory */

    struct str method;
    struct str target; /* as sent: path?query */
    struct str path;   /* as sent, not decoded */
    struct str query;  /* without '?'; not given when there is none */
    struct str body;   /* whole body; empty for streamed routes */
    struct addr peer;
    const struct http_route *route;
    struct str params[HTTP_PARAMS_MAX]; /* decoded, in the order of the pattern */
    int param_count;
    bool head_only; /* HEAD: the body of the answer is not sent */
    int64_t began_us;
    struct loop *loop; /* it is answered on its thread */
    void *server_data; /* from the server's config */
    void *data;        /* the handler's own; NULL at first */
    /* Named by a handler that answers later; it may answer in it. The client has shut its side (gone: false; it may
     * still read an answer) or the connection has ended (gone: true; nobody will). Each is told at most once, and
     * neither after the answer. */
    void (*left)(struct http_request *request, bool gone);
    const void *caller; /* who is asking, as admit() found out; not read here */
    enum err body_err;  /* with HTTP_BODY_BROKEN: ERR_TOO_LARGE, ERR_MALFORMED or ERR_IO (client gone or too slow) */

    /* The rest belongs to this folder. */
    struct http_desk *desk;
    struct http_conn *conn; /* NULL when the client has left */
    struct http_request *next;
    struct buf body_buffer;
    int64_t body_bytes; /* that have come so far */
    struct buf reply_headers;
    void (*body_take)(struct http_request *request, struct str piece, enum http_body state);
    void (*stream_ready)(struct http_request *request);
    void (*stream_gone)(struct http_request *request);
    int status;         /* of the answer */
    bool handed;        /* to its handler, who owes an answer */
    bool answered;      /* the status line is out */
    bool streaming;     /* an answer of unknown length is under way */
    bool stream_full;   /* the stream waits for `ready` */
    bool body_complete; /* nothing of this request is still to be read */
    bool keep_alive;    /* the client wants to go on after the answer */
    int sends;          /* blocks of output that point into this request */
    struct http_head head;
};

struct http_server_config {
    struct addr listen; /* port 0: the system chooses, see http_server_addr */
    int listen_fd;      /* above 0: a socket that listens already (socket activation); `listen` is then not read */
    struct loop *const *also; /* loops besides the server's own, at most HTTP_LOOPS_MAX - 1; read while it opens */
    int also_count;
    struct str prefix;   /* "/blog": paths below it are also those of HTTP_PREFIXED routes; must outlive the server */
    int connections_max; /* on all loops, default 10,000; one above takes the place of one that asks nothing, else it
                            gets 503 */
    int64_t head_ms;     /* default 10,000: from the first byte of a head to its end, and until the first one begins */
    int64_t body_ms;     /* default 30,000: in which at least 1 KiB of body must come */
    int64_t write_ms;    /* default 30,000: in which a client must take some of its answer */
    int64_t idle_ms;     /* default 75,000: between requests */
    int64_t linger_ms;   /* default 2,000: how long a closed connection may still talk */
    size_t arena_bytes_max; /* default 64 MiB: memory of one request */
    void *data;             /* shown to handlers as request->server_data */
    /* Called when the head is there and the route known, before any body is read: who is it, may he do this?
     * An error is answered (http_fail) and the body not read. On the request's loop. NULL: everybody may. */
    enum err (*admit)(struct http_request *request);
    /* Called once per answer, for logs and metrics; also for answers that found no client. On the request's
     * loop. NULL: nobody listens. */
    void (*answered)(const struct http_request *request, int status);
};

/* Figures since start; read from any thread. */
struct http_server_counts {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t refused;  /* above connections_max */
    uint64_t requests; /* heads read */
    uint64_t broken;   /* answered 400, 408, 413, 414, 431, 501 by this folder */
    uint64_t dropped;  /* connections closed for being slow */
};

/* Listens; the routes and config->data must outlive the server. Zeros in config mean the defaults. Any thread but
 * its loops'. ERR_IO when the address cannot be bound, with the reason. */
enum err http_server_open(struct op *op, struct loop *loop, const struct http_server_config *config,
                          const struct http_route *routes, size_t route_count, struct http_server **ret_server);

/* Stops listening, closes idle connections, lets requests under way be answered for at most wait_ms, then closes
 * what is left. A request still with its handler stays valid until answered. Any thread but its loops', which are
 * stopped after it. */
void http_server_close(struct http_server *server, int64_t wait_ms);

/* The address in use, with the port the system chose. */
struct addr http_server_addr(const struct http_server *server);

struct http_server_counts http_server_counts(const struct http_server *server);

/* First value of a header, without blanks around; not given when absent. Names compare without case. */
struct str http_header(const struct http_request *request, struct str name);

/* First value of a query field, decoded; not given when absent. All fields in order: form_next over request->query. */
struct str http_query(struct http_request *request, struct str name);

/* Streamed bodies (HTTP_BODY_STREAM), loop thread. The handler names its taker before it returns; pieces come after.
 * Between pause and resume no piece comes and the client is held back. END or BROKEN comes exactly once, unless the
 * request was answered before. */
void http_body_take(struct http_request *request,
                    void (*take)(struct http_request *request, struct str piece, enum http_body state));
void http_body_pause(struct http_request *request);
void http_body_resume(struct http_request *request);
