#include "source_lab.h"

static struct lab lab;

static struct provider_event malformed(const char *reason, const char *raw)
{
    return (struct provider_event){ .kind = EVENT_MALFORMED, .reason = reason, .raw = str_of(raw) };
}

static void page(const struct provider_event *events, size_t n)
{
    lab.save.events = events;
    lab.save.event_count = n;
}

static void mark(enum mark_kind kind, int64_t begin_us, int64_t end_us)
{
    lab.save.marks[0] = (struct coverage_mark){ kind, lane_classes(lab.save.lane), begin_us, end_us, lab.op->now_us };
    lab.save.mark_count = 1;
}

TEST(source_commit, a_page_leaves_effect_counts_coverage_and_position_in_one_transaction)
{
    lab_start(&lab);
    const struct provider_event events[] = {
        lab_open(&lab, "a@x.org", T0, "e1"),
        lab_open(&lab, "a@x.org", T0 + SECOND, "e2"),
        lab_open(&lab, "a@x.org", T0, "e1"),
        lab_open(&lab, "nobody@x.org", T0, "e3"),
        { .kind = EVENT_UNHANDLED, .type = "accepted", .at_us = T0 + 2 * SECOND },
        malformed("no_time", "{\"recipient\":\"john@x.org\"}"),
    };
    page(events, 6);
    mark(MARK_READ, T0 - MINUTE, T0 + MINUTE);
    lab.save.has_lane = true;
    lab.save.state = LANE_RUNNING;
    lab.save.window_begin_us = T0 - MINUTE;
    lab.save.window_end_us = T0 + HOUR;
    lab.save.position_us = T0 + MINUTE;
    lab.save.next_run_at_us = STORE_NO_INSTANT;
    SUCCEEDS(lab.op, lab_commit(&lab));

    EQ(lab.result.count[RESULT_APPLIED], 1);
    EQ(lab.result.count[RESULT_UNCHANGED], 1);
    EQ(lab.result.count[RESULT_DUPLICATE], 1);
    EQ(lab.result.count[RESULT_PARKED], 1);
    EQ(lab.result.count[RESULT_UNHANDLED], 1);
    EQ(lab.result.count[RESULT_MALFORMED], 1);
    EQ(lab.result.last_event_us, T0 + 2 * SECOND);
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    const struct lane_row *row = lab_lane(&lab, LANE_OPENS);
    EQ(row->count[RESULT_APPLIED], 1);
    EQ(row->position_us, T0 + MINUTE);
    EQ(row->last_event_at_us, T0 + 2 * SECOND);
    lab_load(&lab);
    EQ(lab.setup.interval_count[CLASS_OPENS], 1);
    EQ(lab.setup.intervals[CLASS_OPENS][0].end_us, T0 + MINUTE);
    EQ(lab.setup.interval_count[CLASS_OTHERS], 0);
    lab_stop(&lab);
}

TEST(source_commit, a_failed_commit_leaves_nothing_of_the_page)
{
    for (int nth = 1; nth <= 60; nth++) {
        lab_start(&lab);
        const struct provider_event events[] = { lab_open(&lab, "a@x.org", T0, "e1"), malformed("no_time", "x") };
        page(events, 2);
        mark(MARK_READ, T0 - MINUTE, T0 + MINUTE);
        fixture_plan(&lab.ledger.fixture, STORE_AT_STATEMENT, STORE_FAIL_IO, nth);
        enum err err = lab_commit(&lab);
        if (err == OK) {
            EQ(figure(&lab.ledger, MAILING_OPENED), 1);
            lab_stop(&lab);
            YES(nth > 5);
            return;
        }
        EQ(err, ERR_UNAVAILABLE);
        lab.ledger.fixture.countdown = 0;
        EQ(figure(&lab.ledger, MAILING_OPENED), 0);
        lab_load(&lab);
        EQ(lab.setup.interval_count[CLASS_OPENS], 0);
        EQ(lab_lane(&lab, LANE_OPENS)->count[RESULT_MALFORMED], 0);
        SUCCEEDS(lab.op, lab_commit(&lab));
        EQ(lab.result.count[RESULT_APPLIED], 1);
        EQ(figure(&lab.ledger, MAILING_OPENED), 1);
        lab_stop(&lab);
    }
    YES(false); /* the page never passed untouched */
}

TEST(source_commit, a_page_of_a_lapsed_lease_is_refused_whole)
{
    lab_start(&lab);
    const struct provider_event events[] = { lab_open(&lab, "a@x.org", T0, "e1") };
    page(events, 1);
    mark(MARK_READ, T0 - MINUTE, T0 + MINUTE);
    lab.op->now_us += SOURCE_LEASE_US + 1;
    EQ(lab_commit(&lab), ERR_CONFLICT);
    uint64_t old = lab.epoch;
    SUCCEEDS(lab.op, lab_lease(&lab, "n2"));
    YES(lab.epoch > old);
    EQ(lab_commit(&lab), ERR_CONFLICT);
    EQ(figure(&lab.ledger, MAILING_OPENED), 0);
    lab.save.epoch = lab.epoch;
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    lab_stop(&lab);
}

TEST(source_commit, a_lease_is_taken_from_a_dead_node_after_a_minute_and_from_oneself_at_once)
{
    lab_start(&lab);
    EQ(lab_lease(&lab, "n2"), ERR_CONFLICT);
    SUCCEEDS(lab.op, lab_lease(&lab, "n1"));
    lab.op->now_us += SOURCE_LEASE_US;
    EQ(lab_lease(&lab, "n2"), ERR_CONFLICT);
    lab.op->now_us += 1;
    SUCCEEDS(lab.op, lab_lease(&lab, "n2"));
    lab_stop(&lab);
}

static enum err begin_nodes(struct op *op, struct tx *tx, void *arg)
{
    struct node_row *rows = arg;
    for (int i = 0; i < 2; i++) {
        rows[i] = (struct node_row){ .id = i ? S("b") : S("a"),
                                     .process = S("p"),
                                     .version = S("v"),
                                     .started_at_us = op->now_us,
                                     .beat_at_us = op->now_us,
                                     .offset_us = NODE_NO_OFFSET };
        TRY(store_node_start(op, tx, &rows[i]));
    }
    return OK;
}

static enum err lose_first(struct op *op, struct tx *tx, void *arg)
{
    struct node_row *rows = arg;
    int64_t count;
    return store_node_lose(op, tx, INT64_MAX, rows[1].no, &count);
}

static enum err lease_as(struct node_row *row)
{
    lab.node = (struct node_self){ row->id, row->no, row->epoch };
    lab.save.node = lab.node;
    enum err err = store_write(lab.op, lab.store, lab_lease_run, &lab);
    lab.save.epoch = lab.epoch;
    return err;
}

TEST(source_commit, a_node_called_lost_keeps_no_page_and_its_lanes_are_free_at_once)
{
    struct node_row rows[2];
    lab_start(&lab);
    const struct provider_event events[] = { lab_open(&lab, "a@x.org", T0, "e1") };
    page(events, 1);
    mark(MARK_READ, T0 - MINUTE, T0 + MINUTE);
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, begin_nodes, rows));
    lab.op->now_us += SOURCE_LEASE_US + 1; /* the lab's own lease is over */
    SUCCEEDS(lab.op, lease_as(&rows[0]));
    struct node_self first = lab.node;
    uint64_t epoch = lab.epoch;
    EQ(lease_as(&rows[1]), ERR_CONFLICT);

    SUCCEEDS(lab.op, store_write(lab.op, lab.store, lose_first, rows));
    lab.save.node = first;
    lab.save.epoch = epoch;
    EQ(lab_commit(&lab), ERR_CONFLICT); /* though nobody has taken its lease yet */
    EQ(lease_as(&rows[0]), ERR_CONFLICT);
    SUCCEEDS(lab.op, lease_as(&rows[1]));
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    lab_stop(&lab);
}

static enum err renew(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return source_lease_renew(op, tx, lab.source_no, &lab.node, lab.epoch);
}

static enum err give(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return source_lease_give(op, tx, lab.source_no, lab.epoch);
}

TEST(source_commit, a_lease_lives_by_renewal_and_a_given_one_is_free)
{
    lab_start(&lab);
    for (int i = 0; i < 10; i++) {
        lab.op->now_us += SOURCE_RENEW_US;
        SUCCEEDS(lab.op, store_write(lab.op, lab.store, renew, NULL));
    }
    EQ(lab_lease(&lab, "n2"), ERR_CONFLICT);
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, give, NULL));
    SUCCEEDS(lab.op, lab_lease(&lab, "n2"));
    lab.epoch--;
    EQ(store_write(lab.op, lab.store, renew, NULL), ERR_CONFLICT);
    SUCCEEDS(lab.op, store_write(lab.op, lab.store, give, NULL));
    lab_stop(&lab);
}

TEST(source_commit, the_first_reading_begins_half_an_hour_before_the_source)
{
    lab_start(&lab);
    EQ(lab.setup.row.first_begin_us, lab.op->now_us - 30 * MINUTE);
    lab_stop(&lab);
}

TEST(source_commit, an_item_of_the_future_is_left_for_later_and_warned_about)
{
    lab_start(&lab);
    const struct provider_event events[] = { lab_open(&lab, "a@x.org", lab.op->now_us + 61 * SECOND, "e1"),
                                             lab_open(&lab, "b@x.org", lab.op->now_us + 59 * SECOND, "e2") };
    page(events, 2);
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(lab.result.future_count, 1);
    EQ(lab.result.count[RESULT_APPLIED], 1);
    YES(lab_shows(&lab, "\"clock_skew\""));
    lab.op->now_us += 2 * MINUTE;
    lab.save.epoch = 0;
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(lab.result.count[RESULT_APPLIED], 1);
    EQ(lab.result.count[RESULT_DUPLICATE], 1);
    lab_stop(&lab);
}

TEST(source_commit, malformed_items_are_counted_by_reason_and_the_newest_kept_masked)
{
    lab_start(&lab);
    struct provider_event events[30];
    for (int i = 0; i < 30; i++)
        events[i] = malformed(i % 3 ? "no_time" : "no_message", "{\"recipient\":\"john@x.org\"}");
    page(events, 30);
    SUCCEEDS(lab.op, lab_commit(&lab));
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(lab_lane(&lab, LANE_OPENS)->count[RESULT_MALFORMED], 60);
    YES(lab_shows(&lab, "\"reasons\":{\"no_message\":20,\"no_time\":40}"));
    NO(lab_shows(&lab, "john@x.org"));
    YES(lab_shows(&lab, "j***@x.org"));
    struct str status = lab_status(&lab);
    int samples = 0;
    for (size_t at; (at = str_search(status, S("j***@x.org"))) < status.n; samples++)
        status = (struct str){ status.p + at + 1, status.n - at - 1 };
    EQ(samples, STORE_SAMPLES_MAX);
    YES(lab_shows(&lab, "\"code\":\"malformed\""));
    lab_stop(&lab);
}

TEST(source_commit, lost_time_is_a_gap_with_a_warning_until_it_was_read)
{
    lab_start(&lab);
    mark(MARK_GAP, T0 - 10 * DAY, T0 - 5 * DAY);
    SUCCEEDS(lab.op, lab_commit(&lab));
    YES(lab_shows(&lab, "\"retention_exceeded\""));
    YES(lab_shows(&lab, "\"kind\":\"unread\""));
    lab.save.lane = LANE_RECHECK;
    mark(MARK_READ, T0 - 10 * DAY, T0 - 5 * DAY);
    SUCCEEDS(lab.op, lab_commit(&lab));
    NO(lab_shows(&lab, "\"retention_exceeded\""));
    lab_stop(&lab);
}

/* -------------------------------------------------------------------------------------------------------- webhooks */

TEST(source_commit, a_webhook_is_applied_once_whatever_comes_through_polling)
{
    lab_start(&lab);
    const struct provider_event events[] = { lab_open(&lab, "a@x.org", T0, "e1") };
    lab.hook.events = events;
    lab.hook.event_count = 1;
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_TAKEN);
    EQ(lab.result.count[RESULT_APPLIED], 1);
    page(events, 1);
    SUCCEEDS(lab.op, lab_commit(&lab));
    EQ(lab.result.count[RESULT_DUPLICATE], 1);
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    EQ(lab_lane(&lab, LANE_HOOK)->count[RESULT_APPLIED], 1);
    lab_stop(&lab);
}

TEST(source_commit, a_replayed_token_changes_nothing_and_with_another_body_is_refused)
{
    lab_start(&lab);
    const struct provider_event one[] = { lab_open(&lab, "a@x.org", T0, "e1") };
    const struct provider_event two[] = { lab_open(&lab, "b@x.org", T0, "e2") };
    uint8_t body_one[STORE_BODY_HASH_BYTES] = { 1 }, body_two[STORE_BODY_HASH_BYTES] = { 2 };
    lab.hook.replay_token = S("token-1");
    lab.hook.replay_until_us = lab.op->now_us + DAY;
    lab.hook.body_hash = body_one;
    lab.hook.events = one;
    lab.hook.event_count = 1;
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_TAKEN);
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_REPEAT);

    lab.hook.body_hash = body_two;
    lab.hook.events = two;
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_REPLAYED);
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    YES(lab_shows(&lab, "\"hook_refused\""));

    /* Another token brings its own body; the first is forgotten when its time is over. */
    lab.op->now_us += DAY + SECOND;
    lab.hook.replay_token = S("token-2");
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_TAKEN);
    lab.hook.replay_token = S("token-1");
    SUCCEEDS(lab.op, lab_hook(&lab));
    EQ(lab.outcome, HOOK_TAKEN);
    NO(lab_shows(&lab, "\"hook_refused\""));
    lab_stop(&lab);
}

TEST(source_commit, a_webhook_dated_in_the_future_waits_for_polling_or_counts_from_now)
{
    const char *bodies[] = { LAB_MAILGUN, "{\"type\":\"postmark\",\"signing_key\":\"u:p\"}" };
    for (int i = 0; i < 2; i++) {
        lab_start_with(&lab, bodies[i]);
        const struct provider_event events[] = { lab_open(&lab, "a@x.org", lab.op->now_us + HOUR, "e1") };
        lab.hook.events = events;
        lab.hook.event_count = 1;
        SUCCEEDS(lab.op, lab_hook(&lab));
        EQ(lab.result.future_count, 1);
        EQ(lab.result.count[RESULT_APPLIED], i);
        EQ(figure(&lab.ledger, MAILING_OPENED), i);
        YES(stats_of(&lab.ledger).last_event_at_us <= lab.op->now_us);
        YES(lab_shows(&lab, "\"clock_skew\""));
        lab_stop(&lab);
    }
}

/* -------------------------------------------------------------------------------------------------------- backfill */

static int64_t backfill_begin, backfill_end;

static enum err start_run(struct op *op, struct tx *tx, void *arg)
{
    return source_backfill_start(op, tx, str_of(arg), backfill_begin, backfill_end);
}

static enum err stop_run(struct op *op, struct tx *tx, void *arg)
{
    return source_backfill_stop(op, tx, str_of(arg));
}

static enum err start_backfill(const char *id, int64_t begin_us, int64_t end_us)
{
    char name[16];
    snprintf(name, sizeof name, "%s", id);
    backfill_begin = begin_us;
    backfill_end = end_us;
    return store_write(lab.op, lab.store, start_run, name);
}

static enum err stop_backfill(void)
{
    char name[] = "mg";
    return store_write(lab.op, lab.store, stop_run, name);
}

TEST(source_commit, a_backfill_runs_alone_and_is_told_to_the_poller)
{
    lab_start(&lab);
    lab_load(&lab);
    uint64_t version = lab.setup.row.version;
    SUCCEEDS(lab.op, start_backfill("mg", T0 - 30 * DAY, T0 - DAY));
    EQ(start_backfill("mg", T0 - 30 * DAY, T0 - DAY), ERR_CONFLICT);
    EQ(start_backfill("other", T0 - 30 * DAY, T0 - DAY), ERR_NOT_FOUND);
    lab_load(&lab);
    YES(lab.setup.row.version > version);
    EQ(lab.setup.lanes[LANE_BACKFILL].window_begin_us, T0 - 30 * DAY);
    EQ(lab.setup.lanes[LANE_BACKFILL].position_us, T0 - 30 * DAY);
    SUCCEEDS(lab.op, stop_backfill());
    SUCCEEDS(lab.op, stop_backfill());
    SUCCEEDS(lab.op, start_backfill("mg", T0 - 30 * DAY, T0 - DAY));
    lab_stop(&lab);
}

TEST(source_commit, the_page_in_hand_of_a_cancelled_backfill_still_counts)
{
    lab_start(&lab);
    SUCCEEDS(lab.op, start_backfill("mg", T0 - 30 * DAY, T0 - DAY));
    SUCCEEDS(lab.op, stop_backfill());
    const struct provider_event events[] = { lab_open(&lab, "a@x.org", T0 - 2 * DAY, "e1") };
    page(events, 1);
    lab.save.lane = LANE_BACKFILL;
    mark(MARK_READ, T0 - 30 * DAY, T0 - 2 * DAY);
    lab.save.has_lane = true;
    lab.save.state = LANE_RUNNING;
    lab.save.window_begin_us = lab.save.read_begin_us = T0 - 30 * DAY;
    lab.save.window_end_us = lab.save.read_end_us = T0 - DAY;
    SUCCEEDS(lab.op, lab_commit(&lab));
    YES(lab.result.is_stopped);
    EQ(lab_lane(&lab, LANE_BACKFILL)->window_begin_us, STORE_NO_INSTANT);
    EQ(figure(&lab.ledger, MAILING_OPENED), 1);
    lab_load(&lab);
    EQ(lab.setup.interval_count[CLASS_OTHERS], 1);
    lab_stop(&lab);
}

TEST(source_commit, a_source_that_only_hears_has_nothing_to_backfill)
{
    lab_start_with(&lab, "{\"type\":\"postmark\",\"signing_key\":\"u:p\"}");
    EQ(start_backfill("mg", T0 - 30 * DAY, T0 - DAY), ERR_CONFLICT);
    lab_stop(&lab);
}
