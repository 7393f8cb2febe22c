/*
 * test_keep_log.c - the nightly work on what is only read: when, how much of it, and when it fails.
 */
#include "engine/events.h"
#include "engine/keep_log.h"
#include "keep_lab.h"
#include "store/store_audit.h"

static struct lab lab;

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

/* KEEP-2. */
TEST(keep_log, makes_no_children_when_nothing_is_old)
{
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    recorded("young");
    keep_go_to(&lab, "2026-05-01T03:10:00Z");
    EQ(keep_work(&lab, 500), 1);
    EQ(keep_ready(&lab), 0);
    YES(keep_shows(&lab, "keep.log", "\"state\":\"done\""));
    YES(keep_shows(&lab, "keep.log", "\"children\":0,\"done\":0,\"dead\":0,\"held\":0,\"rows\":0"));
    lab_end(&lab);
}

/* KEEP-6, KEEP-12, EVT-51. */
TEST(keep_log, takes_away_what_was_old_at_its_nominal_time_and_says_how_much)
{
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    for (int i = 0; i < 3; i++)
        recorded("old");
    keep_go_to(&lab, "2026-05-01T03:20:00Z");
    keep_work_all(&lab);
    recorded("young");
    keep_go_to(&lab, "2026-05-31T03:10:00Z");
    lab_wait_ms(&lab, INT64_C(3600000)); /* it begins late: what became old since waits for the next night */
    EQ(keep_work(&lab, 500), 1);
    EQ(keep_ready(&lab), 1); /* of the audit list nothing is old */
    EQ(keep_work(&lab, 2), 2);
    STR_EQ(events(), "young ");
    YES(keep_shows(&lab, "keep.log", "\"children\":1,\"done\":1,\"dead\":0,\"held\":0,\"rows\":3"));
    lab_end(&lab);
}

/* KEEP-7. */
TEST(keep_log, that_is_dead_is_told_as_blocked)
{
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    keep_go_to(&lab, "2026-05-01T03:10:00Z");
    keep_fail(&lab);
    STR_EQ(events(), "keep.blocked job.dead ");
    YES(keep_shows(&lab, "keep.log", "\"state\":\"dead\""));
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
    keep_start_at(&lab, "2026-05-01T03:00:00Z");
    keep_only(&lab, "keep.log");
    keep_go_to(&lab, "2026-05-01T03:10:00Z");
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
