/*
 * near.h - the word somebody meant.
 *
 *     struct near near = near_to(S("htpp"));
 *     near_try(&near, S("http"));
 *     near_best(&near); // "http", or not given when nothing comes close
 *
 * Distance counts letters put in, left out, exchanged for another or swapped
 * with a neighbour. A third of the word's letters may be wrong, at least one.
 */
#pragma once

#include "base/str.h"

#define NEAR_BYTES_MAX 64 /* longer words are near nothing */

struct near {
    struct str word, best;
    size_t distance; /* of best; only less is taken */
};

struct near near_to(struct str word);

/* Offers a word; of two equally near ones the first stays. */
void near_try(struct near *near, struct str candidate);

struct str near_best(const struct near *near);

/* Changes that make b of a; NEAR_BYTES_MAX + 1 when one of them is too long. */
size_t near_distance(struct str a, struct str b);
