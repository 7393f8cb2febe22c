/*
 * store_ready.h - where waiting jobs lie: ready, timer, blocked; and the gates of mutexes.
 *
 * One narrow row per job, found by prefix. `ord` is the engine time at which
 * the job became ready, made unique, so it is the place in its lane. A job that
 * was ready from its push on has its id as place and 0 as `job`, which costs
 * no byte in the row.
 */
#pragma once

#include "store/tx.h"

struct ready_row {
    uint32_t queue_no;
    int level;
    uint64_t key;
    uint64_t ord;
    uint64_t job; /* 0 = its id is ord */
};

enum err store_ready_add(struct op *op, struct tx *tx, const struct ready_row *row);
enum err store_ready_delete(struct op *op, struct tx *tx, const struct ready_row *row);

/* Many rows by few statements. */
enum err store_ready_add_all(struct op *op, struct tx *tx, const struct ready_row *rows, size_t count);

/* Rows of one lane (queue, level, key) behind place `after`, at most max, in order. */
enum err store_ready_lane(struct op *op, struct tx *tx, const struct ready_row *lane, uint64_t after, int max,
                          struct ready_row *ret, int *ret_count);

/* The next (level, key) of the queue behind the given one; level -1 = from the first. *ret_found false: none. */
enum err store_ready_next_lane(struct op *op, struct tx *tx, uint32_t queue_no, int level, uint64_t key,
                               struct ready_row *ret, bool *ret_found);

/* Rows of the queue behind `from` in order of (level, key, ord), at most max; for lists, sweeps and check. */
enum err store_ready_walk(struct op *op, struct tx *tx, const struct ready_row *from, int max, struct ready_row *ret,
                          int *ret_count);

/* Kinds of timers are apart, so that a list of one never walks over the other. */
enum timer_kind { TIMER_SCHEDULED = 1, TIMER_RETRY = 2 };

struct timer_row {
    int64_t due_us; /* wall */
    uint64_t id;
};

enum err store_timer_add(struct op *op, struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id);
enum err store_timer_delete(struct op *op, struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id);

/* Rows behind (due, id) `from` and due at `until_us` at the latest, at most max, in order. */
enum err store_timer_walk(struct op *op, struct tx *tx, enum timer_kind kind, const struct timer_row *from,
                          int64_t until_us, int max, struct timer_row *ret, int *ret_count);

/* A gate is there while a job that is ready or leased holds it. */
struct gate_row {
    uint64_t holder; /* id of the job; 0 = the gate is free */
    uint64_t lease;  /* number of its lease; 0 = it is ready */
};

enum err store_gate_get(struct op *op, struct tx *tx, uint64_t gate, struct gate_row *ret);
enum err store_gate_put(struct op *op, struct tx *tx, uint64_t gate, const struct gate_row *row);
enum err store_gate_delete(struct op *op, struct tx *tx, uint64_t gate);

struct blocked_row {
    uint64_t gate;
    uint64_t ord;
    uint64_t id;
};

enum err store_blocked_add(struct op *op, struct tx *tx, const struct blocked_row *row);
enum err store_blocked_delete(struct op *op, struct tx *tx, uint64_t gate, uint64_t ord);

/* Rows behind (gate, ord) `from` in order, at most max; of that gate alone when `same` is true. */
enum err store_blocked_walk(struct op *op, struct tx *tx, const struct blocked_row *from, bool same, int max,
                            struct blocked_row *ret, int *ret_count);

/* Gates behind `after`, for check. */
enum err store_gate_walk(struct op *op, struct tx *tx, int64_t after, int max, uint64_t *ret_gates,
                         struct gate_row *ret, int *ret_count);
