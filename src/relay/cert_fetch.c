#include "relay/cert_fetch.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "base/log.h"

struct cert_fetch {
    struct loop *loop;
    struct http_client *client;
    struct sns_certs *certs;
    pthread_mutex_t lock;
    pthread_cond_t is_idle;
    int busy;
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
    pthread_mutex_lock(&owner->lock);
    if (--owner->busy == 0)
        pthread_cond_broadcast(&owner->is_idle);
    pthread_mutex_unlock(&owner->lock);
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
    pthread_mutex_lock(&owner->lock);
    owner->busy++;
    pthread_mutex_unlock(&owner->lock);
    loop_send(owner->loop, &one->errand);
}

struct cert_fetch *cert_fetch_start(struct loop *loop, struct http_client *client)
{
    struct cert_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        abort();
    fetch->loop = loop;
    fetch->client = client;
    pthread_mutex_init(&fetch->lock, NULL);
    pthread_cond_init(&fetch->is_idle, NULL);
    fetch->certs = sns_certs_new(want, fetch);
    return fetch;
}

struct sns_certs *cert_fetch_certs(struct cert_fetch *fetch)
{
    return fetch->certs;
}

void cert_fetch_stop(struct cert_fetch *fetch)
{
    pthread_mutex_lock(&fetch->lock);
    while (fetch->busy > 0)
        pthread_cond_wait(&fetch->is_idle, &fetch->lock);
    pthread_mutex_unlock(&fetch->lock);
    sns_certs_free(fetch->certs);
    pthread_cond_destroy(&fetch->is_idle);
    pthread_mutex_destroy(&fetch->lock);
    free(fetch);
}
