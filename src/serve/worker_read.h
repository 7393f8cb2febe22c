/*
 * worker_read.h - the commands of the worker protocol, out of their lines.
 *
 *     VERB[ SP argument]        the argument is the rest, byte for byte
 *
 * Each reader takes the argument of its verb and says what was asked. Texts
 * point into the line or, decoded, into the op's arena. A reader that refuses
 * leaves the sentence a client gets behind "-ERR " in op->error; what it quotes
 * of the line is cut and holds no byte that could end a line.
 *
 * Objects are read as the clients write them: a field given twice counts as it
 * stands last, null is as good as absent, fields nobody knows are skipped.
 *
 * Thread: any; nothing here touches a socket or the store.
 */
#pragma once

#include "base/op.h"

#define WORKER_QUOTE_BYTES_MAX 256 /* of a line, in a sentence */
#define WORKER_QUEUES_MAX      256 /* named by one command */
#define WORKER_LABELS_MAX      64
#define WORKER_BACKTRACE_MAX   100    /* lines taken from a FAIL; the engine keeps fewer */
#define WORKER_JIDS_MAX        100000 /* of one filter */

struct worker_line {
    struct str verb;
    struct str argument; /* empty when there is none */
};

/* Cuts a line at its first blank. */
struct worker_line worker_line_cut(struct str line);

/* Text for a sentence: at most WORKER_QUOTE_BYTES_MAX, control characters and broken UTF-8 as '?'. */
struct str worker_quote(struct op *op, struct str text);

struct worker_hello {
    int64_t version; /* 0 when absent */
    struct str wid;  /* empty: a producer */
    struct str hostname;
    struct str labels; /* JSON array; not given = none */
    struct str password_hash;
    int64_t pid;
};

/* The argument of HELLO must begin with '{'. Any error: the connection is closed without a word. */
enum err worker_read_hello(struct op *op, struct str argument, struct worker_hello *ret);

/* ACK: the jid, which may be empty. */
enum err worker_read_ack(struct op *op, struct str argument, struct str *ret_jid);

struct worker_fail {
    struct str jid, errtype, message; /* errtype and message not given when absent */
    const struct str *backtrace;
    size_t backtrace_lines;
};
enum err worker_read_fail(struct op *op, struct str argument, struct worker_fail *ret);

struct worker_beat {
    struct str wid;
    struct str state; /* empty when absent */
    int64_t rss_kb;
};
enum err worker_read_beat(struct op *op, struct str argument, struct worker_beat *ret);

/* Names of queues, separated by blanks; empty ones are left out. Names that repeat stay: that is how clients weigh. */
struct worker_queues {
    const struct str *names;
    size_t count;
};
enum err worker_read_fetch(struct op *op, struct str argument, struct worker_queues *ret);

enum worker_queue_verb { QUEUE_PAUSE, QUEUE_RESUME, QUEUE_REMOVE, QUEUE_LATENCY };
struct worker_queue {
    enum worker_queue_verb verb;
    bool all; /* "*" was among the names */
    struct worker_queues queues;
};
enum err worker_read_queue(struct op *op, struct str argument, struct worker_queue *ret);

enum worker_mutate_verb { MUTATE_CLEAR, MUTATE_KILL, MUTATE_DISCARD, MUTATE_REQUEUE };
enum worker_set { SET_SCHEDULED, SET_RETRIES, SET_DEAD };
struct worker_mutate {
    enum worker_mutate_verb verb;
    enum worker_set target;
    bool by_jids; /* then jobtype and regexp do not count */
    const struct str *jids;
    size_t jid_count;
    struct str jobtype; /* empty = any */
    struct str regexp;  /* a glob, whatever its name says; empty = any */
};
enum err worker_read_mutate(struct op *op, struct str argument, struct worker_mutate *ret);

struct worker_track {
    bool set;
    struct str jid;
    int percent;      /* -1 = not given */
    struct str desc;  /* not given = leave it as it is */
    int64_t until_us; /* reserve_until; 0 = not given */
};
enum err worker_read_track(struct op *op, struct str argument, struct worker_track *ret);

enum worker_batch_verb { BATCH_NEW, BATCH_OPEN, BATCH_COMMIT, BATCH_STATUS };
struct worker_batch {
    enum worker_batch_verb verb;
    struct str bid;  /* of OPEN, COMMIT, STATUS */
    struct str json; /* of NEW: the object */
};
enum err worker_read_batch(struct op *op, struct str argument, struct worker_batch *ret);
