/*
 * bench_child.h - programs that a bench starts beside itself: a daemon, other servers to compare with.
 *
 * Whatever is started here ends with this process, however that ends.
 *
 * Thread: the main one, with which they end.
 */
#pragma once

#include <sys/types.h>

#include "net/addr.h"

struct bench_child {
    pid_t pid; /* 0 = not started, or stopped */
    struct addr addr;
};

/* What to run. */
struct bench_program {
    const char *name, *package; /* of Debian */
    const char *const *files;   /* the first of them that can be run; names without '/' are looked for in the PATH */
    const char *const *argv;    /* both end with NULL */
};

/* Starts the program, which says nothing, and returns when ret->addr, set before, can be reached. ERR_NOT_FOUND, with
 * the package, when there is no such program; ERR_IO when it ends or is not there in 10 s. */
enum err bench_child_start(struct op *op, const struct bench_program *program, struct bench_child *ret);

/* A daemon of this program; its errors go where ours go. */
struct bench_daemon {
    pid_t pid;
    struct addr http, worker;
};

/* Returns when it is ready, with a store in the directory or (not NULL) in the database, on free ports. */
enum err bench_child_serve(struct op *op, const char *directory, const char *database, struct bench_daemon *ret);

/* Asks it to end and waits until it has; nothing when it does not run. */
void bench_child_stop(pid_t *pid);

/* A port of this machine that nobody listens on, for the next moment at least. */
enum err bench_child_free_addr(struct op *op, struct addr *ret);
