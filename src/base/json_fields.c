#include "base/json_fields.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/near.h"

#define NAME_BYTES_MAX 64 /* of an unknown name that we quote back */

/* One object being read. */
struct reader {
    struct op *op;
    struct json *j;
    const char *base;
    const struct json_field *fields;
    size_t count;
    char *target;
    struct json_seen seen;
    struct json_problems *problems;
    struct json start; /* in front of the object */
    uint64_t there;    /* fields that stand anywhere in it, also further behind; once it was asked for */
    bool there_is_known;
    bool wrong; /* a problem was found */
};

enum err json_problem(struct op *op, struct json_problems *problems, const char *pointer, const char *format, ...)
{
    char detail[OP_ERROR_BYTES_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);

    if (!problems || problems->count == 0)
        fail_at(op, ERR_INVALID, pointer, "%s%s%s", pointer[0] ? pointer + 1 : "body", ": ", detail);
    if (problems && problems->count < JSON_PROBLEMS_MAX) {
        problems->items[problems->count].pointer = arena_str(op->arena, str_of(pointer));
        problems->items[problems->count].detail = arena_str(op->arena, str_clip(str_of(detail), sizeof detail - 4));
        problems->count++;
    }
    return ERR_INVALID;
}

/* "base/name", with '~' and '/' of the name escaped (RFC 6901). An overlong name is cut, never overrun. */
static void write_pointer(char *out, size_t size, const char *base, struct str name)
{
    size_t n = (size_t)snprintf(out, size, "%s/", base);
    name = str_clip(name, NAME_BYTES_MAX);
    for (size_t i = 0; i < name.n && n + 3 < size; i++) {
        if (name.p[i] == '~' || name.p[i] == '/') {
            out[n++] = '~';
            out[n++] = name.p[i] == '~' ? '0' : '1';
        } else if (name.p[i] != '\0') {
            out[n++] = name.p[i];
        }
    }
    if (n < size)
        out[n] = '\0';
}

#define PROBLEM(r, name, ...)                                                                                          \
    do {                                                                                                               \
        char pointer_[OP_POINTER_BYTES_MAX];                                                                           \
        write_pointer(pointer_, sizeof pointer_, (r)->base, (name));                                                   \
        json_problem((r)->op, (r)->problems, pointer_, __VA_ARGS__);                                                   \
        (r)->wrong = true;                                                                                             \
    } while (0)

static void must_be(struct reader *r, struct str name, const char *wanted, enum json_type type)
{
    /* JSON_END is a syntax error, which the scanner reports by itself. */
    if (type != JSON_END)
        PROBLEM(r, name, "must be %s, not %s", wanted, json_type_name(type));
}

/* What is wrong with a text's bytes; true when nothing. */
static bool check_text(struct reader *r, struct str name, const struct json_field *field, struct str text)
{
    if (json_has_nul(text))
        PROBLEM(r, name, "must not contain a NUL character");
    else if (text.n == 0 && field->min > 0)
        PROBLEM(r, name, "must not be empty");
    else if ((int64_t)text.n < field->min)
        PROBLEM(r, name, "is %zu bytes long, at least %" PRId64 " are needed", text.n, field->min);
    else if ((int64_t)text.n > field->max)
        PROBLEM(r, name, "is %zu bytes long, at most %" PRId64 " are allowed", text.n, field->max);
    else
        return true;
    return false;
}

static void read_str(struct reader *r, struct str name, const struct json_field *field, void *target)
{
    enum json_type type = json_type(r->j);
    struct str text;
    if (json_string(r->j, &text)) {
        if (check_text(r, name, field, text))
            *(struct str *)target = text;
    } else if (json_ok(r->j)) {
        must_be(r, name, "text", type);
    }
}

static void read_int(struct reader *r, struct str name, const struct json_field *field, void *target)
{
    enum json_type type = json_type(r->j);
    if (json_int(r->j, field->min, field->max, target) || !json_ok(r->j))
        return;
    if (type == JSON_NUMBER)
        PROBLEM(r, name, "must be a whole number from %" PRId64 " to %" PRId64, field->min, field->max);
    else
        must_be(r, name, "a number", type);
}

static void read_bool(struct reader *r, struct str name, void *target)
{
    enum json_type type = json_type(r->j);
    if (!json_bool(r->j, target) && json_ok(r->j))
        must_be(r, name, "true or false", type);
}

/* A value kept as its bytes; wanted is its type, or JSON_END for any. */
static void read_raw(struct reader *r, struct str name, const struct json_field *field, enum json_type wanted,
                     void *target)
{
    enum json_type type = json_type(r->j);
    struct str raw;
    if (!json_raw(r->j, &raw))
        return;
    if (wanted != JSON_END && type != wanted)
        must_be(r, name, json_type_name(wanted), type);
    else if (field->max > 0 && (int64_t)raw.n > field->max)
        PROBLEM(r, name, "is %zu bytes long, at most %" PRId64 " are allowed", raw.n, field->max);
    else
        *(struct str *)target = raw;
}

static size_t count_items(struct json j)
{
    size_t count = 0;
    if (json_enter_array(&j))
        while (json_next_item(&j))
            count++;
    return count;
}

/* Reads the items of the array in front, each with its own pointer ("/to/3"). */
static void read_items(struct reader *r, struct str name, const struct json_field *field, struct str *items)
{
    size_t index = 0;
    if (!json_enter_array(r->j))
        return;
    while (json_next_item(r->j)) {
        char base[OP_POINTER_BYTES_MAX], number[24];
        write_pointer(base, sizeof base, r->base, name);
        snprintf(number, sizeof number, "%zu", index);

        struct reader inner = *r;
        inner.base = base;
        read_str(&inner, str_of(number), field, &items[index++]);
        r->wrong = inner.wrong;
    }
}

static void read_strs(struct reader *r, struct str name, const struct json_field *field, void *target)
{
    enum json_type type = json_type(r->j);
    struct str *items;
    if (type != JSON_ARRAY) {
        must_be(r, name, "an array of texts", type);
        return;
    }
    size_t count = count_items(*r->j);
    if (count > field->item_max) {
        PROBLEM(r, name, "has %zu items, at most %zu are allowed", count, field->item_max);
        return;
    }
    items = arena_alloc(r->op->arena, (count + 1) * sizeof *items);
    if (!items) {
        PROBLEM(r, name, "does not fit the memory of the operation");
        return;
    }
    read_items(r, name, field, items);
    *(struct json_strs *)target = (struct json_strs){ items, count };
}

static void read_value(struct reader *r, const struct json_field *field)
{
    void *target = r->target + field->offset;
    struct str name = str_of(field->name);
    switch (field->kind) {
    case JSON_FIELD_STR:
        read_str(r, name, field, target);
        break;
    case JSON_FIELD_INT:
        read_int(r, name, field, target);
        break;
    case JSON_FIELD_BOOL:
        read_bool(r, name, target);
        break;
    case JSON_FIELD_OBJECT:
        read_raw(r, name, field, JSON_OBJECT, target);
        break;
    case JSON_FIELD_ARRAY:
        read_raw(r, name, field, JSON_ARRAY, target);
        break;
    case JSON_FIELD_RAW:
        read_raw(r, name, field, JSON_END, target);
        break;
    case JSON_FIELD_STRS:
        read_strs(r, name, field, target);
        break;
    }
}

static size_t field_of(const struct reader *r, struct str name)
{
    size_t i = 0;
    while (i < r->count && !str_eq(name, str_of(r->fields[i].name)))
        i++;
    return i;
}

static uint64_t fields_there(struct reader *r)
{
    struct json j = r->start;
    struct str name;
    if (!r->there_is_known && json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            size_t i = field_of(r, name);
            r->there |= i < r->count ? UINT64_C(1) << i : 0;
        }
    r->there_is_known = true;
    return r->there;
}

/* The field an unknown name was meant for: the nearest that is not given, else the first that is needed and missing. */
static struct str field_meant(struct reader *r, struct str name)
{
    struct near near = near_to(name);
    struct str missing = { 0 };
    uint64_t there = fields_there(r);
    for (size_t i = 0; i < r->count; i++) {
        if (there >> i & 1)
            continue;
        near_try(&near, str_of(r->fields[i].name));
        if (!str_given(missing) && (r->fields[i].flags & JSON_REQUIRED))
            missing = str_of(r->fields[i].name);
    }
    return str_given(near_best(&near)) ? near_best(&near) : missing;
}

static void unknown_field(struct reader *r, struct str name)
{
    struct str meant = field_meant(r, name);
    if (str_given(meant))
        PROBLEM(r, name, "there is no such field; did you mean '%.*s'?", STR(meant));
    else
        PROBLEM(r, name, "there is no such field");
}

static void read_member(struct reader *r, struct str name)
{
    size_t i = field_of(r, name);
    if (i == r->count) {
        unknown_field(r, name);
        return;
    }
    const struct json_field *field = &r->fields[i];
    if (json_given(&r->seen, (unsigned)i)) {
        PROBLEM(r, name, "is given twice");
        return;
    }
    r->seen.given |= UINT64_C(1) << i;
    if (json_type(r->j) == JSON_NULL)
        r->seen.null |= UINT64_C(1) << i;
    if (field->kind != JSON_FIELD_RAW && (field->flags & JSON_NULLABLE) && json_null(r->j))
        return;
    read_value(r, field);
}

static void check_required(struct reader *r)
{
    for (size_t i = 0; i < r->count; i++)
        if ((r->fields[i].flags & JSON_REQUIRED) && !json_given(&r->seen, (unsigned)i))
            PROBLEM(r, str_of(r->fields[i].name), "is required");
}

/* True when an object was read, with or without problems. */
static bool read_object(struct reader *r)
{
    enum json_type type = json_type(r->j);
    struct str name;
    if (!json_enter_object(r->j)) {
        if (type != JSON_END && json_ok(r->j)) {
            json_problem(r->op, r->problems, r->base, "must be an object, not %s", json_type_name(type));
            r->wrong = true;
        }
        return false;
    }
    while (json_next_member(r->j, &name))
        read_member(r, name);
    return json_ok(r->j);
}

enum err json_fields(struct op *op, struct json *j, const char *base, const struct json_field *fields, size_t count,
                     void *target, struct json_seen *seen, struct json_problems *problems)
{
    assert(count <= JSON_FIELDS_MAX);
    struct json_problems own = { .count = 0 };
    struct reader r = { .op = op,
                        .j = j,
                        .base = base,
                        .fields = fields,
                        .count = count,
                        .target = target,
                        .start = *j,
                        .problems = problems ? problems : &own };
    if (read_object(&r))
        check_required(&r);
    if (!json_ok(j))
        return json_finish(j, op);
    if (r.wrong)
        return ERR_INVALID;
    if (seen)
        *seen = r.seen;
    return OK;
}

enum err json_read_nested(struct op *op, struct str text, const char *base, const struct json_field *fields,
                          size_t count, void *target, struct json_seen *seen, struct json_problems *problems)
{
    struct json j;
    json_init(&j, op->arena, text, JSON_STRICT);
    enum err err = json_fields(op, &j, base, fields, count, target, seen, problems);
    enum err syntax = json_finish(&j, op); /* says more than any field when the text is no JSON */
    return syntax ? syntax : err;
}

enum err json_read_body(struct op *op, struct str text, const struct json_field *fields, size_t count, void *target,
                        struct json_seen *seen, struct json_problems *problems)
{
    return json_read_nested(op, text, "", fields, count, target, seen, problems);
}
