#include "engine/coverage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void coverage_init(struct coverage *map)
{
    *map = (struct coverage){ 0 };
}

void coverage_done(struct coverage *map)
{
    free(map->at);
    *map = (struct coverage){ 0 };
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void make_room(struct coverage *map, size_t count)
{
    if (count <= map->room)
        return;
    map->room = count < 8 ? 8 : 2 * count;
    map->at = realloc(map->at, map->room * sizeof *map->at);
    if (!map->at)
        abort(); /* some kilobytes: the machine is out of memory */
}

static void insert(struct coverage *map, size_t i, struct interval interval)
{
    make_room(map, map->count + 1);
    memmove(map->at + i + 1, map->at + i, (map->count - i) * sizeof *map->at);
    map->at[i] = interval;
    map->count++;
}

static void take_out(struct coverage *map, size_t i)
{
    map->count--;
    memmove(map->at + i, map->at + i + 1, (map->count - i) * sizeof *map->at);
}

/* Number of the first interval that ends behind `at_us`. */
static size_t first_behind(const struct coverage *map, int64_t at_us)
{
    size_t low = 0, high = map->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (map->at[middle].end_us > at_us)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* Makes at_us a border, if it lies inside an interval. */
static void split(struct coverage *map, int64_t at_us)
{
    size_t i = first_behind(map, at_us);
    if (i == map->count || map->at[i].begin_us >= at_us)
        return;
    struct interval behind = map->at[i];
    behind.begin_us = at_us;
    map->at[i].end_us = at_us;
    insert(map, i + 1, behind);
}

static bool is_touching(const struct interval *a, const struct interval *b)
{
    return a->end_us == b->begin_us;
}

static bool is_equal(const struct interval *a, const struct interval *b)
{
    return a->passes == b->passes && a->looks == b->looks && a->tried == b->tried && a->again_us == b->again_us;
}

/* SRC-1: touching intervals with equal values are one. */
static void join_equal(struct coverage *map)
{
    size_t kept = 0;
    for (size_t i = 1; i < map->count; i++) {
        struct interval *last = &map->at[kept];
        if (is_touching(last, &map->at[i]) && is_equal(last, &map->at[i]))
            last->end_us = map->at[i].end_us;
        else
            map->at[++kept] = map->at[i];
    }
    map->count = map->count ? kept + 1 : 0;
}

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* The earlier of two tries; 0 is none. */
static int64_t sooner(int64_t a_us, int64_t b_us)
{
    return a_us == 0 ? b_us : b_us == 0 ? a_us : earlier(a_us, b_us);
}

/* The next interval is swallowed; what both claim is what the weaker one claims. */
static void swallow_next(struct coverage *map, size_t i)
{
    struct interval *a = &map->at[i], *b = a + 1;
    a->end_us = b->end_us;
    a->passes = a->passes < b->passes ? a->passes : b->passes;
    a->looks = least(a->looks, b->looks);
    a->tried = least(a->tried, b->tried);
    a->again_us = sooner(a->again_us, b->again_us);
    take_out(map, i + 1);
}

/* Memory is a window (promise 7): too many intervals cost precision, oldest first, but never claim an unread second. */
static void hold_maximum(struct coverage *map)
{
    while (map->count > COVERAGE_INTERVALS_MAX) {
        size_t i = 0;
        while (i + 1 < map->count &&
               !(is_touching(&map->at[i], &map->at[i + 1]) && (map->at[i].passes > 0) == (map->at[i + 1].passes > 0)))
            i++;
        if (i + 1 < map->count)
            swallow_next(map, i);
        else
            take_out(map, 0);
    }
}

/* What becomes of a stretch: `give` changes the values of every piece of [begin, end), pieces never seen come as
 * zeros. */
struct stroke {
    void (*give)(struct interval *piece, const struct stroke *stroke);
    const struct coverage_plan *plan;
    int64_t at_us; /* when it was read or tried */
    uint8_t looks; /* that are satisfied at this age */
};

static void paint(struct coverage *map, int64_t begin_us, int64_t end_us, struct stroke stroke)
{
    if (end_us <= begin_us)
        return;
    split(map, begin_us);
    split(map, end_us);

    size_t i = first_behind(map, begin_us);
    for (int64_t at_us = begin_us; at_us < end_us; i++) {
        bool is_known = i < map->count && map->at[i].begin_us == at_us;
        if (!is_known) {
            int64_t until_us = i < map->count ? earlier(map->at[i].begin_us, end_us) : end_us;
            insert(map, i, (struct interval){ .begin_us = at_us, .end_us = until_us });
        }
        stroke.give(&map->at[i], &stroke);
        at_us = map->at[i].end_us;
    }
    join_equal(map);
    hold_maximum(map);
}

/* SRC-3: cuts [begin, end) where the number of satisfied looks changes, newest piece first. An event at e satisfies a
 * look of delay d when e <= at - d. */
static void paint_by_age(struct coverage *map, int64_t begin_us, int64_t end_us, struct stroke stroke)
{
    const struct coverage_plan *plan = stroke.plan;
    for (int looks = 0; looks <= plan->count && begin_us < end_us; looks++) {
        int64_t from_us = looks < plan->count ? later(begin_us, stroke.at_us - plan->delay_us[looks] + 1) : begin_us;
        if (from_us >= end_us)
            continue;
        stroke.looks = (uint8_t)looks;
        paint(map, from_us, end_us, stroke);
        end_us = from_us;
    }
}

static void give_reading(struct interval *piece, const struct stroke *stroke)
{
    if (piece->passes == 0)
        piece->tried = 0; /* counted tries at a hole, if anything */
    piece->again_us = 0;
    if (piece->passes < UINT32_MAX)
        piece->passes++;
    if (piece->looks < stroke->looks)
        piece->looks = stroke->looks;
    if (piece->tried < stroke->looks)
        piece->tried = stroke->looks;
}

void coverage_read(struct coverage *map, const struct coverage_plan *plan, int64_t begin_us, int64_t end_us,
                   int64_t read_at_us)
{
    paint_by_age(map, begin_us, end_us, (struct stroke){ give_reading, plan, read_at_us, 0 });
}

static void give_hole(struct interval *piece, const struct stroke *stroke)
{
    const struct coverage_plan *plan = stroke->plan;
    if (piece->passes > 0 && piece->tried < stroke->looks)
        piece->tried = stroke->looks;
    if (piece->passes > 0 && (piece->tried < plan->count || piece->looks >= plan->count))
        return; /* another look will come, or all were taken */
    if (piece->passes == 0 && piece->tried < COVERAGE_TRIED_ALL - 1)
        piece->tried++;
    int look = piece->tried < plan->count ? piece->tried : plan->count - 1;
    bool is_over = look == 0 || stroke->at_us - piece->begin_us > COVERAGE_HOLE_KEEP_US;
    piece->again_us = is_over ? INT64_MAX : stroke->at_us + plan->delay_us[look];
}

void coverage_hole(struct coverage *map, const struct coverage_plan *plan, int64_t begin_us, int64_t end_us,
                   int64_t tried_at_us)
{
    paint_by_age(map, begin_us, end_us, (struct stroke){ give_hole, plan, tried_at_us, 0 });
}

static void give_gap(struct interval *piece, const struct stroke *stroke)
{
    (void)stroke;
    if (piece->passes > 0)
        return;
    piece->tried = COVERAGE_TRIED_ALL;
    piece->again_us = INT64_MAX;
}

void coverage_gap(struct coverage *map, int64_t begin_us, int64_t end_us)
{
    paint(map, begin_us, end_us, (struct stroke){ give_gap, NULL, 0, 0 });
}

static void apply_mark(struct coverage *map, const struct coverage_plan *plan, const struct coverage_mark *mark)
{
    switch (mark->kind) {
    case MARK_READ:
        coverage_read(map, plan, mark->begin_us, mark->end_us, mark->at_us);
        return;
    case MARK_HOLE:
        coverage_hole(map, plan, mark->begin_us, mark->end_us, mark->at_us);
        return;
    case MARK_GAP:
        coverage_gap(map, mark->begin_us, mark->end_us);
        return;
    }
}

void coverage_apply(struct coverage maps[2], const struct coverage_plan *plan, const struct coverage_mark *marks,
                    int count)
{
    for (int i = 0; i < count; i++)
        for (int map = 0; map < 2; map++)
            if (marks[i].classes >> map & 1)
                apply_mark(&maps[map], plan, &marks[i]);
}

void coverage_load(struct coverage *map, const struct interval *intervals, size_t count)
{
    make_room(map, count);
    if (count)
        memcpy(map->at, intervals, count * sizeof *intervals);
    map->count = count;
    join_equal(map);
    hold_maximum(map);
}

int64_t coverage_through(const struct coverage *map, int64_t from_us)
{
    int64_t at_us = from_us;
    for (size_t i = first_behind(map, from_us); i < map->count && map->at[i].begin_us <= at_us; i++)
        at_us = map->at[i].end_us;
    return at_us;
}

bool coverage_unread(const struct coverage *map, int64_t from_us, int64_t until_us, int64_t *ret_begin_us,
                     int64_t *ret_end_us)
{
    int64_t begin_us = coverage_through(map, from_us);
    if (begin_us >= until_us)
        return false;
    size_t next = first_behind(map, begin_us);
    *ret_begin_us = begin_us;
    *ret_end_us = next < map->count ? earlier(map->at[next].begin_us, until_us) : until_us;
    return true;
}

bool coverage_has_read(const struct coverage *map, int64_t begin_us, int64_t end_us)
{
    int64_t at_us = begin_us;
    for (size_t i = first_behind(map, begin_us); at_us < end_us; i++) {
        if (i == map->count || map->at[i].begin_us > at_us || map->at[i].passes == 0)
            return false;
        at_us = map->at[i].end_us;
    }
    return true;
}

bool coverage_is_hole(const struct coverage *map, int64_t begin_us)
{
    size_t i = first_behind(map, begin_us);
    return i < map->count && map->at[i].begin_us <= begin_us && map->at[i].again_us != 0;
}

/* Walks the stretches that both maps hold, in order of time. */
struct walk {
    const struct coverage *maps;
    size_t i[2];
};

static bool walk_next(struct walk *walk, struct interval *ret)
{
    const struct coverage *a = &walk->maps[0], *b = &walk->maps[1];
    while (walk->i[0] < a->count && walk->i[1] < b->count) {
        const struct interval *x = &a->at[walk->i[0]], *y = &b->at[walk->i[1]];
        struct interval both = {
            .begin_us = later(x->begin_us, y->begin_us),
            .end_us = earlier(x->end_us, y->end_us),
            .passes = x->passes < y->passes ? x->passes : y->passes,
            .looks = least(x->looks, y->looks),
            .tried = least(x->tried, y->tried),
            .again_us = sooner(x->again_us, y->again_us),
        };
        walk->i[x->end_us <= y->end_us ? 0 : 1]++;
        if (both.begin_us < both.end_us) {
            *ret = both;
            return true;
        }
    }
    return false;
}

/* When the next look at the first instant of a stretch is due; INT64_MAX when none is planned. */
static int64_t due_at(const struct interval *stretch, const struct coverage_plan *plan)
{
    if (stretch->again_us)
        return stretch->again_us;
    return stretch->tried < plan->count ? stretch->begin_us + plan->delay_us[stretch->tried] : INT64_MAX;
}

/* End of that part of a stretch whose next look is due; at or before its begin when nothing is. A hole is due as a
 * whole, other stretches instant by instant. */
static int64_t due_end(const struct interval *stretch, const struct coverage_plan *plan, int64_t now_us,
                       int64_t until_us)
{
    if (due_at(stretch, plan) > now_us)
        return stretch->begin_us;
    int64_t end_us = earlier(stretch->end_us, until_us);
    return stretch->again_us ? end_us : earlier(end_us, now_us - plan->delay_us[stretch->tried]);
}

bool coverage_due(const struct coverage maps[2], const struct coverage_plan *plan, int64_t now_us, int64_t until_us,
                  struct coverage_due *ret)
{
    struct walk walk = { maps, { 0, 0 } };
    struct interval stretch;
    struct coverage_due due = { 0 };
    bool found = false;
    while (walk_next(&walk, &stretch)) {
        int64_t end_us = due_end(&stretch, plan, now_us, until_us);
        bool is_alike = due.is_hole ? stretch.again_us != 0 : !stretch.again_us && stretch.tried == due.look;
        bool goes_on = found && stretch.begin_us == due.end_us && is_alike;
        if (found && !goes_on)
            break;
        if (end_us <= stretch.begin_us)
            continue;
        if (!found)
            due = (struct coverage_due){
                .begin_us = stretch.begin_us,
                .look = stretch.tried,
                .is_hole = stretch.again_us != 0,
            };
        due.end_us = end_us;
        found = true;
    }
    if (found)
        *ret = due;
    return found;
}

int64_t coverage_next_due(const struct coverage maps[2], const struct coverage_plan *plan, int64_t until_us)
{
    struct walk walk = { maps, { 0, 0 } };
    struct interval stretch;
    int64_t due_us = INT64_MAX;
    while (walk_next(&walk, &stretch) && stretch.begin_us < until_us)
        due_us = earlier(due_us, due_at(&stretch, plan));
    return due_us;
}

size_t coverage_merge(const struct coverage maps[2], struct interval *ret, size_t max)
{
    /* Twice the same walk: the first counts, so that the second can leave out the oldest. */
    size_t total = 0, skip = 0, n = 0;
    for (int round = 0; round < 2; round++) {
        struct walk walk = { maps, { 0, 0 } };
        struct interval stretch, last = { 0 };
        size_t seen = 0;
        while (walk_next(&walk, &stretch)) {
            bool joins = seen && is_touching(&last, &stretch) && is_equal(&last, &stretch);
            last = stretch;
            seen += !joins;
            if (round == 0 || seen <= skip)
                continue;
            if (joins)
                ret[n - 1].end_us = stretch.end_us;
            else
                ret[n++] = stretch;
        }
        total = seen;
        skip = total > max ? total - max : 0;
    }
    return n;
}

bool coverage_is_settled(const struct interval *interval, const struct coverage_plan *plan)
{
    return interval->passes > 0 && interval->looks >= plan->count;
}

void coverage_age(struct coverage *map, const struct coverage_plan *plan, int64_t before_us)
{
    for (size_t i = 0; i + 1 < map->count && map->at[i + 1].end_us <= before_us;) {
        const struct interval *a = &map->at[i], *b = a + 1;
        if (is_touching(a, b) && coverage_is_settled(a, plan) && coverage_is_settled(b, plan))
            swallow_next(map, i);
        else
            i++;
    }
}
