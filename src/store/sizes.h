/*
 * sizes.h - how many bytes the tables of a database take, for benches. PostgreSQL only.
 */
#pragma once

#include "store/tx.h"

struct store_size {
    struct str table;
    int64_t bytes; /* with its indexes and what lies beside it */
};

/* The largest tables, the largest first, at most max; names in the op's arena. */
enum err store_sizes(struct op *op, struct tx *tx, struct store_size *ret, size_t max, size_t *ret_count);
