/*
 * json_write.h - writes JSON straight into a buffer.
 *
 *     json_write_init(&w, &buf);
 *     json_object_begin(&w);
 *     json_member_str(&w, "tenant", tenant);
 *     json_put_name(&w, "items");
 *     json_array_begin(&w);
 *     json_put_int(&w, 7);
 *     json_array_end(&w);
 *     json_object_end(&w);
 *
 * Commas come by themselves. Order and nesting are asserted, because a wrong
 * call is our own mistake. Bytes that are no UTF-8 become U+FFFD. When the
 * buffer is full the text is useless: look at buf->full at the end.
 *
 * Several values at the top level follow each other without a separator:
 * that is how NDJSON is written, with buf_add_char(&buf, '\n') between them.
 */
#pragma once

#include "base/buf.h"
#include "base/json.h"

struct json_writer {
    struct buf *buf;
    uint64_t objects; /* bit per open container, innermost lowest: 1 = object */
    uint8_t depth;
    bool comma; /* a value stands in front of the next one */
    bool named; /* a name was written, its value is due */
};

void json_write_init(struct json_writer *w, struct buf *buf);

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);

/* Name of the member whose value comes next: a literal of ours that needs no escapes, or any text. */
void json_put_name(struct json_writer *w, const char *name);
void json_put_name_str(struct json_writer *w, struct str name);

/* A str that is not given becomes null. */
void json_put_str(struct json_writer *w, struct str s);
void json_put_int(struct json_writer *w, int64_t value);
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);

/* value / 10^places without trailing zeros: (2500, 4) is 0.25 and (10000, 4) is 1. At most 18 places. */
void json_put_decimal(struct json_writer *w, int64_t value, int places);

/* A value that is JSON already. */
void json_put_raw(struct json_writer *w, struct str json);

/*
 * Writes the members of a JSON object into the object that is open in w, each as it stands; no text is an object
 * without members. `change` may be NULL; where it returns true it has written the member in its own way, or left it
 * out. ERR_MALFORMED as json_finish.
 */
enum err json_copy_members(struct op *op, struct json_writer *w, struct str object,
                           bool (*change)(struct json_writer *w, struct str name, struct str value, void *data),
                           void *data);

/* Name and value in one. */
static inline void json_member_str(struct json_writer *w, const char *name, struct str s)
{
    json_put_name(w, name);
    json_put_str(w, s);
}

static inline void json_member_int(struct json_writer *w, const char *name, int64_t value)
{
    json_put_name(w, name);
    json_put_int(w, value);
}

static inline void json_member_bool(struct json_writer *w, const char *name, bool value)
{
    json_put_name(w, name);
    json_put_bool(w, value);
}

static inline void json_member_null(struct json_writer *w, const char *name)
{
    json_put_name(w, name);
    json_put_null(w);
}

static inline void json_member_raw(struct json_writer *w, const char *name, struct str json)
{
    json_put_name(w, name);
    json_put_raw(w, json);
}
