/*
 * store_node.h - the processes that share a store: who lives, since when, and by whose clock.
 *
 * A node is a row that its process keeps young with beats. Each start gets a new
 * epoch, a number no other start ever had; whatever a process may write only
 * while it is the one it thinks it is, it writes under that epoch (NODE-1). Once
 * others called it lost, that epoch can keep nothing any more, however long the
 * process was frozen: it must start over with a new one.
 *
 * Times are of the store's clock: the database's on PostgreSQL, so that nodes
 * whose clocks differ agree about them; the op's on SQLite, where there is one.
 */
#pragma once

#include "store/tx.h"

#define NODE_ID_BYTES_MAX      100
#define NODE_PROCESS_BYTES_MAX 200
#define NODES_MAX              256 /* rows of a store, lost ones included */
#define NODE_NO_OFFSET         INT64_MIN

/* One life of a node: what it is known by in every row it writes. no == 0: nobody, nothing is checked (tools, tests).
 */
struct node_self {
    struct str id; /* "host-a" */
    uint32_t no;
    uint64_t epoch;
};

struct node_row {
    uint32_t no; /* 0 = not stored yet */
    struct str id;
    uint64_t epoch;     /* of its newest start */
    struct str process; /* says on its own machine whether that start still runs */
    struct str version; /* of the program */
    int64_t steps;      /* of the schema that program knows */
    int64_t started_at_us;
    int64_t beat_at_us;
    int64_t offset_us; /* its clock minus the store's; NODE_NO_OFFSET: not measured yet */
    bool is_lost;
};

/* The store's clock. Inside a transaction it moves on. */
enum err store_clock_us(struct op *op, struct tx *tx, int64_t *ret_us);

/* Unknown: *ret_found is false. Texts in the op's arena. */
enum err store_node_find(struct op *op, struct tx *tx, struct str id, struct node_row *ret, bool *ret_found);

/* Inserts (no == 0: gives it a number) or updates by number, and gives it a new epoch. ERR_UNAVAILABLE at
 * NODES_MAX. */
enum err store_node_start(struct op *op, struct tx *tx, struct node_row *row);

/* A sign of life. *ret_is_alive is false, and nothing changes, when this life is over: lost, or another start. */
enum err store_node_beat(struct op *op, struct tx *tx, const struct node_self *self, int64_t at_us, int64_t offset_us,
                         bool *ret_is_alive);

/* Whether this life may still keep anything, and the store's clock, in one question. A self without number may. */
enum err store_node_look(struct op *op, struct tx *tx, const struct node_self *self, bool *ret_is_alive,
                         int64_t *ret_clock_us);

/* Calls those lost that were silent since before_us; *ret_count are new. except_no is spared. */
enum err store_node_lose(struct op *op, struct tx *tx, int64_t before_us, uint32_t except_no, int64_t *ret_count);

/* Removes lost nodes that were silent since before_us. */
enum err store_node_forget(struct op *op, struct tx *tx, int64_t before_us);

/* An orderly end: the node is no more. Never fails for a life that is over already. */
enum err store_node_end(struct op *op, struct tx *tx, const struct node_self *self);

/* How many are not lost. */
enum err store_node_count(struct op *op, struct tx *tx, int *ret_alive);

/* Whether there is one to be called lost that was silent since lose_us, or to be forgotten since forget_us. */
enum err store_node_is_silent(struct op *op, struct tx *tx, int64_t lose_us, int64_t forget_us, uint32_t except_no,
                              bool *ret_some);

/* All, in order of id, in the op's arena; at most NODES_MAX. */
enum err store_node_list(struct op *op, struct tx *tx, struct node_row **ret, size_t *ret_count);
