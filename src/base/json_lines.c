#include "base/json_lines.h"

void json_lines_init(struct json_lines *lines)
{
    *lines = (struct json_lines){ .bytes_max = JSON_LINE_BYTES_MAX };
}

void json_lines_feed(struct json_lines *lines, struct str text, bool is_last)
{
    lines->rest = text;
    lines->is_last = is_last;
}

static void give(struct json_lines *lines, struct str line, struct json_line *ret)
{
    bool too_long = line.n > lines->bytes_max;
    *ret = (struct json_line){ .number = lines->number, .too_long = too_long };
    if (!too_long)
        ret->text = str_trim(line);
}

/* An unfinished line stays for the next feed, unless it is too long already: then its bytes need not be kept. */
static bool give_unfinished(struct json_lines *lines, struct json_line *ret)
{
    struct str line = lines->rest;
    bool first_sight = !lines->skipping && line.n > lines->bytes_max;
    if (!lines->skipping && !first_sight)
        return false;

    lines->rest = (struct str){ line.p + line.n, 0 };
    lines->skipping = true;
    if (!first_sight)
        return false;
    lines->number++;
    give(lines, line, ret);
    return true;
}

bool json_line_next(struct json_lines *lines, struct json_line *ret)
{
    while (lines->rest.n > 0) {
        struct str rest = lines->rest;
        size_t at = str_find(rest, '\n');
        if (at == rest.n && !lines->is_last)
            return give_unfinished(lines, ret);

        size_t eaten = at < rest.n ? at + 1 : at;
        lines->rest = (struct str){ rest.p + eaten, rest.n - eaten };
        if (lines->skipping) {
            lines->skipping = false; /* the end of a line that was given */
            continue;
        }
        lines->number++;
        struct str line = { rest.p, at };
        if (line.n <= lines->bytes_max && str_trim(line).n == 0)
            continue;
        give(lines, line, ret);
        return true;
    }
    return false;
}
