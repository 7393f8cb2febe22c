#include "base/conf_value.h"

#include <inttypes.h>

#include "base/conf_line.h"
#include "base/duration.h"

#define LIST_ITEMS_MAX 1000
#define MILLION        1000000

bool conf_size_parse(struct str text, int64_t *ret_bytes)
{
    static const struct {
        struct str unit;
        int shift;
    } units[] = {
        { { "KiB", 3 }, 10 }, { { "MiB", 3 }, 20 }, { { "GiB", 3 }, 30 }, { { "TiB", 3 }, 40 }, { { "B", 1 }, 0 }
    };
    int shift = 0;
    int64_t count;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!str_ends(text, units[i].unit))
            continue;
        shift = units[i].shift;
        text = str_trim((struct str){ text.p, text.n - units[i].unit.n });
        break;
    }
    if (!str_to_int(text, 0, INT64_MAX >> shift, &count))
        return false;
    *ret_bytes = count << shift;
    return true;
}

/* "0.25" as 250000, exactly; more than six decimals are refused. */
static bool parse_millionths(struct str text, int64_t *ret)
{
    int64_t whole, part = 0;
    bool negative = text.n > 0 && text.p[0] == '-';
    if (negative)
        text = (struct str){ text.p + 1, text.n - 1 };
    struct str decimals = text, front = str_cut(&decimals, '.');
    if (!str_to_int(front, 0, INT64_MAX / MILLION - 1, &whole))
        return false;
    if (str_given(decimals)) {
        if (decimals.n > 6 || !str_to_int(decimals, 0, MILLION - 1, &part))
            return false;
        for (size_t i = decimals.n; i < 6; i++)
            part *= 10;
    }
    *ret = (whole * MILLION + part) * (negative ? -1 : 1);
    return true;
}

static bool parse_bool(struct str text, int64_t *ret)
{
    static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!str_eq(text, str_of(words[i])))
            continue;
        *ret = i % 2;
        return true;
    }
    return false;
}

static bool in_range(const struct conf_key *key, int64_t number)
{
    bool bounded = key->min != 0 || key->max != 0;
    return !bounded || (number >= key->min && (number <= key->max || (key->max == 0 && key->min > 0)));
}

static bool read_number(const struct conf_key *key, struct str text, int64_t *ret)
{
    switch (key->type) {
    case CONF_INT:
        return str_to_int(text, INT64_MIN, INT64_MAX, ret);
    case CONF_NUMBER:
        return parse_millionths(text, ret);
    case CONF_BOOL:
        return parse_bool(text, ret);
    case CONF_DURATION:
        return duration_parse(text, ret);
    case CONF_SIZE:
        return conf_size_parse(text, ret);
    case CONF_TEXT:
    case CONF_LIST:
    case CONF_PATH:
    case CONF_CHOICE:
    case CONF_SECRET:
        break;
    }
    return false;
}

static bool is_choice(const struct conf_key *key, struct str text)
{
    struct str rest = str_of(key->choices);
    while (str_given(rest))
        if (str_eq(str_cut(&rest, '|'), text))
            return true;
    return false;
}

static const char *kind_wanted(const struct conf_key *key)
{
    switch (key->type) {
    case CONF_INT:
        return "a whole number";
    case CONF_NUMBER:
        return "a number with at most 6 decimals";
    case CONF_BOOL:
        return "true or false";
    case CONF_DURATION:
        return "a duration like 250ms, 90s, 5m, 1h, 7d";
    case CONF_SIZE:
        return "a size like 512, 64KiB, 40MiB";
    case CONF_LIST:
        return "a list with commas between its items";
    case CONF_PATH:
        return "a path";
    case CONF_CHOICE:
        return key->choices;
    case CONF_TEXT:
    case CONF_SECRET:
        break;
    }
    return "a text";
}

/* "a duration like 250ms, 90s, 5m, 1h, 7d, from 1s to 1h" */
static struct str wanted(struct op *op, const struct conf_key *key)
{
    const char *kind = kind_wanted(key);
    char low[DURATION_TEXT_BYTES], high[DURATION_TEXT_BYTES];
    if ((key->min == 0 && key->max == 0) || key->type == CONF_BOOL || key->type == CONF_CHOICE)
        return str_of(kind);
    if (key->type == CONF_DURATION && key->max == 0)
        return arena_fmt(op->arena, "%s, from %s", kind, duration_text(key->min, low).p);
    if (key->type == CONF_DURATION)
        return arena_fmt(op->arena, "%s, from %s to %s", kind, duration_text(key->min, low).p,
                         duration_text(key->max, high).p);
    if (key->type == CONF_NUMBER)
        return arena_fmt(op->arena, "%s, from %g to %g", kind, (double)key->min / MILLION, (double)key->max / MILLION);

    const char *unit = key->type == CONF_INT ? "" : key->type == CONF_LIST ? " items" : " bytes";
    if (key->max == 0)
        return arena_fmt(op->arena, "%s, from %" PRId64 "%s", kind, key->min, unit);
    return arena_fmt(op->arena, "%s, from %" PRId64 " to %" PRId64 "%s", kind, key->min, key->max, unit);
}

static enum err refuse(struct op *op, const struct conf_value *value, struct str raw)
{
    struct str expected = wanted(op, value->key);
    const char *section = value->section->name;
    if (value->key->type == CONF_SECRET)
        return fail(op, ERR_INVALID, "bad value for %.*s in [%s]: expected %.*s", STR(value->word), section,
                    STR(expected));
    return fail(op, ERR_INVALID, "bad value '%.*s' for %.*s in [%s]: expected %.*s", STR(str_clip(raw, 100)),
                STR(value->word), section, STR(expected));
}

/* The path with a NUL behind it, as open() wants it. */
static enum err read_path(struct op *op, struct str text, struct str directory, struct conf_value *value)
{
    if (text.p[0] != '/' && directory.n > 0)
        value->text = arena_fmt(op->arena, "%.*s/%.*s", STR(directory), STR(text));
    else
        value->text = arena_str(op->arena, text);
    return str_given(value->text) ? OK : fail(op, ERR_TOO_LARGE, "the configuration is too large");
}

enum err conf_value_read(struct op *op, struct str raw, bool quotes, struct str directory, struct conf_value *value)
{
    const struct conf_key *key = value->key;
    if (key->type == CONF_LIST) {
        TRY(conf_line_items(op, raw, &value->items, &value->count));
        value->text = raw;
        return value->count <= LIST_ITEMS_MAX && in_range(key, (int64_t)value->count) ? OK : refuse(op, value, raw);
    }

    struct str text = raw;
    if (quotes)
        TRY(conf_line_unquote(op, raw, &text));
    switch (key->type) {
    case CONF_TEXT:
    case CONF_SECRET:
        value->text = text;
        return in_range(key, (int64_t)text.n) ? OK : refuse(op, value, raw);
    case CONF_CHOICE:
        value->text = text;
        return is_choice(key, text) ? OK : refuse(op, value, raw);
    case CONF_PATH:
        return text.n > 0 ? read_path(op, text, directory, value) : refuse(op, value, raw);
    case CONF_INT:
    case CONF_NUMBER:
    case CONF_BOOL:
    case CONF_DURATION:
    case CONF_SIZE:
    case CONF_LIST:
        break;
    }
    value->text = text;
    return read_number(key, text, &value->number) && in_range(key, value->number) ? OK : refuse(op, value, raw);
}
