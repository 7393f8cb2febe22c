/*
 * bench_hold.h - what an old snapshot costs that somebody holds: a dump, a forgotten session, a lagging replica.
 *
 * The same work is done for a while without a snapshot, then ten times as long
 * while one is open, in ten parts so that a rate that falls is seen to fall, and
 * again for a while without. PostgreSQL only. What a load does to tables that
 * grow anyway is seen by a second run on which no snapshot is open.
 */
#pragma once

#include "base/json_write.h"
#include "base/op.h"

#define HOLD_PARTS 10

/* What was done in a part. */
struct bench_part {
    double rate;        /* a second */
    double database_us; /* processor time of PostgreSQL for one; 0 = not known */
};

struct bench_hold {
    const char *database;
    int64_t for_us; /* the snapshot is held at least for so long */
    bool without;   /* nobody holds one: the same parts to compare with */
    enum err (*work)(void *arg, int64_t for_us, struct bench_part *ret);
    void *arg;
};

/* Adds members to the object under way: rates, each part's while it was held, and the largest tables before and after.
 */
enum err bench_hold(struct op *op, const struct bench_hold *hold, struct json_writer *w);
