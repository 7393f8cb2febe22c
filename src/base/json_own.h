/*
 * json_own.h - the inside of the scanner, shared by its files.
 *
 *     json.c        the scanner: where it stands, what is asked of it
 *     json_value.c  over a value that nobody looks into
 *     json_text.c   texts that are not plain ASCII
 *
 * All of them work on a pointer p that moves along the text; NULL says that an
 * error was noted, and goes up. What runs for every byte is inline here.
 */
#pragma once

#include "base/json.h"
#include "base/json_bytes.h"

enum json_place {
    PLACE_VALUE,  /* in front of a value */
    PLACE_FIRST,  /* just inside a container */
    PLACE_NEXT,   /* behind a value */
    PLACE_STOPPED /* behind a syntax error */
};

/* Notes the error at p. */
static inline const char *json_stop(struct json *j, const char *p, const char *why)
{
    j->error = why;
    j->p = p;
    j->place = PLACE_STOPPED;
    return NULL;
}

/* Over blanks. Compact text has none and "name": value has one: both are answered at once. */
static inline const char *json_blanks(const char *p, const char *end)
{
    if (p < end && (unsigned char)*p > ' ')
        return p;
    if (end - p >= 2 && *p == ' ' && (unsigned char)p[1] > ' ')
        return p + 1;
    return json_blanks_long(p, end);
}

static inline bool json_is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

/* --- json_text.c --- */

/* What json_string must know about a text beside its end. */
struct json_shape {
    bool plain; /* the bytes are the text */
    size_t bad; /* places where U+FFFD makes it longer */
};

/* To the closing quote of the text whose first byte is p. */
const char *json_text_end(struct json *j, const char *p, struct json_shape *shape);

/* Slow half of json_text_read: not only plain ASCII. */
const char *json_text_read_long(struct json *j, const char *p, struct str *ret);

/* Behind the text whose opening quote is at p. */
static inline const char *json_text_read(struct json *j, const char *p, struct str *ret)
{
    const char *close = json_plain_run(p + 1, j->end);
    if (close == j->end || *close != '"')
        return json_text_read_long(j, p + 1, ret);
    *ret = (struct str){ p + 1, (size_t)(close - p - 1) };
    return close + 1;
}

static inline const char *json_text_skip(struct json *j, const char *p)
{
    struct json_shape shape;
    const char *close = json_plain_run(p + 1, j->end);
    if (close == j->end || *close != '"')
        close = json_text_end(j, p + 1, &shape);
    return close ? close + 1 : NULL;
}

/* Behind the colon that follows a name. */
static inline const char *json_colon(struct json *j, const char *p)
{
    p = json_blanks(p, j->end);
    if (p == j->end || *p != ':')
        return json_stop(j, p, "expected ':' behind a name");
    return p + 1;
}

/* --- json_value.c --- */

/* Behind the value that p, at its first byte, is in front of. */
const char *json_value_end(struct json *j, const char *p);

/* Behind the rest of a container that lies inside `outer` others; `fresh` says that p is just inside it. */
const char *json_container_end(struct json *j, const char *p, bool object, bool fresh, unsigned outer);

/* What was expected where p stands. */
const char *json_stop_at_separator(struct json *j, const char *p, bool object);
const char *json_stop_at_name(struct json *j, const char *p);
const char *json_too_deep(struct json *j, const char *p);
