/*
 * idempotency.h - a POST sent again gets the answer it got before.
 *
 * A client that does not know whether its POST arrived sends it again with the
 * same Idempotency-Key. Within 24 hours the same key, path and body of the same
 * caller gives the stored answer and does nothing; another body is 422; the
 * same request while the first is still under way is 409. The answer is stored
 * in the transaction that does the work (store_idempotency.h), so both are kept
 * or neither. Refused requests are not stored: they changed nothing.
 *
 *     call_send -> idempotency_wrap -> [writer: seen before? else the call's own hop, then store] -> reply
 *
 * A streamed import asks before its first chunk and stores after its last one;
 * its lines are idempotent anyway.
 */
#pragma once

#include "base/siphash.h"
#include "serve/call.h"

#define IDEMPOTENCY_KEY_BYTES_MAX 255

struct idempotency_use {
    struct idempotency_use *next; /* among those under way */
    uint8_t key[16];              /* of caller, method, path and key */
    struct siphash body;          /* of what has come of the body */
    uint64_t stored_hash;         /* of the body that the stored answer belongs to */
    struct str route;             /* "POST /v1/jobs" */
    const struct hop *wrapped;    /* the call's own route */
    bool replayed;                /* the answer is a stored one */
};

/* Keys of requests under way; one table for the API. */
struct inflight *inflight_new(void);
void inflight_free(struct inflight *inflight);

/* Looks for the header. False when the request was refused (422 key too long, 409 under way) and answered. True: there
 * is none (call->idempotency stays NULL), or its key is now under way until call_end. */
bool idempotency_begin(struct call *call);

/* Takes a piece of the body, in order. */
void idempotency_body(struct idempotency_use *use, struct str piece);

/* A route that looks for a stored answer before the first hop of `route` and stores what it answers. `route` must be
 * one hop in the writer and one in the caller's thread. */
const struct hop *idempotency_wrap(struct call *call, const struct hop *route);

/* In a transaction: a stored answer goes into call->answer and call->status, *ret_found says so. */
enum err idempotency_ask(struct op *op, struct tx *tx, struct call *call, bool *ret_found);

/* The whole body has come: ERR_INVALID when the stored answer belongs to another one. */
enum err idempotency_compare(struct op *op, const struct call *call);

/* In the writer: keeps call->answer and call->status. Answers over IDEMPOTENCY_BODY_BYTES_MAX are not kept. */
enum err idempotency_store(struct op *op, struct tx *tx, struct call *call);

/* The request is about to be answered: its key may come again, and a stored answer says that it is one. Called by
 * call_end. */
void idempotency_end(struct call *call, enum err err);
