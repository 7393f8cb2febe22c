/*
 * job_push.h - takes jobs in.
 *
 * One call is one command of the writer and may carry many jobs: each is
 * accepted, is a duplicate, or is refused by itself; the others still go in.
 * The answer may leave after the commit, as with every command.
 *
 *     jid      live, or finished within 2 minutes: a duplicate, nothing changes (JOB-3)
 *     queue    unknown: made; draining or full: refused unless `inside` (QUE-5, QUE-6)
 *     unique   taken: refused, or as its on_conflict says (UNI-2)
 *     at       in the future: SCHEDULED
 *     mutex    gate taken: BLOCKED (MTX-1)
 *     else     READY, and the first fetcher waiting for the queue has it in this very transaction
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

enum job_push_result {
    JOB_PUSHED,
    JOB_DUPLICATE,       /* jid is live: `state` says where */
    JOB_NOT_UNIQUE,      /* `jid` names the holder; the sentence is "Job not unique" */
    JOB_RETURNED_HOLDER, /* unique with on_conflict return, replace or extend: `jid` and `state` are the holder's */
    JOB_REFUSED          /* `err` and `detail` say why */
};

struct job_pushed {
    enum job_push_result result;
    enum job_state state;  /* where the job is now */
    struct str jid;        /* its jid, made when the push had none */
    enum err err;          /* of JOB_REFUSED and JOB_NOT_UNIQUE: ERR_BUSY queue full, ERR_CONFLICT draining,
                              ERR_INVALID no such batch ... */
    struct str detail;     /* sentence: `queue "q" is full (N jobs)`, `No such batch b-1` */
    const char *pointer;   /* JSON pointer of the member at fault, "" */
    int64_t retry_after_s; /* with ERR_BUSY */
};

/* A push of n jobs; results[i] is of specs[i]. `inside`: by Posthouse itself, never refused for a full or draining
 * queue. Fails as a whole only when the store fails. */
enum err job_push(struct op *op, struct tx *tx, const struct job_spec *specs, size_t n, bool inside,
                  struct job_pushed *results);
