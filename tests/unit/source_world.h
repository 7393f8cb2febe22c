/*
 * source_world.h - a world around one machine of source.h.
 *
 * A provider that lists events by time, a writer that keeps saves, and a clock
 * moved by hand. Answers and commits take their time, so that pages are fetched
 * ahead and side by side.
 */
#pragma once

#include "base/random.h"
#include "engine/source.h"
#include "test.h"

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
    int least_limit[LANE_COUNT];
    int asked[LANE_COUNT], asked_total, most_flights, pages_kept;
    int limits[400];
    int64_t date_behind_us; /* the provider's clock against ours; INT64_MIN: no Date header */
    int64_t off_us;         /* our clock against the world's */

    /* Faults on demand. */
    int refuse_count, refuse_status;
    int64_t refuse_wait_us;
    int save_fails;
    enum err save_err;
    bool same_token, same_page, is_dead, has_rough_ends;
    int codes_on[WARN_COUNT], codes_off[WARN_COUNT];
    int holes, gaps;
    struct source_request last[LANE_COUNT];
} world;

static inline void world_setup(void)
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

static inline void forget_flying(void)
{
    for (int i = 0; i < FLYING_MAX; i++) {
        if (world.flying[i].is_used && world.flying[i].is_save && world.flying[i].save.event_count)
            free((void *)(uintptr_t)world.flying[i].save.events);
        world.flying[i].is_used = false;
    }
}

static inline void world_done(void)
{
    forget_flying();
    source_free(world.source);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&world.kept[i]);
    free(world.items);
    memset(&world, 0, sizeof world);
}

static inline void world_begin(int64_t first_begin_us)
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

static inline struct item *add(int64_t at_us, bool is_open)
{
    struct item *item = &world.items[world.item_count++];
    *item = (struct item){ .at_us = at_us, .visible_us = at_us, .is_open = is_open };
    return item;
}

/* What our clock shows. */
static inline int64_t ours(void)
{
    return world.now_us + world.off_us;
}

/* Our clock steps; the world goes on. */
static inline void clock_steps(int64_t by_us)
{
    world.off_us += by_us;
    for (int i = 0; i < FLYING_MAX; i++)
        world.flying[i].asked_us += by_us;
    source_stepped(world.source, by_us);
}

/* n events spread evenly over [begin, end). */
static inline void add_many(int n, int64_t begin_us, int64_t end_us, bool is_open)
{
    for (int i = 0; i < n; i++)
        add(begin_us + (end_us - begin_us) / n * i, is_open);
}

static inline int by_time(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    return (x->at_us > y->at_us) - (x->at_us < y->at_us);
}

static inline void world_sort(void)
{
    qsort(world.items, (size_t)world.item_count, sizeof *world.items, by_time);
}

static inline int first_at(int64_t at_us)
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

static inline void provider_answer(const struct source_request *request, const char *token, struct answer *answer)
{
    memset(&answer->page, 0, sizeof answer->page);
    answer->is_unreadable = false;
    answer->page.events = answer->events;
    answer->page.last_us = INT64_MIN;
    int64_t begin_us = request->begin_us / 1000 * 1000, end_us = (request->end_us + 999) / 1000 * 1000;
    int i = token[0] ? atoi(token) : first_at(begin_us);
    for (; i < world.item_count && answer->page.item_n < (size_t)request->limit; i++) {
        const struct item *item = &world.items[i];
        if (item->at_us >= end_us + (world.has_rough_ends ? 1000 : 0))
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

static inline enum err writer_keep(const struct source_save *save)
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
    struct lane_row *row = &world.lanes[save->lane];
    bool is_cancelled = save->lane == LANE_BACKFILL &&
                        (row->window_begin_us != save->read_begin_us || row->window_end_us != save->read_end_us);
    if (save->has_lane && !is_cancelled) {
        row->state = (uint8_t)save->state;
        row->window_begin_us = save->window_begin_us;
        row->window_end_us = save->window_end_us;
        row->position_us = save->position_us;
        row->next_run_at_us = save->next_run_at_us;
    }
    return OK;
}

/* ------------------------------------------------------------------------------------------------------- the loop */

static inline struct flying *fly(int64_t due_us)
{
    for (int i = 0; i < FLYING_MAX; i++)
        if (!world.flying[i].is_used) {
            world.flying[i] = (struct flying){ .is_used = true, .due_us = due_us };
            return &world.flying[i];
        }
    assert_true(false);
    return NULL;
}

static inline void send_save(const struct source_save *save)
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

static inline int flights(void)
{
    int n = 0;
    for (int i = 0; i < FLYING_MAX; i++)
        n += world.flying[i].is_used && !world.flying[i].is_save;
    return n;
}

static inline void send_request(const struct source_request *request)
{
    struct flying *f = fly(world.now_us + world.latency_us);
    f->request = *request;
    f->asked_us = ours();
    snprintf(f->token, sizeof f->token, "%.*s", STR(request->token));
    f->request.token = (struct str){ NULL, 0 };
    if (!world.asked[request->lane]++ || request->limit < world.least_limit[request->lane])
        world.least_limit[request->lane] = request->limit;
    world.limits[world.asked_total % 400] = request->limit;
    world.asked_total++;
    world.last[request->lane] = *request;
    world.most_flights = flights() > world.most_flights ? flights() : world.most_flights;
}

static inline void land_save(struct flying *f)
{
    struct flying landed = *f;
    f->is_used = false;
    enum err err = writer_keep(&landed.save);
    struct source_result result = { .last_event_us = STORE_NO_INSTANT };
    source_saved(world.source, landed.save.ticket, err, &result, ours());
    if (landed.save.event_count)
        free((void *)(uintptr_t)landed.save.events);
}

static inline bool land_answer(struct flying *f)
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
        source_failed(world.source, landed.request.ticket, &fault, ours());
        return true;
    }
    int64_t date_us = world.date_behind_us == INT64_MIN ? 0 : landed.asked_us - world.off_us - world.date_behind_us;
    struct source_save save;
    if (source_page(world.source, landed.request.ticket, &answer.page, landed.asked_us, date_us / SEC * SEC, ours(),
                    &save))
        send_save(&save);
    return true;
}

/* Asks the machine until it has nothing to do now; returns when it wants to be woken. */
static inline int64_t drive(void)
{
    struct source_todo todo;
    for (int i = 0; i < 10000; i++) {
        source_next(world.source, ours(), &todo);
        if (todo.step == SOURCE_WAIT)
            return todo.wake_us == INT64_MAX ? INT64_MAX : todo.wake_us - world.off_us;
        if (todo.step == SOURCE_SAVE)
            send_save(&todo.save);
        else
            send_request(&todo.request);
    }
    assert_true(false); /* the machine does not come to rest */
    return 0;
}

/* One step of the world: the next thing that is due, not after until_us. */
static inline bool step(int64_t until_us)
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

static inline void run_until(int64_t until_us)
{
    while (step(until_us))
        ;
}

static inline bool caught_up(void)
{
    for (int i = 0; i < world.item_count; i++)
        if (world.items[i].visible_us <= world.now_us && !world.items[i].seen && !world.items[i].is_poison)
            return false;
    return true;
}

/* The process is killed: what the machine knew is gone, the rows stay. */
static inline void crash(void)
{
    forget_flying();
    source_free(world.source);
    world_setup();
    world.source = source_new(&world.setup, (uint64_t)world.now_us);
}

static inline int64_t through(int class)
{
    return coverage_through(&world.kept[class], world.setup.row.first_begin_us);
}
