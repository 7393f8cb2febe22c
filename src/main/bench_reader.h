/*
 * bench_reader.h - somebody who looks at figures all the time, for benches.
 *
 * A thread with a connection of its own asks a daemon for the statistics of a
 * mailing, then for a page of its messages, and so on, a millisecond between
 * answer and next request. What each answer took is kept, so that a bench can
 * say what readers feel while it writes.
 *
 * Thread: one's own; start, stop and figures belong to the caller's.
 */
#pragma once

#include <stdatomic.h>

#include "base/thread.h"
#include "net/http_easy.h"

#define BENCH_READS_MAX 200000 /* of each kind; later ones are made and not kept */

struct bench_reads {
    int64_t *took_us;
    size_t count;
};

struct bench_reader {
    struct thread thread;
    struct http_easy *easy;
    struct op op;
    atomic_bool is_over;
    char stats_path[96], list_path[96];
    struct bench_reads stats, lists;
    enum err err; /* of the request that failed; then it stops. Its sentence is in op.error */
};

/* Begins to ask. The reader stays in place until it is stopped. */
enum err bench_reader_start(struct op *op, const char *url, const char *mailing, struct bench_reader *ret);

/* Ends with the answer under way. ERR of the first request that failed. */
enum err bench_reader_stop(struct op *op, struct bench_reader *reader);

void bench_reader_free(struct bench_reader *reader);
