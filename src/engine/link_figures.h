/*
 * link_figures.h - what the touches of one message say about the links it clicked.
 *
 * A member counts once in `members` of a link, in `human` with at least one
 * human click of it and in `machine` with at least one machine click (LNK-13),
 * each since the destination changed and over all time. So the figures move by
 * what one message says before and after a change; they are never recounted.
 */
#pragma once

#include "engine/classify.h"
#include "store/tx.h"

/* Of a touch that was not there before. */
#define BITS_NEW UINT32_MAX

/* Moves the figures of every tracked link among the touches of one message. bits_before[i] are the bits that touch i
 * had before the change, or BITS_NEW. */
enum err link_figures_move(struct op *op, struct tx *tx, const struct touch *touches, size_t count,
                           const uint32_t *bits_before);

/* One more click that is like one that stands: `version` is the destination it was sent to. */
enum err link_figures_repeat(struct op *op, struct tx *tx, uint32_t link_no, uint32_t version);
