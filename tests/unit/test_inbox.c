#include "engine/inbox.h"

#include "engine/keep_log.h"
#include "keep_lab.h"
#include "ledger_test.h"
#include "store/store_inbox.h"
#include "store/store_message.h"

#define DAY (86400 * SECOND)

struct said {
    enum inbox_kind kind;
    const char *subject, *body;
    int times;
};

static enum err say_row(struct op *op, struct tx *tx, void *arg)
{
    const struct said *said = arg;
    struct inbox_row row = {
        .kind = said->kind, .at_us = op->now_us - SECOND, .subject = str_of(said->subject), .body = str_of(said->body)
    };
    for (int i = 0; i < said->times; i++)
        TRY(store_inbox_add(op, tx, &row));
    return OK;
}

static void say(struct ledger *l, enum inbox_kind kind, const char *subject, const char *body)
{
    struct said said = { kind, subject, body, 1 };
    WRITES(&l->fixture, say_row, &said);
}

struct taking {
    size_t max;
    const char *skip; /* reason to skip one instead */
    struct inbox_result result;
};

static enum err take_rows(struct op *op, struct tx *tx, void *arg)
{
    struct taking *taking = arg;
    return taking->skip ? inbox_skip(op, tx, 0, str_of(taking->skip), &taking->result)
                        : inbox_apply(op, tx, 0, taking->max, &taking->result);
}

static struct inbox_result take(struct ledger *l, size_t max)
{
    struct taking taking = { .max = max };
    WRITES(&l->fixture, take_rows, &taking);
    return taking.result;
}

struct refused {
    int count;
    char reason[200], subject[64];
};

static enum err note_refused(struct op *op, const struct inbox_row *row, struct str reason, void *arg)
{
    struct refused *refused = arg;
    (void)op;
    refused->count++;
    snprintf(refused->reason, sizeof refused->reason, "%.*s", STR(reason));
    snprintf(refused->subject, sizeof refused->subject, "%.*s", STR(row->subject));
    return OK;
}

static enum err read_refused(struct op *op, struct tx *tx, void *arg)
{
    return store_inbox_refused_each(op, tx, 0, 100, note_refused, arg);
}

/* How many stand refused, and the newest of them. */
static struct refused refused_of(struct ledger *l)
{
    struct refused refused = { 0 };
    READS(&l->fixture, read_refused, &refused);
    return refused;
}

static enum err read_waits(struct op *op, struct tx *tx, void *arg)
{
    struct inbox_look look;
    TRY(store_inbox_look(op, tx, 0, false, &look));
    *(bool *)arg = look.first != 0;
    return OK;
}

static bool waits(struct ledger *l)
{
    bool answer;
    READS(&l->fixture, read_waits, &answer);
    return answer;
}

TEST(inbox, what_was_said_in_order_becomes_a_mailing_and_its_messages)
{
    struct ledger l;
    ledger_start(&l);
    NO(waits(&l));
    say(&l, INBOX_MAILING, "m2", "{\"tenant\":\"acme\",\"subject\":\"Autumn\"}");
    say(&l, INBOX_MESSAGE, "m2", "{\"recipient\":\"a@x.org\"}");
    say(&l, INBOX_MESSAGE, "m2", "{\"recipient\":\"b@x.org\"}");
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\"}");
    YES(waits(&l));
    struct inbox_result result = take(&l, 100);
    EQ(result.applied, 4);
    EQ(result.mailings, 1);
    EQ(result.refused, 0);
    NO(result.more);
    EQ(result.oldest_us, l.fixture.op.now_us - SECOND);
    EQ(figure(&l, MAILING_MESSAGES), 1);
    NO(waits(&l));
    EQ(take(&l, 100).applied, 0);
    ledger_stop(&l);
}

TEST(inbox, takes_no_more_than_asked_for_and_says_that_there_is_more)
{
    struct ledger l;
    ledger_start(&l);
    for (int i = 0; i < 5; i++) {
        char line[64];
        snprintf(line, sizeof line, "{\"recipient\":\"r%d@x.org\"}", i);
        say(&l, INBOX_MESSAGE, "m", line);
    }
    YES(take(&l, 2).more);
    EQ(figure(&l, MAILING_MESSAGES), 2);
    EQ(take(&l, 3).applied, 3);
    NO(waits(&l));
    ledger_stop(&l);
}

TEST(inbox, a_line_said_twice_is_a_duplicate)
{
    struct ledger l;
    ledger_start(&l);
    struct said said = { INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\"}", 3 };
    WRITES(&l.fixture, say_row, &said);
    struct inbox_result result = take(&l, 100);
    EQ(result.applied, 1);
    EQ(result.duplicates, 2);
    EQ(figure(&l, MAILING_MESSAGES), 1);
    ledger_stop(&l);
}

TEST(inbox, a_row_that_cannot_be_done_costs_itself_and_stands_with_its_reason)
{
    struct ledger l;
    ledger_start(&l);
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\",\"id\":\"n1\"}");
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"b@x.org\",\"id\":\"n1\"}");
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"c@x.org\"}");
    struct inbox_result result = take(&l, 100);
    EQ(result.applied, 2);
    EQ(result.refused, 1);
    struct refused refused = refused_of(&l);
    EQ(refused.count, 1);
    STR_EQ(str_of(refused.reason), "id already used");

    say(&l, INBOX_MESSAGE, "nowhere", "{\"recipient\":\"a@x.org\"}");
    say(&l, INBOX_MAILING, "m", "{\"tenant\":\"acme\",\"track_opens\":false}");
    say(&l, INBOX_MAILING, "m3", "{\"tenant\":\"nobody\"}");
    say(&l, INBOX_MAILING, "m4", "{\"tenant\":1}");
    say(&l, (enum inbox_kind)9, "m5", "{}");
    result = take(&l, 100);
    EQ(result.applied, 0);
    EQ(result.refused, 5);
    refused = refused_of(&l);
    EQ(refused.count, 6);
    STR_EQ(str_of(refused.subject), "m5");
    ledger_stop(&l);
}

TEST(inbox, a_row_that_no_chunk_gets_past_is_skipped_with_the_reason)
{
    struct ledger l;
    struct taking skip = { .skip = "it broke" };
    ledger_start(&l);
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\"}");
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"b@x.org\"}");
    WRITES(&l.fixture, take_rows, &skip);
    EQ(skip.result.refused, 1);
    STR_EQ(str_of(refused_of(&l).reason), "it broke");
    EQ(take(&l, 100).applied, 1);
    WRITES(&l.fixture, take_rows, &skip);
    EQ(skip.result.refused, 0);
    ledger_stop(&l);
}

TEST(inbox, rows_and_what_they_become_are_one_transaction)
{
    struct ledger l;
    ledger_start(&l);
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\"}");
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"b@x.org\"}");
    struct taking taking = { .max = 100 };
    for (int64_t nth = 1;; nth++) {
        fixture_plan(&l.fixture, STORE_AT_STATEMENT, STORE_FAIL_IO, nth);
        enum err err = store_write(&l.fixture.op, l.fixture.store, take_rows, &taking);
        if (err == OK)
            break;
        EQ(err, ERR_UNAVAILABLE);
        YES(waits(&l));
        EQ(figure(&l, MAILING_MESSAGES), 0);
    }
    EQ(taking.result.applied, 2);
    EQ(figure(&l, MAILING_MESSAGES), 2);
    NO(waits(&l));
    ledger_stop(&l);
}

struct born {
    uint64_t no;
    struct message_row row;
};

static enum err read_born(struct op *op, struct tx *tx, void *arg)
{
    struct born *born = arg;
    TRY(store_message_find_id(op, tx, S("n1"), &born->no));
    return store_message_get(op, tx, born->no, &born->row);
}

TEST(inbox, a_message_is_as_old_as_the_call_that_added_it)
{
    struct ledger l;
    struct born born = { 0 };
    ledger_start(&l);
    int64_t said_us = l.fixture.op.now_us - SECOND;
    say(&l, INBOX_MESSAGE, "m", "{\"recipient\":\"a@x.org\",\"id\":\"n1\"}");
    l.fixture.op.now_us += DAY;
    EQ(take(&l, 100).applied, 1);
    READS(&l.fixture, read_born, &born);
    EQ(born.row.created_at_ms, said_us / 1000);
    ledger_stop(&l);
}

TEST(inbox, what_was_refused_is_kept_for_35_days)
{
    struct ledger l;
    struct keep_all all = { .jobtype = KEEP_LOG_TYPE };
    ledger_start(&l);
    say(&l, INBOX_MESSAGE, "nowhere", "{\"recipient\":\"a@x.org\"}");
    EQ(take(&l, 100).refused, 1);
    l.fixture.op.now_us += 35 * DAY;
    WRITES(&l.fixture, keep_all, &all);
    EQ(refused_of(&l).count, 1);
    l.fixture.op.now_us += SECOND;
    WRITES(&l.fixture, keep_all, &all);
    EQ(refused_of(&l).count, 0);
    ledger_stop(&l);
}

/* --- how far it is empty for good --- */

static struct inbox_look look_at(int64_t first, int64_t given, int64_t open_from, int64_t number)
{
    return (struct inbox_look){ first, given, open_from, number };
}

static int64_t gone_after(struct inbox_reach *reach, struct inbox_look look)
{
    inbox_reach_note(reach, &look);
    return reach->gone;
}

/* TX-2. Number 5 is of transaction 75, which commits late. */
TEST(inbox, is_empty_up_to_a_number_when_all_that_got_such_numbers_are_over)
{
    struct inbox_reach reach = { 0 };
    EQ(gone_after(&reach, look_at(0, 9, 75, 0)), 0); /* 9 numbers are given.. */
    YES(inbox_reach_asks(&reach));
    EQ(gone_after(&reach, look_at(0, 12, 75, 85)), 0); /* ..to transactions before 85 */
    NO(inbox_reach_asks(&reach));
    EQ(gone_after(&reach, look_at(0, 15, 75, 0)), 0);
    EQ(gone_after(&reach, look_at(5, 15, 86, 0)), 0); /* they are over; 5 is to be taken */
    EQ(gone_after(&reach, look_at(0, 15, 86, 0)), 9);
    EQ(gone_after(&reach, look_at(11, 15, 86, 0)), 9);
    EQ(gone_after(&reach, look_at(11, 15, 86, 90)), 9);
    EQ(gone_after(&reach, look_at(16, 17, 92, 0)), 15);
    EQ(gone_after(&reach, look_at(0, 15, 92, 0)), 15);
    NO(inbox_reach_asks(&reach)); /* as long as no more are given */
}

TEST(inbox, is_looked_at_from_its_start_again_when_a_number_was_thought_to_be_gone)
{
    struct inbox_reach reach = { .gone = 9, .given = 12, .had_by = 80 };
    EQ(gone_after(&reach, look_at(8, 12, 90, 0)), 0);
    EQ(gone_after(&reach, look_at(0, 12, 90, 91)), 0);
    EQ(gone_after(&reach, look_at(0, 12, 92, 0)), 12);
}
