/*
 * api_unsubscribe.h - handlers of one-click unsubscription (RFC 8058).
 *
 * Tokens are made in bulk (UNS-1); their page may be looked at by anybody and
 * changes nothing (UNS-3), a POST suppresses (UNS-4).
 */
#pragma once

#include "net/http_server.h"

void unsubscribe_page(struct http_request *request);   /* GET /u/{token}: shows a page, changes nothing */
void unsubscribe_post(struct http_request *request);   /* POST /u/{token} */
void unsubscribe_tokens(struct http_request *request); /* POST /v1/unsubscribe-tokens */
