#include "engine/job_policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/duration.h"
#include "base/json_merge.h"
#include "base/sort.h"
#include "engine/job_handler.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)
#define YEARS_US  (INT64_C(36500) * DAY_US)

struct policy_raw {
    int64_t concurrency, node_concurrency, worker_concurrency, budget_cost, weight, key_concurrency, max_queued,
        max_bytes, crash_limit;
    struct str rate, key_rate, budget, keys, ageing, max_age, lease, timeout, retry, retain, handler;
    bool priorities, recover;
};

#define FIELD(word, kind, max, flags, min)                                                                             \
    {                                                                                                                  \
#word, kind, offsetof(struct policy_raw, word), max, flags, min, 0                                             \
    }
#define NUL JSON_NULLABLE

static const struct json_field policy_fields[] = {
    FIELD(concurrency, JSON_FIELD_INT, SLOTS_MAX, NUL, 0),
    FIELD(node_concurrency, JSON_FIELD_INT, SLOTS_MAX, NUL, 0),
    FIELD(worker_concurrency, JSON_FIELD_INT, SLOTS_MAX, NUL, 0),
    FIELD(rate, JSON_FIELD_OBJECT, 512, NUL, 0),
    FIELD(budget, JSON_FIELD_STR, 128, NUL, 1),
    FIELD(budget_cost, JSON_FIELD_INT, 1000, NUL, 1),
    FIELD(weight, JSON_FIELD_INT, 100, NUL, 1),
    FIELD(key_concurrency, JSON_FIELD_INT, SLOTS_MAX, NUL, 1),
    FIELD(key_rate, JSON_FIELD_OBJECT, 512, NUL, 0),
    FIELD(keys, JSON_FIELD_OBJECT, POLICY_BYTES_MAX, NUL, 0),
    FIELD(priorities, JSON_FIELD_BOOL, 0, NUL, 0),
    FIELD(ageing, JSON_FIELD_STR, 32, NUL, 1),
    FIELD(max_queued, JSON_FIELD_INT, INT64_MAX, NUL, 0),
    FIELD(max_bytes, JSON_FIELD_INT, INT64_MAX, NUL, 0),
    FIELD(max_age, JSON_FIELD_STR, 32, NUL, 1),
    FIELD(lease, JSON_FIELD_STR, 32, NUL, 1),
    FIELD(timeout, JSON_FIELD_STR, 32, NUL, 1),
    FIELD(retry, JSON_FIELD_OBJECT, 8192, NUL, 0),
    FIELD(crash_limit, JSON_FIELD_INT, 1000, NUL, 0),
    FIELD(retain, JSON_FIELD_OBJECT, 512, NUL, 0),
    FIELD(handler, JSON_FIELD_OBJECT, 8192, NUL, 0),
    { "recover_lost_workers", JSON_FIELD_BOOL, offsetof(struct policy_raw, recover), 0, NUL, 0, 0 },
};
#define COUNT(fields) (sizeof(fields) / sizeof *(fields))

static enum err read_us(struct op *op, struct json_problems *problems, const char *pointer, struct str text,
                        int64_t min_us, int64_t max_us, int64_t *ret)
{
    int64_t ms;
    char from[DURATION_TEXT_BYTES], to[DURATION_TEXT_BYTES];
    if (!str_given(text))
        return OK;
    if (duration_parse(text, &ms) && ms * 1000 >= min_us && ms * 1000 <= max_us) {
        *ret = ms * 1000;
        return OK;
    }
    struct str low = duration_text(min_us / 1000, from), high = duration_text(max_us / 1000, to);
    return json_problem(op, problems, pointer, "%s must be a duration from %.*s to %.*s", pointer + 1, STR(low),
                        STR(high));
}

struct rate_raw {
    int64_t limit, burst;
    struct str per;
};

static enum err read_rate(struct op *op, struct json_problems *problems, const char *pointer, struct str text,
                          struct rate *ret)
{
    static const struct json_field fields[] = {
        { "limit", JSON_FIELD_INT, offsetof(struct rate_raw, limit), RATE_LIMIT_MAX, JSON_REQUIRED, 1, 0 },
        { "per", JSON_FIELD_STR, offsetof(struct rate_raw, per), 32, JSON_REQUIRED, 1, 0 },
        { "burst", JSON_FIELD_INT, offsetof(struct rate_raw, burst), RATE_LIMIT_MAX, JSON_NULLABLE, 1, 0 },
    };
    struct rate_raw raw = { .burst = 1 };
    char per[64];
    if (!str_given(text))
        return OK;
    TRY(json_read_nested(op, text, pointer, fields, COUNT(fields), &raw, NULL, problems));
    snprintf(per, sizeof per, "%s/per", pointer);
    TRY(read_us(op, problems, per, raw.per, RATE_PER_US_MIN, RATE_PER_US_MAX, &ret->per_us));
    if (raw.burst > raw.limit) {
        snprintf(per, sizeof per, "%s/burst", pointer);
        return json_problem(op, problems, per, "burst must be from 1 to limit, %lld", (long long)raw.limit);
    }
    ret->limit = raw.limit;
    ret->burst = raw.burst;
    return OK;
}

struct retry_raw {
    int64_t max;
    struct str backoff, base, cap;
    struct json_strs delays;
};

static enum err read_retry(struct op *op, struct json_problems *problems, struct str text, struct retry_policy *ret)
{
    static const char *const words[] = { "polynomial", "exponential", "linear", "fixed", "list" };
    static const struct json_field fields[] = {
        { "max", JSON_FIELD_INT, offsetof(struct retry_raw, max), 100000, NUL, -1, 0 },
        { "backoff", JSON_FIELD_STR, offsetof(struct retry_raw, backoff), 32, NUL, 1, 0 },
        { "base", JSON_FIELD_STR, offsetof(struct retry_raw, base), 32, NUL, 1, 0 },
        { "cap", JSON_FIELD_STR, offsetof(struct retry_raw, cap), 32, NUL, 1, 0 },
        { "delays", JSON_FIELD_STRS, offsetof(struct retry_raw, delays), 32, NUL, 1, POLICY_DELAYS_MAX },
    };
    struct retry_raw raw = { .max = 25, .backoff = S("polynomial") };
    if (!str_given(text))
        return OK;
    TRY(json_read_nested(op, text, "/retry", fields, COUNT(fields), &raw, NULL, problems));
    ret->max = raw.max;
    size_t word = 0;
    while (word < COUNT(words) && !str_eq(raw.backoff, str_of(words[word])))
        word++;
    if (word == COUNT(words))
        return json_problem(op, problems, "/retry/backoff",
                            "backoff must be one of polynomial, exponential, linear, fixed, list");
    ret->backoff = (enum backoff)word;
    TRY(read_us(op, problems, "/retry/base", raw.base, SECOND_US / 1000, 30 * DAY_US, &ret->base_us));
    TRY(read_us(op, problems, "/retry/cap", raw.cap, SECOND_US / 1000, 30 * DAY_US, &ret->cap_us));
    if (ret->backoff != BACKOFF_LIST)
        return OK;
    if (raw.delays.count == 0)
        return json_problem(op, problems, "/retry/delays", "backoff list needs delays, from 1 to %d of them",
                            POLICY_DELAYS_MAX);
    for (size_t i = 0; i < raw.delays.count; i++)
        TRY(read_us(op, problems, "/retry/delays", raw.delays.items[i], SECOND_US / 1000, 30 * DAY_US,
                    &ret->delays_us[i]));
    ret->delay_count = (int)raw.delays.count;
    ret->max = ret->delay_count;
    return OK;
}

struct retain_raw {
    struct str done, dead;
    int64_t done_max;
};

static enum err read_retain(struct op *op, struct json_problems *problems, struct str text, struct queue_policy *ret)
{
    static const struct json_field fields[] = {
        { "done", JSON_FIELD_STR, offsetof(struct retain_raw, done), 32, NUL, 1, 0 },
        { "done_max", JSON_FIELD_INT, offsetof(struct retain_raw, done_max), 1000000000, NUL, 0, 0 },
        { "dead", JSON_FIELD_STR, offsetof(struct retain_raw, dead), 32, NUL, 1, 0 },
    };
    struct retain_raw raw = { .done_max = ret->retain_done_max };
    if (!str_given(text))
        return OK;
    TRY(json_read_nested(op, text, "/retain", fields, COUNT(fields), &raw, NULL, problems));
    ret->retain_done_max = raw.done_max;
    TRY(read_us(op, problems, "/retain/done", raw.done, 0, YEARS_US, &ret->retain_done_us));
    return read_us(op, problems, "/retain/dead", raw.dead, SECOND_US, YEARS_US, &ret->retain_dead_us);
}

/* --- keys --- */

static int by_key(const void *a, const void *b)
{
    const struct key_policy *x = a, *y = b;
    return sort_cmp_u64(x->key, y->key);
}

static enum err read_keys(struct op *op, struct json_problems *problems, struct str text,
                          uint64_t (*hash)(void *data, struct str key), void *data, struct queue_policy *ret)
{
    static const struct json_field fields[] = {
        { "weight", JSON_FIELD_INT, offsetof(struct key_policy, weight), 100, NUL, 1, 0 },
        { "concurrency", JSON_FIELD_INT, offsetof(struct key_policy, concurrency), SLOTS_MAX, NUL, 1, 0 },
    };
    struct json j;
    struct str name;
    if (!str_given(text))
        return OK;
    TRY(op_alloc(op, POLICY_KEYS_MAX * sizeof *ret->keys, &ret->keys));
    json_init(&j, op->arena, text, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (ret->key_count == POLICY_KEYS_MAX)
                return json_problem(op, problems, "/keys", "keys must have at most %d entries", POLICY_KEYS_MAX);
            struct key_policy *key = &ret->keys[ret->key_count++];
            *key = (struct key_policy){ hash(data, name), 1, ret->key_concurrency };
            TRY(json_fields(op, &j, "/keys", fields, COUNT(fields), key, NULL, problems));
        }
    TRY(json_finish(&j, op));
    qsort(ret->keys, ret->key_count, sizeof *ret->keys, by_key);
    return OK;
}

struct key_policy queue_policy_key(const struct queue_policy *policy, uint64_t key)
{
    struct key_policy wanted = { key, 1, policy->key_concurrency };
    if (policy->key_count == 0)
        return wanted;
    const struct key_policy *found = bsearch(&wanted, policy->keys, policy->key_count, sizeof wanted, by_key);
    return found ? *found : wanted;
}

/* --- the whole --- */

static enum err read_durations(struct op *op, struct json_problems *problems, const struct policy_raw *raw,
                               struct queue_policy *ret)
{
    TRY(read_us(op, problems, "/ageing", raw->ageing, SECOND_US, 30 * DAY_US, &ret->ageing_us));
    TRY(read_us(op, problems, "/max_age", raw->max_age, SECOND_US, YEARS_US, &ret->max_age_us));
    TRY(read_us(op, problems, "/lease", raw->lease, JOB_LEASE_US_MIN, JOB_LEASE_US_MAX, &ret->lease_us));
    return read_us(op, problems, "/timeout", raw->timeout, SECOND_US, JOB_LEASE_US_MAX, &ret->timeout_us);
}

/* LEASE-10: a handler that may take longer than its lease would deliver twice. */
static enum err check_handler(struct op *op, struct json_problems *problems, struct queue_policy *policy)
{
    struct job_handler handler;
    TRY(job_handler_read(op, policy->handler, &handler, problems));
    if (handler.kind != HANDLER_PULL && policy->concurrency == POLICY_NONE)
        policy->concurrency = HANDLER_CONCURRENCY;
    if (policy->lease_us < handler.timeout_us + 10 * SECOND_US)
        return json_problem(op, problems, "/lease", "lease must be longer than handler/timeout by at least 10s");
    return OK;
}

enum err queue_policy_read(struct op *op, struct str text, uint64_t (*hash)(void *data, struct str key), void *data,
                           struct queue_policy *ret, struct json_problems *problems)
{
    struct policy_raw raw = {
        .concurrency = POLICY_NONE,
        .node_concurrency = POLICY_NONE,
        .worker_concurrency = POLICY_NONE,
        .budget_cost = 1,
        .weight = 1,
        .key_concurrency = POLICY_NONE,
        .max_queued = POLICY_NONE,
        .max_bytes = POLICY_NONE,
        .crash_limit = 3,
        .recover = true,
    };
    if (text.n)
        TRY(json_read_body(op, text, policy_fields, COUNT(policy_fields), &raw, NULL, problems));
    *ret = (struct queue_policy){
        .concurrency = raw.concurrency,
        .node_concurrency = raw.node_concurrency,
        .worker_concurrency = raw.worker_concurrency,
        .budget = raw.budget,
        .budget_cost = raw.budget_cost,
        .weight = raw.weight,
        .key_concurrency = raw.key_concurrency,
        .priorities = raw.priorities,
        .ageing_us = 300 * SECOND_US,
        .max_queued = raw.max_queued,
        .max_bytes = raw.max_bytes,
        .max_age_us = POLICY_NONE,
        .lease_us = JOB_LEASE_US_DEFAULT,
        .retry = { .max = 25, .base_us = 15 * SECOND_US, .cap_us = 3600 * SECOND_US },
        .crash_limit = raw.crash_limit,
        .retain_done_us = DAY_US,
        .retain_done_max = 1000000,
        .retain_dead_us = 180 * DAY_US,
        .recover_lost_workers = raw.recover,
        .handler = raw.handler,
    };
    TRY(read_durations(op, problems, &raw, ret));
    TRY(read_rate(op, problems, "/rate", raw.rate, &ret->rate));
    TRY(read_rate(op, problems, "/key_rate", raw.key_rate, &ret->key_rate));
    TRY(read_keys(op, problems, raw.keys, hash, data, ret));
    TRY(read_retry(op, problems, raw.retry, &ret->retry));
    TRY(read_retain(op, problems, raw.retain, ret));
    return check_handler(op, problems, ret);
}

struct handler_change {
    struct op *op;
    struct str handler; /* of the patch */
};

/* A handler of another kind shares nothing with the one before, least of all its secret. */
static bool drop_other_kind(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct handler_change *change = data;
    struct str had, kind;
    (void)w;
    if (!str_eq(name, S("handler")) || !json_find(change->op->arena, change->handler, JSON_STRICT, S("kind"), &kind))
        return false;
    return json_find(change->op->arena, value, JSON_STRICT, S("kind"), &had) && !str_eq(had, kind);
}

enum err policy_merge(struct op *op, struct str text, struct str patch, struct str *ret)
{
    struct buf buf;
    struct json_writer w;
    struct handler_change change = { op, { 0 } };
    if (!json_find(op->arena, patch, JSON_STRICT, S("handler"), &change.handler) || !str_starts(change.handler, S("{")))
        change.handler = S("{}");
    buf_init_arena(&buf, op->arena, text.n + 64);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, text, drop_other_kind, &change));
    json_object_end(&w);
    struct str had = buf_str(&buf);
    buf_init_arena(&buf, op->arena, POLICY_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_merge(op, &w, had, patch));
    json_object_end(&w);
    if (buf.full)
        return fail(op, ERR_TOO_LARGE, "a policy must have at most %d bytes", POLICY_BYTES_MAX);
    *ret = buf_str(&buf);
    return OK;
}

int64_t retry_delay_us(const struct retry_policy *retry, int64_t c, uint64_t dice)
{
    int64_t us;
    switch (retry->backoff) {
    case BACKOFF_POLYNOMIAL:
        if (c > 1000)
            c = 1000;
        return (c * c * c * c + 15 + (int64_t)(dice % 30) * (c + 1)) * SECOND_US;
    case BACKOFF_LIST:
        return retry->delays_us[c < retry->delay_count ? c : retry->delay_count - 1];
    case BACKOFF_EXPONENTIAL:
        us = c < 40 && retry->base_us < INT64_MAX >> (c + 1) ? retry->base_us << c : retry->cap_us;
        if (us > retry->cap_us)
            us = retry->cap_us;
        break;
    case BACKOFF_LINEAR:
        us = retry->base_us * (c < 100000 ? c + 1 : 100000);
        break;
    case BACKOFF_FIXED:
    default:
        us = retry->base_us;
        break;
    }
    return us + (int64_t)(dice % ((uint64_t)us / 10 + 1));
}

struct budget_raw {
    int64_t concurrency;
    struct str rate, cpu_share;
};

enum err budget_policy_read(struct op *op, struct str text, struct budget_policy *ret, struct json_problems *problems)
{
    static const struct json_field fields[] = {
        { "concurrency", JSON_FIELD_INT, offsetof(struct budget_raw, concurrency), SLOTS_MAX, NUL, 0, 0 },
        { "rate", JSON_FIELD_OBJECT, offsetof(struct budget_raw, rate), 512, NUL, 0, 0 },
        { "cpu_share", JSON_FIELD_RAW, offsetof(struct budget_raw, cpu_share), 32, NUL, 0, 0 },
    };
    struct budget_raw raw = { .concurrency = POLICY_NONE };
    char *end;
    TRY(json_read_body(op, text, fields, COUNT(fields), &raw, NULL, problems));
    *ret = (struct budget_policy){ .concurrency = raw.concurrency, .cpu_share_ppm = 1000000 };
    TRY(read_rate(op, problems, "/rate", raw.rate, &ret->rate));
    if (!str_given(raw.cpu_share) || str_eq(raw.cpu_share, S("null")))
        return OK;
    char number[32] = { 0 };
    memcpy(number, raw.cpu_share.p, raw.cpu_share.n < 31 ? raw.cpu_share.n : 31);
    double share = strtod(number, &end);
    if (*end || !(share >= 0.05 && share <= 1))
        return json_problem(op, problems, "/cpu_share", "cpu_share must be a number from 0.05 to 1");
    ret->cpu_share_ppm = (int64_t)(share * 1000000);
    return OK;
}
