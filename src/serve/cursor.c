#include "serve/cursor.h"

#include "base/hex.h"

#define VERSION    1
#define HEAD_BYTES 10 /* version, kind, number */

struct str cursor_make(struct op *op, enum cursor_kind kind, int64_t number, struct str text)
{
    uint8_t *raw = arena_alloc(op->arena, HEAD_BYTES + text.n);
    if (!raw)
        return (struct str){ 0 };
    raw[0] = VERSION;
    raw[1] = (uint8_t)kind;
    for (int i = 0; i < 8; i++)
        raw[2 + i] = (uint8_t)((uint64_t)number >> (56 - 8 * i));
    if (text.n)
        memcpy(raw + HEAD_BYTES, text.p, text.n);
    return base64url_str(op->arena, raw, HEAD_BYTES + text.n);
}

bool cursor_read(struct op *op, struct str after, enum cursor_kind kind, int64_t *ret_number, struct str *ret_text)
{
    if (!str_given(after))
        return true;
    uint8_t *raw = arena_alloc(op->arena, BASE64_RAW_MAX(after.n));
    size_t n;
    if (!raw || after.n > BASE64URL_BYTES(HEAD_BYTES + CURSOR_TEXT_BYTES_MAX) || !base64url_decode(after, raw, &n))
        return false;
    if (n < HEAD_BYTES || raw[0] != VERSION || raw[1] != (uint8_t)kind)
        return false;
    uint64_t number = 0;
    for (int i = 0; i < 8; i++)
        number = number << 8 | raw[2 + i];
    if (ret_number)
        *ret_number = (int64_t)number;
    if (ret_text)
        *ret_text = (struct str){ (const char *)raw + HEAD_BYTES, n - HEAD_BYTES };
    return true;
}

void list_begin(struct json_writer *w)
{
    json_object_begin(w);
    json_put_name(w, "items");
    json_array_begin(w);
}

enum err list_end(struct op *op, struct json_writer *w, bool more, enum cursor_kind kind, int64_t number,
                  struct str text)
{
    json_array_end(w);
    json_put_name(w, "next");
    if (more) {
        struct str next = cursor_make(op, kind, number, text);
        if (!str_given(next))
            return fail(op, ERR_TOO_LARGE, "the answer does not fit in memory");
        json_put_str(w, next);
    } else {
        json_put_null(w);
    }
    json_object_end(w);
    return OK;
}
