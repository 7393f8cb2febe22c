/*
 * cursor.h - where a list goes on: the opaque text of "next" and "?after=".
 *
 * A cursor says what kind of list it belongs to and the key of the last item
 * given, as base64url of
 *
 *     version (1), kind, number (8 bytes, big-endian), text (the rest)
 *
 * so a page costs one seek at any depth. A text that is no cursor, or one of
 * another list, is not an error: its page is empty.
 */
#pragma once

#include "base/json_write.h"

#define CURSOR_TEXT_BYTES_MAX 1024 /* of the text inside; longer cursors are foreign */

/* The kinds are in links that clients keep: never renumber. */
enum cursor_kind {
    CURSOR_TOKENS = 1,
    CURSOR_AUDIT = 2,
    CURSOR_SOURCES = 3,
    CURSOR_FAILURES = 4,
    CURSOR_LINKS = 5,
    CURSOR_MESSAGES = 6,
    CURSOR_SUPPRESSIONS = 7,
    CURSOR_FACTS = 8,
    CURSOR_JOBS = 9,
    CURSOR_QUEUES = 10,
    CURSOR_WORKERS = 11,
    CURSOR_BUDGETS = 12,
    CURSOR_EVENTS = 13,
    CURSOR_SCHEDULES = 14,
};

/* Not given when the arena is full. */
struct str cursor_make(struct op *op, enum cursor_kind kind, int64_t number, struct str text);

/* What follows ?after=. Not given: true, and the out parameters stay (the first page). False: foreign, the page is
 * empty. ret_number and ret_text may be NULL. */
bool cursor_read(struct op *op, struct str after, enum cursor_kind kind, int64_t *ret_number, struct str *ret_text);

/* {"items":[ ... */
void list_begin(struct json_writer *w);

/* ... ],"next":...}: the cursor of the last item when there is more, else null. ERR_TOO_LARGE when the arena is full.
 */
enum err list_end(struct op *op, struct json_writer *w, bool more, enum cursor_kind kind, int64_t number,
                  struct str text);
