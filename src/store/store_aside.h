/*
 * store_aside.h - jobs off the happy path: what is known beyond their push.
 *
 * A job that is pushed, fetched and acked has no row here. One that waits for
 * a time or a gate, failed, came back or is dead has: it says where the narrow
 * row lies (state and `at`), and counts what happened so far. Attempts and
 * dead jobs are here too.
 */
#pragma once

#include "store/tx.h"

struct aside_row {
    uint64_t id;
    int state;          /* where the job lies when it is not leased: enum job_state */
    int64_t at;         /* its due time (scheduled, retry), place (ready, blocked) or time of death */
    int64_t failures;   /* attempts that failed */
    int64_t crashes;    /* in a row, without a pause of 72 h */
    int64_t crashed_us; /* when the newest one was, engine time */
    int64_t snoozes;    /* in a row */
    int64_t snoozed_us; /* since when, engine time */
    int64_t attempts;   /* rows ever written to `attempt` */
    int64_t late;       /* 1: its newest attempt ended by expiry or loss, so that a late ack still counts */
    struct str failure; /* JSON object of the newest failure; not given = none */
};

/* state 0 in *ret: no row. */
enum err store_aside_get(struct op *op, struct tx *tx, uint64_t id, struct aside_row *ret);
enum err store_aside_put(struct op *op, struct tx *tx, const struct aside_row *row);
enum err store_aside_delete(struct op *op, struct tx *tx, uint64_t id);

/* Says whose rows store_aside_get will be asked for. Where a look-up is a round trip they are one; elsewhere this does
 * nothing. What is known lies in op's arena, which must live as long as the group. */
enum err store_aside_ahead(struct op *op, struct tx *tx, const uint64_t *ids, size_t count);

#define ATTEMPTS_KEPT 30 /* the first and the newest 29 */

struct attempt_row {
    int64_t n; /* from 1 */
    int outcome;
    int64_t started_us, ended_us;                   /* wall */
    struct str worker, errtype, message, backtrace; /* backtrace: JSON array */
};

/* Adds one and drops the oldest but the first when there are too many. */
enum err store_attempt_add(struct op *op, struct tx *tx, uint64_t id, const struct attempt_row *row);
enum err store_attempt_list(struct op *op, struct tx *tx, uint64_t id, struct attempt_row *ret, int *ret_count);

/* When the newest one ended; 0: there is none. And whose will be asked for, as store_aside_ahead. */
enum err store_attempt_newest(struct op *op, struct tx *tx, uint64_t id, int64_t *ret_ended_us);
enum err store_attempt_ahead(struct op *op, struct tx *tx, const uint64_t *ids, size_t count);

enum err store_attempt_delete(struct op *op, struct tx *tx, uint64_t id);

struct dead_row {
    int64_t at_us; /* wall */
    uint64_t id;
    int reason;
};

enum err store_dead_add(struct op *op, struct tx *tx, const struct dead_row *row);
enum err store_dead_delete(struct op *op, struct tx *tx, int64_t at_us, uint64_t id);

/* Behind (at, id) `from` in order, at most max. */
enum err store_dead_walk(struct op *op, struct tx *tx, const struct dead_row *from, int max, struct dead_row *ret,
                         int *ret_count);

/* Reason of one dead job; -1 = it is not dead. */
enum err store_dead_reason(struct op *op, struct tx *tx, int64_t at_us, uint64_t id, int *ret_reason);
