#include "engine/job_read_own.h"

#include <string.h>

#include "engine/job_queue.h"

#define RETRY_MAX 100000

/* --- members --- */

static enum err read_retry(struct reading *r, struct json *j)
{
    int64_t retry;
    if (json_null(j))
        return OK;
    if (json_type(j) != JSON_NUMBER || !json_int(j, -1, RETRY_MAX, &retry))
        return json_ok(j) ? reading_wrong(r, "/retry", "an integer, -1 or more") : OK;
    r->spec->retry = (int32_t)retry;
    r->spec->has |= JOB_HAS_RETRY;
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
        return reading_key(r, j, "/mutex", 'm', &r->spec->mutex);
    if (str_eq(name, S("key")))
        return reading_key(r, j, "/key", 'k', &r->spec->key);
    if (str_eq(name, S("unique"))) {
        if (!json_null(j))
            json_raw(j, &r->unique);
        return OK;
    }
    if (str_eq(name, S("timeout")))
        return reading_duration(r, j, "/timeout", 1000000, JOB_LEASE_US_MAX, &r->spec->timeout_us);
    if (str_eq(name, S("batch")))
        return reading_text(r, j, "/batch", JOB_JID_BYTES_MAX, &r->spec->batch);
    if (str_eq(name, S("expires_at")))
        return reading_text(r, j, "/expires_at", 64, &r->expires_at);
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
        TRY(reading_text(r, j, "/created_at", 64, &created));
        *ret_keep = created.n > 0;
        r->spec->has |= created.n ? JOB_HAS_CREATED : 0;
        return OK;
    }
    if (str_eq(name, S("reserve_for")))
        return reading_int(r, j, "/reserve_for", &r->reserve_for);
    if (str_eq(name, S("at")))
        return reading_text(r, j, "/at", 64, &r->at);
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
            return reading_text(r, j, "/jid", JOB_JID_BYTES_MAX, &spec->jid);
        }
        break;
    case 4:
        if (str_eq(name, S("args"))) {
            r->args_given = json_type(j) != JSON_NULL;
            if (r->args_given && json_type(j) != JSON_ARRAY)
                return json_ok(j) ? reading_wrong(r, "/args", "an array") : OK;
            json_raw(j, &r->args);
            return OK;
        }
        break;
    case 5:
        if (str_eq(name, S("queue"))) {
            *ret_keep = false;
            return reading_text(r, j, "/queue", 4096, &spec->queue);
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
                return json_ok(j) ? reading_wrong(r, "/custom", "an object") : OK;
            json_raw(j, &r->custom);
            return OK;
        }
        break;
    case 7:
        if (str_eq(name, S("jobtype"))) {
            *ret_keep = false;
            return reading_text(r, j, "/jobtype", JOB_TYPE_BYTES_MAX, &spec->jobtype);
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

static enum err read_posthouse(struct reading *r, struct json *j)
{
    struct str name;
    bool known;
    if (!json_enter_object(j))
        return reading_wrong(r, "/custom/posthouse", "an object");
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
            TRY(reading_seconds(r, &j, "/custom/unique_for", &unique_us));
        else if (str_eq(name, S("unique_until")))
            TRY(reading_word(r, &j, "/custom/unique_until", reading_until_words, &until));
        else if (str_eq(name, S("expires_at")))
            TRY(reading_text(r, &j, "/custom/expires_at", 64, &r->expires_at));
        else if (str_eq(name, S("expires_in")))
            TRY(reading_seconds(r, &j, "/custom/expires_in", &r->expires_in_us));
        else if (str_eq(name, S("track")))
            json_int(&j, 0, 1, &track);
        else if (str_eq(name, S("bid")) && json_type(&j) == JSON_STRING)
            TRY(reading_text(r, &j, "/custom/bid", JOB_JID_BYTES_MAX, &bid));
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
    TRY(reading_instant(r, r->at, "/at", &spec->at_us));
    TRY(reading_instant(r, r->expires_at, "/expires_at", &spec->expires_at_us));
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
        TRY(reading_unique(&r, r.unique));
    TRY(check_queue(&r));
    if (ret->unique.for_us)
        TRY(reading_unique_key(&r));
    ret->body = buf_str(&body);
    if (ret->body.n > reader->bytes_max)
        return fail(op, ERR_TOO_LARGE, "job too big: %zu bytes", ret->body.n);
    return OK;
}
