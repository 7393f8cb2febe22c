/*
 * session.h - worker processes: who is alive, and whose leases are to be rescued.
 *
 * A session is a wid of the worker door, or a worker name over HTTP once it
 * has sent a beat (LEASE-4). A lease belongs to (session, epoch); each new
 * registration of a name that was lost has a new epoch, so a process that was
 * given up and comes back owns nothing of its former life.
 *
 *     sockets open, signs of life ......... running (or quiet, terminate)
 *     last socket closed .................. 60 s to come back, then lost
 *     60 s of silence with open sockets ... suspect: the door closes them; 60 s more, then lost
 *     beat over HTTP missing 60 s ......... suspect, 60 s more, then lost
 *
 * Lost: its leases fail with errtype WorkerLost (LEASE-7). After a start of the
 * daemon every session has 60 s to come back (LEASE-9). All calls run in the
 * writer; times are engine time.
 */
#pragma once

#include "base/op.h"
#include "store/tx.h"

#define SESSION_NAME_BYTES_MAX 128
#define SESSION_INFO_BYTES_MAX 2048
#define SESSIONS_MAX           100000
#define SESSION_SILENCE_US     (60 * INT64_C(1000000))

enum session_state { SESSION_RUNNING, SESSION_QUIET, SESSION_TERMINATE };
const char *session_state_name(enum session_state state);

/* Names a registration; { 0 } = no session. Kept by the connection. */
struct session_id {
    uint32_t no;
    uint32_t epoch;
};

struct session_info {
    struct str name;     /* the wid, 1..SESSION_NAME_BYTES_MAX bytes */
    struct str hostname; /* attributes of the first registration win */
    int64_t pid;
    struct str labels; /* JSON array text; not given = none */
    bool http;         /* beats over HTTP, has no sockets */
};

/* A connection of the worker said HELLO with its wid: registers it, or joins it; counts one more socket. ERR_BUSY
 * above SESSIONS_MAX, ERR_INVALID for a name too long. */
enum err session_join(struct op *op, struct tx *tx, const struct session_info *info, struct session_id *ret_id);

/* A connection of it closed; the last one starts the 60 s. An id of a former life is ignored. */
enum err session_leave(struct op *op, struct tx *tx, struct session_id id);

/*
 * BEAT. The worker may move its own state forward (running -> quiet -> terminate, never back); `wish` SESSION_RUNNING
 * changes nothing. ERR_NOT_FOUND "unknown worker W" when no session has the name (a wid without sockets is unknown).
 * Over HTTP (info->http) the first beat registers. *ret_revoked (may be NULL) lists the tokens of leases that were
 * cancelled, ran out or were lost since the last beat, also when it is a new session of that name that beats.
 */
enum err session_beat(struct op *op, struct tx *tx, const struct session_info *info, enum session_state wish,
                      int64_t rss_kb, enum session_state *ret_state, struct str **ret_revoked, size_t *ret_count);

/* The worker said something that no other call here hears of: a sign of life (LEASE-4). */
void session_heard(struct tx *tx, struct session_id id);

/* An operator's word: SESSION_QUIET or SESSION_TERMINATE. ERR_NOT_FOUND. */
enum err session_tell(struct op *op, struct tx *tx, struct str name, enum session_state state);

struct session_view {
    struct session_id id;
    struct str name, hostname, labels;
    int64_t pid, rss_kb;
    int64_t since_us, seen_us; /* wall */
    enum session_state state;
    bool suspect, http;
    int sockets;
    int64_t leased;
};

/* All of them in order of their names behind `after`, at most max; in the op's arena. In the writer. */
enum err session_list(struct op *op, struct tx *tx, struct str after, int max, struct session_view **ret,
                      size_t *ret_count);
enum err session_get(struct op *op, struct tx *tx, struct str name, struct session_view *ret);
int64_t session_count(struct tx *tx);

/* Called in the writer when a session becomes suspect, with open sockets: the door closes its connections. One ear,
 * the worker door's; must only post to its own loop. From any thread, as jobs_on_handlers. */
struct jobs;
void session_on_suspect(struct jobs *jobs, void (*fn)(void *data, struct session_id id), void *data);
