/*
 * ledger.h - what happened to each message, and figures that can be proved.
 *
 * One row of state per message; every figure moves by the truth value of its
 * condition before and after a change (LED-15), never by recount. The functions
 * here run inside a writer's transaction and leave whole facts behind.
 *
 * Facts of a message are spread by how they are used: ledger_state.h holds the
 * fixed-size state records that events touch, store_message.h the wide row that
 * only people read.
 */
#pragma once

#include "engine/provider_event.h"
#include "store/tx.h"

/* Applies one provider event of a source: dedupe key, finding the message (SRC-25), fields, status, counters,
 * suppression, last seen, history; or parks it. `source_id` is stored as cause ("receipt SOURCE").
 * The event's key must be filled. Never fails for what the event holds; errors are the store's. */
enum err ledger_apply(struct op *op, struct tx *tx, struct str source_id, uint32_t source_no, uint32_t tenant_no,
                      const struct provider_event *event, enum event_result *ret_result);
