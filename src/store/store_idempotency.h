/*
 * store_idempotency.h - answers given under an Idempotency-Key, kept 24 hours.
 *
 * The answer is stored in the transaction that did the work, so a request sent
 * again after a crash finds either both or neither. Memory of keys is bounded:
 * above IDEMPOTENCY_MAX the oldest leave early.
 */
#pragma once

#include "store/tx.h"

#define IDEMPOTENCY_KEEP_MS        86400000
#define IDEMPOTENCY_MAX            1000000
#define IDEMPOTENCY_BODY_BYTES_MAX (256 * 1024)

struct idempotency {
    struct str route;      /* "POST /v1/mailings/{id}/messages" */
    uint64_t request_hash; /* of the body: the same key with another body is the caller's mistake */
    int status;
    struct str body;
    int64_t at_ms;
};

/* The answer stored under the key (a 128-bit hash of caller and key) within the last 24 hours. */
enum err store_idempotency_get(struct op *op, struct tx *tx, const uint8_t key[16], struct idempotency *ret_answer,
                               bool *ret_found);

/* Stores an answer under the op's time, replacing an expired one. ERR_CONFLICT when the key is in force already,
 * ERR_TOO_LARGE for a body above IDEMPOTENCY_BODY_BYTES_MAX. Takes a few expired answers away each time. */
enum err store_idempotency_put(struct op *op, struct tx *tx, const uint8_t key[16], const struct idempotency *answer);
