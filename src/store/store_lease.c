#include "store/store_lease.h"

#include "store/families.h"
#include "store/job_rows.h"

const struct schema_step lease_step = {
    "leases",
    "CREATE TABLE lease (id INTEGER PRIMARY KEY, number INTEGER NOT NULL, session INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL, started_us INTEGER NOT NULL, until_us INTEGER NOT NULL, hard_us INTEGER NOT NULL,"
    " ord INTEGER NOT NULL, attempt INTEGER NOT NULL, worker TEXT);"
    "CREATE TABLE session (no INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, state INTEGER NOT NULL,"
    " http INTEGER NOT NULL, pid INTEGER NOT NULL, since_us INTEGER NOT NULL, name TEXT NOT NULL, hostname TEXT,"
    " labels TEXT);",
    "CREATE TABLE lease (id BIGINT PRIMARY KEY, number BIGINT NOT NULL, session BIGINT NOT NULL,"
    " epoch BIGINT NOT NULL, started_us BIGINT NOT NULL, until_us BIGINT NOT NULL, hard_us BIGINT NOT NULL,"
    " ord BIGINT NOT NULL, attempt BIGINT NOT NULL, worker TEXT);"
    "CREATE TABLE session (no BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, state BIGINT NOT NULL,"
    " http BIGINT NOT NULL, pid BIGINT NOT NULL, since_us BIGINT NOT NULL, name TEXT NOT NULL, hostname TEXT,"
    " labels TEXT);",
};

const struct schema_step lease_node_step = {
    "nodes of leases",
    "ALTER TABLE lease ADD COLUMN node INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE lease ADD COLUMN node BIGINT NOT NULL DEFAULT 0;",
};

#define LEASE_COLUMNS "id, number, session, epoch, started_us, until_us, hard_us, ord, attempt, node, worker"

SQL(lease_insert, "INSERT INTO lease (" LEASE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)", NULL);
SQL(lease_remove, "DELETE FROM lease WHERE id = ?1", NULL);
SQL(lease_prolong, "UPDATE lease SET until_us = ?2 WHERE id = ?1", NULL);
SQL(lease_get, "SELECT " LEASE_COLUMNS " FROM lease WHERE id = ?1", NULL);
SQL(lease_behind, "SELECT " LEASE_COLUMNS " FROM lease WHERE id > ?1 ORDER BY id LIMIT ?2", NULL);
SQL_SCAN(lease_all, /* at a start: as many as there are jobs under way */
         "SELECT l.id, l.number, l.session, l.epoch, l.started_us, l.until_us, l.hard_us, l.ord, l.attempt, l.node,"
         " l.worker, j.queue, j.flags, j.jid, j.type, j.opts FROM lease l JOIN job j ON j.id = l.id",
         NULL);
SQL(session_insert,
    "INSERT INTO session (no, epoch, state, http, pid, since_us, name, hostname, labels)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
    " ON CONFLICT (no) DO UPDATE SET epoch = excluded.epoch, state = excluded.state, http = excluded.http,"
    " pid = excluded.pid, since_us = excluded.since_us, hostname = excluded.hostname, labels = excluded.labels",
    NULL);
SQL(session_remove, "DELETE FROM session WHERE no = ?1", NULL);
SQL_SCAN(session_all, "SELECT no, epoch, state, http, pid, since_us, name, hostname, labels FROM session", NULL);

enum err store_lease_add(struct op *op, struct tx *tx, const struct lease_row *row)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows) {
        job_rows_lease_add(tx, rows, row);
        return OK;
    }
    TRY(tx_stmt(op, tx, &lease_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->id);
    bind_int(stmt, 2, (int64_t)row->number);
    bind_int(stmt, 3, row->session_no);
    bind_int(stmt, 4, row->session_epoch);
    bind_int(stmt, 5, row->started_us);
    bind_int(stmt, 6, row->until_us);
    bind_int(stmt, 7, row->hard_us);
    bind_int(stmt, 8, (int64_t)row->ord);
    bind_int(stmt, 9, row->attempt);
    bind_int(stmt, 10, (int64_t)row->node);
    bind_str(stmt, 11, row->worker);
    return stmt_later(op, stmt);
}

enum err store_lease_delete(struct op *op, struct tx *tx, uint64_t id)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows) {
        job_rows_lease_delete(tx, rows, id);
        return OK;
    }
    TRY(tx_stmt(op, tx, &lease_remove, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    return stmt_later(op, stmt);
}

enum err store_lease_extend(struct op *op, struct tx *tx, uint64_t id, int64_t until_us)
{
    struct stmt *stmt;
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &lease_prolong, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    bind_int(stmt, 2, until_us);
    return stmt_later(op, stmt);
}

static struct lease_row lease_of(struct stmt *stmt, struct str worker)
{
    return (struct lease_row){
        .id = (uint64_t)col_int(stmt, 0),
        .number = (uint64_t)col_int(stmt, 1),
        .session_no = (uint32_t)col_int(stmt, 2),
        .session_epoch = (uint32_t)col_int(stmt, 3),
        .started_us = col_int(stmt, 4),
        .until_us = col_int(stmt, 5),
        .hard_us = col_int(stmt, 6),
        .ord = (uint64_t)col_int(stmt, 7),
        .attempt = (int)col_int(stmt, 8),
        .node = (uint64_t)col_int(stmt, 9),
        .worker = worker,
    };
}

enum err store_lease_get(struct op *op, struct tx *tx, uint64_t id, struct lease_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &lease_get, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct lease_row){ 0 };
    if (found)
        *ret = lease_of(stmt, col_str(op, stmt, 10));
    stmt_reset(stmt);
    return OK;
}

enum err store_lease_each(struct op *op, struct tx *tx,
                          enum err (*fn)(void *arg, const struct lease_row *lease, const struct job_row *job),
                          void *arg)
{
    struct stmt *stmt;
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &lease_all, &stmt));
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct lease_row lease = lease_of(stmt, col_str_borrowed(stmt, 10));
        struct job_row job = {
            .id = lease.id,
            .queue_no = (uint32_t)col_int(stmt, 11),
            .flags = (uint32_t)col_int(stmt, 12),
            .jid = col_str_borrowed(stmt, 13),
            .type = col_str_borrowed(stmt, 14),
            .opts = col_blob_borrowed(stmt, 15),
        };
        TRY(fn(arg, &lease, &job));
    }
    return OK;
}

enum err store_lease_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct lease_row **ret,
                          size_t *ret_count)
{
    struct stmt *stmt;
    struct lease_row *rows;
    size_t n = 0;
    TRY(op_alloc(op, (size_t)max * sizeof *rows, &rows));
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &lease_behind, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            rows[n++] = lease_of(stmt, col_str(op, stmt, 10));
    }
    *ret = rows;
    *ret_count = n;
    return OK;
}

enum err store_session_put(struct op *op, struct tx *tx, const struct session_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &session_insert, &stmt));
    bind_int(stmt, 1, row->no);
    bind_int(stmt, 2, row->epoch);
    bind_int(stmt, 3, row->state);
    bind_int(stmt, 4, row->http);
    bind_int(stmt, 5, row->pid);
    bind_int(stmt, 6, row->since_us);
    bind_str(stmt, 7, row->name);
    bind_str(stmt, 8, row->hostname);
    bind_str(stmt, 9, row->labels);
    return stmt_later(op, stmt);
}

enum err store_session_delete(struct op *op, struct tx *tx, uint32_t no)
{
    return stmt_by_no(op, tx, &session_remove, no);
}

enum err store_session_each(struct op *op, struct tx *tx, enum err (*fn)(void *arg, const struct session_row *row),
                            void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &session_all, &stmt));
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct session_row row = {
            .no = (uint32_t)col_int(stmt, 0),
            .epoch = (uint32_t)col_int(stmt, 1),
            .state = (int)col_int(stmt, 2),
            .http = col_int(stmt, 3) != 0,
            .pid = col_int(stmt, 4),
            .since_us = col_int(stmt, 5),
            .name = col_str_borrowed(stmt, 6),
            .hostname = col_str_borrowed(stmt, 7),
            .labels = col_str_borrowed(stmt, 8),
        };
        TRY(fn(arg, &row));
    }
    return OK;
}
