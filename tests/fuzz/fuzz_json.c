/*
 * fuzz_json.c - the JSON scanner, in every way a caller may walk.
 *
 * The first byte of the input chooses how deep the walk goes, what it reads
 * and the mode; the rest is the text. Beside coming back, the scanner must keep
 * its word: reading and skipping agree on what is JSON, what strict accepts
 * tolerant accepts too, texts are UTF-8, a raw value is a value by itself, and
 * what is written from a text reads back the same.
 */
#include <stdlib.h>

#include "base/json_fields.h"
#include "base/json_lines.h"
#include "base/json_write.h"
#include "fuzz.h"

#define ARENA_BYTES_MAX (4 << 20)
#define HOLDS(promise)                                                                                                 \
    do {                                                                                                               \
        if (!(promise))                                                                                                \
            abort();                                                                                                   \
    } while (0)

static struct op op;

static enum err check(struct str text, enum json_mode mode)
{
    struct json j;
    json_init(&j, op.arena, text, mode);
    return json_finish(&j, &op);
}

static void write_and_read_back(struct str text)
{
    struct buf buf;
    struct json_writer w;
    struct json j;
    struct str again;
    buf_init_arena(&buf, op.arena, ARENA_BYTES_MAX);
    json_write_init(&w, &buf);
    json_put_str(&w, text);
    if (buf.full)
        return;
    json_init(&j, op.arena, buf_str(&buf), JSON_STRICT);
    if (json_string(&j, &again))
        HOLDS(str_eq(again, text));
    else
        HOLDS(json_finish(&j, &op) == ERR_TOO_LARGE);
}

static void read_text(struct json *j)
{
    struct str text;
    if (!json_string(j, &text))
        return;
    HOLDS(str_is_utf8(text));
    write_and_read_back(text);
}

static void read_raw(struct json *j)
{
    struct str raw;
    enum json_mode mode = j->tolerant ? JSON_TOLERANT : JSON_STRICT;
    if (json_raw(j, &raw))
        HOLDS(check(raw, mode) == OK);
}

/* Reads the value in front one way or another; `choices` is used up from below. */
static void walk(struct json *j, unsigned *choices)
{
    struct str name;
    int64_t number;
    bool flag;
    *choices = *choices * 5 + 1; /* runs through all values of the low bits */
    switch (*choices >> 2 & 7) {
    case 0:
        json_skip(j);
        return;
    case 1:
        read_raw(j);
        return;
    case 2:
        return; /* left to the next step */
    default:
        break;
    }
    switch (json_type(j)) {
    case JSON_OBJECT:
        HOLDS(json_enter_object(j));
        while (json_next_member(j, &name)) {
            HOLDS(str_is_utf8(name));
            walk(j, choices);
            if ((*choices & 31) == 31) {
                json_leave(j);
                return;
            }
        }
        return;
    case JSON_ARRAY:
        HOLDS(json_enter_array(j));
        while (json_next_item(j))
            walk(j, choices);
        return;
    case JSON_STRING:
        read_text(j);
        return;
    case JSON_NUMBER:
        if (json_int(j, -1000, 1000, &number))
            HOLDS(number >= -1000 && number <= 1000);
        return;
    case JSON_BOOL:
        HOLDS(json_bool(j, &flag) || !json_ok(j));
        return;
    case JSON_NULL:
        HOLDS(json_null(j) || !json_ok(j));
        return;
    case JSON_END:
        json_skip(j);
        return;
    }
}

static void read_fields(struct str text)
{
    static const struct json_field fields[] = {
        [0] = { "a", JSON_FIELD_STR, 0, 8, JSON_REQUIRED, 1 },
        [1] = { "b", JSON_FIELD_INT, 16, 9, 0, 1 },
        [2] = { "c", JSON_FIELD_BOOL, 24 },
        [3] = { "d", JSON_FIELD_STRS, 32, 4, JSON_NULLABLE, 0, 3 },
        [4] = { "e", JSON_FIELD_RAW, 48, 100 },
        [5] = { "f", JSON_FIELD_OBJECT, 64, 100 },
    };
    _Alignas(max_align_t) char target[128] = { 0 };
    struct json_problems problems = { .count = 0 };
    struct json_seen seen;
    enum err err = json_read_body(&op, text, fields, 6, target, &seen, &problems);
    HOLDS(err == OK || err == ERR_INVALID || err == ERR_MALFORMED || err == ERR_TOO_LARGE);
    HOLDS((err == ERR_INVALID) <= (problems.count > 0));
    HOLDS(str_is_utf8(str_of(op.error)) && str_is_utf8(str_of(op.pointer)));
}

/* The lines of a text are the same whether it arrives at once or in two pieces. */
static void read_lines(struct str text, size_t cut)
{
    struct json_lines whole, parts;
    struct json_line a, b;
    if (cut > text.n)
        return;
    json_lines_init(&whole);
    json_lines_init(&parts);
    json_lines_feed(&whole, text, true);
    json_lines_feed(&parts, (struct str){ text.p, cut }, false);
    bool fed = false;
    while (json_line_next(&whole, &a)) {
        bool given = json_line_next(&parts, &b);
        if (!given && !fed) {
            size_t at = cut - parts.rest.n;
            json_lines_feed(&parts, (struct str){ text.p + at, text.n - at }, true);
            fed = true;
            given = json_line_next(&parts, &b);
        }
        HOLDS(given && a.number == b.number && a.too_long == b.too_long && str_eq(a.text, b.text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes == 0)
        return 0;
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    struct str text = { (const char *)data + 1, bytes - 1 };
    struct json j;
    unsigned choices = data[0];
    enum json_mode mode = data[0] & 1 ? JSON_TOLERANT : JSON_STRICT;

    op_init(&op, arena, 0);
    enum err strict = check(text, JSON_STRICT), tolerant = check(text, JSON_TOLERANT);
    HOLDS(strict != OK || tolerant == OK);
    HOLDS(strict != OK || str_is_utf8(text));

    json_init(&j, arena, text, mode);
    walk(&j, &choices);
    enum err walked = json_finish(&j, &op);
    HOLDS(walked == ERR_TOO_LARGE || walked == (mode == JSON_TOLERANT ? tolerant : strict));

    read_fields(text);
    read_lines(text, data[0]);
    arena_free(arena);
    return 0;
}
