#include "engine/source_fault.h"

#include <stdarg.h>
#include <stdio.h>

struct source_fault source_fault_make(enum fault_kind kind, const char *format, ...)
{
    struct source_fault fault = { .kind = kind };
    va_list args;
    va_start(args, format);
    vsnprintf(fault.text, sizeof fault.text, format, args);
    va_end(args);
    return fault;
}

struct source_fault source_fault_of_status(int status, bool had_token, int64_t wait_us)
{
    if (status >= 200 && status < 300)
        return (struct source_fault){ .kind = FAULT_NONE };
    if (status == 429) {
        struct source_fault fault = source_fault_make(FAULT_RATE, "the provider asks to slow down (429)");
        fault.wait_us = wait_us;
        return fault;
    }
    if (status == 401 || status == 403)
        return source_fault_make(FAULT_CREDENTIALS, "the provider refused the credentials (%d)", status);
    if (status == 404)
        return source_fault_make(FAULT_UNKNOWN, "domain not known there (404)");
    if (status >= 300 && status < 400)
        return source_fault_make(FAULT_REDIRECT,
                                 "the provider answered with a redirect (%d), which is not followed: "
                                 "the key must not travel to another host",
                                 status);
    if (status == 400 && had_token)
        return source_fault_make(FAULT_TOKEN, "the provider no longer knows the page (400)");
    if (status >= 400 && status < 500)
        return source_fault_make(FAULT_REFUSED, "the provider refused the request (%d)", status);
    return source_fault_make(FAULT_PROVIDER, "the provider failed (%d)", status);
}

int64_t fault_backoff(struct rng *rng, int n)
{
    int64_t top_us = n < 9 ? FAULT_BACKOFF_US << n : FAULT_BACKOFF_US_MAX;
    if (top_us > FAULT_BACKOFF_US_MAX)
        top_us = FAULT_BACKOFF_US_MAX;
    return rng_between(rng, 0, top_us);
}

int64_t fault_rate_wait(struct rng *rng, int64_t asked_us, int n)
{
    int64_t wait_us = asked_us > 0 ? asked_us : fault_backoff(rng, n);
    if (wait_us < FAULT_WAIT_US_MIN)
        return FAULT_WAIT_US_MIN;
    return wait_us > FAULT_WAIT_US_MAX ? FAULT_WAIT_US_MAX : wait_us;
}
