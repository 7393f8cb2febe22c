/*
 * fold_table.h - Unicode's simple case foldings, packed.
 *
 * The rows of fold_table.c are made by tools/make-fold-table; fold.c reads them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct fold_range {
    uint32_t first, last; /* characters, both included */
    int32_t step;         /* 1: each of them folds; 2: every other */
    int32_t distance;     /* what is added */
};

/* Rising and disjoint. */
extern const struct fold_range fold_ranges[];
extern const size_t fold_range_count;
