/*
 * store_move.h - whether this store is being moved away, or is a copy under way (move.h).
 *
 * Private to src/store. One row per role; none in a store that leads a quiet life.
 */
#pragma once

#include "store/tx.h"

#define MOVE_MARK_BYTES 32 /* hex */

enum move_role {
    MOVE_AWAY = 1, /* rows of this store are being copied, or were */
    MOVE_HERE = 2  /* this is a copy that is not finished */
};

struct move_mark {
    char mark[MOVE_MARK_BYTES + 1]; /* of one move, the same on both sides; "" = no such row */
    struct str peer;                /* the other side */
    int64_t at_ms;
    bool done;     /* MOVE_AWAY: the copy has become a store */
    int64_t group; /* MOVE_HERE: newest group of the source when the copy began; 0 where there are none */
};

/* Number of the newest group any node wrote; 0 on SQLite, where the lock says that nobody writes. */
enum err store_move_group(struct op *op, struct tx *tx, int64_t *ret_group);

/* mark "" when there is no such row. */
enum err store_move_get(struct op *op, struct tx *tx, enum move_role role, struct move_mark *ret);
enum err store_move_put(struct op *op, struct tx *tx, enum move_role role, const struct move_mark *mark);
enum err store_move_drop(struct op *op, struct tx *tx, enum move_role role);
