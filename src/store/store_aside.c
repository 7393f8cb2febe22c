#include "store/store_aside.h"

#include "store/ahead.h"
#include "store/aside_rows.h"
#include "store/families.h"

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

SQL(aside_get, "SELECT " ASIDE_COLUMNS " FROM job_aside WHERE id = ?1", NULL);
SQL_ONLY_POSTGRES(asides_ahead, "SELECT " ASIDE_COLUMNS ", id FROM job_aside WHERE id = ANY (?1" PG_INTS ")");
SQL(aside_put,
    "INSERT INTO job_aside (id, " ASIDE_COLUMNS
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)" ASIDE_REPLACES,
    NULL);
SQL(aside_remove, "DELETE FROM job_aside WHERE id = ?1", NULL);
SQL(attempt_insert, "INSERT INTO attempt (id, " ATTEMPT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)", NULL);
SQL(attempt_drop, "DELETE FROM attempt WHERE id = ?1 AND n = ?2", NULL);
SQL(attempt_of_job, "SELECT " ATTEMPT_COLUMNS " FROM attempt WHERE id = ?1 ORDER BY n", NULL);
SQL(attempt_newest, "SELECT ended_us FROM attempt WHERE id = ?1 ORDER BY n DESC LIMIT 1", NULL);
SQL_ONLY_POSTGRES(attempts_ahead, "SELECT k.id, a.ended_us FROM unnest(?1" PG_INTS ") AS k(id) CROSS JOIN LATERAL"
                                  " (SELECT ended_us FROM attempt WHERE id = k.id ORDER BY n DESC LIMIT 1) AS a");
SQL(attempts_remove, "DELETE FROM attempt WHERE id = ?1", NULL);
SQL(dead_insert, "INSERT INTO dead (at_us, id, reason) VALUES (?1, ?2, ?3)", NULL);
SQL(dead_remove, "DELETE FROM dead WHERE at_us = ?1 AND id = ?2", NULL);
SQL(dead_behind, "SELECT at_us, id, reason FROM dead WHERE (at_us, id) > (?1, ?2) ORDER BY at_us, id LIMIT ?3", NULL);
SQL(dead_get, "SELECT reason FROM dead WHERE at_us = ?1 AND id = ?2", NULL);

static struct ahead_key key_of(uint64_t id)
{
    return (struct ahead_key){ AHEAD_ASIDE, (int64_t)id, 0 };
}

static struct ahead_key newest_of(uint64_t id)
{
    return (struct ahead_key){ AHEAD_ATTEMPT, (int64_t)id, 0 };
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
    if (aside_rows_find(op, tx, id, ret))
        return OK;
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

static enum err note_newest(struct op *op, struct stmt *stmt, void *arg)
{
    (void)op;
    ahead_put(arg, newest_of((uint64_t)col_int(stmt, 0)), (struct ahead_answer){ 1, { col_int(stmt, 1) } });
    return OK;
}

/* There is none of any until a row says otherwise. */
static enum err ask_ahead(struct op *op, struct tx *tx, const struct sql *sql, const uint64_t *ids, size_t count,
                          struct ahead_key (*key)(uint64_t id),
                          enum err (*note)(struct op *op, struct stmt *stmt, void *arg))
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_ints(stmt, 1, (const int64_t *)ids, count);
    for (size_t i = 0; i < count; i++)
        ahead_put(tx, key(ids[i]), (struct ahead_answer){ 0 });
    enum err err = stmt_each(op, stmt, note, tx);
    for (size_t i = 0; i < count && err != OK; i++)
        ahead_forget(tx, key(ids[i])); /* "none" is not true of those that were not read */
    return err;
}

enum err store_aside_ahead(struct op *op, struct tx *tx, const uint64_t *ids, size_t count)
{
    return tx_asks_ahead(tx) && count > 0 ? ask_ahead(op, tx, &asides_ahead, ids, count, key_of, note_ahead) : OK;
}

enum err store_aside_put(struct op *op, struct tx *tx, const struct aside_row *row)
{
    struct stmt *stmt;
    ahead_forget(tx, key_of(row->id));
    if (aside_rows_put(tx, row))
        return OK;
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
    return aside_rows_delete(tx, id) ? OK : stmt_by_no(op, tx, &aside_remove, id);
}

static enum err attempt_add(struct op *op, struct tx *tx, uint64_t id, const struct attempt_row *row)
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
    return stmt_done(op, stmt);
}

enum err store_attempt_add(struct op *op, struct tx *tx, uint64_t id, const struct attempt_row *row)
{
    struct stmt *stmt;
    ahead_forget(tx, newest_of(id));
    if (!aside_rows_attempt_add(tx, id, row))
        TRY(attempt_add(op, tx, id, row));
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
    TRY(aside_rows_attempts_write(op, tx));
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

enum err store_attempt_newest(struct op *op, struct tx *tx, uint64_t id, int64_t *ret_ended_us)
{
    struct stmt *stmt;
    struct ahead_answer answer;
    bool found;
    *ret_ended_us = 0;
    if (ahead_find(tx, newest_of(id), &answer)) {
        *ret_ended_us = answer.count ? answer.value[0] : 0;
        return OK;
    }
    TRY(aside_rows_attempts_write(op, tx));
    TRY(tx_stmt(op, tx, &attempt_newest, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, &found));
    if (found)
        *ret_ended_us = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

enum err store_attempt_ahead(struct op *op, struct tx *tx, const uint64_t *ids, size_t count)
{
    if (!tx_asks_ahead(tx) || count == 0)
        return OK;
    TRY(aside_rows_attempts_write(op, tx));
    return ask_ahead(op, tx, &attempts_ahead, ids, count, newest_of, note_newest);
}

enum err store_attempt_delete(struct op *op, struct tx *tx, uint64_t id)
{
    bool taken;
    ahead_forget(tx, newest_of(id));
    TRY(aside_rows_attempts_delete(op, tx, id, &taken));
    return taken ? OK : stmt_by_no(op, tx, &attempts_remove, id);
}

enum err store_dead_add(struct op *op, struct tx *tx, const struct dead_row *row)
{
    struct stmt *stmt;
    if (aside_rows_dead_add(tx, row))
        return OK;
    TRY(tx_stmt(op, tx, &dead_insert, &stmt));
    bind_int(stmt, 1, row->at_us);
    bind_int(stmt, 2, (int64_t)row->id);
    bind_int(stmt, 3, row->reason);
    return stmt_later(op, stmt);
}

enum err store_dead_delete(struct op *op, struct tx *tx, int64_t at_us, uint64_t id)
{
    struct stmt *stmt;
    if (aside_rows_dead_delete(tx, at_us, id))
        return OK;
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
    TRY(aside_rows_write(op, tx));
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
    TRY(aside_rows_write(op, tx));
    TRY(tx_stmt(op, tx, &dead_get, &stmt));
    bind_int(stmt, 1, at_us);
    bind_int(stmt, 2, (int64_t)id);
    TRY(stmt_row(op, stmt, &found));
    *ret_reason = found ? (int)col_int(stmt, 0) : -1;
    stmt_reset(stmt);
    return OK;
}
