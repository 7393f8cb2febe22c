/*
 * line_server.h - a protocol of lines on a loop: commands in, answers out.
 *
 * Whoever speaks it is given whole lines, one call each, and writes bytes back;
 * what is written in one turn of the loop leaves in one write. Lines that have
 * arrived behind each other are given behind each other, so a client may send
 * many before it reads an answer.
 *
 *     accept -> opened -> line, line, ... -> closed
 *
 * A connection that is paused gets no line and, once 64 KiB have come, is not
 * read any more: its client waits in TCP. The same happens by
 * itself while more than out_bytes_high of its answers are unsent. A line that
 * does not end, an answer that is not taken and a greeting that does not come
 * have their time; then the connection is dropped, never waited for. Between
 * two lines a connection may be silent for ever.
 *
 * Thread: everything but open, stop, close and counts runs on the loop's.
 */
#pragma once

#include "base/buf.h"
#include "net/addr.h"
#include "net/loop.h"

struct line_server;
struct line_conn; /* line_conn.h; valid from opened() to the end of closed() */

struct line_server_config {
    struct addr listen;    /* port 0: the system chooses, see line_server_addr */
    int connections_max;   /* default 10,000; one above is closed without a word */
    size_t line_bytes_max; /* default 16 MiB, without the line's end */
    size_t held_bytes_max; /* default 256 MiB: unfinished lines of all connections together */
    size_t out_bytes_high; /* default 1 MiB: unsent answers of a connection above which it gets no line */
    int64_t line_ms;       /* default 30,000: in which an unfinished line must grow by 1 KiB or end */
    int64_t write_ms;      /* default 30,000: in which a client must take some of its answers */
    int64_t linger_ms;     /* default 2,000: how long a connection we ended may still talk */
    void *data;            /* line_conn_server_data */

    void (*opened)(struct line_conn *conn);
    /* A line without its end; valid during the call. */
    void (*line)(struct line_conn *conn, struct str line);
    /* A line above line_bytes_max, or no room for one: say something, then line_conn_finish. No line follows. */
    void (*too_long)(struct line_conn *conn);
    /* So many bytes of answers have been taken by the system since the beginning. NULL: nobody cares. */
    void (*sent)(struct line_conn *conn, uint64_t bytes);
    /* The client sends nothing more; it may still read. NULL: nobody cares. */
    void (*ended)(struct line_conn *conn);
    /* The client is gone or was dropped, or we closed: the last call of this connection. */
    void (*closed)(struct line_conn *conn);
};

/* Figures since start; read from any thread. */
struct line_server_counts {
    uint64_t connections; /* open now */
    uint64_t accepted;
    uint64_t refused; /* above connections_max */
    uint64_t lines;
    uint64_t dropped; /* connections closed for being slow */
};

/* Listens. Zeros in config mean the defaults. Any thread but the loop's. ERR_IO when the address cannot be bound. */
enum err line_server_open(struct op *op, struct loop *loop, const struct line_server_config *config,
                          struct line_server **ret_server);

/* Accepts no more connections; those there are go on. Any thread but the loop's. */
void line_server_stop(struct line_server *server);

/* Stops listening, waits up to wait_ms until the connections have ended by themselves, closes the rest and frees the
 * server. Any thread but the loop's. */
void line_server_close(struct line_server *server, int64_t wait_ms);

/* The address in use, with the port the system chose. */
struct addr line_server_addr(const struct line_server *server);

struct line_server_counts line_server_counts(const struct line_server *server);

/* --- one connection --- */

/* What the opener keeps with a connection; NULL at first. */
void line_conn_keep(struct line_conn *conn, void *data);
void *line_conn_data(const struct line_conn *conn);
void *line_conn_server_data(const struct line_conn *conn);
struct addr line_conn_peer(const struct line_conn *conn);

/* The client's side is shut, though the loop may not have come to read that. A system call. */
bool line_conn_is_left(const struct line_conn *conn);

/* Appends to what the connection has to say; returns how many bytes have been added since the beginning. */
uint64_t line_conn_add(struct line_conn *conn, struct str bytes);

/* Between pause and resume no line is given. May be called inside line(). */
void line_conn_pause(struct line_conn *conn);
void line_conn_resume(struct line_conn *conn);

/* The next line must have come within `ms`; otherwise the connection is closed without a word. 0 takes it back. */
void line_conn_deadline(struct line_conn *conn, int64_t ms);

/* No more lines: what was added is sent, then the connection ends. */
void line_conn_finish(struct line_conn *conn);

/* Ends the connection at once; closed() is called before it returns. Not inside closed(). */
void line_conn_close(struct line_conn *conn);
