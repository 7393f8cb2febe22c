/*
 * click_line_parts.h - what the files of the line of clicks share; nobody else includes it.
 *
 *     click_lane.c         one loop's part: who joins, leaves and waits there, and is answered
 *     click_fence.c        who waits until those before him are answered
 *     click_line.c         batches that the writer stores before they are answered; opening and the end
 *     click_line_behind.c  clicks that are durable in the spool and follow into the store
 *
 *     lane of loop 1:  filling -+                           +-> home -> done
 *     lane of loop 2:  filling -+-> numbered, under the lock: spool or writer -> answered -+
 *     ...                                                   +-> home -> done
 *
 * A batch has the clicks of one lane. What waits in it is told on that lane's
 * loop. Everything of the line is under its lock, which is held for as long as
 * moving a batch takes. Time is kept, and the store spoken to, on the home lane
 * alone; other lanes call it when there is something to do.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/metric.h"
#include "serve/click_beside.h"
#include "serve/click_follow.h"
#include "serve/click_line.h"
#include "serve/click_pace.h"
#include "serve/click_spool.h"

#define CLICK_MEMORY_MAX (64u << 20) /* while a batch is applied */

enum line_state { LINE_STORE, LINE_JOURNAL, LINE_SPOOL, LINE_CATCH_UP };

/* Clicks of one lane on their way to the writer as one command, or to the spool. */
struct batch {
    struct post post;           /* first: hops get the post */
    struct click_spool_job job; /* the same clicks, for the spool */
    struct batch *next;
    struct click_lane *lane;
    uint64_t after; /* number of the click that must be the newest stored before these */
    int64_t sent_ms;
    bool back;   /* from the writer */
    bool stored; /* what those who wait are told */
    size_t count;
    struct click clicks[CLICK_BATCH_MAX];
    struct click_wait *waits[CLICK_BATCH_MAX]; /* NULL: answered, or left */
};

struct batches {
    struct batch *first, **last;
};

/* What one loop has of the line. */
struct click_lane {
    struct click_line *line;
    struct loop *loop;
    struct batch *filling; /* of this turn */
    struct batches home;   /* to be answered now */
    bool delivering;       /* which is under way */
    bool turn_due;         /* there may be something to send or write when this turn ends */
    struct batch *free;
    int free_count;
    uint64_t added, answered; /* waits */
    struct click_pass *passes, **last_pass;
    struct errand turn_end; /* so that what joins while a turn ends finds a next one */
    bool ends;
    struct errand call;

    /* Under the line's lock: */
    struct batches answered_batches; /* what they wait for is decided */
    bool leads_next;                 /* it left clicks to whoever writes: to be called when that is done */
    bool wanted;                     /* to be called when the lock is given back */
    bool called;                     /* its errand is on its way */
    int sending;                     /* batches of it with the writer, answered after the commit */
    bool gathers;                    /* others have the writer: whoever was answered and clicks again goes along */
    bool keeps;                      /* what fills, until they are back and it gathers no longer */
};

/* A timer of the home loop, set by whoever has the lock. */
struct line_timer {
    struct timer timer;
    bool set;
};

/* Clicks of the spool on their way to the store; the writer reads them from the file. */
struct replay {
    struct post post; /* first */
    struct click_line *line;
    uint64_t after;
    int64_t sent_ms;
    bool under_way; /* with the writer */
    struct click_records records;
    size_t count;
    struct click clicks[FOLLOW_MOST];
};

/* Waits until everything that may be stored is stored, before the loop ends. */
struct drain {
    struct mailbox box;
    int64_t until_ms; /* what is not stored by then stays in the spool */
    struct mail done;
};

struct click_line {
    struct click_line_config config;
    char node[CLICK_NODE_BYTES];
    struct click_lane lanes[CLICK_LOOPS_MAX]; /* the first is the home lane */
    int lane_count;
    atomic_int_fast64_t waiting; /* for an answer */
    atomic_bool stalled;         /* the store does not take what the spool holds */
    struct metric_cell *records, *refused, *clicks;

    pthread_mutex_t lock;    /* over all that follows */
    struct click_lane *lane; /* that has the lock */
    enum line_state state;
    bool journal;             /* the spool is the ordinary way */
    uint64_t newest;          /* number given last */
    uint64_t stored;          /* number of the newest click known to be stored */
    uint64_t chain;           /* number behind which the next batch must be stored */
    struct batches under_way; /* with the writer, or back and waiting for one before */
    struct batches held;      /* clicks not sent yet: while catching up, or until they may enter the spool */
    struct batches spooling;  /* with the spool, oldest first */
    struct replay *replay;    /* made when first needed */
    struct click_reader *readers, **last_reader; /* who wait until what is durable is stored, too */
    struct click_reader *passed, **last_passed;  /* who do not any more, and are told without the lock */
    struct drain *drain;                         /* NULL: nobody ends the line yet */
    bool home_due;                               /* the home lane is called, for line_go_on */
    bool hurry;                                  /* what the spool holds is to be stored now */
    bool cleared;                                /* the spool's file says that it holds nothing */
    struct line_timer tick;                      /* stalls, late waits, idleness */
    struct line_timer delay;                     /* until what the spool holds is stored, however little it is */
    struct line_timer gathering;                 /* until lanes gather no longer */
    struct line_timer entry;                     /* until held ones may enter the journal */
    struct click_follow follow;
    struct click_pace pace; /* of clicks that enter the journal */
    struct click_beside beside;
    uint64_t replays; /* commands of our own */
    int64_t processors;
    int64_t joined_ms;         /* when the newest click joined */
    struct click_spool *spool; /* NULL without */
    struct errand spool_made;
    int64_t retry_at_ms;
};

/* click_lane.c */

void click_lanes_init(struct click_line *line);
void click_lanes_free(struct click_line *line);

/* The line is this lane's until it gives the lock back. Only then those are told whom it concerns: who waits in batches
 * that were answered, who reads, and lanes that are wanted. */
void lane_lock(struct click_lane *lane);
void lane_unlock(struct click_lane *lane);

/* On its loop: when this turn ends it looks whether there is something to write. */
void lane_may_lead(struct click_lane *lane);

static inline struct click_lane *line_home(struct click_line *line)
{
    return &line->lanes[0];
}

/* Clicks of the spool that are not stored yet. */
static inline size_t line_left(const struct click_line *line)
{
    return line->spool ? (size_t)click_spool_left(line->spool) : 0;
}

/* click_fence.c, on the lane's loop: it was answered; those pass who waited for nothing else. */
void lane_pass_fences(struct click_lane *lane);

/* Everything below: with the lock. */

/* The loop's clock that has it. */
int64_t line_now_ms(const struct click_line *line);

/* Tells all who wait in it, as soon as the lock is given back, and gives the batch to its lane. */
void batch_answer(struct batch *batch, bool stored);

/* A batch of its own for those who wait in this one, which goes its way without them. */
struct batch *batch_apart(struct batch *batch);

/* Before a batch is taken by a group: clicks of clients that have left are dropped. False: none is left, the batch is
 * gone. */
bool batch_taken(struct batch *batch);

/* It sends nothing to the writer for a moment. */
void lane_gather(struct click_lane *lane);

/* click_line.c */

void batch_list_add(struct batches *list, struct batch *batch);
struct batch *batch_list_take(struct batches *list);

/* NULL when there is none. */
struct batch *batch_list_last(const struct batches *list);

/* To the writer, as a command that is answered after the commit. */
void batch_send(struct click_line *line, struct batch *batch);

/* The readers whose time has come are told when the lock is given back. On the home lane. */
void line_pass_readers(struct click_line *line);

/* click_line_behind.c */

void line_behind_init(struct click_line *line);
void line_behind_free(struct click_line *line);

/* Sets it unless it is set: here, or on the home lane, which is called for that and then does all that can be done. */
void line_timer_set(struct click_line *line, struct line_timer *timer, int64_t wait_ms);
void line_tick_later(struct click_line *line);

/* Hands the clicks of a batch to the spool; takes the batch. */
void line_spool_batch(struct click_line *line, struct batch *batch);

/* A job of the spool has been written, or has failed. */
void line_spooled(struct click_line *line, struct batch *batch);

/* To the spool when there is room in it; else the batch waits for some, or is refused while the store stalls. Takes the
 * batch. */
void line_journal(struct click_line *line, struct batch *batch);

/* The store fails or stalls: whoever waits for it goes to the spool. */
void line_enter_spool(struct click_line *line, const char *why);

/* Does what can be done next: what the spool holds is stored, what waited for that is sent. Other lanes call the home
 * lane for it, if it would do anything. */
void line_go_on(struct click_line *line);

/* click_line_end.c, with the lock, on the home loop: whoever drains the line is told when nothing is under way any more
 * and nothing can be stored. */
void line_end_drain(struct click_line *line);
