#include "test.h"

#include "base/random.h"
#include "engine/coverage.h"

/* One unit of these tests is a second; the plan looks after 60 s, 30 min and 24 h. */
static const struct coverage_plan plan = { 3, { 60, 1800, 86400 } };

static struct coverage fresh(void)
{
    struct coverage map;
    coverage_init(&map);
    return map;
}

static void is(const struct coverage *map, size_t i, int64_t begin, int64_t end, int passes, int looks)
{
    YES(i < map->count);
    EQ(map->at[i].begin_us, begin);
    EQ(map->at[i].end_us, end);
    EQ(map->at[i].passes, passes);
    EQ(map->at[i].looks, looks);
}

TEST(coverage, a_live_reading_satisfies_the_live_look_only)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 100, 160);
    EQ(map.count, 1);
    is(&map, 0, 0, 100, 1, 1);
    NO(coverage_is_settled(&map.at[0], &plan));
    coverage_done(&map);
}

TEST(coverage, an_old_stretch_settles_at_once)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 1000, 1000000);
    EQ(map.count, 1);
    is(&map, 0, 0, 1000, 1, 3);
    YES(coverage_is_settled(&map.at[0], &plan));
    coverage_done(&map);
}

TEST(coverage, a_long_reading_is_cut_where_its_age_passes_a_look)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 200000, 200060);
    EQ(map.count, 3);
    is(&map, 0, 0, 200060 - 86400 + 1, 1, 3);
    is(&map, 1, 200060 - 86400 + 1, 200060 - 1800 + 1, 1, 2);
    is(&map, 2, 200060 - 1800 + 1, 200000, 1, 1);
    coverage_done(&map);
}

TEST(coverage, touching_stretches_of_equal_worth_are_one)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 30, 90);
    coverage_read(&map, &plan, 30, 60, 120);
    EQ(map.count, 1);
    is(&map, 0, 0, 60, 1, 1);
    coverage_done(&map);
}

TEST(coverage, an_empty_stretch_changes_nothing)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 10, 10, 100);
    coverage_read(&map, &plan, 10, 5, 100);
    EQ(map.count, 0);
    coverage_done(&map);
}

TEST(coverage, finds_the_first_instant_and_stretch_not_covered)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 100, 200, 1000);
    coverage_read(&map, &plan, 300, 400, 1000);
    EQ(coverage_through(&map, 50), 50);
    EQ(coverage_through(&map, 100), 200);
    EQ(coverage_through(&map, 350), 400);

    int64_t begin, end;
    YES(coverage_unread(&map, 100, 1000, &begin, &end));
    EQ(begin, 200);
    EQ(end, 300);
    YES(coverage_unread(&map, 300, 1000, &begin, &end));
    EQ(begin, 400);
    EQ(end, 1000);
    NO(coverage_unread(&map, 100, 200, &begin, &end));
    coverage_done(&map);
}

TEST(coverage, a_hole_is_covered_for_live_lanes_but_never_read)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 50, 200);
    coverage_hole(&map, &plan, 50, 51, 200);
    coverage_read(&map, &plan, 51, 100, 200);
    EQ(map.count, 3);
    is(&map, 1, 50, 51, 0, 0);
    EQ(map.at[1].tried, 1);
    EQ(coverage_through(&map, 0), 100);
    YES(coverage_has_read(&map, 0, 50));
    NO(coverage_has_read(&map, 0, 100));
    coverage_done(&map);
}

TEST(coverage, a_hole_closes_with_a_later_reading)
{
    struct coverage map = fresh();
    coverage_hole(&map, &plan, 50, 51, 200);
    coverage_read(&map, &plan, 50, 51, 2000);
    is(&map, 0, 50, 51, 1, 2);
    YES(coverage_has_read(&map, 50, 51));
    coverage_done(&map);
}

TEST(coverage, a_hole_in_a_stretch_already_read_keeps_its_passes)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 100, 160);
    coverage_hole(&map, &plan, 50, 51, 2000);
    is(&map, 1, 50, 51, 1, 1);
    EQ(map.at[1].tried, 2);
    coverage_done(&map);
}

TEST(coverage, a_hole_is_tried_again_after_each_recheck_delay_and_then_daily_for_a_month)
{
    static const int64_t day = INT64_C(86400000000), half_hour = INT64_C(1800000000);
    static const struct coverage_plan real = { 3, { 60000000, 1800000000, 86400000000 } };
    struct coverage maps[2] = { fresh(), fresh() };
    for (int i = 0; i < 2; i++)
        coverage_read(&maps[i], &real, 0, 10 * day, 11 * day);
    coverage_hole(&maps[0], &real, 10 * day, 10 * day + 1000, 11 * day); /* found long after every look was due */
    coverage_read(&maps[1], &real, 10 * day, 10 * day + 1000, 11 * day);

    struct coverage_due due;
    int64_t now = 11 * day, expected = now + half_hour;
    for (int tries = 0; tries < 29; tries++) {
        EQ(coverage_next_due(maps, &real, 11 * day), expected);
        NO(coverage_due(maps, &real, expected - 1, 11 * day, &due));
        YES(coverage_due(maps, &real, expected, 11 * day, &due));
        YES(due.is_hole);
        EQ(due.begin_us, 10 * day);
        EQ(due.end_us, 10 * day + 1000);
        now = expected;
        coverage_hole(&maps[0], &real, due.begin_us, due.end_us, now);
        expected = now + day;
    }
    coverage_hole(&maps[0], &real, due.begin_us, due.end_us, expected);
    EQ(coverage_next_due(maps, &real, 11 * day), INT64_MAX);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, a_gap_is_never_due_and_never_settled)
{
    struct coverage maps[2] = { fresh(), fresh() };
    struct coverage_due due;
    for (int i = 0; i < 2; i++)
        coverage_gap(&maps[i], 0, 100);
    NO(coverage_due(maps, &plan, 1000000, 1000000, &due));
    EQ(coverage_next_due(maps, &plan, 1000000), INT64_MAX);
    NO(coverage_is_settled(&maps[0].at[0], &plan));
    EQ(coverage_through(&maps[0], 0), 100);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, the_oldest_due_stretch_ends_where_its_look_is_not_due_yet)
{
    struct coverage maps[2] = { fresh(), fresh() };
    for (int i = 0; i < 2; i++)
        coverage_read(&maps[i], &plan, 0, 1000, 1060);
    struct coverage_due due;
    NO(coverage_due(maps, &plan, 1800, 1000, &due));
    EQ(coverage_next_due(maps, &plan, 1000), 1800);

    YES(coverage_due(maps, &plan, 2300, 1000, &due));
    EQ(due.begin_us, 0);
    EQ(due.end_us, 500);
    EQ(due.look, 1);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, a_due_stretch_ends_before_both_live_lanes)
{
    struct coverage maps[2] = { fresh(), fresh() };
    coverage_read(&maps[0], &plan, 0, 1000, 1060);
    coverage_read(&maps[1], &plan, 0, 300, 360);
    struct coverage_due due;
    YES(coverage_due(maps, &plan, 5000, 250, &due));
    EQ(due.end_us, 250);
    YES(coverage_due(maps, &plan, 5000, 5000, &due));
    EQ(due.end_us, 300);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, merges_both_classes_to_the_smaller_number)
{
    struct coverage maps[2] = { fresh(), fresh() };
    coverage_read(&maps[0], &plan, 0, 1000, 1060);
    coverage_read(&maps[0], &plan, 0, 500, 2300);
    coverage_read(&maps[1], &plan, 0, 800, 1060);

    struct interval merged[4];
    EQ(coverage_merge(maps, merged, 4), 1);
    EQ(merged[0].begin_us, 0);
    EQ(merged[0].end_us, 800);
    EQ(merged[0].passes, 1);

    coverage_read(&maps[1], &plan, 0, 500, 2300);
    EQ(coverage_merge(maps, merged, 4), 2);
    EQ(merged[0].passes, 2);
    EQ(merged[1].passes, 1);
    EQ(coverage_merge(maps, merged, 1), 1);
    EQ(merged[0].begin_us, 500);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, old_settled_history_merges_with_the_smaller_number_of_passes)
{
    struct coverage map = fresh();
    coverage_read(&map, &plan, 0, 100, 1000000);
    coverage_read(&map, &plan, 50, 100, 1000000);
    coverage_read(&map, &plan, 100, 200, 1000000);
    EQ(map.count, 3);
    coverage_age(&map, &plan, 150);
    EQ(map.count, 2);
    is(&map, 0, 0, 100, 1, 3);
    coverage_done(&map);
}

TEST(coverage, a_last_look_in_vain_is_tried_again_until_it_succeeds)
{
    struct coverage maps[2] = { fresh(), fresh() };
    struct coverage_due due;
    const int64_t delay = plan.delay_us[plan.count - 1];
    for (int i = 0; i < 2; i++)
        coverage_read(&maps[i], &plan, 0, 100, 1800);
    for (int i = 0; i < 2; i++)
        coverage_hole(&maps[i], &plan, 40, 41, delay + 100);
    NO(coverage_is_settled(&maps[0].at[1], &plan));
    for (int i = 0; i < 2; i++) {
        coverage_read(&maps[i], &plan, 0, 40, delay + 100);
        coverage_read(&maps[i], &plan, 41, 100, delay + 100);
    }
    NO(coverage_due(maps, &plan, 2 * delay + 99, 100, &due));
    EQ(coverage_next_due(maps, &plan, 100), 2 * delay + 100);
    YES(coverage_due(maps, &plan, 2 * delay + 100, 100, &due));
    EQ(due.begin_us, 40);
    EQ(due.end_us, 41);
    YES(due.is_hole);
    YES(coverage_is_hole(&maps[0], 40));
    NO(coverage_is_hole(&maps[0], 41));
    for (int i = 0; i < 2; i++)
        coverage_read(&maps[i], &plan, 40, 41, 2 * delay + 100);
    YES(coverage_is_settled(&maps[0].at[0], &plan));
    NO(coverage_due(maps, &plan, 9 * delay, 100, &due));
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, a_year_of_steady_reading_keeps_four_intervals_and_a_settled_past)
{
    struct coverage maps[2] = { fresh(), fresh() };
    const int64_t step = 600, year = 365 * 86400;
    size_t most = 0;
    for (int64_t now = 1000; now < year; now += step) {
        for (int i = 0; i < 2; i++)
            coverage_read(&maps[i], &plan, coverage_through(&maps[i], 0), now - 60, now);
        struct coverage_due due;
        while (coverage_due(maps, &plan, now, coverage_through(&maps[0], 0), &due))
            for (int i = 0; i < 2; i++)
                coverage_read(&maps[i], &plan, due.begin_us, due.end_us, now);
        most = maps[0].count > most ? maps[0].count : most;
    }
    YES(most <= 4);
    YES(coverage_is_settled(&maps[0].at[0], &plan));
    EQ(maps[0].at[0].begin_us, 0);
    YES(maps[0].at[0].end_us > year - 86400 - 3 * step);
    coverage_done(&maps[0]);
    coverage_done(&maps[1]);
}

TEST(coverage, too_many_intervals_cost_precision_but_claim_nothing_unread)
{
    struct coverage map = fresh();
    for (int i = 0; i < COVERAGE_INTERVALS_MAX + 100; i++)
        coverage_read(&map, &plan, 10 * i, 10 * i + 5, 1000000);
    EQ(map.count, COVERAGE_INTERVALS_MAX);
    NO(coverage_has_read(&map, 5, 10));
    is(&map, COVERAGE_INTERVALS_MAX - 1, 10 * (COVERAGE_INTERVALS_MAX + 99), 10 * (COVERAGE_INTERVALS_MAX + 99) + 5, 1,
       3);
    coverage_done(&map);
}

/* The same told second by second: what the map must agree with whatever was done to it. */
#define SPAN 300

struct second {
    bool known;
    int passes, looks, tried;
    int64_t again;
};

static int looks_at(const struct coverage_plan *p, int64_t e, int64_t t)
{
    int n = 0;
    while (n < p->count && p->delay_us[n] <= t - e)
        n++;
    return n;
}

static void model_hole(struct second *s, const struct coverage_plan *p, int64_t t, int looks)
{
    if (s->passes) {
        s->tried = looks > s->tried ? looks : s->tried;
        if (s->tried >= p->count && s->looks < p->count)
            s->again = t + p->delay_us[p->count - 1];
        return;
    }
    s->tried = s->tried < COVERAGE_TRIED_ALL - 1 ? s->tried + 1 : s->tried;
    s->again = t + p->delay_us[s->tried < p->count ? s->tried : p->count - 1];
}

static void model(struct second seconds[SPAN], const struct coverage_plan *p, int kind, int64_t begin, int64_t end,
                  int64_t t)
{
    for (int64_t e = begin; e < end; e++) {
        struct second *s = &seconds[e];
        int looks = looks_at(p, e, t);
        s->known = true;
        if (kind == 0) {
            s->tried = s->passes ? s->tried : 0;
            s->tried = looks > s->tried ? looks : s->tried;
            s->looks = looks > s->looks ? looks : s->looks;
            s->passes++;
            s->again = 0;
        } else if (kind == 1) {
            model_hole(s, p, t, looks);
        } else if (!s->passes) {
            s->tried = COVERAGE_TRIED_ALL;
            s->again = INT64_MAX;
        }
    }
}

static void agrees(const struct coverage *map, const struct second seconds[SPAN])
{
    size_t i = 0;
    for (int64_t e = 0; e < SPAN; e++) {
        while (i < map->count && map->at[i].end_us <= e)
            i++;
        bool known = i < map->count && map->at[i].begin_us <= e;
        EQ(known, seconds[e].known);
        if (!known)
            continue;
        EQ(map->at[i].passes, seconds[e].passes);
        EQ(map->at[i].looks, seconds[e].looks);
        EQ(map->at[i].tried, seconds[e].tried);
        EQ(map->at[i].again_us, seconds[e].again);
    }
    for (size_t k = 1; k < map->count; k++) {
        const struct interval *a = &map->at[k - 1], *b = &map->at[k];
        YES(a->begin_us < a->end_us && a->end_us <= b->begin_us);
        NO(a->end_us == b->begin_us && a->passes == b->passes && a->looks == b->looks && a->tried == b->tried &&
           a->again_us == b->again_us);
    }
}

/* When the next look at a second is due; INT64_MAX when none is planned. */
static int64_t due_of(const struct second *a, const struct second *b, const struct coverage_plan *p, int64_t e)
{
    int tried = a->tried < b->tried ? a->tried : b->tried;
    if (!a->known || !b->known)
        return INT64_MAX;
    if (a->again && b->again)
        return a->again < b->again ? a->again : b->again;
    if (a->again || b->again)
        return a->again ? a->again : b->again;
    return tried < p->count ? e + p->delay_us[tried] : INT64_MAX;
}

static void agrees_on_due(const struct coverage maps[2], struct second seconds[2][SPAN], const struct coverage_plan *p,
                          int64_t now, int64_t until)
{
    int64_t first = -1, next = INT64_MAX;
    for (int64_t e = 0; e < until; e++) {
        const struct second *a = &seconds[0][e], *b = &seconds[1][e];
        int64_t due = due_of(a, b, p, e);
        bool is_hole = a->again || b->again;
        if (first < 0 && (is_hole ? due <= now : due < now) && due != INT64_MAX)
            first = e;
        next = due < next ? due : next;
    }
    struct coverage_due due = { .begin_us = -1 };
    EQ(coverage_due(maps, p, now, until, &due), first >= 0);
    EQ(due.begin_us, first);
    EQ(coverage_next_due(maps, p, until), next);
}

TEST(coverage, agrees_with_a_model_of_single_seconds)
{
    static const struct coverage_plan small = { 3, { 5, 40, 120 } };
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        struct coverage maps[2] = { fresh(), fresh() };
        static struct second seconds[2][SPAN];
        memset(seconds, 0, sizeof seconds);
        for (int step = 0; step < 25; step++) {
            int class = (int)rng_below(&rng, 2), kind = (int)rng_below(&rng, 8);
            int64_t begin = rng_between(&rng, 0, SPAN), end = rng_between(&rng, 0, SPAN);
            int64_t t = rng_between(&rng, 0, 2 * SPAN);
            kind = kind < 6 ? 0 : kind - 5;
            if (kind == 0)
                coverage_read(&maps[class], &small, begin, end, t);
            else if (kind == 1)
                coverage_hole(&maps[class], &small, begin, end, t);
            else
                coverage_gap(&maps[class], begin, end);
            model(seconds[class], &small, kind, begin, end, t);
            agrees(&maps[class], seconds[class]);
            agrees_on_due(maps, seconds, &small, t, rng_between(&rng, 0, SPAN));
        }
        coverage_done(&maps[0]);
        coverage_done(&maps[1]);
    }
}
