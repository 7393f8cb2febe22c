/*
 * bench_hooks.h - a running daemon under a provider's webhooks, for a bench from outside.
 *
 * A mailing, its recipients and a source of their own are made through the API;
 * then clients post signed reports of that mailing, each over a connection of
 * its own and one after the other, as a provider does. An answer counts when
 * its report is durable, since that is what 200 says (SRC-27). What was made
 * stays in the daemon, under the tenant "bench".
 */
#pragma once

#include "main/client.h"

#define BENCH_HOOK_CLIENTS_MAX 256

struct bench_hooks {
    int64_t clients, seconds; /* what is asked: connections, and how long they post */
    int64_t posted;           /* and what came of it: reports that were answered with 200 */
    int64_t took_us;
    int64_t *post_us;           /* what each took, the caller's to free */
    struct client_about daemon; /* afterwards */
};

/* Posts to the daemon of --url until the time is over or every report of the mailing was posted. An exit code, after
 * saying why it is not CLI_DONE. */
int bench_hooks_run(struct cli *cli, struct bench_hooks *hooks);
