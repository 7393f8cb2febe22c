/*
 * store_click.h - how far a node's clicks are stored, and which mailings are young.
 *
 * A node numbers its clicks and stores them in that order, so one number tells
 * which of them are there: after a crash, or a commit whose outcome nobody
 * heard, exactly those above it are still to be stored (store/spool.h).
 */
#pragma once

#include "store/tx.h"

/* The newest click of the node that is stored; 0 = none yet. In the writer's transaction it is remembered. */
enum err store_click_mark(struct op *op, struct tx *tx, struct str node, uint64_t *ret_newest);
enum err store_click_set_mark(struct op *op, struct tx *tx, struct str node, uint64_t newest);

/* False when no message of the mailing was sent or delivered after since_us, as far as this process knows: then nobody
 * needs to look at the message. Asked first for a mailing it says yes for a while. */
enum err store_mailing_is_young(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t since_us, bool *ret_young);

/* A message of the mailing was sent or delivered at at_us; 0 = no mailing, nothing to note. */
enum err store_mailing_young(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t at_us);
