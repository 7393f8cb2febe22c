/*
 * instant.h - points in time: reading and writing them.
 *
 * An instant is an int64_t: microseconds since 1970-01-01T00:00:00Z, without
 * leap seconds, name ending in _us. Text is cut to microseconds, never rounded
 * (SRC-16): an event is then dated the same whichever door brought it. No
 * floating point takes part. Parsers take the whole text or refuse it; a
 * refused text leaves the out parameters untouched.
 *
 * Durations live in duration.h, days in day.h, zones in zone.h, the clocks
 * themselves in clock.h.
 */
#pragma once

#include "base/str.h"

#define INSTANT_TEXT_BYTES 40                          /* any form written here, with its NUL */
#define INSTANT_US_MAX     INT64_C(253402300799999999) /* 9999-12-31T23:59:59.999999Z */

/* A wall clock reading without a zone. */
struct civil {
    int32_t year;                         /* 0..9999 */
    int month, day, hour, minute, second; /* second 60 is never stored */
    int32_t us;                           /* 0..999999 */
};

enum instant_kind {
    INSTANT_NONE,  /* not a time */
    INSTANT_FIXED, /* carried an offset: an instant */
    INSTANT_LOCAL  /* no offset: a wall clock reading; zone_from_local makes an instant of it */
};

/* The instant at which a clock on UTC shows this; fields must be in range. */
int64_t instant_from_civil(const struct civil *civil);

/* What a clock on UTC shows; any int64_t. */
struct civil instant_to_civil(int64_t us);

/*
 * RFC 3339 as our API takes it: "2026-11-21T19:00:00.123Z", offset "+02:00",
 * any number of decimals (cut), years 0000..9999. T and Z may be lower case. A
 * leap second (23:59:60 UTC) is the first instant of the next day.
 */
bool instant_parse(struct str text, int64_t *ret_us);

/*
 * The same as providers write it: T or blank between date and time, offset
 * "+02:00", "+0200", "+02", "Z" or none, a blank before the offset, seconds
 * may be missing. Without an offset the reading is put in *ret_local (SRC-50).
 */
enum instant_kind instant_parse_loose(struct str text, int64_t *ret_us, struct civil *ret_local);

/*
 * Seconds since 1970 as decimal text, "1666214138.4046676", cut to
 * microseconds (SRC-16). No sign, no exponent, at most the year 9999; at least
 * one digit before the point, and one after it if there is a point.
 */
bool instant_parse_seconds(struct str text, int64_t *ret_us);

/* Mail dates (RFC 5322): "Sat, 21 Nov 2026 19:00:00 -0000"; weekday and seconds optional, "GMT" and the like read. */
bool instant_parse_mail(struct str text, int64_t *ret_us);

/*
 * HTTP dates, all three forms of RFC 9110. A two-digit year is the one that
 * lies less than 50 years after now_us.
 */
bool instant_parse_http(struct str text, int64_t now_us, int64_t *ret_us);

/* "2026-11-21T19:00:00.123Z" with 0, 3 or 6 decimals (cut); years 0000..9999, others are held at the nearer end. */
struct str instant_text(int64_t us, int decimals, char ret_text[INSTANT_TEXT_BYTES]);

/* "Sat, 21 Nov 2026 19:00:00 -0000", whole seconds cut; the form of Mailgun's Logs API. */
struct str instant_text_mail(int64_t us, char ret_text[INSTANT_TEXT_BYTES]);

/* "Sat, 21 Nov 2026 19:00:00 GMT" (RFC 9110). */
struct str instant_text_http(int64_t us, char ret_text[INSTANT_TEXT_BYTES]);

/* "1700000000.123" with 0, 3 or 6 decimals (cut); instants before 1970 give "0". */
struct str instant_text_seconds(int64_t us, int decimals, char ret_text[INSTANT_TEXT_BYTES]);
