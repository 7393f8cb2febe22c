/*
 * api_routes.c - every route of the API, who may use it, and how large a body may be.
 *
 * openapi.yaml says the same to clients; a test compares the two both ways.
 */
#include "engine/provider.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_events.h"
#include "serve/api_jobs.h"
#include "serve/api_ledger.h"
#include "serve/api_links.h"
#include "serve/api_ops.h"
#include "serve/api_sources.h"
#include "serve/api_unsubscribe.h"
#include "serve/redirect.h"

#define SMALL (64 << 10)          /* one resource */
#define BULK  (INT64_C(16) << 30) /* streamed, in the memory of one chunk */

/* Routes without body, with a small one, and with a streamed one. FIGURES are reads whose answer clicks change: who was
 * sent on before he asked is in it, for which it may wait a commit. Whatever else is read waits for no click. */
#define READ(pattern_, handle_, scope_)                                                                                \
    {                                                                                                                  \
        .method = "GET", .pattern = (pattern_), .handle = (handle_), .scope = (scope_)                                 \
    }
#define FIGURES(pattern_, handle_, scope_)                                                                             \
    {                                                                                                                  \
        .method = "GET", .pattern = (pattern_), .handle = (handle_), .flags = API_SHOWS_CLICKS, .scope = (scope_)      \
    }
#define DELETE(pattern_, handle_, scope_)                                                                              \
    {                                                                                                                  \
        .method = "DELETE", .pattern = (pattern_), .handle = (handle_), .scope = (scope_)                              \
    }
#define CHANGE(method_, pattern_, handle_, scope_)                                                                     \
    {                                                                                                                  \
        .method = (method_), .pattern = (pattern_), .handle = (handle_), .body_bytes_max = SMALL, .scope = (scope_)    \
    }
#define STREAM(pattern_, handle_, scope_)                                                                              \
    {                                                                                                                  \
        .method = "POST", .pattern = (pattern_), .handle = (handle_), .body_bytes_max = BULK,                          \
        .flags = HTTP_BODY_STREAM, .scope = (scope_)                                                                   \
    }

const struct http_route api_routes[] = {
    READ("/livez", ops_live, ACCESS_PUBLIC),
    READ("/readyz", ops_ready, ACCESS_PUBLIC),
    READ("/metrics", ops_metrics, ACCESS_READ | ACCESS_WHOLE),
    READ("/openapi.yaml", ops_openapi, ACCESS_READ),
    FIGURES("/", ops_page, ACCESS_READ | ACCESS_WHOLE | ACCESS_PAGE),
    FIGURES("/v1/overview", ops_overview, ACCESS_READ | ACCESS_WHOLE),
    READ("/v1/audit", ops_audit, ACCESS_ADMIN | ACCESS_WHOLE),

    READ("/v1/tokens", token_list, ACCESS_ADMIN | ACCESS_WHOLE),
    CHANGE("POST", "/v1/tokens", token_create, ACCESS_ADMIN | ACCESS_WHOLE),
    DELETE("/v1/tokens/{id}", token_revoke, ACCESS_ADMIN | ACCESS_WHOLE),

    CHANGE("PUT", "/v1/tenants/{id}", tenant_put, ACCESS_WRITE),
    READ("/v1/tenants/{id}", tenant_get, ACCESS_READ),
    READ("/v1/tenants/{id}/facts", tenant_facts, ACCESS_READ),

    CHANGE("PUT", "/v1/mailings/{id}", mailing_put, ACCESS_WRITE),
    FIGURES("/v1/mailings/{id}", mailing_get, ACCESS_READ),
    STREAM("/v1/mailings/{id}/messages", mailing_import, ACCESS_WRITE),
    FIGURES("/v1/mailings/{id}/stats", mailing_stats, ACCESS_READ),
    READ("/v1/mailings/{id}/failures", mailing_failures, ACCESS_READ),
    FIGURES("/v1/mailings/{id}/links", mailing_links, ACCESS_READ),

    STREAM("/v1/messages", message_import, ACCESS_WRITE),
    READ("/v1/messages", message_list, ACCESS_READ),
    FIGURES("/v1/messages/{id}", message_get, ACCESS_READ),
    CHANGE("PATCH", "/v1/messages/{id}", message_patch_request, ACCESS_WRITE),

    FIGURES("/v1/members/{id}", member_get, ACCESS_READ),

    CHANGE("PUT", "/v1/links/{code}", link_put_request, ACCESS_WRITE),
    FIGURES("/v1/links/{code}", link_get_request, ACCESS_READ),
    STREAM("/v1/links", link_post_request, ACCESS_WRITE),
    { .method = "GET",
      .pattern = "/r/{code}",
      .handle = redirect_get,
      .body_bytes_max = SMALL, /* and not looked at */
      .flags = HTTP_PREFIXED | HTTP_ANY_LOOP,
      .scope = ACCESS_PUBLIC },
    { .method = "GET",
      .pattern = "/u/{token}",
      .handle = unsubscribe_page,
      .flags = HTTP_PREFIXED,
      .scope = ACCESS_PUBLIC },
    { .method = "POST",
      .pattern = "/u/{token}",
      .handle = unsubscribe_post,
      .body_bytes_max = 4096,
      .flags = HTTP_PREFIXED,
      .scope = ACCESS_PUBLIC },
    { .method = "POST",
      .pattern = "/v1/unsubscribe-tokens",
      .handle = unsubscribe_tokens,
      .body_bytes_max = 8 << 20,
      .scope = ACCESS_WRITE },

    CHANGE("PUT", "/v1/sources/{id}", sources_put, ACCESS_WRITE),
    READ("/v1/sources", sources_list, ACCESS_READ),
    READ("/v1/sources/{id}", sources_get, ACCESS_READ),
    CHANGE("POST", "/v1/sources/{id}/backfill", sources_backfill, ACCESS_WRITE),
    DELETE("/v1/sources/{id}/backfill", sources_backfill_stop, ACCESS_WRITE),
    { .method = "POST",
      .pattern = "/v1/hooks/{source}",
      .handle = source_hook_post,
      .body_bytes_max = PROVIDER_HOOK_BYTES_MAX,
      .scope = ACCESS_PUBLIC },

    { .method = "POST",
      .pattern = "/v1/events",
      .handle = events_post,
      .body_bytes_max = EVENTS_BODY_BYTES_MAX,
      .scope = ACCESS_WRITE },
    READ("/v1/events", events_list, ACCESS_READ),
    READ("/v1/events/{id}", events_get, ACCESS_READ),

    { .method = "POST",
      .pattern = "/v1/jobs",
      .handle = jobs_post,
      .body_bytes_max = JOBS_BODY_BYTES_MAX,
      .scope = ACCESS_WRITE },
    READ("/v1/jobs", jobs_list, ACCESS_READ),
    CHANGE("POST", "/v1/jobs/fetch", jobs_fetch, ACCESS_WORK),
    CHANGE("POST", "/v1/jobs/ack", jobs_ack, ACCESS_WORK),
    { .method = "POST",
      .pattern = "/v1/jobs/fail",
      .handle = jobs_fail,
      .body_bytes_max = JOBS_BODY_BYTES_MAX,
      .scope = ACCESS_WORK },
    CHANGE("POST", "/v1/jobs/extend", jobs_extend, ACCESS_WORK),
    { .method = "POST",
      .pattern = "/v1/jobs/bulk",
      .handle = jobs_bulk,
      .body_bytes_max = JOBS_BULK_BYTES_MAX,
      .scope = ACCESS_WRITE },
    READ("/v1/jobs/{jid}", jobs_get, ACCESS_READ),
    CHANGE("POST", "/v1/jobs/{jid}/retry", jobs_retry, ACCESS_WRITE),
    CHANGE("POST", "/v1/jobs/{jid}/run", jobs_run, ACCESS_WRITE),
    CHANGE("POST", "/v1/jobs/{jid}/kill", jobs_kill, ACCESS_WRITE),
    CHANGE("POST", "/v1/jobs/{jid}/cancel", jobs_cancel, ACCESS_WRITE),
    READ("/v1/workers", workers_list, ACCESS_READ | ACCESS_WHOLE),
    CHANGE("POST", "/v1/workers/{id}/beat", workers_beat, ACCESS_WORK),
    CHANGE("POST", "/v1/workers/{id}/quiet", workers_quiet, ACCESS_WRITE | ACCESS_WHOLE),
    CHANGE("POST", "/v1/workers/{id}/terminate", workers_terminate, ACCESS_WRITE | ACCESS_WHOLE),
    READ("/v1/queues", queues_list, ACCESS_READ | ACCESS_WHOLE),
    READ("/v1/queues/{q}", queues_get, ACCESS_READ | ACCESS_WHOLE),
    CHANGE("PATCH", "/v1/queues/{q}", queues_patch, ACCESS_WRITE | ACCESS_WHOLE),
    DELETE("/v1/queues/{q}", queues_delete, ACCESS_WRITE | ACCESS_WHOLE),
    CHANGE("POST", "/v1/queues/{q}/drain", queues_drain, ACCESS_WRITE | ACCESS_WHOLE),
    { .method = "POST",
      .pattern = "/v1/batches",
      .handle = batches_post,
      .body_bytes_max = JOBS_BODY_BYTES_MAX, /* two jobs */
      .scope = ACCESS_WRITE },
    READ("/v1/batches/{id}", batches_get, ACCESS_READ),
    CHANGE("PATCH", "/v1/batches/{id}", batches_patch, ACCESS_WRITE),
    READ("/v1/schedules", schedules_list, ACCESS_READ | ACCESS_WHOLE),
    CHANGE("PUT", "/v1/schedules/{id}", schedules_put, ACCESS_WRITE | ACCESS_WHOLE),
    READ("/v1/schedules/{id}", schedules_get, ACCESS_READ | ACCESS_WHOLE),
    DELETE("/v1/schedules/{id}", schedules_delete, ACCESS_WRITE | ACCESS_WHOLE),
    CHANGE("POST", "/v1/schedules/{id}/run", schedules_run, ACCESS_WRITE | ACCESS_WHOLE),
    READ("/v1/budgets", budgets_list, ACCESS_READ | ACCESS_WHOLE),
    CHANGE("PUT", "/v1/budgets/{id}", budgets_put, ACCESS_WRITE | ACCESS_WHOLE),
    READ("/v1/budgets/{id}", budgets_get, ACCESS_READ | ACCESS_WHOLE),
    DELETE("/v1/budgets/{id}", budgets_delete, ACCESS_WRITE | ACCESS_WHOLE),

    READ("/v1/suppressions", suppression_list, ACCESS_READ),
    DELETE("/v1/suppressions/{address}", suppression_delete, ACCESS_WRITE),
};

const size_t api_route_count = sizeof api_routes / sizeof *api_routes;
