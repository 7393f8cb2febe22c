#include "store/store_task.h"

#include <assert.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step task_step = {
    "tasks",
    "CREATE TABLE task (no INTEGER PRIMARY KEY, kind TEXT NOT NULL, payload TEXT NOT NULL, due_at_ms INTEGER NOT NULL,"
    " created_at_ms INTEGER NOT NULL, attempts INTEGER NOT NULL, last_error TEXT);"
    "CREATE INDEX task_due ON task (due_at_ms, no);",
    "CREATE TABLE task (no bigint PRIMARY KEY, kind " PG_TEXT " NOT NULL, payload " PG_TEXT " NOT NULL,"
    " due_at_ms bigint NOT NULL, created_at_ms bigint NOT NULL, attempts bigint NOT NULL,"
    " last_error " PG_TEXT ")" PG_PASSES_LARGE ";"
    "CREATE INDEX task_due ON task (due_at_ms, no);",
};

SQL(task_insert,
    "INSERT INTO task (no, kind, payload, due_at_ms, created_at_ms, attempts) VALUES (?1, ?2, ?3, ?4, ?5, 0)", NULL);
SQL(task_due,
    "SELECT no, kind, payload, due_at_ms, created_at_ms, attempts, last_error FROM task"
    " WHERE due_at_ms <= ?1 ORDER BY due_at_ms, no LIMIT ?2",
    NULL);
SQL(task_lease, "UPDATE task SET due_at_ms = ?2, attempts = attempts + 1 WHERE no = ?1", NULL);
SQL(task_delete, "DELETE FROM task WHERE no = ?1", NULL);
SQL(task_again, "UPDATE task SET due_at_ms = ?2, last_error = ?3 WHERE no = ?1", NULL);
SQL_SCAN(task_first, "SELECT due_at_ms FROM task ORDER BY due_at_ms, no LIMIT 1", NULL); /* of the index by due time */
SQL_SCAN(task_number, "SELECT count(*) FROM task", NULL);

enum err store_task_add(struct op *op, struct tx *tx, struct str kind, struct str payload, int64_t due_at_ms,
                        uint64_t *ret_no)
{
    if (payload.n > TASK_PAYLOAD_BYTES_MAX)
        return fail(op, ERR_TOO_LARGE, "a task's payload of %zu bytes is above %d", payload.n, TASK_PAYLOAD_BYTES_MAX);
    struct stmt *stmt;
    uint64_t no = store_seq_next(tx, SEQ_TASK);
    TRY(tx_stmt(op, tx, &task_insert, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_str(stmt, 2, kind);
    bind_str(stmt, 3, payload);
    bind_int(stmt, 4, due_at_ms);
    bind_int(stmt, 5, op_now_ms(op));
    TRY(stmt_later(op, stmt));
    *ret_no = no;
    return OK;
}

static enum err task_put_off(struct op *op, struct tx *tx, uint64_t no, int64_t until_ms)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &task_lease, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, until_ms);
    return stmt_done(op, stmt);
}

enum err store_task_take(struct op *op, struct tx *tx, int64_t now_ms, int64_t lease_ms, int max,
                         struct task **ret_tasks, int *ret_count)
{
    assert(max >= 1 && max <= TASK_TAKE_MAX && lease_ms > 0);
    struct task *tasks;
    struct stmt *stmt;
    int n = 0;
    TRY(op_alloc(op, (size_t)max * sizeof *tasks, &tasks));
    TRY(tx_stmt(op, tx, &task_due, &stmt));
    bind_int(stmt, 1, now_ms);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        tasks[n++] = (struct task){
            .no = (uint64_t)col_int(stmt, 0),
            .kind = col_str(op, stmt, 1),
            .payload = col_str(op, stmt, 2),
            .due_at_ms = col_int(stmt, 3),
            .created_at_ms = col_int(stmt, 4),
            .attempts = (int)col_int(stmt, 5) + 1,
            .last_error = col_str(op, stmt, 6),
        };
    }
    for (int i = 0; i < n; i++) /* after the walk, which goes along the very index this changes */
        TRY(task_put_off(op, tx, tasks[i].no, now_ms + lease_ms));
    *ret_tasks = tasks;
    *ret_count = n;
    return OK;
}

enum err store_task_done(struct op *op, struct tx *tx, uint64_t no)
{
    return stmt_by_no(op, tx, &task_delete, no);
}

enum err store_task_retry(struct op *op, struct tx *tx, uint64_t no, int64_t due_at_ms, struct str error)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &task_again, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, due_at_ms);
    bind_str(stmt, 3, str_clip(error, TASK_ERROR_BYTES_MAX));
    return stmt_done(op, stmt);
}

enum err store_task_next(struct op *op, struct tx *tx, int64_t *ret_due_at_ms)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &task_first, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_due_at_ms = found ? col_int(stmt, 0) : INT64_MAX;
    stmt_reset(stmt);
    return OK;
}

enum err store_task_count(struct op *op, struct tx *tx, int64_t *ret_count)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &task_number, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_count = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}
