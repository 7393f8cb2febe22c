/*
 * job.h - a job: its states, what a push may say about it, and its limits.
 *
 *     push -----------------> READY --fetch--> LEASED --ack--> DONE
 *       |  at in the future    ^ ^ ^             |
 *       +--> SCHEDULED --time--+ | |             +-- given back, first crash --> READY
 *       |                        | |             +-- snooze -----------------> SCHEDULED
 *       |  gate taken            | |             +-- fail, attempts left ----> RETRY --time--> READY
 *       +--> BLOCKED --gate free-+ |             +-- none left, final, poison > DEAD
 *                                  +-------------- retry by an operator ------------+
 *     cancel, expires_at: any waiting state -> DONE; kill: any -> DEAD
 *
 * A state is where the job's narrow row lies, never a column of a wide table.
 * job_may_move is the table of the drawing; every move asks it (JOB-1).
 *
 * Two clocks. What people schedule (`at`, a retry's time) is wall time. Leases,
 * sessions, rates and ages run on *engine time*: microseconds that go on evenly
 * within a run whatever the machine's clock does, and start again at the next
 * one where the wall clock says (LEASE-9). A job's id is the engine time at
 * which it was pushed, made unique: ids order jobs and tell their age.
 */
#pragma once

#include "base/op.h"

#define JOB_BYTES_MAX         (16 << 20) /* largest max_job_bytes that may be configured */
#define JOB_BYTES_DEFAULT     (1 << 20)  /* args, custom and the rest (JOB-5) */
#define JOB_JID_BYTES_MIN     8
#define JOB_JID_BYTES_MAX     128
#define JOB_TYPE_BYTES_MAX    256
#define JOB_QUEUE_BYTES_MAX   128
#define JOB_KEY_BYTES_MAX     256 /* fairness key, mutex, unique key, batch */
#define JOB_MESSAGE_BYTES_MAX 1000
#define JOB_ERRTYPE_BYTES_MAX 100
#define JOB_BACKTRACE_LINES   50
#define JOB_BACKTRACE_BYTES   8192
#define JOB_LEASE_US_MIN      (60 * INT64_C(1000000))
#define JOB_LEASE_US_MAX      (86400 * INT64_C(1000000))
#define JOB_LEASE_US_DEFAULT  (1800 * INT64_C(1000000))
#define JOB_NO_RETRY          INT32_MIN /* the push names no number of retries */

enum job_state { JOB_NONE, JOB_SCHEDULED, JOB_READY, JOB_LEASED, JOB_RETRY, JOB_BLOCKED, JOB_DEAD, JOB_DONE };
#define JOB_STATES 8

/* "scheduled", the word of the API; "none" for a job that is not there. */
const char *job_state_name(enum job_state state);
bool job_state_of(struct str name, enum job_state *ret);

/* The table of the drawing above. JOB_NONE is before the push and after everything was forgotten. */
bool job_may_move(enum job_state from, enum job_state to);

/* How an attempt, or the job with it, ended (HIST-2). */
enum job_outcome {
    JOB_SUCCEEDED, /* "done" */
    JOB_FAILED,
    JOB_EXPIRED_LEASE, /* "expired" */
    JOB_LOST,
    JOB_TIMEOUT,
    JOB_RETURNED,
    JOB_SNOOZED,
    JOB_LATE,
    JOB_CANCELLED,
    JOB_DISCARDED, /* ended at its first failure, retry 0 */
    JOB_EXPIRED,   /* expires_at passed before it started: outcome "expired" of the job itself */
    JOB_KILLED
};
const char *job_outcome_name(enum job_outcome outcome);

/* Why a job is dead (RETRY-4). */
enum job_death { DEATH_EXHAUSTED, DEATH_FINAL, DEATH_KILLED, DEATH_POISON, DEATH_HANDLER_GONE };
const char *job_death_name(enum job_death death);

enum unique_until { UNIQUE_SUCCESS, UNIQUE_START, UNIQUE_EXPIRY };
enum unique_conflict { CONFLICT_REJECT, CONFLICT_RETURN, CONFLICT_REPLACE, CONFLICT_EXTEND };

struct job_unique {
    int64_t for_us;   /* 0 = not unique */
    uint8_t key[16];  /* UNI-1 */
    uint8_t until;    /* enum unique_until */
    uint8_t conflict; /* enum unique_conflict */
    uint8_t states;   /* bit per enum job_state in which the lock holds; 0 = by `until` */
};

/* One job as a push says it; made by job_read. Texts are borrowed from the push. */
struct job_spec {
    struct str jid;   /* not given: the push makes one (HTTP) */
    struct str queue; /* "default" unless the push says otherwise */
    struct str jobtype;
    struct str body;       /* every other member as it was written, without the braces: "args":[1],"custom":{..} */
    int64_t at_us;         /* wall; 0 = now. In the past = now */
    int64_t expires_at_us; /* wall; 0 = never */
    int64_t lease_us;      /* 0 = the queue's (reserve_for) */
    int64_t timeout_us;    /* hard end of one attempt; 0 = the queue's */
    int32_t retry;         /* JOB_NO_RETRY = the queue's */
    int32_t priority;      /* 1..9; 0 = not given */
    uint64_t key;          /* hash of the fairness key; 0 = none */
    uint64_t mutex;        /* hash of the mutex; 0 = none */
    struct str batch;      /* id of its batch; not given = none */
    uint8_t callback;      /* which one of the batch it is; 0 = a member (ours) */
    uint64_t run;          /* of a schedule; 0 = none (ours) */
    struct job_unique unique;
    uint8_t has; /* JOB_HAS_*: members the body holds already */
    bool track;
};

#define JOB_HAS_CREATED 1u
#define JOB_HAS_RETRY   2u

/* A job on its way to a worker. Texts live in the arena of the fetch. */
struct job_out {
    uint64_t id;
    uint64_t lease; /* number of the lease: ever increasing, never used again */
    struct str jid, queue, jobtype;
    struct str body;     /* as in job_spec */
    struct str failure;  /* JSON object of the newest failure; not given = none */
    int64_t created_us;  /* wall */
    int64_t enqueued_us; /* wall */
    int64_t until_us;    /* wall; end of the lease */
    int attempt;         /* 1 = the first */
    uint8_t has;         /* JOB_HAS_* */
};
