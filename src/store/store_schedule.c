#include "store/store_schedule.h"

#include "store/families.h"

const struct schema_step schedule_step = {
    "schedules",
    "CREATE TABLE schedule (no INTEGER PRIMARY KEY, id TEXT NOT NULL, cron TEXT NOT NULL, zone TEXT NOT NULL,"
    " job TEXT NOT NULL, overlap INTEGER NOT NULL, catch_up INTEGER NOT NULL, jitter_ms INTEGER NOT NULL,"
    " after INTEGER NOT NULL, anchor_us INTEGER NOT NULL, last_us INTEGER NOT NULL, next_us INTEGER NOT NULL,"
    " due_us INTEGER NOT NULL, skipped INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX schedule_id ON schedule (id);"
    "CREATE INDEX schedule_due ON schedule (due_us);"
    "CREATE INDEX schedule_after ON schedule (after);"
    "CREATE TABLE fired (run INTEGER PRIMARY KEY, schedule INTEGER NOT NULL, nominal_us INTEGER NOT NULL,"
    " manual INTEGER NOT NULL, state INTEGER NOT NULL, jid TEXT, at_us INTEGER NOT NULL, ended_us INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX fired_once ON fired (schedule, nominal_us, manual);"
    "CREATE INDEX fired_open ON fired (state, schedule) WHERE state <= 2;",
    "CREATE TABLE schedule (no BIGINT PRIMARY KEY, id text COLLATE \"C\" NOT NULL, cron text COLLATE \"C\" NOT NULL,"
    " zone text COLLATE \"C\" NOT NULL, job text COLLATE \"C\" NOT NULL, overlap BIGINT NOT NULL,"
    " catch_up BIGINT NOT NULL, jitter_ms BIGINT NOT NULL, after BIGINT NOT NULL, anchor_us BIGINT NOT NULL,"
    " last_us BIGINT NOT NULL, next_us BIGINT NOT NULL, due_us BIGINT NOT NULL, skipped BIGINT NOT NULL);"
    "CREATE UNIQUE INDEX schedule_id ON schedule (id);"
    "CREATE INDEX schedule_due ON schedule (due_us);"
    "CREATE INDEX schedule_after ON schedule (after);"
    "CREATE TABLE fired (run BIGINT PRIMARY KEY, schedule BIGINT NOT NULL, nominal_us BIGINT NOT NULL,"
    " manual BIGINT NOT NULL, state BIGINT NOT NULL, jid text COLLATE \"C\", at_us BIGINT NOT NULL,"
    " ended_us BIGINT NOT NULL);"
    "CREATE UNIQUE INDEX fired_once ON fired (schedule, nominal_us, manual);"
    "CREATE INDEX fired_open ON fired (state, schedule) WHERE state <= 2;",
};

/* Beside older nodes: they leave what they do not know as it is, and run what is paused. */
const struct schema_step schedule_pause_step = {
    "schedules that are paused, rows of runs",
    "ALTER TABLE schedule ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN row_count INTEGER NOT NULL DEFAULT -1;",
    "ALTER TABLE schedule ADD COLUMN paused BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN row_count BIGINT NOT NULL DEFAULT -1;",
};

const struct schema_step fired_parts_step = {
    "runs with parts",
    "ALTER TABLE fired ADD COLUMN own_state INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN children INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN done INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN dead INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE fired ADD COLUMN held INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE fired ADD COLUMN own_state BIGINT NOT NULL DEFAULT 0, ADD COLUMN children BIGINT NOT NULL DEFAULT 0,"
    " ADD COLUMN done BIGINT NOT NULL DEFAULT 0, ADD COLUMN dead BIGINT NOT NULL DEFAULT 0,"
    " ADD COLUMN held BIGINT NOT NULL DEFAULT 0;",
};

const struct schema_step fired_told_step = {
    "runs that wait for too long",
    "ALTER TABLE fired ADD COLUMN told INTEGER NOT NULL DEFAULT 0;",
    "ALTER TABLE fired ADD COLUMN told BIGINT NOT NULL DEFAULT 0;",
};

#define ROW                                                                                                            \
    "no, id, cron, zone, job, overlap, catch_up, jitter_ms, after, anchor_us, last_us, next_us, due_us, skipped, "     \
    "paused"
#define FIRED                                                                                                          \
    "run, schedule, nominal_us, manual, state, jid, at_us, ended_us, row_count, own_state, children, done, dead,"      \
    " held, told"

SQL(schedule_put,
    "INSERT INTO schedule (" ROW ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    " ON CONFLICT (no) DO UPDATE SET cron = excluded.cron, zone = excluded.zone, job = excluded.job,"
    " overlap = excluded.overlap, catch_up = excluded.catch_up, jitter_ms = excluded.jitter_ms,"
    " after = excluded.after, last_us = excluded.last_us, next_us = excluded.next_us, due_us = excluded.due_us,"
    " skipped = excluded.skipped, paused = excluded.paused",
    NULL);
SQL(schedule_move, "UPDATE schedule SET last_us = ?2, next_us = ?3, due_us = ?4, skipped = ?5 WHERE no = ?1", NULL);
SQL(schedule_by_id, "SELECT " ROW " FROM schedule WHERE id = ?1", NULL);
SQL(schedule_by_no, "SELECT " ROW " FROM schedule WHERE no = ?1", NULL);
SQL(schedule_behind, "SELECT " ROW " FROM schedule WHERE id > ?1 ORDER BY id LIMIT ?2", NULL);
SQL_SCAN(schedule_total, "SELECT count(*) FROM schedule", NULL);
SQL(schedule_first_due, "SELECT no, due_us FROM schedule WHERE due_us >= ?1 AND due_us < ?2 ORDER BY due_us LIMIT ?3",
    NULL);
SQL(schedule_of_after, "SELECT no FROM schedule WHERE after = ?1 LIMIT 1", NULL);
SQL(schedule_remove, "DELETE FROM schedule WHERE no = ?1", NULL);
SQL(fired_insert,
    "INSERT INTO fired (" FIRED ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
    " ON CONFLICT DO NOTHING",
    NULL);
SQL(fired_put,
    "UPDATE fired SET state = ?2, jid = ?3, at_us = ?4, ended_us = ?5, row_count = ?6, own_state = ?7, children = ?8,"
    " done = ?9, dead = ?10, held = ?11, told = ?12 WHERE run = ?1",
    NULL);
SQL(fired_get, "SELECT " FIRED " FROM fired WHERE run = ?1", NULL);
SQL(fired_waiting, "SELECT " FIRED " FROM fired WHERE state <= 2 AND state = 1 AND run > ?1 ORDER BY run LIMIT ?2",
    NULL);
SQL(fired_live, "SELECT " FIRED " FROM fired WHERE state <= 2 AND state = 2 AND run > ?1 ORDER BY run LIMIT ?2", NULL);
SQL(fired_open_of,
    "SELECT state, count(*) FROM fired WHERE state <= 2 AND state IN (1, 2) AND schedule = ?1 GROUP BY state", NULL);
SQL(fired_runs,
    "SELECT " FIRED " FROM fired WHERE schedule = ?1 AND nominal_us <= ?2 AND state IN (1, 2, 3, 4, 7)"
    " ORDER BY nominal_us DESC, manual DESC LIMIT ?3",
    NULL);
SQL(fired_missed,
    "SELECT " FIRED " FROM fired WHERE schedule = ?1 AND state = 6 ORDER BY nominal_us DESC, manual DESC LIMIT ?2",
    NULL);
#define TRIMMED                                                                                                        \
    "schedule = ?1 AND state > 2 AND nominal_us < (SELECT nominal_us FROM fired"                                       \
    " WHERE schedule = ?1 ORDER BY nominal_us DESC LIMIT 1 OFFSET ?2)"
SQL(fired_trim_parts, "DELETE FROM run_part WHERE run IN (SELECT run FROM fired WHERE " TRIMMED ")", NULL);
SQL(fired_trim, "DELETE FROM fired WHERE " TRIMMED, NULL);
SQL_SCAN(fired_end, "UPDATE fired SET state = 3 WHERE state IN (1, 2, 7)", NULL);
SQL(fired_remove, "DELETE FROM fired WHERE schedule = ?1", NULL);

/* --- schedules --- */

enum err store_schedule_put(struct op *op, struct tx *tx, const struct schedule_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &schedule_put, &stmt));
    bind_int(stmt, 1, row->no);
    bind_str(stmt, 2, row->id);
    bind_str(stmt, 3, row->cron);
    bind_str(stmt, 4, row->zone);
    bind_str(stmt, 5, row->job);
    bind_int(stmt, 6, row->overlap);
    bind_int(stmt, 7, row->catch_up);
    bind_int(stmt, 8, row->jitter_ms);
    bind_int(stmt, 9, row->after);
    bind_int(stmt, 10, row->anchor_us);
    bind_int(stmt, 11, row->last_us);
    bind_int(stmt, 12, row->next_us);
    bind_int(stmt, 13, row->due_us);
    bind_int(stmt, 14, row->skipped);
    bind_int(stmt, 15, row->paused);
    return stmt_done(op, stmt);
}

enum err store_schedule_move(struct op *op, struct tx *tx, const struct schedule_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &schedule_move, &stmt));
    bind_int(stmt, 1, row->no);
    bind_int(stmt, 2, row->last_us);
    bind_int(stmt, 3, row->next_us);
    bind_int(stmt, 4, row->due_us);
    bind_int(stmt, 5, row->skipped);
    return stmt_done(op, stmt);
}

static void read_schedule(struct op *op, struct stmt *stmt, struct schedule_row *ret)
{
    *ret = (struct schedule_row){
        .no = (uint32_t)col_int(stmt, 0),
        .id = col_str(op, stmt, 1),
        .cron = col_str(op, stmt, 2),
        .zone = col_str(op, stmt, 3),
        .job = col_str(op, stmt, 4),
        .overlap = (int)col_int(stmt, 5),
        .catch_up = (int)col_int(stmt, 6),
        .jitter_ms = col_int(stmt, 7),
        .after = (uint32_t)col_int(stmt, 8),
        .anchor_us = col_int(stmt, 9),
        .last_us = col_int(stmt, 10),
        .next_us = col_int(stmt, 11),
        .due_us = col_int(stmt, 12),
        .skipped = col_int(stmt, 13),
        .paused = col_int(stmt, 14) != 0,
    };
}

static enum err one_schedule(struct op *op, struct stmt *stmt, struct schedule_row *ret, bool *ret_found)
{
    TRY(stmt_row(op, stmt, ret_found));
    if (*ret_found)
        read_schedule(op, stmt, ret);
    stmt_reset(stmt);
    return OK;
}

enum err store_schedule_find(struct op *op, struct tx *tx, struct str id, struct schedule_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &schedule_by_id, &stmt));
    bind_str(stmt, 1, id);
    return one_schedule(op, stmt, ret, ret_found);
}

enum err store_schedule_get(struct op *op, struct tx *tx, uint32_t no, struct schedule_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &schedule_by_no, &stmt));
    bind_int(stmt, 1, no);
    return one_schedule(op, stmt, ret, ret_found);
}

enum err store_schedule_count(struct op *op, struct tx *tx, int64_t *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &schedule_total, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

enum err store_schedule_list(struct op *op, struct tx *tx, struct str after, int max, struct schedule_row *ret,
                             int *ret_count)
{
    struct stmt *stmt;
    *ret_count = 0;
    TRY(tx_stmt(op, tx, &schedule_behind, &stmt));
    bind_str(stmt, 1, str_given(after) ? after : S(""));
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            read_schedule(op, stmt, &ret[(*ret_count)++]);
    }
    return OK;
}

enum err store_schedule_due(struct op *op, struct tx *tx, int64_t by_us, int max, uint64_t *ret, int *ret_count,
                            int64_t *ret_next_us)
{
    struct due_range range = { INT64_MIN, by_us, INT64_MAX };
    return stmt_due(op, tx, &schedule_first_due, &range, max, ret, ret_count, ret_next_us);
}

enum err store_schedule_behind(struct op *op, struct tx *tx, uint32_t no, uint32_t *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &schedule_of_after, &stmt));
    bind_int(stmt, 1, no);
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? (uint32_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_schedule_delete(struct op *op, struct tx *tx, uint32_t no)
{
    TRY(stmt_by_no(op, tx, &fired_remove, no));
    return stmt_by_no(op, tx, &schedule_remove, no);
}

/* --- runs --- */

static void bind_parts(struct stmt *stmt, int first, const struct fired_row *row)
{
    bind_int(stmt, first, row->own_state);
    bind_int(stmt, first + 1, row->children);
    bind_int(stmt, first + 2, row->done);
    bind_int(stmt, first + 3, row->dead);
    bind_int(stmt, first + 4, row->held);
    bind_int(stmt, first + 5, row->told);
}

enum err store_fired_add(struct op *op, struct tx *tx, const struct fired_row *row, bool *ret_added)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->run);
    bind_int(stmt, 2, row->schedule);
    bind_int(stmt, 3, row->nominal_us);
    bind_int(stmt, 4, (int64_t)row->manual);
    bind_int(stmt, 5, row->state);
    bind_str(stmt, 6, row->jid);
    bind_int(stmt, 7, row->at_us);
    bind_int(stmt, 8, row->ended_us);
    bind_int(stmt, 9, row->row_count);
    bind_parts(stmt, 10, row);
    TRY(stmt_done(op, stmt));
    *ret_added = stmt_changes(stmt) == 1;
    return OK;
}

enum err store_fired_put(struct op *op, struct tx *tx, const struct fired_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_put, &stmt));
    bind_int(stmt, 1, (int64_t)row->run);
    bind_int(stmt, 2, row->state);
    bind_str(stmt, 3, row->jid);
    bind_int(stmt, 4, row->at_us);
    bind_int(stmt, 5, row->ended_us);
    bind_int(stmt, 6, row->row_count);
    bind_parts(stmt, 7, row);
    return stmt_done(op, stmt);
}

static void read_fired(struct op *op, struct stmt *stmt, struct fired_row *ret)
{
    *ret = (struct fired_row){
        .run = (uint64_t)col_int(stmt, 0),
        .schedule = (uint32_t)col_int(stmt, 1),
        .nominal_us = col_int(stmt, 2),
        .manual = (uint64_t)col_int(stmt, 3),
        .state = (int)col_int(stmt, 4),
        .jid = col_str(op, stmt, 5),
        .at_us = col_int(stmt, 6),
        .ended_us = col_int(stmt, 7),
        .row_count = col_int(stmt, 8),
        .own_state = (int)col_int(stmt, 9),
        .children = col_int(stmt, 10),
        .done = col_int(stmt, 11),
        .dead = col_int(stmt, 12),
        .held = col_int(stmt, 13),
        .told = col_int(stmt, 14) != 0,
    };
}

static enum err all_fired(struct op *op, struct stmt *stmt, struct fired_row *ret, int *ret_count)
{
    *ret_count = 0;
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            read_fired(op, stmt, &ret[(*ret_count)++]);
    }
    return OK;
}

enum err store_fired_get(struct op *op, struct tx *tx, uint64_t run, struct fired_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_get, &stmt));
    bind_int(stmt, 1, (int64_t)run);
    TRY(stmt_row(op, stmt, ret_found));
    if (*ret_found)
        read_fired(op, stmt, ret);
    stmt_reset(stmt);
    return OK;
}

enum err store_fired_waiting(struct op *op, struct tx *tx, uint64_t after, int max, struct fired_row *ret,
                             int *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_waiting, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    return all_fired(op, stmt, ret, ret_count);
}

enum err store_fired_live(struct op *op, struct tx *tx, uint64_t after, int max, struct fired_row *ret, int *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_live, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    return all_fired(op, stmt, ret, ret_count);
}

enum err store_fired_open(struct op *op, struct tx *tx, uint32_t schedule, int *ret_waiting, int *ret_live)
{
    struct stmt *stmt;
    *ret_waiting = *ret_live = 0;
    TRY(tx_stmt(op, tx, &fired_open_of, &stmt));
    bind_int(stmt, 1, schedule);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            *(col_int(stmt, 0) == FIRED_WAITS ? ret_waiting : ret_live) = (int)col_int(stmt, 1);
    }
    return OK;
}

enum err store_fired_runs(struct op *op, struct tx *tx, uint32_t schedule, int64_t by_us, int max,
                          struct fired_row *ret, int *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_runs, &stmt));
    bind_int(stmt, 1, schedule);
    bind_int(stmt, 2, by_us);
    bind_int(stmt, 3, max);
    return all_fired(op, stmt, ret, ret_count);
}

enum err store_fired_missed(struct op *op, struct tx *tx, uint32_t schedule, int max, struct fired_row *ret,
                            int *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_missed, &stmt));
    bind_int(stmt, 1, schedule);
    bind_int(stmt, 2, max);
    return all_fired(op, stmt, ret, ret_count);
}

enum err store_fired_trim(struct op *op, struct tx *tx, uint32_t schedule, int keep)
{
    static const struct sql *const both[] = { &fired_trim_parts, &fired_trim };
    for (size_t i = 0; i < 2; i++) {
        struct stmt *stmt;
        TRY(tx_stmt(op, tx, both[i], &stmt));
        bind_int(stmt, 1, schedule);
        bind_int(stmt, 2, keep);
        TRY(stmt_done(op, stmt));
    }
    return OK;
}

enum err store_fired_end_all(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &fired_end, &stmt));
    return stmt_done(op, stmt);
}
