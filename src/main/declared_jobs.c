#include "main/declared_jobs.h"

#include "base/json_write.h"
#include "engine/job_budget.h"
#include "engine/job_policy.h"
#include "engine/job_queue.h"
#include "engine/schedule_builtin.h"

#define BODY_BYTES_MAX (256u << 10)

const struct conf_key budget_keys[] = {
    { .name = "concurrency", .type = CONF_INT },          { .name = "rate.limit", .type = CONF_INT },
    { .name = "rate.per", .type = CONF_TEXT, .max = 32 }, { .name = "rate.burst", .type = CONF_INT },
    { .name = "cpu_share", .type = CONF_NUMBER },         { 0 },
};

/* Members of one object stand together. */
const struct conf_key queue_keys[] = {
    { .name = "concurrency", .type = CONF_INT },
    { .name = "node_concurrency", .type = CONF_INT },
    { .name = "worker_concurrency", .type = CONF_INT },
    { .name = "rate.limit", .type = CONF_INT },
    { .name = "rate.per", .type = CONF_TEXT, .max = 32 },
    { .name = "rate.burst", .type = CONF_INT },
    { .name = "budget", .type = CONF_TEXT, .max = 128 },
    { .name = "budget_cost", .type = CONF_INT },
    { .name = "weight", .type = CONF_INT },
    { .name = "key_concurrency", .type = CONF_INT },
    { .name = "key_rate.limit", .type = CONF_INT },
    { .name = "key_rate.per", .type = CONF_TEXT, .max = 32 },
    { .name = "key_rate.burst", .type = CONF_INT },
    { .name = "priorities", .type = CONF_BOOL },
    { .name = "ageing", .type = CONF_TEXT, .max = 32 },
    { .name = "max_queued", .type = CONF_INT },
    { .name = "max_bytes", .type = CONF_INT },
    { .name = "max_age", .type = CONF_TEXT, .max = 32 },
    { .name = "lease", .type = CONF_TEXT, .max = 32 },
    { .name = "timeout", .type = CONF_TEXT, .max = 32 },
    { .name = "retry.max", .type = CONF_INT },
    { .name = "retry.backoff", .type = CONF_TEXT, .max = 32 },
    { .name = "retry.base", .type = CONF_TEXT, .max = 32 },
    { .name = "retry.cap", .type = CONF_TEXT, .max = 32 },
    { .name = "retry.delays", .type = CONF_LIST },
    { .name = "crash_limit", .type = CONF_INT },
    { .name = "retain.done", .type = CONF_TEXT, .max = 32 },
    { .name = "retain.done_max", .type = CONF_INT },
    { .name = "retain.dead", .type = CONF_TEXT, .max = 32 },
    { .name = "recover_lost_workers", .type = CONF_BOOL },
    { .name = "handler.kind", .type = CONF_TEXT, .max = 16 },
    { .name = "handler.url", .type = CONF_TEXT, .max = 2048 },
    { .name = "handler.secret", .type = CONF_SECRET },
    { .name = "handler.timeout", .type = CONF_TEXT, .max = 32 },
    { .name = "handler.command", .type = CONF_TEXT, .max = 128 },
    { 0 },
};

const struct conf_key schedule_keys[] = {
    { .name = "cron", .type = CONF_TEXT, .max = 256 },
    { .name = "timezone", .type = CONF_TEXT, .max = 64 },
    { .name = "job", .type = CONF_TEXT, .max = 60000 },
    { .name = "overlap", .type = CONF_TEXT, .max = 16 },
    { .name = "catch_up", .type = CONF_TEXT, .max = 16 },
    { .name = "jitter", .type = CONF_TEXT, .max = 32 },
    { .name = "after", .type = CONF_TEXT, .max = 128 },
    { .name = "paused", .type = CONF_BOOL },
    { 0 },
};

/* --- sections as bodies of the API ------------------------------------------ */

static void put_value(struct json_writer *w, const struct conf_key *key, const struct conf_value *value)
{
    switch (key->type) {
    case CONF_INT:
        json_put_int(w, value->number);
        return;
    case CONF_NUMBER:
        json_put_decimal(w, value->number, 6);
        return;
    case CONF_BOOL:
        json_put_bool(w, value->number != 0);
        return;
    case CONF_LIST:
        json_array_begin(w);
        for (size_t i = 0; i < value->count; i++)
            json_put_str(w, value->items[i]);
        json_array_end(w);
        return;
    case CONF_TEXT:
    case CONF_SECRET:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_PATH:
    case CONF_CHOICE:
        break;
    }
    json_put_str(w, value->text);
}

/* {"concurrency":5,"rate":{"limit":40,"per":"60s"}} from concurrency, rate.limit, rate.per. */
static struct str body_of_section(struct op *op, const struct conf *conf, const char *section, struct str name,
                                  const struct conf_key *keys)
{
    struct buf buf;
    struct json_writer w;
    struct str open = { 0 };
    buf_init_arena(&buf, op->arena, BODY_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (const struct conf_key *key = keys; key->name; key++) {
        const struct conf_value *value = conf_get(conf, section, name, key->name);
        struct str member = str_of(key->name), parent = { 0 };
        if (!value)
            continue;
        if (str_find(member, '.') < member.n)
            parent = str_cut(&member, '.');
        if (str_given(open) && !(str_given(parent) && str_eq(open, parent))) {
            json_object_end(&w);
            open = (struct str){ 0 };
        }
        if (str_given(parent) && !str_given(open)) {
            json_put_name_str(&w, parent);
            json_object_begin(&w);
            open = parent;
        }
        json_put_name_str(&w, member);
        put_value(&w, key, value);
    }
    if (str_given(open))
        json_object_end(&w);
    json_object_end(&w);
    return buf_str(&buf);
}

static struct str text_of(const struct conf *conf, struct str name, const char *key)
{
    const struct conf_value *value = conf_get(conf, "schedule", name, key);
    return value ? value->text : (struct str){ 0 };
}

static enum err schedule_of(struct op *op, const struct conf *conf, struct str name, struct siphash_key key,
                            struct schedule_put *ret)
{
    struct job_reader reader = { JOB_HTTP, key, JOB_BYTES_DEFAULT, false, true };
    *ret = (struct schedule_put){
        .cron = text_of(conf, name, "cron"),
        .timezone = text_of(conf, name, "timezone"),
        .job = text_of(conf, name, "job"),
        .overlap = text_of(conf, name, "overlap"),
        .catch_up = text_of(conf, name, "catch_up"),
        .jitter = text_of(conf, name, "jitter"),
        .after = text_of(conf, name, "after"),
    };
    const struct conf_value *paused = conf_get(conf, "schedule", name, "paused");
    ret->paused = paused && paused->number != 0;
    TRY(schedule_builtin_fill(op, name, ret, NULL));
    if (!str_given(ret->cron) || !str_given(ret->job))
        return fail_at(op, ERR_INVALID, "", "a schedule needs cron and job");
    return schedule_check(op, &reader, ret, NULL, NULL);
}

/* --- each of them ------------------------------------------------------------ */

/* Which section is at hand: what blame names. */
struct at {
    const char **section;
    struct str *name;
};

static struct str point(struct at at, const char *section, struct str name)
{
    *at.section = section;
    *at.name = name;
    return name;
}

static uint64_t any_hash(void *data, struct str key)
{
    (void)data;
    return key.n;
}

enum err declared_jobs_check(struct op *op, const struct conf *conf, const char **ret_section, struct str *ret_name)
{
    struct at at = { ret_section, ret_name };
    const struct str *names;
    size_t count = conf_names(conf, "budget", &names);
    for (size_t i = 0; i < count; i++) {
        struct budget_policy policy;
        struct str name = point(at, "budget", names[i]);
        TRY(budget_policy_read(op, body_of_section(op, conf, "budget", name, budget_keys), &policy, NULL));
    }
    count = conf_names(conf, "queue", &names);
    for (size_t i = 0; i < count; i++) {
        struct queue_policy policy;
        struct str name = point(at, "queue", names[i]);
        if (!queue_name_valid(name))
            return fail(op, ERR_INVALID, "names of queues must match [A-Za-z0-9._-]{1,128}");
        TRY(queue_policy_read(op, body_of_section(op, conf, "queue", name, queue_keys), any_hash, NULL, &policy, NULL));
    }
    count = conf_names(conf, "schedule", &names);
    for (size_t i = 0; i < count; i++) {
        struct schedule_put put;
        TRY(schedule_of(op, conf, point(at, "schedule", names[i]), (struct siphash_key){ 0 }, &put));
    }
    return OK;
}

static enum err apply_schedules(struct op *op, struct tx *tx, const struct conf *conf, struct at at, bool waiting)
{
    const struct str *names;
    size_t count = conf_names(conf, "schedule", &names);
    for (size_t i = 0; i < count; i++) {
        struct schedule_put put;
        struct str name = point(at, "schedule", names[i]);
        TRY(schedule_of(op, conf, name, siphash_key_from(tx_hash_key(tx)), &put));
        bool there = true;
        if (!waiting && str_given(put.after))
            TRY(schedule_is_there(op, tx, put.after, &there));
        if (!there) /* it stands further down: the second time it is there */
            put.after = (struct str){ 0 };
        TRY(schedule_store(op, tx, name, &put));
    }
    return OK;
}

enum err declared_jobs_apply(struct op *op, struct tx *tx, const struct conf *conf, const char **ret_section,
                             struct str *ret_name)
{
    struct at at = { ret_section, ret_name };
    const struct str *names;
    size_t count = conf_names(conf, "budget", &names);
    for (size_t i = 0; i < count; i++) {
        struct str name = point(at, "budget", names[i]);
        TRY(budget_put(op, tx, name, body_of_section(op, conf, "budget", name, budget_keys)));
    }
    count = conf_names(conf, "queue", &names);
    for (size_t i = 0; i < count; i++) {
        struct str name = point(at, "queue", names[i]);
        struct queue_patch patch = { .policy = body_of_section(op, conf, "queue", name, queue_keys),
                                     .paused = -1,
                                     .draining = -1,
                                     .is_admin = true };
        TRY(queue_patch(op, tx, name, &patch));
    }
    TRY(apply_schedules(op, tx, conf, at, false));
    return apply_schedules(op, tx, conf, at, true);
}
