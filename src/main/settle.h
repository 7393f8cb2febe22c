/*
 * settle.h - runs one command in the writer, or one read, and waits for it: for start, reload and housekeeping.
 *
 * Threads of this folder have no loop; everybody else sends posts and goes on.
 */
#pragma once

#include "store/tx.h"

/* Runs fn in the writer's next transaction and returns when it is durable. The store must run its threads. */
enum err settle(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);

/* The same before others that wait: somebody counts on it (post.h). */
enum err settle_soon(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);

/* The same over a snapshot, in the reader pool. */
enum err settle_read(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);

/* A look that is short, on the connection that redirects use: no long read is in front of it. */
enum err settle_look(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);
