/*
 * cert_fetch.h - fetches certificates of SNS for sns_certs.h, on a loop.
 */
#pragma once

#include "engine/sns_certs.h"
#include "net/http_client.h"

struct cert_fetch;

/* The certificates of this process, fetched by client on its loop. */
struct cert_fetch *cert_fetch_start(struct loop *loop, struct http_client *client);
struct sns_certs *cert_fetch_certs(struct cert_fetch *fetch);

/* After the doors are closed and before the client is; not from the loop's thread. */
void cert_fetch_stop(struct cert_fetch *fetch);
