#include "engine/check.h"
#include "ledger_test.h"
#include "store/block.h"
#include "store/store_touch.h"

struct seen {
    char lines[8][CHECK_LINE_BYTES_MAX];
    int count;
};

static void see(void *data, const char *line)
{
    struct seen *seen = data;
    if (seen->count < 8)
        snprintf(seen->lines[seen->count], sizeof seen->lines[0], "%s", line);
    seen->count++;
}

static struct check run(struct ledger *l, struct seen *seen, bool repair)
{
    memset(seen, 0, sizeof *seen);
    struct check check = { .store = l->fixture.store, .difference = see, .data = seen, .repair = repair };
    SUCCEEDS(&l->fixture.op, check_run(&l->fixture.op, &check));
    return check;
}

static void fill(struct ledger *l)
{
    ledger_start(l);
    import(l, "{\"recipient\":\"a@x.org\",\"member\":\"m-1\"}\n{\"recipient\":\"b@x.org\",\"member\":\"m-2\"}\n");
    tell(l, event_of(EVENT_DELIVERED, "a@x.org", T0, "1"));
    struct provider_event click = event_of(EVENT_CLICKED, "a@x.org", T0 + 60 * SECOND, "2");
    click.ip = S("192.0.2.1");
    click.url = S("https://x.org/1");
    tell(l, click);
    struct provider_event opened = event_of(EVENT_OPENED, "a@x.org", T0 + 50 * SECOND, "3");
    opened.ip = S("192.0.2.1");
    tell(l, opened);
    struct provider_event failed = event_of(EVENT_FAILED, "b@x.org", T0, "4");
    failed.text = S("gone");
    tell(l, failed);
    tell(l, event_of(EVENT_COMPLAINED, "a@x.org", T0 + 70 * SECOND, "5"));
}

TEST(check, finds_no_difference_in_what_the_ledger_made)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    struct check check = run(&l, &seen, false);
    EQ(seen.count, 0);
    EQ(check.differ, 0);
    YES(check.compared > 40);
    ledger_stop(&l);
}

static enum err tamper_counter(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    struct ledger *l = arg;
    store_mailing_count(tx, l->mailing_no, MAILING_OPENED, 40);
    return OK;
}

TEST(check, names_a_counter_that_was_changed_by_hand_and_repairs_it)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tamper_counter, &l);
    EQ(run(&l, &seen, false).differ, 1);
    STR_EQ(str_of(seen.lines[0]), "mailing m opened: counter 41, rows 1");
    EQ(run(&l, &seen, true).differ, 1);
    EQ(run(&l, &seen, false).differ, 0);
    EQ(figure(&l, MAILING_OPENED), 1);
    ledger_stop(&l);
}

/* Goes on for as often as it was told. */
static bool few_pauses(void *data)
{
    int *left = data;
    return --*left > 0;
}

TEST(check, pauses_between_snapshots_and_ends_when_told)
{
    struct ledger l;
    int left = 100;
    fill(&l);
    struct check whole = { .store = l.fixture.store, .pause = few_pauses, .data = &left };
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &whole));
    YES(left < 98); /* between the parts, and between the chunks of each */
    left = 1;
    struct check cut = { .store = l.fixture.store, .pause = few_pauses, .data = &left };
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &cut));
    YES(cut.compared < whole.compared);
    EQ(cut.differ, 0);
    ledger_stop(&l);
}

static enum err tamper_member(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct member_state *member;
    TRY(store_block_edit(op, tx, BLOCK_MEMBER, 1, &member));
    member->opened = 7;
    return OK;
}

TEST(check, counts_members_again)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tamper_member, NULL);
    EQ(run(&l, &seen, true).differ, 1);
    STR_EQ(str_of(seen.lines[0]), "member 1 opened: counter 7, rows 1");
    EQ(run(&l, &seen, false).differ, 0);
    ledger_stop(&l);
}

/* Between two snapshots a message that was counted already changes. */
struct meanwhile {
    struct ledger *l;
    int pauses;
    bool changes;
};

static bool change_meanwhile(void *data)
{
    struct meanwhile *m = data;
    m->pauses++;
    if (m->changes && m->pauses == 1)
        tell(m->l, event_of(EVENT_DELIVERED, "r1@x.org", T0, "meanwhile"));
    return true;
}

static void fill_thousands(struct ledger *l)
{
    enum { PART = sizeof l->lines / sizeof l->lines[0] };
    char lines[PART * 64];
    ledger_start(l);
    for (int done = 0; done < 12000; done += PART) {
        size_t n = 0;
        arena_reset(l->fixture.arena);
        for (int i = done; i < done + PART && i < 12000; i++)
            n += (size_t)snprintf(lines + n, sizeof lines - n, "{\"recipient\":\"r%d@x.org\",\"member\":\"m-%d\"}\n", i,
                                  i % 7000);
        import(l, lines);
    }
    tell(l, event_of(EVENT_OPENED, "r2@x.org", T0, "1"));
}

TEST(check, counts_by_slices_of_five_thousand_beside_a_ledger_that_moves)
{
    struct ledger l;
    fill_thousands(&l);
    struct meanwhile m = { .l = &l, .changes = true };
    struct check check = { .store = l.fixture.store, .by_slices = true, .pause = change_meanwhile, .data = &m };
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &check));
    EQ(check.differ, 0);
    EQ(check.most_rows, CHECK_CHUNK_MESSAGES);
    YES(m.pauses >= 3 + 24); /* the totals in three slices, the details in twenty-four */
    YES(check.compared > 4 * 7000);
    ledger_stop(&l);
}

/* A machine on which every look at the clock costs 7 ms. */
struct slow {
    int64_t now_us;
    int pauses;
};

static int64_t slow_clock(void *data)
{
    return ((struct slow *)data)->now_us += 7000;
}

static bool slow_pause(void *data)
{
    ((struct slow *)data)->pauses++;
    return true;
}

TEST(check, ends_a_snapshot_after_twenty_milliseconds_by_the_clock_it_is_given)
{
    struct ledger l;
    struct slow slow = { 0 }, unhurried = { 0 };
    fill_thousands(&l);
    struct check check = {
        .store = l.fixture.store, .by_slices = true, .pause = slow_pause, .mono_us = slow_clock, .data = &slow
    };
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &check));
    EQ(check.differ, 0);
    EQ(check.most_rows, 1500); /* three parts of 500 messages are read within 21 ms */
    int64_t compared = check.compared;
    check.mono_us = NULL;
    check.data = &unhurried;
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &check));
    EQ(check.most_rows, CHECK_CHUNK_MESSAGES);
    EQ(check.compared, compared); /* nothing is left out, however often it rests */
    YES(slow.pauses > unhurried.pauses + 5);
    ledger_stop(&l);
}

TEST(check, a_doubt_raised_by_slices_is_decided_in_one_snapshot)
{
    struct ledger l;
    struct seen seen = { .count = 0 };
    fill_thousands(&l);
    WRITES(&l.fixture, tamper_counter, &l);
    WRITES(&l.fixture, tamper_member, NULL);
    struct check check = { .store = l.fixture.store, .by_slices = true, .difference = see, .data = &seen };
    SUCCEEDS(&l.fixture.op, check_run(&l.fixture.op, &check));
    EQ(check.differ, 2);
    STR_EQ(str_of(seen.lines[0]), "mailing m opened: counter 41, rows 1");
    STR_EQ(str_of(seen.lines[1]), "member 1 opened: counter 7, rows 0");
    ledger_stop(&l);
}

static enum err tamper_bits(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return store_touch_set_bits(op, tx, 1, BIT_AGENT);
}

TEST(check, proves_classes_by_the_bits_of_each_touch)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tamper_bits, NULL);
    EQ(run(&l, &seen, false).differ, 2); /* one human too many, one machine too few */
    ledger_stop(&l);
}

static enum err tear_touches(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct message_engagement *engagement;
    TRY(store_block_edit(op, tx, BLOCK_MESSAGE_ENGAGEMENT, 1, &engagement));
    engagement->touch_last = 999; /* no such row */
    return OK;
}

TEST(check, names_a_message_whose_touches_are_torn)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tear_touches, NULL);
    run(&l, &seen, false);
    YES(str_ends(str_of(seen.lines[0]), S(" touches: a row is missing")));
    ledger_stop(&l);
}

static enum err tear_history(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct message_delivery *delivery;
    TRY(store_block_edit(op, tx, BLOCK_MESSAGE_DELIVERY, 2, &delivery));
    delivery->history_last = 999;
    return OK;
}

TEST(check, a_status_whose_history_is_torn_is_not_believed)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tear_history, NULL);
    EQ(run(&l, &seen, false).differ, 1);
    YES(strstr(seen.lines[0], " status against its history: ") != NULL);
    ledger_stop(&l);
}

/* Many touches of two messages in turns, so that their chains cross. */
TEST(check, reads_chains_that_cross_each_other)
{
    struct ledger l;
    struct seen seen;
    char id[16];
    fill(&l);
    for (int i = 0; i < 30; i++) {
        snprintf(id, sizeof id, "x%d", i);
        struct provider_event event =
            event_of(EVENT_OPENED, i % 3 ? "a@x.org" : "b@x.org", T0 + (100 + i) * SECOND, id);
        event.ip = i % 2 ? S("192.0.2.1") : S("192.0.2.2");
        tell(&l, event);
    }
    EQ(run(&l, &seen, false).differ, 0);
    WRITES(&l.fixture, tamper_bits, NULL);
    EQ(run(&l, &seen, false).differ, 2);
    ledger_stop(&l);
}

static enum err tamper_status(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct message_delivery *delivery;
    TRY(store_block_edit(op, tx, BLOCK_MESSAGE_DELIVERY, 1, &delivery));
    delivery->status = STATUS_PENDING;
    return OK;
}

TEST(check, holds_the_status_against_the_history_and_the_facts_of_the_day)
{
    struct ledger l;
    struct seen seen;
    fill(&l);
    WRITES(&l.fixture, tamper_status, NULL);
    EQ(run(&l, &seen, false).differ, 3); /* history, one status too many, one too few */
    ledger_stop(&l);
}
