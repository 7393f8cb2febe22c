/*
 * store_event.h - the log of events: what happened, once each, in the order it was recorded.
 *
 * An event is known by (tenant, source, id). Rows are only added, and leave by
 * age; `seq` is their place in the log, grows and is never given twice.
 */
#pragma once

#include "store/tx.h"

struct event_row {
    uint64_t seq;
    struct str id, type, source;
    struct str tenant;  /* "" = none */
    struct str subject; /* not given: none */
    struct str originator;
    struct str data;      /* JSON, byte for byte as it came; not given: none */
    struct str receivers; /* a JSON object, as it came; not given: none */
    int64_t time_us;      /* when it happened */
    int64_t received_us;
    bool is_private;
    bool id_given, time_given; /* by whoever brought it; else the log makes them */
    bool added;                /* of store_event_add: false for one that was there */
};

/* Adds those that are not there yet, and says of each whether it was; rows[i].seq are given already, in order. Of two
 * with the same identity the first is added. */
enum err store_event_add(struct op *op, struct tx *tx, struct event_row *rows, size_t count);

struct event_filter {
    struct str tenant, type; /* not given: all */
    uint64_t before;         /* 0 = from the newest */
};

/* Newest first, at most `limit`, after looking at no more than EVENT_SCAN_MAX; *ret_more: go on before *ret_last. */
#define EVENT_SCAN_MAX 10000
enum err store_event_list(struct op *op, struct tx *tx, const struct event_filter *filter, int limit,
                          enum err (*fn)(struct op *op, const struct event_row *row, void *arg), void *arg,
                          bool *ret_more, uint64_t *ret_last);

/* The events of this id, of any source and tenant when these are not given, by source; at most max. */
enum err store_event_find(struct op *op, struct tx *tx, struct str id, struct str source, struct str tenant, int max,
                          struct event_row *ret_rows, int *ret_count);

/* Deletes events that were received before (EVT-51), oldest first, at most max_rows; *ret_gone counts them. */
enum err store_event_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret);
enum err store_event_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone);
