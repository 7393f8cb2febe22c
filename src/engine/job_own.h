/*
 * job_own.h - Posthouse's own work as jobs (HAND-5).
 *
 * A long work is a job of a type "posthouse.*" in one of our two queues, seen and
 * counted like all others. It is done in steps of few rows; a step's effect and
 * the bookmark that says where the next one begins are one transaction, so it
 * goes on where it stood after a pause, a stop or a crash. Between steps others
 * have the writer, and the budget's cpu_share says how long (BUD-2).
 *
 * A new kind is a function with a line in step_of of job_own.c; housekeeping has a table of its own (keep_run.h).
 */
#pragma once

#include "engine/job_end.h"
#include "store/store_work.h"

#define OWN_QUEUE       "posthouse.background" /* what people ask for, with the budget `background` */
#define KEEP_QUEUE      "keep"                 /* what falls due by itself, with the budget `keep` (KEEP-1) */
#define OWN_CONCURRENCY 8
#define OWN_ROWS_MAX    500                     /* of a step that people asked for; own_pace.h says how many */
#define OWN_SLOT_US     (INT64_C(30) * 1000000) /* after so long others that wait have its slot (KEEP-4) */

/* One step of one job, for its function. */
struct own_work {
    uint64_t id;
    struct str jobtype;
    struct str args;    /* the job's, a JSON array */
    struct work_row at; /* where it stands; the function leaves there where the next step begins */
    int64_t nominal_us; /* of a run of a schedule, else when it was asked for; wall: what is old, say, as of then */
    int rows;           /* at most so many */
    bool is_over;       /* set by the function with the last step */
    struct str result;  /* JSON, with is_over */
};

/* One step as the runner asks for it. */
struct own_turn {
    struct job_lease lease;
    struct str jobtype, body;
    int rows;
    int64_t eta_s; /* how long the rest takes, as the runner sees it; -1 = not known yet */
    /* the answer */
    int64_t done, total;
    bool is_over;      /* the job is done and acked, or waits for its next slot, or is somebody else's by now */
    bool is_yielding;  /* its queue is paused, or all stops: give it back */
    int64_t share_ppm; /* of the time that its steps may take */
};

/* What a queue of ours begins with. */
struct str own_policy(struct str queue);

/* In the writer. ERR_NOT_FOUND for a type that is none of ours. */
enum err own_step(struct op *op, struct tx *tx, struct own_turn *turn);

/* Pushes a job of ours into OWN_QUEUE: `args` is a JSON array. *ret_jid in op's arena. */
enum err own_push(struct op *op, struct tx *tx, const char *jobtype, struct str args, struct str *ret_jid);
