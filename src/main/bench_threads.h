/*
 * bench_threads.h - which threads of this process had the processors, and which waited for one, for bench.
 *
 * Daemon and load share a process and a machine, so a figure that falls may
 * mean that the daemon became slower, or that its load found no processor. The
 * kernel counts both for each thread: the time it ran, and the time it could
 * have run and stood in line. Threads of one name are one group ("reader-2" is
 * of "reader").
 *
 * Thread: any.
 */
#pragma once

#include "base/json_write.h"

#define BENCH_THREADS_MAX 128
#define BENCH_GROUP_BYTES 16

struct bench_thread {
    int64_t id;                    /* 0 in a sum */
    char group[BENCH_GROUP_BYTES]; /* name without its number */
    int64_t ran_us, waited_us;
};

struct bench_threads {
    struct bench_thread all[BENCH_THREADS_MAX];
    int count;
    int64_t at_us, machine_us; /* monotonic; what all processes together have had of the processors */
};

/* How things stand now. Of a kernel that does not tell no thread is there. */
void bench_threads_look(struct bench_threads *ret);

/* Adds what each group had between two looks to sums, which begin zero-filled; threads that were not there at both have
 * no part in it. */
void bench_threads_add(const struct bench_threads *before, const struct bench_threads *after,
                       struct bench_threads *sums);

/* A member "processors" of the object that is open: for each group how many processors it had (`ran`) and how many of
 * its threads stood in line for one (`waited`), both on average, and what other processes had (`elsewhere`). */
void bench_threads_put(struct json_writer *w, const struct bench_threads *sums);
