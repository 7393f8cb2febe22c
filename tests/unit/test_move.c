#include "store/move.h"

#include "engine/check.h"
#include "ledger_test.h"
#include "store/store_source.h"
#include "store/bulk.h"
#include "store/store_inbox.h"

/* A mailing that was sent, opened and bounced, in a store of its own; and an empty place. */
struct house {
    struct ledger ledger;
    char directory[64];      /* the empty place on SQLite */
    char from[600], to[600]; /* as they are named */
    struct move move;
    struct store_faults faults;
    int differences;
    char difference[200];
    int64_t progress;
};

static void fill(struct ledger *l)
{
    for (int i = 0; i < 40; i++) {
        char line[160], who[40], id[20];
        snprintf(line, sizeof line,
                 "{\"recipient\":\"r%d@x.org\",\"member\":\"p%d\",\"provider_message_id\":\"%d@mg\"}\n", i, i, i);
        import(l, line);
        snprintf(who, sizeof who, "r%d@x.org", i);
        snprintf(id, sizeof id, "e%d", i);
        struct provider_event event = event_of(i % 5 ? EVENT_OPENED : EVENT_FAILED, who, T0 + i * SECOND, id);
        event.text = S("it's over quota");
        tell(l, event);
    }
}

/* A lane that moved twice: its newest state may wait to be folded when the store moves. */
static enum err read_lane(struct op *op, struct tx *tx, void *arg)
{
    return store_lane_get_one(op, tx, 1, 2, arg);
}

static enum err move_lane(struct op *op, struct tx *tx, void *arg)
{
    struct interval read = { .begin_us = 10, .end_us = 20, .passes = 1 };
    struct lane_row row;
    (void)arg;
    for (int64_t at_us = 15; at_us <= 16; at_us++) {
        TRY(read_lane(op, tx, &row));
        row.position_us = at_us;
        TRY(store_lane_put(op, tx, &row));
    }
    TRY(store_coverage_put(op, tx, 1, 0, NULL, 0, &read, 1));
    return store_ring_put(op, tx, 1, &(struct ring){ .at = 3 });
}

static void house_start(struct house *h)
{
    memset(h, 0, sizeof *h);
    struct ledger *l = &h->ledger;
    l->zone = "UTC";
    l->track_opens = true;
    fixture_start_file(&l->fixture);
    l->fixture.op.now_us = T0 + 3600 * SECOND;
    WRITES(&l->fixture, ledger_prepare, l);
    fill(l);
    WRITES(&l->fixture, move_lane, NULL);
    snprintf(h->directory, sizeof h->directory, "/tmp/posthouse-test-XXXXXX");
    YES(mkdtemp(h->directory) != NULL);
}

/* The source rests: nobody holds it. */
static void house_rest(struct house *h)
{
    if (h->ledger.fixture.store)
        store_close(h->ledger.fixture.store);
    h->ledger.fixture.store = NULL;
}

static void remove_store(const char *directory)
{
    const char *const files[] = { "posthouse.db", "posthouse.db-wal", "posthouse.db-shm", "posthouse.lock" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", directory, files[i]);
        unlink(path);
    }
    rmdir(directory);
}

static void house_end(struct house *h)
{
    remove_store(h->directory);
    fixture_end(&h->ledger.fixture);
}

static void note_difference(void *data, const char *line)
{
    struct house *h = data;
    h->differences++;
    snprintf(h->difference, sizeof h->difference, "%s", line);
}

static void note_progress(void *data, int64_t done, int64_t all)
{
    struct house *h = data;
    YES(done <= all);
    h->progress = done;
}

static struct store_config place(const char *url, const char *directory)
{
    return (struct store_config){ .url = url, .directory = url ? NULL : directory };
}

static void aim_at(struct house *h, struct store_config from, struct store_config to)
{
    snprintf(h->from, sizeof h->from, "%s", from.url ? from.url : from.directory);
    snprintf(h->to, sizeof h->to, "%s", to.url ? to.url : to.directory);
    h->move = (struct move){ .from = from,
                             .to = to,
                             .from_name = h->from,
                             .to_name = h->to,
                             .progress = note_progress,
                             .difference = note_difference,
                             .data = h };
}

/* From the fixture's store to the empty directory. */
static void aim(struct house *h)
{
    struct fixture *f = &h->ledger.fixture;
    aim_at(h, place(f->database.url[0] ? f->database.url : NULL, f->directory), place(NULL, h->directory));
}

static enum err run(struct house *h)
{
    struct op *op = &h->ledger.fixture.op;
    struct move *move = &h->move;
    enum err err = move_begin(op, move);
    if (err == OK)
        err = move_copy(op, move);
    if (err == OK)
        err = move_compare(op, move);
    if (err == OK)
        err = move_finish(op, move);
    move_end(move);
    return err;
}

static int64_t count_again(struct house *h, struct store_config config, int64_t *ret_differ)
{
    struct op *op = &h->ledger.fixture.op;
    struct check check = { .store = NULL };
    config.read_only = true;
    SUCCEEDS(op, store_open(op, &config, &check.store));
    SUCCEEDS(op, check_run(op, &check));
    store_close(check.store);
    *ret_differ = check.differ;
    return check.compared;
}

TEST(move, brings_every_row_and_every_figure_and_leaves_a_store_that_works)
{
    struct house h;
    int64_t differ, again;
    house_start(&h);
    house_rest(&h);
    aim(&h);
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    YES(h.move.tables > 20);
    YES(h.move.copied >= 40 * 4);
    EQ(h.move.copied, h.move.rows);
    EQ(h.move.compared, h.move.rows);
    EQ(h.move.differ, 0);
    NO(h.move.resumed);
    int64_t facts = count_again(&h, h.move.from, &differ);
    EQ(differ, 0);
    EQ(count_again(&h, h.move.to, &again), facts);
    EQ(again, 0);

    /* It works: what is known is known, and new rows get new numbers. */
    struct ledger moved = h.ledger;
    struct op *op = &h.ledger.fixture.op;
    SUCCEEDS(op, store_open(op, &h.move.to, &moved.fixture.store));
    EQ(figure(&moved, MAILING_MESSAGES), 40);
    EQ(figure(&moved, MAILING_OPENED), 32);
    EQ(tell(&moved, event_of(EVENT_OPENED, "r1@x.org", T0 + SECOND, "e1")), RESULT_DUPLICATE);
    import(&moved, "{\"recipient\":\"R1@x.org\"}\n{\"recipient\":\"new@x.org\"}\n");
    EQ(moved.chunk.duplicates, 1);
    EQ(moved.chunk.accepted, 1);
    EQ(tell(&moved, event_of(EVENT_OPENED, "new@x.org", T0 + SECOND, "n1")), RESULT_APPLIED);
    EQ(figure(&moved, MAILING_OPENED), 33);
    struct lane_row lane;
    SUCCEEDS(op, store_read(op, moved.fixture.store, read_lane, &lane));
    EQ(lane.position_us, 16);
    store_close(moved.fixture.store);
    count_again(&h, h.move.to, &differ);
    EQ(differ, 0);
    house_end(&h);
}

TEST(move, between_the_engines_and_back_gives_the_same_rows)
{
    ONLY_POSTGRES();
    struct house h;
    char name[64], url[600], text[128], back[64] = "/tmp/posthouse-test-XXXXXX";
    int64_t differ;
    house_start(&h);
    house_rest(&h);
    YES(mkdtemp(back) != NULL);
    snprintf(name, sizeof name, "t_%d_blank", (int)getpid());
    snprintf(text, sizeof text, "CREATE DATABASE %s", name);
    test_sql(NULL, text);
    test_database_url(url, sizeof url, name);

    aim(&h); /* PostgreSQL -> SQLite */
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    int64_t rows = h.move.rows, facts = count_again(&h, h.move.to, &differ);
    EQ(differ, 0);
    aim_at(&h, place(NULL, h.directory), place(url, NULL));
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    EQ(h.move.rows, rows);
    EQ(count_again(&h, h.move.to, &differ), facts);
    EQ(differ, 0);
    aim_at(&h, place(url, NULL), place(NULL, back));
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    EQ(h.move.rows, rows);
    EQ(count_again(&h, h.move.to, &differ), facts);
    EQ(differ, 0);

    snprintf(text, sizeof text, "DROP DATABASE %s WITH (FORCE)", name);
    test_sql(NULL, text);
    remove_store(back);
    house_end(&h);
}

static enum store_fault fail_later(void *data, enum store_point point)
{
    int64_t *left = data;
    return point != STORE_AT_READ && --*left == 0 ? STORE_FAIL_IO : STORE_NO_FAULT;
}

TEST(move, goes_on_behind_the_newest_row_after_it_was_cut_off_anywhere)
{
    struct house h;
    struct op *op = &h.ledger.fixture.op;
    house_start(&h);
    house_rest(&h);
    int64_t resumed = 0, copied = 0, step = 1;
    for (enum err err = ERR_UNAVAILABLE; err != OK; step += 7) {
        int64_t left = step;
        struct store_faults faults = { fail_later, &left };
        aim(&h);
        h.move.to.faults = &faults;
        err = run(&h);
        resumed += h.move.resumed;
        copied += h.move.copied;
        NO(err != OK && err != ERR_UNAVAILABLE);
    }
    YES(resumed > 3);
    EQ(copied, h.move.rows); /* no row was copied twice */
    EQ(h.move.differ, 0);
    struct store *store;
    SUCCEEDS(op, store_open(op, &(struct store_config){ .directory = h.directory }, &store));
    store_close(store);
    house_end(&h);
}

TEST(move, refuses_a_place_that_holds_data)
{
    struct house h;
    house_start(&h);
    house_rest(&h);
    aim(&h);
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    aim(&h);
    EQ(run(&h), ERR_CONFLICT);
    YES(strstr(h.ledger.fixture.op.error, "holds data already") != NULL);
    house_end(&h);
}

TEST(move, refuses_a_source_that_a_daemon_holds)
{
    ONLY_SQLITE();
    struct house h;
    house_start(&h);
    aim(&h);
    EQ(run(&h), ERR_CONFLICT);
    YES(strstr(h.ledger.fixture.op.error, "in use by a running posthouse") != NULL);
    house_end(&h);
}

TEST(move, refuses_a_source_whose_nodes_live)
{
    ONLY_POSTGRES();
    struct house h;
    house_start(&h);
    house_rest(&h);
    const char *url = h.ledger.fixture.database.url;
    test_sql(url, "INSERT INTO posthouse.node VALUES (1, 'host-a', 1, '1', '1', 1, 0,"
                  " (extract(epoch FROM clock_timestamp()) * 1000000)::bigint, NULL, 0)");
    aim(&h);
    EQ(run(&h), ERR_CONFLICT);
    YES(strstr(h.ledger.fixture.op.error, "in use by node host-a") != NULL);
    test_sql(url, "UPDATE posthouse.node SET beat_at_us = beat_at_us - 31000000");
    aim(&h);
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    house_end(&h);
}

static enum err inbox_waits(struct op *op, struct tx *tx, void *arg)
{
    struct inbox_look look;
    TRY(store_inbox_look(op, tx, 0, false, &look));
    *(bool *)arg = look.first != 0;
    return OK;
}

TEST(move, takes_along_what_was_said_until_its_end)
{
    ONLY_POSTGRES();
    struct house h;
    struct store *store;
    bool waits = false;
    house_start(&h);
    house_rest(&h);
    struct op *op = &h.ledger.fixture.op;
    aim(&h);
    SUCCEEDS(op, move_begin(op, &h.move));
    SUCCEEDS(op, move_copy(op, &h.move));
    SUCCEEDS(op, move_compare(op, &h.move));
    test_sql(h.ledger.fixture.database.url, "SELECT posthouse.put_mailing('late', '{\"tenant\":\"acme\"}')");
    SUCCEEDS(op, move_finish(op, &h.move));
    move_end(&h.move);
    SUCCEEDS(op, store_open(op, &(struct store_config){ .directory = h.directory }, &store));
    SUCCEEDS(op, store_read(op, store, inbox_waits, &waits));
    YES(waits);
    store_close(store);
    house_end(&h);
}

/* Begins and copies, but does not finish. */
static void leave_half(struct house *h)
{
    struct op *op = &h->ledger.fixture.op;
    aim(h);
    SUCCEEDS(op, move_begin(op, &h->move));
    SUCCEEDS(op, move_copy(op, &h->move));
    move_end(&h->move);
}

TEST(move, leaves_a_copy_that_no_daemon_takes_for_a_store)
{
    struct house h;
    struct store *store;
    house_start(&h);
    house_rest(&h);
    leave_half(&h);
    struct op *op = &h.ledger.fixture.op;
    EQ(store_open(op, &(struct store_config){ .directory = h.directory }, &store), ERR_CONFLICT);
    YES(strstr(op->error, "is not finished") != NULL);
    aim(&h);
    SUCCEEDS(op, run(&h));
    YES(h.move.resumed);
    EQ(h.move.copied, 0);
    house_end(&h);
}

TEST(move, begins_anew_when_the_source_was_used_meanwhile)
{
    struct house h;
    house_start(&h);
    house_rest(&h);
    leave_half(&h);
    fixture_open(&h.ledger.fixture);
    EQ(tell(&h.ledger, event_of(EVENT_CLICKED, "r1@x.org", T0 + 99 * SECOND, "c1")), RESULT_APPLIED);
    house_rest(&h);
    aim(&h);
    SUCCEEDS(&h.ledger.fixture.op, run(&h));
    NO(h.move.resumed);
    EQ(h.move.copied, h.move.rows);
    EQ(h.move.differ, 0);
    house_end(&h);
}

static enum err touch_message(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return conn_exec(op, tx->conn,
                     "UPDATE failure SET text = 'other' WHERE message_no = (SELECT min(message_no) FROM failure)");
}

TEST(move, names_the_row_and_the_column_that_differ_and_does_not_finish)
{
    struct house h;
    house_start(&h);
    house_rest(&h);
    struct op *op = &h.ledger.fixture.op;
    aim(&h);
    SUCCEEDS(op, move_begin(op, &h.move));
    SUCCEEDS(op, move_copy(op, &h.move));
    struct tx tx = { .store = h.move.target, .conn = h.move.target->conn, .writing = true };
    SUCCEEDS(op, conn_begin(op, &tx));
    SUCCEEDS(op, touch_message(op, &tx, NULL));
    SUCCEEDS(op, conn_commit(op, &tx));
    SUCCEEDS(op, move_compare(op, &h.move));
    EQ(h.move.differ, 1);
    EQ(h.differences, 1);
    STR_EQ(str_of(h.difference), "failure 1: text differs");
    EQ(move_finish(op, &h.move), ERR_CONFLICT);
    move_end(&h.move);
    house_end(&h);
}

/* Each table of a store that does not stay behind, with its columns and key. */
static size_t tables_of(struct op *op, const struct store_config *config, struct store **ret_store,
                        struct bulk **ret_bulk, const struct bulk_table **ret_tables)
{
    size_t count;
    SUCCEEDS(op, store_open(op, config, ret_store));
    SUCCEEDS(op, bulk_open(op, *ret_store, true, ret_bulk));
    SUCCEEDS(op, bulk_tables(op, *ret_bulk, ret_tables, &count));
    return count;
}

TEST(move, knows_every_table_of_both_engines)
{
    ONLY_POSTGRES();
    struct house h;
    struct store *stores[2];
    struct bulk *bulks[2];
    const struct bulk_table *tables[2];
    size_t counts[2];
    house_start(&h);
    struct op *op = &h.ledger.fixture.op;
    struct store_config lite = { .use = STORE_TO_MOVE_HERE }, shared = lite;
    shared.url = h.ledger.fixture.database.url;
    counts[0] = tables_of(op, &lite, &stores[0], &bulks[0], &tables[0]);
    counts[1] = tables_of(op, &shared, &stores[1], &bulks[1], &tables[1]);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < counts[side]; i++) {
            const struct bulk_table *table = &tables[side][i],
                                    *other = bulk_find(tables[!side], counts[!side], table->name);
            bool good = move_stays(table->name) || (other && bulk_is_like(table, other) && table->keys > 0);
            if (!good)
                print_error("table %s is not the same on both engines, and not named in move.c as one that stays\n",
                            table->name);
            YES(good);
        }
    for (int side = 0; side < 2; side++) {
        bulk_close(bulks[side]);
        store_close(stores[side]);
    }
    house_end(&h);
}
