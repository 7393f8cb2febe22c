/*
 * poll_host.h - how many requests a provider's host gets, and whose turn it is.
 *
 * Sources that share a host share its POLLER_HOST_MAX slots. Who wants one and
 * finds none stands in line, once; each turn is one request, then the source
 * goes to the end of the line. So sources take turns round robin (SRC-9), and
 * a provider that hangs holds its own slots only.
 *
 * Thread: the poller's loop.
 */
#pragma once

#include <stdbool.h>

#include "base/str.h"

struct poll_host {
    struct poll_host *next; /* of all hosts */
    char *origin;           /* "https://api.mailgun.net" */
    int under_way;
    struct poll_turn *first, *last; /* in line */
};

/* A source's place in the line; embed it. */
struct poll_turn {
    struct poll_turn *next;
    bool is_in_line;
};

/* The host of a base URL, made when it is new; hosts live as long as the list. */
struct poll_host *poll_host_get(struct poll_host **hosts, struct str base_url);
void poll_hosts_free(struct poll_host **hosts);

/* Stands in line; nothing when it does already. */
void poll_host_queue(struct poll_host *host, struct poll_turn *turn);

/* Leaves the line. */
void poll_host_leave(struct poll_host *host, struct poll_turn *turn);

/* The next in line when a slot is free, which it may use now; NULL otherwise. */
struct poll_turn *poll_host_take(struct poll_host *host, int max);
