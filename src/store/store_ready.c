#include "store/store_ready.h"

#include "store/aside_rows.h"
#include "store/families.h"
#include "store/job_rows.h"

#define TOGETHER 32 /* rows of ready_insert_many */
#define ROW      "(?, ?, ?, ?, ?)"
#define ROWS_4   ROW ", " ROW ", " ROW ", " ROW
#define ROWS_16  ROWS_4 ", " ROWS_4 ", " ROWS_4 ", " ROWS_4

const struct schema_step ready_step = {
    "ready",
    "CREATE TABLE ready (queue INTEGER, level INTEGER, key INTEGER, ord INTEGER, job INTEGER NOT NULL,"
    " PRIMARY KEY (queue, level, key, ord)) WITHOUT ROWID;"
    "CREATE TABLE timer (kind INTEGER, due_us INTEGER, id INTEGER, PRIMARY KEY (kind, due_us, id)) WITHOUT ROWID;"
    "CREATE TABLE blocked (gate INTEGER, ord INTEGER, id INTEGER NOT NULL, PRIMARY KEY (gate, ord)) WITHOUT ROWID;"
    "CREATE TABLE gate (gate INTEGER PRIMARY KEY, holder INTEGER NOT NULL, lease INTEGER NOT NULL);",
    "CREATE TABLE ready (queue BIGINT, level BIGINT, key BIGINT, ord BIGINT, job BIGINT NOT NULL,"
    " PRIMARY KEY (queue, level, key, ord));"
    "CREATE TABLE timer (kind BIGINT, due_us BIGINT, id BIGINT, PRIMARY KEY (kind, due_us, id));"
    "CREATE TABLE blocked (gate BIGINT, ord BIGINT, id BIGINT NOT NULL, PRIMARY KEY (gate, ord));"
    "CREATE TABLE gate (gate BIGINT PRIMARY KEY, holder BIGINT NOT NULL, lease BIGINT NOT NULL);",
};

/* --- ready --- */

SQL(ready_insert, "INSERT INTO ready (queue, level, key, ord, job) VALUES (?1, ?2, ?3, ?4, ?5)", NULL);
SQL_MARKED(ready_insert_many, "INSERT INTO ready (queue, level, key, ord, job) VALUES " ROWS_16 ", " ROWS_16, NULL,
           SQL_SQLITE | SQL_SCANS); /* scans the rows it is given */
SQL(ready_remove, "DELETE FROM ready WHERE queue = ?1 AND level = ?2 AND key = ?3 AND ord = ?4", NULL);
SQL(ready_of_lane,
    "SELECT ord, job FROM ready WHERE queue = ?1 AND level = ?2 AND key = ?3 AND ord > ?4 ORDER BY ord LIMIT ?5", NULL);
SQL(ready_next_key,
    "SELECT level, key, ord, job FROM ready WHERE queue = ?1 AND level = ?2 AND key > ?3"
    " ORDER BY key, ord LIMIT 1",
    NULL);
SQL(ready_next_level,
    "SELECT level, key, ord, job FROM ready WHERE queue = ?1 AND level > ?2 ORDER BY level, key, ord LIMIT 1", NULL);
SQL(ready_behind,
    "SELECT level, key, ord, job FROM ready WHERE queue = ?1 AND (level, key, ord) > (?2, ?3, ?4)"
    " ORDER BY level, key, ord LIMIT ?5",
    NULL);

static void bind_row(struct stmt *stmt, int at, const struct ready_row *row)
{
    bind_int(stmt, at, row->queue_no);
    bind_int(stmt, at + 1, row->level);
    bind_int(stmt, at + 2, (int64_t)row->key);
    bind_int(stmt, at + 3, (int64_t)row->ord);
    bind_int(stmt, at + 4, (int64_t)row->job);
}

enum err store_ready_add(struct op *op, struct tx *tx, const struct ready_row *row)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows) {
        job_rows_ready_add(tx, rows, row);
        return OK;
    }
    TRY(tx_stmt(op, tx, &ready_insert, &stmt));
    bind_row(stmt, 1, row);
    return stmt_later(op, stmt);
}

enum err store_ready_add_all(struct op *op, struct tx *tx, const struct ready_row *rows, size_t count)
{
    size_t i = 0, together = job_rows_of(tx) ? 0 : count;
    for (; i + TOGETHER <= together; i += TOGETHER) {
        struct stmt *stmt;
        TRY(tx_stmt(op, tx, &ready_insert_many, &stmt));
        for (int k = 0; k < TOGETHER; k++)
            bind_row(stmt, 1 + k * 5, &rows[i + (size_t)k]);
        TRY(stmt_done(op, stmt));
    }
    for (; i < count; i++)
        TRY(store_ready_add(op, tx, &rows[i]));
    return OK;
}

enum err store_ready_delete(struct op *op, struct tx *tx, const struct ready_row *row)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows) {
        job_rows_ready_delete(tx, rows, row);
        return OK;
    }
    TRY(tx_stmt(op, tx, &ready_remove, &stmt));
    bind_int(stmt, 1, row->queue_no);
    bind_int(stmt, 2, row->level);
    bind_int(stmt, 3, (int64_t)row->key);
    bind_int(stmt, 4, (int64_t)row->ord);
    return stmt_later(op, stmt);
}

enum err store_ready_lane(struct op *op, struct tx *tx, const struct ready_row *lane, uint64_t after, int max,
                          struct ready_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &ready_of_lane, &stmt));
    bind_int(stmt, 1, lane->queue_no);
    bind_int(stmt, 2, lane->level);
    bind_int(stmt, 3, (int64_t)lane->key);
    bind_int(stmt, 4, (int64_t)after);
    bind_int(stmt, 5, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more) {
            ret[n] = *lane;
            ret[n].ord = (uint64_t)col_int(stmt, 0);
            ret[n++].job = (uint64_t)col_int(stmt, 1);
        }
    }
    *ret_count = n;
    return OK;
}

static struct ready_row ready_of(struct stmt *stmt, uint32_t queue_no)
{
    return (struct ready_row){
        .queue_no = queue_no,
        .level = (int)col_int(stmt, 0),
        .key = (uint64_t)col_int(stmt, 1),
        .ord = (uint64_t)col_int(stmt, 2),
        .job = (uint64_t)col_int(stmt, 3),
    };
}

enum err store_ready_next_lane(struct op *op, struct tx *tx, uint32_t queue_no, int level, uint64_t key,
                               struct ready_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    *ret_found = false;
    TRY(job_rows_write(op, tx));
    if (level >= 0) {
        TRY(tx_stmt(op, tx, &ready_next_key, &stmt));
        bind_int(stmt, 1, queue_no);
        bind_int(stmt, 2, level);
        bind_int(stmt, 3, (int64_t)key);
        TRY(stmt_row(op, stmt, ret_found));
    }
    if (!*ret_found) {
        TRY(tx_stmt(op, tx, &ready_next_level, &stmt));
        bind_int(stmt, 1, queue_no);
        bind_int(stmt, 2, level);
        TRY(stmt_row(op, stmt, ret_found));
    }
    if (*ret_found) {
        *ret = ready_of(stmt, queue_no);
        stmt_reset(stmt);
    }
    return OK;
}

enum err store_ready_walk(struct op *op, struct tx *tx, const struct ready_row *from, int max, struct ready_row *ret,
                          int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(job_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &ready_behind, &stmt));
    bind_int(stmt, 1, from->queue_no);
    bind_int(stmt, 2, from->level);
    bind_int(stmt, 3, (int64_t)from->key);
    bind_int(stmt, 4, (int64_t)from->ord);
    bind_int(stmt, 5, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[n++] = ready_of(stmt, from->queue_no);
    }
    *ret_count = n;
    return OK;
}

/* --- timers --- */

SQL(timer_insert, "INSERT INTO timer (kind, due_us, id) VALUES (?1, ?2, ?3)", NULL);
SQL(timer_remove, "DELETE FROM timer WHERE kind = ?1 AND due_us = ?2 AND id = ?3", NULL);
SQL(timer_behind,
    "SELECT due_us, id FROM timer WHERE kind = ?1 AND (due_us, id) > (?2, ?3) AND due_us <= ?4"
    " ORDER BY due_us, id LIMIT ?5",
    NULL);

static enum err timer_change(struct op *op, struct tx *tx, const struct sql *sql, enum timer_kind kind, int64_t due_us,
                             uint64_t id)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_int(stmt, 1, kind);
    bind_int(stmt, 2, due_us);
    bind_int(stmt, 3, (int64_t)id);
    return stmt_later(op, stmt);
}

enum err store_timer_add(struct op *op, struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id)
{
    return aside_rows_timer_add(tx, kind, due_us, id) ? OK : timer_change(op, tx, &timer_insert, kind, due_us, id);
}

enum err store_timer_delete(struct op *op, struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id)
{
    return aside_rows_timer_delete(tx, kind, due_us, id) ? OK : timer_change(op, tx, &timer_remove, kind, due_us, id);
}

enum err store_timer_walk(struct op *op, struct tx *tx, enum timer_kind kind, const struct timer_row *from,
                          int64_t until_us, int max, struct timer_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(aside_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &timer_behind, &stmt));
    bind_int(stmt, 1, kind);
    bind_int(stmt, 2, from->due_us);
    bind_int(stmt, 3, (int64_t)from->id);
    bind_int(stmt, 4, until_us);
    bind_int(stmt, 5, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[n++] = (struct timer_row){ col_int(stmt, 0), (uint64_t)col_int(stmt, 1) };
    }
    *ret_count = n;
    return OK;
}

/* --- gates --- */

SQL(gate_get, "SELECT holder, lease FROM gate WHERE gate = ?1", NULL);
SQL(gate_put,
    "INSERT INTO gate (gate, holder, lease) VALUES (?1, ?2, ?3)"
    " ON CONFLICT (gate) DO UPDATE SET holder = excluded.holder, lease = excluded.lease",
    NULL);
SQL(gate_remove, "DELETE FROM gate WHERE gate = ?1", NULL);
SQL(gate_behind, "SELECT gate, holder, lease FROM gate WHERE gate > ?1 ORDER BY gate LIMIT ?2", NULL);
SQL(blocked_insert, "INSERT INTO blocked (gate, ord, id) VALUES (?1, ?2, ?3)", NULL);
SQL(blocked_remove, "DELETE FROM blocked WHERE gate = ?1 AND ord = ?2", NULL);
SQL(blocked_of_gate, "SELECT gate, ord, id FROM blocked WHERE gate = ?1 AND ord > ?2 ORDER BY ord LIMIT ?3", NULL);
SQL(blocked_behind, "SELECT gate, ord, id FROM blocked WHERE (gate, ord) > (?1, ?2) ORDER BY gate, ord LIMIT ?3", NULL);

enum err store_gate_get(struct op *op, struct tx *tx, uint64_t gate, struct gate_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &gate_get, &stmt));
    bind_int(stmt, 1, (int64_t)gate);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct gate_row){ 0 };
    if (found)
        *ret = (struct gate_row){ (uint64_t)col_int(stmt, 0), (uint64_t)col_int(stmt, 1) };
    stmt_reset(stmt);
    return OK;
}

enum err store_gate_put(struct op *op, struct tx *tx, uint64_t gate, const struct gate_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &gate_put, &stmt));
    bind_int(stmt, 1, (int64_t)gate);
    bind_int(stmt, 2, (int64_t)row->holder);
    bind_int(stmt, 3, (int64_t)row->lease);
    return stmt_later(op, stmt);
}

enum err store_gate_delete(struct op *op, struct tx *tx, uint64_t gate)
{
    return stmt_by_no(op, tx, &gate_remove, gate);
}

enum err store_gate_walk(struct op *op, struct tx *tx, int64_t after, int max, uint64_t *ret_gates,
                         struct gate_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(tx_stmt(op, tx, &gate_behind, &stmt));
    bind_int(stmt, 1, after);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more) {
            ret_gates[n] = (uint64_t)col_int(stmt, 0);
            ret[n++] = (struct gate_row){ (uint64_t)col_int(stmt, 1), (uint64_t)col_int(stmt, 2) };
        }
    }
    *ret_count = n;
    return OK;
}

enum err store_blocked_add(struct op *op, struct tx *tx, const struct blocked_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &blocked_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->gate);
    bind_int(stmt, 2, (int64_t)row->ord);
    bind_int(stmt, 3, (int64_t)row->id);
    return stmt_later(op, stmt);
}

enum err store_blocked_delete(struct op *op, struct tx *tx, uint64_t gate, uint64_t ord)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &blocked_remove, &stmt));
    bind_int(stmt, 1, (int64_t)gate);
    bind_int(stmt, 2, (int64_t)ord);
    return stmt_later(op, stmt);
}

enum err store_blocked_walk(struct op *op, struct tx *tx, const struct blocked_row *from, bool same, int max,
                            struct blocked_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(tx_stmt(op, tx, same ? &blocked_of_gate : &blocked_behind, &stmt));
    bind_int(stmt, 1, (int64_t)from->gate);
    bind_int(stmt, 2, (int64_t)from->ord);
    bind_int(stmt, 3, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[n++] = (struct blocked_row){ (uint64_t)col_int(stmt, 0), (uint64_t)col_int(stmt, 1),
                                             (uint64_t)col_int(stmt, 2) };
    }
    *ret_count = n;
    return OK;
}
