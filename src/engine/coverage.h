/*
 * coverage.h - which stretches of time of a source were read, and how often (SRC-1 to SRC-4).
 *
 * The map of one class is a list of disjoint intervals in order of time:
 *
 *     unread | passes 3, settled | passes 2, looked again after 30 min | passes 1, live | not read yet
 *            ^ first reading                                                           ^ through
 *
 * Events come late, so one reading is not enough. The plan says after which
 * delays a stretch is looked at: live, then rechecks. A reading made at time t
 * satisfies for an event time e every look whose delay is at most t - e; that
 * is always the first few of the plan, so a number is enough to keep it. A
 * look may also be used up in vain (`tried`). A stretch that was never read and
 * cannot be is a hole, and so is one whose last look was in vain: what came late
 * may be there. Holes are tried again as long as a provider may keep them; a gap
 * lies beyond that.
 *
 * No clock, no rows: instants come in, intervals come out. A map belongs to
 * one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/store_source.h"

#define COVERAGE_LOOKS_MAX     8
#define COVERAGE_INTERVALS_MAX 2048
#define COVERAGE_TRIED_ALL     255                    /* `tried` of a gap: nobody will look again */
#define COVERAGE_HOLE_KEEP_US  INT64_C(2592000000000) /* 30 d: older holes are not tried again */

/* Delays of the planned looks, rising; usually the first is the live one (the margin). */
struct coverage_plan {
    int count;
    int64_t delay_us[COVERAGE_LOOKS_MAX];
};

struct coverage {
    struct interval *at;
    size_t count;
    size_t room;
};

void coverage_init(struct coverage *map);
void coverage_done(struct coverage *map);

/* The map becomes a copy of stored intervals, which are in order and disjoint; beyond the maximum the oldest merge. */
void coverage_load(struct coverage *map, const struct interval *intervals, size_t count);

/* [begin, end) was read whole at read_at_us. Nothing when end <= begin. */
void coverage_read(struct coverage *map, const struct coverage_plan *plan, int64_t begin_us, int64_t end_us,
                   int64_t read_at_us);

/* [begin, end) could not be read at tried_at_us (SRC-18): what was never read becomes a hole with passes 0, to be tried
 * again after the delays of the rechecks, the last of them over and over; elsewhere the looks that were due are used
 * up, and the last one is tried again in the same way. */
void coverage_hole(struct coverage *map, const struct coverage_plan *plan, int64_t begin_us, int64_t end_us,
                   int64_t tried_at_us);

/* [begin, end) is older than the provider keeps (SRC-20): what was never read becomes a gap nobody asks for again. */
void coverage_gap(struct coverage *map, int64_t begin_us, int64_t end_us);

/* One change of the maps of a source: what a page or a fault means for them. */
enum mark_kind { MARK_READ, MARK_HOLE, MARK_GAP };
struct coverage_mark {
    enum mark_kind kind;
    unsigned classes; /* bits 1 << number of the map */
    int64_t begin_us;
    int64_t end_us;
    int64_t at_us; /* when it was read or tried */
};

/* Applies marks to the maps of both classes: the writer does it to the rows, and the poller to its copy once the page
 * is committed. */
void coverage_apply(struct coverage maps[2], const struct coverage_plan *plan, const struct coverage_mark *marks,
                    int count);

/* First instant at or after from_us that no interval holds. */
int64_t coverage_through(const struct coverage *map, int64_t from_us);

/* First stretch at or after from_us and before until_us that no interval holds; false when there is none. */
bool coverage_unread(const struct coverage *map, int64_t from_us, int64_t until_us, int64_t *ret_begin_us,
                     int64_t *ret_end_us);

/* Whether [begin, end) was read whole at least once, holes and gaps not counting. */
bool coverage_has_read(const struct coverage *map, int64_t begin_us, int64_t end_us);

/* Whether the stretch at begin_us is one that could not be read when it was last tried. */
bool coverage_is_hole(const struct coverage *map, int64_t begin_us);

/* A stretch whose next look is due in both classes. */
struct coverage_due {
    int64_t begin_us;
    int64_t end_us;
    int look;     /* number of the look in the plan, from 0 */
    bool is_hole; /* a spot that was unreadable, and nothing around it */
};

/* The oldest stretch, over both classes, whose next look is due at now_us; it ends before until_us. */
bool coverage_due(const struct coverage maps[2], const struct coverage_plan *plan, int64_t now_us, int64_t until_us,
                  struct coverage_due *ret);

/* When the next look of any stretch before until_us becomes due: at or before now means one is due, and how overdue
 * the oldest is. INT64_MAX when none is planned. */
int64_t coverage_next_due(const struct coverage maps[2], const struct coverage_plan *plan, int64_t until_us);

/* Both classes in one (SRC-4): only what both hold, `passes` and looks the smaller number. Writes at most `max`
 * intervals, the newest, and returns how many. */
size_t coverage_merge(const struct coverage maps[2], struct interval *ret, size_t max);

/* The last planned look is satisfied. */
bool coverage_is_settled(const struct interval *interval, const struct coverage_plan *plan);

/* What ends before before_us merges where it touches and is read and settled, keeping the smaller number of passes:
 * history does not grow with each restart. */
void coverage_age(struct coverage *map, const struct coverage_plan *plan, int64_t before_us);
