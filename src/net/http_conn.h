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
#include "net/http_desk.h"
#include "net/http_parse.h"

#define HTTP_HELD_BYTES_MAX     131072 /* one read, with room to spare */
#define HTTP_PROGRESS_BYTES_MIN 1024   /* of body or answer within its time; less is a client that stalls */

struct http_conn {
    uv_tcp_t tcp;
    struct http_desk *desk;
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
    struct buf head;              /* the one it leaves with; else not there */
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
    bool leaving;    /* to the first desk, once everything is sent */
    bool moved;      /* there, and counted there */
    bool closing;    /* uv_close was called */
    bool closed;     /* and has finished */
};

/* http_conn.c */

/* The connection of a guest, who is counted already; what he said elsewhere is read at once. With refuse he only hears
 * a 503. */
void http_conn_begin(struct http_desk *desk, const struct http_guest *guest, bool refuse);

/* Answers 503 to a connection that has no request, and ends it. */
void http_conn_turn_down(struct http_conn *conn, const char *why);

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

/* http_move.c */

/* This head is for the first desk: no more is read, and once everything is sent the connection goes there with it. */
void http_conn_leave(struct http_conn *conn, struct str head);

/* Goes, when nothing is left to send. True: the connection is no longer this desk's to care for. */
bool http_conn_depart(struct http_conn *conn);

/* http_server.c */

/* A desk has neither connections nor requests any more. */
void http_server_leave(struct http_server *server);
