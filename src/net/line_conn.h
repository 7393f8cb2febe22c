/*
 * line_conn.h - one connection of a line server, between its socket and its lines.
 *
 * Only this folder includes it. A connection has one timer for whatever it is
 * being waited for; one that waits for nothing has none.
 *
 *   deadline   set by the opener: the next line
 *   line       a line has begun and not ended
 *   write      answers have not left
 *   linger     our side is shut, the client may still talk for a moment; closing
 *              with unread bytes would destroy the answer on its way
 */
#pragma once

#include "net/line_server.h"
#include "net/listener.h"

#define LINE_READ_BYTES 65536

enum line_wait { LINE_WAIT_NONE, LINE_WAIT_DEADLINE, LINE_WAIT_LINE, LINE_WAIT_WRITE, LINE_WAIT_LINGER };

struct line_conn {
    uv_tcp_t tcp;
    struct line_server *server;
    struct line_conn *next, *before; /* all connections of the server */
    void *data;
    struct addr peer;
    struct buf held;    /* bytes that came and were not given: part of a line, or lines of a paused connection */
    size_t scanned;     /* of held: no line ends before it */
    size_t counted;     /* of held, in the server's sum */
    struct buf out;     /* answers that nobody has written yet */
    struct buf sending; /* those of the write under way */
    size_t sending_at;  /* where that write began */
    uv_write_t write;
    uint64_t added, sent;
    struct errand flush;
    struct timer timer;
    enum line_wait wait;
    uint64_t wait_mark; /* bytes held or sent when the wait began */
    bool flush_due;     /* flush is queued for the end of this turn */
    bool writing;       /* libuv has `sending` */
    bool feeding;       /* lines are being given: whoever resumes now must not start it again */
    bool reading;       /* libuv delivers bytes */
    bool paused;
    bool has_deadline;
    bool finish;     /* no more lines; shut when everything is sent */
    bool shut;       /* our side is shut */
    bool read_ended; /* the client's side is shut */
    bool closing;    /* uv_close was called */
    bool closed;     /* and has finished */
};

struct line_server {
    struct loop *loop;
    struct line_server_config config;
    struct listener listener;
    struct line_conn *first;
    size_t held_bytes; /* of all connections, beyond one read each */
    _Atomic uint64_t refused, lines, dropped;
    char read_buffer[LINE_READ_BYTES]; /* shared: what is read is given or held before the next read */
};

/* Takes the connection that waits at the listener. */
void line_conn_accept(struct line_server *server);

/* line_server.c: a connection is gone and leaves the list. */
void line_server_forget(struct line_conn *conn);
