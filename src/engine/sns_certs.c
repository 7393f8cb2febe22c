#include "engine/sns_certs.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct cert {
    char url[SNS_CERT_URL_MAX + 1]; /* "" = free */
    char *pem;                      /* NULL: being fetched, or failed */
    bool is_fetching;
    int64_t at_us; /* of the newest answer */
};

struct waiter {
    struct post *post;
    struct cert *cert;
};

struct sns_certs {
    pthread_mutex_t lock;
    void (*fetch)(void *context, struct str url);
    void *context;
    struct cert certs[SNS_CERTS_MAX];
    struct waiter waiters[SNS_CERT_WAITERS];
    int waiting;
};

struct sns_certs *sns_certs_new(void (*fetch)(void *context, struct str url), void *context)
{
    struct sns_certs *certs = calloc(1, sizeof *certs);
    if (!certs)
        abort();
    pthread_mutex_init(&certs->lock, NULL);
    certs->fetch = fetch;
    certs->context = context;
    return certs;
}

void sns_certs_free(struct sns_certs *certs)
{
    for (int i = 0; i < SNS_CERTS_MAX; i++)
        free(certs->certs[i].pem);
    pthread_mutex_destroy(&certs->lock);
    free(certs);
}

static struct cert *find(struct sns_certs *certs, struct str url)
{
    for (int i = 0; i < SNS_CERTS_MAX; i++)
        if (certs->certs[i].url[0] && str_eq(str_of(certs->certs[i].url), url))
            return &certs->certs[i];
    return NULL;
}

/* A place for a new URL: a free one, or the oldest that nobody is waiting for; NULL when all are being fetched. */
static struct cert *make(struct sns_certs *certs, struct str url)
{
    struct cert *place = NULL;
    for (int i = 0; i < SNS_CERTS_MAX; i++) {
        struct cert *cert = &certs->certs[i];
        if (!cert->is_fetching && (!place || cert->at_us < place->at_us))
            place = cert;
    }
    if (!place)
        return NULL;
    free(place->pem);
    *place = (struct cert){ 0 };
    memcpy(place->url, url.p, url.n);
    return place;
}

static bool is_fresh(const struct cert *cert, int64_t now_us)
{
    return cert->pem && now_us - cert->at_us < SNS_CERT_KEEP_US;
}

static bool has_just_failed(const struct cert *cert, int64_t now_us)
{
    return !cert->pem && !cert->is_fetching && cert->at_us && now_us - cert->at_us < SNS_CERT_FAILED_US;
}

/* What to do, under the lock; *ret_fetches: the caller must start the fetch once it is released. */
static enum sns_cert_word look(struct op *op, struct sns_certs *certs, struct str url, struct post *waiter,
                               struct str *ret_pem, bool *ret_fetches)
{
    struct cert *cert = find(certs, url);
    if (cert && is_fresh(cert, op->now_us)) {
        *ret_pem = arena_str(op->arena, str_of(cert->pem));
        return str_given(*ret_pem) ? SNS_CERT_HERE : SNS_CERT_MISSING;
    }
    if (url.n > SNS_CERT_URL_MAX || !waiter || certs->waiting == SNS_CERT_WAITERS ||
        (cert && has_just_failed(cert, op->now_us)))
        return SNS_CERT_MISSING;
    if (!cert)
        cert = make(certs, url);
    if (!cert)
        return SNS_CERT_MISSING;
    certs->waiters[certs->waiting++] = (struct waiter){ waiter, cert };
    *ret_fetches = !cert->is_fetching;
    cert->is_fetching = true;
    return SNS_CERT_WAIT;
}

enum sns_cert_word sns_certs_get(struct op *op, struct sns_certs *certs, struct str url, struct post *waiter,
                                 struct str *ret_pem)
{
    bool fetches = false;
    /* The URL is copied: once the lock is free the waiter may be on its way, and its arena with it. */
    char copy[SNS_CERT_URL_MAX + 1];
    size_t n = url.n < sizeof copy ? url.n : sizeof copy - 1;
    if (n)
        memcpy(copy, url.p, n);
    pthread_mutex_lock(&certs->lock);
    enum sns_cert_word word = look(op, certs, url, waiter, ret_pem, &fetches);
    pthread_mutex_unlock(&certs->lock);
    if (fetches)
        certs->fetch(certs->context, (struct str){ copy, n });
    return word;
}

void sns_certs_put(struct sns_certs *certs, struct str url, struct str pem, int64_t now_us)
{
    struct post *home[SNS_CERT_WAITERS];
    int homes = 0, left = 0;
    pthread_mutex_lock(&certs->lock);
    struct cert *cert = find(certs, url);
    if (cert) {
        free(cert->pem);
        cert->pem = str_given(pem) ? strndup(pem.p, pem.n) : NULL;
        cert->is_fetching = false;
        cert->at_us = now_us;
    }
    for (int i = 0; i < certs->waiting; i++) {
        if (cert && certs->waiters[i].cert == cert)
            home[homes++] = certs->waiters[i].post;
        else
            certs->waiters[left++] = certs->waiters[i];
    }
    certs->waiting = left;
    pthread_mutex_unlock(&certs->lock);
    for (int i = 0; i < homes; i++)
        home[i]->home(home[i]);
}
