/*
 * api.h - the HTTP API: what its handlers share, and the table of its routes.
 *
 * One file per resource (api_tenants.c, api_mailings.c ...) exports its
 * handlers; api_routes.c lists every route with its scope and body maximum,
 * and openapi.yaml restates that list. Handlers run on the loop of the door,
 * their hops in the writer or a reader (call.h).
 */
#pragma once

#include "net/http_server.h"
#include "store/tx.h"

struct tokens; /* access.h */
struct poller; /* of relay; doors only hand wishes on through the hooks below */

struct api_config {
    struct store *store;
    struct tokens *tokens;
    bool dev; /* no token needed on loopback, signatures without key accepted */
    /* A source was put, changed or asked for a backfill: whoever polls should look again. NULL in tests. */
    void (*source_changed)(void *data, uint32_t source_no);
    void *data;
};

struct api {
    struct api_config config;
};

extern const struct http_route api_routes[];
extern const size_t api_route_count;
