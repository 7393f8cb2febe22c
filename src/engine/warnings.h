/*
 * warnings.h - what an operator should know about a source (SRC-22).
 *
 * A warning is a code, the instant it began and one sentence; it goes by
 * itself when its reason is gone. Some are read off the rows whenever somebody
 * asks (holes in the coverage, silence, lag); others are noted by the lane or
 * webhook that met them and kept until the opposite is seen.
 */
#pragma once

#include "base/op.h"
#include "engine/coverage.h"
#include "engine/lanes.h"

enum warning_code {
    WARN_NO_EVENTS,
    WARN_LAGGING,
    WARN_RATE_LIMITED,
    WARN_CREDENTIALS_REFUSED,
    WARN_CLOCK_SKEW,
    WARN_UNREAD_GAP,
    WARN_RETENTION_EXCEEDED,
    WARN_PARKED,
    WARN_MALFORMED,
    WARN_UNCOVERED_MAILING,
    WARN_HOOK_REFUSED,
    WARN_LOG_RESET,
    WARN_SYNC_LOST,
    WARN_FALLING_BEHIND,
    WARN_COUNT
};

#define WARN_LAG_US       INT64_C(600000000) /* a live lane this far behind, ... */
#define WARN_LAG_FOR_US   INT64_C(300000000) /* ... for this long */
#define WARN_RATE_FOR_US  INT64_C(600000000)
#define WARN_SKEW_US      INT64_C(30000000)
#define WARN_SILENCE_US   INT64_C(7200000000) /* messages sent this long ago, and nothing ever heard */
#define WARN_SILENCE_SENT 100
#define WARN_HOOK_US      INT64_C(3600000000)
#define WARN_KEEP_US      INT64_C(2592000000000) /* 30 d: what no provider keeps longer is no news any more */

/* "no_events", as in GET /v1/sources/{id}. */
const char *warning_name(enum warning_code code);

struct warning {
    enum warning_code code;
    int64_t since_us;
    struct str detail;
};

/* Rows that warnings are read from. */
struct warning_facts {
    bool is_polled;
    const struct lane_row *lanes; /* STORE_LANES */
    const struct coverage *maps;  /* CLASS_COUNT */
    const struct timing *timing;
    int64_t first_begin_us;
    const struct ring *ring;
    const struct gap_row *gaps;
    size_t gap_count;
    const struct warning_row *noted;
    size_t noted_count;
    int64_t silent_sent;    /* messages sent over 2 h ago, counted up to WARN_SILENCE_SENT */
    int64_t oldest_sent_us; /* of the tenant's mailings younger than 30 d; STORE_NO_INSTANT: none */
};

/* The warnings in force at op->now_us, in order of code; details in the op's arena. Returns how many. */
size_t warnings_find(struct op *op, const struct warning_facts *facts, struct warning ret[WARN_COUNT]);

/* Adds items to the memory of the last 10,000. */
void ring_add(struct ring *ring, bool is_parked, bool is_malformed);

/* Items, parked and malformed ones among the last 10,000. */
void ring_sum(const struct ring *ring, int64_t *ret_items, int64_t *ret_parked, int64_t *ret_malformed);
