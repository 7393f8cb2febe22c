/*
 * simulate_mailgun.h - a stand-in for the mail provider, behind the provider's own doors.
 *
 * Plays the mailing of engine/simulate.h: Events API, Logs API, sending,
 * suppression lists and signed webhooks as an unchanged client library expects
 * them, and under /sim/ what no provider offers: the recipients to import, the
 * truth to compare with, faults on demand, and what was asked of it.
 *
 *   GET  /v3/{domain}/events[/token]      POST /v1/analytics/logs
 *   POST /v3/{domain}/messages            /v3/{domain}/bounces|complaints|unsubscribes[/address]
 *   GET  /v3/domains, /v4/domains[/name]
 *   GET  /sim/messages /sim/truth /sim/requests
 *   POST /sim/faults (GET, DELETE)        POST /sim/webhooks (GET, DELETE)     POST /sim/events, /sim/clock
 *
 * Has a loop of its own, so it runs in another process (posthouse simulate
 * mailgun) or beside the daemon's loops (posthouse demo, bench events).
 */
#pragma once

#include "engine/simulate.h"
#include "net/addr.h"

#define SIMULATE_LISTEN      "127.0.0.1:7430"
#define SIMULATE_DOMAIN      "mg.sim.example"
#define SIMULATE_KEY         "key-simulated"
#define SIMULATE_SIGNING_KEY "signing-simulated"

struct stand_in;

struct stand_in_config {
    struct sim_config model; /* start_us 0: the instant of the start */
    const char *listen;      /* NULL: SIMULATE_LISTEN; port 0: the system chooses */
    const char *key;         /* NULL: SIMULATE_KEY; password of user "api" */
    const char *signing_key; /* NULL: SIMULATE_SIGNING_KEY */
    const char *truth_file;  /* NULL: none; written before the first request is answered */
    int64_t token_ms;        /* how long page tokens are good; 0: ten minutes */
};

/* Makes the mailing, writes the truth, listens. A million recipients take about a second. ERR_INVALID for a config
 * without sense, ERR_IO when the address or the file cannot be had. The caller stops it. */
enum err stand_in_start(struct op *op, const struct stand_in_config *config, struct stand_in **ret_stand_in);

/* Requests held back by a fault are answered 503 first. Any thread but the stand-in's own. */
void stand_in_stop(struct stand_in *stand_in);

/* The address in use. */
struct addr stand_in_addr(const struct stand_in *stand_in);

/* The model behind the doors; whoever looks must not expect posted messages to stand still. */
const struct sim *stand_in_model(const struct stand_in *stand_in);
