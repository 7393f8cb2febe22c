/*
 * park.h - reports whose message is not known yet (LED-14).
 *
 * A parked event keeps what the provider said until the row of its message is
 * made or given its provider id; then it is applied in the same transaction,
 * in order of event time. The oldest go first when they are too many or too
 * old, with their dedupe keys, so that a backfill can bring them again.
 */
#pragma once

#include "engine/provider_event.h"
#include "engine/subject.h"
#include "store/store_message.h"

/* Parks an event under every reference it carries. */
enum err park_event(struct op *op, struct tx *tx, struct str source_id, uint32_t source_no, uint32_t tenant_no,
                    const struct provider_event *event);

/* Applies everything that waited for this row. mailing_id may be not given. */
enum err park_meet(struct op *op, struct tx *tx, const struct message_row *row, struct str mailing_id);

/* Throws away at most max of the events that are too many, with their keys; *ret_gone tells how many. */
enum err park_shrink(struct op *op, struct tx *tx, int max, int *ret_gone);

/* The same of those of a source that were parked before. */
enum err park_expire(struct op *op, struct tx *tx, uint32_t source_no, int64_t before_us, int max, int *ret_gone);
