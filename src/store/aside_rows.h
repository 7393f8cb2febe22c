/*
 * aside_rows.h - rows of jobs off the happy path on PostgreSQL, written together.
 *
 * Private to src/store. What fails, waits for a time, is killed or taken back
 * changes two or three narrow rows: `job_aside`, `timer`, `dead`, and `attempt`
 * gets one more. An action on many jobs, a worker that is lost and a timer at
 * which many come due do so by the hundred, and a statement for each row is
 * dearer than all the rows; so they are collected and written by a few statements when
 * the group ends, or before somebody reads these tables in it.
 *
 *     delete (full keys)  -->  then insert     a row that comes and goes in one group is never written
 *
 * On SQLite, and in a snapshot, there is none of this: every call says false,
 * and the caller changes the row itself.
 */
#pragma once

#include "store/changes.h"
#include "store/store_aside.h"
#include "store/store_ready.h"

/* Columns of job_aside, and what becomes of a row that is there. */
#define ASIDE_COLUMNS "state, at, failures, crashes, crashed_us, snoozes, snoozed_us, attempts, late, failure"
#define ASIDE_REPLACES                                                                                                 \
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, at = excluded.at, failures = excluded.failures,"          \
    " crashes = excluded.crashes, crashed_us = excluded.crashed_us, snoozes = excluded.snoozes,"                       \
    " snoozed_us = excluded.snoozed_us, attempts = excluded.attempts, late = excluded.late,"                           \
    " failure = excluded.failure"
#define ATTEMPT_COLUMNS "n, outcome, started_us, ended_us, worker, errtype, message, backtrace"

/* Everything collected is written, or that of `attempt` alone; before whatever reads these tables. Nothing to do where
 * there is nothing. */
enum err aside_rows_write(struct op *op, struct tx *tx);
enum err aside_rows_attempts_write(struct op *op, struct tx *tx);

/* --- job_aside --- */
bool aside_rows_put(struct tx *tx, const struct aside_row *row);
bool aside_rows_delete(struct tx *tx, uint64_t id);

/* True when the group has changed the row; state 0 in *ret: it is gone. Texts are in op's arena. */
bool aside_rows_find(struct op *op, struct tx *tx, uint64_t id, struct aside_row *ret);

/* --- attempt --- */
bool aside_rows_attempt_add(struct tx *tx, uint64_t id, const struct attempt_row *row);

/* All of the job's. *ret_taken as the other calls say it. */
enum err aside_rows_attempts_delete(struct op *op, struct tx *tx, uint64_t id, bool *ret_taken);

/* --- dead, timer --- */
bool aside_rows_dead_add(struct tx *tx, const struct dead_row *row);
bool aside_rows_dead_delete(struct tx *tx, int64_t at_us, uint64_t id);
bool aside_rows_timer_add(struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id);
bool aside_rows_timer_delete(struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id);
