/*
 * rate.h - how many starts a queue, key or budget may have per period (GCRA).
 *
 * One number is the whole state: `tat`, the theoretical arrival time of the
 * next start. With T = ceil(per / limit) and tau = (burst - 1) * T a start at t
 * is allowed when t >= tat - tau, and moves tat to max(t, tat) + T. So any
 * window of length `per` holds at most limit + burst - 1 starts, idle time
 * never saves up more than burst, and a limit of 1 in 3 s is as exact as one of
 * a million per second (RATE-1). All in whole nanoseconds of engine time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define RATE_LIMIT_MAX  1000000
#define RATE_PER_US_MIN INT64_C(1000000)
#define RATE_PER_US_MAX (INT64_C(86400) * 1000000)

struct rate {
    int64_t limit; /* 0 = no rate */
    int64_t per_us;
    int64_t burst; /* 1..limit */
};

/* How long until a start is allowed: 0 = now. In ns. */
int64_t rate_wait_ns(const struct rate *rate, int64_t tat_ns, int64_t now_ns);

/* The tat after a start at now. */
int64_t rate_start(const struct rate *rate, int64_t tat_ns, int64_t now_ns);
