#include "base/chains.h"

#include <stdlib.h>

static void **link_of(void *entry, const struct chain *chain)
{
    return (void **)(void *)((char *)entry + chain->next_at);
}

void *chains_move(void *slots, size_t from, size_t to, const struct chain *chain, const void *data)
{
    void **old = slots, **grown = calloc(to, sizeof *grown);
    if (!grown)
        abort();
    for (size_t i = 0; i < from; i++)
        for (void *entry = old[i], *next; entry; entry = next) {
            void **slot = &grown[chain->hash(entry, data) & (to - 1)];
            next = *link_of(entry, chain);
            *link_of(entry, chain) = *slot;
            *slot = entry;
        }
    free(old);
    return grown;
}
