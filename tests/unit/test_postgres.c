/* What only PostgreSQL has: links that break, proof of a commit, values on the wire, what a server may refuse. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#include "store/postgres.h"
#include "store/seq.h"
#include "store/tally.h"
#include "store_test.h"

static struct fixture f;

static const char things_table[] =
    "SET client_min_messages = warning; DROP TABLE IF EXISTS posthouse.thing;"
    "CREATE TABLE posthouse.thing (no bigint PRIMARY KEY, name text COLLATE \"C\", data bytea, real double precision)";

#define START()                                                                                                        \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("PostgreSQL only");                                                                                   \
        fixture_start(&f);                                                                                             \
        test_sql(f.database.url, things_table);                                                                        \
    } while (0)

static void end(void)
{
    test_sql(f.database.url, "DROP TABLE posthouse.thing");
    fixture_end(&f);
}

SQL_MARKED(thing_add, NULL, "INSERT INTO thing (no, name) VALUES (?1, ?2)", SQL_POSTGRES | SQL_SCANS);
SQL_MARKED(thing_try, NULL, "INSERT INTO thing (no) VALUES (?1)", SQL_POSTGRES | SQL_SCANS | SQL_CONFLICTS);
SQL_MARKED(thing_count, NULL, "SELECT count(*), sum(no), sum(no) / 3 FROM thing", SQL_POSTGRES | SQL_SCANS);
SQL_MARKED(thing_walk, NULL, "SELECT no FROM thing WHERE no > ?1 ORDER BY no", SQL_POSTGRES | SQL_SCANS | SQL_WALKS);
SQL_MARKED(thing_arrays, NULL,
           "INSERT INTO thing (no, name, data, real)"
           " SELECT * FROM unnest(?1::bigint[], ?2::text[], ?3::bytea[], ?4::double precision[])",
           SQL_POSTGRES | SQL_SCANS);
SQL_MARKED(thing_get, NULL, "SELECT name, data, real, no > 5, name = '?9' FROM thing WHERE no = ?1",
           SQL_POSTGRES | SQL_SCANS);
SQL_MARKED(setting_get, NULL, "SELECT current_setting(?1)", SQL_POSTGRES | SQL_SCANS);

static enum err add_no(struct op *op, struct tx *tx, int64_t no, bool later)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &thing_add, &stmt));
    bind_int(stmt, 1, no);
    bind_null(stmt, 2);
    return later ? stmt_later(op, stmt) : stmt_done(op, stmt);
}

static enum err add(struct op *op, struct tx *tx, void *arg)
{
    return add_no(op, tx, *(int64_t *)arg, false);
}

static enum err count(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &thing_count, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *(int64_t *)arg = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static int64_t things(void)
{
    int64_t n = -1;
    READS(&f, count, &n);
    return n;
}

/* --- links that break --- */

TEST(postgres, goes_on_when_its_links_were_ended_while_idle)
{
    START();
    for (int64_t i = 1; i <= 3; i++) {
        WRITES(&f, add, &i);
        EQ(things(), i);
        test_end_links();
    }
    EQ(things(), 3);
    YES(store_is_ready(f.store));
    end();
}

static int64_t runs;

static enum err add_and_break_once(struct op *op, struct tx *tx, void *arg)
{
    TRY(add(op, tx, arg));
    if (runs++ == 0)
        test_end_links();
    int64_t more = *(int64_t *)arg + 1;
    return add(op, tx, &more);
}

TEST(postgres, runs_a_group_again_whose_link_broke_before_the_commit)
{
    START();
    int64_t no = 1;
    runs = 0;
    WRITES(&f, add_and_break_once, &no);
    EQ(runs, 2);
    EQ(things(), 2);
    YES(store_is_ready(f.store));
    end();
}

/* A way to the server that can lose what it carries. */
static struct proxy {
    pthread_t thread;
    int listener;
    struct sockaddr_in server;
    atomic_int lose; /* 1: the next bytes of the client, 2: of the server; the link ends with them */
    atomic_bool stop;
} proxy;

enum { LOSE_NOTHING, LOSE_REQUEST, LOSE_ANSWER };

static bool carry(int from, int to, int loses)
{
    char bytes[65536];
    ssize_t n = recv(from, bytes, sizeof bytes, 0);
    if (n <= 0)
        return false;
    int expected = loses;
    if (atomic_compare_exchange_strong(&proxy.lose, &expected, LOSE_NOTHING))
        return false;
    return send(to, bytes, (size_t)n, MSG_NOSIGNAL) == n;
}

static void proxy_link(int client)
{
    int server = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(server, (const struct sockaddr *)&proxy.server, sizeof proxy.server) == 0)
        for (;;) {
            struct pollfd ends[] = { { .fd = client, .events = POLLIN }, { .fd = server, .events = POLLIN } };
            poll(ends, 2, -1);
            if ((ends[0].revents && !carry(client, server, LOSE_REQUEST)) ||
                (ends[1].revents && !carry(server, client, LOSE_ANSWER)))
                break;
        }
    close(client);
    close(server);
}

static void *proxy_run(void *arg)
{
    int client;
    while ((client = accept(proxy.listener, NULL, NULL)) >= 0 && !atomic_load(&proxy.stop))
        proxy_link(client); /* one at a time: the store under test has its writer's only */
    return arg;
}

/* Opens a second store on the fixture's database, by way of the proxy. */
static struct store *proxy_start(char url[512])
{
    struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t bytes = sizeof here;
    char user[64];
    int port = 0;
    EQ(sscanf(f.database.url, "postgres://%63[^@]@127.0.0.1:%d/", user, &port), 2);
    proxy.server = here;
    proxy.server.sin_port = htons((uint16_t)port);
    proxy.listener = socket(AF_INET, SOCK_STREAM, 0);
    EQ(bind(proxy.listener, (const struct sockaddr *)&here, sizeof here), 0);
    EQ(listen(proxy.listener, 8), 0);
    EQ(getsockname(proxy.listener, (struct sockaddr *)&here, &bytes), 0);
    atomic_store(&proxy.stop, false);
    EQ(pthread_create(&proxy.thread, NULL, proxy_run, NULL), 0);
    snprintf(url, 512, "postgres://%s@127.0.0.1:%d%s", user, ntohs(here.sin_port), strrchr(f.database.url, '/'));
    struct store_config config = { .url = url };
    struct store *store;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &store));
    return store;
}

static void proxy_end(struct store *store)
{
    store_close(store);
    atomic_store(&proxy.stop, true);
    shutdown(proxy.listener, SHUT_RDWR);
    close(proxy.listener);
    pthread_join(proxy.thread, NULL);
}

struct losing {
    int64_t no;
    int what, runs;
};

static enum err add_and_lose(struct op *op, struct tx *tx, void *arg)
{
    struct losing *losing = arg;
    TRY(add_no(op, tx, losing->no, false));
    if (losing->runs++ == 0)
        atomic_store(&proxy.lose, losing->what); /* what comes next is the commit */
    return OK;
}

TEST(postgres, finds_a_commit_stored_whose_answer_was_lost)
{
    START();
    char url[512];
    struct store *store = proxy_start(url);
    struct losing losing = { .no = 1, .what = LOSE_ANSWER };
    SUCCEEDS(&f.op, store_write(&f.op, store, add_and_lose, &losing));
    EQ(losing.runs, 1);
    EQ(things(), 1);
    losing = (struct losing){ .no = 2 };
    SUCCEEDS(&f.op, store_write(&f.op, store, add_and_lose, &losing));
    EQ(things(), 2);
    proxy_end(store);
    end();
}

TEST(postgres, runs_a_group_again_whose_commit_never_arrived)
{
    START();
    char url[512];
    struct store *store = proxy_start(url);
    struct losing losing = { .no = 1, .what = LOSE_REQUEST };
    SUCCEEDS(&f.op, store_write(&f.op, store, add_and_lose, &losing));
    EQ(losing.runs, 2);
    EQ(things(), 1);
    proxy_end(store);
    end();
}

TEST(postgres, goes_on_without_named_statements_when_a_pooler_does_not_know_them)
{
    START();
    int64_t no = 1;
    WRITES(&f, add, &no);
    SUCCEEDS(&f.op, conn_exec(&f.op, f.store->conn, "DEALLOCATE ALL")); /* as another connection of the pooler */
    no = 2;
    WRITES(&f, add, &no);
    SUCCEEDS(&f.op, conn_exec(&f.op, f.store->conn, "DEALLOCATE ALL"));
    no = 3;
    WRITES(&f, add, &no);
    EQ(store_figures(f.store).failures, 0);
    EQ(things(), 3);
    end();
}

/* --- what a server refuses --- */

TEST(postgres, fails_a_command_alone_that_breaks_a_constraint)
{
    START();
    int64_t no = 1;
    WRITES(&f, add, &no);
    EQ(store_write(&f.op, f.store, add, &no), ERR_CONFLICT);
    YES(strstr(f.op.error, "thing_add") != NULL);
    YES(store_is_ready(f.store));
    no = 2;
    WRITES(&f, add, &no);
    EQ(things(), 2);
    end();
}

static enum err try_twice(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    for (int i = 0; i < 2; i++) {
        TRY(tx_stmt(op, tx, &thing_try, &stmt));
        bind_int(stmt, 1, *(int64_t *)arg);
        EQ(stmt_done(op, stmt), i == 0 ? OK : ERR_CONFLICT);
    }
    return OK;
}

TEST(postgres, lives_on_with_a_conflict_that_was_expected)
{
    START();
    int64_t no = 1;
    WRITES(&f, try_twice, &no);
    EQ(things(), 1);
    end();
}

static enum err add_later_twice(struct op *op, struct tx *tx, void *arg)
{
    TRY(add_no(op, tx, *(int64_t *)arg, true));
    return add_no(op, tx, *(int64_t *)arg, true);
}

TEST(postgres, names_the_statement_that_failed_after_nobody_waited_for_it)
{
    START();
    int64_t no = 1;
    NE(store_write(&f.op, f.store, add_later_twice, &no), OK);
    YES(strstr(f.op.error, "thing_add: duplicate key") != NULL);
    EQ(things(), 0);
    WRITES(&f, add, &no);
    EQ(things(), 1);
    end();
}

static enum err add_text(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &thing_add, &stmt));
    bind_int(stmt, 1, 1);
    bind_str(stmt, 2, *(struct str *)arg);
    return stmt_done(op, stmt);
}

TEST(postgres, refuses_a_text_that_the_server_would_not_take_before_it_is_sent)
{
    START();
    struct str nul = { "a\0b", 3 }, bad = S("\xff");
    EQ(store_write(&f.op, f.store, add_text, &nul), ERR_INVALID);
    EQ(store_write(&f.op, f.store, add_text, &bad), ERR_INVALID);
    EQ(store_figures(f.store).failures, 0);
    YES(store_is_ready(f.store));
    end();
}

/* --- values --- */

static enum err add_arrays(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct stmt *stmt;
    int64_t numbers[] = { 5, INT64_MAX / 2 };
    struct str names[] = { S("?9"), { NULL, 0 } }, data[] = { { "\0\1", 2 }, S("") };
    double reals[] = { 0.5, -1e300 };
    TRY(tx_stmt(op, tx, &thing_arrays, &stmt));
    bind_ints(stmt, 1, numbers, 2);
    bind_strs(stmt, 2, names, 2);
    bind_blobs(stmt, 3, data, 2);
    bind_reals(stmt, 4, reals, 2);
    TRY(stmt_done(op, stmt));
    EQ(stmt_changes(stmt), 2);
    bind_ints(stmt, 1, NULL, 0);
    bind_strs(stmt, 2, NULL, 0);
    bind_blobs(stmt, 3, NULL, 0);
    bind_reals(stmt, 4, NULL, 0);
    TRY(stmt_done(op, stmt));
    EQ(stmt_changes(stmt), 0);
    return OK;
}

static enum err see_arrays(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &thing_get, &stmt));
    bind_int(stmt, 1, 5);
    TRY(stmt_row(op, stmt, &found));
    YES(found);
    STR_EQ(col_str(op, stmt, 0), "?9");
    struct str data = col_blob_borrowed(stmt, 1);
    EQ(data.n, 2);
    EQ(data.p[1], 1);
    assert_float_equal((float)col_real(stmt, 2), 0.5F, 0);
    EQ(col_int(stmt, 3), 0);
    EQ(col_int(stmt, 4), 1);
    TRY(tx_stmt(op, tx, &thing_get, &stmt));
    bind_int(stmt, 1, INT64_MAX / 2);
    TRY(stmt_row(op, stmt, &found));
    YES(found);
    YES(col_is_null(stmt, 0));
    NO(str_given(col_str(op, stmt, 0)));
    EQ(col_blob_borrowed(stmt, 1).n, 0);
    YES(str_given(col_blob_borrowed(stmt, 1)));
    EQ(col_int(stmt, 3), 1);
    TRY(stmt_row(op, stmt, &found));
    NO(found);
    TRY(tx_stmt(op, tx, &thing_count, &stmt));
    TRY(stmt_row(op, stmt, &found));
    EQ(col_int(stmt, 0), 2);
    EQ(col_int(stmt, 1), INT64_MAX / 2 + 5); /* a sum is numeric */
    stmt_reset(stmt);
    return OK;
}

TEST(postgres, carries_numbers_texts_bytes_and_arrays_both_ways)
{
    START();
    WRITES(&f, add_arrays, NULL);
    READS(&f, see_arrays, NULL);
    end();
}

static enum err add_many(struct op *op, struct tx *tx, void *arg)
{
    for (int64_t i = 1; i <= *(int64_t *)arg; i++)
        TRY(add_no(op, tx, i, true));
    return OK;
}

/* Walks to `until`, asking something else in between. */
static enum err walk(struct op *op, struct tx *tx, void *arg)
{
    int64_t *until = arg, seen = 0, n;
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &thing_walk, &stmt));
    bind_int(stmt, 1, 0);
    for (;;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found || seen == *until)
            break;
        EQ(col_int(stmt, 0), ++seen);
        if (seen % 100 == 0)
            TRY(count(op, tx, &n));
    }
    stmt_reset(stmt);
    *until = seen;
    return OK;
}

TEST(postgres, walks_in_slices_and_may_leave_early)
{
    START();
    int64_t n = 1000, all = INT64_MAX, some = 300, slice = PG_FIRST_ROWS;
    WRITES(&f, add_many, &n);
    READS(&f, walk, &some);
    EQ(some, 300);
    READS(&f, walk, &slice);
    READS(&f, walk, &all);
    EQ(all, 1000);
    all = INT64_MAX;
    WRITES(&f, walk, &all);
    EQ(all, 1000);
    end();
}

/* --- turns --- */

static enum err see_settings(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    static const char *const expected[][2] = { { "search_path", "posthouse" },
                                               { "statement_timeout", "10s" },
                                               { "idle_in_transaction_session_timeout", "5s" },
                                               { "transaction_isolation", "read committed" } };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &setting_get, &stmt));
        bind_str(stmt, 1, str_of(expected[i][0]));
        TRY(stmt_row(op, stmt, &found));
        STR_EQ(col_str(op, stmt, 0), expected[i][1]);
        stmt_reset(stmt);
    }
    return OK;
}

TEST(postgres, sets_its_limits_in_every_transaction_because_a_session_may_be_a_poolers)
{
    START();
    SUCCEEDS(&f.op, conn_exec(&f.op, f.store->conn, "DISCARD ALL"));
    WRITES(&f, see_settings, NULL);
    end();
}

static enum err take_number(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    *(uint64_t *)arg = store_seq_next(tx, SEQ_TASK);
    tx_wrote(tx);
    return OK;
}

TEST(postgres, reads_everything_again_when_history_is_not_what_it_was)
{
    START();
    uint64_t no;
    for (uint64_t i = 1; i <= 3; i++) {
        WRITES(&f, take_number, &no);
        EQ(no, i);
    }
    /* A replica took over that had not seen the newest two groups. */
    test_sql(f.database.url,
             "DELETE FROM posthouse.group_log WHERE no > (SELECT max(no) - 2 FROM posthouse.group_log)");
    WRITES(&f, take_number, &no);
    EQ(no, 2);
    end();
}

SQL_MARKED(group_span, NULL, "SELECT min(no), count(*) FROM group_log", SQL_POSTGRES | SQL_SCANS);

struct span {
    int64_t oldest, count;
};

static enum err span_run(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &group_span, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *(struct span *)arg = (struct span){ col_int(stmt, 0), col_int(stmt, 1) };
    stmt_reset(stmt);
    return OK;
}

static struct span groups_after(int more)
{
    struct span span;
    uint64_t no;
    for (int i = 0; i < more; i++)
        WRITES(&f, take_number, &no);
    READS(&f, span_run, &span);
    return span;
}

TEST(postgres, forgets_old_groups_in_slices_and_never_the_newest_thousand)
{
    START();
    struct pg_log *log = &pg_of(f.store->conn)->log;
    int64_t first = groups_after(1).oldest;
    test_sql(
        f.database.url,
        "INSERT INTO posthouse.group_log SELECT g.no + n, g.node, g.epoch, g.at, g.seqs FROM posthouse.group_log g,"
        " generate_series(1, 1900) n WHERE g.no = (SELECT max(no) FROM posthouse.group_log)");
    EQ(groups_after(256).oldest, first); /* nothing is ten minutes old */
    log->notes[0].at_us -= INT64_C(600000000);
    EQ(groups_after(128).oldest, first + 500);
    struct span after = groups_after(256);
    EQ(after.oldest, log->cleared + 1);
    YES(after.oldest > first + 1000);
    YES(after.count >= 1000);
    end();
}

TEST(postgres, waits_for_its_turn_until_a_frozen_node_loses_it)
{
    START();
    PGconn *frozen = PQconnectdb(f.database.url);
    PQclear(PQexec(frozen, "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 200;"
                           "SELECT pg_advisory_xact_lock(1886352244)"));
    int64_t no = 1;
    WRITES(&f, add, &no);
    EQ(things(), 1);
    EQ(store_figures(f.store).failures, 0);
    PQfinish(frozen);
    end();
}

/* A link that has the turn and no timer. */
static PGconn *freeze_with_turn(void)
{
    PGconn *frozen = PQconnectdb(f.database.url);
    EQ(PQenterPipelineMode(frozen), 1);
    EQ(PQsendQueryParams(frozen, "BEGIN", 0, NULL, NULL, NULL, NULL, 1), 1);
    EQ(PQsendQueryParams(frozen,
                         "SELECT set_config('idle_in_transaction_session_timeout', '100', true),"
                         " pg_advisory_xact_lock(1886352244)",
                         0, NULL, NULL, NULL, NULL, 1),
       1);
    EQ(PQsendFlushRequest(frozen), 1); /* and no Sync */
    PQclear(PQgetResult(frozen));
    PQclear(PQgetResult(frozen));
    PQclear(PQgetResult(frozen)); /* it has the turn */
    return frozen;
}

TEST(postgres, takes_the_turn_from_a_node_that_froze_where_the_server_has_no_timer)
{
    START();
    store_close(f.store);
    struct store_config config = fixture_config(&f);
    config.statement_timeout_ms = 300; /* also how long it waits for its turn before it looks who has it */
    SUCCEEDS(&f.op, store_open(&f.op, &config, &f.store));
    PGconn *frozen = freeze_with_turn();
    int64_t no = 1;
    WRITES(&f, add, &no);
    EQ(things(), 1);
    PQfinish(frozen);
    end();
}

TEST(postgres, takes_the_turn_from_a_frozen_node_also_where_nobody_wrote_for_long)
{
    START();
    store_close(f.store);
    struct store_config config = fixture_config(&f);
    config.statement_timeout_ms = 300;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &f.store));
    int64_t no = 0;
    while (no++ < 12)
        WRITES(&f, add, &no);
    PGconn *frozen = freeze_with_turn();
    WRITES(&f, add, &no);
    EQ(things(), no);
    PQfinish(frozen);
    end();
}

static enum err count_around_a_write(struct op *op, struct tx *tx, void *arg)
{
    int64_t before, after, no = 1;
    TRY(count(op, tx, &before));
    struct op inner;
    op_init(&inner, op->arena, 0);
    SUCCEEDS(&inner, store_write(&inner, f.store, add, &no));
    TRY(count(op, tx, &after));
    EQ(after, before);
    *(int64_t *)arg = after;
    return OK;
}

TEST(postgres, reads_one_snapshot_whatever_is_written_meanwhile)
{
    START();
    int64_t n;
    READS(&f, count_around_a_write, &n);
    EQ(n, 0);
    EQ(things(), 1);
    end();
}

/* --- opening --- */

TEST(postgres, refuses_a_database_of_a_newer_version)
{
    START();
    test_sql(f.database.url, "UPDATE posthouse.schema_version SET steps = steps + 1000");
    store_close(f.store);
    f.store = NULL;
    struct store_config config = fixture_config(&f);
    EQ(store_open(&f.op, &config, &f.store), ERR_CONFLICT);
    YES(strstr(f.op.error, "newer posthouse") != NULL);
    test_sql(f.database.url, "UPDATE posthouse.schema_version SET steps = steps - 1000");
    fixture_open(&f);
    end();
}

TEST(postgres, shows_its_url_without_user_password_and_options)
{
    fixture_init(&f);
    struct arena *arena = f.arena;
    STR_EQ(store_url_text(arena, "postgres://me:secret@db:5433/mail?sslmode=require"), "postgres://db:5433/mail");
    STR_EQ(store_url_text(arena, "postgres://me:secret@a,b:5433/mail"), "postgres://a,b:5433/mail");
    STR_EQ(store_url_text(arena, "postgres://me:secret@h/%zz"), "postgres:///");
    fixture_end(&f);
}

TEST(postgres, says_that_nobody_answers_without_the_password)
{
    fixture_init(&f);
    struct store_config config = { .url = "postgres://me:open-sesame@127.0.0.1:9/mail" };
    EQ(store_open(&f.op, &config, &f.store), ERR_IO);
    YES(strstr(f.op.error, "does not answer") != NULL);
    NO(strstr(f.op.error, "open-sesame") != NULL);
    config.url = "postgres://me:open-sesame@host:port:what/%zz";
    EQ(store_open(&f.op, &config, &f.store), ERR_INVALID);
    NO(strstr(f.op.error, "open-sesame") != NULL);
    fixture_end(&f);
}
