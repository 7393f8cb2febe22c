/*
 * api_ops.h - handlers for operators: health, figures, the contract, who changed what.
 */
#pragma once

#include "net/http_server.h"

void ops_live(struct http_request *request);     /* GET /livez */
void ops_ready(struct http_request *request);    /* GET /readyz */
void ops_metrics(struct http_request *request);  /* GET /metrics */
void ops_openapi(struct http_request *request);  /* GET /openapi.yaml */
void ops_overview(struct http_request *request); /* GET /v1/overview */
void ops_audit(struct http_request *request);    /* GET /v1/audit */
void ops_page(struct http_request *request);     /* GET / */

void token_create(struct http_request *request); /* POST /v1/tokens */
void token_list(struct http_request *request);   /* GET /v1/tokens */
void token_revoke(struct http_request *request); /* DELETE /v1/tokens/{id} */
