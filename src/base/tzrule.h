/*
 * tzrule.h - the rule at the end of a zone file: when clocks change each year.
 *
 * "GMT0BST,M3.5.0/1,M10.5.0": standard time, summer time, and the two days of
 * the year on which they begin (POSIX TZ as RFC 8536 extends it: hours from
 * -167 to 167, so that Greenland and Cairo fit). Offsets here count east of
 * UTC; the text counts west.
 */
#pragma once

#include "base/str.h"

enum tzrule_kind {
    TZRULE_JULIAN, /* Jn: day 1..365, 29 February never counted */
    TZRULE_DAY,    /* n: day 0..365 */
    TZRULE_WEEK    /* Mm.w.d: weekday d of week w (5 = last) of month m */
};

struct tzrule_date {
    enum tzrule_kind kind;
    int month, week, day; /* `day` is the weekday for TZRULE_WEEK */
    int32_t time_s;       /* after local midnight, by the clock in force before the change */
};

struct tzrule {
    int32_t standard_s, summer_s; /* seconds to add to UTC */
    bool changes;                 /* false: standard time all year, the rest is unset */
    struct tzrule_date summer_begins, summer_ends;
};

/* The whole text must be a rule; a summer time without dates is refused. */
bool tzrule_parse(struct str text, struct tzrule *ret_rule);

/* Seconds since 1970 UTC at which summer time begins and ends in a year; either may come first. */
int64_t tzrule_summer_begins(const struct tzrule *rule, int32_t year);
int64_t tzrule_summer_ends(const struct tzrule *rule, int32_t year);
