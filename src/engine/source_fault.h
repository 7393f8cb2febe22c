/*
 * source_fault.h - what a provider's refusals mean (section 4 of the rules of sources).
 *
 *     429                     all lanes of the source wait for as long as asked, 1 s to 1 h
 *     5xx, time-out, network  backoff 1 s x 2^n with full jitter, at most 5 min
 *     401, 403                error, warning, again every 5 min
 *     404                     error "domain not known there", again every 5 min
 *     3xx                     error: the key must not travel to another host
 *     400 on a page token     begin again at the position, at most once per minute
 *     unreadable              SRC-18, source.h
 */
#pragma once

#include "base/random.h"
#include "engine/lanes.h"

#define FAULT_BACKOFF_US     INT64_C(1000000)
#define FAULT_BACKOFF_US_MAX INT64_C(300000000)
#define FAULT_WAIT_US_MIN    INT64_C(1000000)
#define FAULT_WAIT_US_MAX    INT64_C(3600000000)
#define FAULT_AGAIN_US       INT64_C(300000000) /* 401, 403, 404, 3xx */
#define FAULT_TOKEN_US       INT64_C(60000000)

enum fault_kind {
    FAULT_NONE,
    FAULT_PROVIDER,    /* 5xx, time-out, refused, TLS, DNS: may pass by itself */
    FAULT_RATE,        /* 429 */
    FAULT_CREDENTIALS, /* 401, 403 */
    FAULT_UNKNOWN,     /* 404 */
    FAULT_REDIRECT,    /* 3xx */
    FAULT_TOKEN,       /* 400 to a page token */
    FAULT_REFUSED,     /* any other 4xx */
    FAULT_UNREADABLE,  /* a page that does not parse, or was cut off */
    FAULT_TOO_LARGE,   /* a page over its maximum: asking again cannot help, a smaller one may */
    FAULT_LOOP         /* SRC-19: tokens or pages repeat */
};

struct source_fault {
    enum fault_kind kind;
    int64_t wait_us;                 /* FAULT_RATE: what the provider asked for, 0 = nothing */
    char text[STORE_LANE_ERROR_MAX]; /* one sentence without secrets (SRC-21) */
};

/* The fault of an HTTP answer; FAULT_NONE for 2xx. had_token: the request asked for a further page. wait_us: what
 * Retry-After and X-RateLimit-Reset ask for, 0 = nothing. */
struct source_fault source_fault_of_status(int status, bool had_token, int64_t wait_us);

/* A fault with its sentence (printf). */
struct source_fault source_fault_make(enum fault_kind kind, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Full jitter: uniform in [0, min(1 s x 2^n, 5 min)], n counted from 0. */
int64_t fault_backoff(struct rng *rng, int n);

/* How long a rate limit lasts: what was asked for, held between 1 s and 1 h; a backoff when nothing was said. */
int64_t fault_rate_wait(struct rng *rng, int64_t asked_us, int n);
