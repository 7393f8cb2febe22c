/*
 * job_canonical.c - one text for all ways to write the same JSON value (UNI-1).
 *
 * 1, 1.0 and 1e0 are one number, {"a":1,"b":2} and {"b":2,"a":1} one object,
 * "A" and "\u0041" one text. Only equality of the result means something.
 */
#include <stdlib.h>
#include <string.h>

#include "base/json_write.h"
#include "engine/job_read.h"

#define PLAIN_ZEROS_MAX 40 /* numbers with more zeros at an end are written with an exponent */

struct member {
    struct str name, value;
    size_t place;
};

static enum err canonical_value(struct op *op, struct json *j, struct buf *buf);

/* --- numbers --- */

struct decimal {
    bool negative;
    struct str digits; /* without zeros at either end; empty = 0 */
    int64_t exponent;  /* value = digits * 10^exponent */
};

static enum err decimal_read(struct op *op, struct str text, struct decimal *ret)
{
    size_t mantissa = 0, whole;
    while (mantissa < text.n && text.p[mantissa] != 'e' && text.p[mantissa] != 'E')
        mantissa++;
    int64_t exponent = 0;
    if (mantissa < text.n) {
        struct str e = { text.p + mantissa + 1, text.n - mantissa - 1 };
        if (e.n && e.p[0] == '+')
            e.p++, e.n--;
        if (!str_to_int(e, -1000000000, 1000000000, &exponent))
            return fail(op, ERR_INVALID, "an exponent of a number in args is too large to be compared");
    }
    ret->negative = text.p[0] == '-';
    struct str number = { text.p + ret->negative, mantissa - ret->negative };
    whole = str_find(number, '.');
    char *digits = arena_alloc_raw(op->arena, number.n + 1);
    if (!digits)
        return fail(op, ERR_TOO_LARGE, "a number in args is too long");
    size_t n = 0;
    for (size_t i = 0; i < number.n; i++)
        if (number.p[i] != '.')
            digits[n++] = number.p[i];
    exponent -= whole < number.n ? (int64_t)(number.n - whole - 1) : 0;
    for (; n && digits[n - 1] == '0'; n--)
        exponent++;
    while (n && digits[0] == '0')
        digits++, n--;
    ret->digits = (struct str){ digits, n };
    ret->exponent = exponent;
    return OK;
}

static void zeros(struct buf *buf, int64_t n)
{
    for (; n > 0; n--)
        buf_add_char(buf, '0');
}

static enum err canonical_number(struct op *op, struct str text, struct buf *buf)
{
    struct decimal d = { 0 };
    TRY(decimal_read(op, text, &d));
    if (d.digits.n == 0) {
        buf_add_char(buf, '0');
        return OK;
    }
    if (d.negative)
        buf_add_char(buf, '-');
    int64_t point = (int64_t)d.digits.n + d.exponent; /* digits in front of the point */
    if (d.exponent >= 0 && d.exponent <= PLAIN_ZEROS_MAX) {
        buf_add_str(buf, d.digits);
        zeros(buf, d.exponent);
    } else if (d.exponent < 0 && point > 0) {
        buf_add(buf, d.digits.p, (size_t)point);
        buf_add_char(buf, '.');
        buf_add(buf, d.digits.p + point, d.digits.n - (size_t)point);
    } else if (d.exponent < 0 && point >= -PLAIN_ZEROS_MAX) {
        buf_add_str(buf, S("0."));
        zeros(buf, -point);
        buf_add_str(buf, d.digits);
    } else {
        buf_add_str(buf, d.digits);
        buf_add_fmt(buf, "e%lld", (long long)d.exponent);
    }
    return OK;
}

/* --- containers --- */

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = str_cmp(x->name, y->name);
    return order ? order : (x->place > y->place) - (x->place < y->place);
}

static void put_text(struct buf *buf, struct str text)
{
    struct json_writer w;
    json_write_init(&w, buf);
    json_put_str(&w, text);
}

/* The canonical value of the member in front, in the arena. */
static enum err member_value(struct op *op, struct json *j, struct str *ret)
{
    struct buf value;
    buf_init_arena(&value, op->arena, JOB_BYTES_MAX * 2);
    TRY(canonical_value(op, j, &value));
    if (value.full)
        return fail(op, ERR_TOO_LARGE, "args are too large to be compared");
    *ret = buf_str(&value);
    return OK;
}

/* Of members with one name the last one counts. */
static void write_members(struct buf *buf, const struct member *members, size_t n)
{
    bool comma = false;
    buf_add_char(buf, '{');
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && str_eq(members[i].name, members[i + 1].name))
            continue;
        if (comma)
            buf_add_char(buf, ',');
        comma = true;
        put_text(buf, members[i].name);
        buf_add_char(buf, ':');
        buf_add_str(buf, members[i].value);
    }
    buf_add_char(buf, '}');
}

static enum err canonical_object(struct op *op, struct json *j, struct buf *buf)
{
    size_t n = 0, room = 0;
    struct member *members = NULL;
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name)) {
        if (n == room) {
            struct member *more;
            TRY(op_alloc(op, (room ? room * 2 : 8) * sizeof *more, &more));
            if (n)
                memcpy(more, members, n * sizeof *more);
            members = more;
            room = room ? room * 2 : 8;
        }
        members[n].name = name;
        members[n].place = n;
        TRY(member_value(op, j, &members[n++].value));
    }
    if (n)
        qsort(members, n, sizeof *members, by_name);
    write_members(buf, members, n);
    return OK;
}

static enum err canonical_array(struct op *op, struct json *j, struct buf *buf)
{
    bool comma = false;
    if (!json_enter_array(j))
        return OK;
    buf_add_char(buf, '[');
    while (json_next_item(j)) {
        if (comma)
            buf_add_char(buf, ',');
        comma = true;
        TRY(canonical_value(op, j, buf));
    }
    buf_add_char(buf, ']');
    return OK;
}

static enum err canonical_value(struct op *op, struct json *j, struct buf *buf)
{
    struct str text = { 0 };
    switch (json_type(j)) {
    case JSON_OBJECT:
        return canonical_object(op, j, buf);
    case JSON_ARRAY:
        return canonical_array(op, j, buf);
    case JSON_NUMBER:
        return json_number_text(j, &text) ? canonical_number(op, text, buf) : OK;
    case JSON_STRING:
        if (json_string(j, &text))
            put_text(buf, text);
        return OK;
    case JSON_BOOL:
    case JSON_NULL:
        if (json_raw(j, &text))
            buf_add_str(buf, text);
        return OK;
    case JSON_END:
        return OK;
    }
    return OK;
}

enum err job_canonical(struct op *op, struct str json, struct buf *buf)
{
    struct json j;
    json_init(&j, op->arena, json, JSON_STRICT);
    TRY(canonical_value(op, &j, buf));
    TRY(json_finish(&j, op));
    return buf->full ? fail(op, ERR_TOO_LARGE, "args are too large to be compared") : OK;
}
