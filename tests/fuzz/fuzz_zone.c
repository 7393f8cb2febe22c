/*
 * fuzz_zone.c - zone files: whatever bytes the reader takes for a zone, its days
 * follow each other without a hole, and local readings come back.
 *
 * The input is a zone file; it is also tried as the rule that ends one.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/zone.h"
#include "base/tzrule.h"
#include "fuzz.h"

#define YEAR_US INT64_C(31556952000000)

static void check_day(const struct zone *zone, int64_t at_us)
{
    int32_t day = zone_day_at(zone, at_us);
    assert(zone_day_start(zone, day) <= at_us && at_us < zone_day_start(zone, day + 1));
    assert(zone_day_at(zone, zone_day_start(zone, day)) == day);
}

static void check_local(const struct zone *zone, int64_t at_us)
{
    struct civil local = zone_to_local(zone, at_us);
    int64_t earlier_us, later_us;
    enum zone_fit fit = zone_from_local(zone, &local, &earlier_us, &later_us);
    assert(fit != ZONE_NEVER && earlier_us <= at_us && at_us <= later_us);
}

static void check_change(const struct zone *zone, int64_t at_us)
{
    int64_t next_us;
    if (!zone_next_change(zone, at_us, &next_us))
        return;
    assert(next_us > at_us);
    assert(zone_offset_at(zone, next_us - 1) == zone_offset_at(zone, at_us));
    assert(zone_offset_at(zone, next_us) != zone_offset_at(zone, at_us));
    check_day(zone, next_us);
    check_day(zone, next_us - 1);
    check_local(zone, next_us);
}

static void check_zone(struct str bytes)
{
    struct arena *arena = arena_new(1 << 20);
    struct zone *zone;
    struct op op;
    op_init(&op, arena, 0);
    if (zone_from_tzif(&op, S("Fuzz/Zone"), bytes, &zone) == OK) {
        for (int64_t year = -100; year < 600; year += 7) {
            int64_t at_us = year * YEAR_US + year * 3600000000;
            check_day(zone, at_us);
            check_local(zone, at_us);
            check_change(zone, at_us);
        }
        zone_free(zone);
    }
    arena_free(arena);
}

static void check_rule(struct str text)
{
    struct tzrule rule;
    if (!tzrule_parse(text, &rule) || !rule.changes)
        return;
    for (int32_t year = 1970; year < 2400; year += 43) {
        assert(llabs(tzrule_summer_begins(&rule, year) - tzrule_summer_begins(&rule, year + 1)) < 400 * 86400);
        assert(llabs(tzrule_summer_ends(&rule, year) - tzrule_summer_ends(&rule, year + 1)) < 400 * 86400);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = { (const char *)data, bytes };
    check_zone(text);
    check_rule(text);
    return 0;
}
