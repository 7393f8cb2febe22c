/*
 * sns_certs.h - certificates of SNS, fetched once and shared by all doors (SRC-29).
 *
 * A webhook of SES is signed by a certificate that it names by URL. Nobody but
 * SNS is asked for one (the format checks the URL), at most SNS_CERTS_MAX are
 * kept, each for a day. A door that needs one asks; while it is being fetched
 * the asking post waits, and comes home when there is an answer.
 *
 * Thread: any.
 */
#pragma once

#include "base/post.h"

#define SNS_CERTS_MAX      16
#define SNS_CERT_KEEP_US   INT64_C(86400000000)
#define SNS_CERT_BYTES_MAX 16384
#define SNS_CERT_URL_MAX   512
#define SNS_CERT_WAITERS   256
#define SNS_CERT_FAILED_US INT64_C(5000000) /* a failed fetch is not repeated sooner */

struct sns_certs;

/* fetch is called, on the asking thread, for each certificate to be had; it ends in sns_certs_put. */
struct sns_certs *sns_certs_new(void (*fetch)(void *context, struct str url), void *context);
void sns_certs_free(struct sns_certs *certs);

enum sns_cert_word {
    SNS_CERT_HERE,   /* *ret_pem: a copy in the op's arena */
    SNS_CERT_WAIT,   /* the post will be sent home; ask again then */
    SNS_CERT_MISSING /* it could not be fetched: 503 with Retry-After */
};

/* Asks for the certificate behind a URL at op->now_us. waiter NULL: never waits (SNS_CERT_MISSING instead). */
enum sns_cert_word sns_certs_get(struct op *op, struct sns_certs *certs, struct str url, struct post *waiter,
                                 struct str *ret_pem);

/* The answer of a fetch: pem not given means it failed. Sends those who wait home. */
void sns_certs_put(struct sns_certs *certs, struct str url, struct str pem, int64_t now_us);
