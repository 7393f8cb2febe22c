/*
 * worker_load.h - producers and workers over the worker door, or a peer's, as fast as they are answered.
 *
 * A producer has one command under way, a push of one job or of a batch. A
 * worker fetches one job, acknowledges it and fetches the next, each time
 * waiting for the answer: what a standard client does. All connections are
 * served by one thread, this one.
 */
#pragma once

#include "base/op.h"
#include "main/load_protocol.h"
#include "net/addr.h"

#define LOAD_CLIENTS_MAX 10000

struct load_config {
    struct addr door;
    const struct load_protocol *protocol; /* NULL = the worker door's */
    int producers, workers;
    int batch;      /* jobs of a push; 1 = PUSH, above PUSHB */
    int64_t jobs;   /* at most so many are pushed, or, without producers, worked; 0 = as time allows */
    int64_t for_ms; /* producers stop then, workers when all is done (without producers: then); 0 = no limit */
    struct str queue;
    uint64_t seed; /* makes jids of one run differ from those of another */
};

struct load_result {
    int64_t pushed, acked, acked_in_time; /* while producers still pushed, too */
    int64_t took_us;
    double push_p50_ms, push_p99_ms;   /* from a push to its answer */
    double fetch_p50_ms, fetch_p99_ms; /* from a fetch to its job */
    double work_p50_ms, work_p99_ms;   /* from a fetch to the answer of the ack */
};

/* What several turns of fetches came to: jobs a second that were acknowledged, and what a fetch took. */
struct load_turns {
    double rate, fetch_p50_ms, fetch_p99_ms;
};

#define LOAD_TURNS_MAX 1000

/* Turns of one kind; all zero at first. */
struct load_series {
    double rate[LOAD_TURNS_MAX], fetch_p50_ms[LOAD_TURNS_MAX], fetch_p99_ms[LOAD_TURNS_MAX];
    size_t count;
    int64_t took_us; /* all of them */
};

/* One more of them. */
void load_series_add(struct load_series *series, const struct load_result *result);

/* The median of each; sorts them. */
struct load_turns load_series_medians(struct load_series *series);

/* Runs until done. ERR_IO when the server cannot be reached, ends a connection, answers an error or, for 60 s, nothing.
 */
enum err worker_load(struct op *op, const struct load_config *config, struct load_result *ret);
