/*
 * buf.h - bytes that grow up to a maximum.
 *
 * Backed by malloc (buf_done frees) or by an arena (nothing to free). A buffer
 * that reaches its maximum sets `full`, ignores what follows and stays as it
 * is, so that writers check once at the end.
 */
#pragma once

#include "base/arena.h"

#include <string.h>

struct buf {
    char *p;
    size_t n;            /* bytes written */
    size_t room;         /* bytes at p */
    size_t max;          /* room never exceeds this */
    struct arena *arena; /* NULL: malloc */
    bool full;           /* something did not fit and is missing */
};

/* Empty; allocates with the first byte. */
void buf_init(struct buf *buf, size_t max_bytes);
void buf_init_arena(struct buf *buf, struct arena *arena, size_t max_bytes);
void buf_done(struct buf *buf);

/* Forgets the bytes, keeps the room. */
void buf_reset(struct buf *buf);

/* Forgets the first bytes, moving the rest to the front. */
void buf_drop(struct buf *buf, size_t bytes);

/* Slow half of buf_reserve. */
bool buf_grow(struct buf *buf, size_t bytes);

/* Makes room for bytes behind the n written: write at p + n, then add to n. False: full. */
static inline bool buf_reserve(struct buf *buf, size_t bytes)
{
    return bytes <= buf->room - buf->n || buf_grow(buf, bytes);
}

/* Appends all of the bytes or, when they do not fit, none. */
static inline void buf_add(struct buf *buf, const void *bytes, size_t n)
{
    if (n && buf_reserve(buf, n)) {
        memcpy(buf->p + buf->n, bytes, n);
        buf->n += n;
    }
}

static inline void buf_add_char(struct buf *buf, char c)
{
    if (buf_reserve(buf, 1))
        buf->p[buf->n++] = c;
}

static inline void buf_add_str(struct buf *buf, struct str s)
{
    buf_add(buf, s.p, s.n);
}

void buf_add_fmt(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What was written, borrowed until the next write. */
static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){ buf->p ? buf->p : "", buf->n };
}
