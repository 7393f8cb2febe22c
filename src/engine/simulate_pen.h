/*
 * simulate_pen.h - how the simulate_*.c files write an item, and nobody else.
 *
 * Items are written with a bare pointer into room reserved beforehand: the
 * stand-in must cost little beside what it feeds.
 */
#pragma once

#include "engine/simulate_own.h"
#include "engine/simulate_render.h"

#include <string.h>

struct pen {
    char *p;
};

#define PUT(pen, literal) put((pen), "" literal, sizeof(literal) - 1)

static inline void put(struct pen *pen, const char *bytes, size_t n)
{
    memcpy(pen->p, bytes, n);
    pen->p += n;
}

static inline void put_str(struct pen *pen, struct str s)
{
    put(pen, s.p, s.n);
}

/* Text inside quotes, written as Go's encoder does: <, > and & are escaped too. At most six bytes for one. */
void put_escaped(struct pen *pen, struct str s);

/* What stands in front (a name and a colon), and the text in quotes. */
void put_quoted(struct pen *pen, const char *name, struct str s);

/* Everything one item is written from. */
struct item {
    const struct sim *sim;
    const struct sim_event *event;
    enum sim_style style;
    struct sim_recipient who;
    struct str recipient; /* as this item spells it */
    char recipient_text[64];
    const struct sim_posting *posting; /* NULL: own mailing */
};

/* ,"timestamp": or ,"@timestamp": with the event's time. */
void put_time(struct pen *pen, const struct item *item);

/* An item of garbage, whole. */
void put_garbage(struct pen *pen, const struct item *item);
