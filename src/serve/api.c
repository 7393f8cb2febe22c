#include "serve/api.h"

#include "base/clock.h"
#include "base/log.h"
#include "serve/idempotency.h"
#include "serve/metrics.h"
#include "serve/refusals.h"

void api_open(struct api *api, int64_t now_us)
{
    api->started_at_us = now_us;
    api->inflight = inflight_new();
    api->refusals = refusals_new();
    atomic_init(&api->stopping, false);
    metrics_open(api->config.store, api_routes, api_route_count);
}

void api_close(struct api *api)
{
    metrics_close();
    if (api->inflight)
        inflight_free(api->inflight);
    api->inflight = NULL;
    if (api->refusals)
        refusals_free(api->refusals);
    api->refusals = NULL;
}

/* Clients' mistakes are theirs to read; ours are logged once, with the trace that other lines of the request carry. */
void api_answered(const struct http_request *request, int status)
{
    metrics_answered(request, status);
    if (status >= 500)
        log_error("request failed", LOG_STR("method", request->method), LOG_STR("path", request->path),
                  LOG_INT("status", status), LOG_ERROR_OF(&request->op), LOG_TRACE_OF(&request->op));
    else
        log_debug("request", LOG_STR("method", request->method), LOG_STR("path", request->path),
                  LOG_INT("status", status), LOG_INT("took_us", clock_wall_us() - request->began_us),
                  LOG_TRACE_OF(&request->op));
}
