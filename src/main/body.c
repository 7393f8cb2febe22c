#include "main/body.h"

#include <errno.h>
#include <stdio.h>

#include "base/json_write.h"

enum err read_whole(struct op *op, const char *path, size_t max_bytes, struct str *ret_text)
{
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (!file)
        return fail(op, ERR_IO, "cannot read %s: %s", path, strerror(errno));
    struct buf text;
    buf_init_arena(&text, op->arena, max_bytes);
    size_t got = 1;
    while (got > 0 && buf_reserve(&text, 1)) {
        got = fread(text.p + text.n, 1, text.room - text.n, file);
        text.n += got;
    }
    bool bad = ferror(file) != 0;
    int error = errno;
    if (!standard)
        fclose(file);
    if (bad)
        return fail(op, ERR_IO, "cannot read %s: %s", path, strerror(error));
    if (text.full)
        return fail(op, ERR_TOO_LARGE, "%s is larger than %zu bytes", path, max_bytes);
    *ret_text = buf_str(&text);
    return OK;
}

static bool is_word(struct str text, const char *const words[3])
{
    for (int i = 0; i < 3; i++)
        if (str_eq_nocase(text, str_of(words[i])))
            return true;
    return false;
}

static int put_bool(struct cli *cli, struct json_writer *w, const char *option, struct str text)
{
    static const char *const yes[] = { "yes", "true", "on" }, *const no[] = { "no", "false", "off" };
    if (!is_word(text, yes) && !is_word(text, no))
        return cli_fail(cli, CLI_USAGE, "--%s must be yes or no, not \"%.*s\"", option, STR(text));
    json_put_bool(w, is_word(text, yes));
    return CLI_DONE;
}

static int put_file(struct cli *cli, struct json_writer *w, const char *path)
{
    struct str text;
    if (read_whole(&cli->op, path, BODY_BYTES_MAX, &text) != OK)
        return cli_fail_op(cli);
    while (text.n && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    json_put_str(w, text);
    return CLI_DONE;
}

/* Calls put for every value of an option, cut at commas. */
static int each_value(struct cli *cli, struct json_writer *w, const struct body_field *field,
                      int (*put)(struct cli *cli, struct json_writer *w, const struct body_field *field,
                                 struct str value))
{
    int code = CLI_DONE;
    for (int i = 0; i < cli->given_count && code == CLI_DONE; i++) {
        if (strcmp(cli->given[i].option->name, field->option) != 0)
            continue;
        struct str rest = str_of(cli->given[i].value);
        while (str_given(rest) && code == CLI_DONE)
            code = put(cli, w, field, str_trim(str_cut(&rest, ',')));
    }
    return code;
}

static int put_item(struct cli *cli, struct json_writer *w, const struct body_field *field, struct str value)
{
    (void)cli;
    (void)field;
    json_put_str(w, value);
    return CLI_DONE;
}

static int put_pair(struct cli *cli, struct json_writer *w, const struct body_field *field, struct str value)
{
    struct str name = str_cut(&value, '=');
    if (!str_given(value) || name.n == 0)
        return cli_fail(cli, CLI_USAGE, "--%s must be like email=7d, not \"%.*s\"", field->option, STR(name));
    json_put_name_str(w, name);
    json_put_str(w, value);
    return CLI_DONE;
}

static int put_number(struct cli *cli, struct json_writer *w, const char *option, struct str text)
{
    int64_t value;
    if (!str_to_int(text, INT64_MIN, INT64_MAX, &value))
        return cli_fail(cli, CLI_USAGE, "--%s must be a whole number, not \"%.*s\"", option, STR(text));
    json_put_int(w, value);
    return CLI_DONE;
}

static int put_rate(struct cli *cli, struct json_writer *w, const char *option, struct str text)
{
    int64_t limit, burst = 0;
    struct str rest = text, number = str_cut(&rest, '/'), per = str_cut(&rest, '/');
    if (!str_to_int(number, 0, INT64_MAX, &limit) || per.n == 0 ||
        (str_given(rest) && !str_to_int(rest, 0, INT64_MAX, &burst)))
        return cli_fail(cli, CLI_USAGE, "--%s must be like 40/60s or, with a burst, 40/60s/3, not \"%.*s\"", option,
                        STR(text));
    json_object_begin(w);
    json_member_int(w, "limit", limit);
    json_member_str(w, "per", per);
    if (str_given(rest))
        json_member_int(w, "burst", burst);
    json_object_end(w);
    return CLI_DONE;
}

static int put_json(struct cli *cli, struct json_writer *w, const char *option, struct str text)
{
    struct json j;
    json_init(&j, cli->op.arena, text, JSON_STRICT);
    json_skip(&j);
    if (json_finish(&j, &cli->op) != OK)
        return cli_fail(cli, CLI_USAGE, "--%s must be JSON: %s", option, cli->op.error);
    json_put_raw(w, str_trim(text));
    return CLI_DONE;
}

static int put_value(struct cli *cli, struct json_writer *w, const struct body_field *field)
{
    const char *value = cli_option(cli, field->option);
    int code = CLI_DONE;
    if (field->may_be_none && str_eq(str_of(value), S("none"))) {
        json_put_null(w);
        return CLI_DONE;
    }
    switch (field->kind) {
    case BODY_TEXT:
        json_put_str(w, str_of(value));
        return CLI_DONE;
    case BODY_FILE:
        return put_file(cli, w, value);
    case BODY_BOOL:
        return put_bool(cli, w, field->option, str_of(value));
    case BODY_NUMBER:
        return put_number(cli, w, field->option, str_of(value));
    case BODY_RATE:
        return put_rate(cli, w, field->option, str_of(value));
    case BODY_JSON:
        return put_json(cli, w, field->option, str_of(value));
    case BODY_TEXTS:
        json_array_begin(w);
        code = each_value(cli, w, field, put_item);
        if (code == CLI_DONE)
            json_array_end(w);
        return code;
    case BODY_TEXT_MAP:
        json_object_begin(w);
        code = each_value(cli, w, field, put_pair);
        if (code == CLI_DONE)
            json_object_end(w);
        return code;
    }
    return code;
}

static bool same_parent(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

int body_of(struct cli *cli, const struct body_field *fields, struct str *ret_body)
{
    const char *ready = cli_option(cli, "body");
    if (ready)
        return read_whole(&cli->op, ready, BODY_BYTES_MAX, ret_body) == OK ? CLI_DONE : cli_fail_op(cli);

    struct buf out;
    struct json_writer w;
    const char *parent = NULL;
    buf_init_arena(&out, cli->op.arena, BODY_BYTES_MAX);
    json_write_init(&w, &out);
    json_object_begin(&w);
    for (const struct body_field *field = fields; field->option; field++) {
        if (!cli_has(cli, field->option))
            continue;
        if (!same_parent(parent, field->parent)) {
            if (parent)
                json_object_end(&w);
            if (field->parent) {
                json_put_name(&w, field->parent);
                json_object_begin(&w);
            }
            parent = field->parent;
        }
        json_put_name(&w, field->member);
        int code = put_value(cli, &w, field);
        if (code != CLI_DONE)
            return code;
    }
    if (parent)
        json_object_end(&w);
    json_object_end(&w);
    *ret_body = buf_str(&out);
    return CLI_DONE;
}
