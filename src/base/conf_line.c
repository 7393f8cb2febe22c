#include "base/conf_line.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_key_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '*';
}

/* Bytes of a quoted text at the front, both quotes included; 0 when it does not end. */
static size_t quoted_bytes(struct str s)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            return i + 1;
    }
    return 0;
}

/* The inside of a quoted text: quotes and backslashes resolved. */
static enum err resolve(struct op *op, struct str quoted, struct str *ret_text)
{
    static const char letters[] = "\"\\nt", bytes[] = "\"\\\n\t";
    char *text;
    size_t n = 0;
    TRY(op_alloc(op, quoted.n, &text));
    for (size_t i = 1; i + 1 < quoted.n; i++) {
        char c = quoted.p[i];
        if (c == '\\') {
            c = quoted.p[++i];
            const char *letter = c ? strchr(letters, c) : NULL;
            if (!letter)
                return fail(op, ERR_INVALID, "'\\%c' means nothing in quotes (known: \\\" \\\\ \\n \\t)", c);
            c = bytes[letter - letters];
        }
        text[n++] = c;
    }
    *ret_text = (struct str){ text, n };
    return OK;
}

enum err conf_line_unquote(struct op *op, struct str raw, struct str *ret_text)
{
    if (raw.n == 0 || raw.p[0] != '"') {
        *ret_text = raw;
        return OK;
    }
    size_t n = quoted_bytes(raw);
    if (n == 0)
        return fail(op, ERR_INVALID, "the closing quote is missing");
    if (n < raw.n)
        return fail(op, ERR_INVALID, "something stands behind the closing quote");
    return resolve(op, raw, ret_text);
}

/* The length of the item at the front, up to a comma outside quotes. */
static size_t item_bytes(struct str s)
{
    size_t i = 0;
    while (i < s.n && is_blank(s.p[i]))
        i++;
    if (i < s.n && s.p[i] == '"') {
        size_t quoted = quoted_bytes((struct str){ s.p + i, s.n - i });
        i += quoted ? quoted : s.n - i;
    }
    return i + str_find((struct str){ s.p + i, s.n - i }, ',');
}

enum err conf_line_items(struct op *op, struct str raw, struct str **ret_items, size_t *ret_count)
{
    struct str *items, rest = raw;
    size_t most = 1, count = 0;
    for (size_t i = 0; i < raw.n; i++)
        most += raw.p[i] == ',';
    TRY(op_alloc(op, most * sizeof *items, &items));

    while (str_trim(raw).n > 0) {
        size_t n = item_bytes(rest);
        struct str item = str_trim((struct str){ rest.p, n });
        if (item.n == 0)
            return fail(op, ERR_INVALID, "an item of the list is empty");
        TRY(conf_line_unquote(op, item, &items[count]));
        count++;
        if (n == rest.n)
            break;
        rest.p += n + 1;
        rest.n -= n + 1;
    }
    *ret_items = items;
    *ret_count = count;
    return OK;
}

/* Without a comment: "#" at the front or behind a blank, outside quotes. */
static struct str without_comment(struct str s)
{
    bool begins_item = true; /* only here a quote opens a text: it's 6" stays as it is */
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' && begins_item) {
            size_t quoted = quoted_bytes((struct str){ s.p + i, s.n - i });
            if (quoted == 0)
                return s;
            i += quoted - 1;
        } else if (s.p[i] == '#' && (i == 0 || is_blank(s.p[i - 1]))) {
            return str_trim((struct str){ s.p, i });
        }
        begins_item = s.p[i] == ',' || (begins_item && is_blank(s.p[i]));
    }
    return str_trim(s);
}

/* Where the closing bracket stands, outside quotes; s.n when it is missing. */
static size_t section_end(struct str s)
{
    size_t i = 0;
    while (i < s.n && s.p[i] != ']') {
        size_t quoted = s.p[i] == '"' ? quoted_bytes((struct str){ s.p + i, s.n - i }) : 1;
        i = quoted ? i + quoted : s.n;
    }
    return i;
}

/* "section" or "section name", brackets gone. */
static enum err parse_section(struct op *op, struct str inside, struct conf_line *line)
{
    inside = str_trim(inside);
    size_t n = 0;
    while (n < inside.n && is_key_byte(inside.p[n]))
        n++;
    if (n == 0 || (n < inside.n && !is_blank(inside.p[n])))
        return fail(op, ERR_INVALID, "a section reads [section] or [section name]");

    line->kind = CONF_LINE_SECTION;
    line->section = (struct str){ inside.p, n };
    struct str name = str_trim((struct str){ inside.p + n, inside.n - n });
    if (name.n == 0)
        return OK;
    TRY(conf_line_unquote(op, name, &line->name));
    return line->name.n > 0 ? OK : fail(op, ERR_INVALID, "the name of [%.*s] is empty", STR(line->section));
}

/* A key at the front of the line, quoted parts joined in; leaves what follows in *rest. */
static enum err parse_key(struct op *op, struct str *rest, struct str *ret_key)
{
    char *key;
    size_t n = 0, i = 0;
    TRY(op_alloc(op, rest->n + 1, &key));
    while (i < rest->n && (is_key_byte(rest->p[i]) || rest->p[i] == '"')) {
        if (rest->p[i] != '"') {
            key[n++] = rest->p[i++];
            continue;
        }
        struct str part, quoted = { rest->p + i, quoted_bytes((struct str){ rest->p + i, rest->n - i }) };
        if (quoted.n == 0)
            return fail(op, ERR_INVALID, "the closing quote of the key is missing");
        TRY(resolve(op, quoted, &part));
        memcpy(key + n, part.p, part.n);
        n += part.n;
        i += quoted.n;
    }
    *ret_key = (struct str){ key, n };
    *rest = str_trim((struct str){ rest->p + i, rest->n - i });
    return OK;
}

enum err conf_line_parse(struct op *op, struct str text, struct conf_line *ret_line)
{
    struct conf_line line = { 0 };
    struct str rest = str_trim(text);
    if (rest.n == 0 || rest.p[0] == '#' || rest.p[0] == ';') {
        *ret_line = line;
        return OK;
    }

    if (rest.p[0] == '[') {
        size_t end = section_end(rest);
        if (end == rest.n)
            return fail(op, ERR_INVALID, "the closing bracket of the section is missing");
        if (without_comment((struct str){ rest.p + end + 1, rest.n - end - 1 }).n > 0)
            return fail(op, ERR_INVALID, "something stands behind the closing bracket");
        TRY(parse_section(op, (struct str){ rest.p + 1, end - 1 }, &line));
        *ret_line = line;
        return OK;
    }

    line.kind = CONF_LINE_KEY;
    TRY(parse_key(op, &rest, &line.key));
    if (line.key.n == 0 || rest.n == 0 || rest.p[0] != '=')
        return fail(op, ERR_INVALID, "expected KEY = VALUE, [section] or # comment");
    line.value = without_comment(str_trim((struct str){ rest.p + 1, rest.n - 1 }));
    *ret_line = line;
    return OK;
}
