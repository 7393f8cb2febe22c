/*
 * json_text.c - texts that are not plain ASCII: escapes and UTF-8, checked, then decoded.
 */
#include "base/json_own.h"
#include "base/utf8.h"

#include <assert.h>
#include <string.h>

/* What may follow a backslash beside 'u', and what it means. */
static const char escape_letters[] = { '"', '\\', '/', 'b', 'f', 'n', 'r', 't' };
static const char escape_codes[] = { '"', '\\', '/', '\b', '\f', '\n', '\r', '\t' };

/* The four hex digits at p, or -1. */
static int hex4(const char *p, const char *end)
{
    int code = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        code = code << 4 | digit;
    }
    return code;
}

/* The second half of a surrogate pair, "\uDC00" to "\uDFFF", stands at p. */
static bool is_low_surrogate(const char *p, const char *end)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && (hex4(p + 2, end) & ~0x3FF) == 0xDC00;
}

/* Behind the escape whose backslash is at p. A surrogate pair is one escape. */
static const char *escape_end(struct json *j, const char *p)
{
    if (j->end - p < 2)
        return json_stop(j, p, "the text ends inside an escape");
    if (p[1] != 'u')
        return memchr(escape_letters, p[1], sizeof escape_letters) ? p + 2 : json_stop(j, p, "no such escape");

    int code = hex4(p + 2, j->end);
    if (code < 0)
        return json_stop(j, p, "\\u wants four hex digits");
    if ((code & ~0x3FF) == 0xD800 && is_low_surrogate(p + 6, j->end))
        return p + 12;
    if ((code & ~0x7FF) == 0xD800 && !j->tolerant)
        return json_stop(j, p, "half of a surrogate pair");
    return p + 6;
}

const char *json_text_end(struct json *j, const char *p, struct json_shape *shape)
{
    const char *quote = p - 1;
    *shape = (struct json_shape){ .plain = true };
    for (;;) {
        p = json_plain_run(p, j->end);
        if (p == j->end)
            return json_stop(j, quote, "this text is never closed");
        if (*p == '"')
            return p;
        if ((unsigned char)*p < ' ')
            return json_stop(j, p, "a control character inside a text must be escaped");
        if (*p == '\\') {
            shape->plain = false;
            p = escape_end(j, p);
            if (!p)
                return NULL;
            continue;
        }
        size_t bad, bytes = utf8_length(p, (size_t)(j->end - p), &bad);
        if (bytes == 0 && !j->tolerant)
            return json_stop(j, p, "these bytes are no UTF-8");
        if (bytes == 0) {
            shape->plain = false;
            shape->bad++;
        }
        p += bytes ? bytes : bad;
    }
}

/* The character of the escape at *p, which is moved behind it; escape_end has accepted it. */
static uint32_t escape_decode(const char **p, const char *end)
{
    const char *at = *p;
    if (at[1] != 'u') {
        const char *letter = memchr(escape_letters, at[1], sizeof escape_letters);
        assert(letter);
        *p += 2;
        return (uint32_t)escape_codes[letter - escape_letters];
    }
    uint32_t code = (uint32_t)hex4(at + 2, end);
    *p += 6;
    if ((code & ~0x7FFu) != 0xD800)
        return code;
    if (code >= 0xDC00 || !is_low_surrogate(*p, end))
        return 0xFFFD;
    uint32_t low = (uint32_t)hex4(*p + 2, end);
    *p += 6;
    return 0x10000 + ((code & 0x3FF) << 10) + (low & 0x3FF);
}

static size_t text_decode(char *out, const char *p, const char *end)
{
    char *begin = out;
    while (p < end) {
        const char *run = json_plain_run(p, end);
        memcpy(out, p, (size_t)(run - p));
        out += run - p;
        p = run;
        if (p == end)
            break;
        if (*p == '\\') {
            out += utf8_put(out, escape_decode(&p, end));
            continue;
        }
        size_t bad, bytes = utf8_length(p, (size_t)(end - p), &bad);
        memcpy(out, bytes ? p : UTF8_REPLACEMENT, bytes ? bytes : UTF8_REPLACEMENT_BYTES);
        out += bytes ? bytes : UTF8_REPLACEMENT_BYTES;
        p += bytes ? bytes : bad;
    }
    return (size_t)(out - begin);
}

const char *json_text_read_long(struct json *j, const char *p, struct str *ret)
{
    struct json_shape shape;
    const char *close = json_text_end(j, p, &shape);
    if (!close)
        return NULL;
    size_t n = (size_t)(close - p);
    if (shape.plain) {
        *ret = (struct str){ p, n };
        return close + 1;
    }
    /* An escape is never shorter than its character. */
    char *out = arena_alloc_raw(j->arena, n + shape.bad * (UTF8_REPLACEMENT_BYTES - 1));
    if (!out) {
        j->full = true;
        return json_stop(j, p - 1, "this text does not fit the memory of the operation");
    }
    *ret = (struct str){ out, text_decode(out, p, close) };
    return close + 1;
}
