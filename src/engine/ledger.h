/*
 * ledger.h - what happened to each message, and figures that can be proved.
 *
 *     event -> key known? -> which message? -> fields, status, failure row,
 *              duplicate     none: parked      suppression, touches, last seen
 *                                              -> figures that changed move
 *
 * All of it happens inside one writer's transaction and the same set of events
 * in any order, split in any pages and repeated any number of times ends in the
 * same rows (LED-9): instants are earliest known, failures and classes follow
 * rules that do not look at arrival, the status table has no way back. So what
 * only a recheck brings is no special case (SRC-15). Which event fills which
 * field is LED-10.
 */
#pragma once

#include "engine/provider_event.h"
#include "engine/subject.h"
#include "store/tx.h"

/* Applies one provider event of a source: dedupe key, finding the message (SRC-25), fields, status, counters,
 * suppression, last seen, history; or parks it (LED-14). source_id is stored as cause ("receipt SOURCE"). tenant_no is
 * the source's tenant: a message of another tenant counts as not known; 0 = any. The event's key must be filled.
 * Never fails for what the event holds; errors are the store's. */
enum err ledger_apply(struct op *op, struct tx *tx, struct str source_id, uint32_t source_no, uint32_t tenant_no,
                      const struct provider_event *event, enum event_result *ret_result);

/* The same for an event whose message is known and whose key is taken. *ret_changed: more than the touch log and the
 * event instants of the mailing moved. A message of another tenant is left alone. */
enum err ledger_apply_to(struct op *op, struct tx *tx, struct str source_id, uint32_t tenant_no,
                         const struct provider_event *event, uint64_t message_no, bool *ret_changed);

/* Says that these events will be applied soon, so that a store that must be asked over a network is asked once for all
 * of them. Changes nothing. */
enum err ledger_prefetch(struct op *op, struct tx *tx, const struct provider_event *events, size_t count);

/* The message an event speaks of, first hit wins (SRC-25); 0 when it is not known yet. */
enum err ledger_find(struct op *op, struct tx *tx, const struct provider_event *event, uint64_t *ret_no);
