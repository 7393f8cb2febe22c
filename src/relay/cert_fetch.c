#include "relay/cert_fetch.h"

#include <stdlib.h>

#include "base/crypto.h"
#include "base/log.h"
#include "net/busy.h"

struct cert_fetch {
    struct loop *loop;
    struct http_client *client;
    struct sns_certs *certs;
    struct busy busy;
};

/* One certificate on its way. */
struct errand_fetch {
    struct errand errand; /* first */
    struct cert_fetch *owner;
    struct fetch fetch;
    char url[SNS_CERT_URL_MAX + 1];
};

static void fetched(struct fetch *fetch)
{
    struct errand_fetch *one = fetch->data;
    struct cert_fetch *owner = one->owner;
    struct str pem = { NULL, 0 };
    bool is_good = fetch->err == OK && fetch->status == 200 && crypto_certificate_valid(fetch->response);
    if (is_good)
        pem = fetch->response;
    else
        log_warn("a certificate of SNS could not be fetched", LOG_TEXT("error", fetch->error),
                 LOG_INT("status", fetch->status));
    sns_certs_put(owner->certs, str_of(one->url), pem, loop_wall_us(owner->loop));
    fetch_free(fetch);
    free(one);
    busy_end(&owner->busy);
}

static void start(struct errand *errand)
{
    struct errand_fetch *one = (struct errand_fetch *)errand;
    one->fetch = (struct fetch){
        .url = str_of(one->url),
        .response_bytes_max = SNS_CERT_BYTES_MAX,
        .total_ms = 10000,
        .public_only = true,
        .done = fetched,
        .data = one,
    };
    http_fetch(one->owner->client, &one->fetch);
}

/* Any thread. */
static void want(void *context, struct str url)
{
    struct cert_fetch *owner = context;
    struct errand_fetch *one = calloc(1, sizeof *one);
    if (!one)
        abort();
    one->owner = owner;
    one->errand.run = start;
    memcpy(one->url, url.p, url.n);
    busy_begin(&owner->busy);
    loop_send(owner->loop, &one->errand);
}

struct cert_fetch *cert_fetch_start(struct loop *loop, struct http_client *client)
{
    struct cert_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        abort();
    fetch->loop = loop;
    fetch->client = client;
    busy_init(&fetch->busy);
    fetch->certs = sns_certs_new(want, fetch);
    return fetch;
}

struct sns_certs *cert_fetch_certs(struct cert_fetch *fetch)
{
    return fetch->certs;
}

void cert_fetch_stop(struct cert_fetch *fetch)
{
    (void)busy_wait(&fetch->busy, -1);
    sns_certs_free(fetch->certs);
    busy_done(&fetch->busy);
    free(fetch);
}
