/*
 * check.h - counts everything again from rows and says where a counter differs (LED-34).
 *
 * Counters and the rows they count are read in one snapshot, so it may run
 * beside a daemon that is writing. A fact is one compared number.
 *
 *     totals   one walk over all state records: figures of mailings, daily facts, members;
 *              by slices of 5,000 first, where a daemon checks itself (check_slices.c)
 *     details  5,000 messages at a time, each table in one walk: history, failure, words, touches and classes against
 *              the records
 *     links    mailing by mailing: distinct members and clicks
 *
 * It changes nothing unless asked to repair: then every counter that differs
 * is set to what its rows say, and the differences are reported all the same.
 */
#pragma once

#include "store/tx.h"

#define CHECK_CHUNK_MESSAGES 5000
#define CHECK_FEW_MESSAGES   500   /* a message has some ten rows beside its record */
#define CHECK_CHUNK_US       20000 /* a snapshot that took so long ends before it has read as much */
#define CHECK_LINE_BYTES_MAX 256

struct check {
    struct store *store;
    bool repair;    /* the store must be open for writing, and not by a running daemon */
    bool by_slices; /* snapshots of 5,000 rows; the totals in one only when these raise a doubt (LED-35) */
    /* One line per difference: "mailing m-1 opened: counter 41, rows 40". May be NULL. */
    void (*difference)(void *data, const char *line);
    /* How far: messages looked at of all; for a progress bar. May be NULL. */
    void (*progress)(void *data, uint64_t done, uint64_t all);
    /* Called between two snapshots; false ends the check with what it has compared so far. May be NULL. */
    bool (*pause)(void *data);
    /* Monotonic time: with by_slices a snapshot also ends after CHECK_CHUNK_US. NULL: only rows limit it. */
    int64_t (*mono_us)(void *data);
    void *data;
    int64_t compared;   /* written: facts compared */
    int64_t differ;     /* written: facts that differ */
    uint64_t most_rows; /* written: messages, members or counters that one snapshot of the slices read */
};

/* Runs the whole check. Errors are the store's; differences are no error. */
enum err check_run(struct op *op, struct check *check);
