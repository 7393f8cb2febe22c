/*
 * zone.h - IANA time zones: which local day an instant falls on.
 *
 * Our own reader of the system's TZif files (RFC 8536, versions 1 to 4), since
 * libraries are wrong on doubled midnights or carry frozen data. A zone is read
 * once and its rules are laid out as segments of constant offset for 400 years,
 * the period of the calendar; later instants are folded back. A lookup is then
 * one table step and costs some nanoseconds.
 *
 * Day D of a zone is [first instant of D, first instant of D+1) (KEEP-13): a
 * day starts at the first instant after a gap when its midnight is skipped,
 * and at the first of two midnights. A day that a zone left out altogether
 * (Pacific/Apia 2011-12-30) is empty: it starts where the next one starts.
 *
 * Thread: any. Zones are immutable and live until the process ends, so a
 * pointer may be kept for good.
 */
#pragma once

#include "base/day.h"
#include "base/instant.h"
#include "base/op.h"

#define ZONE_NAME_BYTES_MAX 64
#define ZONE_FILE_BYTES_MAX 65536 /* the largest real one has about 4 KB */
#define ZONES_MAX           1024  /* names held at once; tzdata knows about 600 */

struct zone;

/*
 * The zone of an IANA name ("Europe/London"), read from TZDIR or
 * /usr/share/zoneinfo at first use. ERR_INVALID for a name that is not known
 * there; "UTC" is always known.
 */
enum err zone_get(struct op *op, struct str name, const struct zone **ret_zone);

/* UTC, without asking the disk. */
const struct zone *zone_utc(void);

/* The name it was asked by. */
struct str zone_name(const struct zone *zone);

/* Reads all known zones again, so that zone_get hands out new rules; zones already handed out stay as they are. */
void zone_reload(void);

/* Seconds to add to UTC at this instant. */
int32_t zone_offset_at(const struct zone *zone, int64_t at_us);

/* What the zone's clocks show at this instant (any between the years -290000 and 290000). */
struct civil zone_to_local(const struct zone *zone, int64_t at_us);

/* The local day that contains this instant (KEEP-13, LED-28). */
int32_t zone_day_at(const struct zone *zone, int64_t at_us);

/* First instant of a local day from DAY_MIN to DAY_MAX + 1; the day ends where the next one starts. */
int64_t zone_day_start(const struct zone *zone, int32_t day);

/* First instant after at_us at which the offset changes; false when there is none up to the year 9999. */
bool zone_next_change(const struct zone *zone, int64_t at_us, int64_t *ret_us);

enum zone_fit {
    ZONE_ONCE,  /* the reading happens once; both instants are the same */
    ZONE_TWICE, /* a doubled hour: earlier and later differ */
    ZONE_NEVER  /* a skipped hour: both are the instant of the jump */
};

/* The instants at which the zone's clocks show this reading. */
enum zone_fit zone_from_local(const struct zone *zone, const struct civil *local, int64_t *ret_earlier_us,
                              int64_t *ret_later_us);

/* One instant for a reading known to lie in the past: of two the later that is not after now_us, else the earlier
 * (SRC-50). */
int64_t zone_from_local_past(const struct zone *zone, const struct civil *local, int64_t now_us);

/*
 * A zone out of TZif bytes, for tests and fuzzing; the caller frees it with
 * zone_free. ERR_MALFORMED when the bytes break the format.
 */
enum err zone_from_tzif(struct op *op, struct str name, struct str bytes, struct zone **ret_zone);
void zone_free(struct zone *zone);

/* True when both zones give the same answer for every instant. */
bool zone_same_rules(const struct zone *a, const struct zone *b);
