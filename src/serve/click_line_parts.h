/*
 * click_line_parts.h - what the files of the line of clicks share; nobody else includes it.
 *
 *     click_line.c         who joins, leaves and waits; batches that the writer stores before they are answered
 *     click_line_behind.c  clicks that are durable in the spool and follow into the store
 */
#pragma once

#include <stdatomic.h>

#include "base/log.h"
#include "base/metric.h"
#include "serve/click_follow.h"
#include "serve/click_line.h"
#include "serve/click_pace.h"
#include "serve/click_spool.h"

#define CLICK_MEMORY_MAX (64u << 20) /* while a batch is applied */

enum line_state { LINE_STORE, LINE_JOURNAL, LINE_SPOOL, LINE_CATCH_UP };

/* Clicks on their way to the writer as one command. */
struct batch {
    struct post post; /* first: hops get the post */
    struct batch *next;
    struct click_line *line;
    uint64_t after; /* number of the click that must be the newest stored before these */
    int64_t sent_ms;
    bool home;
    size_t count;
    struct click clicks[CLICK_BATCH_MAX];
    struct click_wait *waits[CLICK_BATCH_MAX]; /* NULL: handed to the spool */
};

struct batches {
    struct batch *first, **last;
};

/* A batch's clicks on their way to the spool. */
struct spooling {
    struct click_spool_job job; /* first */
    struct spooling *next;
    struct click_line *line;
    int64_t sent_ms;
    size_t count;
    struct click clicks[CLICK_BATCH_MAX];
    struct click_wait *waits[CLICK_BATCH_MAX]; /* NULL: answered */
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
    enum line_state state;
    bool journal;             /* the spool is the ordinary way */
    atomic_bool stalled;      /* the store does not take what the spool holds */
    uint64_t newest;          /* number given last */
    uint64_t stored;          /* number of the newest click known to be stored */
    uint64_t chain;           /* number behind which the next batch must be stored */
    struct batch *filling;    /* of this turn */
    struct batches under_way; /* with the writer, or home and waiting for one before */
    struct batches held;      /* clicks not sent yet: while catching up, or until they may enter the spool */
    struct batch *free;
    int free_count;
    struct spooling *spooling, **last_spooling; /* with the spool's thread, oldest first */
    struct replay *replay;                      /* made when first needed */
    uint64_t added, answered;                   /* waits, for fences */
    int64_t left;                               /* of those not answered: clients that do not wait any more */
    struct click_fence *fences, **last_fence;
    struct click_fence *readers, **last_reader; /* who wait until what is durable is stored, too */
    struct drain *drain;                        /* NULL: nobody ends the line yet */
    bool hurry;                                 /* what the spool holds is to be stored now */
    bool cleared;                               /* the spool's file says that it holds nothing */
    struct timer tick;                          /* stalls, late waits, idleness */
    struct timer delay;                         /* until what the spool holds is stored, however little it is */
    struct click_follow follow;
    struct click_pace pace;    /* of clicks that enter the journal */
    struct timer entry;        /* until held ones may */
    int64_t joined_ms;         /* when the newest click joined */
    struct click_spool *spool; /* NULL without */
    int64_t retry_at_ms;
    struct metric_cell *records, *refused, *clicks;
};

/* click_line.c */

void batch_list_add(struct batches *list, struct batch *batch);
struct batch *batch_list_take(struct batches *list);

/* NULL when there is none. */
struct batch *batch_list_last(const struct batches *list);

void batch_give(struct click_line *line, struct batch *batch);

/* Before a batch is taken by a group: clicks of clients that have left are dropped. False: none is left, the batch is
 * given back. */
bool batch_taken(struct click_line *line, struct batch *batch);

/* Answers all who wait in it. */
void batch_answer(struct batch *batch, bool stored);

/* To the writer, as a command that is answered after the commit. */
void batch_send(struct click_line *line, struct batch *batch);

void line_answer(struct click_line *line, struct click_wait *wait, bool stored);

/* Calls the fences whose time has come. */
void line_pass_fences(struct click_line *line);

/* click_line_behind.c */

void line_behind_init(struct click_line *line);
void line_behind_free(struct click_line *line);

/* Hands the clicks of a batch that wait to the spool. */
void line_spool_batch(struct click_line *line, struct batch *batch);

/* The same when there is room in it; else the batch waits for some, or is refused while the store stalls. Takes the
 * batch. */
void line_journal(struct click_line *line, struct batch *batch);

/* The store fails or stalls: whoever waits for it goes to the spool. */
void line_enter_spool(struct click_line *line, const char *why);

/* Does what can be done next: what the spool holds is stored, what waited for that is sent. */
void line_go_on(struct click_line *line);

/* The spool's file is there: it becomes the way of clicks, where that is wanted. */
void line_spool_made(void *line);

void line_tick_later(struct click_line *line);
