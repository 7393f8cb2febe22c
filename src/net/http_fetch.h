/*
 * http_fetch.h - one fetch as libcurl must be told of it, and what became of it.
 *
 * Only http_client.c includes it. The client has the sockets and the time; here
 * are the question, who may be reached, the answer and its errors.
 */
#pragma once

#include <curl/curl.h>

#include "net/http_client.h"

/* Sets up fetch->curl, a fresh handle. config stays until the fetch has ended: it says what may be reached.
 * ERR_INVALID when this can be no request; fetch->curl_headers is the caller's to free, either way. */
enum err fetch_prepare(struct fetch *fetch, const struct http_client_config *config);

/* What curl's result means, with its sentence in fetch->error. */
enum err fetch_result(struct fetch *fetch, CURLcode code);

/* Writes "https://host: why" into fetch->error and returns err. */
enum err fetch_fail(struct fetch *fetch, enum err err, const char *why);
