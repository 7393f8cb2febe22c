#include "store/store_aside.h"

#include "store/ahead.h"
#include "store/families.h"
#include "store/rows.h"

const struct schema_step aside_step = {
    "jobs aside",
    "CREATE TABLE job_aside (id INTEGER PRIMARY KEY, state INTEGER NOT NULL, at INTEGER NOT NULL,"
    " failures INTEGER NOT NULL, crashes INTEGER NOT NULL, crashed_us INTEGER NOT NULL, snoozes INTEGER NOT NULL,"
    " snoozed_us INTEGER NOT NULL, attempts INTEGER NOT NULL, late INTEGER NOT NULL, failure TEXT);"
    "CREATE TABLE attempt (id INTEGER, n INTEGER, outcome INTEGER NOT NULL, started_us INTEGER NOT NULL,"
    " ended_us INTEGER NOT NULL, worker TEXT, errtype TEXT, message TEXT, backtrace TEXT, PRIMARY KEY (id, n))"
    " WITHOUT ROWID;"
    "CREATE TABLE dead (at_us INTEGER, id INTEGER, reason INTEGER NOT NULL, PRIMARY KEY (at_us, id)) WITHOUT ROWID;",
    "CREATE TABLE job_aside (id BIGINT PRIMARY KEY, state BIGINT NOT NULL, at BIGINT NOT NULL,"
    " failures BIGINT NOT NULL, crashes BIGINT NOT NULL, crashed_us BIGINT NOT NULL, snoozes BIGINT NOT NULL,"
    " snoozed_us BIGINT NOT NULL, attempts BIGINT NOT NULL, late BIGINT NOT NULL, failure TEXT);"
    "CREATE TABLE attempt (id BIGINT, n BIGINT, outcome BIGINT NOT NULL, started_us BIGINT NOT NULL,"
    " ended_us BIGINT NOT NULL, worker TEXT, errtype TEXT, message TEXT, backtrace TEXT, PRIMARY KEY (id, n));"
    "CREATE TABLE dead (at_us BIGINT, id BIGINT, reason BIGINT NOT NULL, PRIMARY KEY (at_us, id));",
};

#define ASIDE_COLUMNS "state, at, failures, crashes, crashed_us, snoozes, snoozed_us, attempts, late, failure"

SQL(aside_get, "SELECT " ASIDE_COLUMNS " FROM job_aside WHERE id = ?1", NULL);
SQL_ONLY_POSTGRES(asides_ahead, "SELECT " ASIDE_COLUMNS ", id FROM job_aside WHERE id = ANY (?1" PG_INTS ")");
SQL(aside_put,
    "INSERT INTO job_aside (id, state, at, failures, crashes, crashed_us, snoozes, snoozed_us, attempts, late, failure)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (id) DO UPDATE SET state = excluded.state,"
    " at = excluded.at, failures = excluded.failures, crashes = excluded.crashes, crashed_us = excluded.crashed_us,"
    " snoozes = excluded.snoozes, snoozed_us = excluded.snoozed_us, attempts = excluded.attempts, late = excluded.late,"
    " failure = excluded.failure",
    NULL);
SQL(aside_remove, "DELETE FROM job_aside WHERE id = ?1", NULL);
SQL(attempt_insert,
    "INSERT INTO attempt (id, n, outcome, started_us, ended_us, worker, errtype, message, backtrace)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    NULL);
SQL(attempt_drop, "DELETE FROM attempt WHERE id = ?1 AND n = ?2", NULL);
SQL(attempt_of_job,
    "SELECT n, outcome, started_us, ended_us, worker, errtype, message, backtrace FROM attempt WHERE id = ?1 ORDER BY "
    "n",
    NULL);
SQL(attempts_remove, "DELETE FROM attempt WHERE id = ?1", NULL);
SQL(dead_insert, "INSERT INTO dead (at_us, id, reason) VALUES (?1, ?2, ?3)", NULL);
SQL(dead_remove, "DELETE FROM dead WHERE at_us = ?1 AND id = ?2", NULL);
SQL(dead_behind, "SELECT at_us, id, reason FROM dead WHERE (at_us, id) > (?1, ?2) ORDER BY at_us, id LIMIT ?3", NULL);
SQL(dead_get, "SELECT reason FROM dead WHERE at_us = ?1 AND id = ?2", NULL);

static struct ahead_key key_of(uint64_t id)
{
    return (struct ahead_key){ AHEAD_ASIDE, (int64_t)id, 0 };
}

static struct aside_row aside_of(struct op *op, struct stmt *stmt, uint64_t id)
{
    return (struct aside_row){
        .id = id,
        .state = (int)col_int(stmt, 0),
        .at = col_int(stmt, 1),
        .failures = col_int(stmt, 2),
        .crashes = col_int(stmt, 3),
        .crashed_us = col_int(stmt, 4),
        .snoozes = col_int(stmt, 5),
        .snoozed_us = col_int(stmt, 6),
        .attempts = col_int(stmt, 7),
        .late = col_int(stmt, 8),
        .failure = col_str(op, stmt, 9),
    };
}

enum err store_aside_get(struct op *op, struct tx *tx, uint64_t id, struct aside_row *ret)
{
    struct stmt *stmt;
    struct ahead_answer answer;
    bool found;
    *ret = (struct aside_row){ .id = id };
    if (ahead_find(tx, key_of(id), &answer)) {
        if (answer.count)
            *ret = *(const struct aside_row *)(uintptr_t)answer.value[0];
        return OK;
    }
    TRY(tx_stmt(op, tx, &aside_get, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return OK;
    *ret = aside_of(op, stmt, id);
    stmt_reset(stmt);
    return OK;
}

static enum err note_ahead(struct op *op, struct stmt *stmt, void *arg)
{
    struct tx *tx = arg;
    struct aside_row *row;
    TRY(op_alloc(op, sizeof *row, &row));
    *row = aside_of(op, stmt, (uint64_t)col_int(stmt, 10));
    ahead_put(tx, key_of(row->id), (struct ahead_answer){ .count = 1, .value = { (int64_t)(uintptr_t)row } });
    return OK;
}

enum err store_aside_ahead(struct op *op, struct tx *tx, const uint64_t *ids, size_t count)
{
    struct stmt *stmt;
    if (!tx_asks_ahead(tx) || count == 0)
        return OK;
    TRY(tx_stmt(op, tx, &asides_ahead, &stmt));
    bind_ints(stmt, 1, (const int64_t *)ids, count);
    for (size_t i = 0; i < count; i++)
        ahead_put(tx, key_of(ids[i]), (struct ahead_answer){ 0 });
    enum err err = stmt_each(op, stmt, note_ahead, tx);
    for (size_t i = 0; i < count && err != OK; i++)
        ahead_forget(tx, key_of(ids[i])); /* "none" is not true of those that were not read */
    return err;
}

enum err store_aside_put(struct op *op, struct tx *tx, const struct aside_row *row)
{
    struct stmt *stmt;
    ahead_forget(tx, key_of(row->id));
    TRY(tx_stmt(op, tx, &aside_put, &stmt));
    bind_int(stmt, 1, (int64_t)row->id);
    bind_int(stmt, 2, row->state);
    bind_int(stmt, 3, row->at);
    bind_int(stmt, 4, row->failures);
    bind_int(stmt, 5, row->crashes);
    bind_int(stmt, 6, row->crashed_us);
    bind_int(stmt, 7, row->snoozes);
    bind_int(stmt, 8, row->snoozed_us);
    bind_int(stmt, 9, row->attempts);
    bind_int(stmt, 10, row->late);
    bind_str(stmt, 11, row->failure);
    return stmt_later(op, stmt);
}

enum err store_aside_delete(struct op *op, struct tx *tx, uint64_t id)
{
    ahead_forget(tx, key_of(id));
    return stmt_by_no(op, tx, &aside_remove, id);
}

enum err store_attempt_add(struct op *op, struct tx *tx, uint64_t id, const struct attempt_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &attempt_insert, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    bind_int(stmt, 2, row->n);
    bind_int(stmt, 3, row->outcome);
    bind_int(stmt, 4, row->started_us);
    bind_int(stmt, 5, row->ended_us);
    bind_str(stmt, 6, row->worker);
    bind_str(stmt, 7, row->errtype);
    bind_str(stmt, 8, row->message);
    bind_str(stmt, 9, row->backtrace);
    TRY(stmt_done(op, stmt));
    if (row->n <= ATTEMPTS_KEPT)
        return OK;
    TRY(tx_stmt(op, tx, &attempt_drop, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    bind_int(stmt, 2, row->n - ATTEMPTS_KEPT + 1);
    return stmt_later(op, stmt);
}

enum err store_attempt_list(struct op *op, struct tx *tx, uint64_t id, struct attempt_row *ret, int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(tx_stmt(op, tx, &attempt_of_job, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    for (bool more = true; more && n < ATTEMPTS_KEPT;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct attempt_row *attempt = &ret[n++];
        *attempt = (struct attempt_row){
            .n = col_int(stmt, 0),
            .outcome = (int)col_int(stmt, 1),
            .started_us = col_int(stmt, 2),
            .ended_us = col_int(stmt, 3),
            .worker = col_str(op, stmt, 4),
            .errtype = col_str(op, stmt, 5),
            .message = col_str(op, stmt, 6),
            .backtrace = col_str(op, stmt, 7),
        };
    }
    stmt_reset(stmt);
    *ret_count = n;
    return OK;
}

enum err store_attempt_delete(struct op *op, struct tx *tx, uint64_t id)
{
    return stmt_by_no(op, tx, &attempts_remove, id);
}

enum err store_dead_add(struct op *op, struct tx *tx, const struct dead_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &dead_insert, &stmt));
    bind_int(stmt, 1, row->at_us);
    bind_int(stmt, 2, (int64_t)row->id);
    bind_int(stmt, 3, row->reason);
    return stmt_later(op, stmt);
}

enum err store_dead_delete(struct op *op, struct tx *tx, int64_t at_us, uint64_t id)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &dead_remove, &stmt));
    bind_int(stmt, 1, at_us);
    bind_int(stmt, 2, (int64_t)id);
    return stmt_later(op, stmt);
}

enum err store_dead_walk(struct op *op, struct tx *tx, const struct dead_row *from, int max, struct dead_row *ret,
                         int *ret_count)
{
    struct stmt *stmt;
    int n = 0;
    TRY(tx_stmt(op, tx, &dead_behind, &stmt));
    bind_int(stmt, 1, from->at_us);
    bind_int(stmt, 2, (int64_t)from->id);
    bind_int(stmt, 3, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[n++] = (struct dead_row){ col_int(stmt, 0), (uint64_t)col_int(stmt, 1), (int)col_int(stmt, 2) };
    }
    *ret_count = n;
    return OK;
}

enum err store_dead_reason(struct op *op, struct tx *tx, int64_t at_us, uint64_t id, int *ret_reason)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &dead_get, &stmt));
    bind_int(stmt, 1, at_us);
    bind_int(stmt, 2, (int64_t)id);
    TRY(stmt_row(op, stmt, &found));
    *ret_reason = found ? (int)col_int(stmt, 0) : -1;
    stmt_reset(stmt);
    return OK;
}
