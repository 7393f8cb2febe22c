/*
 * poller.h - reads the polled sources that are this node's part, on one loop.
 *
 *     sweep (each minute, and when source_signal rings): which sources are there, what changed, whose is what
 *        |
 *     source: lease -> load -> drive: fetch, parse, commit, again, until the machine of source.h waits
 *        |
 *     leave: another node has too few (share.h) -> the pages in hand are kept, the lease is given back
 *
 * Where several nodes live a sweep comes every few seconds: nothing rings between processes, so a source made, changed
 * or left behind elsewhere is found by looking.
 *
 * Decisions are the machine's; this folder sends requests, posts commits to the
 * writer and keeps the limits that span sources: at most POLLER_HOST_MAX
 * requests per provider host, whose sources take turns. Beside it run the
 * follow-up tasks (task_runner.h) and, each minute, a look at the warnings.
 *
 * Thread: start and stop from any thread but the loop's; all else on the loop.
 */
#pragma once

#include "engine/agent.h"
#include "engine/node.h"
#include "net/http_client.h"
#include "store/tx.h"

#define POLLER_HOST_MAX   4
#define POLLER_SWEEP_MS   60000
#define POLLER_LOOK_MS    5000    /* the same where other nodes live too */
#define POLLER_STEP_US    5000000 /* a wall clock this far off the monotonic one has stepped */
#define POLLER_RENEW_MS   20000
#define POLLER_AGAIN_MS   1000        /* after the store could not answer */
#define POLLER_LEASE_MS   20000       /* after another node held the lease */
#define POLLER_PAGE_BYTES (64u << 20) /* arena of one page, its parsed events included */

struct poller;

struct poller_config {
    struct store *store;
    struct loop *loop;
    struct http_client *client;       /* on that loop */
    struct node_board *nodes;         /* this node's life: names the leases */
    const struct agent_list *agents;  /* known scanners, or NULL */
    const struct cidr_list *networks; /* networks of machines, or NULL */
};

/* Starts reading. Everything the config names outlives the poller. */
struct poller *poller_start(const struct poller_config *config);

/* Other lists; the former ones are not read any more when this returns. Any thread but the loop's. */
void poller_lists(struct poller *poller, const struct agent_list *agents, const struct cidr_list *networks);

/* Asks for no further page, lets the pages in hand be committed, gives the leases back, and frees the poller. */
void poller_stop(struct poller *poller);
