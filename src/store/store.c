/* store.c - opens, owns and closes the parts. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "store/copier.h"
#include "store/core.h"
#include "store/store_move.h"

#define STATEMENT_TIMEOUT_MS 10000
#define IDLE_TIMEOUT_MS      5000
#define REPLICA_WAIT_US      INT64_C(30000000) /* to have followed, at start */
#define REPLICA_LOOK_US      20000

const struct schema_step meta_step = {
    "meta",
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "INSERT INTO meta (name, value) VALUES ('probe', 0);",
    "CREATE TABLE meta (name text COLLATE \"C\" PRIMARY KEY, value bytea, number bigint);"
    "INSERT INTO meta (name, number) VALUES ('probe', 0);",
};

SQL(meta_get, "SELECT value FROM meta WHERE name = ?1", NULL);
SQL(meta_put, "INSERT INTO meta (name, value) VALUES (?1, ?2)", NULL);
SQL(meta_count, "INSERT INTO meta (name, value) VALUES (?1, ?2)", "INSERT INTO meta (name, number) VALUES (?1, ?2)");

/* --- the directory --- */

static char *path_join(const char *directory, const char *name)
{
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (!path)
        abort();
    snprintf(path, n, "%s/%s", directory, name);
    return path;
}

/* Whoever holds the lock wrote its process id into the file; for the sentence only. */
static long lock_holder(int fd)
{
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    return n > 0 ? strtol(text, NULL, 10) : 0;
}

static enum err store_lock(struct op *op, struct store *store)
{
    char *path = path_join(store->config.directory, "posthouse.lock");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (fd < 0)
        return fail(op, ERR_IO, "cannot make a lock file in %s: %s", store->config.directory, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        long pid = lock_holder(fd);
        close(fd);
        return fail(op, ERR_CONFLICT,
                    "%s is in use by a running posthouse (process %ld): talk to it with --url, or stop it first",
                    store->config.directory, pid);
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        /* A full disk: the number is missing, the lock holds all the same. */
    }
    store->lock_fd = fd;
    return OK;
}

/* Makes the directory and an empty file that only their owner may read; SQLite gives -wal and -shm the same mode. */
static enum err store_make_file(struct op *op, struct store *store)
{
    const char *directory = store->config.directory;
    if (mkdir(directory, 0700) != 0 && errno != EEXIST)
        return fail(op, ERR_IO, "cannot make the data directory %s: %s", directory, strerror(errno));
    TRY(store_lock(op, store));
    int fd = open(store->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(op, ERR_IO, "cannot open %s: %s", store->path, strerror(errno));
    close(fd);
    return OK;
}

/* --- opening --- */

static enum err key_read(struct op *op, struct tx *tx, void *arg)
{
    struct store *store = arg;
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &meta_get, &stmt));
    bind_str(stmt, 1, S("hash_key"));
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "the database has no hash key");
    struct str key = col_blob_borrowed(stmt, 0);
    if (key.n != sizeof store->hash_key)
        return fail(op, ERR_IO, "the hash key of the database is damaged");
    memcpy(store->hash_key, key.p, key.n);
    stmt_reset(stmt);
    return OK;
}

static enum err key_make(struct op *op, struct tx *tx, void *arg)
{
    struct store *store = arg;
    struct stmt *stmt;
    if (key_read(op, tx, arg) == OK)
        return OK; /* another node was faster */
    random_bytes(store->hash_key, sizeof store->hash_key);
    TRY(tx_stmt(op, tx, &meta_put, &stmt));
    bind_str(stmt, 1, S("hash_key"));
    bind_blob(stmt, 2, store->hash_key, sizeof store->hash_key);
    TRY(stmt_done(op, stmt));
    TRY(tx_stmt(op, tx, &meta_count, &stmt));
    bind_str(stmt, 1, S("created_at_ms"));
    bind_int(stmt, 2, op_now_ms(op));
    return stmt_done(op, stmt);
}

static enum err families_open(struct op *op, struct tx *tx, void *arg)
{
    struct store *store = arg;
    TRY(conn_know(op, tx));
    for (int i = 0; store_families[i]; i++) {
        assert(i < FAMILIES_MAX);
        if (store_families[i]->open)
            TRY(store_families[i]->open(op, tx, &store->state[i]));
    }
    return OK;
}

/* A transaction that keeps nothing, on the writer's connection: before threads are there. */
static enum err with_conn(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                          void *arg)
{
    struct tx tx = { .store = store, .conn = store->conn, .mono_us = store_mono_us(store) };
    TRY(conn_begin(op, &tx));
    enum err err = fn(op, &tx, arg);
    conn_rollback(&tx);
    return err;
}

static enum err check_version(struct op *op, struct store *store)
{
    int64_t done;
    int known = store_steps_known();
    TRY(conn_version(op, store->conn, &done));
    if (done != known)
        return fail(op, ERR_CONFLICT,
                    "the database has schema %d, this posthouse reads %d: start it once to carry it over", (int)done,
                    known);
    return OK;
}

struct moves {
    struct move_mark away, here;
};

static enum err moves_read(struct op *op, struct tx *tx, void *arg)
{
    struct moves *moves = arg;
    TRY(store_move_get(op, tx, MOVE_AWAY, &moves->away));
    return store_move_get(op, tx, MOVE_HERE, &moves->here);
}

static enum err moves_forget(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return store_move_drop(op, tx, MOVE_AWAY);
}

/* A store that is used again is none that is being moved: the move finds its mark gone. */
static enum err moves_heed(struct op *op, struct store *store)
{
    struct moves moves;
    TRY(with_conn(op, store, moves_read, &moves));
    if (moves.here.mark[0])
        return fail(op, ERR_CONFLICT,
                    "this is a copy of %.*s that is not finished: run posthouse migrate again, or remove it",
                    STR(moves.here.peer));
    if (!moves.away.mark[0] || store->config.use == STORE_TO_MOVE_AWAY)
        return OK;
    if (moves.away.done)
        log_warn("this store was moved away and is used again; what is new there is not here",
                 LOG_STR("moved_to", moves.away.peer));
    return store_write(op, store, moves_forget, NULL);
}

static enum err store_ready_schema(struct op *op, struct store *store)
{
    if (store->config.read_only)
        TRY(check_version(op, store));
    else
        TRY(schema_migrate(op, store->conn, 0));
    if (store->config.use == STORE_TO_MOVE_HERE)
        return OK;
    if (!store->config.read_only)
        TRY(moves_heed(op, store));
    enum err err = with_conn(op, store, key_read, store);
    if (err == ERR_NOT_FOUND && !store->config.read_only)
        err = store_write(op, store, key_make, store);
    if (err == OK)
        err = with_conn(op, store, families_open, store);
    return err;
}

static void deliver_read_later(void *end, struct post *post)
{
    struct store *store = end;
    post->next = store->waiting_read;
    store->waiting_read = post;
}

static enum err store_start(struct op *op, struct store *store)
{
    const struct store_config *config = &store->config;
    if (config->read_only || config->use == STORE_TO_MOVE_HERE)
        return OK;
    post_install(THREAD_WRITER, writer_deliver, store->writer);
    if (!config->threads) {
        post_install(THREAD_READER, deliver_read_later, store);
        post_install(THREAD_DOOR, deliver_read_later, store);
        return OK;
    }
    TRY(readers_start(op, store, CONN_READER, config->readers, &store->readers));
    TRY(readers_start(op, store, CONN_DOOR, 1, &store->door));
    post_install(THREAD_READER, readers_deliver, store->readers);
    post_install(THREAD_DOOR, readers_deliver, store->door);
    if (store->engine->copy_wal)
        TRY(copier_start(op, store, &store->copier));
    return writer_start(op, store->writer);
}

/* A replica follows the primary, in which a step of the schema was perhaps made just now: whoever reads there would
 * find a table missing. */
static enum err await_replica(struct op *op, struct store *store)
{
    struct conn *replica;
    int64_t steps = 0, end_us = clock_mono_us() + REPLICA_WAIT_US;
    if (!store->config.replica || store->config.read_only)
        return OK;
    TRY(conn_open(op, store, store->path, CONN_READER, &replica));
    enum err err = conn_version(op, replica, &steps);
    while (err == OK && steps < store_steps_known() && clock_mono_us() < end_us) {
        usleep(REPLICA_LOOK_US);
        err = conn_version(op, replica, &steps);
    }
    conn_close(replica);
    TRY(err);
    if (steps < store_steps_known())
        return fail(op, ERR_IO, "the replica has schema %d, the primary %d, and it does not follow", (int)steps,
                    store_steps_known());
    return OK;
}

static enum err store_open_parts(struct op *op, struct store *store)
{
    bool read_only = store->config.read_only;
    if (store->path && !read_only)
        TRY(store_make_file(op, store));
    TRY(conn_open(op, store, store->path, read_only ? CONN_READER : CONN_WRITER, &store->conn));
    TRY(writer_new(op, store, &store->writer));
    TRY(store_ready_schema(op, store));
    TRY(await_replica(op, store));
    return store_start(op, store);
}

static void store_declare_metrics(struct store *store)
{
    static const int64_t sizes[] = { 1, 2, 5, 10, 20, 50, 100, 200, 500 };
    store->commit_times = METRIC_PLAIN(metric_histogram("posthouse_store_commit_duration_seconds",
                                                        "Time of one COMMIT, its sync included.", "", METRIC_SECONDS,
                                                        metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT));
    if (store->engine->shared)
        store->turn_times = METRIC_PLAIN(
            metric_histogram("posthouse_store_turn_wait_seconds", "Time until a group had its turn among the nodes.",
                             "", METRIC_SECONDS, metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT));
    store->group_sizes = METRIC_PLAIN(metric_histogram("posthouse_store_group_commands", "Commands committed together.",
                                                       "", METRIC_ONE, sizes, sizeof sizes / sizeof *sizes));
    store->checkpoint_times =
        METRIC_PLAIN(metric_histogram("posthouse_store_checkpoint_duration_seconds",
                                      "Time the writer spent moving what the copier left of the log into the file.", "",
                                      METRIC_SECONDS, metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT));
}

static const char *text_copy(const char *text)
{
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        abort();
    return copy;
}

static void text_free(const char *text)
{
    free((void *)(uintptr_t)text);
}

static struct store *store_new(const struct store_config *config)
{
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    store->config = *config;
    store->engine = config->url ? &postgres_engine : &sqlite_engine;
    store->node = (int64_t)(random_u64() >> 1);
    store->epoch = 1;
    store->lock_fd = -1;
    if (config->readers <= 0)
        store->config.readers = 2;
    if (config->cache_bytes <= 0)
        store->config.cache_bytes = WRITER_CACHE_BYTES;
    if (config->statement_timeout_ms <= 0)
        store->config.statement_timeout_ms = STATEMENT_TIMEOUT_MS;
    if (config->idle_timeout_ms <= 0)
        store->config.idle_timeout_ms = IDLE_TIMEOUT_MS;
    store->config.url = text_copy(config->url);
    store->config.replica = text_copy(config->replica);
    store->config.directory = config->url ? NULL : text_copy(config->directory);
    if (store->config.directory)
        store->path = path_join(config->directory, "posthouse.db");
    pthread_mutex_init(&store->reader_lock, NULL);
    atomic_store(&store->ready, true);
    store_declare_metrics(store);
    return store;
}

enum err store_open(struct op *op, const struct store_config *config, struct store **ret_store)
{
    if (config->readers > READERS_MAX)
        return fail(op, ERR_INVALID, "at most %d reader threads", READERS_MAX);
    assert(config->url || config->directory || !(config->threads || config->read_only));
    struct store *store = store_new(config);
    enum err err = store_open_parts(op, store);
    if (err != OK) {
        store_close(store);
        return err == ERR_UNAVAILABLE ? ERR_IO : err;
    }
    *ret_store = store;
    return OK;
}

/* An orderly end leaves no WAL behind for the next start to replay. */
static void store_last_checkpoint(struct store *store)
{
    if (!store->conn || store->config.read_only || store_is_dead(store))
        return;
    struct op op = { .arena = NULL };
    conn_checkpoint(&op, store->conn, true);
}

/* Stops the threads, then runs here what is still on its way between writer and readers. */
static void store_drain(struct store *store)
{
    if (!store->writer)
        return;
    atomic_store(&store->stopping, true);
    if (store->readers)
        readers_stop(store->readers);
    if (store->door)
        readers_stop(store->door);
    writer_stop(store->writer);
    copier_stop(store->copier);
    store->copier = NULL;
    int n = 1;
    while (n > 0 && !store_is_dead(store)) {
        n = writer_turn(store->writer);
        n += store->readers ? readers_turn(store->readers, store->conn) : store_reads_turn(store);
        n += store->door ? readers_turn(store->door, store->conn) : 0;
    }
}

void store_close(struct store *store)
{
    store_drain(store);
    readers_free(store->readers);
    readers_free(store->door);
    writer_free(store->writer);
    for (int i = 0; store_families[i]; i++)
        if (store->state[i] && store_families[i]->close)
            store_families[i]->close(store->state[i]);
    store_last_checkpoint(store);
    conn_close(store->reader);
    conn_close(store->beside);
    conn_close(store->conn);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    pthread_mutex_destroy(&store->reader_lock);
    free(store->path);
    text_free(store->config.directory);
    text_free(store->config.url);
    text_free(store->config.replica);
    free(store);
}

/* --- a whole schema on a server --- */

/* Runs fn over a connection that belongs to no open store. */
static enum err with_url(struct op *op, const char *url, enum err (*fn)(struct op *op, struct conn *conn, int64_t *ret),
                         int64_t *ret)
{
    struct store_config config = { .url = url };
    struct store *store = store_new(&config);
    enum err err = conn_open(op, store, NULL, CONN_WRITER, &store->conn);
    if (err == OK)
        err = fn(op, store->conn, ret);
    store_close(store);
    return err;
}

static enum err erase_schema(struct op *op, struct conn *conn, int64_t *ret)
{
    (void)ret;
    return conn_exec(op, conn, "DROP SCHEMA IF EXISTS posthouse CASCADE");
}

enum err store_erase(struct op *op, const char *url)
{
    return with_url(op, url, erase_schema, NULL);
}

enum err store_is_there(struct op *op, const char *url, bool *ret_there)
{
    int64_t steps;
    TRY(with_url(op, url, conn_version, &steps));
    *ret_there = steps > 0;
    return OK;
}
