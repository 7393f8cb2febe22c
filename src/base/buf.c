#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_BYTES_MIN 256

void buf_init(struct buf *buf, size_t max_bytes)
{
    *buf = (struct buf){ .max = max_bytes };
}

void buf_init_arena(struct buf *buf, struct arena *arena, size_t max_bytes)
{
    *buf = (struct buf){ .max = max_bytes, .arena = arena };
}

void buf_done(struct buf *buf)
{
    if (!buf->arena)
        free(buf->p);
    *buf = (struct buf){ 0 };
}

void buf_reset(struct buf *buf)
{
    buf->n = 0;
    buf->full = false;
}

void buf_drop(struct buf *buf, size_t bytes)
{
    assert(bytes <= buf->n);
    if (bytes == 0)
        return;
    buf->n -= bytes;
    memmove(buf->p, buf->p + bytes, buf->n);
}

/* The memory of p with room for more bytes; the arena's former piece is left behind. */
static char *buf_move(struct buf *buf, size_t room)
{
    if (!buf->arena)
        return realloc(buf->p, room);
    char *p = arena_alloc_raw(buf->arena, room);
    if (p && buf->n)
        memcpy(p, buf->p, buf->n);
    return p;
}

static bool buf_stop(struct buf *buf)
{
    buf->full = true;
    buf->room = buf->n; /* every later write comes here too */
    return false;
}

bool buf_grow(struct buf *buf, size_t bytes)
{
    if (buf->full || bytes > buf->max - buf->n)
        return buf_stop(buf);
    size_t room = buf->room < BUF_BYTES_MIN ? BUF_BYTES_MIN : buf->room * 2;
    if (room < buf->n + bytes)
        room = buf->n + bytes;
    if (room > buf->max)
        room = buf->max;

    char *p = buf_move(buf, room);
    if (!p)
        return buf_stop(buf);
    buf->p = p;
    buf->room = room;
    return true;
}

void buf_add_fmt(struct buf *buf, const char *format, ...)
{
    va_list args;
    size_t room = buf->room - buf->n; /* most often it is enough */
    va_start(args, format);
    int n = vsnprintf(room ? buf->p + buf->n : NULL, room, format, args);
    va_end(args);
    assert(n >= 0);
    if ((size_t)n < room) {
        buf->n += (size_t)n;
        return;
    }
    if (!buf_reserve(buf, (size_t)n + 1)) /* vsnprintf wants room for its NUL, which is not counted */
        return;
    va_start(args, format);
    vsnprintf(buf->p + buf->n, (size_t)n + 1, format, args);
    va_end(args);
    buf->n += (size_t)n;
}
