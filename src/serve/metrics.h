/*
 * metrics.h - the figures of the doors and the store on GET /metrics.
 *
 * Requests are counted by route and class of status ("2xx"), so a client that
 * asks for nonsense paths adds no series. What the store and the process know
 * is read when somebody looks. Other parts declare their own metrics with
 * base/metric.h and appear by themselves.
 */
#pragma once

#include "net/http_server.h"
#include "store/tx.h"

/* Declares everything and keeps the store for the time metrics are written; before the server opens, once. */
void metrics_open(struct store *store, const struct http_route *routes, size_t route_count);

/* The store is about to close: its figures stay as they are. */
void metrics_close(void);

/* The server that answers; its connections are counted. NULL before it closes. */
void metrics_server(const struct http_server *server);

/* The door for workers; NULL before it closes. */
struct worker_door;
void metrics_worker_door(const struct worker_door *door);

/* One answer. */
void metrics_answered(const struct http_request *request, int status);
