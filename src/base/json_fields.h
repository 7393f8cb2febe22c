/*
 * json_fields.h - reads the JSON object of a request into a struct, by a table.
 *
 *     enum { TENANT, SENT_AT, TRACK_OPENS, FIELD_COUNT };
 *     static const struct json_field fields[FIELD_COUNT] = {
 *         [TENANT] = { "tenant", JSON_FIELD_STR, offsetof(struct put, tenant), 128, JSON_REQUIRED, 1 },
 *         [SENT_AT] = { "sent_at", JSON_FIELD_STR, offsetof(struct put, sent_at), 40, JSON_NULLABLE },
 *         [TRACK_OPENS] = { "track_opens", JSON_FIELD_BOOL, offsetof(struct put, track_opens) },
 *     };
 *     struct put put = { .track_opens = true };
 *     struct json_seen seen;
 *     TRY(json_read_body(op, body, fields, FIELD_COUNT, &put, &seen, problems));
 *
 * Everything a client may write is in the table; an unknown name, a name given
 * twice, a wrong type or a value out of range is a problem that names its field,
 * for an unknown name also the one that was meant, as far as it can be guessed.
 * All problems of a body are collected, so that a client mends them in one go.
 * What is absent or null leaves the struct as it was: put the defaults in first.
 */
#pragma once

#include "base/json.h"

#define JSON_FIELDS_MAX   64 /* fields of one table: a bit each in struct json_seen */
#define JSON_PROBLEMS_MAX 16 /* collected for one answer; more are dropped */

enum json_field_kind {
    JSON_FIELD_STR,    /* struct str, decoded, without NUL characters */
    JSON_FIELD_INT,    /* int64_t */
    JSON_FIELD_BOOL,   /* bool */
    JSON_FIELD_OBJECT, /* struct str: its raw bytes, read it with json_fields */
    JSON_FIELD_ARRAY,  /* struct str: its raw bytes */
    JSON_FIELD_RAW,    /* struct str: raw bytes of any value, also of null */
    JSON_FIELD_STRS    /* struct json_strs: an array of texts */
};

#define JSON_REQUIRED 1u
#define JSON_NULLABLE 2u /* null is allowed: the target keeps its default and the null bit is set */

struct json_field {
    const char *name;
    enum json_field_kind kind;
    size_t offset; /* of the target in the caller's struct */
    int64_t max;   /* STR: bytes; STRS: bytes of each; INT: largest value; OBJECT, ARRAY, RAW: bytes, 0 = any */
    unsigned flags;
    int64_t min;     /* STR: bytes, 1 = not empty; STRS: items' bytes; INT: smallest value */
    size_t item_max; /* STRS: items */
};

struct json_strs {
    const struct str *items; /* in the op's arena */
    size_t count;
};

/* Which fields the client wrote, by index in the table. */
struct json_seen {
    uint64_t given; /* present, also as null */
    uint64_t null;
};

static inline bool json_given(const struct json_seen *seen, unsigned index)
{
    return seen->given >> index & 1;
}

static inline bool json_given_null(const struct json_seen *seen, unsigned index)
{
    return seen->null >> index & 1;
}

/* The `errors` array of an RFC 9457 answer; texts live in the op's arena. Begin with { 0 }. */
struct json_problems {
    struct {
        struct str pointer; /* RFC 6901 */
        struct str detail;
    } items[JSON_PROBLEMS_MAX];
    size_t count;
};

/*
 * Reads the object in front of j. `base` is the JSON pointer of that object, "" for the body itself. seen and problems
 * may be NULL. ERR_MALFORMED: no JSON. ERR_INVALID: op holds the first problem's sentence and pointer, *problems all of
 * them, behind those it held before; the struct is then half filled and of no use.
 */
enum err json_fields(struct op *op, struct json *j, const char *base, const struct json_field *fields, size_t count,
                     void *target, struct json_seen *seen, struct json_problems *problems);

/* The same for a text that must be one such object and nothing else, read strictly. */
enum err json_read_body(struct op *op, struct str text, const struct json_field *fields, size_t count, void *target,
                        struct json_seen *seen, struct json_problems *problems);

/* The same for a nested object kept as JSON_FIELD_OBJECT, whose pointer is base ("/timing"). */
enum err json_read_nested(struct op *op, struct str text, const char *base, const struct json_field *fields,
                          size_t count, void *target, struct json_seen *seen, struct json_problems *problems);

/*
 * A problem that a caller found in a value that the table let pass ("/timezone", "no such zone"). Remembers it in op
 * when it is the first, in problems (may be NULL) if there is room, and returns ERR_INVALID.
 */
enum err json_problem(struct op *op, struct json_problems *problems, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
