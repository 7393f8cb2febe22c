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
 * A streamed import asks and stores by itself (idempotency_ask, _store): its
 * lines are idempotent anyway, and only its last answer is remembered.
 */
#pragma once

#include "serve/call.h"

#define IDEMPOTENCY_KEY_BYTES_MAX 255

struct idempotency_use {
    struct idempotency_use *next; /* among those under way */
    uint8_t key[16];              /* of caller, method, path and key */
    uint64_t request_hash;        /* of the body */
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

/* Over the whole body; for streams over their pieces, which then must come in order. */
void idempotency_body(struct idempotency_use *use, struct str piece);

/* A route that looks for a stored answer before the first hop of `route` and stores what it answers. `route` must be
 * one hop in the writer and one in the caller's thread. */
const struct hop *idempotency_wrap(struct call *call, const struct hop *route);

/* In a transaction: the stored answer goes into call->answer and call->status, *ret_found says so. ERR_INVALID when it
 * belongs to another body and compare_body is set. */
enum err idempotency_ask(struct op *op, struct tx *tx, struct call *call, bool compare_body, bool *ret_found);

/* In the writer: keeps call->answer and call->status. Answers over IDEMPOTENCY_BODY_BYTES_MAX are not kept. */
enum err idempotency_store(struct op *op, struct tx *tx, struct call *call);

/* The request is answered: its key may come again. Called by call_end. */
void idempotency_end(struct call *call);
