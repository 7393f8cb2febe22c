#include "store/store_queue.h"

#include <stdlib.h>

#include "store/families.h"
#include "store/store_job_log.h"

const struct schema_step queue_step = {
    "queues",
    "CREATE TABLE queue (no INTEGER PRIMARY KEY, version INTEGER NOT NULL, paused INTEGER NOT NULL,"
    " draining INTEGER NOT NULL, gone INTEGER NOT NULL, cut INTEGER NOT NULL, name TEXT NOT NULL, policy TEXT);"
    "CREATE TABLE queue_count (no INTEGER PRIMARY KEY, counts BLOB NOT NULL);"
    "CREATE TABLE key_rate (queue INTEGER, key INTEGER, tat_ns INTEGER NOT NULL, PRIMARY KEY (queue, key))"
    " WITHOUT ROWID;"
    "CREATE TABLE budget (id TEXT PRIMARY KEY, policy TEXT NOT NULL, tat_ns INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE job_clock (no INTEGER PRIMARY KEY, lag_us INTEGER NOT NULL);",
    "CREATE TABLE queue (no BIGINT PRIMARY KEY, version BIGINT NOT NULL, paused BIGINT NOT NULL,"
    " draining BIGINT NOT NULL, gone BIGINT NOT NULL, cut BIGINT NOT NULL, name text COLLATE \"C\" NOT NULL, policy "
    "text COLLATE \"C\");"
    "CREATE TABLE queue_count (no BIGINT PRIMARY KEY, counts BYTEA NOT NULL);"
    "CREATE TABLE key_rate (queue BIGINT, key BIGINT, tat_ns BIGINT NOT NULL, PRIMARY KEY (queue, key));"
    "CREATE TABLE budget (id text COLLATE \"C\" PRIMARY KEY, policy text COLLATE \"C\" NOT NULL, tat_ns BIGINT NOT "
    "NULL);"
    "CREATE TABLE job_clock (no BIGINT PRIMARY KEY, lag_us BIGINT NOT NULL);",
};

SQL(queue_put,
    "INSERT INTO queue (no, version, paused, draining, gone, cut, name, policy)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (no) DO UPDATE SET version = excluded.version,"
    " paused = excluded.paused, draining = excluded.draining, gone = excluded.gone, cut = excluded.cut,"
    " policy = excluded.policy",
    NULL);
SQL(queue_count_put,
    "INSERT INTO queue_count (no, counts) VALUES (?1, ?2) ON CONFLICT (no) DO UPDATE SET counts = excluded.counts",
    NULL);
SQL_SCAN(queue_all,
         "SELECT q.no, q.version, q.paused, q.draining, q.gone, q.cut, q.name, q.policy, c.counts FROM queue q"
         " LEFT JOIN queue_count c ON c.no = q.no",
         NULL);
SQL(key_rate_put,
    "INSERT INTO key_rate (queue, key, tat_ns) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (queue, key) DO UPDATE SET tat_ns = excluded.tat_ns",
    NULL);
SQL(key_rate_get, "SELECT tat_ns FROM key_rate WHERE queue = ?1 AND key = ?2", NULL);
SQL(key_rate_walk, "SELECT queue, key, tat_ns FROM key_rate WHERE (queue, key) > (?1, ?2) ORDER BY queue, key LIMIT ?3",
    NULL);
SQL(key_rate_delete, "DELETE FROM key_rate WHERE queue = ?1 AND key = ?2", NULL);
SQL(budget_put,
    "INSERT INTO budget (id, policy, tat_ns) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE SET policy ="
    " excluded.policy",
    NULL);
SQL(budget_tat, "UPDATE budget SET tat_ns = ?2 WHERE id = ?1", NULL);
SQL(budget_remove, "DELETE FROM budget WHERE id = ?1", NULL);
SQL_SCAN(budget_all, "SELECT id, policy, tat_ns FROM budget", NULL);
SQL(job_clock_get, "SELECT lag_us FROM job_clock WHERE no = 1", NULL);
SQL(job_clock_put,
    "INSERT INTO job_clock (no, lag_us) VALUES (1, ?1) ON CONFLICT (no) DO UPDATE SET lag_us = excluded.lag_us", NULL);

enum err store_queue_put(struct op *op, struct tx *tx, const struct queue_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &queue_put, &stmt));
    bind_int(stmt, 1, row->no);
    bind_int(stmt, 2, row->version);
    bind_int(stmt, 3, row->paused);
    bind_int(stmt, 4, row->draining);
    bind_int(stmt, 5, row->gone);
    bind_int(stmt, 6, (int64_t)row->cut);
    bind_str(stmt, 7, row->name);
    bind_str(stmt, 8, row->policy);
    return stmt_later(op, stmt);
}

enum err store_queue_count(struct op *op, struct tx *tx, uint32_t no, const struct queue_counts *counts)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &queue_count_put, &stmt));
    bind_int(stmt, 1, no);
    bind_blob(stmt, 2, counts, sizeof *counts);
    return stmt_later(op, stmt);
}

/* What the log says of each queue, newest last. */
struct logged {
    struct queue_counts_entry *entries; /* by number; no 0: the log does not know it */
    size_t room;
};

static void note_counts(void *arg, struct str counts)
{
    struct logged *logged = arg;
    struct queue_counts_entry entry;
    for (; counts.n >= sizeof entry; counts.p += sizeof entry, counts.n -= sizeof entry) {
        memcpy(&entry, counts.p, sizeof entry);
        if (entry.no > UINT32_MAX)
            continue;
        if (entry.no >= logged->room) {
            size_t room = 2 * entry.no + 16;
            logged->entries = realloc(logged->entries, room * sizeof *logged->entries);
            if (!logged->entries)
                abort();
            memset(logged->entries + logged->room, 0, (room - logged->room) * sizeof *logged->entries);
            logged->room = room;
        }
        logged->entries[entry.no] = entry;
    }
}

static enum err each_queue(struct op *op, struct tx *tx, const struct logged *logged,
                           enum err (*fn)(void *arg, const struct queue_row *row, const struct queue_counts *counts),
                           void *arg);

enum err store_queue_each(struct op *op, struct tx *tx,
                          enum err (*fn)(void *arg, const struct queue_row *row, const struct queue_counts *counts),
                          void *arg)
{
    struct logged logged = { 0 };
    enum err err = tx_is_shared(tx) ? store_job_log_counts(op, tx, note_counts, &logged) : OK;
    if (err == OK)
        err = each_queue(op, tx, &logged, fn, arg);
    free(logged.entries);
    return err;
}

enum err store_queue_fold(struct op *op, struct tx *tx)
{
    struct logged logged = { 0 };
    enum err err = tx_is_shared(tx) ? store_job_log_counts(op, tx, note_counts, &logged) : OK;
    for (size_t i = 0; i < logged.room && err == OK; i++)
        if (logged.entries[i].no)
            err = store_queue_count(op, tx, (uint32_t)i, &logged.entries[i].counts);
    free(logged.entries);
    return err;
}

static enum err each_queue(struct op *op, struct tx *tx, const struct logged *logged,
                           enum err (*fn)(void *arg, const struct queue_row *row, const struct queue_counts *counts),
                           void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &queue_all, &stmt));
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct queue_row row = {
            .no = (uint32_t)col_int(stmt, 0),
            .version = col_int(stmt, 1),
            .paused = col_int(stmt, 2) != 0,
            .draining = col_int(stmt, 3) != 0,
            .gone = col_int(stmt, 4) != 0,
            .cut = (uint64_t)col_int(stmt, 5),
            .name = col_str_borrowed(stmt, 6),
            .policy = col_str_borrowed(stmt, 7),
        };
        struct queue_counts counts = { 0 };
        struct str bytes = col_blob_borrowed(stmt, 8);
        if (bytes.n == sizeof counts)
            memcpy(&counts, bytes.p, sizeof counts);
        if (row.no < logged->room && logged->entries[row.no].no)
            counts = logged->entries[row.no].counts;
        TRY(fn(arg, &row, &counts));
    }
    return OK;
}

enum err store_key_rate_put(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key, int64_t tat_ns)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &key_rate_put, &stmt));
    bind_int(stmt, 1, queue_no);
    bind_int(stmt, 2, (int64_t)key);
    bind_int(stmt, 3, tat_ns);
    return stmt_later(op, stmt);
}

enum err store_key_rate_get(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key, int64_t *ret_tat_ns)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &key_rate_get, &stmt));
    bind_int(stmt, 1, queue_no);
    bind_int(stmt, 2, (int64_t)key);
    TRY(stmt_row(op, stmt, &found));
    *ret_tat_ns = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_key_rate_walk(struct op *op, struct tx *tx, const struct key_rate_row *after, int max,
                             struct key_rate_row *ret, int *ret_count)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &key_rate_walk, &stmt));
    bind_int(stmt, 1, after->queue_no);
    bind_int(stmt, 2, (int64_t)after->key);
    bind_int(stmt, 3, max);
    *ret_count = 0;
    for (;;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        ret[(*ret_count)++] =
            (struct key_rate_row){ (uint32_t)col_int(stmt, 0), (uint64_t)col_int(stmt, 1), col_int(stmt, 2) };
    }
}

enum err store_key_rate_delete(struct op *op, struct tx *tx, uint32_t queue_no, uint64_t key)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &key_rate_delete, &stmt));
    bind_int(stmt, 1, queue_no);
    bind_int(stmt, 2, (int64_t)key);
    return stmt_later(op, stmt);
}

enum err store_budget_put(struct op *op, struct tx *tx, const struct budget_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &budget_put, &stmt));
    bind_str(stmt, 1, row->id);
    bind_str(stmt, 2, row->policy);
    bind_int(stmt, 3, row->tat_ns);
    return stmt_later(op, stmt);
}

enum err store_budget_tat(struct op *op, struct tx *tx, struct str id, int64_t tat_ns)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &budget_tat, &stmt));
    bind_str(stmt, 1, id);
    bind_int(stmt, 2, tat_ns);
    return stmt_later(op, stmt);
}

enum err store_budget_delete(struct op *op, struct tx *tx, struct str id)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &budget_remove, &stmt));
    bind_str(stmt, 1, id);
    return stmt_later(op, stmt);
}

enum err store_budget_each(struct op *op, struct tx *tx, enum err (*fn)(void *arg, const struct budget_row *row),
                           void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &budget_all, &stmt));
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct budget_row row = { col_str_borrowed(stmt, 0), col_str_borrowed(stmt, 1), col_int(stmt, 2) };
        TRY(fn(arg, &row));
    }
    return OK;
}

enum err store_job_clock_get(struct op *op, struct tx *tx, int64_t *ret_lag_us)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &job_clock_get, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_lag_us = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_job_clock_put(struct op *op, struct tx *tx, int64_t lag_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_clock_put, &stmt));
    bind_int(stmt, 1, lag_us);
    return stmt_later(op, stmt);
}
