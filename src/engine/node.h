/*
 * node.h - the life of this process among those that share its store.
 *
 *     register --> alive --beat every 5 s--> alive ... leave
 *        ^            |
 *        +--- lost <--+ silent for 30 s: others say so, and its epoch keeps nothing any more (NODE-1)
 *
 * One node leads: it holds the lease "lead" for 15 s, renewed with each beat, and
 * only it does what must be done once in an installation - housekeeping, counting
 * again, folding (NODE-2). A node whose clock is more than two seconds off does
 * not lead. A node counts the silence of others in time in which it could reach
 * the store itself: while the store is away, and in a moment between two such
 * times, nobody can tell their silence from its own.
 *
 * A beat waits for nobody: it only makes younger and longer what this life has.
 * Calling others lost and taking the lead change what they may write, so that
 * is done in turn with what they write (node_watch). Times are of the store's
 * clock; main/pulse.c gives the beat and keeps the outcome on a board where
 * every thread can read it.
 */
#pragma once

#include "store/store_duty.h"

#define NODE_BEAT_US       INT64_C(5000000)
#define NODE_LOST_US       INT64_C(30000000)
#define NODE_LEAD_US       INT64_C(15000000)
#define NODE_FORGET_US     INT64_C(604800000000) /* a lost node is shown for a week */
#define NODE_OFFSET_MAX_US INT64_C(2000000)
#define NODE_MEASURE_US    INT64_C(30000000) /* how often the offset of the clock is measured */
#define NODE_NAMES_MAX     100               /* nodes of one wanted name: "host", "host-2" ... */
#define NODE_FULL_ID_BYTES (NODE_ID_BYTES_MAX + 1)

/* Times that can be configured; the same for all nodes of a store. */
struct node_timing {
    int64_t beat_us;
    int64_t lost_us; /* silent for so long: lost. At least three beats */
    int64_t lead_us; /* end of a leader that says nothing; renewed with each beat */
};

/* Who starts. */
struct node_identity {
    struct str id; /* wanted; where it is taken by a living node, "-2" and so on is added */
    struct str process;
    struct str version;
    int64_t steps; /* of the schema it knows */
    bool is_alone; /* nobody else can have the store open: every other node is over, and leading never ends */
    /* True when this process surely does not run any more, so that a crash is not waited for. NULL: nobody can tell. */
    bool (*is_gone)(struct str process);
};

#define NODE_MARKS 20

/* When this node could reach the store, from beat to beat: marks a sixteenth of lost_us apart, as a ring. */
struct node_reach {
    int64_t total_us; /* since its start: of a gap at most one and a half beats, of one longer than three nothing */
    struct node_mark {
        int64_t at_us, total_us;
    } marks[NODE_MARKS];
    unsigned marked; /* ever */
};

/* What is known of this node after its newest beat. */
struct node_life {
    char id[NODE_FULL_ID_BYTES];
    uint32_t no; /* 0 = not registered */
    uint64_t epoch;
    int64_t started_at_us, beat_at_us;
    struct node_reach reach;
    int64_t offset_us;
    uint64_t term; /* of its leadership; 0 = another leads, or nobody */
    int alive;     /* nodes, this one included */
    int64_t lost;  /* nodes that it called lost since the beat before */
};

struct node_self node_self(const struct node_life *life);

/* The lease of the leader, to be checked in each transaction of its work; term 0 when this node does not lead. */
struct duty node_lead(const struct node_life *life);

/* Begins a life: a row with a new epoch. offset_us as measured, NODE_NO_OFFSET before. ERR_UNAVAILABLE when the store
 * knows too many nodes. */
enum err node_register(struct op *op, struct tx *tx, const struct node_identity *who, const struct node_timing *timing,
                       int64_t offset_us, struct node_life *ret);

/* One beat: a sign of life, and the lead kept or given up. ERR_CONFLICT when this life is over, because others called
 * it lost: register again. *ret_watch: somebody is silent for too long or nobody leads, node_watch is due. ret may be
 * life. May run while others write. */
enum err node_beat(struct op *op, struct tx *tx, const struct node_timing *timing, const struct node_life *life,
                   int64_t offset_us, struct node_life *ret, bool *ret_watch);

/* Calls the silent ones lost, forgets those that are for long, and takes the lead when it is free. In turn: whoever
 * writes reads whether it is lost and what leads, and that stands until its commit. ret may be life. */
enum err node_watch(struct op *op, struct tx *tx, const struct node_timing *timing, const struct node_life *life,
                    struct node_life *ret);

/* An orderly end: leads no more, is no more. */
enum err node_leave(struct op *op, struct tx *tx, const struct node_life *life);

/* --------------------------------------------------------------------------------------------------------- board */

/* The newest life, for every thread. */
struct node_board;

struct node_board *node_board_new(void);
void node_board_free(struct node_board *board);

/* What is said of an older life than the one that stands there is not heard. */
void node_board_set(struct node_board *board, const struct node_life *life);
struct node_life node_board_get(struct node_board *board);
