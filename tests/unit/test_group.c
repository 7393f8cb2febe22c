#include "base/post.h"
#include "store/block.h"
#include "store/core.h"
#include "store/seq.h"
#include "store/tally.h"
#include "store_test.h"

/* Commands of these tests count in a mailing, take a number and change a record; some then fail. */
enum way { SUCCEED, TAKE_60_MS, FAIL_FIRST, FAIL_LATE, FAIL_LATE_ONCE, FAIL_AFTER_OTHERS };

struct command {
    struct post post;
    enum way way;
    int runs;
    uint64_t no;  /* number it was given */
    int64_t seen; /* the figure it saw */
    int answered; /* its place among the answers, from 1 */
};

static struct fixture f;
static struct command commands[8];
static int answers;

static enum err change(struct command *command)
{
    struct op *op = &command->post.op;
    struct tx *tx = command->post.tx;
    struct member_state *member;
    struct mailing_stats stats;
    TRY(store_mailing_stats_get(op, tx, 1, &stats));
    command->seen = stats.figure[MAILING_OPENED];
    store_mailing_count(tx, 1, MAILING_OPENED, 1);
    command->no = store_seq_next(tx, SEQ_MESSAGE);
    TRY(store_block_edit(op, tx, BLOCK_MEMBER, 5, &member));
    member->opened++;
    return OK;
}

static enum err command_run(struct post *post)
{
    struct command *command = (struct command *)(void *)post;
    command->runs++;
    if (command->way == FAIL_FIRST)
        return fail(&post->op, ERR_CONFLICT, "refused");
    TRY(change(command));
    if (command->way == TAKE_60_MS)
        f.op.now_us += 60000;
    if (command->way == FAIL_LATE || (command->way == FAIL_LATE_ONCE && command->runs == 1))
        return fail(&post->op, ERR_INVALID, "too late");
    return OK;
}

static enum err command_reply(struct post *post)
{
    struct command *command = (struct command *)(void *)post;
    command->answered = ++answers;
    return post->err;
}

static const struct hop route[] = { { command_run, THREAD_WRITER }, { command_reply, THREAD_CALLER }, { 0 } };

static void home(struct post *post)
{
    post_run(post);
}

static void send(int i, enum way way)
{
    commands[i] = (struct command){ .way = way };
    commands[i].post.hop = route;
    commands[i].post.home = home;
    op_init(&commands[i].post.op, f.arena, f.op.now_us);
    post_send(&commands[i].post);
}

static void start(void)
{
    answers = 0;
    fixture_start_file(&f);
}

static enum err read_figures(struct op *op, struct tx *tx, void *arg)
{
    int64_t *figures = arg;
    struct mailing_stats stats;
    const struct member_state *member;
    TRY(store_mailing_stats_get(op, tx, 1, &stats));
    TRY(store_block_get(op, tx, BLOCK_MEMBER, 5, &member));
    figures[0] = stats.figure[MAILING_OPENED];
    figures[1] = member->opened;
    return OK;
}

/* Both the counter and the record say n. */
static void stored(int64_t n)
{
    int64_t figures[2] = { -1, -1 };
    READS(&f, read_figures, figures);
    EQ(figures[0], n);
    EQ(figures[1], n);
}

TEST(group, commits_all_waiting_commands_at_once)
{
    start();
    uint64_t before = store_figures(f.store).commits;
    send(0, SUCCEED);
    send(1, SUCCEED);
    send(2, SUCCEED);
    EQ(store_turn(f.store), 3);
    EQ(store_figures(f.store).commits, before + 1);
    for (int i = 0; i < 3; i++) {
        EQ(commands[i].post.err, OK);
        EQ(commands[i].no, i + 1);
        EQ(commands[i].seen, i);
        EQ(commands[i].answered, i + 1);
    }
    stored(3);
    fixture_end(&f);
}

TEST(group, fails_a_command_alone_that_has_written_nothing)
{
    start();
    send(0, SUCCEED);
    send(1, FAIL_FIRST);
    send(2, SUCCEED);
    EQ(store_turn(f.store), 3);
    EQ(commands[1].post.err, ERR_CONFLICT);
    STR_EQ(str_of(commands[1].post.op.error), "refused");
    for (int i = 0; i < 3; i++)
        EQ(commands[i].runs, 1);
    stored(2);
    EQ(store_figures(f.store).reruns, 0);
    fixture_end(&f);
}

TEST(group, leaves_those_that_wait_to_the_next_one_after_50_ms)
{
    start();
    send(0, SUCCEED);
    send(1, TAKE_60_MS);
    send(2, SUCCEED);
    EQ(store_turn(f.store), 2);
    EQ(commands[2].runs, 0);
    stored(2);
    EQ(store_turn(f.store), 1);
    EQ(commands[2].post.err, OK);
    stored(3);
    fixture_end(&f);
}

TEST(group, runs_the_others_again_when_one_fails_after_a_write)
{
    start();
    send(0, SUCCEED);
    send(1, FAIL_LATE);
    send(2, SUCCEED);
    EQ(store_turn(f.store), 3);
    EQ(commands[0].post.err, OK);
    EQ(commands[0].runs, 2);
    EQ(commands[1].post.err, ERR_INVALID);
    STR_EQ(str_of(commands[1].post.op.error), "too late");
    EQ(commands[2].post.err, OK);
    EQ(commands[2].runs, 1);
    EQ(commands[0].no, 1);
    EQ(commands[2].no, 2);
    stored(2);
    fixture_end(&f);
}

TEST(group, gives_a_late_failure_a_second_run_behind_the_others)
{
    start();
    send(0, FAIL_LATE_ONCE);
    send(1, SUCCEED);
    EQ(store_turn(f.store), 2);
    EQ(commands[0].post.err, OK);
    STR_EQ(str_of(commands[0].post.op.error), "");
    EQ(commands[0].seen, 1);
    EQ(commands[0].no, 2);
    EQ(commands[1].no, 1);
    stored(2);
    fixture_end(&f);
}

TEST(group, runs_one_by_one_when_many_fail_late)
{
    start();
    for (int i = 0; i < 8; i++)
        send(i, i % 2 ? FAIL_LATE : SUCCEED);
    EQ(store_turn(f.store), 8);
    for (int i = 0; i < 8; i++)
        EQ(commands[i].post.err, i % 2 ? ERR_INVALID : OK);
    stored(4);
    EQ(answers, 8);
    fixture_end(&f);
}

TEST(group, takes_back_a_single_command_that_fails_late)
{
    start();
    send(0, FAIL_LATE);
    EQ(store_turn(f.store), 1);
    EQ(commands[0].post.err, ERR_INVALID);
    EQ(commands[0].runs, 1);
    stored(0);
    send(0, SUCCEED);
    store_turn(f.store);
    EQ(commands[0].no, 1);
    stored(1);
    fixture_end(&f);
}

static void goes_unavailable_and_recovers(enum store_point point, enum store_fault fault, const char *why)
{
    start();
    send(0, SUCCEED);
    store_turn(f.store);
    fixture_plan(&f, point, fault, 1);
    f.again = true;
    send(1, SUCCEED);
    send(2, FAIL_FIRST);
    EQ(store_turn(f.store), 2);
    for (int i = 1; i < 3; i++) {
        EQ(commands[i].post.err, ERR_UNAVAILABLE);
        YES(strstr(commands[i].post.op.error, why) != NULL);
        YES(commands[i].post.op.retry_after_s > 0);
        EQ(commands[i].answered, i + 1);
    }
    NO(store_is_ready(f.store));
    stored(1);
    EQ(store_probe(&f.op, f.store), ERR_UNAVAILABLE);
    NO(store_is_ready(f.store));

    f.countdown = 0;
    SUCCEEDS(&f.op, store_probe(&f.op, f.store));
    YES(store_is_ready(f.store));
    send(3, SUCCEED);
    store_turn(f.store);
    EQ(commands[3].no, 2);
    stored(2);
    fixture_end(&f);
}

TEST(group, answers_unavailable_when_a_statement_fails_and_recovers)
{
    goes_unavailable_and_recovers(STORE_AT_STATEMENT, STORE_FAIL_IO, "disk reports an error");
}

TEST(group, answers_unavailable_when_the_commit_fails_and_recovers)
{
    goes_unavailable_and_recovers(STORE_AT_COMMIT, STORE_FAIL_IO, "disk reports an error");
}

TEST(group, says_that_the_disk_is_full)
{
    goes_unavailable_and_recovers(STORE_AT_COMMIT, STORE_FAIL_FULL, "disk is full");
}

TEST(group, becomes_ready_by_the_next_command_that_is_stored)
{
    start();
    fixture_plan(&f, STORE_AT_COMMIT, STORE_FAIL_FULL, 1);
    send(0, SUCCEED);
    store_turn(f.store);
    NO(store_is_ready(f.store));
    send(1, FAIL_FIRST);
    store_turn(f.store);
    NO(store_is_ready(f.store)); /* nothing was written, nothing proved */
    send(2, SUCCEED);
    store_turn(f.store);
    YES(store_is_ready(f.store));
    stored(1);
    fixture_end(&f);
}

TEST(group, passes_once_no_step_fails_any_more)
{
    start();
    int64_t n = 0;
    bool failed = true;
    while (failed) {
        fixture_plan(&f, STORE_AT_STATEMENT, STORE_FAIL_IO, ++n);
        send(0, SUCCEED);
        send(1, SUCCEED);
        EQ(store_turn(f.store), 2);
        failed = f.countdown == 0; /* the plan was used up */
        EQ(commands[0].post.err, failed ? ERR_UNAVAILABLE : OK);
        EQ(commands[1].post.err, failed ? ERR_UNAVAILABLE : OK);
        stored(failed ? 0 : 2);
    }
    YES(n > 2);
    EQ(commands[1].no, 2);
    fixture_end(&f);
}

static void crashes(enum store_point point, enum store_fault fault, int64_t kept)
{
    start();
    send(0, SUCCEED);
    store_turn(f.store);
    fixture_plan(&f, point, fault, 1);
    send(1, SUCCEED);
    EQ(store_turn(f.store), 0);
    YES(store_is_dead(f.store));
    EQ(commands[1].answered, 0);
    EQ(store_write(&f.op, f.store, read_figures, NULL), ERR_UNAVAILABLE);
    fixture_reopen(&f);
    stored(kept);
    send(2, SUCCEED);
    store_turn(f.store);
    EQ(commands[2].no, kept + 1);
    stored(kept + 1);
    fixture_end(&f);
}

TEST(group, keeps_nothing_of_a_crash_in_a_statement)
{
    crashes(STORE_AT_STATEMENT, STORE_CRASH_BEFORE, 1);
}

TEST(group, keeps_nothing_of_a_crash_before_the_commit)
{
    crashes(STORE_AT_COMMIT, STORE_CRASH_BEFORE, 1);
}

TEST(group, keeps_all_of_a_crash_after_the_commit_though_nobody_was_answered)
{
    crashes(STORE_AT_COMMIT, STORE_CRASH_AFTER, 2);
}

TEST(group, does_not_sync_when_nothing_was_written)
{
    start();
    uint64_t before = store_figures(f.store).commits;
    send(0, FAIL_FIRST);
    EQ(store_turn(f.store), 1);
    EQ(store_figures(f.store).commits, before);
    fixture_end(&f);
}

TEST(group, a_checkpoint_comes_after_250_small_groups_or_when_it_costs_what_a_few_large_ones_do)
{
    EQ(checkpoint_pages(0, 0), 1000);
    EQ(checkpoint_pages(9, 9 * 1024), 2250);
    EQ(checkpoint_pages(300, 9 * 1024), 2250); /* one large one among them */
    EQ(checkpoint_pages(25, 25 * 1024), 1000);
    EQ(checkpoint_pages(500, 200 * 1024), 3000);
    EQ(checkpoint_pages(5000, 5000 * 1024), 8000);
}
