/*
 * poll_mailgun.h - the requests of Mailgun's Events API and Logs API.
 *
 *     GET  {base}/v3/{domain}/events?limit=300&event=opened+OR+clicked&begin=1700000000.123&end=..&ascending=yes
 *     GET  {base}/v3/{domain}/events/{token}?the same
 *     POST {base}/v1/analytics/logs {"start":"Sat, 21 Nov 2026 19:00:00 -0000", ..}
 *     DELETE {base}/v3/{domain}/{bounces|complaints|unsubscribes}/{address}
 *
 * Every URL begins with the configured base: of a page's `next` only the last
 * segment is used, so neither requests nor credentials reach another host
 * (SRC-24). begin is floored and end raised to what the API can express; what
 * comes too much is dropped when the page is read (SRC-16).
 */
#pragma once

#include "engine/source.h"
#include "net/http_client.h"

struct poll_account {
    struct str base_url;
    struct str domain;
    struct str api_key;
    bool is_logs;
    const struct str *tags;
    size_t tag_n;
};

/* Fills url, method, headers, body, credentials and limits of a fetch that asks for a page; texts in the op's arena. */
enum err poll_mailgun_page(struct op *op, const struct poll_account *account, const struct source_request *request,
                           struct fetch *ret_fetch);

/* The same for taking an address off one of the lists; reason is "bounce", "complaint" or "unsubscribe". */
enum err poll_mailgun_release(struct op *op, const struct poll_account *account, struct str reason, struct str address,
                              struct fetch *ret_fetch);
