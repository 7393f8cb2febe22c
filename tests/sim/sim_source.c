/*
 * sim_source.c - a mailing read to its end from a provider that fails, by a process that dies (promises 1, 2, 4).
 *
 * The machine of engine/source.h runs on a virtual clock against the model of
 * engine/simulate.h, whose pages go through the real parser, and against the
 * real store on a disk with a plan of faults. Events come late, doubled, out of
 * order and as garbage, some by webhook too; answers are refused, limited, cut
 * off or never come; some pages cannot be read for hours; backfills are asked
 * for and cancelled; the clock steps; the process dies at any step and goes on
 * from its rows. In the end everything that was ever visible is applied once,
 * the coverage has no hole and the image is that of a ledger which was simply
 * told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "engine/check.h"
#include "engine/simulate_render.h"
#include "engine/source.h"
#include "engine/source_config.h"
#include "image.h"
#include "machine.h"
#include "engine/import.h"
#include "engine/tenants.h"

#define SECOND INT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

#define START_US     (INT64_C(1795287600) * SECOND) /* 2026-11-21T19:00:00Z: ids repeat after midnight */
#define FLYING_MAX   8
#define PAGE_MAX     300
#define STEPS_MAX    60000
#define PEOPLE_MAX   60
#define LAST_LOOK_US (3 * HOUR)
#define POISONS_MAX  3
#define HEAL_US      (50 * HOUR) /* a hole is tried again daily at last */
#define OFF_MAX_US   (2 * HOUR)  /* of our clock; the day of the import stays what it is */

#define SOURCE_BODY                                                                                                    \
    "{\"type\":\"mailgun\",\"domain\":\"mg.sim.example\",\"api_key\":\"k\",\"signing_key\":\"s\",\"tenant\":\"t\","    \
    "\"timing\":{\"every\":\"2m\",\"recheck\":[\"20m\",\"3h\"]}}"

/* A request whose answer is on its way, or a save on its way to the writer. */
struct flying {
    bool is_used, is_save;
    int64_t due_us, asked_us;
    struct source_request request;
    char token[64];
    struct source_save save;
    struct arena *arena; /* of the page's events */
};

struct keep_command {
    struct command command;
    const struct source_save *save;
    struct source_result result;
};

static struct stage {
    struct rng rng;
    struct sim *sim;
    struct arena *arena;
    struct machine machine;
    struct source *source;
    struct flying flying[FLYING_MAX];
    struct agent_list *agents;
    uint32_t source_no, tenant_no;
    uint64_t epoch;
    int64_t now_us, renew_us, last_visible_us;
    int64_t off_us;                 /* our clock against the world's */
    int64_t hooked_us;              /* webhooks were sent for what was visible until here */
    double trouble;                 /* share of answers that go wrong */
    double hooks;                   /* share of events that also come by webhook */
    double steps;                   /* chance, at each step of the world, that the clock does one too */
    double backfills;               /* that a backfill is asked for or cancelled */
    int64_t poison_us[POISONS_MAX]; /* pages that hold an item of this millisecond cannot be read */
    int poison_count;
    bool is_imported, is_lost, has_stepped;
} stage;

/* What our clock shows. */
static int64_t ours(void)
{
    return stage.now_us + stage.off_us;
}

/* ------------------------------------------------------------------------------------------------------- the rows */

static enum err prepare(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant;
    struct mailing mailing;
    struct source_row row;
    struct str tenant_id;
    char text[INSTANT_TEXT_BYTES];
    bool created;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put mailing_put = {
        .tenant = S("t"), .track_opens = true, .track_clicks = true, .sent_at = instant_text(START_US, 3, text)
    };
    TRY(tenant_store(op, tx, S("t"), &tenant_put, &tenant));
    TRY(mailing_store(op, tx, S("m"), &mailing_put, &mailing));
    TRY(source_config_parse(op, S("mg"), S(SOURCE_BODY), NULL, &row, &tenant_id));
    TRY(source_put(op, tx, &row, tenant_id, &created));
    stage.source_no = row.no;
    stage.tenant_no = tenant.no;
    return OK;
}

static enum err import_all(struct op *op, struct tx *tx, struct command *command)
{
    (void)command;
    struct import_line *lines;
    uint32_t count = sim_recipients(stage.sim);
    TRY(op_alloc(op, count * sizeof *lines, &lines));
    for (uint32_t no = 0; no < count; no++) {
        struct buf buf;
        buf_init_arena(&buf, op->arena, 4096);
        sim_render_message(stage.sim, no, &buf);
        struct json_line line = { no + 1, buf_str(&buf), false };
        import_line_parse(op, IMPORT_MAILING, &line, &lines[no]);
        if (lines[no].rejected)
            return fail(op, ERR_BUG, "line is rejected: %s", lines[no].detail);
    }
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = S("m"), .lines = lines, .count = count };
    return import_apply(op, tx, &chunk);
}

static void import_now(void)
{
    struct command command = { .run = import_all };
    machine_run_one(&stage.machine, &command);
    stage.is_imported = true;
}

/* ----------------------------------------------------------------------------------------------- the process's life */

static const struct node_self node = { .id = { "n1", 2 } };

static enum err take_lease(struct op *op, struct tx *tx, struct command *command)
{
    (void)command;
    return source_lease_take(op, tx, stage.source_no, &node, &stage.epoch);
}

static enum err renew_lease(struct op *op, struct tx *tx, struct command *command)
{
    (void)command;
    enum err err = source_lease_renew(op, tx, stage.source_no, &node, stage.epoch);
    stage.is_lost = err == ERR_CONFLICT; /* the clock was set forward */
    return err == ERR_CONFLICT ? OK : err;
}

static enum err load(struct op *op, struct tx *tx, void *arg)
{
    return source_load(op, tx, stage.source_no, arg);
}

static void land(struct flying *f)
{
    if (f->arena)
        arena_free(f->arena);
    f->arena = NULL;
    f->is_used = false;
}

/* Everything in memory is gone. */
static void die(void *data)
{
    (void)data;
    source_free(stage.source);
    stage.source = NULL;
    for (int i = 0; i < FLYING_MAX; i++)
        if (stage.flying[i].is_used)
            land(&stage.flying[i]);
}

static void live(void)
{
    while (!stage.source) {
        struct command command = { .run = take_lease };
        machine_run_one(&stage.machine, &command);
        struct source_setup setup;
        arena_reset(stage.machine.arena);
        stage.machine.op.now_us = ours();
        SIM_OK(&stage.machine.op, store_read(&stage.machine.op, stage.machine.store, load, &setup));
        stage.source = source_new(&setup, rng_next(&stage.rng));
        stage.renew_us = stage.now_us + SOURCE_RENEW_US;
    }
}

/* ---------------------------------------------------------------------------------------------------- the provider */

static unsigned types_of(unsigned classes)
{
    unsigned opens = 1u << SIM_OPENED | 1u << SIM_CLICKED, types = 0;
    if (classes & 1u << CLASS_OPENS)
        types |= opens;
    if (classes & 1u << CLASS_OTHERS)
        types |= SIM_TYPES_ALL & ~opens;
    return types;
}

static bool is_poisoned(const struct sim_event *events, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < stage.poison_count; k++)
            if (events[i].at_us / 1000 == stage.poison_us[k] / 1000)
                return true;
    return false;
}

static void page_bytes(const struct flying *f, struct buf *buf)
{
    static struct sim_event events[PAGE_MAX];
    struct sim_query query = { .begin_us = f->request.begin_us / 1000 * 1000,
                               .end_us = f->request.end_us + 1000, /* a provider's ends are rough */
                               .types = types_of(f->request.classes) };
    unsigned page = 0;
    long long at_us = 0;
    if (f->token[0]) {
        query.from_place = sscanf(f->token, "p%lld-%u-%u-%u", &at_us, &query.place.no, &query.place.n, &page) == 4;
        query.place.at_us = at_us;
    }
    size_t count = sim_page(stage.sim, &query, stage.now_us, events, (size_t)f->request.limit);
    if (is_poisoned(events, count)) {
        buf_add_str(buf, S("{\"items\":[{\"event\":\"deliv")); /* cut off */
        return;
    }
    buf_add_str(buf, S("{\"items\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(buf, ',');
        sim_render_item(stage.sim, &events[i], SIM_STYLE_EVENTS, buf);
    }
    struct sim_place place = count ? sim_place_of(&events[count - 1]) : query.place;
    buf_add_fmt(buf, "],\"paging\":{\"next\":\"https://api.mailgun.net/v3/mg.sim.example/events/p%lld-%u-%u-%u\"}}",
                (long long)place.at_us, place.no, place.n, page + 1);
}

static struct provider_source reader(void)
{
    return (struct provider_source){ .id = S("mg"),
                                     .hash_key = store_hash_key(stage.machine.store),
                                     .agents = stage.agents };
}

/* What goes wrong with an answer; FAULT_NONE: nothing. */
static struct source_fault trouble(const struct flying *f)
{
    if (!rng_chance(&stage.rng, stage.trouble))
        return (struct source_fault){ .kind = FAULT_NONE };
    bool had_token = f->token[0] != 0;
    switch (rng_below(&stage.rng, 8)) {
    case 0:
        return source_fault_of_status(429, had_token, rng_between(&stage.rng, 0, 5) * SECOND);
    case 1:
        return source_fault_of_status(401, had_token, 0);
    case 2:
        return source_fault_make(FAULT_UNREADABLE, "the page is cut off");
    case 3:
        return source_fault_of_status(had_token ? 400 : 502, had_token, 0);
    case 4:
        return source_fault_make(FAULT_PROVIDER, "no answer within 30 s");
    default:
        return source_fault_of_status(503, had_token, 0);
    }
}

/* ------------------------------------------------------------------------------------------------------- the driver */

static struct flying *fly(int64_t due_us)
{
    for (int i = 0; i < FLYING_MAX; i++)
        if (!stage.flying[i].is_used) {
            stage.flying[i] = (struct flying){ .is_used = true, .due_us = due_us };
            return &stage.flying[i];
        }
    seed_fails("more is under way than may be");
}

static void send_save(const struct source_save *save, struct arena *arena)
{
    struct flying *f = fly(stage.now_us + rng_between(&stage.rng, 0, 20000));
    f->is_save = true;
    f->save = *save;
    f->arena = arena;
}

static void send_request(const struct source_request *request)
{
    struct flying *f = fly(stage.now_us + rng_between(&stage.rng, 1000, 400000));
    f->request = *request;
    f->asked_us = ours();
    SIM_YES(request->token.n < sizeof f->token, "a page token is too long");
    snprintf(f->token, sizeof f->token, "%.*s", STR(request->token));
    f->request.token = (struct str){ NULL, 0 };
    SIM_YES(request->limit <= PAGE_MAX && request->limit > 0, "a page of %d items", request->limit);
}

/* A page arrives: through the parser, then to the machine. */
static void land_answer(struct flying *f)
{
    struct flying landed = *f;
    struct source_fault fault = trouble(f);
    struct op op;
    struct buf buf;
    struct provider_page page;
    struct source_save save;
    struct provider_source source = reader();
    f->is_used = false;
    if (fault.kind != FAULT_NONE) {
        source_failed(stage.source, landed.request.ticket, &fault, ours());
        return;
    }
    op_init(&op, arena_new(16 << 20), source_now(stage.source, ours()));
    buf_init_arena(&buf, op.arena, 4 << 20);
    page_bytes(&landed, &buf);
    if (provider_page_parse(&op, &source, PROVIDER_API_EVENTS, buf_str(&buf), landed.request.begin_us,
                            landed.request.end_us, &page) != OK) {
        SIM_YES(stage.poison_count, "a good page cannot be read: %s", op.error);
        fault = source_fault_make(FAULT_UNREADABLE, "the page is cut off");
        source_failed(stage.source, landed.request.ticket, &fault, ours());
        arena_free(op.arena);
        return;
    }
    int64_t date_us = stage.now_us / SECOND * SECOND;
    if (source_page(stage.source, landed.request.ticket, &page, landed.asked_us, date_us, ours(), &save))
        send_save(&save, op.arena);
    else
        arena_free(op.arena);
}

static enum err keep(struct op *op, struct tx *tx, struct command *command)
{
    struct keep_command *k = (struct keep_command *)(void *)command;
    return source_commit(op, tx, k->save, &k->result);
}

static void land_save(struct flying *f)
{
    struct keep_command k = { .command.run = keep, .save = &f->save };
    bool is_answered = machine_try(&stage.machine, &k.command);
    if (is_answered && stage.source) { /* it may have died behind the answer */
        enum err err = k.command.post.err;
        bool is_lapsed = err == ERR_CONFLICT && stage.has_stepped;
        SIM_YES(err == OK || err == ERR_UNAVAILABLE || is_lapsed, "a page was not kept: %s", k.command.post.op.error);
        struct flying landed = *f;
        f->is_used = false;
        source_saved(stage.source, landed.save.ticket, err, err == OK ? &k.result : NULL, ours());
        land(&landed);
        if (source_is_fenced(stage.source))
            die(NULL);
    }
    arena_free(k.command.post.op.arena);
}

/* Asks the machine until it rests; returns when it wants to be woken. */
static int64_t drive(void)
{
    struct source_todo todo;
    for (int i = 0; i < 1000; i++) {
        source_next(stage.source, ours(), &todo);
        if (todo.step == SOURCE_WAIT)
            return todo.wake_us == INT64_MAX ? INT64_MAX : todo.wake_us - stage.off_us;
        if (todo.step == SOURCE_SAVE)
            send_save(&todo.save, NULL);
        else
            send_request(&todo.request);
    }
    seed_fails("the machine does not come to rest");
}

static struct flying *next_landing(void)
{
    struct flying *next = NULL;
    for (int i = 0; i < FLYING_MAX; i++) {
        struct flying *f = &stage.flying[i];
        bool can_land = f->is_used && (f->is_save || source_can_take(stage.source, f->request.ticket));
        if (can_land && (!next || f->due_us < next->due_us))
            next = f;
    }
    return next;
}

/* --------------------------------------------------------------------------------------------------------- webhooks */

struct hook_command {
    struct command command;
    struct provider_event event;
    enum hook_outcome outcome;
    struct source_result result;
};

static enum err take_hook(struct op *op, struct tx *tx, struct command *command)
{
    struct hook_command *hook = (struct hook_command *)(void *)command;
    struct provider_event event = hook->event;
    provider_event_key(&event, tx_hash_key(tx), S("mg"));
    struct source_hook_save save = { .source_no = stage.source_no,
                                     .tenant_no = stage.tenant_no,
                                     .source_id = S("mg"),
                                     .events = &event,
                                     .event_count = 1 };
    return source_hook_commit(op, tx, &save, &hook->outcome, &hook->result);
}

static void visible_event(void *data, const struct sim_event *event)
{
    (void)data;
    if (event->flags & SIM_GARBAGE || !rng_chance(&stage.rng, stage.hooks))
        return;
    struct op op;
    struct hook_command hook = { .command.run = take_hook };
    op_init(&op, arena_new(1 << 20), ours());
    SIM_OK(&op, sim_provider_event(&op, stage.sim, event, &hook.event));
    machine_run_one(&stage.machine, &hook.command);
    arena_free(op.arena);
}

static void send_hooks(void)
{
    sim_became_visible(stage.sim, SIM_TYPES_ALL, stage.hooked_us, stage.now_us, visible_event, NULL);
    stage.hooked_us = stage.now_us;
}

/* ----------------------------------------------------------------------------------------------------------- the run
 */

static void renew(void)
{
    struct command command = { .run = renew_lease };
    machine_run_one(&stage.machine, &command);
    stage.renew_us = stage.now_us + SOURCE_RENEW_US;
    if (stage.is_lost)
        die(NULL);
    stage.is_lost = false;
}

static void clock_steps(int64_t to_off_us)
{
    int64_t by_us = to_off_us - stage.off_us;
    stage.has_stepped |= by_us != 0;
    stage.off_us = to_off_us;
    stage.machine.now_us = ours();
    for (int i = 0; i < FLYING_MAX; i++)
        stage.flying[i].asked_us += by_us;
    if (stage.source)
        source_stepped(stage.source, by_us);
}

/* Refused while one is under way, and when the clock is so far back that there is nothing to read. */
static enum err ask_backfill(struct op *op, struct tx *tx, struct command *command)
{
    (void)command;
    int64_t begin_us = START_US - 2 * HOUR + rng_between(&stage.rng, 0, 4 * HOUR);
    enum err err = source_backfill_start(op, tx, S("mg"), begin_us, begin_us + rng_between(&stage.rng, 1, 4 * HOUR));
    return err == ERR_CONFLICT || err == ERR_INVALID ? OK : err;
}

static enum err cancel_backfill(struct op *op, struct tx *tx, struct command *command)
{
    (void)command;
    return source_backfill_stop(op, tx, S("mg"));
}

/* As the daemon does: the row changes, then the machine hears of it. */
static void backfill(void)
{
    struct command command = { .run = rng_chance(&stage.rng, 0.7) ? ask_backfill : cancel_backfill };
    machine_run_one(&stage.machine, &command);
    if (!stage.source)
        return;
    struct source_setup setup;
    arena_reset(stage.machine.arena);
    SIM_OK(&stage.machine.op, store_read(&stage.machine.op, stage.machine.store, load, &setup));
    setup.epoch = stage.epoch;
    source_reload(stage.source, &setup, ours());
}

static void move_to(int64_t at_us)
{
    stage.now_us = at_us > stage.now_us ? at_us : stage.now_us;
    stage.machine.now_us = ours();
}

/* The next thing that is due. A process in a virtual world does not sleep long enough to lose its lease. */
static void step(void)
{
    live();
    int64_t at_us = drive();
    struct flying *next = next_landing();
    if (next && next->due_us <= at_us)
        at_us = next->due_us;
    else
        next = NULL;
    SIM_YES(at_us < INT64_MAX, "the machine waits for nothing");
    bool renews = stage.renew_us < at_us;
    move_to(renews ? stage.renew_us : at_us);
    if (renews)
        renew();
    else if (next && next->is_save)
        land_save(next);
    else if (next)
        land_answer(next);
}

static void run_until(int64_t until_us, int64_t import_us)
{
    for (int i = 0; stage.now_us < until_us; i++) {
        SIM_YES(i < STEPS_MAX, "the world does not come to an end");
        step();
        if (!stage.is_imported && stage.now_us >= import_us)
            import_now();
        if (stage.hooks > 0 && stage.now_us - stage.hooked_us > MINUTE)
            send_hooks();
        if (rng_chance(&stage.rng, stage.steps))
            clock_steps(rng_between(&stage.rng, -OFF_MAX_US, OFF_MAX_US));
        if (rng_chance(&stage.rng, stage.backfills))
            backfill();
        if (rng_chance(&stage.rng, 0.002))
            machine_kill(&stage.machine);
    }
}

/* --------------------------------------------------------------------------------------------------- the reference */

static enum err tell_all(struct op *op, struct tx *tx, void *arg)
{
    int64_t *ret_count = arg;
    struct sim_event events[SIM_EVENTS_MAX];
    TRY(import_all(op, tx, NULL));
    for (uint32_t no = 0; no < sim_recipients(stage.sim); no++) {
        size_t count = sim_events(stage.sim, no, events);
        for (size_t i = 0; i < count; i++) {
            struct provider_event event;
            enum event_result result;
            TRY(sim_provider_event(op, stage.sim, &events[i], &event));
            if (event.kind == EVENT_MALFORMED || event.kind == EVENT_UNHANDLED)
                continue;
            provider_event_key(&event, tx_hash_key(tx), S("mg"));
            TRY(ledger_apply(op, tx, S("mg"), stage.source_no, stage.tenant_no, &event, &result));
            *ret_count += result != RESULT_DUPLICATE;
        }
    }
    return OK;
}

static struct str reference_picture(int64_t *ret_events)
{
    struct op op;
    struct store *store;
    struct store_config config = { .directory = NULL };
    struct image image = { 0 };
    *ret_events = 0;
    op_init(&op, arena_new(64 << 20), START_US); /* the day messages belong to */
    SIM_OK(&op, store_open(&op, &config, &store));
    SIM_OK(&op, store_write(&op, store, prepare, NULL));
    SIM_OK(&op, store_write(&op, store, tell_all, ret_events));
    arena_reset(op.arena);
    SIM_OK(&op, store_read(&op, store, image_read, &image));
    struct str text = arena_str(stage.arena, image.text);
    store_close(store);
    arena_free(op.arena);
    return text;
}

/* ------------------------------------------------------------------------------------------------------ the promises
 */

struct verdict {
    struct lane_row lanes[STORE_LANES];
    struct source_setup setup;
};

static enum err read_verdict(struct op *op, struct tx *tx, void *arg)
{
    struct verdict *verdict = arg;
    TRY(store_lane_get(op, tx, stage.source_no, verdict->lanes));
    return source_load(op, tx, stage.source_no, &verdict->setup);
}

static bool has_holes(const struct verdict *verdict)
{
    struct coverage map;
    bool found = false;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        coverage_init(&map);
        coverage_load(&map, verdict->setup.intervals[class], verdict->setup.interval_count[class]);
        int64_t begin_us = verdict->setup.row.first_begin_us, through_us = coverage_through(&map, begin_us);
        found |= !coverage_has_read(&map, begin_us, through_us);
        for (size_t i = 0; i < map.count; i++)
            found |= map.at[i].again_us != 0;
        coverage_done(&map);
    }
    return found;
}

/* Holes are closed by the rechecks that come. */
static void heal(void)
{
    struct op *op = &stage.machine.op;
    struct verdict *verdict;
    for (int64_t until_us = stage.now_us + HEAL_US; stage.now_us < until_us;) {
        arena_reset(op->arena);
        SIM_OK(op, op_alloc(op, sizeof *verdict, &verdict));
        SIM_OK(op, store_read(op, stage.machine.store, read_verdict, verdict));
        if (!has_holes(verdict))
            return;
        run_until(stage.now_us + HOUR, 0);
    }
}

static void coverage_is_whole(const struct verdict *verdict)
{
    for (int class = 0; class < CLASS_COUNT; class ++) {
        struct coverage map;
        coverage_init(&map);
        coverage_load(&map, verdict->setup.intervals[class], verdict->setup.interval_count[class]);
        int64_t begin_us = verdict->setup.row.first_begin_us, through_us = coverage_through(&map, begin_us);
        bool is_whole = through_us > stage.last_visible_us && coverage_has_read(&map, begin_us, through_us);
        coverage_done(&map);
        SIM_YES(is_whole, "class %d: read from %lld to %lld, events until %lld", class, (long long)begin_us,
                (long long)through_us, (long long)stage.last_visible_us);
    }
}

static void each_event_counted_once(const struct verdict *verdict, int64_t events)
{
    int64_t taken = 0;
    for (int lane = 0; lane < STORE_LANES; lane++)
        taken += verdict->lanes[lane].count[RESULT_APPLIED] + verdict->lanes[lane].count[RESULT_UNCHANGED] +
                 verdict->lanes[lane].count[RESULT_PARKED];
    SIM_YES(taken == events, "%lld events were taken, there are %lld", (long long)taken, (long long)events);
}

static void promises_hold(struct str reference, int64_t events)
{
    struct op *op = &stage.machine.op;
    struct image image = { 0 };
    struct verdict *verdict;
    struct check check = { .store = stage.machine.store };
    arena_reset(op->arena);
    SIM_OK(op, op_alloc(op, sizeof *verdict, &verdict));
    SIM_OK(op, store_read(op, stage.machine.store, read_verdict, verdict));
    coverage_is_whole(verdict);
    each_event_counted_once(verdict, events);
    SIM_OK(op, check_run(op, &check));
    SIM_YES(check.differ == 0, "check: %lld facts differ", (long long)check.differ);
    SIM_OK(op, store_read(op, stage.machine.store, image_read, &image));
    image_same("told and read", reference, image.text);
}

/* ----------------------------------------------------------------------------------------------------------- a seed */

static void latest(void *data, const struct sim_event *event)
{
    (void)data;
    if (event->visible_at_us > stage.last_visible_us)
        stage.last_visible_us = event->visible_at_us;
}

/* Some events whose pages cannot be read. */
static void poison(void)
{
    struct sim_event events[SIM_EVENTS_MAX];
    int wanted = rng_chance(&stage.rng, 0.7) ? 0 : (int)rng_between(&stage.rng, 1, POISONS_MAX);
    while (stage.poison_count < wanted) {
        size_t count = sim_events(stage.sim, (uint32_t)rng_below(&stage.rng, sim_recipients(stage.sim)), events);
        if (count == 0)
            return;
        stage.poison_us[stage.poison_count++] = events[rng_below(&stage.rng, count)].at_us;
    }
}

static void make_stage(uint64_t seed)
{
    struct op op;
    stage = (struct stage){ .agents = stage.agents, .now_us = START_US, .hooked_us = START_US };
    rng_init(&stage.rng, seed);
    stage.arena = arena_new(64 << 20);
    op_init(&op, stage.arena, START_US);
    if (!stage.agents)
        SIM_OK(&op, agent_list_new(&op, (struct str){ NULL, 0 }, &stage.agents));
    int64_t speed = rng_between(&stage.rng, 12, 60);
    struct sim_config config = {
        .seed = rng_next(&stage.rng),
        .mailing = S("m"),
        .recipients = (uint32_t)rng_between(&stage.rng, 1, PEOPLE_MAX),
        .start_us = START_US,
        .compress_milli = speed * 1000,
        .late_ppm = rng_between(&stage.rng, 0, 300000),
        .late_by_us = rng_between(&stage.rng, 1, 80) * MINUTE * speed,
        .duplicate_ppm = rng_between(&stage.rng, 0, 200000),
        .garbage_ppm = rng_between(&stage.rng, 0, 200000),
    };
    SIM_OK(&op, sim_open(&op, &config, &stage.sim));
    stage.last_visible_us = START_US;
    sim_became_visible(stage.sim, SIM_TYPES_ALL, START_US - 24 * HOUR, START_US + 240 * HOUR, latest, NULL);
    stage.trouble = rng_chance(&stage.rng, 0.3) ? 0 : rng_unit(&stage.rng) * 0.3;
    stage.hooks = rng_chance(&stage.rng, 0.5) ? 0 : rng_unit(&stage.rng);
    stage.steps = rng_chance(&stage.rng, 0.7) ? 0 : rng_unit(&stage.rng) * 0.01;
    stage.backfills = rng_chance(&stage.rng, 0.7) ? 0 : rng_unit(&stage.rng) * 0.01;
    poison();
}

static void one_seed(uint64_t seed)
{
    int64_t events;
    make_stage(seed);
    struct str reference = reference_picture(&events);

    struct machine *machine = &stage.machine;
    machine_start(machine, &stage.rng, START_US);
    machine->reopened = die;
    SIM_OK(&machine->op, store_write(&machine->op, machine->store, prepare, NULL));
    machine_trouble(machine, 0.05, 0.001);
    run_until(stage.last_visible_us + LAST_LOOK_US / 2,
              START_US + (rng_chance(&stage.rng, 0.5) ? 0 : rng_between(&stage.rng, 0, HOUR)));
    stage.trouble = stage.steps = stage.backfills = 0;
    stage.poison_count = 0;
    clock_steps(0);
    machine_calm(machine);
    run_until(stage.last_visible_us + 2 * LAST_LOOK_US, 0);
    heal();
    promises_hold(reference, events);
    die(NULL);
    machine_stop(machine);
    sim_close(stage.sim);
    arena_free(stage.arena);
}

int main(void)
{
    return seeds_run("sim_source", one_seed);
}
