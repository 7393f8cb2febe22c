/*
 * store_uniq.h - locks of unique jobs: one row per key of 16 bytes (UNI-1).
 */
#pragma once

#include "store/tx.h"

struct uniq_row {
    uint64_t id;      /* of the job that holds it */
    int64_t until_us; /* engine time */
    int rule;         /* the engine's: when it is released */
};

/* id 0 in *ret: the lock is free. One that is over counts as there; the caller compares times. */
enum err store_uniq_get(struct op *op, struct tx *tx, const uint8_t key[16], struct uniq_row *ret);

/* Takes, takes over or prolongs the lock. */
enum err store_uniq_put(struct op *op, struct tx *tx, const uint8_t key[16], const struct uniq_row *row);
enum err store_uniq_delete(struct op *op, struct tx *tx, const uint8_t key[16]);

/* Locks behind `key` in order, at most max: for sweeps and check. keys holds 16 bytes each. */
enum err store_uniq_walk(struct op *op, struct tx *tx, const uint8_t key[16], int max, uint8_t (*ret_keys)[16],
                         struct uniq_row *ret, int *ret_count);
