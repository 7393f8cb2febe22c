/*
 * keep_parked.h - reports nobody claimed, and keys of events that cannot be read again.
 *
 *     keep.parked    reports that wait for a message nobody made    35 days (LED-14), a part for each source
 *     keep.keys      keys of events that can be read again          35 days after the event (SRC-13)
 *
 * A report takes its own key with it, so that it may come again; so keep.keys is
 * after keep.parked: no day's keys go before the reports that want them back.
 */
#pragma once

#include "engine/keep_run.h"

#define KEEP_PARKED_TYPE "posthouse.keep.parked"
#define KEEP_KEYS_TYPE   "posthouse.keep.keys"
#define KEEP_KEYS_DAYS   35

/* For the table of keep_run.c. */
enum err keep_parked_find(struct op *op, struct tx *tx, struct keep_page *page);
enum err keep_parked_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk);
enum err keep_keys_find(struct op *op, struct tx *tx, struct keep_page *page);
enum err keep_keys_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk);
