#include "base/op.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void op_init(struct op *op, struct arena *arena, int64_t now_us)
{
    /* Not one big zero: the texts are 640 bytes and most operations never fail. */
    op->arena = arena;
    op->now_us = now_us;
    op->error[0] = '\0';
    op->pointer[0] = '\0';
    op->retry_after_s = 0;
    op->trace = 0;
}

/* Copies text into a field of size bytes and never leaves half a character at its end. */
static void copy_clipped(char *field, size_t size, const char *text)
{
    struct str clipped = str_clip(str_of(text), size - 1);
    memcpy(field, clipped.p, clipped.n);
    field[clipped.n] = '\0';
}

static void write_error(struct op *op, const char *format, va_list args)
{
    /* Formatted aside, because the arguments may quote the error that stands in op now. A few bytes more than fit
     * let copy_clipped see whether a character is cut. */
    char text[OP_ERROR_BYTES_MAX + 4];
    vsnprintf(text, sizeof text, format, args);
    copy_clipped(op->error, sizeof op->error, text);
}

#undef fail /* of the analyzer, see op.h */
#undef fail_at
#undef op_inherit

enum err fail(struct op *op, enum err err, const char *format, ...)
{
    assert(err != OK);
    va_list args;
    va_start(args, format);
    write_error(op, format, args);
    va_end(args);
    op->pointer[0] = '\0';
    return err;
}

enum err fail_at(struct op *op, enum err err, const char *pointer, const char *format, ...)
{
    assert(err != OK);
    va_list args;
    va_start(args, format);
    write_error(op, format, args);
    va_end(args);
    if (pointer != op->pointer)
        copy_clipped(op->pointer, sizeof op->pointer, pointer);
    return err;
}

enum err op_inherit(struct op *op, enum err err, const struct op *own)
{
    if (err == OK)
        return OK;
    memcpy(op->error, own->error, sizeof op->error);
    memcpy(op->pointer, own->pointer, sizeof op->pointer);
    op->retry_after_s = own->retry_after_s;
    return err;
}

enum err op_alloc(struct op *op, size_t bytes, void *ret_p)
{
    void *p = arena_alloc(op->arena, bytes);
    if (!p)
        return fail(op, ERR_TOO_LARGE, "out of memory for this operation: %zu bytes used, %zu more asked for",
                    arena_used(op->arena), bytes);
    memcpy(ret_p, &p, sizeof p);
    return OK;
}

const char *err_name(enum err err)
{
    switch (err) {
    case OK:
        return "ok";
    case ERR_MALFORMED:
        return "malformed";
    case ERR_UNAUTHORIZED:
        return "unauthorized";
    case ERR_FORBIDDEN:
        return "forbidden";
    case ERR_NOT_FOUND:
        return "not_found";
    case ERR_CONFLICT:
        return "conflict";
    case ERR_TOO_LARGE:
        return "too_large";
    case ERR_INVALID:
        return "invalid";
    case ERR_BUSY:
        return "busy";
    case ERR_UNAVAILABLE:
        return "unavailable";
    case ERR_IO:
        return "io";
    case ERR_BUG:
        return "bug";
    }
    return "unknown";
}
