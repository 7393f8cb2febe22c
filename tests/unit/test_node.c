/* Several nodes on one store; the clock of all is the op's, moved by hand. */
#include "engine/node.h"
#include "store_test.h"

#define SEC INT64_C(1000000)

static struct fixture f;
static const struct node_timing timing = { NODE_BEAT_US, NODE_LOST_US, NODE_LEAD_US };

struct who {
    struct node_identity identity;
    struct node_life life;
    int64_t offset_us;
};

static struct who named(const char *id)
{
    return (struct who){ .identity = { .id = str_of(id), .process = str_of(id), .version = S("1"), .steps = 1 } };
}

static enum err begin_run(struct op *op, struct tx *tx, void *arg)
{
    struct who *who = arg;
    return node_register(op, tx, &who->identity, &timing, who->offset_us, &who->life);
}

static void begin(struct who *who)
{
    WRITES(&f, begin_run, who);
}

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct who *who = arg;
    bool watch;
    TRY(node_beat(op, tx, &timing, &who->life, who->offset_us, &who->life, &watch));
    return watch ? node_watch(op, tx, &timing, &who->life, &who->life) : OK;
}

static enum err beat(struct who *who)
{
    return store_write(&f.op, f.store, beat_run, who);
}

static enum err leave_run(struct op *op, struct tx *tx, void *arg)
{
    struct who *who = arg;
    return node_leave(op, tx, &who->life);
}

/* The clock moves on, those given beat every 5 s. */
static void pass(int64_t seconds, struct who *one, struct who *other)
{
    for (int64_t s = 0; s < seconds; s += 5) {
        f.op.now_us += 5 * SEC;
        if (one)
            SUCCEEDS(&f.op, beat(one));
        if (other)
            SUCCEEDS(&f.op, beat(other));
    }
}

static enum err check_run(struct op *op, struct tx *tx, void *arg)
{
    struct who *who = arg;
    struct duty lease = node_lead(&who->life);
    return store_duty_check(op, tx, &lease);
}

/* May work of the leader be kept, as this node believes? */
static enum err may(struct who *who)
{
    return store_write(&f.op, f.store, check_run, who);
}

TEST(node, each_start_has_an_epoch_no_start_ever_had)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    uint64_t first = a.life.epoch;
    NE(first, b.life.epoch);
    pass(60, &b, NULL);
    begin(&a);
    YES(a.life.epoch > b.life.epoch);
    STR_EQ(str_of(a.life.id), "a");
    fixture_end(&f);
}

TEST(node, a_living_one_of_the_same_name_keeps_it)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("a"), c = named("a");
    begin(&a);
    begin(&b);
    STR_EQ(str_of(b.life.id), "a-2");
    EQ(b.life.alive, 2);
    SUCCEEDS(&f.op, beat(&a));
    f.op.now_us += NODE_LOST_US + 1;
    begin(&c);
    STR_EQ(str_of(c.life.id), "a");
    EQ(beat(&a), ERR_CONFLICT);
    fixture_end(&f);
}

static bool is_gone(struct str process)
{
    return str_eq(process, S("a"));
}

TEST(node, a_start_after_a_crash_on_the_same_machine_waits_for_nothing)
{
    fixture_start(&f);
    struct who a = named("a"), again = named("a");
    begin(&a);
    again.identity.is_gone = is_gone;
    again.identity.process = S("a2");
    begin(&again);
    STR_EQ(str_of(again.life.id), "a");
    EQ(again.life.no, a.life.no);
    EQ(again.life.alive, 1);
    YES(again.life.term > a.life.term);
    EQ(may(&a), ERR_CONFLICT);
    fixture_end(&f);
}

TEST(node, silent_for_thirty_seconds_is_lost_and_may_keep_nothing)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    pass(30, &a, &b);
    YES(a.life.term > 0);
    pass(30, NULL, &b);
    EQ(b.life.alive, 2);
    pass(5, NULL, &b);
    EQ(b.life.alive, 1);
    EQ(b.life.lost, 1);
    EQ(beat(&a), ERR_CONFLICT);
    EQ(may(&a), ERR_CONFLICT);
    begin(&a);
    EQ(a.life.term, 0);
    pass(5, &a, &b);
    EQ(b.life.alive, 2);
    fixture_end(&f);
}

TEST(node, one_leads_and_another_takes_over_within_seconds)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    YES(a.life.term > 0);
    EQ(b.life.term, 0);
    pass(60, &a, &b);
    EQ(b.life.term, 0);
    uint64_t term = a.life.term;
    pass(15, NULL, &b);
    EQ(b.life.term, 0);
    SUCCEEDS(&f.op, may(&a)); /* to its last instant */
    pass(5, NULL, &b);
    YES(b.life.term > term);
    EQ(may(&a), ERR_CONFLICT);
    SUCCEEDS(&f.op, may(&b));
    SUCCEEDS(&f.op, beat(&a)); /* not lost yet: it hears that it leads no more */
    EQ(a.life.term, 0);
    fixture_end(&f);
}

TEST(node, one_that_leaves_is_gone_at_once_and_its_lead_free)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    WRITES(&f, leave_run, &a);
    pass(5, &b, NULL);
    YES(b.life.term > a.life.term);
    EQ(b.life.alive, 1);
    WRITES(&f, leave_run, &a); /* a second time is none */
    fixture_end(&f);
}

TEST(node, a_clock_two_seconds_off_does_not_lead)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    a.offset_us = -NODE_OFFSET_MAX_US - 1;
    b.offset_us = NODE_NO_OFFSET;
    begin(&a);
    begin(&b);
    EQ(a.life.term, 0);
    EQ(b.life.term, 0); /* not measured yet */
    b.offset_us = NODE_OFFSET_MAX_US;
    pass(5, &a, &b);
    YES(b.life.term > 0);
    b.offset_us++; /* it steps while it leads */
    pass(5, &a, &b);
    EQ(b.life.term, 0);
    a.offset_us = 0;
    pass(5, &a, &b);
    YES(a.life.term > 0);
    fixture_end(&f);
}

TEST(node, who_could_not_reach_the_store_calls_nobody_lost)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    pass(60, &a, &b);
    f.op.now_us += 120 * SEC; /* the database was away for both */
    SUCCEEDS(&f.op, beat(&a));
    EQ(a.life.alive, 2);
    SUCCEEDS(&f.op, beat(&b));
    pass(60, &a, &b);
    EQ(a.life.alive, 2);
    pass(40, &a, NULL);
    EQ(a.life.alive, 1);
    fixture_end(&f);
}

/* Found by the simulation: two times away with one beat of one node between them. */
TEST(node, a_moment_between_two_times_away_makes_nobody_lost)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    begin(&a);
    begin(&b);
    pass(60, &a, &b);
    for (int i = 0; i < 3; i++) {
        f.op.now_us += 13 * SEC;
        SUCCEEDS(&f.op, beat(&a));
    }
    SUCCEEDS(&f.op, beat(&b)); /* silent for 39 s, of which a could have seen 22 */
    EQ(a.life.alive, 2);
    fixture_end(&f);
}

TEST(node, alone_it_leads_for_ever_and_every_other_row_is_over)
{
    fixture_start(&f);
    struct who old = named("old"), now = named("now"), next = named("now");
    old.identity.is_alone = now.identity.is_alone = next.identity.is_alone = true;
    begin(&old);
    begin(&now);
    EQ(now.life.alive, 1);
    YES(now.life.term > old.life.term);
    f.op.now_us += 1000 * 86400 * SEC;
    SUCCEEDS(&f.op, may(&now));
    begin(&next);
    STR_EQ(str_of(next.life.id), "now");
    EQ(may(&now), ERR_CONFLICT);
    SUCCEEDS(&f.op, may(&next));
    fixture_end(&f);
}

static enum err list_run(struct op *op, struct tx *tx, void *arg)
{
    struct node_row *rows;
    return store_node_list(op, tx, &rows, arg);
}

TEST(node, a_lost_one_is_forgotten_after_a_week)
{
    fixture_start(&f);
    struct who a = named("a"), b = named("b");
    size_t count;
    begin(&a);
    begin(&b);
    pass(65, &a, NULL);
    READS(&f, list_run, &count);
    EQ(count, 2);
    f.op.now_us += NODE_FORGET_US - 120 * SEC;
    pass(35, &a, NULL);
    READS(&f, list_run, &count);
    EQ(count, 2);
    pass(60, &a, NULL);
    READS(&f, list_run, &count);
    EQ(count, 1);
    fixture_end(&f);
}

TEST(node, a_beat_that_the_disk_refused_is_none)
{
    for (int nth = 1; nth <= 20; nth++) {
        fixture_start(&f);
        struct who a = named("a");
        begin(&a);
        fixture_plan(&f, STORE_AT_STATEMENT, STORE_FAIL_IO, nth);
        f.op.now_us += 5 * SEC;
        enum err err = beat(&a);
        f.countdown = 0;
        SUCCEEDS(&f.op, beat(&a));
        SUCCEEDS(&f.op, may(&a));
        fixture_end(&f);
        if (err == OK) {
            YES(nth > 1);
            return;
        }
        EQ(err, ERR_UNAVAILABLE);
    }
    YES(false);
}
