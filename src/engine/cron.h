/*
 * cron.h - when a schedule is due: five fields, a few words, and what daylight saving does to them.
 *
 *     30 1 * * 1-5     minute hour day month weekday
 *     @daily           also @hourly @weekly @monthly @yearly
 *     @every 90s       elapsed time from an anchor
 *
 * The answer is always an instant, and nominal times are local times of a zone
 * (SCHED-2):
 *
 *     a time that the zone's clocks skip      runs once, at the jump
 *     a time that they show twice             runs the first time
 *     several times on one instant            are one run
 *     every hour admitted ("15 * * * *")      runs on elapsed time: both of a doubled
 *                                             hour, nothing for a skipped one
 *
 * Reads no clock; callers say after which instant.
 *
 * Thread: any.
 */
#pragma once

#include "base/op.h"
#include "base/zone.h"

#define CRON_BYTES_MAX    256
#define CRON_EVERY_MS_MIN 1000
#define CRON_YEARS_MAX    9 /* 29 February is at most eight years away */

struct cron {
    int64_t every_us; /* above 0: elapsed time, the fields do not count */
    uint64_t minutes; /* a bit each */
    uint32_t hours, days, months;
    uint8_t weekdays; /* bit 0 = Sunday */
    bool either_day;  /* day and weekday are both restricted: one of them is enough */
};

/* ERR_INVALID with a sentence that names the field at fault. */
enum err cron_parse(struct op *op, struct str text, struct cron *ret);

/* The first instant later than after_us; anchor_us counts for "@every" only. False: nothing within CRON_YEARS_MAX. */
bool cron_next(const struct cron *cron, const struct zone *zone, int64_t anchor_us, int64_t after_us, int64_t *ret_us);

/* SCHED-4: how much later than its nominal time a run begins, 0..jitter_ms-1; the same on every node. */
int64_t cron_jitter_ms(struct str id, int64_t nominal_ms, int64_t jitter_ms);
