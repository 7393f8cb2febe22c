/*
 * keeper.h - the daemon's housekeeping: throws away what is old, and counts again all the time.
 *
 * A thread of its own that mostly sleeps. Each minute it sends keep.h's steps to
 * the writer, one at a time with pauses, until nothing is left to do. Each hour
 * it counts everything again over snapshots, resting nine times as long as it
 * worked, so it takes at most a tenth of one processor (LED-35).
 *
 * Of several nodes only the leader does this; each step checks in its own
 * transaction that it leads still (NODE-2).
 */
#pragma once

#include "engine/node.h"

#define KEEPER_EVERY_MS 60000
#define KEEPER_PAUSE_MS 200 /* between two steps while there is more */
#define KEEPER_CHECK_MS 3600000
#define KEEPER_FIRST_MS 300000 /* from start to the first count */
#define KEEPER_REST     9      /* a pause of this many times the work before it */

struct keeper;

/* Starts the thread; store and board outlive it. ERR_UNAVAILABLE when the system has none to give. */
enum err keeper_start(struct op *op, struct store *store, struct node_board *nodes, struct keeper **ret_keeper);

/* Ends what is under way at its next step. */
void keeper_stop(struct keeper *keeper);
