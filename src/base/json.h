/*
 * json.h - reads JSON by walking along the text, without building a tree.
 *
 *     struct json j;
 *     struct str name, id = { 0 };
 *     json_init(&j, op->arena, text, JSON_STRICT);
 *     if (json_enter_object(&j))
 *         while (json_next_member(&j, &name))
 *             if (str_eq(name, S("id")))
 *                 json_string(&j, &id);
 *     TRY(json_finish(&j, op));
 *
 * The scanner stands in front of one value at a time. Every reader below eats
 * exactly that value and returns true when it had the wanted type; a value of
 * another type is skipped and false comes back, so one odd field costs itself
 * and nothing else. A member or item that nobody read is skipped by the next
 * step. What is skipped is checked like what is read.
 *
 * A syntax error is sticky: from there on every call returns false, loops end,
 * and json_finish says where and what. Texts point into the input; only those
 * with escapes are decoded into the arena. Duplicate names come as they stand.
 *
 * JSON_STRICT is RFC 8259 to the letter. JSON_TOLERANT, for what providers
 * send, takes bad UTF-8 and lone surrogates in strings as U+FFFD.
 */
#pragma once

#include "base/op.h"

#define JSON_DEPTH_MAX 64 /* arrays and objects inside each other */

enum json_mode { JSON_STRICT, JSON_TOLERANT };

enum json_type {
    JSON_END, /* no value here: the container or the text ends, or there was a syntax error */
    JSON_OBJECT,
    JSON_ARRAY,
    JSON_STRING,
    JSON_NUMBER,
    JSON_BOOL,
    JSON_NULL
};

struct json {
    const char *p, *end; /* where we stand; fields are for json.c, callers use the functions */
    const char *begin;
    struct arena *arena; /* for decoded texts */
    const char *error;   /* what was wrong at p, or NULL */
    uint64_t objects;    /* bit per open container, innermost lowest: 1 = object */
    uint8_t depth;
    uint8_t place; /* enum json_place: value, first or next */
    bool tolerant;
    bool full; /* the arena had no room: an error that is not the text's */
};

/* Stands in front of the one value of text, which must stay as it is while the scanner and its texts are used. */
void json_init(struct json *j, struct arena *arena, struct str text, enum json_mode mode);

/* Type of the value in front, without eating it. */
enum json_type json_type(struct json *j);

/*
 * Goes into the object or array in front; false (and eaten) when the value is something else.
 * Then call json_next_* until it returns false, which leaves the container; to stop earlier call json_leave.
 */
bool json_enter_object(struct json *j) __attribute__((warn_unused_result));
bool json_enter_array(struct json *j) __attribute__((warn_unused_result));

/* The next member, its decoded name in *ret_name and the scanner in front of its value; false behind the last one. */
bool json_next_member(struct json *j, struct str *ret_name);

/* The next item, with the scanner in front of it; false behind the last one. */
bool json_next_item(struct json *j);

/* Eats the rest of the innermost container that was entered. */
void json_leave(struct json *j);

/* Eats the value in front, whatever it is. */
void json_skip(struct json *j);

/* Decoded text. May hold NUL characters ("\u0000"): see json_has_nul. */
bool json_string(struct json *j, struct str *ret);

/* A number as it is written ("1529692198.641821"): no floating point, no digit lost. */
bool json_number_text(struct json *j, struct str *ret);

/* A number written as an integer in [min, max]; fractions and exponents are none. */
bool json_int(struct json *j, int64_t min, int64_t max, int64_t *ret);
bool json_bool(struct json *j, bool *ret);

/* True and eaten when null is in front; anything else stays in front. */
bool json_null(struct json *j);

/* The bytes of the value in front exactly as they stand, blanks around it not included. Any type. */
bool json_raw(struct json *j, struct str *ret);

/*
 * The same of one member of the object that `text` is, the last one of that name; true when it was found. Memory: the
 * arena keeps names that had to be decoded.
 */
bool json_find(struct arena *arena, struct str text, enum json_mode mode, struct str name, struct str *ret);

/*
 * Where the scanner stands in the text: behind the last value that was eaten, or right behind json_next_member and
 * json_next_item at the first byte of the value in front. Gives the raw bytes of a value that was walked through.
 */
static inline const char *json_at(const struct json *j)
{
    return j->p;
}

/* No syntax error so far. */
static inline bool json_ok(const struct json *j)
{
    return j->error == NULL;
}

/*
 * OK when the text was one whole value and nothing behind it; eats what was not read.
 * ERR_MALFORMED: "line 3 column 14: expected ':' behind a name" (lines and characters from 1).
 * ERR_TOO_LARGE: decoded texts did not fit the arena.
 */
enum err json_finish(struct json *j, struct op *op);

/* A text that C functions and SQL would cut short. */
static inline bool json_has_nul(struct str s)
{
    return str_find(s, '\0') != s.n;
}

/* "an object", "text", "null", for sentences. */
const char *json_type_name(enum json_type type);
