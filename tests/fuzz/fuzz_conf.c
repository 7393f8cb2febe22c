/*
 * fuzz_conf.c - configuration files: any text is taken or refused with file and line,
 * and what was taken can be shown and read again, secrets apart.
 *
 * An input that begins with "$" is a list of environment variables, one a line.
 */
#include <assert.h>
#include <string.h>

#include "base/conf.h"
#include "fuzz.h"

#define VARIABLES_MAX 64

static const struct conf_key server_keys[] = {
    { "http", CONF_TEXT, 0, 64, "127.0.0.1:7420", NULL },
    { "workers", CONF_INT, -5, 64, "2", NULL },
    { "compress", CONF_BOOL, 0, 0, "off", NULL },
    { "drain", CONF_DURATION, 0, 60000, "25s", NULL },
    { "body", CONF_SIZE, 0, 0, "8MiB", NULL },
    { "share", CONF_NUMBER, 0, 0, "0.25", NULL },
    { "data", CONF_PATH, 0, 0, NULL, NULL },
    { "networks", CONF_LIST, 0, 0, NULL, NULL },
    { "level", CONF_CHOICE, 0, 0, "info", "debug|info" },
    { 0 },
};
static const struct conf_key source_keys[] = { { "api_key", CONF_SECRET, 0, 0, NULL, NULL }, { 0 } };
static const struct conf_key event_keys[] = { { "keep.*", CONF_DURATION, 0, 0, NULL, NULL }, { 0 } };
static const struct conf_section schema[] = {
    { "server", false, server_keys },
    { "source", true, source_keys },
    { "events", false, event_keys },
    { 0 },
};

/* What was read is shown and read again: the same values in the same order of sections. */
static void check_shown(struct op *op, const struct conf *conf)
{
    struct str shown;
    struct conf *again;
    const struct conf_value *before, *after;
    enum err err = conf_show(op, conf, &shown);
    assert(err == OK);
    err = conf_new(op, schema, &again);
    assert(err == OK);
    err = conf_read_text(op, again, "/p.conf", shown);
    assert(err == OK);
    size_t count = conf_values(conf, &before);
    assert(conf_values(again, &after) == count);
    for (size_t i = 0; i < count; i++) {
        const struct conf_value *value =
            conf_get(again, before[i].section->name, before[i].name, before[i].word.n ? before[i].key->name : "");
        bool pattern = strchr(before[i].key->name, '*') != NULL;
        assert(pattern || (value && value->number == before[i].number && value->count == before[i].count));
    }
}

static void check_file(struct op *op, struct conf *conf, struct str text)
{
    if (conf_read_text(op, conf, "/p.conf", text) == OK)
        check_shown(op, conf);
    else
        assert(str_starts(str_of(op->error), S("/p.conf:")));
}

static void check_environment(struct op *op, struct conf *conf, struct str text)
{
    const char *variables[VARIABLES_MAX + 1] = { NULL };
    for (size_t n = 0; n < VARIABLES_MAX && str_given(text); n++)
        variables[n] = arena_str(op->arena, str_cut(&text, '\n')).p;
    if (conf_read_environment(op, conf, variables) != OK)
        assert(op->error[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = { (const char *)data, bytes };
    struct arena *arena = arena_new(64 << 20);
    struct conf *conf;
    struct op op;
    /* A key of a file would open what the fuzzer names. */
    bool opens_files = str_search(text, S("_file")) < bytes || str_search(text, S("_FILE")) < bytes;
    op_init(&op, arena, 0);
    if (!opens_files && conf_new(&op, schema, &conf) == OK) {
        if (str_starts(text, S("$")))
            check_environment(&op, conf, (struct str){ text.p + 1, text.n - 1 });
        else
            check_file(&op, conf, text);
    }
    arena_free(arena);
    return 0;
}
