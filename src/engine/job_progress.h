/*
 * job_progress.h - how far a job says it is, and TRACK of the worker protocol (HIST-1).
 *
 * What a worker says is in RAM first and written at most once a second a job;
 * it is kept for 30 minutes behind the newest change, also when the job is gone.
 */
#pragma once

#include "engine/job_end.h"

#define PROGRESS_DESC_MAX 1024

struct job_said {
    int percent;     /* 0..100, -1 = not said: what was said before stays */
    struct str desc; /* not given = not said */
};

/* Of the job that the ref names, live; *ret_stale as in job_ack, and then nothing was changed. A jid need not be
 * leased. */
enum err job_progress_set(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_said *said,
                          enum job_stale *ret_stale);

struct job_track {
    const char *state;  /* unknown, enqueued, working, success, failed, dead */
    int64_t updated_us; /* wall; 0 = unknown */
    struct job_said said;
};

/* A job pushed without `track` is unknown, as one that is not there. In the writer. */
enum err job_track_get(struct op *op, struct tx *tx, struct str jid, struct job_track *ret);

/* TRACK SET: says it, and moves the end of the lease to until_us (wall; 0 = leaves it), never to an earlier one. Jobs
 * that are not there are passed over. */
enum err job_track_set(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_said *said,
                       int64_t until_us);
