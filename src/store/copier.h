/*
 * copier.h - moves the WAL into the file while the writer goes on.
 *
 *     RESTS --copier_begin--> RUNS --its thread--> THROUGH --copier_rest--> RESTS
 *
 * What was committed until it began is copied and synced on a thread and a
 * connection of its own. What came since is little, and moved by the writer: only
 * behind that does the WAL start again from its beginning.
 *
 * SQLite 3.40 can lose commits when a write starts the WAL again while another
 * connection begins a checkpoint. It cannot start again before all of it is in the
 * file. So one checkpoint runs at a time, and one beside the writer begins only
 * while something is left to copy: then nothing but this very copy can bring the
 * WAL to where a write starts it again, and by then it looks at it no more.
 *
 * It rests only while all that was written before is in the file and counted as
 * such: so when the WAL has pages again they are of commits since (docs/adr/0035).
 *
 * When a sync of the copy fails the WAL is kept, whatever later syncs say: the
 * next start reads all of it again.
 *
 * Thread: whoever holds the writer's turn.
 */
#pragma once

#include <stdint.h>

#include "base/op.h"

struct store;
struct copier;

enum copier_state { COPIER_RESTS, COPIER_RUNS, COPIER_THROUGH };

/* Opens its connection and starts its thread. */
enum err copier_start(struct op *op, struct store *store, struct copier **ret_copier);

/* Waits until it is through, ends the thread and frees it; NULL is fine. */
void copier_stop(struct copier *copier);

enum copier_state copier_state(const struct copier *copier);

/* It rests, and the WAL has pages that are not in the file yet. */
void copier_begin(struct copier *copier);

/* Waits while it runs. */
void copier_await(struct copier *copier);

/* What it was begun for is done with. Not while it runs. */
void copier_rest(struct copier *copier);
