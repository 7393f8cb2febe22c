/*
 * move.h - a store moves to another place, or to the other engine.
 *
 *     source --rows, in order of key, 20,000 a commit--> target --compared row by row--> target is a store
 *
 * The target is no store until the move has ended well: a daemon refuses it.
 * How far a copy has come is what it holds, so whoever is killed goes on behind
 * the newest row of each table. The source must rest meanwhile. It carries a
 * mark that any daemon or tool which opens it for writing takes off; a move
 * that does not find its mark any more begins anew, and cannot end.
 *
 * What a store knows of the processes that use it (nodes, leases, groups) stays
 * behind; numbers for new rows go on where they stood. Everything else arrives
 * byte for byte, and counters that PostgreSQL keeps in parts are added up first.
 */
#pragma once

#include "store/tx.h"

#define MOVE_ROWS            20000              /* of one commit, at most */
#define MOVE_BYTES           (16 * 1024 * 1024) /* likewise */
#define MOVE_DIFFERENCES_MAX 100                /* told; all are counted */

struct move {
    /* Given: directory or url, nothing else. */
    struct store_config from, to;
    const char *from_name, *to_name;                         /* as they may be shown, for marks and sentences */
    void (*progress)(void *data, int64_t done, int64_t all); /* rows; NULL: nobody looks */
    void (*difference)(void *data, const char *line);
    void *data;

    /* Told. */
    bool resumed;
    int64_t tables, rows, copied; /* rows of the source; those that this run copied */
    int64_t compared, differ;

    struct store *source, *target; /* ours */
    struct moving *moving;
};

/* Is this one of the tables that do not travel row by row. */
bool move_stays(const char *table);

/* Opens both sides and says whether the move may begin or go on. ERR_CONFLICT with a sentence: the source is in use,
 * the target holds other data. */
enum err move_begin(struct op *op, struct move *move);

/* Copies what is missing. */
enum err move_copy(struct op *op, struct move *move);

/* Compares every row of both sides. */
enum err move_compare(struct op *op, struct move *move);

/* Makes the target a store, when nothing differs and nobody has used the source meanwhile; else ERR_CONFLICT. */
enum err move_finish(struct op *op, struct move *move);

/* Closes both sides; what was copied stays for the next time. */
void move_end(struct move *move);
