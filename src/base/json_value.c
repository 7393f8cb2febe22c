/*
 * json_value.c - over a value that nobody looks into, checked like what is read.
 */
#include "base/json_own.h"

#include <string.h>

static inline const char *number_end(struct json *j, const char *p)
{
    const char *end = j->end;
    p += *p == '-';
    if (!json_is_digit(p, end))
        return json_stop(j, p, "expected a digit");
    if (*p++ != '0') {
        while (json_is_digit(p, end))
            p++;
    } else if (json_is_digit(p, end)) {
        return json_stop(j, p - 1, "a number must not begin with 0");
    }
    if (p < end && *p == '.') {
        if (!json_is_digit(++p, end))
            return json_stop(j, p, "expected a digit behind the decimal point");
        while (json_is_digit(p, end))
            p++;
    }
    if (p < end && (*p | 32) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        if (!json_is_digit(p, end))
            return json_stop(j, p, "expected a digit in the exponent");
        while (json_is_digit(p, end))
            p++;
    }
    return p;
}

static inline const char *word_end(struct json *j, const char *p, struct str word)
{
    if ((size_t)(j->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return json_stop(j, p, "expected a value");
    return p + word.n;
}

/* Behind the text, number or word at p. */
static inline const char *scalar_end(struct json *j, const char *p)
{
    if (p == j->end)
        return json_stop(j, p, "the text ends where a value should stand");
    switch (*p) {
    case '"':
        return json_text_skip(j, p);
    case 't':
        return word_end(j, p, S("true"));
    case 'f':
        return word_end(j, p, S("false"));
    case 'n':
        return word_end(j, p, S("null"));
    default:
        return *p == '-' || json_is_digit(p, j->end) ? number_end(j, p) : json_stop(j, p, "expected a value");
    }
}

const char *json_stop_at_separator(struct json *j, const char *p, bool object)
{
    if (p == j->end)
        return json_stop(j, p, object ? "the text ends inside an object" : "the text ends inside an array");
    return json_stop(j, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

const char *json_stop_at_name(struct json *j, const char *p)
{
    return json_stop(j, p, p == j->end ? "the text ends inside an object" : "expected a name in quotes");
}

/* Behind the name and colon at p. */
static inline const char *name_skip(struct json *j, const char *p)
{
    p = json_blanks(p, j->end);
    if (p == j->end || *p != '"')
        return json_stop_at_name(j, p);
    p = json_text_skip(j, p);
    return p ? json_colon(j, p) : NULL;
}

static inline char closing(uint64_t objects)
{
    return objects & 1 ? '}' : ']';
}

const char *json_too_deep(struct json *j, const char *p)
{
    return json_stop(j, p, "too many objects and arrays inside each other");
}

/* A provider's page spends most of its time here, so one loop walks all depths with its own stack of bits. */
const char *json_container_end(struct json *j, const char *p, bool object, bool fresh, unsigned outer)
{
    const char *end = j->end;
    uint64_t objects = object;
    unsigned depth = 1;

    while (p && depth > 0) {
        p = json_blanks(p, end);
        if (p < end && *p == closing(objects)) {
            p++;
            objects >>= 1;
            depth--;
            fresh = false;
            continue;
        }
        if (!fresh) {
            if (p == end || *p != ',')
                return json_stop_at_separator(j, p, objects & 1);
            p++;
        }
        if (objects & 1 && !(p = name_skip(j, p)))
            return NULL;
        p = json_blanks(p, end);
        fresh = p < end && (*p == '{' || *p == '[');
        if (!fresh) {
            p = scalar_end(j, p);
            continue;
        }
        if (outer + depth == JSON_DEPTH_MAX)
            return json_too_deep(j, p);
        objects = objects << 1 | (*p == '{');
        depth++;
        p++;
    }
    return p;
}

const char *json_value_end(struct json *j, const char *p)
{
    if (p == j->end || (*p != '{' && *p != '['))
        return scalar_end(j, p);
    if (j->depth == JSON_DEPTH_MAX)
        return json_too_deep(j, p);
    return json_container_end(j, p + 1, *p == '{', true, j->depth);
}
