/*
 * api.h - the HTTP API: what its handlers share, and the table of its routes.
 *
 * One file per resource (api_tenants.c, api_mailings.c ...) exports its
 * handlers; api_routes.c lists every route with its scope and body maximum,
 * and openapi.yaml restates that list. Handlers run on the loop of the door,
 * their hops in the writer or a reader (call.h).
 */
#pragma once

#include <stdatomic.h>

#include "engine/unsubscribe.h"
#include "net/http_server.h"
#include "store/tx.h"

struct agent_list;
struct cidr_list;
struct inflight;
struct jobs; /* engine/jobs.h */
struct node_board;
struct redirect; /* redirect.h */
struct refusals; /* refusals.h */
struct sns_certs;
struct tokens; /* access.h */

struct api_config {
    struct store *store;
    struct jobs *jobs;
    struct tokens *tokens;
    bool dev;                 /* no token needed on loopback, signatures without key accepted */
    size_t job_bytes_max;     /* args, custom and the rest of one job; 0 = JOB_BYTES_DEFAULT */
    const char *database;     /* "sqlite:/var/lib/posthouse", for the overview */
    struct node_board *nodes; /* this node's life */
    struct str links_base;    /* what short links begin with, "https://news.example.org/blog"; no slash at its end */
    struct unsubscribe_keys unsubscribe;
    /* Webhooks and sources; each may be NULL. A reload shows new lists and keeps the former ones for a while. */
    struct sns_certs *certs; /* certificates of SNS; NULL: only those given as signing_key are believed */
    _Atomic(const struct agent_list *) agents;   /* known scanners */
    _Atomic(const struct cidr_list *) networks;  /* networks of machines */
    _Atomic(const struct cidr_list *) proxies;   /* whose word about a client's address is believed */
    _Atomic(const struct cidr_list *) reachable; /* private networks that sources may point into */
};

struct api {
    struct api_config config;
    atomic_bool stopping; /* answers what is under way, /readyz says no */
    int64_t started_at_us;
    struct inflight *inflight; /* idempotency.h */
    struct refusals *refusals;
    struct redirect *redirect; /* NULL where there is no door for clicks */
};

/* Fills in what lives beside the config; before the server opens. */
void api_open(struct api *api, int64_t now_us);
void api_close(struct api *api);

/* Flags of routes, beside those of the server. */
enum api_route_flags {
    API_SHOWS_CLICKS =
        HTTP_CALLERS, /* its answer holds figures that clicks move: it waits for those answered before it */
};

/* Every route; each names its scope (access.h) and the largest body it takes. */
extern const struct http_route api_routes[];
extern const size_t api_route_count;

/* answered() of the HTTP server: counts, measures, and logs what went wrong on our side. */
void api_answered(const struct http_request *request, int status);
