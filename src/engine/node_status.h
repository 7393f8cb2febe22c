/*
 * node_status.h - what is told about nodes: who lives, whose clock is off, who holds which lease.
 *
 *     [{"id":"host-a","state":"alive","version":"0.1.0","started_at":..,"beat_at":..,"clock_offset_seconds":0.003,
 *       "leases":["lead","source/mg"]}]
 */
#pragma once

#include "base/json_write.h"
#include "engine/node.h"

#define NODE_LEASES_SHOWN 1000 /* of all nodes together */

/* Writes the array. own: the life of the node that tells; alone (own->alive <= 1) its beat is this very answer, since
 * none is written then. */
enum err node_status_write(struct op *op, struct tx *tx, const struct node_life *own, struct json_writer *w);
