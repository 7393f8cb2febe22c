/*
 * block_cache.c - which blocks are in RAM: found by their key, given up by a clock hand.
 */
#include <stdlib.h>
#include <string.h>

#include "store/block_parts.h"

static size_t chain_of(uint64_t key)
{
    return key * 0x9E3779B97F4A7C15u >> 32 & (CHAINS - 1);
}

void blocks_grow(struct blocks *blocks)
{
    if (blocks->count + SLAB_BLOCKS > blocks->room) {
        blocks->room = blocks->room ? 2 * blocks->room : 16 * SLAB_BLOCKS;
        blocks->all = realloc(blocks->all, blocks->room * sizeof *blocks->all);
    }
    struct block *slab = calloc(SLAB_BLOCKS, sizeof *slab);
    if (!blocks->all || !slab)
        abort();
    for (size_t i = 0; i < SLAB_BLOCKS; i++) {
        blocks->all[blocks->count++] = &slab[i];
        slab[i].key = UINT64_MAX;
        slab[i].chain = blocks->free;
        blocks->free = &slab[i];
    }
}

struct block *block_find(const struct blocks *blocks, uint64_t key)
{
    struct block *block = blocks->chains[chain_of(key)];
    while (block && block->key != key)
        block = block->chain;
    return block;
}

void block_forget(struct blocks *blocks, struct block *block)
{
    struct block **link = &blocks->chains[chain_of(block->key)];
    while (*link != block)
        link = &(*link)->chain;
    *link = block->chain;
    for (int i = 0; i < BLOCK_KINDS; i++)
        if (blocks->last[i] == block)
            blocks->last[i] = NULL;
    block->chain = blocks->free;
    block->key = UINT64_MAX;
    blocks->free = block;
    blocks->used--;
}

struct block *block_adopt(struct blocks *blocks, uint64_t key, bool stored)
{
    struct block *block = blocks->free;
    blocks->free = block->chain;
    block->key = key;
    block->in_touched = block->dirty = block->owed = block->logged = false;
    memset(block->changed, 0, sizeof block->changed);
    memset(block->behind, 0, sizeof block->behind);
    block->stored = stored;
    struct block **chain = &blocks->chains[chain_of(key)];
    block->chain = *chain;
    *chain = block;
    blocks->used++;
    if (blocks->debt_count > 0)
        debt_pay(blocks, block);
    return block;
}

enum err block_load(struct op *op, struct tx *tx, struct blocks *blocks, enum block_kind kind, uint64_t block_no,
                    struct block **ret_block)
{
    if (!blocks->free)
        blocks_grow(blocks);
    const struct page *page = &blocks->pages[kind];
    bool stored = page->stored;
    if (page->key == block_key(kind, block_no))
        memcpy(blocks->free->data, page->data, BLOCK_BYTES);
    else
        TRY(block_read_row(op, tx, kind, block_no, blocks->free->data, &stored)); /* fails: it stays free */
    *ret_block = block_adopt(blocks, block_key(kind, block_no), stored);
    return OK;
}

void block_mark(struct blocks *blocks, struct block *block)
{
    block->dirty = true;
    if (block->in_touched)
        return;
    block->in_touched = true;
    block->touched = blocks->touched;
    blocks->touched = block;
    blocks->touched_count++;
}

static void block_leave(struct blocks *blocks, struct block *block)
{
    if (block->owed)
        debt_keep(blocks, block);
    block_forget(blocks, block);
}

void blocks_hand_step(struct blocks *blocks)
{
    struct block *block = blocks->all[blocks->hand++ % blocks->count];
    if (block->key == UINT64_MAX || block->in_touched || (block->owed && blocks->shared))
        return;
    if (block->recent) {
        block->recent = false;
        return;
    }
    block_leave(blocks, block);
}

/* Takes the blocks of a slab out of the free list. */
static void free_list_without(struct blocks *blocks, const struct block *slab)
{
    struct block **link = &blocks->free;
    while (*link)
        if (*link >= slab && *link < slab + SLAB_BLOCKS)
            *link = (*link)->chain;
        else
            link = &(*link)->chain;
}

void blocks_give_back(struct blocks *blocks)
{
    if (blocks->count <= CACHE_BLOCKS + SLAB_BLOCKS)
        return;
    struct block *slab = blocks->all[blocks->count - SLAB_BLOCKS];
    for (size_t i = 0; i < SLAB_BLOCKS; i++)
        if (slab[i].in_touched || (slab[i].key != UINT64_MAX && slab[i].owed && blocks->shared))
            return;
    for (size_t i = 0; i < SLAB_BLOCKS; i++)
        if (slab[i].key != UINT64_MAX)
            block_leave(blocks, &slab[i]);
    free_list_without(blocks, slab);
    blocks->count -= SLAB_BLOCKS;
    free(slab);
}

void blocks_shrink(struct blocks *blocks)
{
    for (size_t steps = 2 * blocks->count; blocks->used > CACHE_BLOCKS && steps > 0; steps--)
        blocks_hand_step(blocks);
}
