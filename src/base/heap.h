/*
 * heap.h - the first of many that come, go and change: a binary heap.
 *
 *     static const struct heap_kind kind = { offsetof(struct wait, heap_place), ends_before };
 *     heap_settle(&waits, &kind, wait);    comes, or has changed
 *     heap_remove(&waits, &kind, wait);
 *     struct wait *next = heap_first(&waits);
 *
 * Whoever is in it knows its place, so that it can be moved and taken out where
 * it stands; it belongs to whoever put it there. All zero is an empty heap.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct heap {
    void **items;
    size_t count, room;
};

struct heap_kind {
    size_t place_at;                              /* where in an item its size_t stands; 0 there = not in a heap */
    bool (*before)(const void *a, const void *b); /* a comes first */
};

/* Into the heap, or to its place in it when what `before` looks at has changed. */
void heap_settle(struct heap *heap, const struct heap_kind *kind, void *item);

/* Out of the heap; nothing when it is not there. */
void heap_remove(struct heap *heap, const struct heap_kind *kind, void *item);

/* The one that none is before; NULL = nothing is there. */
static inline void *heap_first(const struct heap *heap)
{
    return heap->count ? heap->items[0] : NULL;
}

/* Its own memory. */
void heap_free(struct heap *heap);
