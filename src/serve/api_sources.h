/*
 * api_sources.h - handlers of sources: what is read, how far, and the door of their webhooks.
 */
#pragma once

#include "net/http_server.h"

void sources_put(struct http_request *request);           /* PUT /v1/sources/{id} */
void sources_list(struct http_request *request);          /* GET /v1/sources */
void sources_get(struct http_request *request);           /* GET /v1/sources/{id} */
void sources_backfill(struct http_request *request);      /* POST /v1/sources/{id}/backfill */
void sources_backfill_stop(struct http_request *request); /* DELETE /v1/sources/{id}/backfill */

void source_hook_post(struct http_request *request); /* POST /v1/hooks/{source} */
