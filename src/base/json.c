#include "base/json_own.h"

#include <assert.h>
#include <inttypes.h>

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
    j->p = json_blanks(j->p, j->end);
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
        return *j->p == '-' || json_is_digit(j->p, j->end) ? JSON_NUMBER : JSON_END;
    }
}

void json_skip(struct json *j)
{
    if (at_value(j))
        stand_behind(j, json_value_end(j, j->p));
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
        return json_too_deep(j, j->p);
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

    const char *p = json_blanks(j->p, j->end);
    if (p < j->end && *p == (object ? '}' : ']')) {
        leave_at(j, p + 1);
        return NULL;
    }
    if (j->place == PLACE_FIRST)
        return p;
    if (p == j->end || *p != ',')
        return json_stop_at_separator(j, p, object);
    return json_blanks(p + 1, j->end);
}

bool json_next_member(struct json *j, struct str *ret_name)
{
    struct str name;
    const char *p = next(j, true);
    if (!p)
        return false;
    if (p == j->end || *p != '"')
        return json_stop_at_name(j, p);
    p = json_text_read(j, p, &name);
    p = p ? json_colon(j, p) : NULL;
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
    const char *p = json_container_end(j, j->p, j->objects & 1, j->place == PLACE_FIRST, j->depth - 1u);
    if (p)
        leave_at(j, p);
}

bool json_string(struct json *j, struct str *ret)
{
    struct str text;
    if (!at_value_of(j, '"') || !stand_behind(j, json_text_read(j, j->p, &text)))
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
    if (!stand_behind(j, json_value_end(j, begin)))
        return false;
    *ret = (struct str){ begin, (size_t)(j->p - begin) };
    return true;
}

bool json_find(struct arena *arena, struct str text, enum json_mode mode, struct str name, struct str *ret)
{
    struct json j;
    struct str member = { 0 };
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
        j->p = json_blanks(j->p, j->end);
        if (j->p < j->end)
            json_stop(j, j->p, "something stands behind the end of the JSON text");
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
