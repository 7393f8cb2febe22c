/*
 * chains.h - a hash table of chains gets more slots.
 *
 *     struct lease **leases;   slot -> lease -> lease
 *                              slot
 *                              slot -> lease
 *
 * Entries carry the link to the next one of their chain; whoever owns the table
 * walks the chains by it, with types of its own. Only the way into a larger table
 * is common, and that is here. Counts of slots are powers of two.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct chain {
    size_t next_at;                                        /* where in an entry the link stands */
    uint64_t (*hash)(const void *entry, const void *data); /* its lowest bits name the slot */
};

/* A table of `to` slots with all entries of the one of `from` slots, which is freed; NULL and 0 = the first one. The
 * caller owns it. */
void *chains_move(void *slots, size_t from, size_t to, const struct chain *chain, const void *data);
