/*
 * json_lines.h - cuts NDJSON into lines, also while it is still arriving.
 *
 *     struct json_line line;
 *     json_lines_feed(&lines, chunk, is_last);
 *     while (json_line_next(&lines, &line))
 *         ...
 *     keep lines.rest (an unfinished line, at most lines.bytes_max) in front of the next chunk
 *
 * Numbers count physical lines from 1; empty lines are counted and not given.
 * A line over the maximum is given without its text, so that the bulk answer
 * can name it, and the lines behind it still count.
 */
#pragma once

#include "base/str.h"

#define JSON_LINE_BYTES_MAX 65536

struct json_line {
    int64_t number;
    struct str text; /* without blanks at both ends; not given when too_long */
    bool too_long;
};

struct json_lines {
    struct str rest; /* not yet given */
    int64_t number;  /* of the newest line begun */
    size_t bytes_max;
    bool is_last;  /* nothing follows: the rest is a line even without a line feed */
    bool skipping; /* inside a line that was given as too long */
};

/* Lines of at most JSON_LINE_BYTES_MAX; who holds the whole text anyway may set bytes_max to more. */
void json_lines_init(struct json_lines *lines);

/* The next bytes: what was left in lines->rest, then what has arrived since. */
void json_lines_feed(struct json_lines *lines, struct str text, bool is_last);

/* False when only an unfinished line, or nothing, is left. */
bool json_line_next(struct json_lines *lines, struct json_line *ret);
