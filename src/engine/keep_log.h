/*
 * keep_log.h - what is old of that which is only read.
 *
 *     audit    entries of the audit list                               400 days
 *     events   from when they were received (EVT-51)                    30 days
 *     inbox    what a transaction said and could not be done (TX-2)     35 days
 *
 * The work of the schedule keep.log, once a night; each is a part of it (keep_run.h).
 */
#pragma once

#include "engine/keep_run.h"

#define KEEP_LOG_TYPE   "posthouse.keep.log"
#define KEEP_AUDIT_DAYS 400
#define KEEP_INBOX_DAYS 35

/* For the table of keep_run.c. */
enum err keep_log_find(struct op *op, struct tx *tx, struct keep_page *page);
enum err keep_log_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk);
