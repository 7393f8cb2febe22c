/*
 * child.h - a command as a process of its own, watched by a loop.
 *
 * The command runs without a shell, in a process group and session of its own,
 * with nothing of ours but three descriptors: its input is given, its output
 * and the end of its error output are kept. It cannot gain privileges. At its
 * time the group is asked to end, and made to 10 s later.
 *
 * Thread: the loop's.
 */
#pragma once

#include <sys/types.h>

#include "base/buf.h"
#include "net/loop.h"

#define CHILD_ERROR_BYTES 4096  /* the last ones are kept */
#define CHILD_GRACE_MS    10000 /* between SIGTERM and SIGKILL */

struct child_pipe {
    void *poll; /* NULL: closed */
    int fd;
};

struct child {
    /* The question; everything must stay until done. */
    const char *const *argv; /* NULL-terminated; argv[0] is a path */
    const char *const *envp; /* NULL-terminated: the whole environment */
    struct str input;
    size_t output_max; /* more is read and dropped */
    int64_t timeout_ms;
    int64_t memory_bytes; /* of address space; 0 = as ours */
    bool has_user;
    uid_t user;
    gid_t group;
    void (*done)(struct child *child);
    void *data;

    /* The answer, valid from done until child_free. */
    enum err err; /* ERR_IO: it could not be started, and `error` says why */
    char error[256];
    bool timed_out, was_stopped; /* by child_stop */
    int exit_code;               /* -1: ended by `signal` */
    int signal;
    struct str output;
    bool output_cut;
    struct str errors; /* the last CHILD_ERROR_BYTES of it */

    /* The rest belongs to child.c. */
    struct loop *loop;
    struct errand finish;
    struct timer timer;
    struct child_pipe in, out, err_out, life; /* life: readable when it has ended */
    pid_t pid;
    size_t sent;
    int open; /* handles that are not closed yet */
    bool is_killing, has_ended;
    struct buf output_buffer;
    char tail[CHILD_ERROR_BYTES];
    size_t tail_bytes; /* ever written */
};

/* done comes always and once, never from inside. */
void child_start(struct loop *loop, struct child *child);

/* Asks its group to end, as at its time. */
void child_stop(struct child *child);

/* Frees what it said; once after done. */
void child_free(struct child *child);
