#include "base/heap.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_FIRST 64

static size_t *place_of(const struct heap_kind *kind, void *item)
{
    return (size_t *)(void *)((char *)item + kind->place_at);
}

/* Places count from 1: the parent of n is n / 2. */
static void put(struct heap *heap, const struct heap_kind *kind, size_t place, void *item)
{
    heap->items[place - 1] = item;
    *place_of(kind, item) = place;
}

static size_t rise(struct heap *heap, const struct heap_kind *kind, size_t place, const void *item)
{
    for (; place > 1 && kind->before(item, heap->items[place / 2 - 1]); place /= 2)
        put(heap, kind, place, heap->items[place / 2 - 1]);
    return place;
}

static size_t sink(struct heap *heap, const struct heap_kind *kind, size_t place, const void *item)
{
    for (size_t child; (child = place * 2) <= heap->count; place = child) {
        if (child < heap->count && kind->before(heap->items[child], heap->items[child - 1]))
            child++;
        if (!kind->before(heap->items[child - 1], item))
            break;
        put(heap, kind, place, heap->items[child - 1]);
    }
    return place;
}

static void settle_at(struct heap *heap, const struct heap_kind *kind, size_t place, void *item)
{
    place = rise(heap, kind, place, item);
    put(heap, kind, sink(heap, kind, place, item), item);
}

void heap_settle(struct heap *heap, const struct heap_kind *kind, void *item)
{
    size_t place = *place_of(kind, item);
    if (place) {
        settle_at(heap, kind, place, item);
        return;
    }
    if (heap->count == heap->room) {
        heap->room = heap->room ? heap->room * 2 : ROOM_FIRST;
        heap->items = realloc(heap->items, heap->room * sizeof(void *));
        if (!heap->items)
            abort();
    }
    settle_at(heap, kind, ++heap->count, item);
}

void heap_remove(struct heap *heap, const struct heap_kind *kind, void *item)
{
    size_t place = *place_of(kind, item);
    if (!place)
        return;
    assert(place <= heap->count && heap->items[place - 1] == item);
    void *last = heap->items[--heap->count];
    *place_of(kind, item) = 0;
    if (last != item)
        settle_at(heap, kind, place, last);
}

void heap_free(struct heap *heap)
{
    free(heap->items);
    *heap = (struct heap){ 0 };
}
