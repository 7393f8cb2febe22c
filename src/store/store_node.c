#include "store/store_node.h"

#include <assert.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step node_step = {
    "nodes",
    "CREATE TABLE node (no INTEGER PRIMARY KEY, id TEXT NOT NULL, epoch INTEGER NOT NULL, process TEXT NOT NULL,"
    " version TEXT NOT NULL, steps INTEGER NOT NULL, started_at_us INTEGER NOT NULL, beat_at_us INTEGER NOT NULL,"
    " offset_us INTEGER, lost INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX node_id ON node (id);"
    "CREATE TABLE duty (name TEXT PRIMARY KEY, node_no INTEGER NOT NULL, node_epoch INTEGER NOT NULL,"
    " term INTEGER NOT NULL, until_us INTEGER NOT NULL) WITHOUT ROWID;",
    "CREATE TABLE node (no bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, epoch bigint NOT NULL,"
    " process " PG_TEXT " NOT NULL, version " PG_TEXT " NOT NULL, steps bigint NOT NULL,"
    " started_at_us bigint NOT NULL, beat_at_us bigint NOT NULL, offset_us bigint, lost bigint NOT NULL)" PG_CHANGES ";"
    "CREATE UNIQUE INDEX node_id ON node (id);"
    "CREATE TABLE duty (name " PG_TEXT " PRIMARY KEY, node_no bigint NOT NULL, node_epoch bigint NOT NULL,"
    " term bigint NOT NULL, until_us bigint NOT NULL)" PG_CHANGES ";",
};

/* now() would be the begin of the transaction, which may have waited long for its turn. */
#define POSTGRES_CLOCK_US "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

SQL_ONLY_POSTGRES(node_clock, "SELECT " POSTGRES_CLOCK_US);
SQL(node_look, "SELECT epoch, lost, 0 FROM node WHERE no = ?1",
    "SELECT epoch, lost, " POSTGRES_CLOCK_US " FROM node WHERE no = ?1");

#define NODE_COLUMNS "no, id, epoch, process, version, steps, started_at_us, beat_at_us, offset_us, lost"
SQL(node_by_id, "SELECT " NODE_COLUMNS " FROM node WHERE id = ?1", NULL);
SQL_SCAN(node_all, "SELECT " NODE_COLUMNS " FROM node ORDER BY id LIMIT ?1", NULL);
SQL_SCAN(node_count, "SELECT count(*), count(*) FILTER (WHERE lost = 0) FROM node", NULL);
SQL(node_put,
    "INSERT INTO node (" NODE_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (no) DO UPDATE"
    " SET epoch = excluded.epoch, process = excluded.process, version = excluded.version, steps = excluded.steps,"
    " started_at_us = excluded.started_at_us, beat_at_us = excluded.beat_at_us, offset_us = excluded.offset_us,"
    " lost = excluded.lost",
    NULL);
SQL(node_beat, "UPDATE node SET beat_at_us = ?3, offset_us = ?4 WHERE no = ?1 AND epoch = ?2 AND lost = 0", NULL);
SQL_SCAN(
    node_silent,
    "SELECT count(*) FROM node WHERE (lost = 0 AND beat_at_us < ?1 AND no <> ?3) OR (lost = 1 AND beat_at_us < ?2)",
    NULL);
SQL_SCAN(node_lose, "UPDATE node SET lost = 1 WHERE lost = 0 AND beat_at_us < ?1 AND no <> ?2", NULL);
SQL_SCAN(node_forget, "DELETE FROM node WHERE lost = 1 AND beat_at_us < ?1", NULL);
SQL(node_end, "DELETE FROM node WHERE no = ?1 AND epoch = ?2", NULL);

enum err store_clock_us(struct op *op, struct tx *tx, int64_t *ret_us)
{
    struct stmt *stmt;
    bool found;
    if (!tx_has_clock(tx)) {
        *ret_us = op->now_us;
        return OK;
    }
    TRY(tx_stmt(op, tx, &node_clock, &stmt));
    TRY(stmt_row(op, stmt, &found));
    assert(found); /* there is no table to be empty */
    *ret_us = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static struct node_row node_columns(struct op *op, struct stmt *stmt)
{
    return (struct node_row){
        .no = (uint32_t)col_int(stmt, 0),
        .id = col_str(op, stmt, 1),
        .epoch = (uint64_t)col_int(stmt, 2),
        .process = col_str(op, stmt, 3),
        .version = col_str(op, stmt, 4),
        .steps = col_int(stmt, 5),
        .started_at_us = col_int(stmt, 6),
        .beat_at_us = col_int(stmt, 7),
        .offset_us = col_int_null(stmt, 8, NODE_NO_OFFSET),
        .is_lost = col_int(stmt, 9) != 0,
    };
}

enum err store_node_find(struct op *op, struct tx *tx, struct str id, struct node_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &node_by_id, &stmt));
    bind_str(stmt, 1, id);
    TRY(stmt_row(op, stmt, ret_found));
    if (*ret_found)
        *ret = node_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

static enum err count_rows(struct op *op, struct tx *tx, int *ret_all, int *ret_alive)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &node_count, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_all = found ? (int)col_int(stmt, 0) : 0;
    *ret_alive = found ? (int)col_int(stmt, 1) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_node_count(struct op *op, struct tx *tx, int *ret_alive)
{
    int all;
    return count_rows(op, tx, &all, ret_alive);
}

static enum err check_room(struct op *op, struct tx *tx)
{
    int all, alive;
    TRY(count_rows(op, tx, &all, &alive));
    if (all >= NODES_MAX)
        return fail(op, ERR_UNAVAILABLE, "the database knows %d nodes already, lost ones included", NODES_MAX);
    return OK;
}

enum err store_node_start(struct op *op, struct tx *tx, struct node_row *row)
{
    assert(row->id.n <= NODE_ID_BYTES_MAX && row->process.n <= NODE_PROCESS_BYTES_MAX);
    struct stmt *stmt;
    if (row->no == 0) {
        TRY(check_room(op, tx));
        row->no = (uint32_t)store_seq_next(tx, SEQ_NODE);
    }
    row->epoch = store_seq_next(tx, SEQ_NODE_EPOCH);
    TRY(tx_stmt(op, tx, &node_put, &stmt));
    bind_int(stmt, 1, row->no);
    bind_str(stmt, 2, row->id);
    bind_int(stmt, 3, (int64_t)row->epoch);
    bind_str(stmt, 4, row->process);
    bind_str(stmt, 5, row->version);
    bind_int(stmt, 6, row->steps);
    bind_int(stmt, 7, row->started_at_us);
    bind_int(stmt, 8, row->beat_at_us);
    bind_int_null(stmt, 9, row->offset_us, NODE_NO_OFFSET);
    bind_int(stmt, 10, row->is_lost);
    return stmt_done(op, stmt);
}

enum err store_node_beat(struct op *op, struct tx *tx, const struct node_self *self, int64_t at_us, int64_t offset_us,
                         bool *ret_is_alive)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &node_beat, &stmt));
    bind_int(stmt, 1, self->no);
    bind_int(stmt, 2, (int64_t)self->epoch);
    bind_int(stmt, 3, at_us);
    bind_int_null(stmt, 4, offset_us, NODE_NO_OFFSET);
    TRY(stmt_done(op, stmt));
    *ret_is_alive = stmt_changes(stmt) == 1;
    return OK;
}

enum err store_node_look(struct op *op, struct tx *tx, const struct node_self *self, bool *ret_is_alive,
                         int64_t *ret_clock_us)
{
    struct stmt *stmt;
    bool found;
    if (self->no == 0) {
        *ret_is_alive = true;
        return store_clock_us(op, tx, ret_clock_us);
    }
    TRY(tx_stmt(op, tx, &node_look, &stmt));
    bind_int(stmt, 1, self->no);
    TRY(stmt_row(op, stmt, &found));
    *ret_is_alive = found && (uint64_t)col_int(stmt, 0) == self->epoch && col_int(stmt, 1) == 0;
    if (!found)
        return store_clock_us(op, tx, ret_clock_us);
    *ret_clock_us = tx_has_clock(tx) ? col_int(stmt, 2) : op->now_us;
    stmt_reset(stmt);
    return OK;
}

enum err store_node_is_silent(struct op *op, struct tx *tx, int64_t lose_us, int64_t forget_us, uint32_t except_no,
                              bool *ret_some)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &node_silent, &stmt));
    bind_int(stmt, 1, lose_us);
    bind_int(stmt, 2, forget_us);
    bind_int(stmt, 3, except_no);
    TRY(stmt_row(op, stmt, &found));
    *ret_some = found && col_int(stmt, 0) > 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_node_lose(struct op *op, struct tx *tx, int64_t before_us, uint32_t except_no, int64_t *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &node_lose, &stmt));
    bind_int(stmt, 1, before_us);
    bind_int(stmt, 2, except_no);
    TRY(stmt_done(op, stmt));
    *ret_count = stmt_changes(stmt);
    return OK;
}

enum err store_node_forget(struct op *op, struct tx *tx, int64_t before_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &node_forget, &stmt));
    bind_int(stmt, 1, before_us);
    return stmt_done(op, stmt);
}

enum err store_node_end(struct op *op, struct tx *tx, const struct node_self *self)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &node_end, &stmt));
    bind_int(stmt, 1, self->no);
    bind_int(stmt, 2, (int64_t)self->epoch);
    return stmt_done(op, stmt);
}

enum err store_node_list(struct op *op, struct tx *tx, struct node_row **ret, size_t *ret_count)
{
    struct node_row *rows;
    struct stmt *stmt;
    size_t n = 0;
    TRY(op_alloc(op, NODES_MAX * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &node_all, &stmt));
    bind_int(stmt, 1, NODES_MAX);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            rows[n++] = node_columns(op, stmt);
    }
    *ret = rows;
    *ret_count = n;
    return OK;
}
