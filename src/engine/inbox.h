/*
 * inbox.h - what applications said inside their own transactions becomes mailings, messages, jobs and events.
 *
 * A row means the same as the request to the API that it stands for, and goes
 * through the same functions: mailing_store, import_apply, job_push, events_record.
 * The SQL functions have checked it already; what is still wrong with it (its
 * id is taken, its mailing was refused) costs the row alone: it is kept with
 * its reason and counted. Rows and what they become are one transaction, so a
 * node may die anywhere (TX-2).
 */
#pragma once

#include "store/tx.h"

#define INBOX_CHUNK_ROWS 2500 /* about as long as a group may take (store/group.c) */

struct inbox_result {
    int64_t applied;
    int64_t duplicates; /* recipients and events that were there, jobs whose jid is live or whose lock is taken */
    int64_t refused;
    int64_t mailings;  /* of the applied */
    int64_t oldest_us; /* when the oldest of them was said; INT64_MAX without any */
    int64_t last;      /* number of the last one taken */
    bool more;         /* there may be more behind it */
};

/* Takes at most max_rows (1 .. INBOX_CHUNK_ROWS) behind a number (0 = from the first) and applies them. Repeatable.
 * Errors are the store's: then nothing was taken. */
enum err inbox_apply(struct op *op, struct tx *tx, int64_t behind, size_t max_rows, struct inbox_result *ret);

/* Refuses the first row behind the number without applying it: for one that no chunk gets past. */
enum err inbox_skip(struct op *op, struct tx *tx, int64_t behind, struct str reason, struct inbox_result *ret);
