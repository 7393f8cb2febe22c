/*
 * shares.h - how bulk and everything else divide the writer.
 *
 * Bulk - pages of events, imports, clicks that are answered already - takes the
 * writer for milliseconds a command, and nobody waits for it. Others - workers,
 * the API, clicks that wait - take microseconds each and wait for every one. So
 * bulk has groups of its own, and what a group of it may be depends on whether
 * others want the writer, too:
 *
 *     nobody came of late    as much as waits
 *     others come            as much as fits in SHARES_BULK_US, then a rest of
 *                            half as long again as it took
 *
 * So others have at least as much of the writer as bulk, while they make use of
 * it: a rest in which nobody comes ends early. Several commands together cost
 * less each, their commit above all, so bulk is cheaper in few long turns than
 * in many short ones, while others have the same share of the time either way.
 *
 * Thread: whoever has the writer's turn; no lock, it reads no clock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define SHARES_RECENT_US   100000 /* others that came within this want the writer, too */
#define SHARES_BULK_US     8000   /* of bulk at once beside them */
#define SHARES_REST_US_MAX 30000
#define SHARES_SILENCE_US  1000 /* without others for so long in a rest: it ends */

struct shares {
    int64_t others_us;     /* when a group of others began last; 0 = never */
    int64_t rest_until_us; /* bulk waits until then */
    int64_t each_us;       /* that a command of bulk took of late; 0 = not known */
};

/* A group of others begins. */
void shares_others(struct shares *shares, int64_t now_us);

/* Others want the writer, or did a moment ago. */
bool shares_is_crowded(const struct shares *shares, int64_t now_us);

/* How many commands of bulk may go in one group, of at most so many: all of them while it is not crowded. */
int shares_bulk(const struct shares *shares, bool crowded, int most);

/* So many have run, at least one; bulk rests for others when these wanted the writer, too. */
void shares_bulk_ran(struct shares *shares, bool crowded, int ran, int64_t began_us, int64_t now_us);

bool shares_bulk_rests(const struct shares *shares, int64_t now_us);

/* Nobody came for SHARES_SILENCE_US: the rest ends. */
void shares_unused(struct shares *shares);
