/*
 * test_keep_run.c - parents and children of housekeeping: pages, failures, and when a run has ended.
 */
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

/* KEEP-4, HAND-5. */
TEST(keep_run, a_child_gives_its_slot_up_after_30_s_and_goes_on_behind_the_others)
{
    int count = 6;
    lab_start_file(&lab);
    keep_begin_at(&lab, "2026-05-01T03:00:00Z");
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
