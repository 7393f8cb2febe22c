#include "base/json.h"
#include "base/json_bytes.h"
#include "base/utf8.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum json_place {
    PLACE_VALUE,  /* in front of a value */
    PLACE_FIRST,  /* just inside a container */
    PLACE_NEXT,   /* behind a value */
    PLACE_STOPPED /* behind a syntax error */
};

/* Everything below here works on a pointer that moves along the text; NULL says that the error is noted. */
static const char *stop(struct json *j, const char *p, const char *why)
{
    j->error = why;
    j->p = p;
    j->place = PLACE_STOPPED;
    return NULL;
}

/* Over blanks. Compact text has none and "name": value has one: both are answered at once. */
static inline const char *blanks(const char *p, const char *end)
{
    if (p < end && (unsigned char)*p > ' ')
        return p;
    if (end - p >= 2 && *p == ' ' && (unsigned char)p[1] > ' ')
        return p + 1;
    return json_blanks_long(p, end);
}

static inline bool is_digit(const char *p, const char *end)
{
    return p < end && *p >= '0' && *p <= '9';
}

/*
 * Texts
 */

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
        return stop(j, p, "the text ends inside an escape");
    if (p[1] != 'u')
        return memchr(escape_letters, p[1], sizeof escape_letters) ? p + 2 : stop(j, p, "no such escape");

    int code = hex4(p + 2, j->end);
    if (code < 0)
        return stop(j, p, "\\u wants four hex digits");
    if ((code & ~0x3FF) == 0xD800 && is_low_surrogate(p + 6, j->end))
        return p + 12;
    if ((code & ~0x7FF) == 0xD800 && !j->tolerant)
        return stop(j, p, "half of a surrogate pair");
    return p + 6;
}

/* What json_string must know about a text beside its end. */
struct shape {
    bool plain; /* the bytes are the text */
    size_t bad; /* places where U+FFFD makes it longer */
};

/* To the closing quote of the text whose first byte is p. */
static const char *text_end(struct json *j, const char *p, struct shape *shape)
{
    const char *quote = p - 1;
    *shape = (struct shape){ .plain = true };
    for (;;) {
        p = json_plain_run(p, j->end);
        if (p == j->end)
            return stop(j, quote, "this text is never closed");
        if (*p == '"')
            return p;
        if ((unsigned char)*p < ' ')
            return stop(j, p, "a control character inside a text must be escaped");
        if (*p == '\\') {
            shape->plain = false;
            p = escape_end(j, p);
            if (!p)
                return NULL;
            continue;
        }
        size_t bad, bytes = utf8_length(p, (size_t)(j->end - p), &bad);
        if (bytes == 0 && !j->tolerant)
            return stop(j, p, "these bytes are no UTF-8");
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

/* Slow half of text_read: not only plain ASCII. */
static const char *text_read_long(struct json *j, const char *p, struct str *ret)
{
    struct shape shape;
    const char *close = text_end(j, p, &shape);
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
        return stop(j, p - 1, "this text does not fit the memory of the operation");
    }
    *ret = (struct str){ out, text_decode(out, p, close) };
    return close + 1;
}

/* Behind the text whose opening quote is at p. */
static inline const char *text_read(struct json *j, const char *p, struct str *ret)
{
    const char *close = json_plain_run(p + 1, j->end);
    if (close == j->end || *close != '"')
        return text_read_long(j, p + 1, ret);
    *ret = (struct str){ p + 1, (size_t)(close - p - 1) };
    return close + 1;
}

static inline const char *text_skip(struct json *j, const char *p)
{
    struct shape shape;
    const char *close = json_plain_run(p + 1, j->end);
    if (close == j->end || *close != '"')
        close = text_end(j, p + 1, &shape);
    return close ? close + 1 : NULL;
}

/*
 * Values
 */

static inline const char *number_end(struct json *j, const char *p)
{
    const char *end = j->end;
    p += *p == '-';
    if (!is_digit(p, end))
        return stop(j, p, "expected a digit");
    if (*p++ != '0') {
        while (is_digit(p, end))
            p++;
    } else if (is_digit(p, end)) {
        return stop(j, p - 1, "a number must not begin with 0");
    }
    if (p < end && *p == '.') {
        if (!is_digit(++p, end))
            return stop(j, p, "expected a digit behind the decimal point");
        while (is_digit(p, end))
            p++;
    }
    if (p < end && (*p | 32) == 'e') {
        p++;
        p += p < end && (*p == '+' || *p == '-');
        if (!is_digit(p, end))
            return stop(j, p, "expected a digit in the exponent");
        while (is_digit(p, end))
            p++;
    }
    return p;
}

static inline const char *word_end(struct json *j, const char *p, struct str word)
{
    if ((size_t)(j->end - p) < word.n || memcmp(p, word.p, word.n) != 0)
        return stop(j, p, "expected a value");
    return p + word.n;
}

/* Behind the text, number or word at p. */
static inline const char *scalar_end(struct json *j, const char *p)
{
    if (p == j->end)
        return stop(j, p, "the text ends where a value should stand");
    switch (*p) {
    case '"':
        return text_skip(j, p);
    case 't':
        return word_end(j, p, S("true"));
    case 'f':
        return word_end(j, p, S("false"));
    case 'n':
        return word_end(j, p, S("null"));
    default:
        return *p == '-' || is_digit(p, j->end) ? number_end(j, p) : stop(j, p, "expected a value");
    }
}

static const char *stop_at_separator(struct json *j, const char *p, bool object)
{
    if (p == j->end)
        return stop(j, p, object ? "the text ends inside an object" : "the text ends inside an array");
    return stop(j, p, object ? "expected ',' or '}'" : "expected ',' or ']'");
}

static const char *stop_at_name(struct json *j, const char *p)
{
    return stop(j, p, p == j->end ? "the text ends inside an object" : "expected a name in quotes");
}

/* Behind the colon that follows a name. */
static inline const char *colon(struct json *j, const char *p)
{
    p = blanks(p, j->end);
    if (p == j->end || *p != ':')
        return stop(j, p, "expected ':' behind a name");
    return p + 1;
}

/* Behind the name and colon at p. */
static inline const char *name_skip(struct json *j, const char *p)
{
    p = blanks(p, j->end);
    if (p == j->end || *p != '"')
        return stop_at_name(j, p);
    p = text_skip(j, p);
    return p ? colon(j, p) : NULL;
}

static inline char closing(uint64_t objects)
{
    return objects & 1 ? '}' : ']';
}

static const char *too_deep(struct json *j, const char *p)
{
    return stop(j, p, "too many objects and arrays inside each other");
}

/*
 * Behind the rest of a container that lies inside `outer` others; `fresh` says that p is just inside it. A provider's
 * page spends most of its time here, so one loop walks all depths with its own stack of bits.
 */
static const char *container_end(struct json *j, const char *p, bool object, bool fresh, unsigned outer)
{
    const char *end = j->end;
    uint64_t objects = object;
    unsigned depth = 1;

    while (p && depth > 0) {
        p = blanks(p, end);
        if (p < end && *p == closing(objects)) {
            p++;
            objects >>= 1;
            depth--;
            fresh = false;
            continue;
        }
        if (!fresh) {
            if (p == end || *p != ',')
                return stop_at_separator(j, p, objects & 1);
            p++;
        }
        if (objects & 1 && !(p = name_skip(j, p)))
            return NULL;
        p = blanks(p, end);
        fresh = p < end && (*p == '{' || *p == '[');
        if (!fresh) {
            p = scalar_end(j, p);
            continue;
        }
        if (outer + depth == JSON_DEPTH_MAX)
            return too_deep(j, p);
        objects = objects << 1 | (*p == '{');
        depth++;
        p++;
    }
    return p;
}

/* Behind the value that p, at its first byte, is in front of. */
static inline const char *value_end(struct json *j, const char *p)
{
    if (p == j->end || (*p != '{' && *p != '['))
        return scalar_end(j, p);
    if (j->depth == JSON_DEPTH_MAX)
        return too_deep(j, p);
    return container_end(j, p + 1, *p == '{', true, j->depth);
}

/*
 * The scanner
 */

void json_init(struct json *j, struct arena *arena, struct str text, enum json_mode mode)
{
    const char *p = text.p ? text.p : "";
    *j = (struct json){
        .p = p, .end = p + text.n, .begin = p, .arena = arena, .place = PLACE_VALUE, .tolerant = mode == JSON_TOLERANT
    };
}

/* Moves to the first byte of the value in front; false when there is none to read. */
static inline bool at_value(struct json *j)
{
    if (j->place != PLACE_VALUE)
        return false;
    j->p = blanks(j->p, j->end);
    return true;
}

/* The scanner stands behind a value that ended at p; NULL when it did not end well. */
static inline bool stand_behind(struct json *j, const char *p)
{
    if (!p)
        return false;
    j->p = p;
    j->place = PLACE_NEXT;
    return true;
}

enum json_type json_type(struct json *j)
{
    if (!at_value(j) || j->p == j->end)
        return JSON_END;
    switch (*j->p) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return *j->p == '-' || is_digit(j->p, j->end) ? JSON_NUMBER : JSON_END;
    }
}

void json_skip(struct json *j)
{
    if (at_value(j))
        stand_behind(j, value_end(j, j->p));
}

/* True when a value that begins with this byte is in front; any other value is eaten. */
static inline bool at_value_of(struct json *j, char first)
{
    if (!at_value(j))
        return false;
    if (j->p < j->end && *j->p == first)
        return true;
    json_skip(j);
    return false;
}

static bool enter(struct json *j, char opening)
{
    if (!at_value_of(j, opening))
        return false;
    if (j->depth == JSON_DEPTH_MAX)
        return too_deep(j, j->p);
    j->objects = j->objects << 1 | (opening == '{');
    j->depth++;
    j->p++;
    j->place = PLACE_FIRST;
    return true;
}

bool json_enter_object(struct json *j)
{
    return enter(j, '{');
}

bool json_enter_array(struct json *j)
{
    return enter(j, '[');
}

static bool leave_at(struct json *j, const char *p)
{
    j->objects >>= 1;
    j->depth--;
    stand_behind(j, p);
    return false;
}

/*
 * To the next member or item of the innermost container: past a value that nobody read and past the comma. NULL when
 * the container is left or there was an error.
 */
static inline const char *next(struct json *j, bool object)
{
    if (j->place == PLACE_VALUE)
        json_skip(j);
    if (j->place == PLACE_STOPPED)
        return NULL;
    assert(j->depth > 0 && (j->objects & 1) == object); /* the loop belongs to what was entered */

    const char *p = blanks(j->p, j->end);
    if (p < j->end && *p == (object ? '}' : ']')) {
        leave_at(j, p + 1);
        return NULL;
    }
    if (j->place == PLACE_FIRST)
        return p;
    if (p == j->end || *p != ',')
        return stop_at_separator(j, p, object);
    return blanks(p + 1, j->end);
}

bool json_next_member(struct json *j, struct str *ret_name)
{
    struct str name;
    const char *p = next(j, true);
    if (!p)
        return false;
    if (p == j->end || *p != '"')
        return stop_at_name(j, p);
    p = text_read(j, p, &name);
    p = p ? colon(j, p) : NULL;
    if (!p)
        return false;
    j->p = p;
    j->place = PLACE_VALUE;
    *ret_name = name;
    return true;
}

bool json_next_item(struct json *j)
{
    const char *p = next(j, false);
    if (!p)
        return false;
    j->p = p;
    j->place = PLACE_VALUE;
    return true;
}

void json_leave(struct json *j)
{
    json_skip(j);
    if (j->place == PLACE_STOPPED)
        return;
    assert(j->depth > 0);
    const char *p = container_end(j, j->p, j->objects & 1, j->place == PLACE_FIRST, j->depth - 1u);
    if (p)
        leave_at(j, p);
}

bool json_string(struct json *j, struct str *ret)
{
    struct str text;
    if (!at_value_of(j, '"') || !stand_behind(j, text_read(j, j->p, &text)))
        return false;
    *ret = text;
    return true;
}

bool json_number_text(struct json *j, struct str *ret)
{
    bool number = json_type(j) == JSON_NUMBER;
    struct str raw;
    if (!json_raw(j, &raw) || !number)
        return false;
    *ret = raw;
    return true;
}

bool json_int(struct json *j, int64_t min, int64_t max, int64_t *ret)
{
    struct str text;
    return json_number_text(j, &text) && str_to_int(text, min, max, ret);
}

bool json_bool(struct json *j, bool *ret)
{
    bool wanted = json_type(j) == JSON_BOOL;
    struct str raw;
    if (!json_raw(j, &raw) || !wanted)
        return false;
    *ret = raw.p[0] == 't';
    return true;
}

bool json_null(struct json *j)
{
    if (json_type(j) != JSON_NULL)
        return false;
    json_skip(j);
    return json_ok(j);
}

bool json_raw(struct json *j, struct str *ret)
{
    if (!at_value(j))
        return false;
    const char *begin = j->p;
    if (!stand_behind(j, value_end(j, begin)))
        return false;
    *ret = (struct str){ begin, (size_t)(j->p - begin) };
    return true;
}

bool json_find(struct arena *arena, struct str text, enum json_mode mode, struct str name, struct str *ret)
{
    struct json j;
    struct str member;
    bool found = false;
    json_init(&j, arena, text, mode);
    if (json_enter_object(&j))
        while (json_next_member(&j, &member))
            if (str_eq(member, name))
                found = json_raw(&j, ret);
    return found;
}

static enum err fail_here(struct json *j, struct op *op)
{
    int64_t line = 1, column = 1;
    for (const char *p = j->begin; p < j->p; p++) {
        bool new_line = *p == '\n';
        line += new_line;
        column = new_line ? 1 : column + (((unsigned char)*p & 0xC0) != 0x80); /* characters, not bytes */
    }
    return fail(op, j->full ? ERR_TOO_LARGE : ERR_MALFORMED, "line %" PRId64 " column %" PRId64 ": %s", line, column,
                j->error);
}

enum err json_finish(struct json *j, struct op *op)
{
    json_skip(j);
    while (j->depth > 0 && json_ok(j))
        json_leave(j);
    if (json_ok(j)) {
        j->p = blanks(j->p, j->end);
        if (j->p < j->end)
            stop(j, j->p, "something stands behind the end of the JSON text");
    }
    return json_ok(j) ? OK : fail_here(j, op);
}

const char *json_type_name(enum json_type type)
{
    static const char *const names[] = {
        [JSON_END] = "nothing",     [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "an array", [JSON_STRING] = "text",
        [JSON_NUMBER] = "a number", [JSON_BOOL] = "true or false", [JSON_NULL] = "null",
    };
    return names[type];
}
