/*
 * store_source_leases.h - who reads which source, for nodes that share them out.
 *
 * The lease of a source's first lane stands for all: they are taken and given
 * together (engine/source_lease.h).
 */
#pragma once

#include "store/store_source.h"

struct source_lease {
    uint32_t source_no;
    struct str id;
    struct str node;  /* id; not given: nobody ever read it */
    int64_t until_us; /* by the store's clock */
};

/* Sources numbered above after, in order of number, at most limit; in the op's arena. */
enum err store_source_leases(struct op *op, struct tx *tx, uint32_t after, int limit, struct source_lease **ret,
                             size_t *ret_count);
