/*
 * lab_events.h - the log of events as a test of the job machine reads it.
 */
#pragma once

#include "job_lab.h"
#include "store/store_event.h"

/* Adds what is wanted of a row. */
typedef void (*lab_event_fn)(struct buf *text, const struct event_row *row);

struct lab_events {
    lab_event_fn note;
    struct buf text;
};

static inline enum err lab_events_note(struct op *op, const struct event_row *row, void *arg)
{
    struct lab_events *events = arg;
    (void)op;
    events->note(&events->text, row);
    return OK;
}

static inline enum err lab_events_list(struct op *op, struct tx *tx, void *arg)
{
    const struct event_filter all = { 0 };
    bool more;
    uint64_t last;
    return store_event_list(op, tx, &all, 1000, lab_events_note, arg, &more, &last);
}

/* What `note` made of all rows, newest first. */
static inline struct str lab_events(struct lab *lab, lab_event_fn note)
{
    struct lab_events events = { .note = note };
    buf_init_arena(&events.text, lab->f.arena, 1 << 20);
    WRITES(&lab->f, lab_events_list, &events);
    return buf_str(&events.text);
}
