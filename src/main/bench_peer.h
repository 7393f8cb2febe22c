/*
 * bench_peer.h - other queues to be measured beside Posthouse, as durable as they can be: synced before every answer.
 *
 *     beanstalkd   -f 0
 *     redis        a list, appendfsync always
 */
#pragma once

#include "main/bench_child.h"
#include "main/load_protocol.h"

struct bench_peer {
    const char *name, *package; /* of Debian */
    const char *const *files;   /* as struct bench_program */
    const struct load_protocol *protocol;
    struct bench_child child;
};

/* Starts it in the directory, on a free port of this machine. ERR_NOT_FOUND where it is not installed, ERR_INVALID for
 * a name nobody knows; ret->name is its own name then, or NULL. */
enum err bench_peer_start(struct op *op, const char *name, const char *directory, struct bench_peer *ret);
void bench_peer_stop(struct bench_peer *peer);
