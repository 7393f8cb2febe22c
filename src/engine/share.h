/*
 * share.h - which sources a node reads when several do.
 *
 * Each node looks at who holds which source and moves only its own: it takes free
 * ones while it has fewer than its part, and gives one up when another living node
 * has too few. So a new node gets its part within a few looks, a dead one's part is
 * spread over the others, and nobody has to agree with anybody: whoever takes a
 * source takes its lease, which only one can (SRC-10).
 *
 * What nobody took for SHARE_STALE_US is taken by whoever sees it, whatever his part:
 * the node it was left for may be alive and yet unable to read.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARE_STALE_US INT64_C(20000000)
#define SHARE_GIVE_MAX 100 /* at one look */

enum share_holder { SHARE_FREE, SHARE_MINE, SHARE_OTHERS };
enum share_move { SHARE_REST, SHARE_TAKE, SHARE_GIVE };

struct share_source {
    enum share_holder holder;
    int64_t free_for_us; /* how long it has been seen free */
    bool is_given;       /* this node gave it up just now: for others, unless it stays */
    enum share_move move;
};

/* Decides the moves of this node. nodes: how many are alive, this one included; least: how many sources the other
 * living node with the fewest has (ignored when nodes is 1). start spreads where nodes begin to take. */
void share_decide(struct share_source *sources, size_t count, int nodes, size_t least, uint64_t start);
