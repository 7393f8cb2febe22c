#include "test.h"

#include "base/random.h"
#include "engine/source.h"

/*
 * A world around one machine: a provider that lists events by time, a writer that keeps saves, and a clock moved by
 * hand. Answers and commits take their time, so that pages are fetched ahead and side by side.
 */
#define SEC  INT64_C(1000000)
#define MIN  (60 * SEC)
#define HOUR (60 * MIN)
#define DAY  (24 * HOUR)
#define NOW0 (20000 * DAY)

#define EVENTS_MAX 250000
#define FLYING_MAX 8

struct item {
    int64_t at_us, visible_us;
    bool is_open, is_poison, is_bad;
    int seen; /* times it was in a kept page */
};

struct flying {
    bool is_used, is_save;
    int64_t due_us;
    struct source_request request;
    char token[32];
    int64_t asked_us;
    struct source_save save;
    uint64_t ticket;
};

static struct world {
    struct source *source;
    struct source_setup setup;
    struct coverage kept[CLASS_COUNT]; /* as the rows are */
    struct lane_row lanes[STORE_LANES];
    struct item *items;
    int item_count;
    int64_t now_us, latency_us, commit_us;
    struct flying flying[FLYING_MAX];
    int asked[LANE_COUNT], asked_total, most_flights, pages_kept;
    int limits[400];
    int64_t date_behind_us; /* the provider's clock against ours; INT64_MIN: no Date header */

    /* Faults on demand. */
    int refuse_count, refuse_status;
    int64_t refuse_wait_us;
    int save_fails;
    enum err save_err;
    bool same_token, same_page, is_dead;
    int codes_on[WARN_COUNT], codes_off[WARN_COUNT];
    int holes, gaps;
    struct source_request last[LANE_COUNT];
} world;

static void world_setup(void)
{
    struct source_setup *s = &world.setup;
    s->row.no = 7;
    s->row.id = S("mg");
    s->row.type = S("mailgun");
    s->epoch = 1;
    for (int i = 0; i < CLASS_COUNT; i++) {
        s->intervals[i] = world.kept[i].at;
        s->interval_count[i] = world.kept[i].count;
    }
    memcpy(s->lanes, world.lanes, sizeof s->lanes);
}

static void forget_flying(void)
{
    for (int i = 0; i < FLYING_MAX; i++) {
        if (world.flying[i].is_used && world.flying[i].is_save && world.flying[i].save.event_count)
            free((void *)(uintptr_t)world.flying[i].save.events);
        world.flying[i].is_used = false;
    }
}

static void world_done(void)
{
    forget_flying();
    source_free(world.source);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&world.kept[i]);
    free(world.items);
    memset(&world, 0, sizeof world);
}

static void world_begin(int64_t first_begin_us)
{
    world_done();
    world.items = calloc(EVENTS_MAX, sizeof *world.items);
    world.now_us = NOW0;
    world.latency_us = 100000;
    world.commit_us = 5000;
    world.date_behind_us = INT64_MIN;
    world.save_err = ERR_UNAVAILABLE;
    timing_default(&world.setup.timing);
    world.setup.row.first_begin_us = first_begin_us;
    world.setup.newest_sent_us = NOW0;
    for (int i = 0; i < STORE_LANES; i++)
        world.lanes[i] = (struct lane_row){ .lane = (uint8_t)i,
                                            .window_begin_us = STORE_NO_INSTANT,
                                            .window_end_us = STORE_NO_INSTANT,
                                            .next_run_at_us = STORE_NO_INSTANT };
    world_setup();
    world.source = source_new(&world.setup, 1);
}

static struct item *add(int64_t at_us, bool is_open)
{
    struct item *item = &world.items[world.item_count++];
    *item = (struct item){ .at_us = at_us, .visible_us = at_us, .is_open = is_open };
    return item;
}

/* n events spread evenly over [begin, end). */
static void add_many(int n, int64_t begin_us, int64_t end_us, bool is_open)
{
    for (int i = 0; i < n; i++)
        add(begin_us + (end_us - begin_us) / n * i, is_open);
}

static int by_time(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static void world_sort(void)
{
    qsort(world.items, (size_t)world.item_count, sizeof *world.items, by_time);
}

static int first_at(int64_t at_us)
{
    int low = 0, high = world.item_count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (world.items[middle].at_us >= at_us)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* -------------------------------------------------------------------------------------------------- the provider */

struct answer {
    struct provider_page page;
    struct provider_event events[300];
    char next[32];
    bool is_unreadable;
};

static void provider_answer(const struct source_request *request, const char *token, struct answer *answer)
{
    memset(&answer->page, 0, sizeof answer->page);
    answer->is_unreadable = false;
    answer->page.events = answer->events;
    answer->page.last_us = INT64_MIN;
    int64_t begin_us = request->begin_us / 1000 * 1000, end_us = (request->end_us + 999) / 1000 * 1000;
    int i = token[0] ? atoi(token) : first_at(begin_us);
    for (; i < world.item_count && answer->page.item_n < (size_t)request->limit; i++) {
        const struct item *item = &world.items[i];
        if (item->at_us >= end_us)
            break;
        bool is_wanted = request->classes >> (item->is_open ? CLASS_OPENS : CLASS_OTHERS) & 1;
        if (!is_wanted || item->visible_us > world.now_us)
            continue;
        answer->is_unreadable |= item->is_poison;
        answer->page.item_n++;
        answer->page.ids = answer->page.ids * 31 + (uint64_t)i + 1;
        if (item->at_us < request->begin_us || item->at_us >= request->end_us)
            continue;
        answer->events[answer->page.n++] =
            (struct provider_event){ .kind = item->is_bad ? EVENT_MALFORMED : EVENT_OPENED, .code = i };
        if (!item->is_bad && item->at_us > answer->page.last_us)
            answer->page.last_us = item->at_us;
    }
    snprintf(answer->next, sizeof answer->next, "%d", world.same_page ? atoi(token) : i);
    if (world.same_page) /* the same items under a token that is always new */
        snprintf(answer->next, sizeof answer->next, "%d ", first_at(begin_us)),
            answer->next[4 + world.asked_total % 9] = 0;
    answer->page.next = str_of(answer->next);
    if (world.same_token && token[0])
        answer->page.next = str_of(token);
}

/* ------------------------------------------------------------------------------------------------------ the writer */

static enum err writer_keep(const struct source_save *save)
{
    if (world.save_fails > 0) {
        world.save_fails--;
        return world.save_err;
    }
    for (size_t i = 0; i < save->event_count; i++)
        world.items[save->events[i].code].seen++;
    for (int i = 0; i < save->mark_count; i++) {
        world.holes += save->marks[i].kind == MARK_HOLE;
        world.gaps += save->marks[i].kind == MARK_GAP;
    }
    for (int i = 0; i < save->note_count; i++)
        (save->notes[i].on ? world.codes_on : world.codes_off)[save->notes[i].code]++;
    coverage_apply(world.kept, &save->timing.plan, save->marks, save->mark_count);
    world.pages_kept += save->event_count > 0;
    if (save->has_lane) {
        struct lane_row *row = &world.lanes[save->lane];
        row->state = (uint8_t)save->state;
        row->window_begin_us = save->window_begin_us;
        row->window_end_us = save->window_end_us;
        row->position_us = save->position_us;
        row->next_run_at_us = save->next_run_at_us;
    }
    return OK;
}

/* ------------------------------------------------------------------------------------------------------- the loop */

static struct flying *fly(int64_t due_us)
{
    for (int i = 0; i < FLYING_MAX; i++)
        if (!world.flying[i].is_used) {
            world.flying[i] = (struct flying){ .is_used = true, .due_us = due_us };
            return &world.flying[i];
        }
    assert_true(false);
    return NULL;
}

static void send_save(const struct source_save *save)
{
    struct flying *f = fly(world.now_us + world.commit_us);
    f->is_save = true;
    f->save = *save;
    /* The page's events live in the answer; keep them with the save. */
    if (save->event_count) {
        struct provider_event *copy = malloc(save->event_count * sizeof *copy);
        memcpy(copy, save->events, save->event_count * sizeof *copy);
        f->save.events = copy;
    }
}

static int flights(void)
{
    int n = 0;
    for (int i = 0; i < FLYING_MAX; i++)
        n += world.flying[i].is_used && !world.flying[i].is_save;
    return n;
}

static void send_request(const struct source_request *request)
{
    struct flying *f = fly(world.now_us + world.latency_us);
    f->request = *request;
    f->asked_us = world.now_us;
    snprintf(f->token, sizeof f->token, "%.*s", STR(request->token));
    f->request.token = (struct str){ NULL, 0 };
    world.asked[request->lane]++;
    world.limits[world.asked_total % 400] = request->limit;
    world.asked_total++;
    world.last[request->lane] = *request;
    world.most_flights = flights() > world.most_flights ? flights() : world.most_flights;
}

static void land_save(struct flying *f)
{
    struct flying landed = *f;
    f->is_used = false;
    enum err err = writer_keep(&landed.save);
    struct source_result result = { .last_event_us = STORE_NO_INSTANT };
    source_saved(world.source, landed.save.ticket, err, &result, world.now_us);
    if (landed.save.event_count)
        free((void *)(uintptr_t)landed.save.events);
}

static bool land_answer(struct flying *f)
{
    static struct answer answer;
    if (!source_can_take(world.source, f->request.ticket))
        return false;
    struct flying landed = *f;
    f->is_used = false;
    struct source_fault fault = { .kind = FAULT_NONE };
    if (world.refuse_count > 0) {
        world.refuse_count--;
        fault = source_fault_of_status(world.refuse_status, landed.token[0] != 0, world.refuse_wait_us);
    } else {
        provider_answer(&landed.request, landed.token, &answer);
        if (answer.is_unreadable)
            fault = source_fault_make(FAULT_UNREADABLE, "the page is no JSON");
    }
    if (fault.kind != FAULT_NONE) {
        source_failed(world.source, landed.request.ticket, &fault, world.now_us);
        return true;
    }
    int64_t date_us = world.date_behind_us == INT64_MIN ? 0 : landed.asked_us - world.date_behind_us;
    struct source_save save;
    if (source_page(world.source, landed.request.ticket, &answer.page, landed.asked_us, date_us / SEC * SEC,
                    world.now_us, &save))
        send_save(&save);
    return true;
}

/* Asks the machine until it has nothing to do now; returns when it wants to be woken. */
static int64_t drive(void)
{
    struct source_todo todo;
    for (int i = 0; i < 10000; i++) {
        source_next(world.source, world.now_us, &todo);
        if (todo.step == SOURCE_WAIT)
            return todo.wake_us;
        if (todo.step == SOURCE_SAVE)
            send_save(&todo.save);
        else
            send_request(&todo.request);
    }
    assert_true(false); /* the machine does not come to rest */
    return 0;
}

/* One step of the world: the next thing that is due, not after until_us. */
static bool step(int64_t until_us)
{
    int64_t at_us = drive();
    struct flying *next = NULL;
    for (int i = 0; i < FLYING_MAX; i++) {
        struct flying *f = &world.flying[i];
        bool can_land = f->is_used && (f->is_save || source_can_take(world.source, f->request.ticket));
        if (can_land && (!next || f->due_us < next->due_us))
            next = f;
    }
    if (next && next->due_us < at_us)
        at_us = next->due_us;
    else
        next = NULL;
    if (at_us > until_us) {
        world.now_us = until_us;
        return false;
    }
    world.now_us = at_us > world.now_us ? at_us : world.now_us;
    if (next && next->is_save)
        land_save(next);
    else if (next)
        land_answer(next);
    return true;
}

static void run_until(int64_t until_us)
{
    while (step(until_us))
        ;
}

static bool caught_up(void)
{
    for (int i = 0; i < world.item_count; i++)
        if (world.items[i].visible_us <= world.now_us && !world.items[i].seen && !world.items[i].is_poison)
            return false;
    return true;
}

/* The process is killed: what the machine knew is gone, the rows stay. */
static void crash(void)
{
    forget_flying();
    source_free(world.source);
    world_setup();
    world.source = source_new(&world.setup, (uint64_t)world.now_us);
}

static int64_t through(int class)
{
    return coverage_through(&world.kept[class], world.setup.row.first_begin_us);
}

/* ------------------------------------------------------------------------------------------------------- reading */

TEST(source, reads_both_live_lanes_up_to_a_minute_ago_and_rests)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(50, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    add_many(10, NOW0 - 15 * MIN, NOW0 - 5 * MIN, false);
    world_sort();
    run_until(NOW0 + 10 * SEC);
    YES(caught_up());
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    EQ(through(CLASS_OTHERS), NOW0 - MIN);
    EQ(world.asked[LANE_OPENS], 2);
    EQ(world.asked[LANE_OTHERS], 2);
    EQ(world.lanes[LANE_OPENS].state, LANE_IDLE);
    YES(world.lanes[LANE_OPENS].next_run_at_us >= NOW0 + 27 * SEC);
    YES(world.lanes[LANE_OPENS].next_run_at_us <= NOW0 + 33 * SEC);
    world_done();
}

TEST(source, an_empty_window_is_covered_to_its_end_by_one_request)
{
    world_begin(NOW0 - 30 * MIN);
    run_until(NOW0 + 10 * SEC);
    EQ(world.asked[LANE_OPENS], 1);
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    run_until(NOW0 + 70 * SEC);
    YES(through(CLASS_OPENS) > NOW0 - MIN);
    world_done();
}

TEST(source, an_event_that_shows_late_is_found_by_the_recheck_after_half_an_hour)
{
    world_begin(NOW0 - 30 * MIN);
    struct item *late = add(NOW0 + 5 * MIN, true);
    late->visible_us = NOW0 + 15 * MIN;
    run_until(NOW0 + 34 * MIN);
    EQ(late->seen, 0);
    run_until(NOW0 + 40 * MIN);
    EQ(late->seen, 1);
    world_done();
}

TEST(source, everything_settles_after_a_day_with_three_passes)
{
    world_begin(NOW0);
    struct item *very_late = add(NOW0 + MIN, false);
    very_late->visible_us = NOW0 + 2 * HOUR;
    run_until(NOW0 + 25 * HOUR);
    EQ(very_late->seen, 1);
    struct interval merged[16];
    size_t n = coverage_merge(world.kept, merged, 16);
    YES(n >= 3 && n <= 4);
    YES(coverage_is_settled(&merged[0], &world.setup.timing.plan));
    EQ(merged[0].passes, 3);
    EQ(merged[0].begin_us, NOW0);
    world_done();
}

TEST(source, never_has_more_than_two_requests_under_way)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(20000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, true);
    add_many(5000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, false);
    world_sort();
    run_until(NOW0 + 5 * MIN);
    YES(caught_up());
    EQ(world.most_flights, 2);
    world_done();
}

TEST(source, a_lane_that_is_behind_is_read_in_two_windows_side_by_side)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(60000, NOW0 - 2 * HOUR, NOW0 - 10 * MIN, true);
    world.latency_us = SEC;
    run_until(NOW0 + 120 * SEC);
    /* 200 pages of a second each, one after the other, would take 200 s. */
    YES(caught_up());
    int twice = 0;
    for (int i = 0; i < world.item_count; i++)
        twice += world.items[i].seen > 1;
    YES(twice < 100);
    world_done();
}

TEST(source, more_events_at_one_instant_than_a_page_holds_are_all_read)
{
    world_begin(NOW0 - 30 * MIN);
    for (int i = 0; i < 2000; i++)
        add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 20 * SEC);
    YES(caught_up());
    EQ(through(CLASS_OPENS), NOW0 - MIN);
    world_done();
}

TEST(source, a_page_of_bad_items_only_is_not_the_end)
{
    world_begin(NOW0 - 30 * MIN);
    for (int i = 0; i < 900; i++)
        add(NOW0 - 20 * MIN + i, true)->is_bad = true;
    add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 20 * SEC);
    YES(caught_up());
    EQ(world.items[0].seen, 1);
    world_done();
}

TEST(source, two_hundred_thousand_opens_starve_neither_bounces_nor_a_backfill)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(200000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    add_many(9000, NOW0 - HOUR, NOW0 - 5 * MIN, false);
    add_many(5000, NOW0 - 30 * DAY, NOW0 - 29 * DAY, false);
    world_sort();
    world.lanes[LANE_BACKFILL].window_begin_us = world.lanes[LANE_BACKFILL].position_us = NOW0 - 30 * DAY;
    world.lanes[LANE_BACKFILL].window_end_us = NOW0 - 29 * DAY;
    crash();
    for (int i = 0; i < 200000 && world.asked_total < 36; i++)
        step(INT64_MAX - 1);
    YES(world.asked[LANE_OPENS] >= 18);
    YES(world.asked[LANE_OTHERS] >= 9);
    YES(world.asked[LANE_BACKFILL] >= 3);
    run_until(world.now_us + 10 * MIN);
    YES(caught_up());
    world_done();
}

TEST(source, fetches_one_page_ahead_but_keeps_pages_in_order)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(3000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    world.commit_us = 3 * SEC; /* the writer is slower than the provider */
    int64_t last_us = 0;
    while (step(NOW0 + 5 * MIN)) {
        YES(through(CLASS_OPENS) >= last_us);
        last_us = through(CLASS_OPENS);
    }
    YES(caught_up());
    world_done();
}

/* --------------------------------------------------------------------------------------------------------- crashes */

TEST(source, a_crash_between_any_two_steps_loses_nothing)
{
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct rng rng;
        rng_init(&rng, seed);
        world_begin(NOW0 - 2 * HOUR);
        add_many(4000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
        add_many(800, NOW0 - HOUR, NOW0 - 5 * MIN, false);
        world_sort();
        for (int i = 0; i < 400 && !caught_up(); i++) {
            step(NOW0 + HOUR);
            if (rng_below(&rng, 6) == 0)
                crash();
        }
        run_until(world.now_us + 2 * MIN);
        YES(caught_up());
        world_done();
    }
}

TEST(source, resumes_at_the_committed_position_with_a_fresh_first_request)
{
    world_begin(NOW0 - 2 * HOUR);
    add_many(3000, NOW0 - HOUR, NOW0 - 5 * MIN, true);
    while (world.pages_kept < 3)
        step(INT64_MAX - 1);
    int64_t position_us = through(CLASS_OPENS);
    crash();
    int before = world.asked[LANE_OPENS];
    while (world.asked[LANE_OPENS] == before)
        step(INT64_MAX - 1);
    EQ(world.last[LANE_OPENS].begin_us, position_us);
    NO(str_given(world.last[LANE_OPENS].token));
    run_until(world.now_us + MIN);
    YES(caught_up());
    world_done();
}

TEST(source, a_page_the_store_refused_is_read_again)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.save_fails = 3;
    run_until(NOW0 + 2 * MIN);
    YES(caught_up());
    EQ(world.items[0].seen, 1);
    world_done();
}

TEST(source, stops_when_its_lease_is_lost_until_it_is_taken_again)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.save_fails = 1;
    world.save_err = ERR_CONFLICT;
    run_until(NOW0 + MIN);
    YES(source_is_fenced(world.source));
    NO(caught_up());
    int asked = world.asked_total;
    run_until(NOW0 + 10 * MIN);
    EQ(world.asked_total, asked);

    world_setup();
    world.setup.epoch = 2;
    source_reload(world.source, &world.setup, world.now_us);
    run_until(NOW0 + 11 * MIN);
    YES(caught_up());
    world_done();
}

/* ---------------------------------------------------------------------------------------------------------- faults */

TEST(source, a_rate_limit_makes_every_lane_wait_as_long_as_asked)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(100, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.refuse_count = 1;
    world.refuse_status = 429;
    world.refuse_wait_us = 2 * SEC;
    while (world.refuse_count)
        step(INT64_MAX - 1);
    int64_t limited_us = world.now_us;
    int asked = world.asked_total;
    run_until(limited_us + 2 * SEC - 1);
    EQ(world.asked_total, asked);
    EQ(world.lanes[LANE_OPENS].state, LANE_WAITING);
    EQ(world.lanes[LANE_OPENS].next_run_at_us, limited_us + 2 * SEC);
    EQ(world.codes_on[WARN_RATE_LIMITED], 1);
    run_until(limited_us + 5 * SEC);
    YES(caught_up());
    EQ(world.codes_off[WARN_RATE_LIMITED], 1);
    EQ(world.lanes[LANE_OPENS].state, LANE_IDLE);
    world_done();
}

TEST(source, a_failing_provider_is_asked_again_with_growing_pauses)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(100, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.refuse_count = 1000000;
    world.refuse_status = 503;
    run_until(NOW0 + HOUR);
    YES(world.asked_total < 100);
    YES(world.asked_total > 20);
    NE(world.lanes[LANE_OPENS].state, LANE_IDLE);
    world.refuse_count = 0;
    run_until(NOW0 + HOUR + 6 * MIN);
    YES(caught_up());
    world_done();
}

TEST(source, refused_credentials_are_an_error_tried_every_five_minutes_and_at_once_after_a_put)
{
    world_begin(NOW0 - 30 * MIN);
    world.refuse_count = 1000000;
    world.refuse_status = 401;
    run_until(NOW0 + 4 * MIN);
    EQ(world.asked_total, 2); /* both were under way */
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    EQ(world.codes_on[WARN_CREDENTIALS_REFUSED], 1);
    run_until(NOW0 + 6 * MIN);
    EQ(world.asked_total, 4);

    world.refuse_count = 0;
    world_setup();
    source_reload(world.source, &world.setup, world.now_us);
    run_until(world.now_us + SEC);
    EQ(through(CLASS_OPENS) > NOW0, true);
    EQ(world.codes_off[WARN_CREDENTIALS_REFUSED], 1);
    world_done();
}

TEST(source, an_expired_page_token_begins_again_at_the_position_once_a_minute)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    while (world.pages_kept < 1)
        step(INT64_MAX - 1);
    world.refuse_count = 1;
    world.refuse_status = 400;
    run_until(NOW0 + 10 * SEC);
    YES(caught_up());
    world_done();
}

TEST(source, a_repeated_token_ends_the_run_and_keeps_the_position)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(20000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.same_token = true;
    run_until(NOW0 + 20 * SEC);
    NO(caught_up());
    YES(world.asked_total < 60);
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    YES(through(CLASS_OPENS) > NOW0 - 20 * MIN && through(CLASS_OPENS) < NOW0 - 10 * MIN);
    world.same_token = false;
    run_until(NOW0 + 10 * MIN);
    YES(caught_up());
    world_done();
}

TEST(source, three_equal_pages_in_a_row_end_the_run)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(2000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, true);
    world.same_page = true;
    run_until(NOW0 + 20 * SEC);
    YES(world.asked_total < 60);
    EQ(world.lanes[LANE_OPENS].state, LANE_ERROR);
    world_done();
}

/* ------------------------------------------------------------------------------------------------- unreadable pages */

static struct item *poisoned(int n, int64_t begin_us, int64_t end_us, int which)
{
    add_many(n, begin_us, end_us, true);
    world.items[which].is_poison = true;
    return &world.items[which];
}

TEST(source, five_retries_come_before_a_page_is_halved)
{
    world_begin(NOW0 - 30 * MIN);
    poisoned(300, NOW0 - 20 * MIN, NOW0 - 19 * MIN, 17);
    int opens = 0, whole = 0;
    while (opens < 7) {
        int before = world.asked[LANE_OPENS];
        step(INT64_MAX - 1);
        if (world.asked[LANE_OPENS] == before)
            continue;
        opens++;
        whole += world.last[LANE_OPENS].limit == 300;
    }
    EQ(whole, 6);
    EQ(world.last[LANE_OPENS].limit, 150);
    world_done();
}

TEST(source, a_poisoned_item_is_isolated_to_a_millisecond_within_about_forty_requests)
{
    int total = 0;
    for (int which = 0; which < 300; which += 13) {
        world_begin(NOW0 - 30 * MIN);
        struct item *poison = poisoned(600, NOW0 - 20 * MIN, NOW0 - 19 * MIN, which);
        int asked = 0;
        while (!world.holes && asked < 200) {
            step(INT64_MAX - 1);
            asked = world.asked[LANE_OPENS];
        }
        EQ(world.holes, 1);
        YES(asked <= 50);
        total += asked;
        run_until(world.now_us + 20 * SEC);
        YES(caught_up()); /* all but the poison */
        NO(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
        struct interval *at = world.kept[CLASS_OPENS].at;
        size_t hole = 0;
        while (at[hole].passes)
            hole++;
        YES(at[hole].end_us - at[hole].begin_us <= 1000);
        EQ(world.codes_on[WARN_UNREAD_GAP], 1);
        world_done();
    }
    YES(total / 24 <= 45);
}

TEST(source, a_hole_is_tried_again_by_each_recheck_and_closes_when_the_provider_heals)
{
    world_begin(NOW0 - 30 * MIN);
    struct item *poison = poisoned(100, NOW0 - 10 * MIN, NOW0 - 9 * MIN, 50);
    run_until(NOW0 + 15 * MIN);
    EQ(world.holes, 1);
    NO(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
    run_until(NOW0 + 40 * MIN);
    YES(world.holes >= 2); /* the recheck after half an hour met it again */
    poison->is_poison = false;
    run_until(NOW0 + 24 * HOUR + 20 * MIN);
    EQ(poison->seen, 1);
    YES(coverage_has_read(&world.kept[CLASS_OPENS], poison->at_us, poison->at_us + 1));
    world_done();
}

TEST(source, a_burst_of_garbage_makes_no_hole)
{
    for (int burst = 1; burst <= 34; burst += 3) {
        world_begin(NOW0 - 30 * MIN);
        struct item *poison = poisoned(1000, NOW0 - 20 * MIN, NOW0 - 10 * MIN, 0);
        for (int i = 0; i < world.item_count; i++)
            world.items[i].is_poison = true;
        while (world.asked[LANE_OPENS] < burst)
            step(INT64_MAX - 1);
        for (int i = 0; i < world.item_count; i++)
            world.items[i].is_poison = false;
        run_until(world.now_us + 10 * MIN);
        YES(caught_up());
        EQ(poison->seen >= 1, true);
        world_done();
    }
}

TEST(source, a_whole_unreadable_stretch_does_not_stop_what_lies_behind_it)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(3, NOW0 - 20 * MIN, NOW0 - 20 * MIN + 3 * SEC, true);
    for (int i = 0; i < 3; i++)
        world.items[i].is_poison = true;
    struct item *behind = add(NOW0 - 10 * MIN, true);
    run_until(NOW0 + 10 * MIN);
    EQ(world.holes, 3);
    EQ(behind->seen, 1);
    world_done();
}

/* ------------------------------------------------------------------------------------------------------- time lost */

TEST(source, time_beyond_the_retention_becomes_a_gap_and_reading_goes_on)
{
    world_begin(NOW0 - 10 * DAY);
    coverage_read(&world.kept[CLASS_OPENS], &world.setup.timing.plan, NOW0 - 10 * DAY, NOW0 - 5 * DAY, NOW0);
    coverage_read(&world.kept[CLASS_OTHERS], &world.setup.timing.plan, NOW0 - 10 * DAY, NOW0 - MIN, NOW0);
    crash();
    run_until(NOW0 + 10 * SEC);
    EQ(world.gaps, 1);
    EQ(world.kept[CLASS_OPENS].at[1].passes, 0);
    EQ(world.kept[CLASS_OPENS].at[1].begin_us, NOW0 - 5 * DAY);
    EQ(world.kept[CLASS_OPENS].at[1].end_us, NOW0 - 3 * DAY);
    YES(through(CLASS_OPENS) >= NOW0 - MIN);
    world_done();
}

TEST(source, a_clock_ahead_of_the_provider_declares_nothing_read_that_has_not_happened_there)
{
    world_begin(NOW0 - 30 * MIN);
    world.date_behind_us = 5 * MIN;
    run_until(NOW0 + 10 * SEC);
    EQ(world.codes_on[WARN_CLOCK_SKEW], 1);
    run_until(NOW0 + 10 * MIN);
    YES(through(CLASS_OPENS) <= world.now_us - 6 * MIN);
    YES(through(CLASS_OPENS) >= world.now_us - 7 * MIN);
    world_done();
}

/* -------------------------------------------------------------------------------------------------------- backfill */

static void start_backfill(int64_t begin_us, int64_t end_us)
{
    struct lane_row *row = &world.lanes[LANE_BACKFILL];
    row->window_begin_us = row->position_us = begin_us;
    row->window_end_us = end_us;
    world_setup();
    source_reload(world.source, &world.setup, world.now_us);
}

TEST(source, a_backfill_reads_as_asked_settles_at_once_and_is_done)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(5000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    run_until(NOW0 + SEC);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    run_until(NOW0 + 60 * SEC);
    YES(caught_up());
    EQ(world.lanes[LANE_BACKFILL].window_begin_us, STORE_NO_INSTANT);
    EQ(world.lanes[LANE_BACKFILL].state, LANE_IDLE);
    EQ(world.kept[CLASS_OTHERS].at[0].begin_us, NOW0 - 40 * DAY);
    YES(coverage_is_settled(&world.kept[CLASS_OTHERS].at[0], &world.setup.timing.plan));
    world_done();
}

TEST(source, a_backfill_survives_a_crash)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(5000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    while (world.pages_kept < 5)
        step(INT64_MAX - 1);
    crash();
    YES(world.lanes[LANE_BACKFILL].position_us > NOW0 - 40 * DAY);
    run_until(NOW0 + 60 * SEC);
    YES(caught_up());
    world_done();
}

TEST(source, a_cancelled_backfill_keeps_the_page_in_hand_and_stops)
{
    world_begin(NOW0 - 30 * MIN);
    add_many(50000, NOW0 - 40 * DAY, NOW0 - 35 * DAY, true);
    start_backfill(NOW0 - 40 * DAY, NOW0 - 35 * DAY);
    while (world.asked[LANE_BACKFILL] < 6)
        step(INT64_MAX - 1);
    world.lanes[LANE_BACKFILL].window_begin_us = world.lanes[LANE_BACKFILL].window_end_us = STORE_NO_INSTANT;
    world_setup();
    int kept = world.pages_kept;
    source_reload(world.source, &world.setup, world.now_us);
    run_until(world.now_us + 10 * SEC);
    YES(world.pages_kept > kept);
    EQ(world.asked[LANE_BACKFILL], 6);
    EQ(world.lanes[LANE_BACKFILL].state, LANE_IDLE);
    world_done();
}

TEST(source, a_new_mailing_ends_a_long_pause)
{
    world_begin(NOW0 - 30 * MIN);
    world.setup.newest_sent_us = STORE_NO_INSTANT;
    crash();
    run_until(NOW0 + 10 * MIN);
    int asked = world.asked[LANE_OPENS];
    EQ(asked, 1);
    source_news(world.source, world.now_us, world.now_us);
    run_until(world.now_us + SEC);
    EQ(world.asked[LANE_OPENS], asked + 1);
    world_done();
}

TEST(source, a_window_of_the_logs_api_ends_without_token_and_asks_for_a_hundred)
{
    world_begin(NOW0 - 30 * MIN);
    world.setup.row.api = S("logs");
    crash();
    run_until(NOW0 + SEC);
    EQ(world.last[LANE_OPENS].limit, 100);
    world_done();
}
