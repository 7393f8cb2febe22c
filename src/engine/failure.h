/*
 * failure.h - the one failure row of a message (LED-11).
 *
 * Permanent beats temporary. Among temporary ones the newest event time wins,
 * equal times by the greater event id, and the winner replaces all fields;
 * among permanent ones the earliest. So any order of arrival ends in one row.
 */
#pragma once

#include "engine/subject.h"
#include "engine/provider_event.h"
#include "store/store_outcome.h"

/* Keeps the event's failure if it wins; marks the subject changed then. */
enum err failure_apply(struct op *op, struct subject *subject, const struct provider_event *event,
                       enum failure_kind severity);

/* True when `next` replaces `stands`; stands == NULL: nothing is there. */
bool failure_wins(const struct failure_row *stands, const struct failure_row *next);
