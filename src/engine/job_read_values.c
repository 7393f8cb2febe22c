#include "engine/job_read_own.h"

#include "base/duration.h"
#include "base/instant.h"

/* 0 stands for "none", so the hash of a text is never 0. */
uint64_t job_key_hash(struct siphash_key key, struct str text, char what)
{
    struct siphash hash;
    siphash_init64(&hash, key);
    siphash_add(&hash, &what, 1);
    siphash_add_str(&hash, text);
    uint64_t value = siphash_end64(&hash) & INT64_MAX; /* rows order them as signed numbers */
    return value ? value : 1;
}

/* A value of a wrong type: the worker protocol knows only one word for it. */
enum err reading_wrong(struct reading *r, const char *pointer, const char *wanted)
{
    if (r->reader->door == JOB_WORKER)
        return fail_at(r->op, ERR_MALFORMED, pointer, "invalid JSON: %s must be %s", pointer + 1, wanted);
    return fail_at(r->op, ERR_INVALID, pointer, "%s must be %s", pointer + 1, wanted);
}

enum err reading_text(struct reading *r, struct json *j, const char *pointer, size_t max, struct str *ret)
{
    struct str text;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_STRING || !json_string(j, &text))
        return json_ok(j) ? reading_wrong(r, pointer, "a text") : OK;
    if (text.n > max)
        return fail_at(r->op, ERR_INVALID, pointer, "%s must have at most %zu bytes", pointer + 1, max);
    if (json_has_nul(text))
        return fail_at(r->op, ERR_INVALID, pointer, "%s must not hold a NUL character", pointer + 1);
    *ret = text;
    return OK;
}

enum err reading_key(struct reading *r, struct json *j, const char *pointer, char what, uint64_t *ret)
{
    struct str text = { 0 };
    TRY(reading_text(r, j, pointer, JOB_KEY_BYTES_MAX, &text));
    if (text.n)
        *ret = job_key_hash(r->reader->key, text, what);
    return OK;
}

enum err reading_duration(struct reading *r, struct json *j, const char *pointer, int64_t min_us, int64_t max_us,
                          int64_t *ret_us)
{
    struct str text = { 0 };
    int64_t ms;
    TRY(reading_text(r, j, pointer, 32, &text));
    if (!str_given(text))
        return OK;
    if (!duration_parse(text, &ms) || ms * 1000 < min_us || ms * 1000 > max_us)
        return fail_at(r->op, ERR_INVALID, pointer, "%s must be a duration from %lld s to %lld s, like \"90s\"",
                       pointer + 1, (long long)(min_us / 1000000), (long long)(max_us / 1000000));
    *ret_us = ms * 1000;
    return OK;
}

enum err reading_instant(struct reading *r, struct str text, const char *pointer, int64_t *ret_us)
{
    if (text.n == 0)
        return OK;
    if (instant_parse(text, ret_us))
        return OK;
    if (r->reader->door == JOB_WORKER)
        return fail_at(r->op, ERR_INVALID, pointer, "invalid timestamp for '%s': \"%.*s\"", pointer + 1, STR(text));
    return fail_at(r->op, ERR_INVALID, pointer, "%s must be an instant like 2026-11-21T19:00:00Z", pointer + 1);
}

enum err reading_word(struct reading *r, struct json *j, const char *pointer, const char *const *words, uint8_t *ret)
{
    struct str text = { 0 };
    TRY(reading_text(r, j, pointer, 32, &text));
    if (!str_given(text))
        return OK;
    for (uint8_t i = 0; words[i]; i++)
        if (str_eq(text, str_of(words[i]))) {
            *ret = i;
            return OK;
        }
    return fail_at(r->op, ERR_INVALID, pointer, "%s is not one of its words, beginning with \"%s\"", pointer + 1,
                   words[0]);
}

enum err reading_int(struct reading *r, struct json *j, const char *pointer, int64_t *ret)
{
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_int(j, INT32_MIN, INT32_MAX, ret))
        return json_ok(j) ? reading_wrong(r, pointer, "an integer") : OK;
    return OK;
}

enum err reading_seconds(struct reading *r, struct json *j, const char *pointer, int64_t *ret_us)
{
    struct str text;
    int64_t us;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_number_text(j, &text))
        return json_ok(j) ? reading_wrong(r, pointer, "a number of seconds") : OK;
    if (!instant_parse_seconds(text, &us))
        return fail_at(r->op, ERR_INVALID, pointer, "%s must be a number of seconds", pointer + 1);
    *ret_us = us;
    return OK;
}
