/*
 * arena.h - memory that lives and dies with one owner.
 *
 * Allocation moves a pointer; nothing is freed alone. An arena has a maximum,
 * given when it is made: reaching it is a bug in sizing or an attack, so the
 * allocator says no (NULL) and `op_alloc` turns that into ERR_TOO_LARGE.
 * Chunks start at 4 KiB and double up to 1 MiB.
 *
 * Thread: one owner at a time; a post hands its arena on while it travels.
 */
#pragma once

#include "base/str.h"

struct arena;

/* An empty arena that will hold at most max_bytes; aborts when the machine has no memory for its first chunk. */
struct arena *arena_new(size_t max_bytes);
void arena_free(struct arena *arena);

/* Forgets everything allocated, keeps the first chunk for reuse. */
void arena_reset(struct arena *arena);

/* Bytes handed out since the last reset. */
size_t arena_used(const struct arena *arena);

/* Zeroed memory aligned for any type; NULL when the arena's maximum is reached. */
void *arena_alloc(struct arena *arena, size_t bytes);

/* Aligned like arena_alloc but not zeroed, for large buffers that are written anyway. */
void *arena_alloc_raw(struct arena *arena, size_t bytes);

/* A copy in the arena, NUL-terminated behind its n bytes; not given when s is not or the maximum is reached. */
struct str arena_str(struct arena *arena, struct str s);

/* printf into the arena; an empty str that is not given when the maximum is reached. */
struct str arena_fmt(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
