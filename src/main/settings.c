#include "main/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "main/declared_jobs.h"
#include "net/http_server.h"
#include "store/spool.h"

static const struct conf_key server_keys[] = {
    { .name = "http", .type = CONF_TEXT, .max = 100, .fallback = "127.0.0.1:7420" },
    { .name = "worker", .type = CONF_TEXT, .max = 100, .fallback = "127.0.0.1:7419" },
    { .name = "data", .type = CONF_PATH, .fallback = "posthouse-data" },
    { .name = "dev", .type = CONF_BOOL, .fallback = "false" },
    { .name = "connections", .type = CONF_INT, .min = 1, .max = 100000, .fallback = "10000" },
    { .name = "loops", .type = CONF_INT, .min = 1, .max = HTTP_LOOPS_MAX, .fallback = "1" },
    { .name = "trusted_proxies", .type = CONF_TEXT, .max = 4096 },
    { .name = "stop", .type = CONF_DURATION, .max = 600000, .fallback = "25s" },
    { .name = "min_free_disk", .type = CONF_SIZE, .max = INT64_C(1) << 50, .fallback = "256MiB" },
    { 0 },
};

static const struct conf_key database_keys[] = {
    { .name = "url", .type = CONF_SECRET },
    { .name = "migrate", .type = CONF_BOOL, .fallback = "false" },
    { .name = "replica", .type = CONF_SECRET },
    { .name = "connections", .type = CONF_INT, .min = 5, .max = 100, .fallback = "8" },
    { .name = "prepare", .type = CONF_CHOICE, .fallback = "auto", .choices = "auto|on|off" },
    { .name = "statement_timeout", .type = CONF_DURATION, .min = 1000, .max = 600000, .fallback = "10s" },
    { .name = "idle_timeout", .type = CONF_DURATION, .min = 1000, .max = 600000, .fallback = "5s" },
    { .name = "readers", .type = CONF_INT, .min = 1, .max = 16, .fallback = "2" },
    { .name = "cache", .type = CONF_SIZE, .min = 1 << 20, .max = INT64_C(64) << 30, .fallback = "4MiB" },
    { 0 },
};

static const struct conf_key node_keys[] = {
    { .name = "id", .type = CONF_TEXT, .max = 90 },
    { .name = "beat", .type = CONF_DURATION, .min = 100, .max = 60000, .fallback = "5s" },
    { .name = "lost", .type = CONF_DURATION, .min = 1000, .max = 600000, .fallback = "30s" },
    { 0 },
};

static const struct conf_key worker_keys[] = {
    { .name = "password", .type = CONF_SECRET },
    { .name = "require_v2_auth", .type = CONF_BOOL, .fallback = "false" },
    { .name = "connections", .type = CONF_INT, .min = 1, .max = 100000, .fallback = "10000" },
    { .name = "max_command_bytes", .type = CONF_SIZE, .min = 1 << 10, .max = 64 << 20, .fallback = "16MiB" },
    { .name = "max_job_bytes", .type = CONF_SIZE, .min = 1 << 10, .max = 16 << 20, .fallback = "1MiB" },
    { .name = "description", .type = CONF_TEXT, .max = 100, .fallback = "Posthouse" },
    { 0 },
};

static const struct conf_key exec_keys[] = {
    { .name = "command", .type = CONF_TEXT, .max = 4096 },
    { .name = "user", .type = CONF_TEXT, .max = 64 },
    { .name = "timeout", .type = CONF_DURATION, .min = 1000, .max = 86000000 },
    { .name = "env", .type = CONF_TEXT, .max = 8192 },
    { .name = "memory", .type = CONF_SIZE, .min = 1 << 20, .max = INT64_C(1) << 40 },
    { 0 },
};

static const struct conf_key links_keys[] = {
    { .name = "base_url", .type = CONF_TEXT, .max = 1024 },
    { .name = "cache_bytes", .type = CONF_SIZE, .min = 1 << 20, .max = INT64_C(4) << 30, .fallback = "64MiB" },
    { .name = "max_wait", .type = CONF_DURATION, .min = 100, .max = 60000, .fallback = "5s" },
    { .name = "max_waiting", .type = CONF_INT, .min = 1, .max = 1000000, .fallback = "20000" },
    { .name = "not_found_page", .type = CONF_PATH },
    { .name = "spool", .type = CONF_PATH },
    { .name = "spool_clicks",
      .type = CONF_INT,
      .min = SPOOL_PLACES_MIN,
      .max = SPOOL_PLACES_MAX,
      .fallback = "1048576" },
    { .name = "unsubscribe_key_file", .type = CONF_PATH },
    { 0 },
};

static const struct conf_key log_keys[] = {
    { .name = "level", .type = CONF_CHOICE, .fallback = "info", .choices = "debug|info|warn|error" },
    { .name = "format", .type = CONF_CHOICE, .fallback = "logfmt", .choices = "logfmt|json" },
    { 0 },
};

static const struct conf_key status_keys[] = {
    { .name = "*", .type = CONF_CHOICE, .choices = "never|email|letter|always" },
    { 0 },
};

static const struct conf_key classify_keys[] = {
    { .name = "scanners", .type = CONF_PATH },
    { .name = "networks", .type = CONF_PATH },
    { 0 },
};

static const struct conf_key sources_keys[] = {
    { .name = "allow", .type = CONF_TEXT, .max = 4096, .fallback = "127.0.0.0/8, ::1" },
    { 0 },
};

static const struct conf_key tenant_keys[] = {
    { .name = "timezone", .type = CONF_TEXT, .max = 128 },
    { .name = "retention.*", .type = CONF_TEXT, .max = 32 },
    { .name = "contacts", .type = CONF_LIST },
    { .name = "link_hosts", .type = CONF_LIST },
    { 0 },
};

static const struct conf_key source_keys[] = {
    { .name = "type", .type = CONF_TEXT, .max = 32 },
    { .name = "api", .type = CONF_TEXT, .max = 32 },
    { .name = "base_url", .type = CONF_TEXT, .max = 2048 },
    { .name = "domain", .type = CONF_TEXT, .max = 2048 },
    { .name = "api_key", .type = CONF_SECRET },
    { .name = "signing_key", .type = CONF_SECRET },
    { .name = "tags", .type = CONF_LIST },
    { .name = "topics", .type = CONF_LIST },
    { .name = "hook_url", .type = CONF_TEXT, .max = 2048 },
    { .name = "tenant", .type = CONF_TEXT, .max = 128 },
    { .name = "every", .type = CONF_TEXT, .max = 32 },
    { .name = "margin", .type = CONF_TEXT, .max = 32 },
    { .name = "recheck", .type = CONF_LIST },
    { .name = "retention", .type = CONF_TEXT, .max = 32 },
    { .name = "hook_tolerance", .type = CONF_TEXT, .max = 32 },
    { 0 },
};

const struct conf_section settings_schema[] = {
    { "server", false, server_keys },    { "database", false, database_keys },
    { "node", false, node_keys },        { "worker", false, worker_keys },
    { "log", false, log_keys },          { "classify", false, classify_keys },
    { "status", false, status_keys },    { "sources", false, sources_keys },
    { "tenant", true, tenant_keys },     { "source", true, source_keys },
    { "links", false, links_keys },      { "exec", true, exec_keys },
    { "budget", true, budget_keys },     { "queue", true, queue_keys },
    { "schedule", true, schedule_keys }, { 0 },
};

/* Flags of serve that are values of the configuration, and their short names in the environment. */
static const struct {
    const char *section, *key, *variable;
    size_t offset;
} flag_values[] = {
    { "server", "data", "POSTHOUSE_DATA", offsetof(struct settings_flags, data) },
    { "database", "url", "POSTHOUSE_DATABASE", offsetof(struct settings_flags, database) },
    { "server", "http", "POSTHOUSE_HTTP", offsetof(struct settings_flags, http) },
    { "server", "worker", "POSTHOUSE_WORKER", offsetof(struct settings_flags, worker) },
};

static enum err read_file(struct op *op, struct conf *conf, const struct settings_flags *flags, const char **ret_file)
{
    const char *file = flags->config ? flags->config : getenv("POSTHOUSE_CONFIG");
    if (!file && access(SETTINGS_FILE, F_OK) == 0)
        file = SETTINGS_FILE;
    if (ret_file)
        *ret_file = file;
    return file ? conf_read_file(op, conf, file) : OK;
}

static enum err read_flags(struct op *op, struct conf *conf, const struct settings_flags *flags)
{
    for (size_t i = 0; i < sizeof flag_values / sizeof *flag_values; i++) {
        const char *value = *(const char *const *)((const char *)flags + flag_values[i].offset);
        if (!value)
            value = getenv(flag_values[i].variable);
        if (value)
            TRY(conf_set(op, conf, flag_values[i].section, (struct str){ 0 }, str_of(flag_values[i].key), str_of(value),
                         CONF_FLAG));
    }
    const char *dev = getenv("POSTHOUSE_DEV");
    if (flags->dev || dev)
        TRY(conf_set(op, conf, "server", (struct str){ 0 }, S("dev"), flags->dev ? S("true") : str_of(dev), CONF_FLAG));
    if (flags->migrate)
        TRY(conf_set(op, conf, "database", (struct str){ 0 }, S("migrate"), S("true"), CONF_FLAG));
    return OK;
}

enum err settings_read(struct op *op, const struct settings_flags *flags, struct conf **ret_conf, const char **ret_file)
{
    struct conf *conf;
    TRY(conf_new(op, settings_schema, &conf));
    TRY(read_file(op, conf, flags, ret_file));
    TRY(conf_read_environment(op, conf, (const char *const *)environ));
    TRY(read_flags(op, conf, flags));
    *ret_conf = conf;
    return OK;
}

enum err settings_addr(struct op *op, const struct conf *conf, const char *key, struct addr *ret)
{
    struct str text = conf_text(conf, "server", key);
    if (addr_parse(op, text, ret) == OK)
        return OK;
    return fail(op, ERR_INVALID, "[server] %s = %.*s: write an address like 127.0.0.1:7420 or [::1]:7420", key,
                STR(text));
}

struct str settings_data(const struct conf *conf)
{
    return conf_text(conf, "server", "data");
}

const char *settings_click_spool(struct arena *arena, const struct conf *conf)
{
    struct str spool = conf_text(conf, "links", "spool");
    return str_given(spool) && spool.n ? arena_str(arena, spool).p
                                       : arena_fmt(arena, "%.*s/click-spool", STR(settings_data(conf))).p;
}

enum err settings_check(struct op *op, const struct conf *conf)
{
    struct addr addr;
    TRY(settings_addr(op, conf, "http", &addr));
    TRY(settings_addr(op, conf, "worker", &addr));
    if (conf_ms(conf, "node", "lost") < 3 * conf_ms(conf, "node", "beat"))
        return fail(op, ERR_INVALID,
                    "[node] lost: at least three times beat, or a node is called lost for one late beat");
    struct str url = conf_text(conf, "database", "url");
    if (str_given(url) && !str_starts(url, S("postgres://")) && !str_starts(url, S("postgresql://")))
        return fail(op, ERR_INVALID,
                    "[database] url is like postgres://user:password@host:5432/name; leave it out to "
                    "keep everything in one SQLite file");
    return OK;
}

static enum store_prepare prepare_of(struct str word)
{
    return str_eq(word, S("on")) ? STORE_PREPARE_ON : str_eq(word, S("off")) ? STORE_PREPARE_OFF : STORE_PREPARE_AUTO;
}

/* NULL when it is not given. */
static const char *database_text(struct op *op, const struct conf *conf, const char *key)
{
    struct str text = conf_text(conf, "database", key);
    return str_given(text) && text.n ? arena_str(op->arena, text).p : NULL;
}

void settings_store(struct op *op, const struct conf *conf, struct store_config *ret)
{
    int64_t readers = conf_int(conf, "database", "readers"), connections = conf_int(conf, "database", "connections");
    *ret = (struct store_config){
        .directory = arena_str(op->arena, settings_data(conf)).p,
        .url = database_text(op, conf, "url"),
        .replica = database_text(op, conf, "replica"),
        .migrate = conf_bool(conf, "database", "migrate"),
        .prepare = prepare_of(conf_text(conf, "database", "prepare")),
        .statement_timeout_ms = conf_ms(conf, "database", "statement_timeout"),
        .idle_timeout_ms = conf_ms(conf, "database", "idle_timeout"),
        .cache_bytes = conf_bytes(conf, "database", "cache"),
    };
    /* One writes, one gives signs of life, one is for clicks, one for housekeeping. */
    ret->readers = (int)(ret->url && readers > connections - 4 ? connections - 4 : readers);
}

struct str settings_store_text(struct op *op, const struct store_config *config)
{
    return config->url ? store_url_text(op->arena, config->url) : arena_fmt(op->arena, "sqlite:%s", config->directory);
}
