#include "store/store_move.h"

#include <stdio.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"

const struct schema_step move_step = {
    .name = "moves",
    .sqlite = "CREATE TABLE move(role INTEGER PRIMARY KEY, mark TEXT NOT NULL, peer TEXT NOT NULL,"
              " at_ms INTEGER NOT NULL, done INTEGER NOT NULL, at_group INTEGER NOT NULL);",
    .postgres = "CREATE TABLE move(role bigint PRIMARY KEY, mark " PG_TEXT " NOT NULL, peer " PG_TEXT " NOT NULL,"
                " at_ms bigint NOT NULL, done bigint NOT NULL, at_group bigint NOT NULL);",
};

SQL(move_get, "SELECT mark, peer, at_ms, done, at_group FROM move WHERE role = ?1", NULL);
SQL(move_put,
    "INSERT INTO move(role, mark, peer, at_ms, done, at_group) VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(role)"
    " DO UPDATE SET mark = excluded.mark, peer = excluded.peer, at_ms = excluded.at_ms, done = excluded.done,"
    " at_group = excluded.at_group",
    NULL);
SQL(move_drop, "DELETE FROM move WHERE role = ?1", NULL);
SQL_ONLY_POSTGRES(move_group, "SELECT max(no) FROM group_log");

enum err store_move_group(struct op *op, struct tx *tx, int64_t *ret_group)
{
    struct stmt *stmt;
    bool found;
    *ret_group = 0;
    if (!tx_is_shared(tx))
        return OK;
    TRY(tx_stmt(op, tx, &move_group, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_group = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_move_get(struct op *op, struct tx *tx, enum move_role role, struct move_mark *ret)
{
    struct stmt *stmt;
    bool found;
    *ret = (struct move_mark){ .mark = "" };
    TRY(tx_stmt(op, tx, &move_get, &stmt));
    bind_int(stmt, 1, role);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    snprintf(ret->mark, sizeof ret->mark, "%.*s", STR(col_str_borrowed(stmt, 0)));
    ret->peer = col_str(op, stmt, 1);
    ret->at_ms = col_int(stmt, 2);
    ret->done = col_int(stmt, 3) != 0;
    ret->group = col_int(stmt, 4);
    stmt_reset(stmt);
    return OK;
}

enum err store_move_put(struct op *op, struct tx *tx, enum move_role role, const struct move_mark *mark)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &move_put, &stmt));
    bind_int(stmt, 1, role);
    bind_str(stmt, 2, str_of(mark->mark));
    bind_str(stmt, 3, mark->peer);
    bind_int(stmt, 4, mark->at_ms);
    bind_int(stmt, 5, mark->done);
    bind_int(stmt, 6, mark->group);
    return stmt_done(op, stmt);
}

enum err store_move_drop(struct op *op, struct tx *tx, enum move_role role)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &move_drop, &stmt));
    bind_int(stmt, 1, role);
    return stmt_done(op, stmt);
}
