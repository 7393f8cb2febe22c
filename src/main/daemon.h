/*
 * daemon.h - everything a running Posthouse consists of, in the order it starts and stops.
 *
 *     start: store -> node -> jobs, tokens -> what the file declares -> loops, poller -> HTTP -> workers
 *     stop:  workers -> HTTP -> poller -> loops -> node -> store
 *
 * Doors open last and close first, so nobody meets a half of it. `serve` runs
 * one until a signal comes; `demo` and `bench` run one beside themselves.
 *
 * Thread: one, not a loop's.
 */
#pragma once

#include <stdatomic.h>

#include "base/conf.h"
#include "net/addr.h"

struct daemon;

struct daemon_config {
    const struct conf *conf;  /* checked; must outlive the daemon */
    int listen_fd;            /* above 0: a listening socket handed over (notify.h) */
    const atomic_bool *hurry; /* set by any thread: a stop waits for nobody any more (STOP-1); NULL = nobody sets it */
};

/* Everything that can be wrong with a configuration without opening the store: addresses, what it declares, the files
 * it names. ERR_INVALID, ERR_IO with a sentence. Not while a daemon runs in this process. */
enum err daemon_check(struct op *op, const struct conf *conf);

/* Starts all of it; the doors are open when it returns. ERR_CONFLICT when another daemon holds the store, ERR_FORBIDDEN
 * for a public address without any token, other errors with a sentence. Nothing is left running after an error. */
enum err daemon_start(struct op *op, const struct daemon_config *config, struct daemon **ret_daemon);

/* The configuration was read again: takes over what may change while running, says in the log what may not. conf must
 * outlive the daemon. ERR_INVALID leaves everything as it was. */
enum err daemon_reload(struct op *op, struct daemon *daemon, const struct conf *conf);

/* No new requests; those under way get the configured time; then what is in the writer is committed. */
void daemon_stop(struct daemon *daemon);

/* The address the API answers on. */
struct addr daemon_http(const struct daemon *daemon);

/* The address workers connect to. */
struct addr daemon_worker(const struct daemon *daemon);

/* "sqlite:/var/lib/posthouse" */
struct str daemon_database(const struct daemon *daemon);
