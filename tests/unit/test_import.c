#include "ledger_test.h"

TEST(import, the_same_recipient_in_other_case_is_a_duplicate)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"Jo@X.org\"}\n{\"recipient\":\" jo@x.ORG \",\"id\":\"other\"}\n");
    EQ(l.chunk.accepted, 1);
    EQ(l.chunk.duplicates, 1);
    import(&l, "{\"recipient\":\"jo@x.org\"}\n");
    EQ(l.chunk.duplicates, 1);
    EQ(figure(&l, MAILING_MESSAGES), 1);
    ledger_stop(&l);
}

TEST(import, an_id_of_another_message_is_refused)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\",\"id\":\"n1\"}\n{\"recipient\":\"b@x.org\",\"id\":\"n1\"}\n");
    EQ(l.chunk.accepted, 1);
    EQ(l.chunk.rejected, 1);
    EQ(l.lines[1].number, 2);
    YES(strcmp(l.lines[1].detail, "id already used") == 0);
    ledger_stop(&l);
}

TEST(import, a_bad_line_costs_itself_and_names_its_number)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n\nnot json\n{\"recipient\":\"\"}\n{\"recipient\":\"b@x.org\",\"who\":1}\n"
               "{\"recipient\":\"c@x.org\",\"created_at\":\"1999-12-31T23:59:59Z\"}\n"
               "{\"recipient\":\"d@x.org\",\"status\":\"delivered\"}\n{\"recipient\":\"e@x.org\"}\n");
    EQ(l.chunk.accepted, 2);
    EQ(l.chunk.rejected, 5);
    EQ(l.lines[1].number, 3);
    YES(l.lines[1].rejected);
    EQ(l.lines[6].number, 8);
    EQ(figure(&l, MAILING_MESSAGES), 2);
    ledger_stop(&l);
}

TEST(import, a_provider_id_means_it_is_sending_already)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n{\"recipient\":\"b@x.org\",\"provider_message_id\":\"<1@mg>\"}\n");
    EQ(l.chunk.accepted, 2);
    ledger_stop(&l);
}

static enum err import_nowhere(struct op *op, struct tx *tx, void *arg)
{
    struct ledger *l = arg;
    l->chunk.mailing = S("nowhere");
    return import_apply(op, tx, &l->chunk);
}

TEST(import, an_unknown_mailing_refuses_the_whole_call)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    EQ(store_write(&l.fixture.op, l.fixture.store, import_nowhere, &l), ERR_NOT_FOUND);
    ledger_stop(&l);
}

struct retrack {
    bool track_opens;
    const char *tenant;
};

static enum err put_again(struct op *op, struct tx *tx, void *arg)
{
    struct retrack *again = arg;
    struct mailing_put put = { .tenant = str_of(again->tenant),
                               .track_opens = again->track_opens,
                               .track_clicks = true };
    struct mailing mailing;
    return mailing_store(op, tx, S("m"), &put, &mailing);
}

TEST(mailing, keeps_its_tenant_for_good_and_its_tracking_once_it_has_messages)
{
    struct ledger l;
    ledger_start(&l);
    struct retrack untracked = { false, "acme" }, tracked = { true, "acme" }, nobody = { true, "nobody" };
    WRITES(&l.fixture, put_again, &untracked);
    WRITES(&l.fixture, put_again, &tracked);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    EQ(store_write(&l.fixture.op, l.fixture.store, put_again, &untracked), ERR_CONFLICT);
    WRITES(&l.fixture, put_again, &tracked);
    EQ(store_write(&l.fixture.op, l.fixture.store, put_again, &nobody), ERR_INVALID);
    ledger_stop(&l);
}
