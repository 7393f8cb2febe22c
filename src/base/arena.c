#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n)   ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

#define CHUNK_BYTES_MIN 4096
#define CHUNK_BYTES_MAX (1024 * 1024)
#define ALIGN           _Alignof(max_align_t)

struct chunk {
    struct chunk *before; /* older, full; NULL for the first */
    size_t bytes;         /* room behind the header */
    size_t used;
    max_align_t data[];
};

struct arena {
    size_t max_bytes;
    size_t used; /* handed out over all chunks, rounded up to the alignment */
    size_t next_bytes;
    struct chunk *chunk; /* where the next allocation is tried */
};

static struct chunk *chunk_new(struct chunk *before, size_t bytes)
{
    struct chunk *chunk = malloc(sizeof *chunk + bytes);
    if (!chunk)
        return NULL;
    *chunk = (struct chunk){ .before = before, .bytes = bytes };
    ASAN_POISON_MEMORY_REGION(chunk->data, bytes);
    return chunk;
}

static void chunk_free(struct chunk *chunk)
{
    ASAN_UNPOISON_MEMORY_REGION(chunk->data, chunk->bytes);
    free(chunk);
}

struct arena *arena_new(size_t max_bytes)
{
    struct arena *arena = malloc(sizeof *arena);
    struct chunk *first = chunk_new(NULL, CHUNK_BYTES_MIN - sizeof(struct chunk));
    if (!arena || !first)
        abort();
    *arena = (struct arena){ .max_bytes = max_bytes, .next_bytes = 2 * CHUNK_BYTES_MIN, .chunk = first };
    return arena;
}

static void arena_drop_to_first(struct arena *arena)
{
    while (arena->chunk->before) {
        struct chunk *before = arena->chunk->before;
        chunk_free(arena->chunk);
        arena->chunk = before;
    }
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    arena_drop_to_first(arena);
    chunk_free(arena->chunk);
    free(arena);
}

void arena_reset(struct arena *arena)
{
    arena_drop_to_first(arena);
    ASAN_POISON_MEMORY_REGION(arena->chunk->data, arena->chunk->bytes);
    arena->chunk->used = 0;
    arena->next_bytes = 2 * CHUNK_BYTES_MIN;
    arena->used = 0;
}

size_t arena_used(const struct arena *arena)
{
    return arena->used;
}

/* A new chunk in front with room for bytes; the rest of the old one is given up. */
static bool arena_grow(struct arena *arena, size_t bytes)
{
    size_t room = arena->next_bytes - sizeof(struct chunk);
    struct chunk *chunk = chunk_new(arena->chunk, bytes > room ? bytes : room);
    if (!chunk)
        return false;
    arena->chunk = chunk;
    if (arena->next_bytes < CHUNK_BYTES_MAX)
        arena->next_bytes *= 2;
    return true;
}

void *arena_alloc_raw(struct arena *arena, size_t bytes)
{
    if (bytes > arena->max_bytes)
        return NULL; /* before rounding, which could overflow */
    size_t rounded = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    if (rounded > arena->max_bytes - arena->used)
        return NULL;
    if (rounded > arena->chunk->bytes - arena->chunk->used && !arena_grow(arena, rounded))
        return NULL;

    char *p = (char *)arena->chunk->data + arena->chunk->used;
    arena->chunk->used += rounded;
    arena->used += rounded;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    return p;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    void *p = arena_alloc_raw(arena, bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy = str_given(s) ? arena_alloc_raw(arena, s.n + 1) : NULL;
    if (!copy)
        return (struct str){ NULL, 0 };
    memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return (struct str){ copy, s.n };
}

struct str arena_fmt(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    assert(n >= 0);

    char *text = arena_alloc_raw(arena, (size_t)n + 1);
    if (!text)
        return (struct str){ NULL, 0 };
    va_start(args, format);
    vsnprintf(text, (size_t)n + 1, format, args);
    va_end(args);
    return (struct str){ text, (size_t)n };
}
