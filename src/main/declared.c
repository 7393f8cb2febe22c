#include "main/declared.h"

#include <stdio.h>

#include "base/json_write.h"
#include "engine/source_config.h"
#include "engine/tenants.h"
#include "main/declared_jobs.h"

#define BODY_BYTES_MAX (256u << 10)

/* Puts section, name and line in front of what was said. */
static enum err blame(struct op *op, const struct conf *conf, const char *section, struct str name)
{
    char sentence[OP_ERROR_BYTES_MAX], pointer[OP_POINTER_BYTES_MAX];
    snprintf(sentence, sizeof sentence, "%s", op->error);
    snprintf(pointer, sizeof pointer, "%s", op->pointer[0] == '/' ? op->pointer + 1 : op->pointer);
    char *tail =
        strrchr(pointer, '/'); /* "timing/every" is the key "every" here, "retention/email" is "retention.email" */
    const char *word = tail ? tail + 1 : pointer;
    const struct conf_value *value = NULL;
    const struct conf_value *values;
    size_t count = conf_values(conf, &values);
    for (size_t i = 0; i < count && !value; i++)
        if (strcmp(values[i].section->name, section) == 0 && str_eq(values[i].name, name) && word[0] &&
            str_ends(values[i].word, str_of(word)))
            value = &values[i];
    if (value && value->line)
        return fail(op, ERR_INVALID, "[%s %.*s] line %d: %s", section, STR(name), value->line, sentence);
    return fail(op, ERR_INVALID, "[%s %.*s] %s", section, STR(name), sentence);
}

/* --- tenants -------------------------------------------------------------- */

static struct json_strs texts_of(const struct conf *conf, const char *section, struct str name, const char *key)
{
    const struct conf_value *value = conf_get(conf, section, name, key);
    return value ? (struct json_strs){ value->items, value->count } : (struct json_strs){ 0 };
}

static struct str text_of(const struct conf *conf, const char *section, struct str name, const char *key)
{
    const struct conf_value *value = conf_get(conf, section, name, key);
    return value ? value->text : (struct str){ 0 };
}

/* {"email":"14d"} from the keys retention.email and so on; not given without any. */
static struct str retention_of(struct op *op, const struct conf *conf, struct str name)
{
    struct buf out;
    struct json_writer w;
    const struct conf_value *values;
    size_t count = conf_values(conf, &values), found = 0;
    buf_init_arena(&out, op->arena, BODY_BYTES_MAX);
    json_write_init(&w, &out);
    json_object_begin(&w);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(values[i].section->name, "tenant") != 0 || !str_eq(values[i].name, name) ||
            !str_starts(values[i].word, S("retention.")))
            continue;
        size_t head = sizeof "retention." - 1;
        json_put_name_str(&w, (struct str){ values[i].word.p + head, values[i].word.n - head });
        json_put_str(&w, values[i].text);
        found++;
    }
    json_object_end(&w);
    return found ? buf_str(&out) : (struct str){ 0 };
}

static struct tenant_put tenant_of(struct op *op, const struct conf *conf, struct str name)
{
    return (struct tenant_put){
        .timezone = text_of(conf, "tenant", name, "timezone"),
        .retention = retention_of(op, conf, name),
        .contacts = texts_of(conf, "tenant", name, "contacts"),
        .link_hosts = texts_of(conf, "tenant", name, "link_hosts"),
    };
}

/* --- sources -------------------------------------------------------------- */

static const char *const source_texts[] = { "type",     "api",    "base_url",       "domain",
                                            "hook_url", "tenant", "hook_tolerance", NULL };
static const char *const source_lists[] = { "tags", "topics", NULL };
static const char *const timing_texts[] = { "every", "margin", "retention", NULL };
static const char *const timing_lists[] = { "recheck", NULL };

static void put_texts(struct json_writer *w, const struct conf *conf, struct str name, const char *const *keys)
{
    for (; *keys; keys++) {
        struct str text = text_of(conf, "source", name, *keys);
        if (str_given(text))
            json_member_str(w, *keys, text);
    }
}

/* A secret that the file does not hold any more is gone; a PUT that does not mention it would keep it. */
static void put_secrets(struct json_writer *w, const struct conf *conf, struct str name)
{
    static const char *const secrets[] = { "api_key", "signing_key", NULL };
    for (const char *const *key = secrets; *key; key++)
        json_member_str(w, *key, text_of(conf, "source", name, *key));
}

static void put_lists(struct json_writer *w, const struct conf *conf, struct str name, const char *const *keys)
{
    for (; *keys; keys++) {
        const struct conf_value *value = conf_get(conf, "source", name, *keys);
        if (!value)
            continue;
        json_put_name(w, *keys);
        json_array_begin(w);
        for (size_t i = 0; i < value->count; i++)
            json_put_str(w, value->items[i]);
        json_array_end(w);
    }
}

/* The section as the body of a PUT, so that there is one reader for both. */
static struct str source_body(struct op *op, const struct conf *conf, struct str name)
{
    struct buf *out = arena_alloc(op->arena, sizeof *out);
    struct json_writer w;
    if (!out)
        return S("");
    buf_init_arena(out, op->arena, BODY_BYTES_MAX);
    json_write_init(&w, out);
    json_object_begin(&w);
    put_texts(&w, conf, name, source_texts);
    put_secrets(&w, conf, name);
    put_lists(&w, conf, name, source_lists);
    json_put_name(&w, "timing");
    json_object_begin(&w);
    put_texts(&w, conf, name, timing_texts);
    put_lists(&w, conf, name, timing_lists);
    json_object_end(&w);
    json_object_end(&w);
    return buf_str(out);
}

static enum err source_of(struct op *op, const struct conf *conf, struct str name, struct source_row *ret_row,
                          struct str *ret_tenant)
{
    struct json_problems problems = { 0 };
    return source_config_parse(op, name, source_body(op, conf, name), &problems, ret_row, ret_tenant);
}

/* --- both ----------------------------------------------------------------- */

static enum err check_tenants(struct op *op, const struct conf *conf)
{
    const struct str *names;
    size_t count = conf_names(conf, "tenant", &names);
    for (size_t i = 0; i < count; i++) {
        struct tenant_put put = tenant_of(op, conf, names[i]);
        if (tenant_check(op, &put, NULL) != OK)
            return blame(op, conf, "tenant", names[i]);
    }
    return OK;
}

enum err declared_check(struct op *op, const struct conf *conf)
{
    const struct str *names;
    const char *section = "";
    struct str at = S("");
    if (declared_jobs_check(op, conf, &section, &at) != OK)
        return blame(op, conf, section, at);
    TRY(check_tenants(op, conf));
    size_t count = conf_names(conf, "source", &names);
    for (size_t i = 0; i < count; i++) {
        struct source_row row;
        struct str tenant;
        if (source_of(op, conf, names[i], &row, &tenant) != OK)
            return blame(op, conf, "source", names[i]);
    }
    return OK;
}

bool declared_any(const struct conf *conf)
{
    static const char *const sections[] = { "tenant", "source", "budget", "queue", "schedule", NULL };
    const struct str *names;
    size_t count = 0;
    for (const char *const *section = sections; *section; section++)
        count += conf_names(conf, *section, &names);
    return count > 0;
}

static enum err apply_source(struct op *op, struct tx *tx, const struct conf *conf, struct str name)
{
    struct source_row row;
    struct str tenant;
    TRY(source_of(op, conf, name, &row, &tenant));
    enum err err = source_declare(op, tx, &row, tenant);
    return err == ERR_INVALID || err == ERR_CONFLICT ? blame(op, conf, "source", name) : err;
}

enum err declared_apply(struct op *op, struct tx *tx, const struct conf *conf)
{
    const struct str *names;
    const char *section = "";
    struct str at = S("");
    size_t count = conf_names(conf, "tenant", &names);
    for (size_t i = 0; i < count; i++) {
        struct tenant tenant;
        struct tenant_put put = tenant_of(op, conf, names[i]);
        TRY(tenant_store(op, tx, names[i], &put, &tenant));
    }
    count = conf_names(conf, "source", &names);
    for (size_t i = 0; i < count; i++)
        TRY(apply_source(op, tx, conf, names[i]));
    enum err err = declared_jobs_apply(op, tx, conf, &section, &at);
    return err == ERR_INVALID || err == ERR_CONFLICT ? blame(op, conf, section, at) : err;
}
