#include "test.h"

#include <stdlib.h>

#include "base/heap.h"

#define MANY 200

struct thing {
    int64_t value;
    size_t place;
};

static bool is_less(const void *a, const void *b)
{
    return ((const struct thing *)a)->value < ((const struct thing *)b)->value;
}

static const struct heap_kind kind = { offsetof(struct thing, place), is_less };

/* The first ones come out, and are gone. */
static void come_in_order(struct heap *heap, int count)
{
    int64_t last = INT64_MIN;
    for (int i = 0; i < count; i++) {
        struct thing *first = heap_first(heap);
        YES(first && first->value >= last);
        last = first->value;
        heap_remove(heap, &kind, first);
        EQ(first->place, 0);
    }
    YES(heap_first(heap) == NULL);
    heap_free(heap);
}

TEST(heap, gives_the_first_one_first)
{
    struct heap heap = { 0 };
    struct thing things[MANY] = { 0 };
    for (int i = 0; i < MANY; i++) {
        things[i].value = i * 73 % MANY;
        heap_settle(&heap, &kind, &things[i]);
    }
    come_in_order(&heap, MANY);
}

TEST(heap, moves_what_has_changed_either_way)
{
    struct heap heap = { 0 };
    struct thing things[MANY] = { 0 };
    for (int i = 0; i < MANY; i++) {
        things[i].value = i;
        heap_settle(&heap, &kind, &things[i]);
    }
    for (int i = 0; i < MANY; i += 3) {
        things[i].value = (i * 31 % MANY) * (i % 2 ? 1 : -1);
        heap_settle(&heap, &kind, &things[i]);
    }
    come_in_order(&heap, MANY);
}

TEST(heap, lets_any_of_them_go)
{
    struct heap heap = { 0 };
    struct thing things[MANY] = { 0 };
    for (int i = 0; i < MANY; i++) {
        things[i].value = i * 73 % MANY;
        heap_settle(&heap, &kind, &things[i]);
    }
    for (int i = 0; i < MANY; i += 2) {
        heap_remove(&heap, &kind, &things[i]);
        heap_remove(&heap, &kind, &things[i]); /* not there any more */
    }
    come_in_order(&heap, MANY / 2);
}
