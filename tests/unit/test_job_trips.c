/* How often a PostgreSQL is asked and waited for by jobs: once for many, whatever their number; and what they write. */
#include "store/core.h"

#include "engine/job_ahead.h"
#include "engine/job_bulk.h"
#include "job_lab.h"

#define MANY 200

static struct lab lab;

struct many {
    struct job_spec specs[MANY];
    struct job_pushed pushed[MANY];
    size_t count;
};

static enum err push_many(struct op *op, struct tx *tx, void *arg)
{
    struct many *many = arg;
    return job_push(op, tx, many->specs, many->count, false, many->pushed);
}

/* A push that says its jids beforehand, as those of the doors do. */
struct told {
    struct post post;
    struct many *many;
};

static enum err told_run(struct post *post)
{
    struct many *many = ((struct told *)(void *)post)->many;
    return job_push(&post->op, post->tx, many->specs, many->count, false, many->pushed);
}

static void told_ahead(struct post *post)
{
    const struct many *many = ((struct told *)(void *)post)->many;
    job_push_ahead(post->tx, many->specs, many->count);
}

static uint64_t push_told(struct many *many)
{
    static const struct hop route[] = { { told_run, THREAD_WRITER, told_ahead }, { 0 } };
    struct told told = { .post = { .hop = route }, .many = many };
    struct post *posts[] = { &told.post };
    uint64_t before = lab.f.store->conn->trips;
    op_init(&told.post.op, lab.f.arena, lab.f.op.now_us);
    EQ(group_run(lab.f.store, &lab.f.op, posts, 1), 1);
    EQ(told.post.err, OK);
    return lab.f.store->conn->trips - before;
}

static void fill(struct many *ret, size_t count, int first)
{
    struct job_reader reader = lab_reader(&lab);
    ret->count = count;
    for (size_t i = 0; i < count; i++) {
        struct str text = arena_fmt(lab.f.arena, "{\"jid\":\"job-%04d\",\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[]}",
                                    first + (int)i);
        SUCCEEDS(&lab.f.op, job_read(&lab.f.op, &reader, text, &ret->specs[i]));
    }
}

/* Trips of one command that pushes `count` jobs whose jids begin with `first`. */
static uint64_t push(size_t count, int first)
{
    static struct many many;
    fill(&many, count, first);
    uint64_t before = lab.f.store->conn->trips;
    WRITES(&lab.f, push_many, &many);
    return lab.f.store->conn->trips - before;
}

static uint64_t fetch(int count)
{
    uint64_t before = lab.f.store->conn->trips;
    EQ(lab_fetch(&lab, "q", count), count);
    return lab.f.store->conn->trips - before;
}

TEST(job_trips, of_a_push_do_not_grow_with_its_jobs)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(1, 0);
    uint64_t few = push(10, 10), all = push(MANY, 100);
    print_message("# 10 jobs: %d trips, %d jobs: %d\n", (int)few, MANY, (int)all);
    YES(all <= few + 2);
    YES(all <= 8);
    lab_end(&lab);
}

TEST(job_trips, of_a_push_that_says_its_jids_are_the_turn_and_the_commit)
{
    static struct many many;
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(1, 0);
    fill(&many, 10, 1);
    EQ(push_told(&many), 2);
    fill(&many, 12, 0);
    push_told(&many);
    for (int i = 0; i < 11; i++)
        EQ(many.pushed[i].result, JOB_DUPLICATE);
    EQ(many.pushed[11].result, JOB_PUSHED);
    lab_end(&lab);
}

TEST(job_trips, of_a_fetch_do_not_grow_with_its_jobs)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(MANY, 0);
    uint64_t few = fetch(10), all = fetch(100);
    print_message("# 10 jobs: %d trips, 100 jobs: %d\n", (int)few, (int)all);
    YES(all <= few + 4);
    lab_end(&lab);
}

/* A fetch of one job that says so beforehand, as those of the doors do. */
struct told_fetch {
    struct post post;
    struct job_fetch fetch;
};

static enum err told_fetch_run(struct post *post)
{
    return job_fetch(&post->op, post->tx, &((struct told_fetch *)(void *)post)->fetch);
}

static void told_fetch_ahead(struct post *post)
{
    job_fetch_ahead(post->tx, &((struct told_fetch *)(void *)post)->fetch);
}

static void fetch_told(struct str queue)
{
    static const struct hop route[] = { { told_fetch_run, THREAD_WRITER, told_fetch_ahead }, { 0 } };
    struct told_fetch told = { .post = { .hop = route } };
    struct post *posts[] = { &told.post };
    told.fetch = (struct job_fetch){ .post = &told.post, .queues = &queue, .queue_count = 1, .max = 1 };
    op_init(&told.post.op, lab.f.arena, lab.f.op.now_us);
    EQ(group_run(lab.f.store, &lab.f.op, posts, 1), 1);
    EQ(told.fetch.count, 1);
}

TEST(job_trips, of_fetches_behind_each_other_one_in_thirty_asks_what_is_in_the_jobs)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(MANY, 0);
    lab_reopen(&lab); /* nothing of them is in RAM */
    fetch_told(S("q"));
    uint64_t before = lab.f.store->conn->trips;
    for (int i = 0; i < 90; i++)
        fetch_told(S("q"));
    print_message("# 90 fetches: %d trips\n", (int)(lab.f.store->conn->trips - before));
    YES(lab.f.store->conn->trips - before <= 90 + 8 + 3); /* a trip each, two before it is calm, and the bodies */
    lab_end(&lab);
}

/* --- what an action on many costs --- */

static enum err retry_all(struct op *op, struct tx *tx, void *arg)
{
    struct str body = S("{\"action\":\"retry\",\"filter\":{\"state\":\"dead\"}}"), *jid = arg;
    struct job_bulk bulk;
    int64_t at_most;
    TRY(job_bulk_read(op, body, &bulk, NULL));
    return job_bulk_push(op, tx, body, &bulk, jid, &at_most);
}

/* RETRY-5. */
TEST(job_trips, of_an_action_on_many_jobs_do_not_grow_with_them)
{
    struct str jid;
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(60, 0);
    for (int i = 0; i < 60; i++)
        EQ(lab_act(&lab, arena_fmt(lab.f.arena, "job-%04d", i).p, ACTION_KILL), JOB_DEAD);
    lab_wait_ms(&lab, 1);
    lab_reopen(&lab); /* nothing of them is in RAM */
    WRITES(&lab.f, retry_all, &jid);
    struct own_turn turn = lab_own_begin(&lab, OWN_QUEUE, 10);
    uint64_t before = lab.f.store->conn->trips;
    WRITES(&lab.f, lab_own_step_run, &turn);
    uint64_t few = lab.f.store->conn->trips - before;
    turn.rows = 40;
    WRITES(&lab.f, lab_own_step_run, &turn);
    uint64_t all = lab.f.store->conn->trips - before - few;
    print_message("# 10 jobs: %d trips, 40 jobs: %d\n", (int)few, (int)all);
    EQ(lab_view(&lab, "q").ready, 50);
    YES(all <= few + 2);
    lab_end(&lab);
}

static enum err delete_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return queue_delete(op, tx, S("q"));
}

static int64_t sweep(int64_t after_ms)
{
    lab_wait_ms(&lab, after_ms);
    uint64_t before = lab.f.store->conn->trips;
    lab_tick(&lab);
    return (int64_t)(lab.f.store->conn->trips - before);
}

/* QUE-7. */
TEST(job_trips, of_a_deleted_queue_do_not_grow_with_its_rows)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(MANY, 0);
    lab_reopen(&lab); /* nothing of them is in RAM */
    lab_tick(&lab);   /* asks what every first tick asks */
    WRITES(&lab.f, delete_run, NULL);
    int64_t many = sweep(11000);
    jobs_tick_took(lab.jobs, 40000, true);
    int64_t few = sweep(20);
    print_message("# 100 jobs: %d trips, 9 jobs: %d\n", (int)many, (int)few);
    YES(many <= few + 10); /* the first slice asks some more; one for each would be a hundred */
    lab_end(&lab);
}

/* QUE-7. */
TEST(job_trips, of_a_fetch_behind_a_deletion_do_not_grow_with_its_keys)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    for (int i = 0; i < 60; i++)
        EQ(lab_push(&lab, arena_fmt(lab.f.arena, "\"queue\":\"q\",\"key\":\"k%d\"", i).p).result, JOB_PUSHED);
    WRITES(&lab.f, delete_run, NULL);
    EQ(lab_push(&lab, "\"queue\":\"q\",\"key\":\"k\"").result, JOB_PUSHED);
    uint64_t before = lab.f.store->conn->trips;
    EQ(lab_fetch(&lab, "q", 1), 1);
    uint64_t trips = lab.f.store->conn->trips - before;
    print_message("# behind 60 keys: %d trips\n", (int)trips);
    YES(trips <= 10);
    lab_end(&lab);
}

/* --- what limits cost --- */

struct cost {
    uint64_t trips, changes;
};

/* Of a fetch of ten jobs, all of one key. */
static struct cost fetch_of(const char *queue)
{
    const struct conn *conn = lab.f.store->conn;
    for (int i = 0; i < 30; i++)
        EQ(lab_push(&lab, arena_fmt(lab.f.arena, "\"queue\":\"%s\",\"key\":\"k\"", queue).p).result, JOB_PUSHED);
    struct cost before = { conn->trips, conn_changes(conn) };
    EQ(lab_fetch(&lab, queue, 10), 10);
    return (struct cost){ conn->trips - before.trips, conn_changes(conn) - before.changes };
}

static enum err budget_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return budget_put(op, tx, S("shared"), S("{\"concurrency\":20}"));
}

/* QUE-3. */
TEST(job_trips, of_a_fetch_are_the_same_with_limits_and_so_are_the_rows_it_changes)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    WRITES(&lab.f, budget_run, NULL);
    lab_policy(&lab, "limited",
               "{\"concurrency\":15,\"node_concurrency\":12,\"worker_concurrency\":11,\"key_concurrency\":13,"
               "\"rate\":{\"limit\":1000,\"per\":\"1s\",\"burst\":100},\"budget\":\"shared\"}");
    struct cost free = fetch_of("free"), limited = fetch_of("limited");
    EQ(limited.trips, free.trips);
    EQ(limited.changes, free.changes);
    EQ(lab_fetch(&lab, "limited", 10), 2); /* and they hold: of this node's twelve slots */
    lab_end(&lab);
}

/* --- what jobs write --- */

SQL_MARKED(test_tell, NULL, "SELECT pg_stat_force_next_flush()", SQL_POSTGRES | SQL_SCANS);

/* The server tells what its session did only now and then, unless it is asked to. */
static enum err tell_run(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    bool found;
    (void)arg;
    TRY(tx_stmt(op, tx, &test_tell, &stmt));
    TRY(stmt_row(op, stmt, &found));
    stmt_reset(stmt);
    return OK;
}

static enum err updates_run(struct op *op, struct tx *tx, void *arg)
{
    return conn_int(
        op, tx->conn,
        "SELECT coalesce(sum(n_tup_upd), 0)::bigint FROM pg_stat_user_tables WHERE schemaname = 'posthouse'", arg);
}

static int64_t updates(void)
{
    int64_t n = -1;
    WRITES(&lab.f, tell_run, NULL);
    SUCCEEDS(&lab.f.op, store_read(&lab.f.op, lab.f.store, updates_run, &n));
    return n;
}

/* PG-1. */
TEST(job_trips, a_job_is_added_and_deleted_and_no_row_of_any_table_is_updated_on_its_way)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"concurrency\":100,\"rate\":{\"limit\":1000,\"per\":\"1s\",\"burst\":100}}");
    push(1, 0);
    int64_t before = updates();
    for (int i = 1; i <= 20; i++)
        push(1, i);
    for (int i = 0; i < 20; i++) {
        EQ(lab_fetch(&lab, "q", 1), 1);
        EQ(lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p), STALE_NOT);
    }
    EQ(updates(), before);
    lab_end(&lab);
}

extern const struct sql *const __start_store_sql[];
extern const struct sql *const __stop_store_sql[];

static enum err forbidden_run(struct op *op, struct tx *tx, void *arg)
{
    return conn_int(
        op, tx->conn,
        "SELECT (SELECT count(*) FROM pg_indexes WHERE schemaname = 'posthouse' AND indexdef ~* 'using gin')"
        " + (SELECT count(*) FROM pg_indexes WHERE schemaname = 'posthouse' AND indexdef ~ ' WHERE '"
        "    AND tablename IN ('job', 'ready', 'lease', 'timer', 'blocked', 'job_aside', 'uniq', 'gate'))"
        " + (SELECT count(*) FROM pg_partitioned_table)"
        " + (SELECT count(*) FROM pg_proc WHERE pronamespace = 'posthouse'::regnamespace"
        "    AND prosrc ~* 'notify|advisory')",
        arg);
}

/* PG-1. */
TEST(job_trips, nothing_notifies_and_no_index_knows_a_state_or_what_is_in_a_body)
{
    int64_t forbidden = -1;
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    SUCCEEDS(&lab.f.op, store_read(&lab.f.op, lab.f.store, forbidden_run, &forbidden));
    EQ(forbidden, 0);
    for (const struct sql *const *entry = __start_store_sql; entry < __stop_store_sql; entry++) {
        const char *text = (*entry)->postgres ? (*entry)->postgres : (*entry)->sqlite;
        NO(text && (strcasestr(text, "notify") || strcasestr(text, "pg_advisory")));
    }
    lab_end(&lab);
}
