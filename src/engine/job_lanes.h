/*
 * job_lanes.h - which ready job of a queue is next: windows over `ready`, keys in turn, levels by age.
 *
 * A queue has ten levels (0: without priority, 1..9), a level has a ring of
 * lanes, one per fairness key that has ready work, and a lane holds the first
 * places of its rows. What does not fit stays on disk and is read piece by
 * piece, when a quarter of one is left. A lane never holds what is not in `ready`
 * (or among the rows that this group is about to write there).
 *
 * Turns go round by deficit round robin: arriving at a lane adds its weight,
 * a job costs 1, so one job of a new key starts within one round (FAIR-1).
 * A key at its limit leaves the ring and costs nothing until it comes back
 * (FAIR-2). At most LANES_MAX keys are in a ring; others rotate in (FAIR-3).
 *
 * Memory only: a lanes struct can be thrown away at any time and is built
 * again from the rows as it is used.
 */
#pragma once

#include "base/op.h"
#include "store/tx.h"

#define LEVELS          10
#define LANES_MAX       100000  /* keys of one level in RAM */
#define LANE_WINDOW     1024    /* places of a lane without key */
#define LANE_KEY_WINDOW 256     /* and of one with a key */
#define LANE_PIECE      64      /* read at once, where a read is no trip */
#define LANE_IDS_MAX    1000000 /* places of all lanes together (QUE-5) */

struct lane;
struct lanes;

struct lane_place {
    uint64_t ord, job; /* as in ready_row */
};

/* What the lanes ask of the machine they belong to. */
struct lanes_host {
    void *data;
    uint32_t queue_no;
    int64_t *ids;                                                              /* places in RAM, of all queues */
    enum err (*write_pending)(struct op *op, struct tx *tx, void *data);       /* rows of this group, before a read */
    int64_t (*weight)(void *data, uint64_t key);                               /* of a key */
    bool (*may_start)(struct op *op, struct tx *tx, void *data, uint64_t key); /* false: at its limit */
};

/* `empty`: nothing of the queue is in `ready`, so there is nothing to look for. */
struct lanes *lanes_new(const struct lanes_host *host, bool empty);
void lanes_free(struct lanes *lanes);

/* A row was (or will be) added at the end of its lane. */
void lanes_add(struct lanes *lanes, int level, uint64_t key, const struct lane_place *place);

/* A row was put back to an earlier place of its lane. */
void lanes_return(struct lanes *lanes, int level, uint64_t key, const struct lane_place *place);

/* A row goes for another reason than its turn. */
void lanes_remove(struct lanes *lanes, int level, uint64_t key, uint64_t ord);

struct lane_pick {
    int level;
    uint64_t key;
    struct lane_place place;
    struct lane *lane;
};

/*
 * The job whose turn it is: of the level whose head has the highest priority + waited / ageing (PRIO-1; with
 * ageing -1 levels mean nothing and the oldest head is first), of the lane whose turn it is there. *ret_found false:
 * nothing that may start. Places below `cut` are passed over (QUE-7). lanes_take then takes it out.
 */
enum err lanes_pick(struct op *op, struct tx *tx, struct lanes *lanes, uint64_t cut, int64_t now_us, int64_t ageing_us,
                    struct lane_pick *ret, bool *ret_found);
void lanes_take(struct lanes *lanes, const struct lane_pick *pick);

/* Ids of the jobs that are next, at most max, as far as they stand in RAM: those of the first level, a fair share of
 * each of its lanes. A guess. Returns how many. */
size_t lanes_peek(const struct lanes *lanes, size_t max, uint64_t *ret_ids);

/* The key may start again: its lanes are back in their rings. */
void lanes_open_key(struct lanes *lanes, uint64_t key);

/* Place of the oldest job that stands at the head of a lane in RAM; 0 = none is known. */
uint64_t lanes_oldest(const struct lanes *lanes);
