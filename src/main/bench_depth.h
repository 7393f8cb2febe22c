/*
 * bench_depth.h - what very many jobs in a queue cost those who fetch from it, in memory, and at a start (QUE-5).
 *
 *     fill  -->  empty | deep | empty | deep | ...  -->  stop and start  -->  empty | deep | ...
 *
 * A turn pushes some jobs and fetches as many. Its like is done at a server
 * that holds nothing else, turn by turn, so that both see the same machine;
 * both are started again, so that neither has what the other had in memory.
 */
#pragma once

#include "main/bench_child.h"
#include "main/measure.h"
#include "main/worker_load.h"

#define DEPTH_JOBS_MAX 100000000

struct bench_depth {
    const char *directory;     /* of the store that is filled */
    struct bench_daemon *deep; /* its server, which runs; another one afterwards */
    int64_t jobs;

    /* A run of clients at a door. */
    enum err (*run)(void *arg, const struct addr *door, struct load_config config, struct load_result *ret);
    void *arg;
    int clients;
    int64_t for_ms; /* turns of one kind fetch no longer, whatever is left */
};

/* Medians of the turns, and the memory of the deep server. */
struct depth_figures {
    struct load_turns empty, deep;
    int64_t rss_bytes, peak_bytes;
};

struct bench_depth_result {
    double fill_rate; /* jobs a second */
    double start_seconds;
    struct depth_figures filled, restarted;
};

/* Fills, measures, starts again and measures again. A progress bar while it fills. */
enum err bench_depth(struct op *op, const struct bench_depth *bench, struct bench_depth_result *ret);

/* All but the figures of the empty queue before the start, which are the head's, into the object that is open. */
void bench_depth_put(struct json_writer *w, const struct bench_depth_result *result);
