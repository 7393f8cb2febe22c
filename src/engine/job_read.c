#include "engine/job_read.h"

#include <string.h>

#include "base/crypto.h"
#include "base/duration.h"
#include "base/instant.h"
#include "engine/job_queue.h"

#define UNIQUE_US_MIN INT64_C(1000000)
#define UNIQUE_US_MAX (INT64_C(30) * 86400 * 1000000)
#define RETRY_MAX     100000

/* One object under way. */
struct reading {
    struct op *op;
    const struct job_reader *reader;
    struct job_spec *spec;
    struct str args, at, expires_at, unique, custom, priority;
    bool args_given, jid_given, type_given;
    int64_t reserve_for;
    struct str unique_key;
    int64_t expires_in_us; /* -1 = not given */
};

/* A value of a wrong type: the worker protocol knows only one word for it. */
static enum err wrong(struct reading *r, const char *pointer, const char *wanted)
{
    if (r->reader->door == JOB_WORKER)
        return fail_at(r->op, ERR_MALFORMED, pointer, "invalid JSON: %s must be %s", pointer + 1, wanted);
    return fail_at(r->op, ERR_INVALID, pointer, "%s must be %s", pointer + 1, wanted);
}

static enum err read_text(struct reading *r, struct json *j, const char *pointer, size_t max, struct str *ret)
{
    struct str text;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_STRING || !json_string(j, &text))
        return json_ok(j) ? wrong(r, pointer, "a text") : OK;
    if (text.n > max)
        return fail_at(r->op, ERR_INVALID, pointer, "%s must have at most %zu bytes", pointer + 1, max);
    if (json_has_nul(text))
        return fail_at(r->op, ERR_INVALID, pointer, "%s must not hold a NUL character", pointer + 1);
    *ret = text;
    return OK;
}

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

static enum err read_key(struct reading *r, struct json *j, const char *pointer, char what, uint64_t *ret)
{
    struct str text = { 0 };
    TRY(read_text(r, j, pointer, JOB_KEY_BYTES_MAX, &text));
    if (text.n)
        *ret = job_key_hash(r->reader->key, text, what);
    return OK;
}

static enum err read_duration(struct reading *r, struct json *j, const char *pointer, int64_t min_us, int64_t max_us,
                              int64_t *ret_us)
{
    struct str text = { 0 };
    int64_t ms;
    TRY(read_text(r, j, pointer, 32, &text));
    if (!str_given(text))
        return OK;
    if (!duration_parse(text, &ms) || ms * 1000 < min_us || ms * 1000 > max_us)
        return fail_at(r->op, ERR_INVALID, pointer, "%s must be a duration from %lld s to %lld s, like \"90s\"",
                       pointer + 1, (long long)(min_us / 1000000), (long long)(max_us / 1000000));
    *ret_us = ms * 1000;
    return OK;
}

static enum err read_instant(struct reading *r, struct str text, const char *pointer, int64_t *ret_us)
{
    if (text.n == 0)
        return OK;
    if (instant_parse(text, ret_us))
        return OK;
    if (r->reader->door == JOB_WORKER)
        return fail_at(r->op, ERR_INVALID, pointer, "invalid timestamp for '%s': \"%.*s\"", pointer + 1, STR(text));
    return fail_at(r->op, ERR_INVALID, pointer, "%s must be an instant like 2026-11-21T19:00:00Z", pointer + 1);
}

/* --- unique --- */

static enum err read_word(struct reading *r, struct json *j, const char *pointer, const char *const *words,
                          uint8_t *ret)
{
    struct str text = { 0 };
    TRY(read_text(r, j, pointer, 32, &text));
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

static const char *const until_words[] = { "success", "start", "expiry", NULL };
static const char *const conflict_words[] = { "reject", "return", "replace", "extend", NULL };

static enum err read_states(struct reading *r, struct json *j)
{
    struct job_unique *unique = &r->spec->unique;
    struct str name;
    enum job_state state;
    if (json_null(j))
        return OK;
    if (!json_enter_array(j))
        return wrong(r, "/unique/states", "an array of states");
    while (json_next_item(j)) {
        if (!json_string(j, &name) || !job_state_of(name, &state))
            return fail_at(r->op, ERR_INVALID, "/unique/states", "unique/states holds an unknown state");
        if (state == JOB_DONE)
            unique->until = UNIQUE_EXPIRY;
        unique->states |= (uint8_t)(1u << state);
    }
    return OK;
}

static enum err read_unique(struct reading *r, struct str text)
{
    struct job_unique *unique = &r->spec->unique;
    struct json j;
    struct str name;
    json_init(&j, r->op->arena, text, JSON_STRICT);
    if (!json_enter_object(&j))
        return wrong(r, "/unique", "an object");
    while (json_next_member(&j, &name)) {
        if (str_eq(name, S("for")))
            TRY(read_duration(r, &j, "/unique/for", UNIQUE_US_MIN, UNIQUE_US_MAX, &unique->for_us));
        else if (str_eq(name, S("until")))
            TRY(read_word(r, &j, "/unique/until", until_words, &unique->until));
        else if (str_eq(name, S("on_conflict")))
            TRY(read_word(r, &j, "/unique/on_conflict", conflict_words, &unique->conflict));
        else if (str_eq(name, S("key")))
            TRY(read_text(r, &j, "/unique/key", JOB_KEY_BYTES_MAX, &r->unique_key));
        else if (str_eq(name, S("states")))
            TRY(read_states(r, &j));
        else
            return fail_at(r->op, ERR_INVALID, "/unique", "unique has no member \"%.*s\"", STR(name));
    }
    TRY(json_finish(&j, r->op));
    if (unique->for_us == 0)
        return fail_at(r->op, ERR_INVALID, "/unique/for", "unique needs \"for\", from 1s to 30d");
    return OK;
}

/* UNI-1: 128 bits of SHA-256 over the type, the queue and the args, or over a key of the caller's. */
static enum err unique_key(struct reading *r)
{
    struct buf canonical;
    uint8_t digest[CRYPTO_SHA256_BYTES];
    buf_init_arena(&canonical, r->op->arena, JOB_BYTES_MAX * 2);
    if (!r->unique_key.n)
        TRY(job_canonical(r->op, r->args, &canonical));
    struct str by_args[] = { r->spec->jobtype, S("\n"), r->spec->queue, S("\n"), buf_str(&canonical) };
    struct str by_key[] = { S("\n"), r->unique_key };
    if (r->unique_key.n)
        crypto_sha256(by_key, 2, digest);
    else
        crypto_sha256(by_args, 5, digest);
    memcpy(r->spec->unique.key, digest, sizeof r->spec->unique.key);
    return OK;
}

/* --- members --- */

static enum err read_retry(struct reading *r, struct json *j)
{
    int64_t retry;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_int(j, -1, RETRY_MAX, &retry))
        return json_ok(j) ? wrong(r, "/retry", "an integer, -1 or more") : OK;
    r->spec->retry = (int32_t)retry;
    r->spec->has |= JOB_HAS_RETRY;
    return OK;
}

static enum err read_int(struct reading *r, struct json *j, const char *pointer, int64_t *ret)
{
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_int(j, INT32_MIN, INT32_MAX, ret))
        return json_ok(j) ? wrong(r, pointer, "an integer") : OK;
    return OK;
}

/* What three client libraries always send means nothing by itself: a wrong value is refused over HTTP only. */
static enum err read_priority(struct reading *r, struct json *j)
{
    int64_t priority;
    if (json_null(j))
        return OK;
    if (json_int(j, 1, 9, &priority))
        r->spec->priority = (int32_t)priority;
    else if (r->reader->door == JOB_HTTP && json_ok(j))
        return fail_at(r->op, ERR_INVALID, "/priority", "priority must be an integer from 1 to 9");
    return OK;
}

/* The words that are members over HTTP and lie in custom.posthouse on the worker door. */
static enum err read_ours(struct reading *r, struct json *j, struct str name, bool *ret_known)
{
    *ret_known = true;
    if (str_eq(name, S("mutex")))
        return read_key(r, j, "/mutex", 'm', &r->spec->mutex);
    if (str_eq(name, S("key")))
        return read_key(r, j, "/key", 'k', &r->spec->key);
    if (str_eq(name, S("unique"))) {
        if (!json_null(j))
            json_raw(j, &r->unique);
        return OK;
    }
    if (str_eq(name, S("timeout")))
        return read_duration(r, j, "/timeout", 1000000, JOB_LEASE_US_MAX, &r->spec->timeout_us);
    if (str_eq(name, S("batch")))
        return read_text(r, j, "/batch", JOB_JID_BYTES_MAX, &r->spec->batch);
    if (str_eq(name, S("expires_at")))
        return read_text(r, j, "/expires_at", 64, &r->expires_at);
    if (str_eq(name, S("priority")))
        return read_priority(r, j);
    *ret_known = false;
    return OK;
}

/* Members that say when: kept when they are the client's, ours otherwise. */
static enum err read_times(struct reading *r, struct json *j, struct str name, bool *ret_keep, bool *ret_known)
{
    *ret_known = true;
    if (str_eq(name, S("created_at"))) {
        struct str created = { 0 };
        TRY(read_text(r, j, "/created_at", 64, &created));
        *ret_keep = created.n > 0;
        r->spec->has |= created.n ? JOB_HAS_CREATED : 0;
        return OK;
    }
    if (str_eq(name, S("reserve_for")))
        return read_int(r, j, "/reserve_for", &r->reserve_for);
    if (str_eq(name, S("at")))
        return read_text(r, j, "/at", 64, &r->at);
    *ret_known = str_eq(name, S("enqueued_at"));
    *ret_keep = !*ret_known;
    return OK;
}

static enum err read_member(struct reading *r, struct json *j, struct str name, bool *ret_keep)
{
    struct job_spec *spec = r->spec;
    bool known;
    *ret_keep = true;
    switch (name.n) {
    case 3:
        if (str_eq(name, S("jid"))) {
            *ret_keep = false;
            return read_text(r, j, "/jid", JOB_JID_BYTES_MAX, &spec->jid);
        }
        break;
    case 4:
        if (str_eq(name, S("args"))) {
            r->args_given = json_type(j) != JSON_NULL;
            if (r->args_given && json_type(j) != JSON_ARRAY)
                return json_ok(j) ? wrong(r, "/args", "an array") : OK;
            json_raw(j, &r->args);
            return OK;
        }
        break;
    case 5:
        if (str_eq(name, S("queue"))) {
            *ret_keep = false;
            return read_text(r, j, "/queue", 4096, &spec->queue);
        }
        if (str_eq(name, S("retry"))) {
            *ret_keep = json_type(j) != JSON_NULL;
            return read_retry(r, j);
        }
        break;
    case 6:
        if (str_eq(name, S("custom"))) {
            if (json_null(j))
                return OK;
            if (json_type(j) != JSON_OBJECT)
                return json_ok(j) ? wrong(r, "/custom", "an object") : OK;
            json_raw(j, &r->custom);
            return OK;
        }
        break;
    case 7:
        if (str_eq(name, S("jobtype"))) {
            *ret_keep = false;
            return read_text(r, j, "/jobtype", JOB_TYPE_BYTES_MAX, &spec->jobtype);
        }
        if (str_eq(name, S("failure"))) {
            *ret_keep = false; /* ours to say */
            return OK;
        }
        break;
    }
    TRY(read_times(r, j, name, ret_keep, &known));
    if (!known && (r->reader->door == JOB_HTTP || str_eq(name, S("priority"))))
        return read_ours(r, j, name, &known);
    return OK;
}

static enum err read_seconds(struct reading *r, struct json *j, const char *pointer, int64_t *ret_us)
{
    struct str text;
    int64_t us;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_number_text(j, &text))
        return json_ok(j) ? wrong(r, pointer, "a number of seconds") : OK;
    if (!instant_parse_seconds(text, &us))
        return fail_at(r->op, ERR_INVALID, pointer, "%s must be a number of seconds", pointer + 1);
    *ret_us = us;
    return OK;
}

static enum err read_posthouse(struct reading *r, struct json *j)
{
    struct str name;
    bool known;
    if (!json_enter_object(j))
        return wrong(r, "/custom/posthouse", "an object");
    while (json_next_member(j, &name))
        TRY(read_ours(r, j, name, &known));
    return OK;
}

/* What clients of the worker protocol write into custom. */
static enum err read_custom(struct reading *r)
{
    struct job_spec *spec = r->spec;
    struct json j;
    struct str name, bid = { 0 };
    int64_t track = 0, unique_us = 0;
    uint8_t until = UNIQUE_SUCCESS;
    json_init(&j, r->op->arena, r->custom, JSON_STRICT);
    if (!json_enter_object(&j))
        return OK;
    while (json_next_member(&j, &name)) {
        if (str_eq(name, S("posthouse")))
            TRY(read_posthouse(r, &j));
        else if (str_eq(name, S("unique_for")))
            TRY(read_seconds(r, &j, "/custom/unique_for", &unique_us));
        else if (str_eq(name, S("unique_until")))
            TRY(read_word(r, &j, "/custom/unique_until", until_words, &until));
        else if (str_eq(name, S("expires_at")))
            TRY(read_text(r, &j, "/custom/expires_at", 64, &r->expires_at));
        else if (str_eq(name, S("expires_in")))
            TRY(read_seconds(r, &j, "/custom/expires_in", &r->expires_in_us));
        else if (str_eq(name, S("track")))
            json_int(&j, 0, 1, &track);
        else if (str_eq(name, S("bid")) && json_type(&j) == JSON_STRING)
            TRY(read_text(r, &j, "/custom/bid", JOB_JID_BYTES_MAX, &bid));
    }
    TRY(json_finish(&j, r->op));
    spec->track = track != 0;
    if (unique_us > 0 && spec->unique.for_us == 0) {
        spec->unique.for_us = unique_us < UNIQUE_US_MIN ? UNIQUE_US_MIN : unique_us;
        if (spec->unique.for_us > UNIQUE_US_MAX)
            spec->unique.for_us = UNIQUE_US_MAX;
        spec->unique.until = until;
    }
    if (str_starts(bid, S("b-"))) /* any other value is the user's own */
        spec->batch = bid;
    return OK;
}

/* --- the whole --- */

static enum err check_names(struct reading *r)
{
    struct job_spec *spec = r->spec;
    bool worker = r->reader->door == JOB_WORKER;
    if (r->reader->callback && spec->jid.n == 0)
        spec->jid = (struct str){ 0 };
    else if (worker ? spec->jid.n < JOB_JID_BYTES_MIN : str_given(spec->jid) && spec->jid.n < JOB_JID_BYTES_MIN)
        return fail_at(r->op, ERR_INVALID, "/jid",
                       worker ? "jobs must have a reasonable jid parameter" : "jid must have 8 to 128 bytes");
    if (spec->jobtype.n == 0)
        return fail_at(r->op, ERR_INVALID, "/jobtype", "jobs must have a jobtype parameter");
    if (!r->reader->builtin && str_starts(spec->jobtype, S("posthouse.")))
        return fail_at(r->op, ERR_INVALID, "/jobtype", "jobtypes beginning with posthouse. are Posthouse's own");
    if (!r->args_given)
        return fail_at(r->op, ERR_INVALID, "/args", "jobs must have an args parameter");
    return OK;
}

static enum err check_times(struct reading *r)
{
    struct job_spec *spec = r->spec;
    if (r->reserve_for > JOB_LEASE_US_MAX / 1000000)
        return fail_at(r->op, ERR_INVALID, "/reserve_for", "jobs cannot be reserved for more than one day");
    if (r->reserve_for != 0) {
        int64_t us = r->reserve_for * 1000000;
        spec->lease_us = us < JOB_LEASE_US_MIN ? JOB_LEASE_US_MIN : us;
    }
    TRY(read_instant(r, r->at, "/at", &spec->at_us));
    TRY(read_instant(r, r->expires_at, "/expires_at", &spec->expires_at_us));
    if (r->expires_in_us >= 0)
        spec->expires_at_us = r->op->now_us + r->expires_in_us;
    return OK;
}

static enum err check_queue(struct reading *r)
{
    struct job_spec *spec = r->spec;
    if (spec->queue.n == 0)
        spec->queue = S("default");
    if (queue_is_own(spec->queue) && !r->reader->builtin)
        return fail_at(r->op, ERR_INVALID, "/queue", "queues that begin with posthouse. are Posthouse's own");
    if (queue_name_valid(spec->queue))
        return OK;
    struct str shown = str_clip(spec->queue, JOB_QUEUE_BYTES_MAX);
    if (r->reader->door == JOB_HTTP)
        return fail_at(r->op, ERR_INVALID, "/queue", "queue must match [A-Za-z0-9._-]{1,128}");
    return fail_at(r->op, ERR_INVALID, "/queue", "cannot get \"%.*s\" queue: queue names must match [A-Za-z0-9._-]+",
                   STR(shown));
}

static void keep(struct buf *body, const char *begin, const char *end)
{
    while (begin < end && *begin != '"')
        begin++;
    if (body->n)
        buf_add_char(body, ',');
    buf_add(body, begin, (size_t)(end - begin));
}

static enum err read_members(struct reading *r, struct json *j, struct buf *body)
{
    struct str name;
    const char *begin = json_at(j);
    while (json_next_member(j, &name)) {
        bool whole;
        const char *value = json_at(j);
        TRY(read_member(r, j, name, &whole));
        if (json_at(j) == value)
            json_skip(j);
        if (whole && json_ok(j))
            keep(body, begin, json_at(j));
        begin = json_at(j);
    }
    return OK;
}

/* The sentence of the scanner, as the worker protocol words it. */
static enum err not_json(struct reading *r)
{
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, r->op->error, sizeof sentence);
    if (r->reader->door == JOB_WORKER)
        return fail(r->op, ERR_MALFORMED, "invalid JSON: %s", sentence);
    return fail(r->op, ERR_MALFORMED, "%s", sentence);
}

static enum err read_object(struct reading *r, struct str text, struct buf *body)
{
    struct json j;
    json_init(&j, r->op->arena, text, JSON_STRICT);
    enum err err = OK;
    if (json_type(&j) == JSON_OBJECT && json_enter_object(&j))
        err = read_members(r, &j, body);
    else if (json_ok(&j))
        return fail(r->op, r->reader->door == JOB_WORKER ? ERR_MALFORMED : ERR_INVALID, "%s",
                    r->reader->door == JOB_WORKER ? "invalid JSON: a job is an object" : "a job is an object");
    TRY(err);
    return json_finish(&j, r->op) == OK ? OK : not_json(r);
}

enum err job_read(struct op *op, const struct job_reader *reader, struct str json, struct job_spec *ret)
{
    struct reading r = { .op = op, .reader = reader, .spec = ret, .expires_in_us = -1 };
    struct buf body;
    *ret = (struct job_spec){ .retry = JOB_NO_RETRY };
    buf_init_arena(&body, op->arena, json.n + 64);
    if (json.n > reader->bytes_max + 4096)
        return fail(op, ERR_TOO_LARGE, "job too big: %zu bytes", json.n);
    if (!buf_reserve(&body, json.n + 1))
        return fail(op, ERR_TOO_LARGE, "job too big: %zu bytes", json.n);
    TRY(read_object(&r, json, &body));
    TRY(check_names(&r));
    if (r.custom.n)
        TRY(read_custom(&r));
    TRY(check_times(&r));
    if (r.unique.n)
        TRY(read_unique(&r, r.unique));
    TRY(check_queue(&r));
    if (ret->unique.for_us)
        TRY(unique_key(&r));
    ret->body = buf_str(&body);
    if (ret->body.n > reader->bytes_max)
        return fail(op, ERR_TOO_LARGE, "job too big: %zu bytes", ret->body.n);
    return OK;
}
