/*
 * api_ledger.h - handlers of tenants, mailings, messages, members, suppressions and facts.
 */
#pragma once

#include "net/http_server.h"

void tenant_put(struct http_request *request);   /* PUT /v1/tenants/{id} */
void tenant_get(struct http_request *request);   /* GET /v1/tenants/{id} */
void tenant_facts(struct http_request *request); /* GET /v1/tenants/{id}/facts */

void mailing_put(struct http_request *request);      /* PUT /v1/mailings/{id} */
void mailing_get(struct http_request *request);      /* GET /v1/mailings/{id} */
void mailing_stats(struct http_request *request);    /* GET /v1/mailings/{id}/stats */
void mailing_failures(struct http_request *request); /* GET /v1/mailings/{id}/failures */
void mailing_links(struct http_request *request);    /* GET /v1/mailings/{id}/links */

void mailing_import(struct http_request *request);        /* POST /v1/mailings/{id}/messages, streamed body */
void message_import(struct http_request *request);        /* POST /v1/messages, streamed body */
void message_list(struct http_request *request);          /* GET /v1/messages */
void message_get(struct http_request *request);           /* GET /v1/messages/{id} */
void message_patch_request(struct http_request *request); /* PATCH /v1/messages/{id} */

void member_get(struct http_request *request); /* GET /v1/members/{id} */

void suppression_list(struct http_request *request);   /* GET /v1/suppressions */
void suppression_delete(struct http_request *request); /* DELETE /v1/suppressions/{address} */
