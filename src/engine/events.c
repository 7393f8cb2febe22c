#include "engine/events.h"

#include <stdio.h>
#include <string.h>

#include "base/id.h"
#include "base/instant.h"
#include "base/json_fields.h"
#include "store/seq.h"

struct raw_event {
    struct str id, type, source, time, tenant, subject, originator, data, receivers;
    bool is_private;
};

#define TEXT(name, max, flags)                                                                                         \
    {                                                                                                                  \
#name, JSON_FIELD_STR, offsetof(struct raw_event, name), max, flags, 1, 0                                      \
    }
static const struct json_field fields[] = {
    TEXT(id, EVENTS_ID_BYTES_MAX, JSON_NULLABLE),
    TEXT(type, EVENTS_TYPE_BYTES_MAX, JSON_REQUIRED),
    TEXT(source, EVENTS_SOURCE_BYTES_MAX, JSON_NULLABLE),
    TEXT(time, 40, JSON_NULLABLE),
    TEXT(tenant, EVENTS_NAME_BYTES_MAX, JSON_NULLABLE),
    TEXT(subject, EVENTS_SUBJECT_BYTES_MAX, JSON_NULLABLE),
    TEXT(originator, EVENTS_NAME_BYTES_MAX, JSON_NULLABLE),
    { "data", JSON_FIELD_RAW, offsetof(struct raw_event, data), EVENTS_DATA_BYTES_MAX, 0, 0, 0 },
    { "receivers", JSON_FIELD_OBJECT, offsetof(struct raw_event, receivers), 0, JSON_NULLABLE, 0, 0 },
    { "private", JSON_FIELD_BOOL, offsetof(struct raw_event, is_private), 0, 0, 0, 0 },
};

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

bool event_type_valid(struct str type)
{
    size_t words = 1, letters = 0;
    for (size_t i = 0; i < type.n; i++) {
        if (type.p[i] == '.') {
            words += letters > 0;
            if (letters == 0)
                return false;
            letters = 0;
        } else if (is_word_byte(type.p[i])) {
            letters++;
        } else {
            return false;
        }
    }
    return letters > 0 && words <= EVENTS_TYPE_WORDS_MAX && type.n <= EVENTS_TYPE_BYTES_MAX;
}

/* An escaped NUL somewhere in JSON text; a backslash that is escaped itself begins no escape. */
static bool has_nul(struct str json)
{
    for (size_t i = 0; i + 1 < json.n; i++) {
        if (json.p[i] != '\\')
            continue;
        i++;
        if (json.p[i] == 'u' && json.n - i > 4 && memcmp(json.p + i + 1, "0000", 4) == 0)
            return true;
    }
    return false;
}

static enum err read_role(struct op *op, struct json *j, struct str role, size_t *ids)
{
    struct str id;
    if (role.n == 0 || role.n > EVENTS_NAME_BYTES_MAX)
        return fail_at(op, ERR_INVALID, "/receivers", "a role has 1 to %d bytes", EVENTS_NAME_BYTES_MAX);
    if (json_type(j) != JSON_ARRAY || !json_enter_array(j))
        return fail_at(op, ERR_INVALID, "/receivers", "a role holds an array of ids");
    while (json_next_item(j)) {
        if (json_type(j) != JSON_STRING || !json_string(j, &id) || id.n == 0 || id.n > EVENTS_NAME_BYTES_MAX)
            return fail_at(op, ERR_INVALID, "/receivers", "an id is a text of 1 to %d bytes", EVENTS_NAME_BYTES_MAX);
        if (++*ids > EVENTS_RECEIVERS_MAX)
            return fail_at(op, ERR_INVALID, "/receivers", "holds more than %d ids", EVENTS_RECEIVERS_MAX);
    }
    return OK;
}

static enum err check_receivers(struct op *op, struct str text)
{
    struct json j;
    struct str role;
    size_t roles = 0, ids = 0;
    if (!str_given(text))
        return OK;
    json_init(&j, op->arena, text, JSON_STRICT);
    if (!json_enter_object(&j))
        return json_finish(&j, op);
    while (json_next_member(&j, &role)) {
        if (++roles > EVENTS_ROLES_MAX)
            return fail_at(op, ERR_INVALID, "/receivers", "holds more than %d roles", EVENTS_ROLES_MAX);
        TRY(read_role(op, &j, role, &ids));
    }
    return json_finish(&j, op);
}

static enum err check_event(struct op *op, const struct raw_event *raw, struct event_row *row)
{
    if (!event_type_valid(raw->type))
        return fail_at(op, ERR_INVALID, "/type", "must be 1 to %d words of [A-Za-z0-9_-] joined by dots",
                       EVENTS_TYPE_WORDS_MAX);
    if (str_given(raw->time) && !instant_parse(raw->time, &row->time_us))
        return fail_at(op, ERR_INVALID, "/time", "must be an RFC 3339 instant, e.g. 2026-11-21T19:00:00Z");
    if (has_nul(raw->data))
        return fail_at(op, ERR_INVALID, "/data", "must not contain a NUL character");
    if (has_nul(raw->receivers))
        return fail_at(op, ERR_INVALID, "/receivers", "must not contain a NUL character");
    return check_receivers(op, raw->receivers);
}

/* The pointer of a field reads as its name for people. */
static enum err as_sentence(struct op *op, enum err err)
{
    char sentence[EVENTS_DETAIL_BYTES];
    if (op->pointer[0] != '/' || op->pointer[1] == '\0' || str_starts(str_of(op->error), str_of(op->pointer + 1)))
        return err;
    snprintf(sentence, sizeof sentence, "%.60s: %.90s", op->pointer + 1, op->error);
    return fail(op, err, "%s", sentence);
}

enum err event_read(struct op *op, struct str text, struct event_row *ret)
{
    struct raw_event raw = { 0 };
    struct event_row row = { 0 };
    op->pointer[0] = '\0';
    if (text.n > EVENTS_LINE_BYTES_MAX)
        return fail(op, ERR_INVALID, "line is longer than %d bytes", EVENTS_LINE_BYTES_MAX);
    enum err err = json_read_body(op, text, fields, sizeof fields / sizeof *fields, &raw, NULL, NULL);
    if (err == OK)
        err = check_event(op, &raw, &row);
    if (err != OK)
        return as_sentence(op, err);
    row.id = raw.id;
    row.id_given = str_given(raw.id);
    row.time_given = str_given(raw.time);
    row.type = raw.type;
    row.source = str_given(raw.source) ? raw.source : S(EVENTS_SOURCE_DEFAULT);
    row.tenant = str_given(raw.tenant) ? raw.tenant : S("");
    row.subject = raw.subject;
    row.originator = raw.originator;
    row.data = raw.data;
    row.receivers = raw.receivers;
    row.is_private = raw.is_private;
    *ret = row;
    return OK;
}

enum err events_record(struct op *op, struct tx *tx, struct event_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct event_row *row = &rows[i];
        char text[ID_TEXT_BYTES];
        row->seq = store_seq_next(tx, SEQ_EVENT);
        row->received_us = op->now_us;
        if (!row->time_given)
            row->time_us = op->now_us;
        if (!row->id_given)
            row->id = arena_str(op->arena, id_make(op_now_ms(op), row->seq, text));
    }
    return store_event_add(op, tx, rows, count);
}
