/*
 * keep_run.h - housekeeping in three levels: a parent decides, children work, a chunk is one transaction.
 *
 *     schedule fires --> parent: finds who has work, a page at a time (KEEP-2, KEEP-3)
 *                          |  each page: its children and the cursor are one transaction
 *                          +--> child "events" --chunk--chunk--chunk--> done
 *                          +--> child "inbox"  --chunk--> done
 *
 * Parent and children are jobs of our own in the queue `keep` (job_own.h), of
 * one type: a parent has no args, a child has the name of its part and what is
 * old, ["events",1790000000000000]. That instant is settled by the parent, from
 * the nominal time of the run, so work does not grow while it is done (KEEP-6).
 * An idle parent makes no children.
 *
 * A run has ended when all its children have; what others wait for is that
 * (KEEP-9). Its row tells how many there are and how many ended how.
 *
 * Where the work of one schedule goes before that of another part by part, a
 * part that has not ended well holds back its namesake alone (KEEP-10): the
 * other run begins when the first one has settled, and its held parts begin one
 * by one.
 *
 * A new kind is a pair of functions with a line in the table of keep_run.c, and
 * a schedule in schedule_builtin.c.
 */
#pragma once

#include "engine/job_own.h"

#define KEEP_NAME_MAX 512 /* bytes of a part's name */
#define KEEP_PAGE     500 /* children in one transaction; the page is small because pushing is most of a parent's work */

struct keep_part {
    struct str name; /* of all names of a kind the parent goes through them in order: tenant, channel, day, part */
    int64_t cutoff_us;
};

/* A parent's question: whose work begins behind `after`. Answered with keep_page_add. */
struct keep_page {
    int64_t nominal_us; /* wall: the run's "now" */
    struct str after;   /* name of the last part so far; "" = from the start */
    int max, count;
    struct keep_part parts[KEEP_PAGE];
};

/* False when the page is full. Names ascend, and are behind page->after. */
bool keep_page_add(struct keep_page *page, struct str name, int64_t cutoff_us);

/* A child's step. */
struct keep_chunk {
    struct keep_part part;
    int rows;  /* at most so many */
    int gone;  /* the answer: how many it took */
    bool more; /* and whether some are left */
};

struct keep_kind {
    const char *jobtype;
    /* Reads few and narrow rows, and never what there is to do itself; a page that is not full is the last one. */
    enum err (*find)(struct op *op, struct tx *tx, struct keep_page *page);
    enum err (*chunk)(struct op *op, struct tx *tx, struct keep_chunk *chunk);
    bool is_narrow; /* a part waits for its namesake in the run before, and for no other */
};

/* Kinds beside those of the table, ended by one without a jobtype; NULL = none. For tests. */
extern const struct keep_kind *keep_kinds_more;

/* NULL: no work of this kind. */
const struct keep_kind *keep_kind(struct str jobtype);

/* A step of a parent or a child, for own_step. */
enum err keep_run_step(struct op *op, struct tx *tx, struct own_work *work);
