#include "base/zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/tzif.h"

#define SECOND_US INT64_C(1000000)
#define DAY_S     86400

/* The calendar repeats every 400 years, weekdays included; so do rules. */
#define CYCLE_DAYS  146097
#define CYCLE_S     ((int64_t)CYCLE_DAYS * DAY_S)
#define CYCLE_YEARS 400

/* One step of the index: 2^24 s are 194 days, in which few offsets change. */
#define INDEX_SHIFT 24

struct segment {
    int64_t begin_s;  /* first second UTC */
    int32_t offset_s; /* until the next segment begins */
    int32_t peak_day; /* latest local day reached before begin_s: days never run backwards (KEEP-13) */
};

struct zone {
    char name[ZONE_NAME_BYTES_MAX + 1];
    struct segment *segments; /* the last one is a mark that begins at INT64_MAX */
    size_t count;             /* with the mark */
    uint16_t *index;          /* segment in force at i << INDEX_SHIFT */
    size_t index_count;
    int64_t cycle_s; /* from here on the segments 400 years earlier say what happens; INT64_MAX: never */
};

/* What a lookup works on: an instant brought into the segments' reach, and the whole cycles taken off. */
struct place {
    const struct segment *segment;
    int64_t at_s;
    int64_t cycles;
};

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static const struct segment *segment_at(const struct zone *zone, int64_t at_s)
{
    const struct segment *segment = zone->segments;
    if (at_s >= 0) {
        size_t step = (size_t)(at_s >> INDEX_SHIFT);
        segment += zone->index[step < zone->index_count ? step : zone->index_count - 1];
    }
    while (segment[1].begin_s <= at_s)
        segment++;
    return segment;
}

static struct place place_of(const struct zone *zone, int64_t at_s)
{
    struct place place = { NULL, at_s, 0 };
    if (at_s >= zone->cycle_s) {
        place.cycles = (at_s - zone->cycle_s) / CYCLE_S + 1;
        place.at_s -= place.cycles * CYCLE_S;
    }
    place.segment = segment_at(zone, place.at_s);
    return place;
}

struct str zone_name(const struct zone *zone)
{
    return str_of(zone->name);
}

int32_t zone_offset_at(const struct zone *zone, int64_t at_us)
{
    return place_of(zone, floor_div(at_us, SECOND_US)).segment->offset_s;
}

struct civil zone_to_local(const struct zone *zone, int64_t at_us)
{
    int64_t margin_us = TZIF_OFFSET_S_MAX * SECOND_US;
    assert(at_us > INT64_MIN + margin_us && at_us < INT64_MAX - margin_us);
    return instant_to_civil(at_us + zone_offset_at(zone, at_us) * SECOND_US);
}

int32_t zone_day_at(const struct zone *zone, int64_t at_us)
{
    struct place place = place_of(zone, floor_div(at_us, SECOND_US));
    int32_t day = (int32_t)floor_div(place.at_s + place.segment->offset_s, DAY_S);
    if (day < place.segment->peak_day)
        day = place.segment->peak_day; /* set back over midnight: the new day had begun already */
    return day + (int32_t)(place.cycles * CYCLE_DAYS);
}

/*
 * The first instant at which the zone's clocks have reached a local second,
 * counted in *ret_place. Every segment before the one that holds
 * local_s - 26 h ends too early to have shown it.
 */
static int64_t first_reaching(const struct zone *zone, int64_t local_s, struct place *ret_place)
{
    struct place place = place_of(zone, local_s - TZIF_OFFSET_S_MAX - 1);
    int64_t wanted_s = local_s - place.cycles * CYCLE_S;
    const struct segment *segment = place.segment;
    for (;; segment++) {
        int64_t at_s = wanted_s - segment->offset_s;
        if (at_s < segment->begin_s)
            at_s = segment->begin_s; /* skipped: the clocks jump past it here */
        if (at_s >= segment[1].begin_s)
            continue;
        *ret_place = (struct place){ segment, at_s, place.cycles };
        return at_s + place.cycles * CYCLE_S;
    }
}

int64_t zone_day_start(const struct zone *zone, int32_t day)
{
    struct place place;
    assert(day >= DAY_MIN && day <= DAY_MAX + 1);
    return first_reaching(zone, (int64_t)day * DAY_S, &place) * SECOND_US;
}

bool zone_next_change(const struct zone *zone, int64_t at_us, int64_t *ret_us)
{
    struct place place = place_of(zone, floor_div(at_us, SECOND_US));
    int64_t next_s = place.segment[1].begin_s;
    if (next_s == INT64_MAX || next_s + place.cycles * CYCLE_S > INSTANT_US_MAX / SECOND_US)
        return false;
    *ret_us = (next_s + place.cycles * CYCLE_S) * SECOND_US;
    return true;
}

enum zone_fit zone_from_local(const struct zone *zone, const struct civil *local, int64_t *ret_earlier_us,
                              int64_t *ret_later_us)
{
    struct place place;
    int64_t local_s = floor_div(instant_from_civil(local), SECOND_US);
    int64_t jump_s = first_reaching(zone, local_s, &place);
    int64_t cycles_s = place.cycles * CYCLE_S;
    int64_t wanted_s = local_s - cycles_s;
    int64_t first_s = 0, last_s = 0;
    int times = 0;

    /* Nothing before this segment shows the reading; set back, the clocks may show it in later ones too. */
    for (const struct segment *segment = place.segment; segment->begin_s <= wanted_s - TZIF_OFFSET_S_MIN; segment++) {
        int64_t at_s = wanted_s - segment->offset_s;
        if (at_s < segment->begin_s || at_s >= segment[1].begin_s)
            continue;
        first_s = times++ == 0 ? at_s : first_s;
        last_s = at_s;
    }
    if (times == 0) {
        *ret_earlier_us = *ret_later_us = jump_s * SECOND_US;
        return ZONE_NEVER;
    }
    *ret_earlier_us = (first_s + cycles_s) * SECOND_US + local->us;
    *ret_later_us = (last_s + cycles_s) * SECOND_US + local->us;
    return times == 1 ? ZONE_ONCE : ZONE_TWICE;
}

int64_t zone_from_local_past(const struct zone *zone, const struct civil *local, int64_t now_us)
{
    int64_t earlier_us, later_us;
    zone_from_local(zone, local, &earlier_us, &later_us);
    return later_us <= now_us ? later_us : earlier_us;
}

/* Adds a segment, unless the offset stays what it is. */
static void add_segment(struct zone *zone, int64_t begin_s, int32_t offset_s)
{
    struct segment *last = zone->segments + zone->count - 1;
    if (last->offset_s == offset_s)
        return;
    int64_t peak_day = floor_div(begin_s - 1 + last->offset_s, DAY_S);
    if (peak_day < last->peak_day)
        peak_day = last->peak_day; /* also where a change "since ever" lies before all days there are */
    zone->segments[zone->count++] = (struct segment){ begin_s, offset_s, (int32_t)peak_day };
}

/* Adds a change that the rule gives. Of two at one instant (a year that ends as the next begins) the later one counts.
 */
static void add_by_rule(struct zone *zone, int64_t after_s, int64_t begin_s, int32_t offset_s)
{
    if (begin_s <= after_s)
        return; /* the file's own changes reach this far */
    while (zone->segments[zone->count - 1].begin_s >= begin_s)
        zone->count--;
    add_segment(zone, begin_s, offset_s);
}

static void add_year(struct zone *zone, int64_t after_s, const struct tzrule *rule, int32_t year)
{
    int64_t begins_s = tzrule_summer_begins(rule, year);
    int64_t ends_s = tzrule_summer_ends(rule, year);
    bool north = begins_s < ends_s;
    add_by_rule(zone, after_s, north ? begins_s : ends_s, north ? rule->summer_s : rule->standard_s);
    add_by_rule(zone, after_s, north ? ends_s : begins_s, north ? rule->standard_s : rule->summer_s);
}

/*
 * Lays out the rule for a cycle and two years behind the file's last change.
 * The first of them may be mixed of changes and rule, so the cycle is taken
 * from the years after it; the last gives lookups room to walk forward.
 */
static void add_rule(struct zone *zone, const struct tzif *file)
{
    int64_t after_s = file->count > 0 ? file->changes[file->count - 1].at_s : TZIF_AT_S_MIN;
    int32_t year = instant_to_civil((after_s > 0 ? after_s : 0) * SECOND_US).year;
    int32_t end = year + 2 + CYCLE_YEARS;
    for (int32_t y = year; y <= end; y++)
        add_year(zone, after_s, &file->rule, y);
    zone->cycle_s = (int64_t)day_from_date(end, 1, 1) * DAY_S;
}

static void build_index(struct zone *zone)
{
    size_t segment = 0;
    for (size_t step = 0; step < zone->index_count; step++) {
        while (zone->segments[segment + 1].begin_s <= (int64_t)step << INDEX_SHIFT)
            segment++;
        zone->index[step] = (uint16_t)segment;
    }
}

static void build_segments(struct zone *zone, const struct tzif *file)
{
    zone->segments[zone->count++] = (struct segment){ INT64_MIN, file->first_offset_s, INT32_MIN };
    for (size_t i = 0; i < file->count; i++)
        add_segment(zone, file->changes[i].at_s, file->changes[i].offset_s);
    zone->cycle_s = INT64_MAX;
    if (file->has_rule && file->rule.changes)
        add_rule(zone, file);

    int64_t last_s = zone->segments[zone->count - 1].begin_s;
    zone->index_count = last_s > 0 ? (size_t)(last_s >> INDEX_SHIFT) + 2 : 1;
    zone->segments[zone->count++] = (struct segment){ INT64_MAX, 0, INT32_MAX };
}

enum err zone_from_tzif(struct op *op, struct str name, struct str bytes, struct zone **ret_zone)
{
    struct tzif file;
    TRY(tzif_parse(op, bytes, &file));
    assert(name.n <= ZONE_NAME_BYTES_MAX);

    struct zone *zone = calloc(1, sizeof *zone);
    size_t most = 1 + file.count + (size_t)2 * (CYCLE_YEARS + 3) + 1;
    if (zone)
        zone->segments = calloc(most, sizeof *zone->segments);
    if (zone && zone->segments) {
        memcpy(zone->name, name.p, name.n);
        build_segments(zone, &file);
        assert(zone->count <= most);
        zone->index = calloc(zone->index_count, sizeof *zone->index);
    }
    if (!zone || !zone->index) {
        zone_free(zone);
        return fail(op, ERR_TOO_LARGE, "zone %.*s: out of memory", STR(name));
    }
    build_index(zone);

    /* Room was taken for the longest list of changes; most zones need half of it. */
    struct segment *fitting = realloc(zone->segments, zone->count * sizeof *zone->segments);
    if (fitting)
        zone->segments = fitting;
    *ret_zone = zone;
    return OK;
}

void zone_free(struct zone *zone)
{
    if (!zone)
        return;
    free(zone->segments);
    free(zone->index);
    free(zone);
}

bool zone_same_rules(const struct zone *a, const struct zone *b)
{
    return a->count == b->count && a->cycle_s == b->cycle_s &&
           memcmp(a->segments, b->segments, a->count * sizeof *a->segments) == 0;
}

static struct segment utc_segments[] = { { INT64_MIN, 0, INT32_MIN }, { INT64_MAX, 0, INT32_MAX } };
static uint16_t utc_index[] = { 0 };
static const struct zone utc = { "UTC", utc_segments, 2, utc_index, 1, INT64_MAX };

const struct zone *zone_utc(void)
{
    return &utc;
}
