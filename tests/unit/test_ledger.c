#include "engine/ledger.h"
#include "engine/names.h"
#include "engine/suppress.h"
#include "engine/touches.h"
#include "ledger_test.h"
#include "store/block.h"
#include "store/store_history.h"
#include "store/store_member.h"
#include "store/store_message.h"
#include "store/store_outcome.h"
#include "store/store_suppression.h"

#define HOUR (3600 * SECOND)

static struct provider_event delivered(const char *to, int64_t at_us, const char *id)
{
    return event_of(EVENT_DELIVERED, to, at_us, id);
}

static struct provider_event opened(const char *to, int64_t at_us, const char *id)
{
    struct provider_event event = event_of(EVENT_OPENED, to, at_us, id);
    event.ip = S("192.0.2.1");
    event.agent = S("Mozilla/5.0 (X11; Linux x86_64)");
    return event;
}

static struct provider_event clicked(const char *to, int64_t at_us, const char *id, const char *url)
{
    struct provider_event event = opened(to, at_us, id);
    event.kind = EVENT_CLICKED;
    event.url = str_of(url);
    return event;
}

static struct provider_event failed(enum event_kind kind, const char *to, int64_t at_us, const char *id,
                                    const char *text)
{
    struct provider_event event = event_of(kind, to, at_us, id);
    event.text = str_of(text);
    event.code = kind == EVENT_FAILED ? 550 : 450;
    return event;
}

/* What the tests look at, of the message to one recipient. */
struct look {
    const char *recipient;
    uint32_t mailing_no;
    uint64_t no;
    struct message_row row;
    struct message_delivery delivery;
    struct message_engagement engagement;
    struct failure_row failure;
    struct member_state member;
    int moves;
};

static enum err look_read(struct op *op, struct tx *tx, void *arg)
{
    struct look *look = arg;
    const struct message_delivery *delivery;
    const struct message_engagement *engagement;
    const struct member_state *member;
    TRY(store_message_find_recipient(op, tx, look->mailing_no,
                                     name_recipient(op, tx, CHANNEL_EMAIL, str_of(look->recipient)), &look->no));
    TRY(store_message_get(op, tx, look->no, &look->row));
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_DELIVERY, look->no, &delivery));
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, look->no, &engagement));
    look->delivery = *delivery;
    look->engagement = *engagement;
    if (look->row.member_no) {
        TRY(store_block_get(op, tx, BLOCK_MEMBER, look->row.member_no, &member));
        look->member = *member;
    }
    for (uint64_t seq = delivery->history_last; seq;) {
        struct history_entry entry;
        TRY(store_history_get(op, tx, seq, &entry, &seq));
        look->moves++;
    }
    return delivery->failure ? store_failure_get(op, tx, look->no, &look->failure) : OK;
}

static struct look look_at(struct ledger *ledger, const char *recipient)
{
    struct look look = { .recipient = recipient, .mailing_no = ledger->mailing_no };
    READS(&ledger->fixture, look_read, &look);
    return look;
}

TEST(ledger, counts_the_example_of_the_rules)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"one@x.org\"}\n{\"recipient\":\"two@x.org\"}\n"
               "{\"recipient\":\"three@x.org\"}\n{\"recipient\":\"four@x.org\"}\n");
    tell(&l, delivered("one@x.org", T0, "1"));
    struct provider_event scanner = opened("one@x.org", T0 + 60 * SECOND, "2");
    scanner.bits = BIT_PROVIDER;
    tell(&l, scanner);
    tell(&l, opened("one@x.org", T0 + HOUR / 2, "3"));
    tell(&l, delivered("two@x.org", T0, "4"));
    tell(&l, failed(EVENT_FAILED, "two@x.org", T0 + HOUR / 4, "5", "mailbox gone"));
    tell(&l, failed(EVENT_DELAYED, "three@x.org", T0, "6", "try later"));
    struct mailing_stats stats = stats_of(&l);
    EQ(stats.figure[MAILING_MESSAGES], 4);
    EQ(stats.figure[MAILING_DELIVERED], 2);
    EQ(stats.figure[MAILING_OPENED], 1);
    EQ(stats.figure[MAILING_OPENED_HUMAN], 1);
    EQ(stats.figure[MAILING_OPENED_MACHINE], 1);
    EQ(stats.figure[MAILING_CLICKED], 0);
    EQ(stats.figure[MAILING_FAILED_PERMANENT], 1);
    EQ(stats.figure[MAILING_FAILED_TEMPORARY], 1);
    EQ(stats.first_event_at_us, T0);
    EQ(stats.last_event_at_us, T0 + HOUR / 2);
    ledger_stop(&l);
}

TEST(ledger, knows_an_event_again_by_its_key)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"member\":\"m-1\"}\n");
    EQ(tell(&l, opened("a@x.org", T0, "e")), RESULT_APPLIED);
    EQ(tell(&l, opened("a@x.org", T0, "e")), RESULT_DUPLICATE);
    EQ(tell(&l, opened("a@x.org", T0 + 24 * HOUR, "e")), RESULT_APPLIED); /* another day: last seen moves */
    EQ(tell(&l, opened("a@x.org", T0 + 60 * SECOND, "f")), RESULT_UNCHANGED);
    EQ(look_at(&l, "A@X.org").engagement.open_human, 3);
    ledger_stop(&l);
}

TEST(ledger, keeps_the_earliest_instant_and_counts_it_once)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"provider_message_id\":\"<p1>\"}\n");
    tell(&l, delivered("a@x.org", T0 + 50, "2"));
    tell(&l, delivered("a@x.org", T0 + 20, "1"));
    tell(&l, delivered("a@x.org", T0 + 90, "3"));
    struct look look = look_at(&l, "a@x.org");
    EQ(look.delivery.delivered_at_us, T0 + 20);
    EQ(look.delivery.status, STATUS_DELIVERED);
    EQ(look.moves, 1);
    EQ(figure(&l, MAILING_DELIVERED), 1);
    ledger_stop(&l);
}

TEST(ledger, a_temporary_failure_counts_until_it_is_delivered)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    tell(&l, failed(EVENT_DELAYED, "a@x.org", T0, "1", "later"));
    EQ(figure(&l, MAILING_FAILED_TEMPORARY), 1);
    tell(&l, delivered("a@x.org", T0 + SECOND, "2"));
    EQ(figure(&l, MAILING_FAILED_TEMPORARY), 0);
    ledger_stop(&l);
}

TEST(ledger, a_permanent_failure_stands_whatever_order_failures_come_in)
{
    struct provider_event events[3] = { failed(EVENT_DELAYED, "a@x.org", T0, "1", "first"),
                                        failed(EVENT_FAILED, "a@x.org", T0 + SECOND, "2", "gone"),
                                        failed(EVENT_DELAYED, "a@x.org", T0 + 2 * SECOND, "3", "late") };
    static const int orders[][3] = { { 0, 1, 2 }, { 2, 1, 0 }, { 1, 0, 2 }, { 1, 2, 0 }, { 0, 2, 1 }, { 2, 0, 1 } };
    for (size_t o = 0; o < sizeof orders / sizeof *orders; o++) {
        struct ledger l;
        ledger_start(&l);
        import(&l, "{\"recipient\":\"a@x.org\"}\n");
        for (int i = 0; i < 3; i++)
            tell(&l, events[orders[o][i]]);
        struct look look = look_at(&l, "a@x.org");
        STR_EQ(look.failure.text, "gone");
        EQ(look.delivery.failure, FAILURE_PERMANENT);
        EQ(look.delivery.status, STATUS_PERMANENT_FAILURE);
        EQ(figure(&l, MAILING_FAILED_TEMPORARY), 0);
        EQ(figure(&l, MAILING_FAILED_PERMANENT), 1);
        ledger_stop(&l);
    }
}

TEST(ledger, among_temporary_failures_the_newest_replaces_all_fields)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    struct provider_event rich = failed(EVENT_DELAYED, "a@x.org", T0, "1", "greylisted");
    rich.enhanced = S("4.2.0");
    struct provider_event poor = failed(EVENT_DELAYED, "a@x.org", T0 + SECOND, "2", "Error unknown");
    poor.code = EVENT_CODE_NONE;
    tell(&l, rich);
    tell(&l, poor);
    struct look look = look_at(&l, "a@x.org");
    STR_EQ(look.failure.text, "Error unknown");
    NO(str_given(look.failure.enhanced));
    EQ(look.failure.code, EVENT_CODE_NONE);
    EQ(tell(&l, failed(EVENT_DELAYED, "a@x.org", T0 + SECOND, "1b", "smaller id")), RESULT_UNCHANGED);
    EQ(tell(&l, failed(EVENT_DELAYED, "a@x.org", T0 + SECOND, "3", "greater id")), RESULT_APPLIED);
    STR_EQ(look_at(&l, "a@x.org").failure.text, "greater id");
    ledger_stop(&l);
}

TEST(ledger, failures_of_one_instant_and_id_end_the_same_in_both_orders)
{
    for (int order = 0; order < 2; order++) {
        struct ledger l;
        ledger_start(&l);
        import(&l, "{\"recipient\":\"a@x.org\"}\n");
        struct provider_event delayed = failed(EVENT_DELAYED, "a@x.org", T0, "1", "busy");
        struct provider_event gave_up = failed(EVENT_GAVE_UP, "a@x.org", T0, "1", "tried for long");
        gave_up.type = "gave_up";
        tell(&l, order ? gave_up : delayed);
        tell(&l, order ? delayed : gave_up);
        STR_EQ(look_at(&l, "a@x.org").failure.text, "tried for long");
        ledger_stop(&l);
    }
}

TEST(ledger, delivered_is_not_overwritten_by_giving_up_but_by_a_late_bounce)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    tell(&l, delivered("a@x.org", T0, "1"));
    tell(&l, failed(EVENT_GAVE_UP, "a@x.org", T0 + SECOND, "2", "timed out"));
    EQ(look_at(&l, "a@x.org").delivery.status, STATUS_DELIVERED);
    EQ(look_at(&l, "a@x.org").moves, 1);
    tell(&l, failed(EVENT_FAILED, "a@x.org", T0 + 2 * SECOND, "3", "bounced"));
    tell(&l, delivered("a@x.org", T0 + 3 * SECOND, "4"));
    struct look look = look_at(&l, "a@x.org");
    EQ(look.delivery.status, STATUS_PERMANENT_FAILURE);
    EQ(look.moves, 2);
    EQ(figure(&l, MAILING_DELIVERED), 1);
    EQ(figure(&l, MAILING_FAILED_PERMANENT), 1);
    ledger_stop(&l);
}

TEST(ledger, a_report_before_its_message_waits_and_counts_with_the_import)
{
    struct ledger l;
    ledger_start(&l);
    EQ(tell(&l, opened("A@X.ORG", T0, "1")), RESULT_PARKED);
    struct provider_event by_id = delivered(NULL, T0, "2");
    by_id.mailing = (struct str){ 0 };
    by_id.recipient = (struct str){ 0 };
    by_id.provider_message_id = S("p1");
    EQ(tell(&l, by_id), RESULT_PARKED);
    import(&l, "{\"recipient\":\"a@x.org\",\"provider_message_id\":\"<p1>\"}\n");
    EQ(figure(&l, MAILING_OPENED), 1);
    EQ(figure(&l, MAILING_DELIVERED), 1);
    EQ(tell(&l, opened("a@x.org", T0, "1")), RESULT_DUPLICATE);
    ledger_stop(&l);
}

struct second_tenant {
    struct ledger *ledger;
    const struct provider_event *event;
    uint32_t tenant_no;
    enum event_result result;
};

static enum err make_second_tenant(struct op *op, struct tx *tx, void *arg)
{
    struct second_tenant *second = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("UTC") };
    struct mailing_put mailing_put = { .tenant = S("other"), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S("other"), &tenant_put, &tenant));
    TRY(mailing_store(op, tx, S("m2"), &mailing_put, &mailing));
    second->tenant_no = tenant.no;
    second->ledger->mailing_no = mailing.no;
    return OK;
}

/* By a source that speaks for the second tenant alone. */
static enum err tell_for_second(struct op *op, struct tx *tx, void *arg)
{
    struct second_tenant *second = arg;
    struct provider_event event = *second->event;
    provider_event_key(&event, tx_hash_key(tx), S("own"));
    return ledger_apply(op, tx, S("own"), 2, second->tenant_no, &event, &second->result);
}

static enum err import_into_second(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct json_line text = { 1, S("{\"recipient\":\"a@x.org\",\"provider_message_id\":\"p1\"}"), false };
    struct import_line line;
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = S("m2"), .lines = &line, .count = 1 };
    import_line_parse(op, IMPORT_MAILING, &text, &line);
    return import_apply(op, tx, &chunk);
}

TEST(ledger, a_waiting_report_is_not_used_up_by_a_message_of_another_tenant)
{
    struct ledger l;
    struct second_tenant second = { .ledger = &l };
    ledger_start(&l);
    WRITES(&l.fixture, make_second_tenant, &second);
    struct provider_event event = delivered("a@x.org", T0, "1");
    event.mailing = (struct str){ 0 };
    event.provider_message_id = S("p1");
    second.event = &event;
    WRITES(&l.fixture, tell_for_second, &second);
    EQ(second.result, RESULT_PARKED);

    import(&l, "{\"recipient\":\"a@x.org\",\"provider_message_id\":\"p1\"}\n");
    WRITES(&l.fixture, import_into_second, &second);
    EQ(figure(&l, MAILING_DELIVERED), 1);
    ledger_stop(&l);
}

TEST(ledger, a_suppression_before_its_message_holds_at_once_and_its_instant_counts_with_the_import)
{
    struct ledger l;
    struct second_tenant own = { .ledger = &l };
    ledger_start(&l);
    own.tenant_no = l.tenant_no;
    struct provider_event event = event_of(EVENT_SUPPRESSED, "a@x.org", T0 + SECOND, "1");
    event.suppress = SUPPRESS_COMPLAINT;
    own.event = &event;
    WRITES(&l.fixture, tell_for_second, &own);
    EQ(own.result, RESULT_APPLIED);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    EQ(stats_of(&l).last_event_at_us, T0 + SECOND);
    ledger_stop(&l);
}

TEST(ledger, three_links_in_two_seconds_turn_earlier_clicks_to_machine)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    tell(&l, delivered("a@x.org", T0, "0"));
    int64_t at = T0 + 60 * SECOND;
    tell(&l, opened("a@x.org", at - 30 * SECOND, "1"));
    tell(&l, clicked("a@x.org", at, "2", "https://x.org/1"));
    tell(&l, clicked("a@x.org", at + SECOND, "3", "https://x.org/2"));
    EQ(figure(&l, MAILING_CLICKED_HUMAN), 1);
    EQ(figure(&l, MAILING_OPENED_HUMAN), 1);
    tell(&l, clicked("a@x.org", at + 2 * SECOND, "4", "https://x.org/3"));
    EQ(figure(&l, MAILING_CLICKED_HUMAN), 0);
    EQ(figure(&l, MAILING_CLICKED_MACHINE), 1);
    EQ(figure(&l, MAILING_OPENED_HUMAN), 0);
    EQ(figure(&l, MAILING_OPENED_MACHINE), 1);
    EQ(figure(&l, MAILING_CLICKED), 1);
    EQ(figure(&l, MAILING_OPENED), 1);
    ledger_stop(&l);
}

TEST(ledger, an_early_open_is_judged_again_when_delivery_becomes_known)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    struct provider_event proxy = opened("a@x.org", T0 + 5 * SECOND, "1");
    proxy.bits = BIT_IMAGE_PROXY;
    tell(&l, proxy);
    EQ(figure(&l, MAILING_OPENED_HUMAN), 1);
    tell(&l, delivered("a@x.org", T0, "2"));
    EQ(figure(&l, MAILING_OPENED_HUMAN), 0);
    EQ(figure(&l, MAILING_OPENED_MACHINE), 1);
    ledger_stop(&l);
}

TEST(ledger, a_member_is_seen_once_a_local_day_and_by_people_only)
{
    struct ledger l;
    ledger_start_in(&l, "Europe/London", true);
    import(&l, "{\"recipient\":\"a@x.org\",\"member\":\"m-1\"}\n");
    int64_t noon = INT64_C(1687348800) * SECOND; /* 2023-06-21 12:00Z, summer time */
    l.fixture.op.now_us = noon + 48 * HOUR;
    tell(&l, opened("a@x.org", noon, "1"));
    EQ(look_at(&l, "a@x.org").member.last_seen_us, noon);
    tell(&l, opened("a@x.org", noon + HOUR, "2"));
    EQ(look_at(&l, "a@x.org").member.last_seen_us, noon);
    struct provider_event machine = opened("a@x.org", noon + 24 * HOUR, "3");
    machine.bits = BIT_AGENT;
    tell(&l, machine);
    EQ(look_at(&l, "a@x.org").member.last_seen_us, noon);
    tell(&l, opened("a@x.org", noon + 11 * HOUR, "4")); /* 23:00Z is midnight in London */
    EQ(look_at(&l, "a@x.org").member.last_seen_us, noon + 11 * HOUR);
    ledger_stop(&l);
}

TEST(ledger, an_untracked_mailing_counts_opens_but_not_in_the_members_rate)
{
    struct ledger l;
    ledger_start_in(&l, "UTC", false);
    import(&l, "{\"recipient\":\"a@x.org\",\"member\":\"m-1\"}\n");
    tell(&l, opened("a@x.org", T0, "1"));
    struct look look = look_at(&l, "a@x.org");
    EQ(figure(&l, MAILING_OPENED), 1);
    EQ(look.member.messages, 1);
    EQ(look.member.opened, 1);
    EQ(look.member.tracked, 0);
    EQ(look.member.tracked_opened, 0);
    ledger_stop(&l);
}

TEST(ledger, test_keys_are_in_no_figure)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"key\":\"test\"}\n");
    tell(&l, delivered("a@x.org", T0, "1"));
    struct mailing_stats stats = stats_of(&l);
    EQ(stats.figure[MAILING_MESSAGES], 0);
    EQ(stats.figure[MAILING_DELIVERED], 0);
    EQ(stats.first_event_at_us, 0);
    ledger_stop(&l);
}

TEST(ledger, a_message_of_another_tenant_is_not_known_to_the_source)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"mine\"}\n");
    struct provider_event event = delivered("a@x.org", T0, "1");
    event.message = S("mine");
    uint32_t own = l.tenant_no;
    l.tenant_no = own + 1;
    EQ(tell(&l, event), RESULT_PARKED);
    EQ(figure(&l, MAILING_DELIVERED), 0);
    l.tenant_no = own;
    ledger_stop(&l);
}

static enum err suppressed_read(struct op *op, struct tx *tx, void *arg)
{
    enum suppression_reason *ret = arg;
    return suppress_check(op, tx, 1, name_recipient(op, tx, CHANNEL_EMAIL, S("a@x.org")), true, ret);
}

static enum err release(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return suppress_release(op, tx, 0, S(" A@x.org"), SUPPRESS_NOT);
}

TEST(ledger, a_suppressed_recipient_is_cancelled_instead_of_delivered)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"b@x.org\"}\n");
    struct provider_event complaint = event_of(EVENT_COMPLAINED, "b@x.org", T0, "1");
    complaint.suppress = SUPPRESS_COMPLAINT;
    complaint.recipient = S("B@x.org");
    EQ(tell(&l, complaint), RESULT_APPLIED);
    EQ(figure(&l, MAILING_COMPLAINED), 1);

    struct provider_event bounce = failed(EVENT_FAILED, "b@x.org", T0, "2", "5.1.1");
    bounce.suppress = SUPPRESS_BOUNCE;
    bounce.recipient = S("a@x.org"); /* the address that bounced, of a message found by mailing and recipient */
    bounce.mailing = (struct str){ 0 };
    bounce.message = look_at(&l, "b@x.org").row.id;
    EQ(tell(&l, bounce), RESULT_APPLIED);
    import(&l, "{\"recipient\":\"a@x.org\",\"deliver\":{\"queue\":\"mail\",\"jobtype\":\"send\"}}\n");
    EQ(l.chunk.accepted, 1);
    struct look look = look_at(&l, "a@x.org");
    EQ(look.delivery.status, STATUS_CANCELLED);
    EQ(look.row.first_status, STATUS_CREATED);
    EQ(look.moves, 1);

    enum suppression_reason reason;
    READS(&l.fixture, suppressed_read, &reason);
    EQ(reason, SUPPRESS_BOUNCE);
    WRITES(&l.fixture, release, NULL);
    READS(&l.fixture, suppressed_read, &reason);
    EQ(reason, SUPPRESS_NOT);
    EQ(store_write(&l.fixture.op, l.fixture.store, release, NULL), ERR_NOT_FOUND);
    ledger_stop(&l);
}

TEST(ledger, links_count_distinct_members_and_all_clicks)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n{\"recipient\":\"b@x.org\"}\n");
    tell(&l, clicked("a@x.org", T0, "1", "https://x.org/1"));
    tell(&l, clicked("a@x.org", T0 + 60 * SECOND, "2", "https://x.org/1"));
    tell(&l, clicked("b@x.org", T0, "3", "https://x.org/1"));
    tell(&l, clicked("b@x.org", T0 + 60 * SECOND, "4", "https://x.org/2"));
    EQ(figure(&l, MAILING_CLICKED), 2);
    EQ(figure(&l, MAILING_OPENED), 0); /* a click sets no opened_at */
    ledger_stop(&l);
}

/* In one transaction, with what is known of the address read before: what is asked for must be as it is now. */
static enum err add_and_release(struct op *op, struct tx *tx, void *arg)
{
    struct str address = S("a@x.org");
    int64_t hash = name_recipient(op, tx, CHANNEL_EMAIL, address);
    struct suppression row;
    bool *changed = arg;
    TRY(store_suppression_prefetch(op, tx, &hash, 1));
    TRY(suppress_add(op, tx, 1, address, SUPPRESS_BOUNCE, T0, 1, S("mg"), &changed[0]));
    TRY(suppress_add(op, tx, 1, address, SUPPRESS_COMPLAINT, T0, 1, S("mg"), &changed[1]));
    TRY(suppress_add(op, tx, 1, address, SUPPRESS_BOUNCE, T0, 1, S("mg"), &changed[2]));
    TRY(suppress_release(op, tx, 0, address, SUPPRESS_BOUNCE));
    changed[3] = store_suppression_get(op, tx, 1, hash, SUPPRESS_BOUNCE, S("all"), &row) == OK;
    TRY(store_suppression_get(op, tx, 1, hash, SUPPRESS_COMPLAINT, S("all"), &row));
    return suppress_add(op, tx, 1, address, SUPPRESS_BOUNCE, T0, 1, S("mg"), &changed[4]);
}

TEST(ledger, suppressions_change_several_times_in_one_transaction)
{
    struct ledger l;
    ledger_start(&l);
    for (int round = 0; round < 2; round++) {
        bool changed[5];
        WRITES(&l.fixture, add_and_release, changed);
        EQ(changed[0], round == 0);
        EQ(changed[1], round == 0);
        NO(changed[2]);
        NO(changed[3]);
        YES(changed[4]);
    }
    ledger_stop(&l);
}
