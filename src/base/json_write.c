#include "base/json_write.h"
#include "base/json_bytes.h"
#include "base/utf8.h"

#include <assert.h>

#define ESCAPED_BYTES_MAX 6 /* of one byte: "\u001f" */
#define INT_BYTES_MAX     20
#define PLACES_MAX        18

void json_write_init(struct json_writer *w, struct buf *buf)
{
    *w = (struct json_writer){ .buf = buf };
}

/* What stands in front of every value: the comma of an array; a member's comma stands in front of its name. */
static inline void before_value(struct json_writer *w)
{
    bool in_object = w->depth > 0 && (w->objects & 1);
    assert(in_object == w->named);
    if (w->comma && w->depth > 0 && !in_object)
        buf_add_char(w->buf, ',');
    w->named = false;
    w->comma = true;
}

static void begin(struct json_writer *w, bool object)
{
    before_value(w);
    assert(w->depth < JSON_DEPTH_MAX);
    w->objects = w->objects << 1 | object;
    w->depth++;
    w->comma = false;
    buf_add_char(w->buf, object ? '{' : '[');
}

static void end(struct json_writer *w, bool object)
{
    assert(w->depth > 0 && (w->objects & 1) == object && !w->named);
    w->objects >>= 1;
    w->depth--;
    w->comma = true;
    buf_add_char(w->buf, object ? '}' : ']');
}

void json_object_begin(struct json_writer *w)
{
    begin(w, true);
}

void json_object_end(struct json_writer *w)
{
    end(w, true);
}

void json_array_begin(struct json_writer *w)
{
    begin(w, false);
}

void json_array_end(struct json_writer *w)
{
    end(w, false);
}

/* Writes the escape of one ASCII byte at out; returns its length. */
static size_t escape(char *out, unsigned char c)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[' '] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };
    char letter = c < ' ' ? letters[c] : (char)c;
    out[0] = '\\';
    out[1] = letter;
    if (letter)
        return 2;
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = hex[c >> 4];
    out[5] = hex[c & 15];
    return 6;
}

static void put_quoted(struct json_writer *w, struct str s)
{
    const char *p = str_given(s) ? s.p : "", *last = p + s.n;
    buf_add_char(w->buf, '"');
    while (s.n) {
        const char *run = json_plain_run(p, last);
        buf_add(w->buf, p, (size_t)(run - p));
        if (run == last)
            break;

        char escaped[ESCAPED_BYTES_MAX];
        size_t bad = 1, bytes = utf8_length(run, (size_t)(last - run), &bad);
        if (bytes == 1)
            buf_add(w->buf, escaped, escape(escaped, (unsigned char)*run));
        else if (bytes)
            buf_add(w->buf, run, bytes);
        else
            buf_add(w->buf, UTF8_REPLACEMENT, UTF8_REPLACEMENT_BYTES);
        p = run + (bytes ? bytes : bad);
    }
    buf_add_char(w->buf, '"');
}

static inline void before_name(struct json_writer *w)
{
    assert(w->depth > 0 && (w->objects & 1) && !w->named);
    if (w->comma)
        buf_add_char(w->buf, ',');
    w->named = true;
}

void json_put_name(struct json_writer *w, const char *name)
{
    struct str text = str_of(name);
    before_name(w);
    if (!buf_reserve(w->buf, text.n + 3))
        return;
    char *out = w->buf->p + w->buf->n;
    *out++ = '"';
    memcpy(out, text.p, text.n);
    out[text.n] = '"';
    out[text.n + 1] = ':';
    w->buf->n += text.n + 3;
}

void json_put_name_str(struct json_writer *w, struct str name)
{
    before_name(w);
    put_quoted(w, name);
    buf_add_char(w->buf, ':');
}

void json_put_str(struct json_writer *w, struct str s)
{
    if (!str_given(s)) {
        json_put_null(w);
        return;
    }
    before_value(w);
    put_quoted(w, s);
}

/* The digits of value, right-aligned against end; returns the first. */
static char *digits(char *end, uint64_t value)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    return end;
}

static uint64_t magnitude(int64_t value)
{
    return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

void json_put_int(struct json_writer *w, int64_t value)
{
    char text[INT_BYTES_MAX], *last = text + sizeof text, *p = digits(last, magnitude(value));
    if (value < 0)
        *--p = '-';
    before_value(w);
    buf_add(w->buf, p, (size_t)(last - p));
}

void json_put_decimal(struct json_writer *w, int64_t value, int places)
{
    assert(places >= 0 && places <= PLACES_MAX);
    uint64_t left = magnitude(value);
    while (places > 0 && left % 10 == 0) {
        left /= 10;
        places--;
    }
    char text[INT_BYTES_MAX + 2], *last = text + sizeof text, *p = last;
    for (int i = 0; i < places; i++, left /= 10)
        *--p = (char)('0' + left % 10);
    if (places > 0)
        *--p = '.';
    p = digits(p, left);
    if (value < 0)
        *--p = '-';
    before_value(w);
    buf_add(w->buf, p, (size_t)(last - p));
}

void json_put_bool(struct json_writer *w, bool value)
{
    before_value(w);
    buf_add_str(w->buf, value ? S("true") : S("false"));
}

void json_put_null(struct json_writer *w)
{
    before_value(w);
    buf_add_str(w->buf, S("null"));
}

void json_put_raw(struct json_writer *w, struct str json)
{
    before_value(w);
    buf_add_str(w->buf, json);
}

enum err json_copy_members(struct op *op, struct json_writer *w, struct str object,
                           bool (*change)(struct json_writer *w, struct str name, struct str value, void *data),
                           void *data)
{
    struct json j;
    struct str name, value;
    json_init(&j, op->arena, object.n ? object : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (json_raw(&j, &value) && !(change && change(w, name, value, data))) {
                json_put_name_str(w, name);
                json_put_raw(w, value);
            }
    return json_finish(&j, op);
}
