/*
 * click_line.h - the line in which clicks wait to be on disk.
 *
 * Every click of this node passes here, in order, and is answered when it is
 * durable. On a database of its own that is when it stands in the journal, the
 * file of the spool (store/spool.h), synced for all that wait; the store follows
 * a moment later, thousands of clicks in one command:
 *
 *     JOURNAL   clicks go to the spool and are answered from there; what it holds is stored in
 *               order. A store that fails or stalls delays that, and nothing else
 *
 * Where several nodes share a database a click is durable when the database has
 * it. Then, and until the file is made, two ways lead to the disk:
 *
 *     STORE     a turn's clicks are one command of the writer
 *        |  a commit that is not back within a second, or fails
 *        v
 *     SPOOL     clicks go to the spool and are answered from there; what it holds is tried with
 *        |      the store each second, in order
 *        v
 *     CATCH UP  little is left: new clicks wait the few milliseconds until it is stored, and
 *               the line is in STORE again, or in JOURNAL when the file has been made
 *
 * Clicks are numbered and stored in that order without holes (engine/click.h),
 * so whatever the outcome of a commit was, the number of the newest stored
 * click tells which records of the spool are still to be stored: none is lost,
 * none counts twice (LNK-42). Who wants to read figures waits until what was
 * answered before is stored, for a second at most: click_line_fence_reader.
 *
 * Clicks come from several loops, and each is answered on its own. What they do
 * at the end of a turn they do for one another: one writes and syncs, outside
 * the lock, what all have brought, and the clicks of those who come meanwhile
 * are the next group (click_lane.c).
 *
 * A client that leaves frees its place at once; its click is dropped unless a
 * group has it already (LNK-40). What is not durable after `wait_ms`, or would
 * make more than `max_waiting` wait, is refused (LNK-43).
 *
 * Thread: its loops; the first of them, its home, alone where that is said. click_line_spooled may be asked by any.
 */
#pragma once

#include "engine/click.h"
#include "net/loop.h"

#define CLICK_LOOPS_MAX   8    /* that clicks come from */
#define CLICK_BATCH_MAX   128  /* clicks of one command */
#define CLICK_STALL_MS    1000 /* a commit not back after this: the spool takes over */
#define CLICK_WAIT_MS     5000 /* refused after this */
#define CLICK_BEHIND_MS   50   /* few clicks of the journal are stored after this */
#define CLICK_FENCE_MS    1000 /* so long a reader waits for what is behind */
#define CLICK_DRAIN_MS    8000 /* and so long the end; the rest stays in the journal for the next start */
#define CLICK_GATHER_MS   2    /* what has to wait for the writer waits for whoever clicks again at once */
#define CLICK_WAITING_MAX 20000
#define CLICK_ROOM        (1 << 20) /* clicks in the journal: 80 MiB on disk */
#define CLICK_NODE_BYTES  64

struct store;
struct click_line;

/* One click and what to do when its fate is known; the memory stays until `done` was called. */
struct click_wait {
    struct click click;
    void (*done)(struct click_wait *wait, bool stored); /* on the loop it joined on, once */
    struct click_wait **place;                          /* the line's: where it is noted who waits, */
    uint64_t order;                                     /* the how manieth of its loop it is */
    bool held, left;
};

struct click_line_config {
    struct store *store;
    struct loop *loop;        /* the home: its timers, and the way to the store */
    struct loop *const *also; /* further ones that clicks come from */
    int also_count;
    struct str node;        /* whose numbers these are */
    const char *spool_path; /* NULL: no spool; a failing store refuses */
    int64_t max_waiting;    /* 0 = CLICK_WAITING_MAX */
    int64_t stall_ms;       /* 0 = CLICK_STALL_MS */
    int64_t wait_ms;        /* 0 = CLICK_WAIT_MS */
    size_t room;            /* clicks in the spool, at least 1024; 0 = CLICK_ROOM */
    int64_t fence_ms;       /* 0 = CLICK_FENCE_MS */
    int64_t drain_ms;       /* 0 = CLICK_DRAIN_MS */
    int64_t gather_ms;      /* 0 = CLICK_GATHER_MS */
};

/* Opens the spool and stores what a crash left in it, before any loop or door runs. Errors are the spool's and the
 * store's. */
enum err click_line_open(struct op *op, const struct click_line_config *config, struct click_line **ret_line);

/* Returns when nothing is with the writer any more and what the store takes within `drain_ms` is stored. The doors are
 * closed before; any thread but the loops'. Behind it the loops may end, config's `loop` last. */
void click_line_drain(struct click_line *line);

/* After all loops have ended. */
void click_line_close(struct click_line *line);

/* Which of its loops runs this: 0 is the home, behind it come the further ones as configured. */
int click_line_lane(const struct click_line *line);

/* Joins the line at its end, or is refused at once when the line is full. */
void click_line_add(struct click_line *line, struct click_wait *wait);

/* Counts one who is refused without having joined, or who does not wait any longer. */
void click_line_refuse(struct click_line *line);

/* Its client has left: the place is free from now on. gone: nobody hears an answer any more, so `done` is called at
 * once. Not gone: its side is shut, an answer that is on its way is still given. Not after `done`. */
void click_line_leave(struct click_line *line, struct click_wait *wait, bool gone);

/* Calls `passed` once every click that joined before, on whatever loop, is answered and its answer written: at once
 * when nobody waits and there is no other loop. On the home loop, as `passed`. Embed it in what waits. */
struct click_fence;
struct click_pass {
    struct errand errand;
    struct click_pass *next;
    struct click_fence *fence;
    struct click_lane *lane;
    uint64_t upto, missing; /* waits of the lane */
};
struct click_fence {
    struct click_line *line;
    struct click_pass passes[CLICK_LOOPS_MAX];
    atomic_int open; /* passes that are */
    struct errand home;
    void (*passed)(struct click_fence *fence);
};
void click_line_fence(struct click_line *line, struct click_fence *fence);

/* Calls `passed` once every click that was answered before is stored: at once when all are, or when the store does not
 * take them for now. Not later than after CLICK_FENCE_MS: `behind` then says how many it still has to take. On the home
 * loop, as `passed`. */
struct click_reader {
    struct click_reader *next;
    uint64_t upto;
    int64_t until_ms;
    int64_t behind; /* clicks not stored when it passed before its time; else 0 */
    void (*passed)(struct click_reader *reader);
};
void click_line_read(struct click_line *line, struct click_reader *reader);

/* Clicks in the spool that the store does not take; 0 while everything is well. Any thread. */
int64_t click_line_spooled(const struct click_line *line);

/* Clicks whose client waits for the answer. Any thread. */
int64_t click_line_waiting(const struct click_line *line);
