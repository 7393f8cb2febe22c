/*
 * job_read_own.h - the inside of job_read: one object under way, and how its values are read.
 *
 *     job_read.c         the object and its members, by both doors
 *     job_read_values.c  texts, lengths of time, words, keys
 *     job_read_unique.c  locks
 *
 * Every reader here eats the value in front of j. Null is not given: *ret stays.
 * `pointer` names the value in errors, "/timeout". A value of a wrong type is
 * ERR_INVALID; on the worker door ERR_MALFORMED, for which its protocol has one
 * word. After a syntax error they return OK: json_finish will tell.
 */
#pragma once

#include "engine/job_read.h"

#define UNIQUE_US_MIN INT64_C(1000000)
#define UNIQUE_US_MAX (INT64_C(30) * 86400 * 1000000)

/* One object under way. */
struct reading {
    struct op *op;
    const struct job_reader *reader;
    struct job_spec *spec;
    struct str args, at, expires_at, unique, custom, priority;
    bool args_given;
    int64_t reserve_for;
    struct str unique_key;
    int64_t expires_in_us; /* -1 = not given */
};

/* "... must be a text" */
enum err reading_wrong(struct reading *r, const char *pointer, const char *wanted);

enum err reading_text(struct reading *r, struct json *j, const char *pointer, size_t bytes_max, struct str *ret);
enum err reading_int(struct reading *r, struct json *j, const char *pointer, int64_t *ret);

/* A key's hash: of a fairness key ('k') or mutex ('m'). */
enum err reading_key(struct reading *r, struct json *j, const char *pointer, char what, uint64_t *ret);

/* "90s", from min_us to max_us. */
enum err reading_duration(struct reading *r, struct json *j, const char *pointer, int64_t min_us, int64_t max_us,
                          int64_t *ret_us);

/* A number of seconds, as clients of the worker protocol write lengths of time. */
enum err reading_seconds(struct reading *r, struct json *j, const char *pointer, int64_t *ret_us);

/* Which one of the words it is; they end with NULL. */
enum err reading_word(struct reading *r, struct json *j, const char *pointer, const char *const *words, uint8_t *ret);

/* An instant in a text that was read before; empty = not given. Wall time. */
enum err reading_instant(struct reading *r, struct str text, const char *pointer, int64_t *ret_us);

/* --- job_read_unique.c --- */

extern const char *const reading_until_words[]; /* by enum unique_until */

/* The object `text` into the spec; then, when everything else is read, the key of the lock. */
enum err reading_unique(struct reading *r, struct str text);
enum err reading_unique_key(struct reading *r);
