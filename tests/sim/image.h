/*
 * image.h - everything the ledger holds, as lines of text in an order of their own.
 *
 * Two stores that were told the same events have the same image, however they
 * were told (LED-9). So nothing is in it that arrival decides: numbers of rows,
 * instants of commits, the path a status took. `last_seen_at` is compared by
 * local day (LED-13), and only on demand: a class that changes later does not
 * take it back (LED-23).
 */
#pragma once

#include "store/tx.h"

#define IMAGE_BYTES_MAX (16u << 20)

struct image {
    bool with_seen; /* the day a member was last seen */
    struct str text;
};

/* For store_read; arg is a struct image, its text lives in the op's arena. */
enum err image_read(struct op *op, struct tx *tx, void *arg);

/* Fails the seed at the first line that only one of them has. */
void image_same(const char *what, struct str expected, struct str actual);
