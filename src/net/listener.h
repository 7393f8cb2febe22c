/*
 * listener.h - where a server listens, how many connections it has, and its orderly end.
 *
 * Only this folder includes it: what the HTTP server and the line server have
 * in common. A server embeds a listener and says by its hooks what a client
 * and the end mean to it:
 *
 *     open --> connected ... connected --> stop --> last_call after wait_ms --> drained
 *                                          `- close begins with it -'
 *
 * Clients are accepted here and not by libuv, which would bind them to the loop
 * that listens: a server of several loops deals them out as descriptors.
 *
 * Hooks run on the loop. open, stop and close are for another thread and wait
 * for the loop; everything else is the loop's own.
 */
#pragma once

#include <stdatomic.h>
#include <uv.h>

#include "net/addr.h"
#include "net/loop.h"

struct listener;

struct listener_hooks {
    void (*connected)(struct listener *listener); /* a client came; whom nobody takes in it is closed without a word */
    void (*drain)(struct listener *listener);     /* the end begins: what is idle may be closed; may be NULL */
    void (*last_call)(struct listener *listener); /* the end has taken long enough: closes what is left */
    void (*drained)(struct listener *listener);   /* no connection is left, close returns next; may be NULL */
};

struct listener {
    const struct listener_hooks *hooks;
    struct loop *loop;
    struct addr addr;                      /* with the port the system chose */
    int connections;                       /* open ones */
    bool draining;                         /* from close on */
    _Atomic uint64_t open_count, accepted; /* figures, for any thread */

    /* --- listener.c's --- */
    uv_poll_t poll;
    int fd;
    int spare_fd;  /* given up for a moment when no other descriptor is left */
    int client_fd; /* who came last, not taken yet; else -1 */
    struct addr client;
    bool stopped; /* poll is closing, or has */
    bool closed;
    bool ended; /* drained is due */
    struct timer end_timer;
    struct errand end;
    uv_sem_t *done; /* whoever closes waits here */
};

/* Listens on an address, or (fd > 0) takes a socket that is bound to one. After an error the owner may free it. */
enum err listener_open(struct op *op, struct listener *listener, const struct listener_hooks *hooks, struct loop *loop,
                       const struct addr *addr, int fd);

/* Takes no more clients; those it has stay. */
void listener_stop(struct listener *listener);

/* Stops, and returns when the last connection has left, which last_call sees to after wait_ms. After it, the owner's
 * memory is its own again. */
void listener_close(struct listener *listener, int64_t wait_ms);

/* In `connected`: the descriptor of the client, the caller's from now on. *ret_peer is zero when it is not known. */
int listener_take(struct listener *listener, struct addr *ret_peer);

/* On the loop: tcp becomes a handle of it for a descriptor of listener_take, which it owns. False: the system has
 * nothing left for it, and tcp is to be closed. */
bool listener_attach(struct loop *loop, uv_tcp_t *tcp, int fd);

/* A connection began, or has ended. */
void listener_joined(struct listener *listener);
void listener_left(struct listener *listener);

/* Shuts our side of a connection: the client hears the end, and may still talk. */
void listener_shut_side(uv_tcp_t *tcp);

/* Adds to a figure that only the loop's thread writes; reads it from any. */
static inline void figure_add(_Atomic uint64_t *figure, uint64_t n)
{
    atomic_store_explicit(figure, atomic_load_explicit(figure, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t figure_get(const _Atomic uint64_t *figure)
{
    return atomic_load_explicit(figure, memory_order_relaxed);
}
