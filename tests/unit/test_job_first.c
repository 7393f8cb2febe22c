/*
 * test_job_first.c - where the first of rows that come and go is looked for, and how many pages that touches on
 * PostgreSQL while an old snapshot is held: as many behind many rows that are gone as behind few.
 */
#include "base/instant.h"
#include "engine/jobs_own.h"
#include "job_lab.h"

#include "store/store_batch.h"
#include "store/store_inbox.h"

#define GONE      3000   /* rows that came and went */
#define PAGES_FEW 15     /* of a table and its indexes; a page holds about a hundred of its rows */
#define LOOKS_MAX 100000 /* at the inbox, until others end their transactions */

static struct lab lab;
static struct lab other;
static PGconn *holder;

/* So that nothing is taken away that is there now. */
static void hold_snapshot(void)
{
    holder = PQconnectdb(lab.f.database.url);
    PQclear(PQexec(holder, "BEGIN ISOLATION LEVEL REPEATABLE READ"));
    PQclear(PQexec(holder, "SELECT count(*) FROM posthouse.job"));
    EQ(PQtransactionStatus(holder), PQTRANS_INTRANS);
}

static void end_held(void)
{
    PQfinish(holder);
    lab_end(&lab);
}

#define START_HELD()                                                                                                   \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("rows that are gone stay only on PostgreSQL");                                                        \
        lab_start(&lab);                                                                                               \
        hold_snapshot();                                                                                               \
    } while (0)

/* --- pages --- */

SQL_MARKED(pages_of, NULL,
           "SELECT sum(pg_stat_get_xact_blocks_fetched(c.oid))::bigint FROM pg_class c WHERE c.oid ="
           " ('posthouse.' || ?1)::regclass OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid ="
           " ('posthouse.' || ?1)::regclass)",
           SQL_POSTGRES | SQL_SCANS);

struct counting {
    const char *table;
    enum err (*run)(struct op *op, struct tx *tx, void *arg);
    void *arg;
    int64_t pages;
};

static enum err pages(struct op *op, struct tx *tx, const char *table, int64_t *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &pages_of, &stmt));
    bind_str(stmt, 1, str_of(table));
    TRY(stmt_row(op, stmt, &found));
    *ret = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static enum err count_run(struct op *op, struct tx *tx, void *arg)
{
    struct counting *counting = arg;
    int64_t before, after;
    TRY(pages(op, tx, counting->table, &before));
    TRY(counting->run(op, tx, counting->arg));
    TRY(pages(op, tx, counting->table, &after));
    counting->pages = after - before;
    return OK;
}

/* How many pages of the table a command touches. */
static int64_t touched(const char *table, enum err (*run)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    struct counting counting = { table, run, arg, 0 };
    WRITES(&lab.f, count_run, &counting);
    return counting.pages;
}

/* A look from where the first may lie, and one from the first row there ever was. */
static void compare(const char *what, int64_t bounded, int64_t from_the_start)
{
    print_message("# %s behind %d that are gone: %d pages instead of %d\n", what, GONE, (int)bounded,
                  (int)from_the_start);
    YES(bounded <= PAGES_FEW);
    YES(from_the_start > 2 * PAGES_FEW);
}

/* --- timers --- */

/* So many jobs of queue q that are due in so many seconds. */
static void schedule(struct lab *at, int count, int seconds)
{
    static int jobs;
    char text[INSTANT_TEXT_BYTES];
    struct str instant = instant_text(at->f.op.now_us + seconds * INT64_C(1000000), 3, text);
    struct str due = arena_fmt(at->f.arena, ",\"at\":\"%.*s\"", STR(instant));
    for (int i = 0; i < count; i++)
        EQ(lab_job(at, "q", arena_fmt(at->f.arena, "job-%06d", jobs++).p, due.p), JOB_PUSHED);
}

/* RETRY-1, PG-1. */
TEST(job_first, a_timer_that_is_due_costs_the_same_behind_many_that_fired)
{
    START_HELD();
    for (int left = GONE; left > 0; left -= 500) {
        schedule(&lab, 500, 5);
        lab_pass_ms(&lab, 6000);
    }
    EQ(lab_view(&lab, "q").ready, GONE);
    schedule(&lab, 1, 2);
    lab_wait_ms(&lab, 2000);
    int64_t n = touched("timer", lab_tick_run, &lab.tick_next_us);
    EQ(lab_view(&lab, "q").ready, GONE + 1);
    first_forget(&lab.jobs->first);
    compare("a timer", n, touched("timer", lab_tick_run, &lab.tick_next_us));
    end_held();
}

TEST(job_first, a_timer_that_is_due_before_the_first_one_known_fires_in_time)
{
    lab_start(&lab);
    schedule(&lab, 1, 3600);
    lab_tick(&lab);
    schedule(&lab, 1, 5);
    lab_pass_ms(&lab, 4900);
    EQ(lab_view(&lab, "q").ready, 0);
    lab_pass_ms(&lab, 200);
    EQ(lab_view(&lab, "q").ready, 1);
    lab_pass_ms(&lab, 3600 * 1000);
    EQ(lab_view(&lab, "q").ready, 2);
    lab_end(&lab);
}

/* NODE-5: by the log of jobs a node hears of timers that are due before those it knows. */
TEST(job_first, a_timer_of_another_node_fires_though_this_one_knew_of_none)
{
    if (!test_server())
        SKIP("two nodes write only to PostgreSQL");
    lab_start(&lab);
    lab_join(&other, &lab);
    lab_tick(&lab);
    other.f.op.now_us = lab.f.op.now_us;
    schedule(&other, 1, 5);
    lab_pass_ms(&lab, 5100);
    EQ(lab_view(&lab, "q").ready, 1);
    lab_leave(&other);
    lab_end(&lab);
}

/* A timer whose group is taken back is due still. */
TEST(job_first, a_timer_fires_after_a_tick_that_could_not_be_stored)
{
    lab_start(&lab);
    schedule(&lab, 1, 5);
    lab_tick(&lab);
    lab_wait_ms(&lab, 5100);
    fixture_plan(&lab.f, STORE_AT_COMMIT, STORE_FAIL_IO, 1);
    EQ(store_write(&lab.f.op, lab.f.store, lab_tick_run, &lab.tick_next_us) == OK, false);
    EQ(lab_view(&lab, "q").ready, 0);
    lab_tick(&lab);
    EQ(lab_view(&lab, "q").ready, 1);
    lab_end(&lab);
}

/* --- gates --- */

static void block(int count)
{
    for (int i = 0; i < count; i++)
        EQ(lab_job(&lab, "q", arena_fmt(lab.f.arena, "job-%06d", i).p, ",\"mutex\":\"m\""), JOB_PUSHED);
}

static void ack_next(void)
{
    EQ(lab_fetch(&lab, "q", 5), 1);
    EQ(lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p), STALE_NOT);
}

/* MTX-1. */
TEST(job_first, who_is_behind_a_gate_costs_the_same_after_many_that_went_through)
{
    START_HELD();
    block(GONE + 2);
    for (int i = 0; i < GONE; i++)
        ack_next();
    EQ(lab_fetch(&lab, "q", 5), 1);
    struct lab_end_call ack = { .ref = { .by_jid = true, .jid = arena_str(lab.f.arena, lab.jobs_out[0].jid) } };
    int64_t n = touched("blocked", lab_end_run, &ack);
    EQ(ack.stale, STALE_NOT);
    EQ(lab_fetch(&lab, "q", 5), 1);
    first_forget(&lab.jobs->first);
    ack.ref.jid = arena_str(lab.f.arena, lab.jobs_out[0].jid);
    compare("the next of a gate", n, touched("blocked", lab_end_run, &ack));
    EQ(lab_view(&lab, "q").blocked, 0);
    end_held();
}

/* FIFO, whoever is remembered of this gate or of another one in its place. */
TEST(job_first, jobs_behind_a_gate_go_in_their_order_also_when_it_was_empty_in_between)
{
    struct job_first first;
    first_forget(&first);
    EQ(first_blocked(&first, 7), 0);
    first_blocked_behind(&first, 7, 100);
    EQ(first_blocked(&first, 7), 100);
    first_blocked_behind(&first, 7 + FIRST_GATES, 50);
    EQ(first_blocked(&first, 7), 0);
    lab_start(&lab);
    block(3);
    STR_EQ(lab_order(&lab, "q", 3), "job-000000");
    EQ(lab_ack(&lab, "job-000000"), STALE_NOT);
    EQ(lab_job(&lab, "q", "job-000009", ",\"mutex\":\"m\""), JOB_PUSHED);
    for (int i = 0; i < 3; i++)
        ack_next();
    EQ(lab_view(&lab, "q").blocked, 0);
    EQ(lab_job(&lab, "q", "job-000010", ",\"mutex\":\"m\""), JOB_PUSHED);
    ack_next();
    lab_end(&lab);
}

/* --- batches --- */

static enum err batches_come_and_go(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (uint64_t no = 1; no <= GONE; no++) {
        struct batch_row row = { .no = no, .due_us = op->now_us + (int64_t)no * 1000 };
        TRY(store_batch_put(op, tx, &row));
    }
    return OK;
}

static enum err batches_go(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    (void)arg;
    for (uint64_t no = 1; no <= GONE; no++)
        TRY(store_batch_delete(op, tx, no));
    return OK;
}

/* BATCH-3. */
TEST(job_first, a_look_for_batches_that_are_due_costs_the_same_after_many_that_are_gone)
{
    START_HELD();
    WRITES(&lab.f, batches_come_and_go, NULL);
    WRITES(&lab.f, batches_go, NULL);
    lab_pass_ms(&lab, 180000);
    lab_wait_ms(&lab, 61000);
    int64_t n = touched("batch", lab_tick_run, &lab.tick_next_us);
    first_forget(&lab.jobs->first);
    lab_wait_ms(&lab, 61000);
    compare("a look for batches", n, touched("batch", lab_tick_run, &lab.tick_next_us));
    end_held();
}

/* --- the inbox --- */

static enum err look_run(struct op *op, struct tx *tx, void *arg)
{
    struct inbox_reach *reach = arg;
    struct inbox_look look;
    TRY(store_inbox_look(op, tx, reach->gone, inbox_reach_asks(reach), &look));
    inbox_reach_note(reach, &look);
    return OK;
}

/* A few looks, or more while transactions of others on this server are not over. */
static void look_until_gone(struct inbox_reach *reach, int64_t number)
{
    for (int i = 0; i < LOOKS_MAX && (i < 4 || reach->gone < number); i++)
        READS(&lab.f, look_run, reach);
    YES(reach->gone >= number);
}

/* TX-2. */
TEST(job_first, a_look_at_the_inbox_costs_the_same_behind_many_rows_that_were_taken)
{
    struct inbox_reach reach = { 0 };
    char text[256];
    START_HELD();
    snprintf(text, sizeof text,
             "INSERT INTO posthouse.inbox (kind, subject, body) SELECT 3, '', '{}' FROM generate_series(1, %d);"
             "DELETE FROM posthouse.inbox",
             GONE);
    test_sql(lab.f.database.url, text);
    look_until_gone(&reach, GONE);
    int64_t n = touched("inbox", look_run, &reach);
    struct inbox_reach none = { 0 };
    compare("a look at the inbox", n, touched("inbox", look_run, &none));
    end_held();
}

/* TX-2. Rows appear with the commit, whatever has been given and taken since. */
TEST(job_first, a_look_at_the_inbox_never_begins_behind_a_row_that_is_not_committed_yet)
{
    static const char insert[] = "INSERT INTO posthouse.inbox (kind, subject, body) VALUES (3, '', '{}')";
    struct inbox_reach reach = { 0 };
    START_HELD();
    PGconn *slow = PQconnectdb(lab.f.database.url);
    PQclear(PQexec(slow, "BEGIN"));
    PQclear(PQexec(slow, insert));
    for (int i = 0; i < 10; i++) {
        test_sql(lab.f.database.url, insert);
        test_sql(lab.f.database.url, "DELETE FROM posthouse.inbox");
        READS(&lab.f, look_run, &reach);
    }
    EQ(reach.gone, 0);
    PQclear(PQexec(slow, "COMMIT"));
    for (int i = 0; i < 10; i++)
        READS(&lab.f, look_run, &reach);
    EQ(reach.gone, 0); /* there is one to be taken */
    test_sql(lab.f.database.url, "DELETE FROM posthouse.inbox");
    look_until_gone(&reach, 11);
    YES(!inbox_reach_asks(&reach)); /* nothing more was given: no look needs a number */
    PQfinish(slow);
    end_held();
}
