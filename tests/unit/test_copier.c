#include "store/copier.h"

#include <sys/stat.h>

#include "store/core.h"
#include "store_test.h"

#define MANY "1100" /* pages: more than are worth a checkpoint */

static struct fixture f;

/* A store without threads, but with a copier. */
static void start(void)
{
    fixture_directory(&f);
    fixture_open(&f);
    SUCCEEDS(&f.op, copier_start(&f.op, f.store, &f.store->copier));
    group_checkpoint(f.store, true); /* what opening wrote */
}

static void end(void)
{
    copier_stop(f.store->copier);
    f.store->copier = NULL;
    fixture_end(&f);
}

static void write_pages(const char *name, const char *pages)
{
    struct str text =
        arena_fmt(f.arena, "INSERT INTO meta (name, value) VALUES ('%s', zeroblob(4096 * %s))", name, pages);
    SUCCEEDS(&f.op, conn_exec(&f.op, f.store->conn, text.p));
}

static int64_t bytes_of(const char *suffix)
{
    struct stat of;
    struct str path = arena_fmt(f.arena, "%s/posthouse.db%s", f.directory, suffix);
    EQ(stat(path.p, &of), 0);
    return of.st_size;
}

static int64_t file_pages(void)
{
    return bytes_of("") / 4096;
}

TEST(copier, moves_what_is_committed_and_leaves_the_rest_to_the_writer)
{
    start();
    int64_t before = file_pages();
    write_pages("first", MANY);
    YES(!group_wants_checkpoint(f.store)); /* it has begun */
    copier_await(f.store->copier);
    EQ(copier_state(f.store->copier), COPIER_THROUGH);
    YES(file_pages() >= before + 1100);
    YES(conn_wal_pages(f.store->conn) > 0);

    write_pages("second", "10");
    YES(group_wants_checkpoint(f.store));
    group_checkpoint(f.store, false);
    EQ(conn_wal_pages(f.store->conn), 0);
    EQ(copier_state(f.store->copier), COPIER_RESTS);
    YES(file_pages() >= before + 1110);
    end();
}

TEST(copier, rests_while_little_is_to_be_moved)
{
    start();
    write_pages("first", "10");
    YES(!group_wants_checkpoint(f.store));
    EQ(copier_state(f.store->copier), COPIER_RESTS);
    end();
}

/* Until all of the WAL is in the file no copy may begin: where it is, a write could start the WAL again beside it. */
TEST(copier, begins_no_second_time_before_the_writer_has_moved_all)
{
    int64_t rows;
    struct conn *reader;
    start();
    write_pages("first", "10");
    SUCCEEDS(&f.op, conn_open(&f.op, f.store, f.store->path, CONN_READER, &reader));
    SUCCEEDS(&f.op, conn_exec(&f.op, reader, "BEGIN"));
    SUCCEEDS(&f.op, conn_int(&f.op, reader, "SELECT count(*) FROM meta", &rows));
    write_pages("second", MANY);
    YES(!group_wants_checkpoint(f.store));
    copier_await(f.store->copier);

    group_checkpoint(f.store, false);
    YES(conn_wal_pages(f.store->conn) > 0); /* the reader needs it */
    EQ(copier_state(f.store->copier), COPIER_THROUGH);
    write_pages("third", MANY);
    YES(group_wants_checkpoint(f.store));

    conn_close(reader);
    group_checkpoint(f.store, false);
    EQ(conn_wal_pages(f.store->conn), 0);
    EQ(copier_state(f.store->copier), COPIER_RESTS);
    end();
}

TEST(copier, lets_the_log_be_emptied_when_nobody_waits)
{
    start();
    write_pages("first", MANY);
    YES(!group_wants_checkpoint(f.store));
    group_checkpoint(f.store, true); /* awaits the copy */
    EQ(conn_wal_pages(f.store->conn), 0);
    EQ(copier_state(f.store->copier), COPIER_RESTS);
    end();
}

TEST(copier, keeps_the_log_for_the_next_start_when_its_copy_could_not_be_synced)
{
    int64_t rows;
    start();
    fixture_plan(&f, STORE_AT_COPY, STORE_FAIL_IO, 1);
    write_pages("first", MANY);
    YES(!group_wants_checkpoint(f.store));
    copier_await(f.store->copier);
    group_checkpoint(f.store, true);
    YES(conn_wal_pages(f.store->conn) >= 1100);

    copier_stop(f.store->copier);
    f.store->copier = NULL;
    store_close(f.store);
    f.store = NULL;
    YES(bytes_of("-wal") >= 1100 * 4096);
    fixture_open(&f);
    SUCCEEDS(&f.op, conn_int(&f.op, f.store->conn, "SELECT count(*) FROM meta WHERE name = 'first'", &rows));
    EQ(rows, 1);
    fixture_end(&f);
}
