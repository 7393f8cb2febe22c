#include "store/store_run_part.h"

#include "store/families.h"

const struct schema_step run_part_step = {
    "parts of runs",
    "CREATE TABLE run_part (run INTEGER NOT NULL, name TEXT NOT NULL, cutoff_us INTEGER NOT NULL,"
    " state INTEGER NOT NULL, jid TEXT, since_us INTEGER NOT NULL, PRIMARY KEY (run, name)) WITHOUT ROWID;",
    "CREATE TABLE run_part (run BIGINT NOT NULL, name text COLLATE \"C\" NOT NULL, cutoff_us BIGINT NOT NULL,"
    " state BIGINT NOT NULL, jid text COLLATE \"C\", since_us BIGINT NOT NULL, PRIMARY KEY (run, name));",
};

#define PART "run, name, cutoff_us, state, jid, since_us"

SQL(part_put,
    "INSERT INTO run_part (" PART ") VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (run, name) DO UPDATE SET"
    " cutoff_us = excluded.cutoff_us, state = excluded.state, jid = excluded.jid, since_us = excluded.since_us",
    NULL);
SQL(part_get, "SELECT " PART " FROM run_part WHERE run = ?1 AND name = ?2", NULL);
SQL(part_delete, "DELETE FROM run_part WHERE run = ?1 AND name = ?2", NULL);
SQL(part_list, "SELECT " PART " FROM run_part WHERE run = ?1 AND name > ?2 ORDER BY name LIMIT ?3", NULL);
SQL(part_held, "SELECT " PART " FROM run_part WHERE (run, name) > (?1, ?2) AND state = 1 ORDER BY run, name LIMIT ?3",
    NULL);
SQL_SCAN(part_held_since,
         "SELECT run, count(*), min(since_us) FROM run_part WHERE state = 1 AND since_us <= ?1 GROUP BY run"
         " ORDER BY run LIMIT ?2",
         NULL);
SQL_SCAN(part_delete_all, "DELETE FROM run_part", NULL);

enum err store_part_put(struct op *op, struct tx *tx, const struct part_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &part_put, &stmt));
    bind_int(stmt, 1, (int64_t)row->run);
    bind_str(stmt, 2, row->name);
    bind_int(stmt, 3, row->cutoff_us);
    bind_int(stmt, 4, row->state);
    bind_str(stmt, 5, row->jid);
    bind_int(stmt, 6, row->since_us);
    return stmt_done(op, stmt);
}

static enum err read_parts(struct op *op, struct stmt *stmt, struct part_row *ret, int *ret_count)
{
    *ret_count = 0;
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = (struct part_row){
                .run = (uint64_t)col_int(stmt, 0),
                .name = col_str(op, stmt, 1),
                .cutoff_us = col_int(stmt, 2),
                .state = (int)col_int(stmt, 3),
                .jid = col_str(op, stmt, 4),
                .since_us = col_int(stmt, 5),
            };
    }
    return OK;
}

enum err store_part_get(struct op *op, struct tx *tx, uint64_t run, struct str name, struct part_row *ret,
                        bool *ret_found)
{
    struct stmt *stmt;
    int n;
    TRY(tx_stmt(op, tx, &part_get, &stmt));
    bind_int(stmt, 1, (int64_t)run);
    bind_str(stmt, 2, name);
    TRY(read_parts(op, stmt, ret, &n));
    *ret_found = n == 1;
    return OK;
}

enum err store_part_delete(struct op *op, struct tx *tx, uint64_t run, struct str name)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &part_delete, &stmt));
    bind_int(stmt, 1, (int64_t)run);
    bind_str(stmt, 2, name);
    return stmt_done(op, stmt);
}

/* Parts behind a place, of one run or of all that come after it: the statement says which. */
static enum err part_page(struct op *op, struct tx *tx, const struct sql *sql, uint64_t run, struct str after, int max,
                          struct part_row *ret, int *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_int(stmt, 1, (int64_t)run);
    bind_str(stmt, 2, after);
    bind_int(stmt, 3, max);
    return read_parts(op, stmt, ret, ret_count);
}

enum err store_part_list(struct op *op, struct tx *tx, uint64_t run, struct str after, int max, struct part_row *ret,
                         int *ret_count)
{
    return part_page(op, tx, &part_list, run, after, max, ret, ret_count);
}

enum err store_part_held(struct op *op, struct tx *tx, uint64_t run, struct str after, int max, struct part_row *ret,
                         int *ret_count)
{
    return part_page(op, tx, &part_held, run, after, max, ret, ret_count);
}

enum err store_part_held_since(struct op *op, struct tx *tx, int64_t since_us, int max, struct held_count *ret,
                               int *ret_count)
{
    struct stmt *stmt;
    *ret_count = 0;
    TRY(tx_stmt(op, tx, &part_held_since, &stmt));
    bind_int(stmt, 1, since_us);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = (struct held_count){ (uint64_t)col_int(stmt, 0), col_int(stmt, 1), col_int(stmt, 2) };
    }
    return OK;
}

enum err store_part_delete_all(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &part_delete_all, &stmt));
    return stmt_done(op, stmt);
}
