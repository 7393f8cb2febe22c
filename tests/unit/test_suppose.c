/* Groups of a node that writes alone for the moment: begun without asking, and run again when they supposed wrongly. */
#include "store/core.h"

#include "engine/job_ahead.h"
#include "job_lab.h"

#define CALM 12 /* groups, after which a node supposes that nobody else writes */

static struct lab nodes[2];

/* Two nodes on one database, of which the first writes. */
#define START_CALM()                                                                                                   \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("on SQLite nobody else writes");                                                                      \
        lab_start(&nodes[0]);                                                                                          \
        lab_join(&nodes[1], &nodes[0]);                                                                                \
        be_calm(0);                                                                                                    \
    } while (0)

static void end_two(void)
{
    lab_leave(&nodes[1]);
    lab_end(&nodes[0]);
}

static void be_calm(int i)
{
    for (int k = 0; k < CALM; k++)
        EQ(lab_push(&nodes[i], "\"queue\":\"calm\"").result, JOB_PUSHED);
}

static uint64_t trips(int i)
{
    return nodes[i].f.store->conn->trips;
}

/* --- groups of commands that say beforehand what they will ask --- */

struct told {
    struct post post;
    struct job_spec spec;
    struct job_pushed pushed;
    struct job_ref ref; /* jid given: an ack instead of a push */
    enum job_stale stale;
};

static enum err told_run(struct post *post)
{
    struct told *told = (struct told *)(void *)post;
    if (str_given(told->ref.jid))
        return job_ack(&post->op, post->tx, &told->ref, &told->stale);
    return job_push(&post->op, post->tx, &told->spec, 1, false, &told->pushed);
}

static void told_ahead(struct post *post)
{
    struct told *told = (struct told *)(void *)post;
    if (!str_given(told->ref.jid))
        job_push_ahead(post->tx, &told->spec, 1);
}

static const struct hop told_route[] = { { told_run, THREAD_WRITER, told_ahead }, { 0 } };

static void push_of(struct told *ret, const char *members)
{
    struct lab *lab = &nodes[0];
    struct job_reader reader = lab_reader(lab);
    *ret = (struct told){ .post = { .hop = told_route } };
    struct str text = arena_fmt(lab->f.arena, "{%s,\"jobtype\":\"t\",\"args\":[]}", members);
    op_init(&ret->post.op, lab->f.arena, lab->f.op.now_us);
    SUCCEEDS(&lab->f.op, job_read(&lab->f.op, &reader, text, &ret->spec));
}

static void ack_of(struct told *ret, const char *jid)
{
    *ret = (struct told){ .post = { .hop = told_route }, .ref = { .by_jid = true, .jid = str_of(jid) } };
    op_init(&ret->post.op, nodes[0].f.arena, nodes[0].f.op.now_us);
}

/* Runs them together at the first node. How many trips that took. */
static uint64_t run(struct told *told, int n)
{
    struct post *posts[4];
    uint64_t before = trips(0);
    for (int i = 0; i < n; i++)
        posts[i] = &told[i].post;
    EQ(group_run(nodes[0].f.store, &nodes[0].f.op, posts, n), n);
    for (int i = 0; i < n; i++)
        EQ(told[i].post.err, OK);
    return trips(0) - before;
}

static enum job_push_result push_told(const char *members)
{
    struct told told;
    push_of(&told, members);
    run(&told, 1);
    return told.pushed.result;
}

/* --- alone --- */

TEST(suppose, a_push_a_fetch_and_an_ack_of_a_node_that_writes_alone_are_a_trip_each)
{
    struct told told;
    START_CALM();
    push_of(&told, "\"jid\":\"job-0001\",\"queue\":\"q\"");
    EQ(run(&told, 1), 1);
    EQ(told.pushed.result, JOB_PUSHED);
    uint64_t before = trips(0);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    EQ(trips(0) - before, 1);
    ack_of(&told, "job-0001");
    EQ(run(&told, 1), 1);
    EQ(told.stale, STALE_NOT);
    end_two();
}

/* --- together with another --- */

/* NODE-5. */
TEST(suppose, what_another_node_did_meanwhile_is_known_to_the_next_group)
{
    START_CALM();
    EQ(lab_job(&nodes[1], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    be_calm(0);
    EQ(lab_ack(&nodes[1], "job-0001"), STALE_NOT);
    EQ(lab_ack(&nodes[0], "job-0001"), STALE_FINISHED);
    end_two();
}

/* NODE-5. */
TEST(suppose, an_answer_for_which_nothing_is_written_waits_for_the_truth_too)
{
    START_CALM();
    EQ(lab_job(&nodes[1], "q", "job-0001", ""), JOB_PUSHED);
    EQ(lab_view(&nodes[0], "q").ready, 1);
    be_calm(0);
    uint64_t failures = store_figures(nodes[0].f.store).failures;
    EQ(lab_job(&nodes[1], "q", "job-0002", ""), JOB_PUSHED);
    EQ(lab_view(&nodes[0], "q").ready, 2);
    EQ(store_figures(nodes[0].f.store).failures, failures); /* it was no failure */
    end_two();
}

TEST(suppose, history_that_was_lost_is_found_out)
{
    START_CALM();
    EQ(lab_job(&nodes[0], "q", "job-0001", ""), JOB_PUSHED);
    test_sql(nodes[0].f.database.url,
             "DELETE FROM posthouse.group_log WHERE no = (SELECT max(no) FROM posthouse.group_log);"
             "DELETE FROM posthouse.job WHERE jid = 'job-0001'; DELETE FROM posthouse.ready WHERE ord ="
             " (SELECT max(ord) FROM posthouse.ready);"
             "DELETE FROM posthouse.job_log WHERE no = (SELECT max(no) FROM posthouse.job_log)");
    EQ(lab_fetch(&nodes[0], "q", 1), 0);
    end_two();
}

/* --- jids --- */

/* JOB-3. */
TEST(suppose, a_jid_that_is_there_is_a_duplicate_though_it_was_not_asked_for)
{
    START_CALM();
    EQ(push_told("\"jid\":\"job-0001\",\"queue\":\"q\""), JOB_PUSHED);
    EQ(push_told("\"jid\":\"job-0001\",\"queue\":\"q\""), JOB_DUPLICATE);
    be_calm(0);
    EQ(push_told("\"jid\":\"job-0001\",\"queue\":\"q\""), JOB_DUPLICATE); /* now it is asked for */
    EQ(push_told("\"jid\":\"job-0002\",\"queue\":\"q\""), JOB_PUSHED);
    EQ(lab_view(&nodes[0], "q").ready, 2);
    end_two();
}

/* UNI-2: a push that is sent again finds its own lock. */
TEST(suppose, a_push_that_leaves_no_row_does_not_believe_it_either)
{
    const char *job = "\"jid\":\"job-0001\",\"queue\":\"q\",\"custom\":{},\"unique\":{\"for\":\"1m\"}";
    START_CALM();
    EQ(push_told(job), JOB_PUSHED);
    EQ(push_told(job), JOB_DUPLICATE);
    end_two();
}

/* JOB-3: who pushed first, was answered first, and the job was live then. */
TEST(suppose, a_job_that_ends_behind_its_second_push_is_not_begun_again)
{
    struct told told[2];
    START_CALM();
    EQ(push_told("\"jid\":\"job-0001\",\"queue\":\"q\""), JOB_PUSHED);
    EQ(lab_fetch(&nodes[0], "q", 1), 1);
    push_of(&told[0], "\"jid\":\"job-0001\",\"queue\":\"q\"");
    ack_of(&told[1], "job-0001");
    run(told, 2);
    EQ(told[0].pushed.result, JOB_DUPLICATE);
    EQ(told[1].stale, STALE_NOT);
    EQ(lab_view(&nodes[0], "q").ready, 0);
    end_two();
}
