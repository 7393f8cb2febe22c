/*
 * store_parked.h - reports whose message is not known yet (LED-14).
 *
 * A parked event is kept under the hash of every reference it carries; the row
 * of a message asks for its own references when it is made.
 */
#pragma once

#include "store/tx.h"

#define PARKED_REFS_MAX       4
#define PARKED_PER_SOURCE_MAX 1000000
#define PARKED_KEEP_DAYS      35

struct parked {
    uint64_t seq;
    uint32_t source_no;
    uint32_t tenant_no;
    int64_t at_us;
    int64_t parked_at_ms;
    int32_t day; /* dedupe day and key, forgotten with it */
    uint64_t key[2];
    struct str event; /* the provider_event as bytes (engine/park.c) */
};

/* True when nothing is parked at all: spares every import line its look-ups. Kept in RAM, exact. */
enum err store_parked_is_empty(struct op *op, struct tx *tx, bool *ret_empty);

enum err store_parked_add(struct op *op, struct tx *tx, struct parked *parked, const int64_t refs[], int ref_count);

/* Says that these references will be asked for soon. On PostgreSQL it is learned together under which of them nothing
 * is parked; else nothing is done. */
enum err store_parked_prefetch(struct op *op, struct tx *tx, const int64_t *refs, size_t count);

/* All events under a reference, in order of event time, in the op's arena. */
enum err store_parked_find(struct op *op, struct tx *tx, int64_t ref, struct parked **ret, size_t *ret_count);
enum err store_parked_delete(struct op *op, struct tx *tx, uint64_t seq);

/* How many a source has parked. */
enum err store_parked_count(struct op *op, struct tx *tx, uint32_t source_no, int64_t *ret_count);

/* The oldest events of some source that has more than PARKED_PER_SOURCE_MAX: what is too many, at most `max`, in the
 * op's arena. */
enum err store_parked_over(struct op *op, struct tx *tx, int max, struct parked **ret, size_t *ret_count);

/* The oldest events of a source that were parked before; the same way. */
enum err store_parked_of_source(struct op *op, struct tx *tx, uint32_t source_no, int64_t before_ms, int max,
                                struct parked **ret, size_t *ret_count);

/* The next source behind this number that has something parked; -1 = none. */
enum err store_parked_next_source(struct op *op, struct tx *tx, int64_t after, int64_t *ret_source_no);
