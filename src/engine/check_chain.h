/*
 * check_chain.h - the touches of many messages at once, for check.
 *
 * A chain is read from its newest row back. Here the chains of many messages
 * are read together, all newest rows first, then all rows before these: as many
 * questions as the longest chain has rows, not one for each row. Private to
 * check*.c.
 */
#pragma once

#include "engine/classify.h"
#include "store/records.h"
#include "store/tx.h"

/* So many rows at once: a few MiB. */
#define CHECK_CHAIN_ROWS 20000

struct check_chain {
    struct touch *touches; /* newest first */
    size_t count;
    bool broken; /* a row is missing, or does not lead back */
};

/* Reads the chains that end in the rows last[i] (0 = an empty one); chains and touches lie in the op's arena. */
enum err check_chains(struct op *op, struct tx *tx, const uint64_t *last, size_t count, struct check_chain **ret);

/* How many of the records, from `from` on, have no more touches together than are read at once; at least one. */
size_t check_chain_part(const struct message_engagement *engagement, size_t from, size_t count);

/* Whether the history of each message is whole, and the status it ends with: last[i] is the newest row of the log
 * (0 = none: status[i] stays as it is). Broken ones get status 0. */
enum err check_histories(struct op *op, struct tx *tx, const uint64_t *last, size_t count, uint8_t *status);
