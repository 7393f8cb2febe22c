/*
 * conf_show.c - the configuration in force, written as a file again.
 */
#include "base/conf.h"

#include "base/buf.h"

#define SHOWN_BYTES_MAX (2 * CONF_FILE_BYTES_MAX)

static void add_quoted(struct buf *out, struct str text)
{
    buf_add_char(out, '"');
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"' || c == '\\')
            buf_add_char(out, '\\');
        if (c == '\n' || c == '\t') {
            buf_add_char(out, '\\');
            c = c == '\n' ? 'n' : 't';
        }
        buf_add_char(out, c);
    }
    buf_add_char(out, '"');
}

/* Words that a reader cannot take for anything else stay without quotes. */
static void add_word(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    (c != '\0' && strchr("_-+./:@*%=&?", c) != NULL);
        if (!safe) {
            add_quoted(out, text);
            return;
        }
    }
    if (text.n > 0)
        buf_add_str(out, text);
    else
        buf_add_str(out, S("\"\""));
}

static void add_value(struct buf *out, const struct conf_value *value)
{
    if (value->key->type == CONF_SECRET) {
        buf_add_str(out, S("set"));
        return;
    }
    if (value->key->type != CONF_LIST) {
        add_word(out, value->text);
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        buf_add_str(out, i > 0 ? S(", ") : S(""));
        add_word(out, value->items[i]);
    }
}

/* A key as it may be written: the part that a pattern left open is quoted when it needs to be. */
static void add_key(struct buf *out, const struct conf_value *value)
{
    size_t fixed = strlen(value->key->name);
    if (!str_ends(str_of(value->key->name), S("*"))) {
        buf_add_str(out, value->word);
        return;
    }
    fixed--;
    buf_add(out, value->word.p, fixed);
    struct str open = { value->word.p + fixed, value->word.n - fixed };
    for (size_t i = 0; i < open.n; i++) {
        char c = open.p[i];
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("_-.", c))
            continue;
        add_quoted(out, open);
        return;
    }
    buf_add_str(out, open);
}

static const char *origin_note(enum conf_origin origin)
{
    switch (origin) {
    case CONF_ENVIRONMENT:
        return "  # from the environment";
    case CONF_FLAG:
        return "  # from a flag";
    case CONF_DEFAULT:
        return "  # default";
    case CONF_FILE:
        break;
    }
    return "";
}

static void add_line(struct buf *out, const struct conf_value *value)
{
    buf_add_str(out, value->origin == CONF_DEFAULT ? S("# ") : S(""));
    add_key(out, value);
    buf_add_str(out, S(" = "));
    add_value(out, value);
    buf_add_str(out, str_of(origin_note(value->origin)));
    buf_add_char(out, '\n');
}

/* A section: its declared keys in order, then the words that patterns let in. */
static void add_section(struct buf *out, const struct conf *conf, const struct conf_section *section, struct str name)
{
    buf_add_fmt(out, "%s[%s", out->n > 0 ? "\n" : "", section->name);
    if (str_given(name)) {
        buf_add_char(out, ' ');
        add_word(out, name);
    }
    buf_add_str(out, S("]\n"));

    for (const struct conf_key *key = section->keys; key->name; key++) {
        const struct conf_value *value =
            str_ends(str_of(key->name), S("*")) ? NULL : conf_get(conf, section->name, name, key->name);
        if (value)
            add_line(out, value);
    }
    const struct conf_value *values;
    size_t count = conf_values(conf, &values);
    for (size_t i = 0; i < count; i++)
        if (values[i].section == section && str_eq(values[i].name, name) &&
            str_ends(str_of(values[i].key->name), S("*")))
            add_line(out, &values[i]);
}

enum err conf_show(struct op *op, const struct conf *conf, struct str *ret_text)
{
    struct buf out;
    buf_init(&out, SHOWN_BYTES_MAX);
    for (const struct conf_section *section = conf_schema(conf); section->name; section++) {
        const struct str *names;
        if (!section->named) {
            add_section(&out, conf, section, (struct str){ NULL, 0 });
            continue;
        }
        size_t count = conf_names(conf, section->name, &names);
        for (size_t i = 0; i < count; i++)
            add_section(&out, conf, section, names[i]);
    }
    struct str text = out.full ? (struct str){ NULL, 0 } : arena_str(op->arena, buf_str(&out));
    buf_done(&out);
    if (!str_given(text))
        return fail(op, ERR_TOO_LARGE, "the configuration is too large to show");
    *ret_text = text;
    return OK;
}
