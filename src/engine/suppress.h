/*
 * suppress.h - addresses that must not be mailed, and why (ledger rules, section 5).
 *
 * One per (tenant, address, reason, scope) (LED-21). Repeats move only
 * last_at; `since` is the earliest report, so order does not matter.
 */
#pragma once

#include "engine/provider_event.h"
#include "engine/status.h"
#include "store/store_suppression.h"

/* Adds or repeats a suppression; *ret_changed (may be NULL) tells whether a row was made or moved. */
enum err suppress_add(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                      enum suppression_reason reason, int64_t at_us, uint64_t message_no, struct str source,
                      bool *ret_changed);

/* The same with a scope of its own: "report:ID" stops that report only. */
enum err suppress_scope(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                        enum suppression_reason reason, struct str scope, int64_t at_us, uint64_t message_no,
                        struct str source, bool *ret_changed);

/* The first reason that forbids mailing this address in a mailing or not; SUPPRESS_NOT when nothing does. */
enum err suppress_check(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t address_hash, bool in_mailing,
                        enum suppression_reason *ret_reason);

/* Takes suppressions of an address back: tenant_no 0 and reason SUPPRESS_NOT mean any. ERR_NOT_FOUND when there was
 * none. Clearing the provider's own list follows as a task (SRC-26). */
enum err suppress_release(struct op *op, struct tx *tx, uint32_t tenant_no, struct str address,
                          enum suppression_reason reason);

/* "bounce", "complaint", "unsubscribe"; "" for SUPPRESS_NOT. */
const char *suppression_reason_name(enum suppression_reason reason);
bool suppression_reason_of(struct str name, enum suppression_reason *ret_reason);
