#include "base/day.h"
#include "base/log.h"
#include "engine/messages.h"
#include "engine/names.h"
#include "ledger_test.h"
#include "store/store_fact.h"

struct patching {
    const char *id;
    struct message_patch patch;
    enum status current;
};

static enum err patch_write(struct op *op, struct tx *tx, void *arg)
{
    struct patching *p = arg;
    uint64_t no;
    TRY(store_message_find_id(op, tx, str_of(p->id), &no));
    return message_patch(op, tx, no, &p->patch, &p->current);
}

static enum err patch(struct ledger *l, struct patching *p)
{
    return store_write(&l->fixture.op, l->fixture.store, patch_write, p);
}

struct viewing {
    const char *id;
    struct message_view view;
};

static enum err view_read(struct op *op, struct tx *tx, void *arg)
{
    struct viewing *v = arg;
    uint64_t no;
    TRY(store_message_find_id(op, tx, str_of(v->id), &no));
    return message_view(op, tx, no, &v->view);
}

static struct message_view view_of(struct ledger *l, const char *id)
{
    struct viewing v = { .id = id };
    READS(&l->fixture, view_read, &v);
    return v.view;
}

TEST(message, tells_its_history_from_the_first_status_on)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"n\"}\n");
    struct patching sending = { "n", { .status = S("sending") }, STATUS_NONE };
    SUCCEEDS(&l.fixture.op, patch(&l, &sending));
    tell(&l, event_of(EVENT_DELIVERED, "a@x.org", T0, "1"));
    struct message_view view = view_of(&l, "n");
    EQ(view.history_count, 3);
    EQ(view.history[0].from, STATUS_NONE);
    EQ(view.history[0].to, STATUS_CREATED);
    STR_EQ(view.history[0].cause, "import");
    STR_EQ(view.history[1].cause, "patch");
    EQ(view.history[2].from, STATUS_SENDING);
    EQ(view.history[2].to, STATUS_DELIVERED);
    STR_EQ(view.history[2].cause, "receipt mg");
    ledger_stop(&l);
}

TEST(message, is_patched_by_compare_and_set)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"n\"}\n");
    struct patching delivered = { "n", { .status = S("delivered"), .provider = S("mg") }, STATUS_NONE };
    SUCCEEDS(&l.fixture.op, patch(&l, &delivered));
    SUCCEEDS(&l.fixture.op, patch(&l, &delivered)); /* the same again: no history */
    EQ(view_of(&l, "n").history_count, 2);

    struct patching back = { "n", { .status = S("sending"), .provider_message_id = S("<p1>") }, STATUS_NONE };
    EQ(patch(&l, &back), ERR_CONFLICT);
    EQ(back.current, STATUS_DELIVERED);
    NO(str_given(view_of(&l, "n").row.provider_message_id)); /* nothing of a refused body is applied */

    struct patching other = { "n", { .provider = S("ses") }, STATUS_NONE };
    EQ(patch(&l, &other), ERR_CONFLICT);
    struct patching unknown = { "n", { .status = S("lost") }, STATUS_NONE };
    EQ(patch(&l, &unknown), ERR_INVALID);
    ledger_stop(&l);
}

TEST(message, meets_parked_reports_when_its_provider_id_becomes_known)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"n\"}\n");
    struct provider_event event = event_of(EVENT_DELIVERED, "a@x.org", T0, "1");
    event.mailing = (struct str){ 0 };
    event.provider_message_id = S("p1");
    EQ(tell(&l, event), RESULT_PARKED);
    struct patching known = { "n", { .provider_message_id = S("<p1>") }, STATUS_NONE };
    SUCCEEDS(&l.fixture.op, patch(&l, &known));
    EQ(figure(&l, MAILING_DELIVERED), 1);
    ledger_stop(&l);
}

static char logged[1024];

static void keep_line(void *context, struct str line)
{
    (void)context;
    snprintf(logged, sizeof logged, "%.*s", STR(line));
}

TEST(message, a_refused_receipt_leaves_one_searchable_line)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"n\"}\n");
    tell(&l, event_of(EVENT_DELIVERED, "a@x.org", T0, "1"));
    log_capture(keep_line, NULL);
    struct provider_event late = event_of(EVENT_GAVE_UP, "a@x.org", T0 + SECOND, "2");
    late.text = S("timed out");
    tell(&l, late);
    log_capture(NULL, NULL);
    YES(strstr(logged, "New status was temporary-failure, current status is delivered.") != NULL);
    YES(strstr(logged, "x.org") == NULL);
    EQ(view_of(&l, "n").history_count, 2);
    ledger_stop(&l);
}

struct listing {
    struct message_filter filter;
    int limit;
    char ids[16][8];
    int count;
    bool more;
    struct message_row last;
};

static enum err list_take(struct op *op, struct tx *tx, const struct message_row *row, bool probe, bool *ret_take,
                          void *arg)
{
    (void)op;
    (void)tx;
    struct listing *listing = arg;
    *ret_take = true;
    if (!probe)
        snprintf(listing->ids[listing->count++], 8, "%.*s", STR(row->id));
    return OK;
}

static enum err list_read(struct op *op, struct tx *tx, void *arg)
{
    struct listing *listing = arg;
    listing->count = 0;
    return store_message_list(op, tx, &listing->filter, listing->limit, list_take, listing, &listing->more,
                              &listing->last);
}

TEST(message, lists_go_from_the_newest_by_created_at_and_id)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"a\",\"created_at\":\"2023-01-01T00:00:00Z\"}\n"
               "{\"recipient\":\"c@x.org\",\"id\":\"c\",\"created_at\":\"2023-01-02T00:00:00Z\"}\n"
               "{\"recipient\":\"b@x.org\",\"id\":\"b\",\"created_at\":\"2023-01-02T00:00:00Z\"}\n");
    struct listing listing = { .limit = 2 };
    READS(&l.fixture, list_read, &listing);
    EQ(listing.count, 2);
    YES(strcmp(listing.ids[0], "c") == 0 && strcmp(listing.ids[1], "b") == 0);
    YES(listing.more);

    /* A row made meanwhile appears in front and moves nothing behind the cursor. */
    import(&l, "{\"recipient\":\"d@x.org\",\"id\":\"d\",\"created_at\":\"2023-01-03T00:00:00Z\"}\n");
    listing.filter.after = true;
    listing.filter.after_created_at_ms = listing.last.created_at_ms;
    listing.filter.after_id = listing.last.id;
    READS(&l.fixture, list_read, &listing);
    EQ(listing.count, 1);
    YES(strcmp(listing.ids[0], "a") == 0);
    NO(listing.more);

    listing = (struct listing){ .limit = 3, .filter.mailing_no = l.mailing_no };
    READS(&l.fixture, list_read, &listing);
    EQ(listing.count, 3);
    YES(listing.more); /* exactly if one row more exists */
    listing.limit = 4;
    READS(&l.fixture, list_read, &listing);
    NO(listing.more);
    ledger_stop(&l);
}

TEST(message, lists_find_an_address_in_any_case)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"Jo@X.org\",\"id\":\"a\"}\n{\"recipient\":\"b@x.org\",\"id\":\"b\"}\n");
    struct listing listing = { .limit = 5, .filter.by_recipient = true };
    listing.filter.recipient_hash = view_of(&l, "a").row.recipient_hash;
    READS(&l.fixture, list_read, &listing);
    EQ(listing.count, 1);
    YES(strcmp(listing.ids[0], "a") == 0);
    ledger_stop(&l);
}

struct facts {
    uint32_t tenant_no;
    char lines[8][64];
    int count;
};

static enum err fact_take(struct op *op, struct tx *tx, const struct cohort *cohort, uint8_t status, int64_t count,
                          void *arg)
{
    (void)op;
    (void)tx;
    struct facts *facts = arg;
    char day[DAY_TEXT_BYTES];
    snprintf(facts->lines[facts->count++], 64, "%s %s %lld", day_text(cohort->local_day, day).p,
             status_name((enum status)status), (long long)count);
    return OK;
}

static enum err facts_read(struct op *op, struct tx *tx, void *arg)
{
    struct facts *facts = arg;
    facts->count = 0;
    return store_fact_list(op, tx, facts->tenant_no, 0, 30000, 0, fact_take, facts);
}

TEST(message, counts_in_the_local_day_it_was_made_whatever_becomes_of_it)
{
    struct ledger l;
    ledger_start_in(&l, "Europe/London", true);
    import(&l, "{\"recipient\":\"a@x.org\",\"created_at\":\"2022-03-27T22:59:59.999Z\"}\n"
               "{\"recipient\":\"b@x.org\",\"created_at\":\"2022-03-27T23:00:00Z\"}\n"
               "{\"recipient\":\"t@x.org\",\"key\":\"test\",\"created_at\":\"2022-03-27T12:00:00Z\"}\n");
    tell(&l, event_of(EVENT_DELIVERED, "a@x.org", T0, "1"));
    struct facts facts = { .tenant_no = l.tenant_no };
    READS(&l.fixture, facts_read, &facts);
    EQ(facts.count, 2);
    STR_EQ(str_of(facts.lines[0]), "2022-03-27 delivered 1");
    STR_EQ(str_of(facts.lines[1]), "2022-03-28 created 1");
    ledger_stop(&l);
}
