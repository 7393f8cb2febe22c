/*
 * store_done.h - the history of finished jobs, in chunks that are dropped whole.
 *
 * A group's finished jobs are one row: records one behind the other, written
 * once, never touched again. The engine knows what a record says. Keys of many
 * chunks together are one row more, written later, so that a job is found
 * without reading them all.
 */
#pragma once

#include "store/tx.h"

struct done_chunk {
    uint64_t no;
    int64_t at_us;  /* engine time of its newest record */
    int64_t count;  /* records in it */
    int64_t before; /* records in all chunks before it, ever */
    struct str records;
};

enum err store_done_add(struct op *op, struct tx *tx, const struct done_chunk *chunk);

/* The newest chunk below `no` (0 = of all), with its records in op's arena; no 0 in *ret: none. */
enum err store_done_before(struct op *op, struct tx *tx, uint64_t no, struct done_chunk *ret);

/* The oldest chunk behind `behind`, without its records; no 0: none. Whoever knows that the first ones are gone says
 * so: while somebody holds an old snapshot PostgreSQL would walk over all that were dropped. */
enum err store_done_oldest(struct op *op, struct tx *tx, uint64_t behind, struct done_chunk *ret);

/* Chunks behind `no`, oldest first, records borrowed during the call, until fn sets *stop. */
enum err store_done_each(struct op *op, struct tx *tx, uint64_t no,
                         enum err (*fn)(void *arg, const struct done_chunk *chunk, bool *stop), void *arg);

/* Drops one chunk. */
enum err store_done_drop(struct op *op, struct tx *tx, uint64_t no);

struct done_keys {
    uint64_t first, last; /* chunks whose keys these are */
    int64_t after;        /* records in them and in all chunks before, ever */
    struct str keys;      /* bytes, the engine's */
};

enum err store_done_keys_add(struct op *op, struct tx *tx, const struct done_keys *row);

/* The newest row, without its keys; last 0: none. */
enum err store_done_keys_newest(struct op *op, struct tx *tx, struct done_keys *ret);

/* All rows, newest first, keys borrowed during the call, until fn sets *stop. */
enum err store_done_keys_each(struct op *op, struct tx *tx,
                              enum err (*fn)(void *arg, const struct done_keys *row, bool *stop), void *arg);

/* Drops rows all of whose chunks are before `no`. */
enum err store_done_keys_drop(struct op *op, struct tx *tx, uint64_t no);
