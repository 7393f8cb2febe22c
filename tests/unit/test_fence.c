/* Nodes that others call lost: nothing of what they write is kept, and they begin anew (store_fence). */
#include "store/core.h"
#include "store/store_node.h"
#include "store/tally.h"
#include "store_test.h"

static struct fixture f; /* holds the database */

struct one {
    struct store *store;
    const char *id;
    struct node_self self; /* of its newest life */
    enum err refuse;       /* what beginning says instead */
    int begins, begun;
};
static struct one a, b;

static enum err begin_run(struct op *op, struct tx *tx, void *data, int64_t *ret_node, int64_t *ret_epoch)
{
    struct one *one = data;
    struct node_row row;
    bool found;
    one->begins++;
    if (one->refuse != OK)
        return fail(op, one->refuse, "there are too many nodes");
    TRY(store_node_find(op, tx, str_of(one->id), &row, &found));
    if (!found)
        row = (struct node_row){ .id = str_of(one->id), .process = S("p"), .version = S("1"), .steps = 1 };
    row.is_lost = false;
    row.beat_at_us = op->now_us;
    TRY(store_node_start(op, tx, &row));
    one->self = (struct node_self){ str_of(one->id), row.no, row.epoch };
    *ret_node = row.no;
    *ret_epoch = (int64_t)row.epoch;
    return OK;
}

static void begun(void *data)
{
    ((struct one *)data)->begun++;
}

static void open_one(struct one *one, const char *id)
{
    struct store_config config = fixture_config(&f);
    config.idle_timeout_ms = 300;
    config.statement_timeout_ms = 1000;
    *one = (struct one){ .id = id };
    SUCCEEDS(&f.op, store_open(&f.op, &config, &one->store));
    struct store_fence fence = { one, begin_run, begun };
    store_fence(one->store, &fence);
}

#define START_TWO()                                                                                                    \
    do {                                                                                                               \
        ONLY_POSTGRES();                                                                                               \
        fixture_init(&f);                                                                                              \
        open_one(&a, "a");                                                                                             \
        open_one(&b, "b");                                                                                             \
    } while (0)

static void end_two(void)
{
    store_close(a.store);
    store_close(b.store);
    fixture_end(&f);
}

static enum err write_by(struct one *one, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    return store_write(&f.op, one->store, fn, arg);
}

/* A change whose outcome can be counted: *arg says how often it was tried. */
static enum err add_run(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    ++*(int *)arg;
    store_mailing_count(tx, 7, MAILING_OPENED, 1);
    return OK;
}

static enum err added_run(struct op *op, struct tx *tx, void *arg)
{
    struct mailing_stats stats;
    TRY(store_mailing_stats_get(op, tx, 7, &stats));
    *(int64_t *)arg = stats.figure[MAILING_OPENED];
    return OK;
}

static int64_t added(void)
{
    int64_t n;
    SUCCEEDS(&f.op, store_read(&f.op, b.store, added_run, &n));
    return n;
}

static enum err lose_run(struct op *op, struct tx *tx, void *arg)
{
    int64_t lost;
    const struct one *spared = arg;
    TRY(store_node_lose(op, tx, INT64_MAX, spared->self.no, &lost));
    EQ(lost, 1);
    return OK;
}

SQL_SCAN(test_groups, "SELECT 0", "SELECT count(*) FROM group_log WHERE node = ?1 AND epoch = ?2");

struct groups {
    struct node_self self;
    int64_t count;
};

/* Groups that were written under a life. */
static enum err groups_run(struct op *op, struct tx *tx, void *arg)
{
    struct groups *groups = arg;
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &test_groups, &stmt));
    bind_int(stmt, 1, groups->self.no);
    bind_int(stmt, 2, (int64_t)groups->self.epoch);
    TRY(stmt_row(op, stmt, &found));
    groups->count = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static int64_t groups_of(struct node_self self)
{
    struct groups groups = { .self = self };
    SUCCEEDS(&f.op, store_read(&f.op, b.store, groups_run, &groups));
    return groups.count;
}

/* Everybody but the one given is called lost by it. */
static void lose_all_but(struct one *one)
{
    SUCCEEDS(&f.op, write_by(one, lose_run, one));
}

TEST(fence, begins_a_life_before_the_first_group)
{
    START_TWO();
    int tried = 0;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(tried, 1);
    EQ(a.begun, 1);
    EQ(groups_of(a.self), 2); /* that of the beginning is one */
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(a.begins, 1);
    EQ(groups_of(a.self), 3);
    EQ(added(), 2);
    end_two();
}

TEST(fence, writes_nothing_for_a_node_called_lost_and_runs_its_commands_in_a_new_life)
{
    START_TWO();
    int tried = 0;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    struct node_self former = a.self;
    lose_all_but(&b);
    int64_t before = groups_of(former);
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(tried, 2); /* what comes too late is not even tried in the old life */
    EQ(a.begun, 2);
    YES(a.self.epoch > former.epoch);
    EQ(groups_of(former), before);
    EQ(groups_of(a.self), 2);
    EQ(added(), 2);
    end_two();
}

/* Sleeps in the middle of its group until its server ends it; meanwhile it is called lost. */
static enum err freeze_run(struct op *op, struct tx *tx, void *arg)
{
    bool first = *(int *)arg == 0;
    TRY(add_run(op, tx, arg));
    if (!first)
        return OK;
    struct op other;
    op_init(&other, f.arena, op->now_us);
    SUCCEEDS(&other, store_write(&other, b.store, lose_run, &b)); /* waits for the turn that this group has */
    return OK;
}

/* So many groups of one node behind each other, then one in which it freezes. */
static void freeze_after(int groups)
{
    int tried = 1;
    SUCCEEDS(&f.op, write_by(&b, add_run, &tried));
    for (int i = 0; i < groups; i++)
        SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    struct node_self former = a.self;
    int64_t before = groups_of(former);
    tried = 0;
    SUCCEEDS(&f.op, write_by(&a, freeze_run, &tried));
    EQ(tried, 2);
    EQ(groups_of(former), before);
    YES(a.self.epoch > former.epoch);
    EQ(added(), 2 + groups);
}

TEST(fence, keeps_nothing_of_a_group_that_froze_and_runs_it_again)
{
    START_TWO();
    freeze_after(1);
    end_two();
}

/* Behind so many a node supposes that nobody else writes: it has neither asked nor taken its turn when it is called
 * lost. */
TEST(fence, keeps_nothing_of_a_group_that_did_not_ask_and_runs_it_again)
{
    START_TWO();
    freeze_after(12);
    end_two();
}

TEST(fence, refuses_commands_while_no_life_can_be_begun)
{
    START_TWO();
    int tried = 0;
    a.refuse = ERR_UNAVAILABLE;
    EQ(write_by(&a, add_run, &tried), ERR_UNAVAILABLE);
    STR_EQ(str_of(f.op.error), "there are too many nodes");
    EQ(tried, 0);
    a.refuse = OK;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(added(), 1);
    end_two();
}

TEST(fence, begins_no_life_after_the_node_has_left)
{
    START_TWO();
    int tried = 0;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    store_fence_end(a.store);
    lose_all_but(&b);
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(a.begins, 1);
    end_two();
}

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    bool is_alive;
    TRY(store_node_beat(op, tx, &one->self, op->now_us, 0, &is_alive));
    YES(is_alive);
    return OK;
}

/* In a's turn. */
static enum err beat_beside_run(struct op *op, struct tx *tx, void *arg)
{
    struct op other;
    store_mailing_count(tx, 7, MAILING_OPENED, 1);
    op_init(&other, op->arena, op->now_us);
    SUCCEEDS(&other, store_beside(&other, a.store, false, beat_run, &a));
    SUCCEEDS(&other, store_beside(&other, b.store, false, beat_run, &b));
    EQ(store_beside(&other, b.store, true, beat_run, &b), ERR_UNAVAILABLE); /* that one waits for the turn, in vain */
    *(bool *)arg = true;
    return OK;
}

TEST(fence, lets_signs_of_life_pass_whoever_writes)
{
    START_TWO();
    int tried = 0;
    bool passed = false;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    SUCCEEDS(&f.op, write_by(&b, add_run, &tried));
    store_close(a.store);
    struct store_config config = fixture_config(&f);
    SUCCEEDS(&f.op,
             store_open(&f.op, &config, &a.store)); /* one that waits longer for its commands than b for its turn */
    SUCCEEDS(&f.op, write_by(&a, beat_beside_run, &passed));
    YES(passed);
    SUCCEEDS(&f.op, store_beside(&f.op, b.store, true, beat_run, &b));
    end_two();
}

/* A step that a program to come brings, made by b, whose connection is idle. */
static enum err newer_step(void)
{
    static const struct schema_step step = { .name = "times to come", .alone = "they know nothing of it" };
    SUCCEEDS(&f.op, conn_exec(&f.op, b.store->conn, "BEGIN"));
    enum err err = schema_stand_alone(&f.op, b.store->conn, &step, store_steps_known() + 1);
    struct op aside;
    op_init(&aside, f.arena, 0);
    SUCCEEDS(&aside, conn_exec(&aside, b.store->conn, err == OK ? "COMMIT" : "ROLLBACK"));
    return err;
}

TEST(fence, lets_nobody_make_a_step_that_stands_alone_while_older_nodes_are_alive)
{
    START_TWO();
    int tried = 0;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    SUCCEEDS(&f.op, conn_exec(&f.op, b.store->conn,
                              "UPDATE posthouse.node"
                              " SET beat_at_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"));
    EQ(newer_step(), ERR_CONFLICT);
    YES(str_search(str_of(f.op.error), S("(times to come) cannot be made while 1 node of an older posthouse runs, "
                                         "--migrate or not: they know nothing of it")) < strlen(f.op.error));
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried));
    EQ(a.begins, 1);
    end_two();
}

TEST(fence, begins_no_life_of_a_program_that_a_step_has_left_behind)
{
    START_TWO();
    int tried = 0;
    SUCCEEDS(&f.op, write_by(&a, add_run, &tried)); /* its beat is old: it may be frozen */
    SUCCEEDS(&f.op, newer_step());
    EQ(write_by(&a, add_run, &tried), ERR_UNAVAILABLE);
    EQ(a.begins, 1);
    EQ(tried, 1);
    YES(str_search(str_of(f.op.error), S("may not write beside it")) < strlen(f.op.error));
    EQ(added(), 1);
    SUCCEEDS(&f.op, conn_exec(&f.op, b.store->conn, "DELETE FROM posthouse.schema_version WHERE one = 2"));
    end_two();
}
