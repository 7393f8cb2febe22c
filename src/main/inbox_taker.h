/*
 * inbox_taker.h - looks for what applications said inside their transactions, and has it applied (inbox.h).
 *
 * Nothing tells a node that a transaction has committed: a NOTIFY would make
 * every caller wait in one queue. So each node looks every 20 ms, which on an
 * empty inbox is one short read, and rests ten times as long as a look takes
 * where looking is slow. What it takes goes before other commands that wait for
 * the writer. Whoever comes first takes the rows; the others find nothing. What
 * cannot be applied as a chunk is tried in halves, down to the one row that is
 * to blame, which is refused.
 *
 * A thread of its own. On a store that nobody shares it takes what a move
 * brought along and ends.
 */
#pragma once

#include "main/ticker.h"
#include "store/tx.h"

#define INBOX_LOOK_MS 20  /* visible 100 ms after the commit (TX-2) */
#define INBOX_SICK_MS 500 /* while the store cannot write */

struct inbox_taker;

/* Starts the thread; the store and the ticker outlive it. The same looks see what other nodes did for fetches that wait
 * here, and nudge the ticker. ERR_UNAVAILABLE when the system has no thread to give. */
enum err inbox_taker_start(struct op *op, struct store *store, struct ticker *ticker, struct inbox_taker **ret_taker);

/* Ends behind the chunk under way. */
void inbox_taker_stop(struct inbox_taker *taker);
