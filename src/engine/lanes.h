/*
 * lanes.h - what each lane of a source reads next (SRC-5 to SRC-9, SRC-20).
 *
 *     lane       reads    window
 *     opens      opens    first instant not covered by the class -> now - margin
 *     others     others   the same for its class
 *     recheck    both     oldest stretch whose next look is due, behind both live lanes
 *     backfill   both     as asked
 *
 * The windows follow from the coverage map alone, so gaps between lanes cannot
 * hide: whatever no interval holds is the next live window. Nothing here reads
 * a clock or a row.
 */
#pragma once

#include <assert.h>

#include "engine/coverage.h"
#include "engine/provider_event.h"

enum lane { LANE_OPENS, LANE_OTHERS, LANE_RECHECK, LANE_BACKFILL, LANE_COUNT, LANE_HOOK = LANE_COUNT };
static_assert(LANE_HOOK + 1 == STORE_LANES, "a row per lane, and one for webhooks");

/* SRC-12 */
enum lane_state { LANE_IDLE, LANE_RUNNING, LANE_WAITING, LANE_ERROR };

/* "opens" .. "backfill", "webhook" (label of counters); "idle" .. "error". */
const char *lane_name(enum lane lane);
const char *lane_state_name(enum lane_state state);

/* Bits 1 << enum event_class of what a lane reads. */
unsigned lane_classes(enum lane lane);

#define TIMING_EVERY_US     INT64_C(30000000)
#define TIMING_MARGIN_US    INT64_C(60000000)
#define TIMING_RETENTION_US INT64_C(259200000000)
#define TIMING_RECHECKS_MAX (COVERAGE_LOOKS_MAX - 1)

/* The time constants of a source; each may be set (interface section 4, "timing"). */
struct timing {
    int64_t every_us;          /* poll pause while news is likely */
    int64_t retention_us;      /* what the provider certainly still has */
    int64_t margin_us;         /* a live window ends this long before now */
    struct coverage_plan plan; /* the margin and the delays of the rechecks, rising */
};

/* 30 s, 3 d, { 60 s, 30 min, 24 h } */
void timing_default(struct timing *timing);

/* What the windows depend on. */
struct lane_view {
    const struct coverage *maps; /* of both classes, by enum event_class */
    const struct timing *timing;
    int64_t first_begin_us; /* where the source's first reading began */
    int64_t now_us;         /* the earlier of our clock and the provider's (SRC-6) */
};

/* Begin of a source's first reading (SRC-7). oldest_sent_us: sent_at of the tenant's oldest mailing younger than 30
 * days, INT64_MIN when there is none. */
int64_t lane_first_begin(int64_t created_at_us, int64_t oldest_sent_us, int64_t now_us, int64_t retention_us);

/* The window of a live lane or of recheck; false when there is nothing to do (SRC-5). */
bool lane_window(const struct lane_view *view, enum lane lane, int64_t *ret_begin_us, int64_t *ret_end_us);

/* Unread time of a live lane that the provider may no longer have (SRC-20): to be marked before its window opens. */
bool lane_lost(const struct lane_view *view, enum lane lane, int64_t *ret_begin_us, int64_t *ret_end_us);

/* First instant that a live lane has not read; for recheck the earlier of both, behind which it never looks. */
int64_t lane_through(const struct lane_view *view, enum lane lane);

/* SRC-23: microseconds behind, 0 = none. Not for backfill. */
int64_t lane_lag(const struct lane_view *view, enum lane lane);

/* How long to leave a source in peace after a window (pause of the constants table), without jitter. newest_sent_us:
 * of the tenant's mailings, INT64_MIN without one. */
int64_t lane_pause(const struct timing *timing, int64_t newest_sent_us, bool had_events, int64_t now_us);

/* What POST .../backfill asks for (SRC-11): clips the end; ERR_INVALID naming the pointer when nothing is left. */
enum err lane_backfill_window(struct op *op, const struct timing *timing, int64_t begin_us, int64_t end_us,
                              int64_t now_us, int64_t *ret_end_us);
