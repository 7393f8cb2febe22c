/*
 * api_events.h - handlers of events.
 */
#pragma once

#include "net/http_server.h"

#define EVENTS_BODY_BYTES_MAX (16 << 20)

void events_post(struct http_request *request); /* POST /v1/events */
void events_list(struct http_request *request); /* GET /v1/events */
void events_get(struct http_request *request);  /* GET /v1/events/{id} */
