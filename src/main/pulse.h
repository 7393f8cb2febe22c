/*
 * pulse.h - keeps this process known among the nodes of its store, from start to stop.
 *
 * A thread with a connection of its own that beats, however much waits for the
 * writer, and measures how far the clock is from the store's. A life is begun by
 * the writer: at the start, and when a group finds that others called this node
 * lost (store_fence). What is known stands on the board (engine/node.h). Alone on
 * a SQLite store the thread registers and sleeps: nobody is there who could look,
 * so nothing is written for nobody.
 */
#pragma once

#include "engine/node.h"

struct pulse;

struct pulse_config {
    struct store *store;
    struct str id; /* wanted; not given: the name of the host */
    struct node_timing timing;
};

/* Registers; the board has a life when it returns. The store runs its threads and outlives the pulse. ERR_UNAVAILABLE
 * when the store cannot write or knows too many nodes. */
enum err pulse_start(struct op *op, const struct pulse_config *config, struct pulse **ret_pulse);

/* Leaves: other nodes may take over at once. After everything that works under a lease was stopped. */
void pulse_stop(struct pulse *pulse);

/* This node's newest life; as long as the pulse. */
struct node_board *pulse_board(struct pulse *pulse);
