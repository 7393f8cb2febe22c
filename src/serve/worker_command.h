/*
 * worker_command.h - one command of a worker connection, from its line to its answer.
 *
 *     line -> begin -> writer -> home -> answer -> in its turn: to the client -> sent
 *                                  |
 *                the client left:  +-> lost
 *
 * The verbs stand in tables. `begin` runs on the loop, reads the argument and
 * sends the command along a route, or writes the answer itself and sends
 * nothing. `answer` runs on the loop when the command is home again:
 *
 *     static const struct hop push_route[] = {
 *         { push_commit, THREAD_WRITER },
 *         { command_home, THREAD_CALLER },
 *         { 0 },
 *     };
 *
 * An error of begin or of a hop is answered "-ERR sentence" without asking the
 * verb. Only src/serve/worker_*.c include this.
 */
#pragma once

#include <semaphore.h>

#include "base/json_write.h"
#include "base/post.h"
#include "engine/job_read.h"
#include "engine/session.h"
#include "serve/worker_door.h"
#include "serve/worker_password.h"
#include "serve/worker_read.h"
#include "serve/worker_reply.h"

#define COMMAND_BYTES_MAX (256u << 20) /* memory of one: its line, what was read of it, its answer */

struct worker_verb;
struct worker_conn;

struct worker_command {
    struct post post; /* first: hops get the post */
    struct worker_command *next;
    struct worker_door *door;
    struct worker_conn *conn; /* NULL when the client has left */
    const struct worker_verb *verb;
    struct str argument;
    struct session_id session; /* of the connection when the command began */
    void *data;                /* the verb's own, in the command's arena */
    struct buf reply;          /* in the same arena */
    size_t bytes;              /* of the line */
    uint64_t sent_at;          /* where the answer ends among the bytes of the connection */
    int out;                   /* posts of this command under way */
    bool done;                 /* the reply is complete */
    bool ends;                 /* the connection ends behind this answer */
    struct post beside;        /* last: of command_send_beside, nothing before that */
};

#define VERB_HOLDS 1u /* commands behind it begin only when it is answered */
#define VERB_STAYS 2u /* goes on while the daemon stops */

struct worker_verb {
    const char *name;
    unsigned flags;
    enum err (*begin)(struct worker_command *command);
    void (*answer)(struct worker_command *command);
    /* Each of these may be NULL. */
    /* The client leaves, or has shut its side, while the command is under way; may come twice. */
    void (*leave)(struct worker_command *command);
    /* It is home, and nobody is there for its answer. May send it again, and is then called again. */
    void (*lost)(struct worker_command *command);
    void (*sent)(struct worker_command *command); /* the system has taken the last byte of the answer */
};

/* The verbs of a file; each table ends with an entry without name. */
extern const struct worker_verb worker_job_verbs[];
extern const struct worker_verb worker_fetch_verbs[];
extern const struct worker_verb worker_ops_verbs[];
extern const struct worker_verb worker_mutate_verbs[];
extern const struct worker_verb worker_batch_verbs[];
extern const struct worker_verb worker_track_verbs[];
extern const struct worker_verb worker_many_verbs[];
extern const struct worker_verb worker_hello_verb;

/* One connection. */
struct worker_conn {
    struct worker_door *door;
    struct line_conn *line;
    struct worker_conn *next, *before;
    struct challenge challenge;
    struct session_id session;
    struct str wid; /* in wid_bytes; empty = a producer */
    char wid_bytes[SESSION_NAME_BYTES_MAX];
    struct worker_command *first, **last;         /* begun and not answered in their turn, oldest first */
    struct worker_command *unsent, **unsent_last; /* answered; the system has not taken all of it */
    int count;                                    /* of first.. */
    size_t bytes;
    struct timer late; /* a wrong password is told when it runs */
    bool greeted;      /* a HELLO came and was not refused */
    bool holds;        /* a command is under way that nothing may overtake */
    bool over;         /* its last command has come */
    bool ended;        /* the client's side is shut: a job that is fetched for it would be lost */
};

struct worker_door {
    struct worker_door_config config;
    struct line_server *server;
    struct job_reader reader;
    struct worker_conn *conns;
    struct worker_command *free;
    int free_count;
    int out;      /* commands that are not free */
    size_t bytes; /* of their lines */
    bool stopping;
    struct arena *scratch; /* of what is read and forgotten */
    sem_t *drained;        /* who closes the door waits here */
    struct wrong_answers wrong;
    int64_t opened_us;
    _Atomic uint64_t commands;
};

static inline struct worker_command *command_of(struct post *post)
{
    return (struct worker_command *)post;
}

/* --- for the verbs --- */

/* Sends the command along a route that ends with command_home. */
void command_send(struct worker_command *command, const struct hop *route);
enum err command_home(struct post *post);

/* In the writer, of what the engine does not hear anyway: its worker lives (LEASE-4). */
void command_heard(struct post *post);

/* Sends a command that has just come home, in its last hop, along the route once more. */
void command_again(struct worker_command *command, const struct hop *route);

/* The same for a second post while the first is under way: `beside`, which has no arena, and whose last hop must call
 * command_back. Once per command. */
void command_send_beside(struct worker_command *command, const struct hop *route);
static inline struct worker_command *command_of_beside(struct post *beside)
{
    return MAIL_OF(beside, struct worker_command, beside);
}
void command_back(struct worker_command *command);

/* --- for the door --- */

/* A line of a connection that said HELLO; hello itself is a command, too. */
void command_begin(struct worker_conn *conn, const struct worker_verb *verb, struct str argument, size_t line_bytes);

/* A command of our own that nobody hears of, with no connection. */
struct worker_command *command_errand(struct worker_door *door, const struct worker_verb *verb);

/* Answers that are complete go to the client as far as it is their turn. */
void conn_drain(struct worker_conn *conn);

/* The system has taken so many bytes. */
void conn_sent(struct worker_conn *conn, uint64_t bytes);

/* The client is gone: its commands finish without it. */
void conn_abandon(struct worker_conn *conn);

/* Frees the commands kept for reuse. */
void commands_free(struct worker_door *door);
