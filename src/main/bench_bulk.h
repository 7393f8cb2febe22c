/*
 * bench_bulk.h - what one action on very many jobs costs those who fetch meanwhile (RETRY-5).
 *
 *     so many jobs die  -->  alone | beside | beside | alone | alone | beside | ...
 *
 * The action takes them back while the same work is measured again, and is
 * paused for each turn of work alone, so that both see the same store and the
 * same machine. Turns are a second, and what is said is their median: a machine
 * that did something else for one of them is not heard.
 */
#pragma once

#include "main/worker_load.h"

#define BULK_JOBS_MAX 10000000

struct bench_bulk {
    const char *url; /* of the API, without a token */
    int64_t jobs;    /* that the action is about */
    int turns;       /* of each kind, 1..LOAD_TURNS_MAX */

    /* Pushes so many jobs into the queue. */
    enum err (*fill)(void *arg, struct str queue, int64_t jobs);

    /* One turn of work. */
    enum err (*work)(void *arg, int64_t for_ms, struct load_result *ret);
    void *arg;
};

struct bench_bulk_result {
    struct load_turns alone, beside; /* medians */
    double bulk_rate;                /* jobs a second that the action moved while others worked */
};

/* ERR_CONFLICT when the action is over before the turns are: more jobs are needed. */
enum err bench_bulk(struct op *op, const struct bench_bulk *bench, struct bench_bulk_result *ret);
