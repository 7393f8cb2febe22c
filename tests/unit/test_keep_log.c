/*
 * test_keep_log.c - the nightly work on the log of events and the audit list: when, how much of it, and when it fails.
 */
#include "base/instant.h"
#include "engine/events.h"
#include "engine/keep_log.h"
#include "engine/schedule_builtin.h"
#include "lab_events.h"
#include "store/store_audit.h"

static struct lab lab;

static enum err make_builtin(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_builtin_make(op, tx);
}

static enum err record(struct op *op, struct tx *tx, void *arg)
{
    struct event_row row;
    struct str *type = arg;
    TRY(event_read(op, arena_fmt(op->arena, "{\"type\":\"%.*s\"}", STR(*type)), &row));
    TRY(store_audit_add(op, tx, S("test"), S("a.thing"), S("s"), S("")));
    return events_record(op, tx, &row, 1);
}

static void recorded(const char *type)
{
    struct str name = str_of(type);
    WRITES(&lab.f, record, &name);
}

static void note_type(struct buf *text, const struct event_row *row)
{
    buf_add_str(text, row->type);
    buf_add_char(text, ' ');
}

/* Types of the events that are there, newest first. */
static struct str events(void)
{
    return lab_events(&lab, note_type);
}

static void go_to(const char *instant)
{
    YES(instant_parse(str_of(instant), &lab.f.op.now_us));
    lab_tick(&lab);
    lab_tick(&lab);
}

static void start_at(const char *instant)
{
    lab_start(&lab);
    go_to(instant);
    WRITES(&lab.f, make_builtin, NULL);
}

struct view {
    struct str json;
};

static enum err view_run(struct op *op, struct tx *tx, void *arg)
{
    struct view *view = arg;
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 1 << 20);
    json_write_init(&w, &buf);
    TRY(schedule_view(op, tx, S("keep.log"), &w));
    view->json = buf_str(&buf);
    return OK;
}

static bool shows(const char *text)
{
    struct view view;
    READS(&lab.f, view_run, &view);
    return str_search(view.json, str_of(text)) < view.json.n;
}

/* KEEP-6, KEEP-12, EVT-51. */
TEST(keep_log, takes_away_what_was_old_at_its_nominal_time_and_says_how_much)
{
    start_at("2026-05-01T03:00:00Z");
    for (int i = 0; i < 3; i++)
        recorded("old");
    go_to("2026-05-01T03:20:00Z");
    struct own_turn turn = lab_own_begin(&lab, KEEP_QUEUE, 2);
    lab_own_finish(&lab, &turn);
    YES(shows("\"rows\":0"));
    recorded("young");
    go_to("2026-05-31T03:10:00Z");
    turn = lab_own_begin(&lab, KEEP_QUEUE, 2);
    lab_wait_ms(&lab, INT64_C(3600000)); /* it begins late: what became old since waits for the next night */
    EQ(lab_own_finish(&lab, &turn), 2);
    STR_EQ(events(), "young ");
    YES(shows("\"rows\":3"));
    YES(shows("\"done\":1"));
    lab_end(&lab);
}

/* KEEP-7. */
TEST(keep_log, that_is_dead_is_told_as_blocked)
{
    start_at("2026-05-01T03:00:00Z");
    go_to("2026-05-01T03:10:00Z");
    struct own_turn turn = lab_own_begin(&lab, KEEP_QUEUE, 2);
    struct lab_end_call call = { .ref = { .lease = turn.lease }, .fails = true, .failure = { .final = true } };
    WRITES(&lab.f, lab_end_run, &call);
    STR_EQ(events(), "keep.blocked job.dead ");
    YES(shows("\"state\":\"dead\""));
    lab_end(&lab);
}

static enum err put_budget(struct op *op, struct tx *tx, void *arg)
{
    return budget_put(op, tx, S("keep"), *(struct str *)arg);
}

static enum err budget(const char *policy)
{
    struct str text = str_of(policy);
    return store_write(&lab.f.op, lab.f.store, put_budget, &text);
}

/* KEEP-1. */
TEST(keep_log, has_a_queue_and_a_budget_of_its_own_that_keep_a_slot)
{
    start_at("2026-05-01T03:00:00Z");
    go_to("2026-05-01T03:10:00Z");
    struct queue_view view = lab_view(&lab, KEEP_QUEUE);
    YES(str_search(view.policy, S("\"budget\":\"keep\"")) < view.policy.n);
    struct lab_queue none = { .name = S(KEEP_QUEUE), .patch = { S("{\"concurrency\":0}"), -1, -1 } };
    EQ(store_write(&lab.f.op, lab.f.store, lab_patch_run, &none), ERR_INVALID);
    lab_policy(&lab, KEEP_QUEUE, "{\"concurrency\":1}");
    view = lab_view(&lab, KEEP_QUEUE);
    YES(str_search(view.policy, S("\"budget\":\"keep\"")) < view.policy.n);
    EQ(budget("{\"concurrency\":0}"), ERR_INVALID);
    EQ(budget("{\"concurrency\":1}"), OK);
    EQ(lab_fetch(&lab, KEEP_QUEUE, 1), 0); /* nobody else gets its work */
    lab_end(&lab);
}
