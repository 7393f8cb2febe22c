/*
 * test_keep_run.c - parents and children of housekeeping: pages, failures, and when a run has ended.
 */
#include "base/metric.h"
#include "engine/check.h"
#include "engine/events.h"
#include "engine/keep_log.h"
#include "keep_lab.h"
#include "store/store_audit.h"
#include "store/store_inbox.h"

static struct lab lab;

/* One row that keep.log takes away some day, of each kind. */
static enum err add_one_of_each(struct op *op, struct tx *tx, void *arg)
{
    struct inbox_row refused = { .no = ++*(int64_t *)arg, .at_us = op->now_us, .subject = S("s"), .body = S("{}") };
    struct event_row event;
    TRY(store_inbox_refuse(op, tx, &refused, S("no such thing")));
    TRY(store_audit_add(op, tx, S("test"), S("a.thing"), S("s"), S("")));
    TRY(event_read(op, S("{\"type\":\"old\"}"), &event));
    return events_record(op, tx, &event, 1);
}

/* A night at which keep.log has something to do in all its parts; its parent waits to be worked on. */
static void start_at_night(void)
{
    int64_t no = 0;
    lab_start_file(&lab);
    keep_begin_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    WRITES(&lab.f, add_one_of_each, &no);
    keep_go_to(&lab, "2027-07-01T03:10:00Z");
    EQ(keep_ready(&lab), 1);
}

static struct str last(const char *member)
{
    struct keep_view view = { .id = S("keep.log") };
    struct str run = S("{}"), value = S("");
    READS(&lab.f, keep_view_run, &view);
    json_find(lab.f.arena, view.json, JSON_STRICT, S("last"), &run);
    json_find(lab.f.arena, run, JSON_STRICT, str_of(member), &value);
    return value;
}

static int64_t differences(void)
{
    struct check check = { .store = lab.f.store };
    SUCCEEDS(&lab.f.op, check_run(&lab.f.op, &check));
    return check.differ;
}

/* KEEP-2, KEEP-3. */
TEST(keep_run, children_and_cursor_of_a_page_are_one_transaction)
{
    start_at_night();
    struct own_turn parent = lab_own_begin(&lab, KEEP_QUEUE, 2);
    WRITES(&lab.f, lab_own_step_run, &parent);
    YES(!parent.is_over);
    EQ(keep_ready(&lab), 2);
    STR_EQ(last("children"), "2");
    EQ(differences(), 0);
    lab_reopen(&lab);
    lab_pass_ms(&lab, 130000); /* nobody goes on with the parent: its lease ends, and it is begun again */
    for (int i = 0; i < 10 && keep_ready(&lab) < 3; i++)
        lab_pass_ms(&lab, 60000);
    keep_work_all(&lab);
    STR_EQ(last("children"), "3");
    STR_EQ(last("done"), "3");
    STR_EQ(last("rows"), "3");
    EQ(differences(), 0);
    lab_end(&lab);
}

/* KEEP-3, KEEP-9. */
TEST(keep_run, has_ended_when_the_last_child_has)
{
    start_at_night();
    keep_work(&lab, 500);
    for (int i = 0; i < 3; i++) {
        STR_EQ(last("state"), "\"live\"");
        STR_EQ(last("ended_at"), "null");
        keep_work(&lab, 500);
    }
    STR_EQ(last("state"), "\"done\"");
    YES(!str_eq(last("ended_at"), S("null")));
    lab_end(&lab);
}

static enum err many_events(struct op *op, struct tx *tx, void *arg)
{
    int64_t no = 100;
    for (int i = 0; i < *(int *)arg; i++)
        TRY(add_one_of_each(op, tx, &no));
    return OK;
}

/* Steps one job of housekeeping to its end though of each step the first statement fails, then the second, and so on.
 */
static void work_through_faults(void)
{
    struct own_turn turn = lab_own_begin(&lab, KEEP_QUEUE, 2);
    for (int64_t nth = 1; !turn.is_over; nth++) {
        struct own_turn next = turn;
        fixture_plan(&lab.f, STORE_AT_STATEMENT, STORE_FAIL_IO, nth);
        if (store_write(&lab.f.op, lab.f.store, lab_own_step_run, &next) == OK) {
            turn = next;
            nth = 0;
        }
        YES(nth < 1000);
    }
    lab.f.countdown = 0;
}

/* KEEP-3, KEEP-4. */
TEST(keep_run, makes_and_does_each_part_once_whatever_statement_fails)
{
    start_at_night();
    work_through_faults();
    STR_EQ(last("children"), "3");
    EQ(keep_ready(&lab), 3);
    for (int i = 0; i < 3; i++)
        work_through_faults();
    STR_EQ(last("state"), "\"done\"");
    STR_EQ(last("done"), "3");
    STR_EQ(last("rows"), "3");
    EQ(differences(), 0);
    lab_end(&lab);
}

/* KEEP-4, HAND-5. */
TEST(keep_run, a_child_gives_its_slot_up_after_30_s_and_goes_on_behind_the_others)
{
    int count = 6;
    lab_start_file(&lab);
    keep_begin_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    WRITES(&lab.f, many_events, &count);
    keep_go_to(&lab, "2027-07-01T03:10:00Z");
    keep_work(&lab, 500);
    struct own_turn audit = lab_own_begin(&lab, KEEP_QUEUE, 2);
    lab_wait_ms(&lab, 29000);
    WRITES(&lab.f, lab_own_step_run, &audit);
    YES(!audit.is_over);
    EQ(keep_ready(&lab), 2);
    lab_wait_ms(&lab, 1000);
    WRITES(&lab.f, lab_own_step_run, &audit);
    YES(audit.is_over);
    EQ(keep_ready(&lab), 3);
    STR_EQ(last("done"), "0");
    keep_work(&lab, 500);
    keep_work(&lab, 500); /* events and inbox were before it */
    STR_EQ(last("done"), "2");
    audit = lab_own_begin(&lab, KEEP_QUEUE, 2);
    EQ(audit.done, 0);
    lab_wait_ms(&lab, 60000); /* nobody waits: it keeps the slot */
    EQ(lab_own_finish(&lab, &audit), 2);
    EQ(audit.done, 6);
    STR_EQ(last("state"), "\"done\"");
    STR_EQ(last("rows"), "18");
    EQ(differences(), 0);
    lab_end(&lab);
}

/* KEEP-7. */
TEST(keep_run, a_dead_child_stops_no_other_and_the_run_is_done_when_it_was_retried)
{
    start_at_night();
    keep_work(&lab, 500);
    struct str body = keep_fail(&lab);
    YES(str_search(body, S("\"args\":[\"audit\",")) < body.n);
    const char *jid = lab.jobs_out[0].jid.p;
    keep_work_all(&lab);
    STR_EQ(last("state"), "\"dead\"");
    STR_EQ(last("done"), "2");
    STR_EQ(last("dead"), "1");
    EQ(differences(), 0);
    EQ(lab_act(&lab, jid, ACTION_RETRY), JOB_READY);
    STR_EQ(last("state"), "\"live\"");
    keep_work_all(&lab);
    STR_EQ(last("state"), "\"done\"");
    STR_EQ(last("dead"), "0");
    EQ(differences(), 0);
    lab_end(&lab);
}

/* --- after another one --- */

/* Runs that were told to be held back, with the reason: a dead job's event has a jid as its subject. */
static void note_held(struct buf *text, const struct event_row *row)
{
    struct str why = S("");
    if (!str_eq(row->type, S("keep.blocked")) || !str_starts(row->subject, S("keep.")))
        return;
    json_find(lab.f.arena, row->data, JSON_STRICT, S("why"), &why);
    buf_add_fmt(text, "%.*s: %.*s", STR(row->subject), (int)why.n - 2, why.p + 1);
}

static struct str held_events(void)
{
    return lab_events(&lab, note_held);
}

static struct str gauge(void)
{
    const struct metric_cell *cell = METRIC_PLAIN(metric_gauge("posthouse_keep_blocked", "Held back.", "", METRIC_ONE));
    return arena_fmt(lab.f.arena, "%lld", (long long)metric_value(cell));
}

/* What stands in the newest run of keep.keys. */
static bool keys_show(const char *text)
{
    return keep_shows(&lab, "keep.keys", text);
}

static void start_with_both_due(void)
{
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_pause(&lab, "keep.log", true);
    keep_go_to(&lab, "2026-05-01T03:20:00Z");
    EQ(keep_ready(&lab), 1);
    YES(keep_shows(&lab, "keep.parked", "\"state\":\"live\""));
    YES(keys_show("\"state\":\"waiting\""));
}

/* KEEP-9, SCHED-7. */
TEST(keep_run, begins_when_the_whole_run_before_it_has_ended_and_not_by_the_clock)
{
    start_with_both_due();
    YES(keys_show("of keep.parked has not ended\""));
    keep_work(&lab, 500);
    lab_tick(&lab);
    YES(keys_show("\"state\":\"live\""));
    keep_work(&lab, 500);
    YES(keys_show("\"state\":\"done\""));
    lab_end(&lab);
}

/* KEEP-10. */
TEST(keep_run, that_is_held_back_for_two_hours_is_told_once_and_goes_when_the_other_was_run_by_hand)
{
    struct keep_by_hand by_hand = { S("keep.parked") };
    start_with_both_due();
    keep_fail(&lab);
    YES(keys_show("of keep.parked is dead\""));
    lab_pass_ms(&lab, 7190000);
    STR_EQ(held_events(), "");
    lab_pass_ms(&lab, 120000);
    YES(str_search(held_events(), S("keep.keys: run r-")) == 0);
    size_t once = held_events().n;
    lab_pass_ms(&lab, 600000);
    EQ(held_events().n, once);
    STR_EQ(gauge(), "1");
    WRITES(&lab.f, keep_by_hand_run, &by_hand);
    keep_work(&lab, 500);
    lab_pass_ms(&lab, 61000);
    YES(keys_show("\"state\":\"live\""));
    STR_EQ(gauge(), "0");
    lab_end(&lab);
}

/* KEEP-10, SCHED-7. */
TEST(keep_run, waits_for_a_schedule_that_is_paused_and_says_so)
{
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_pause(&lab, "keep.parked", true);
    keep_pause(&lab, "keep.log", true);
    keep_go_to(&lab, "2026-05-01T03:20:00Z");
    YES(keys_show("\"why\":\"keep.parked is paused\""));
    struct keep_by_hand by_hand = { S("keep.parked") };
    WRITES(&lab.f, keep_by_hand_run, &by_hand);
    keep_work(&lab, 500);
    lab_tick(&lab);
    YES(keys_show("\"state\":\"live\""));
    lab_end(&lab);
}

/* --- part by part --- */

static const char *const tenants[] = { "tenant-a", "tenant-b", "tenant-c" };

static enum err find_tenants(struct op *op, struct tx *tx, struct keep_page *page)
{
    (void)op;
    (void)tx;
    for (size_t i = 0; i < 3; i++)
        if (str_cmp(str_of(tenants[i]), page->after) > 0)
            (void)keep_page_add(page, str_of(tenants[i]), page->nominal_us);
    return OK;
}

static enum err one_row(struct op *op, struct tx *tx, struct keep_chunk *chunk)
{
    (void)op;
    (void)tx;
    chunk->gone = 1;
    chunk->more = false;
    return OK;
}

static const struct keep_kind by_tenant[] = {
    { "posthouse.keep.first", find_tenants, one_row, false },
    { "posthouse.keep.second", find_tenants, one_row, true },
    { 0 },
};

#define BY_TENANT(word) S("{\"jobtype\":\"posthouse.keep." word "\",\"queue\":\"keep\",\"args\":[]}")

static enum err put_by_tenant(struct op *op, struct tx *tx, void *arg)
{
    struct schedule_put first = { .cron = S("20 3 * * *"), .job = BY_TENANT("first"), .builtin = true };
    struct schedule_put second = { .cron = S("20 3 * * *"), .job = BY_TENANT("second"), .builtin = true };
    (void)arg;
    second.after = S("first");
    TRY(schedule_store(op, tx, S("first"), &first));
    return schedule_store(op, tx, S("second"), &second);
}

static bool second_shows(const char *text)
{
    return keep_shows(&lab, "second", text);
}

/* The first schedule's work for tenant-a is dead, for the others it is done; returns the jid of the dead. */
static const char *start_with_a_dead_tenant(void)
{
    keep_kinds_more = by_tenant;
    lab_start_file(&lab);
    keep_go_to(&lab, "2026-05-01T03:00:00Z");
    WRITES(&lab.f, put_by_tenant, NULL);
    keep_go_to(&lab, "2026-05-01T03:20:00Z");
    keep_work(&lab, 500);
    keep_fail(&lab);
    const char *jid = lab.jobs_out[0].jid.p;
    YES(second_shows("\"state\":\"waiting\""));
    keep_work(&lab, 500);
    keep_work(&lab, 500);
    YES(keep_shows(&lab, "first", "\"state\":\"dead\""));
    lab_tick(&lab);
    EQ(keep_work(&lab, 500), 1);
    return jid;
}

/* KEEP-10. */
TEST(keep_run, a_dead_part_holds_back_its_namesake_alone)
{
    const char *jid = start_with_a_dead_tenant();
    YES(second_shows("\"children\":3,\"done\":0,\"dead\":0,\"held\":1"));
    EQ(keep_ready(&lab), 2);
    keep_work_all(&lab);
    YES(second_shows("\"state\":\"held\""));
    YES(second_shows("\"done\":2,\"dead\":0,\"held\":1"));
    EQ(differences(), 0);
    lab_reopen(&lab);
    lab_tick(&lab);
    EQ(keep_ready(&lab), 0);
    EQ(lab_act(&lab, jid, ACTION_RETRY), JOB_READY);
    keep_work(&lab, 500);
    lab_tick(&lab);
    EQ(keep_ready(&lab), 1);
    keep_work(&lab, 500);
    YES(second_shows("\"state\":\"done\""));
    YES(second_shows("\"done\":3,\"dead\":0,\"held\":0,\"rows\":3"));
    EQ(differences(), 0);
    lab_end(&lab);
    keep_kinds_more = NULL;
}

/* KEEP-10. */
TEST(keep_run, a_part_that_is_held_back_for_two_hours_is_told_and_stops_no_other_night)
{
    start_with_a_dead_tenant();
    keep_work_all(&lab);
    lab_pass_ms(&lab, 7320000);
    YES(str_search(held_events(), S("second: 1 of its parts wait")) == 0);
    size_t once = held_events().n;
    lab_pass_ms(&lab, 120000);
    EQ(held_events().n, once);
    STR_EQ(gauge(), "1");
    keep_go_to(&lab, "2026-05-02T03:20:00Z");
    keep_work_all(&lab);
    lab_tick(&lab);
    keep_work_all(&lab);
    YES(second_shows("\"at\":\"2026-05-02T03:20:00Z\",\"state\":\"done\""));
    lab_end(&lab);
    keep_kinds_more = NULL;
}
