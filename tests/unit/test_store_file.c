/* What only the engine of one machine has: files, their lock, their log, a disk that takes no more. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "store/core.h"
#include "store/store_task.h"
#include "store_count.h"
#include "store_test.h"

static struct fixture f;

static int64_t opened(void)
{
    return opened_in(&f);
}

static int mode_of(const char *name)
{
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s%s", f.directory, name);
    return stat(path, &status) == 0 ? (int)(status.st_mode & 0777) : -1;
}

TEST(store, makes_its_directory_and_files_for_the_owner_only)
{
    fixture_directory(&f);
    rmdir(f.directory);
    umask(0);
    fixture_open(&f);
    WRITES(&f, count_one, SEVEN);
    EQ(mode_of(""), 0700);
    EQ(mode_of("/posthouse.db"), 0600);
    EQ(mode_of("/posthouse.db-wal"), 0600);
    EQ(mode_of("/posthouse.lock"), 0600);
    umask(022);
    fixture_end(&f);
}

TEST(store, refuses_a_second_writer_and_names_the_way_round)
{
    fixture_start_file(&f);
    struct store_config config = { .directory = f.directory };
    struct store *second = NULL;
    EQ(store_open(&f.op, &config, &second), ERR_CONFLICT);
    YES(strstr(f.op.error, "is in use by a running posthouse") != NULL);
    YES(strstr(f.op.error, "--url") != NULL);
    fixture_end(&f);
}

TEST(store, can_be_read_beside_a_running_daemon_without_touching_its_wal)
{
    fixture_start_file(&f);
    WRITES(&f, count_one, SEVEN);
    struct store_config config = { .directory = f.directory, .read_only = true };
    struct store *beside = NULL;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &beside));
    int64_t n = 0;
    SUCCEEDS(&f.op, store_read(&f.op, beside, opened_of, &n));
    EQ(n, 1);

    WRITES(&f, count_one, SEVEN);
    SUCCEEDS(&f.op, store_read(&f.op, beside, opened_of, &n));
    EQ(n, 2);
    char path[128];
    struct stat before, after;
    snprintf(path, sizeof path, "%s/posthouse.db-wal", f.directory);
    EQ(stat(path, &before), 0);
    store_close(beside);
    EQ(stat(path, &after), 0);
    EQ(after.st_size, before.st_size);
    EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
    fixture_end(&f);
}

TEST(store, does_not_make_a_database_when_it_may_only_read)
{
    fixture_directory(&f);
    struct store_config config = { .directory = f.directory, .read_only = true };
    EQ(store_open(&f.op, &config, &f.store), ERR_IO);
    YES(strstr(f.op.error, "cannot be opened") != NULL);
    EQ(mode_of("/posthouse.db"), -1);
    fixture_end(&f);
}

TEST(store, names_a_directory_it_cannot_make)
{
    fixture_init(&f);
    struct store_config config = { .directory = "/proc/none" };
    EQ(store_open(&f.op, &config, &f.store), ERR_IO);
    YES(strstr(f.op.error, "/proc/none") != NULL);
    fixture_end(&f);
}

/* A file as a program with `steps` schema steps would have left it. */
static void make_older_file(int steps)
{
    struct store older = { .engine = &sqlite_engine, .config = { .cache_bytes = 1 << 20 } };
    struct conn *conn;
    char path[128];
    fixture_directory(&f);
    snprintf(path, sizeof path, "%s/posthouse.db", f.directory);
    SUCCEEDS(&f.op, conn_open(&f.op, &older, path, CONN_WRITER, &conn));
    SUCCEEDS(&f.op, schema_migrate(&f.op, conn, steps));
    conn_close(conn);
}

TEST(store, carries_a_file_of_any_older_version_over)
{
    int steps = 0;
    while (schema_steps[steps])
        steps++;
    for (int i = 0; i < steps; i++) {
        make_older_file(i);
        fixture_open(&f);
        WRITES(&f, count_one, SEVEN);
        EQ(opened(), 1);
        int64_t version;
        SUCCEEDS(&f.op, conn_int(&f.op, f.store->conn, "PRAGMA user_version", &version));
        EQ(version, steps);
        fixture_end(&f);
    }
}

TEST(store, does_not_read_an_older_file_before_it_was_carried_over)
{
    make_older_file(2);
    struct store_config config = { .directory = f.directory, .read_only = true };
    EQ(store_open(&f.op, &config, &f.store), ERR_CONFLICT);
    YES(strstr(f.op.error, "start it once") != NULL);
    fixture_end(&f);
}

TEST(store, refuses_a_file_of_a_newer_version)
{
    fixture_start_file(&f);
    SUCCEEDS(&f.op, conn_exec(&f.op, f.store->conn, "PRAGMA user_version = 9999"));
    store_close(f.store);
    f.store = NULL;
    struct store_config config = fixture_config(&f);
    EQ(store_open(&f.op, &config, &f.store), ERR_CONFLICT);
    YES(strstr(f.op.error, "newer posthouse") != NULL);
    fixture_end(&f);
}

TEST(store, tells_a_damaged_file)
{
    fixture_directory(&f);
    char path[128];
    snprintf(path, sizeof path, "%s/posthouse.db", f.directory);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", file);
    fclose(file);
    struct store_config config = fixture_config(&f);
    EQ(store_open(&f.op, &config, &f.store), ERR_IO);
    YES(strstr(f.op.error, "damaged") != NULL);
    fixture_end(&f);
}

static enum err add_large_task(struct op *op, struct tx *tx, void *arg)
{
    uint64_t no;
    return store_task_add(op, tx, S("large"), (struct str){ arg, TASK_PAYLOAD_BYTES_MAX }, 1, &no);
}

TEST(store, keeps_its_log_short_while_it_writes)
{
    fixture_start_file(&f);
    static char payload[TASK_PAYLOAD_BYTES_MAX];
    memset(payload, 'x', sizeof payload);
    for (int i = 0; i < 300; i++) /* 19 MB */
        WRITES(&f, add_large_task, payload);
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s/posthouse.db-wal", f.directory);
    EQ(stat(path, &status), 0);
    YES(status.st_size < 8 << 20);
    fixture_end(&f);
}

/* From now on no file may grow beyond `bytes`: writes fail as on a full disk, without a full disk. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static enum err count_tasks(struct op *op, struct tx *tx, void *arg)
{
    return store_task_count(op, tx, arg);
}

TEST(store, survives_a_disk_that_really_takes_no_more)
{
    fixture_start_file(&f);
    static char payload[TASK_PAYLOAD_BYTES_MAX];
    memset(payload, 'x', sizeof payload);
    int64_t stored = 0, n = 0;
    for (int round = 0; round < 3; round++) {
        limit_files(1 << 20);
        int failed = 0;
        for (int i = 0; i < 60; i++) {
            enum err err = store_write(&f.op, f.store, add_large_task, payload);
            YES(err == OK || err == ERR_UNAVAILABLE);
            stored += err == OK;
            failed += err != OK;
        }
        YES(failed > 0);
        NO(store_is_ready(f.store));
        READS(&f, count_tasks, &n);
        EQ(n, stored);
        limit_files(RLIM_INFINITY);
        SUCCEEDS(&f.op, store_probe(&f.op, f.store));
        YES(store_is_ready(f.store));
    }
    fixture_reopen(&f);
    READS(&f, count_tasks, &n);
    EQ(n, stored);
    fixture_end(&f);
}
