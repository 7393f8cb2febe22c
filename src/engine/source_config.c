#include "engine/source_config.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/duration.h"
#include "base/sort.h"
#include "engine/provider.h"
#include "store/store_tenant.h"

#define SECRET_SHOWN "set"

/* What a PUT may hold. */
struct source_body {
    struct str type, api, base_url, domain, api_key, signing_key, tenant, hook_url, hook_tolerance, timing;
    struct json_strs tags, topics;
    struct str tags_raw, topics_raw;
    bool noprune;
};

enum {
    TYPE,
    API,
    BASE_URL,
    DOMAIN,
    API_KEY,
    SIGNING_KEY,
    TENANT,
    HOOK_URL,
    HOOK_TOLERANCE,
    TIMING,
    TAGS,
    TOPICS,
    NOPRUNE,
    BODY_FIELDS
};

#define AT(member) offsetof(struct source_body, member)
static const struct json_field body_fields[BODY_FIELDS] = {
    [TYPE] = { "type", JSON_FIELD_STR, AT(type), 32, JSON_REQUIRED, 1, 0 },
    [API] = { "api", JSON_FIELD_STR, AT(api), 16, JSON_NULLABLE, 1, 0 },
    [BASE_URL] = { "base_url", JSON_FIELD_STR, AT(base_url), SOURCE_TEXT_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    [DOMAIN] = { "domain", JSON_FIELD_STR, AT(domain), 253, JSON_NULLABLE, 1, 0 },
    [API_KEY] = { "api_key", JSON_FIELD_STR, AT(api_key), SOURCE_TEXT_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    [SIGNING_KEY] = { "signing_key", JSON_FIELD_STR, AT(signing_key), SOURCE_KEY_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    [TENANT] = { "tenant", JSON_FIELD_STR, AT(tenant), 128, JSON_NULLABLE, 1, 0 },
    [HOOK_URL] = { "hook_url", JSON_FIELD_STR, AT(hook_url), SOURCE_TEXT_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    [HOOK_TOLERANCE] = { "hook_tolerance", JSON_FIELD_STR, AT(hook_tolerance), 32, JSON_NULLABLE, 1, 0 },
    [TIMING] = { "timing", JSON_FIELD_OBJECT, AT(timing), 1024, JSON_NULLABLE, 0, 0 },
    [TAGS] = { "tags", JSON_FIELD_STRS, AT(tags), 256, JSON_NULLABLE, 1, SOURCE_TAGS_MAX },
    [TOPICS] = { "topics", JSON_FIELD_STRS, AT(topics), 512, JSON_NULLABLE, 1, SOURCE_TOPICS_MAX },
    [NOPRUNE] = { "noprune", JSON_FIELD_BOOL, AT(noprune), 0, 0, 0, 0 },
};
#undef AT

struct timing_body {
    struct str every, margin, retention;
    struct json_strs recheck;
};

#define AT(member) offsetof(struct timing_body, member)
static const struct json_field timing_fields[] = {
    { "every", JSON_FIELD_STR, AT(every), 32, 0, 1, 0 },
    { "margin", JSON_FIELD_STR, AT(margin), 32, 0, 1, 0 },
    { "retention", JSON_FIELD_STR, AT(retention), 32, 0, 1, 0 },
    { "recheck", JSON_FIELD_STRS, AT(recheck), 32, 0, 1, TIMING_RECHECKS_MAX },
};
#undef AT
#define TIMING_FIELDS (sizeof timing_fields / sizeof *timing_fields)

/* --------------------------------------------------------------------------------------------------------- timing */

/* One duration of at least `least`; the target stays when none is given. */
static enum err read_duration(struct op *op, struct str text, int64_t least_ms, const char *pointer,
                              struct json_problems *problems, int64_t *ret_us)
{
    int64_t ms;
    if (!str_given(text))
        return OK;
    if (!duration_parse(text, &ms) || ms < least_ms)
        return json_problem(op, problems, pointer, "'%.*s' is no duration of at least %s (\"90s\", \"5m\", \"7d\")",
                            STR(text),
                            least_ms >= 1000 ? "1s"
                            : least_ms       ? "1ms"
                                             : "0s");
    *ret_us = ms * 1000;
    return OK;
}

/* The planned looks: the live one and the rechecks, in order of delay. */
static void make_plan(struct timing *timing, const int64_t *recheck_us, size_t count)
{
    struct coverage_plan *plan = &timing->plan;
    plan->count = 1 + (int)count;
    plan->delay_us[0] = timing->margin_us;
    for (size_t i = 0; i < count; i++)
        plan->delay_us[1 + i] = recheck_us[i];
    sort_i64(plan->delay_us, (size_t)plan->count);
}

static enum err read_timing(struct op *op, struct str text, struct json_problems *problems, struct timing *ret)
{
    struct timing_body body = { 0 };
    timing_default(ret);
    TRY(json_read_nested(op, text, "/timing", timing_fields, TIMING_FIELDS, &body, NULL, problems));

    enum err every = read_duration(op, body.every, 1000, "/timing/every", problems, &ret->every_us);
    enum err margin = read_duration(op, body.margin, 0, "/timing/margin", problems, &ret->margin_us);
    enum err retention = read_duration(op, body.retention, 1000, "/timing/retention", problems, &ret->retention_us);
    enum err recheck = OK;
    int64_t recheck_us[TIMING_RECHECKS_MAX];
    memcpy(recheck_us, ret->plan.delay_us + 1, sizeof recheck_us); /* the defaults */
    size_t count = body.recheck.items ? body.recheck.count : (size_t)ret->plan.count - 1;
    for (size_t i = 0; body.recheck.items && i < count; i++) {
        char pointer[48];
        snprintf(pointer, sizeof pointer, "/timing/recheck/%zu", i);
        enum err one = read_duration(op, body.recheck.items[i], 1000, pointer, problems, &recheck_us[i]);
        recheck = recheck == OK ? one : recheck;
    }
    make_plan(ret, recheck_us, count);
    return every != OK ? every : margin != OK ? margin : retention != OK ? retention : recheck;
}

void source_config_timing(struct op *op, const struct source_row *row, struct timing *ret)
{
    /* What the row holds was checked when it was written; a row of a later program falls back to the defaults. */
    if (!str_given(row->timing) || read_timing(op, row->timing, NULL, ret) != OK)
        timing_default(ret);
}

int64_t source_config_tolerance_us(const struct source_row *row)
{
    int64_t ms;
    return str_given(row->hook_tolerance) && duration_parse(row->hook_tolerance, &ms) ? ms * 1000 : 0;
}

/* --------------------------------------------------------------------------------------------------------- reading */

static bool is_mailgun(struct str type)
{
    return str_eq(type, S("mailgun"));
}

static bool is_url(struct str url)
{
    struct str rest;
    if (str_starts(url, S("https://")))
        rest = (struct str){ url.p + 8, url.n - 8 };
    else if (str_starts(url, S("http://")))
        rest = (struct str){ url.p + 7, url.n - 7 };
    else
        return false;
    for (size_t i = 0; i < rest.n; i++)
        if ((unsigned char)rest.p[i] <= ' ' || rest.p[i] == '@' || rest.p[i] == '?' || rest.p[i] == '#')
            return false;
    return rest.n > 0 && rest.p[0] != '/';
}

/* A host name as it may stand in a path: the domain is put into every URL. */
static bool is_domain(struct str domain)
{
    for (size_t i = 0; i < domain.n; i++) {
        char c = domain.p[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_';
        if (!is_fine)
            return false;
    }
    return domain.n > 0 && domain.p[0] != '.';
}

static enum err check_mailgun(struct op *op, const struct source_body *body, struct json_problems *problems)
{
    enum err err = OK;
    if (str_given(body->api) && !str_eq(body->api, S("events")) && !str_eq(body->api, S("logs")))
        err = json_problem(op, problems, "/api", "must be \"events\" or \"logs\"");
    if (str_given(body->domain) && !is_domain(body->domain))
        err = json_problem(op, problems, "/domain", "'%.*s' is no domain", STR(body->domain));
    if (str_given(body->api_key) && !str_eq(body->api_key, S(SECRET_SHOWN)) && !str_given(body->domain))
        err = json_problem(op, problems, "/domain", "is needed to read events with an api_key");
    return err;
}

static enum err check_key(struct op *op, const struct source_body *body, struct json_problems *problems)
{
    const struct provider_format *format = provider_format_find(body->type);
    if (!format || !format->check_key || !str_given(body->signing_key) || str_eq(body->signing_key, S(SECRET_SHOWN)))
        return OK;
    if (format->check_key(op, body->signing_key) == OK)
        return OK;
    char reason[OP_ERROR_BYTES_MAX];
    memcpy(reason, op->error, sizeof reason);
    return json_problem(op, problems, "/signing_key", "%s", reason);
}

/* Types of the contract that this version does not read. */
static bool is_planned(struct str type)
{
    static const char *const types[] = { "obs", "mmg", "firetext", "dvla", "twilio" };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(type, str_of(types[i])))
            return true;
    return false;
}

static enum err check_body(struct op *op, const struct source_body *body, struct json_problems *problems)
{
    enum err err = OK;
    if (is_planned(body->type))
        return json_problem(op, problems, "/type", "sources of type %.*s are not available yet", STR(body->type));
    if (!provider_format_find(body->type))
        return json_problem(op, problems, "/type", "'%.*s' is no type of source", STR(body->type));
    if (str_given(body->base_url) && !is_url(body->base_url))
        err = json_problem(op, problems, "/base_url", "must be an http or https URL without credentials or query");
    if (is_mailgun(body->type) && check_mailgun(op, body, problems) != OK)
        err = ERR_INVALID;
    if (check_key(op, body, problems) != OK)
        err = ERR_INVALID;

    int64_t tolerance_us;
    struct timing timing;
    if (read_duration(op, body->hook_tolerance, 1, "/hook_tolerance", problems, &tolerance_us) != OK)
        err = ERR_INVALID;
    if (str_given(body->timing) && read_timing(op, body->timing, problems, &timing) != OK)
        err = ERR_INVALID;
    return err;
}

/* A secret that the body does not mention stays as it is, like one that is given as GET shows it; null takes it away.
 */
static struct str secret_of(const struct json_seen *seen, unsigned field, struct str given)
{
    return json_given(seen, field) ? given : S(SECRET_SHOWN);
}

/* The texts as one JSON array, which is how the row keeps them. */
static struct str as_json(struct op *op, const struct json_strs *texts)
{
    if (!texts->items)
        return (struct str){ NULL, 0 };
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 64 * 1024);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (size_t i = 0; i < texts->count; i++)
        json_put_str(&w, texts->items[i]);
    json_array_end(&w);
    return buf_str(&buf);
}

static struct str without_slash(struct str url)
{
    while (url.n && url.p[url.n - 1] == '/')
        url.n--;
    return url;
}

enum err source_config_parse(struct op *op, struct str id, struct str body_text, struct json_problems *problems,
                             struct source_row *ret_row, struct str *ret_tenant)
{
    struct source_body body = { .noprune = true };
    struct json_seen seen;
    TRY(json_read_body(op, body_text, body_fields, BODY_FIELDS, &body, &seen, problems));
    TRY(check_body(op, &body, problems));
    bool is_mg = is_mailgun(body.type);
    *ret_row = (struct source_row){
        .id = id,
        .type = body.type,
        .api = is_mg && !str_given(body.api) ? S("events") : body.api,
        .base_url = is_mg && !str_given(body.base_url) ? S(SOURCE_BASE_US) : without_slash(body.base_url),
        .domain = body.domain,
        .api_key = secret_of(&seen, API_KEY, body.api_key),
        .signing_key = secret_of(&seen, SIGNING_KEY, body.signing_key),
        .tags = as_json(op, &body.tags),
        .topics = as_json(op, &body.topics),
        .hook_url = body.hook_url,
        .timing = body.timing,
        .hook_tolerance = body.hook_tolerance,
        .noprune = body.noprune,
        .first_begin_us = STORE_NO_INSTANT,
    };
    if (!str_given(ret_row->base_url))
        ret_row->base_url = (struct str){ NULL, 0 };
    *ret_tenant = body.tenant;
    return OK;
}

enum err source_config_texts(struct op *op, struct str json, struct str **ret, size_t *ret_count)
{
    size_t room = SOURCE_TAGS_MAX > SOURCE_TOPICS_MAX ? SOURCE_TAGS_MAX : SOURCE_TOPICS_MAX;
    size_t count = 0;
    struct str *texts;
    TRY(op_alloc(op, room * sizeof *texts, &texts));
    struct json j;
    json_init(&j, op->arena, str_given(json) ? json : S("[]"), JSON_STRICT);
    if (json_enter_array(&j))
        while (count < room && json_next_item(&j))
            if (json_string(&j, &texts[count]))
                count++;
    *ret = texts;
    *ret_count = count;
    return OK;
}

bool source_config_is_polled(const struct source_row *row)
{
    return is_mailgun(row->type) && str_given(row->api_key) && str_given(row->domain);
}

/* --------------------------------------------------------------------------------------------------------- writing */

static void put_given(struct json_writer *w, const char *name, struct str text)
{
    if (str_given(text))
        json_member_str(w, name, text);
}

static void put_secret(struct json_writer *w, const char *name, struct str secret)
{
    if (str_given(secret))
        json_member_str(w, name, S(SECRET_SHOWN));
}

static void put_json(struct json_writer *w, const char *name, struct str json)
{
    if (str_given(json))
        json_member_raw(w, name, json);
}

void source_config_write(struct json_writer *w, const struct source_row *row, struct str tenant)
{
    json_member_str(w, "id", row->id);
    json_member_str(w, "type", row->type);
    put_given(w, "api", row->api);
    put_given(w, "base_url", row->base_url);
    put_given(w, "domain", row->domain);
    put_secret(w, "api_key", row->api_key);
    put_secret(w, "signing_key", row->signing_key);
    put_json(w, "tags", row->tags);
    put_json(w, "topics", row->topics);
    put_given(w, "hook_url", row->hook_url);
    put_given(w, "hook_tolerance", row->hook_tolerance);
    put_json(w, "timing", row->timing);
    put_given(w, "tenant", tenant);
    if (str_eq(row->type, S("obs")))
        json_member_bool(w, "noprune", row->noprune);
}

/* Secrets are written, never read: "set" stands for the one that is there, which may be none. */
static enum err keep_secrets(struct op *op, struct source_row *row, const struct source_row *before)
{
    if (str_eq(row->api_key, S(SECRET_SHOWN)))
        row->api_key = before->api_key;
    if (str_eq(row->signing_key, S(SECRET_SHOWN)))
        row->signing_key = before->signing_key;
    if (is_mailgun(row->type) && str_given(row->api_key) && !str_given(row->domain))
        return fail_at(op, ERR_INVALID, "/domain", "is needed to read events with an api_key");
    return OK;
}

static enum err find_tenant(struct op *op, struct tx *tx, struct str tenant, uint32_t *ret_no)
{
    struct tenant row;
    *ret_no = 0;
    if (!str_given(tenant))
        return OK;
    enum err err = store_tenant_get(op, tx, tenant, &row);
    if (err == ERR_NOT_FOUND)
        return fail_at(op, ERR_INVALID, "/tenant", "there is no tenant '%.*s'", STR(tenant));
    TRY(err);
    *ret_no = row.no;
    return OK;
}

static bool same_text(struct str a, struct str b)
{
    return str_given(a) == str_given(b) && (!str_given(a) || str_eq(a, b));
}

static bool same_row(const struct source_row *a, const struct source_row *b)
{
    return same_text(a->type, b->type) && same_text(a->api, b->api) && same_text(a->base_url, b->base_url) &&
           same_text(a->domain, b->domain) && same_text(a->api_key, b->api_key) &&
           same_text(a->signing_key, b->signing_key) && same_text(a->tags, b->tags) &&
           same_text(a->topics, b->topics) && same_text(a->hook_url, b->hook_url) && same_text(a->timing, b->timing) &&
           same_text(a->hook_tolerance, b->hook_tolerance) && a->tenant_no == b->tenant_no && a->noprune == b->noprune;
}

static enum err put(struct op *op, struct tx *tx, struct source_row *row, struct str tenant, bool is_declared,
                    bool *ret_created)
{
    struct source_row before;
    TRY(find_tenant(op, tx, tenant, &row->tenant_no));
    enum err err = store_source_get(op, tx, row->id, &before);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    *ret_created = err == ERR_NOT_FOUND;
    op->error[0] = '\0';
    if (*ret_created) {
        TRY(keep_secrets(op, row, &(struct source_row){ 0 }));
        row->created_at_us = op->now_us;
        return store_source_put(op, tx, row);
    }
    if (!str_eq(before.type, row->type))
        return fail_at(op, ERR_CONFLICT, "/type", "source %.*s is of type %.*s; use another id", STR(row->id),
                       STR(before.type));
    row->no = before.no;
    row->version = before.version;
    row->created_at_us = before.created_at_us;
    row->first_begin_us = before.first_begin_us;
    TRY(keep_secrets(op, row, &before));
    return is_declared && same_row(row, &before) ? OK : store_source_put(op, tx, row);
}

enum err source_put(struct op *op, struct tx *tx, struct source_row *row, struct str tenant, bool *ret_created)
{
    return put(op, tx, row, tenant, false, ret_created);
}

enum err source_declare(struct op *op, struct tx *tx, struct source_row *row, struct str tenant)
{
    bool created;
    return put(op, tx, row, tenant, true, &created);
}
