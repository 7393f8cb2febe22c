/*
 * settle.h - runs one command in the writer and waits for it: for start and reload.
 *
 * The main thread has no loop; everybody else sends posts and goes on.
 */
#pragma once

#include "store/tx.h"

/* Runs fn in the writer's next transaction and returns when it is durable. The store must run its threads. */
enum err settle(struct op *op, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);
