/*
 * load_protocol.h - how a queue is spoken to over the wire: by worker_load.c, to Posthouse and to its peers.
 *
 * Each does the same with a job: push, fetch, acknowledge. Redis is taken as
 * the bare reliable list under most queues on it: a fetch moves the job to a
 * second list, the acknowledgement removes it there.
 */
#pragma once

#include "base/buf.h"

#define LOAD_JOB_BYTES_MAX 1024

enum load_says { LOAD_SAYS_DONE, LOAD_SAYS_JOB, LOAD_SAYS_NO_JOB, LOAD_SAYS_ERROR };

struct load_answer {
    enum load_says says;
    struct str id; /* of a job: what it is acknowledged by */
};

struct load_protocol {
    const char *name;
    bool greets;   /* the server speaks first */
    int batch_max; /* jobs of one push */

    /* One command with one answer, before all others. worker: its name, empty for a producer. */
    void (*hello)(struct buf *out, struct str queue, struct str worker);

    /* The job with number i of the n of one push. */
    void (*push)(struct buf *out, struct str queue, struct str job, int i, int n);

    /* Waits two seconds for a job. */
    void (*fetch)(struct buf *out, struct str queue);
    void (*ack)(struct buf *out, struct str queue, struct str id);

    /* Bytes of the answer in front; 0 = it is not whole. */
    size_t (*answer)(struct str in, struct load_answer *ret);
};

extern const struct load_protocol load_faktory, load_beanstalk, load_redis;
