/*
 * block_debt.c - records that are newer than their rows, of blocks that are not in the cache.
 *
 * When everybody reads a mailing at once, each click changes a record of
 * another block. Were blocks kept until they are settled, some hundred kilobytes
 * of changed records would hold tens of megabytes; were they written to make
 * room, a click would cost pages. So only the changed records stay: those of a
 * block that leaves the cache, and those that are changed one by one without
 * their block (store_block_edit_alone). They become part of it again when it comes.
 */
#include <stdlib.h>
#include <string.h>

#include "store/block_parts.h"

#define REGION_SLABS 16

static size_t record_bytes_of(uint64_t key)
{
    return block_kinds[key >> 56].record_bytes;
}

static uint64_t place_of(uint64_t record_key)
{
    return (record_key & NUMBER_MASK) % block_kinds[record_key >> 56].per_block;
}

/* --- records ----------------------------------------------------------------------- */

static void slab_list(struct blocks *blocks, struct lone_slab *slab)
{
    struct lone_slab **first = &blocks->lone_slabs[slab->kind];
    slab->before = NULL;
    slab->next = *first;
    if (*first)
        (*first)->before = slab;
    *first = slab;
}

static void slab_unlist(struct blocks *blocks, struct lone_slab *slab)
{
    *(slab->before ? &slab->before->next : &blocks->lone_slabs[slab->kind]) = slab->next;
    if (slab->next)
        slab->next->before = slab->before;
}

static void slab_empty(struct blocks *blocks, struct lone_slab *slab)
{
    slab->next = blocks->empty_slabs;
    blocks->empty_slabs = slab;
}

static void slabs_grow(struct blocks *blocks)
{
    size_t count = blocks->lone_region_count + 1;
    char *region = aligned_alloc(LONE_SLAB_BYTES, REGION_SLABS * LONE_SLAB_BYTES);
    blocks->lone_regions = realloc(blocks->lone_regions, count * sizeof *blocks->lone_regions);
    if (!region || !blocks->lone_regions)
        abort();
    blocks->lone_regions[blocks->lone_region_count++] = region;
    for (size_t i = REGION_SLABS; i > 0; i--)
        slab_empty(blocks, (struct lone_slab *)(void *)(region + (i - 1) * LONE_SLAB_BYTES));
}

/* An empty slab becomes one of this kind. */
static void slab_begin(struct blocks *blocks, unsigned kind)
{
    size_t bytes = sizeof(struct lone) + block_kinds[kind].record_bytes;
    if (!blocks->empty_slabs)
        slabs_grow(blocks);
    struct lone_slab *slab = blocks->empty_slabs;
    blocks->empty_slabs = slab->next;
    *slab = (struct lone_slab){ .kind = kind };
    for (size_t at = 0; at + bytes <= LONE_SLAB_BYTES - sizeof *slab; at += bytes) {
        struct lone *lone = (struct lone *)(void *)(slab->lones + at);
        lone->next = slab->free;
        slab->free = lone;
    }
    slab_list(blocks, slab);
}

static struct lone *lone_new(struct blocks *blocks, unsigned kind)
{
    if (!blocks->lone_slabs[kind])
        slab_begin(blocks, kind);
    struct lone_slab *slab = blocks->lone_slabs[kind];
    struct lone *lone = slab->free;
    slab->free = lone->next;
    slab->used++;
    if (!slab->free)
        slab_unlist(blocks, slab);
    return lone;
}

static void lone_free(struct blocks *blocks, struct lone *lone)
{
    struct lone_slab *slab = (struct lone_slab *)(void *)((char *)lone - (uintptr_t)lone % LONE_SLAB_BYTES);
    if (!slab->free)
        slab_list(blocks, slab);
    lone->next = slab->free;
    slab->free = lone;
    if (--slab->used > 0)
        return;
    slab_unlist(blocks, slab);
    slab_empty(blocks, slab);
}

/* It is out of its debt; while it is in the list of those changed it stays there. */
static void lone_leave(struct blocks *blocks, struct lone *lone)
{
    lone->gone = true;
    if (!lone->touched)
        lone_free(blocks, lone);
}

/* --- debts ------------------------------------------------------------------------- */

static struct debt **chain_of(struct blocks *blocks, uint64_t key)
{
    return &blocks->debts[key * 0x9E3779B97F4A7C15u >> 32 & (CHAINS - 1)];
}

struct debt *debt_find(const struct blocks *blocks, uint64_t block_key)
{
    struct debt *debt = *chain_of((struct blocks *)(uintptr_t)blocks, block_key);
    while (debt && debt->key != block_key)
        debt = debt->chain;
    return debt;
}

static struct debt *debt_add(struct blocks *blocks, uint64_t block_key)
{
    struct debt **chain = chain_of(blocks, block_key), *debt = malloc(sizeof *debt);
    if (!debt)
        abort();
    *debt = (struct debt){ .key = block_key, .chain = *chain };
    *chain = debt;
    blocks->debt_count++;
    return debt;
}

/* Takes it out of the table; its records are the caller's. */
static void debt_unlink(struct blocks *blocks, struct debt *debt)
{
    struct debt **link = chain_of(blocks, debt->key);
    while (*link != debt)
        link = &(*link)->chain;
    *link = debt->chain;
    blocks->debt_count--;
    free(debt);
}

void debt_forget(struct blocks *blocks, struct debt *debt)
{
    for (struct lone *lone = debt->first, *next; lone; lone = next) {
        next = lone->next;
        lone_leave(blocks, lone);
    }
    debt_unlink(blocks, debt);
}

void debts_clear(struct blocks *blocks)
{
    for (size_t i = 0; i < CHAINS && blocks->debt_count > 0; i++)
        while (blocks->debts[i])
            debt_forget(blocks, blocks->debts[i]);
}

void debts_done(struct blocks *blocks)
{
    debts_clear(blocks);
    for (size_t i = 0; i < blocks->lone_region_count; i++)
        free(blocks->lone_regions[i]);
    free(blocks->lone_regions);
    free(blocks->lones);
}

void debt_lay(const struct debt *debt, uint8_t *data)
{
    size_t bytes = record_bytes_of(debt->key);
    for (const struct lone *lone = debt->first; lone; lone = lone->next)
        memcpy(data + place_of(lone->key) * bytes, lone->data, bytes);
}

/* --- one by one -------------------------------------------------------------------- */

static uint64_t bit_of(uint64_t record_key)
{
    return UINT64_C(1) << place_of(record_key) % 64;
}

static uint64_t *word_of(struct debt *debt, uint64_t record_key)
{
    return &debt->held[place_of(record_key) / 64];
}

struct lone *lone_find(const struct blocks *blocks, uint64_t record_key)
{
    struct debt *debt = blocks->debt_count > 0 ? debt_find(blocks, block_key_of(record_key)) : NULL;
    if (!debt || !(*word_of(debt, record_key) & bit_of(record_key)))
        return NULL;
    struct lone *lone = debt->first;
    while (lone->key != record_key)
        lone = lone->next;
    return lone;
}

struct lone *lone_add(struct blocks *blocks, uint64_t record_key, const void *record)
{
    struct debt *debt = debt_find(blocks, block_key_of(record_key));
    if (!debt)
        debt = debt_add(blocks, block_key_of(record_key));
    struct lone *lone = lone_new(blocks, (unsigned)(record_key >> 56));
    *lone = (struct lone){ .next = debt->first, .key = record_key & LONE_KEY_MASK };
    memcpy(lone->data, record, record_bytes_of(record_key));
    debt->first = lone;
    *word_of(debt, record_key) |= bit_of(record_key);
    return lone;
}

void lone_touch(struct blocks *blocks, struct lone *lone)
{
    if (lone->touched)
        return;
    if (blocks->lone_count == blocks->lone_room) {
        blocks->lone_room = blocks->lone_room ? 2 * blocks->lone_room : 1024;
        blocks->lones = realloc(blocks->lones, blocks->lone_room * sizeof *blocks->lones);
        if (!blocks->lones)
            abort();
    }
    blocks->lones[blocks->lone_count++] = lone;
    lone->touched = true;
}

void lones_kept(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->lone_count; i++) {
        struct lone *lone = blocks->lones[i];
        lone->touched = false;
        lone->owed = true;
        if (lone->gone)
            lone_free(blocks, lone);
    }
    blocks->lone_count = 0;
}

/* Takes a record out of its debt, and the debt away with its last one. */
static void lone_remove(struct blocks *blocks, struct lone *lone)
{
    struct debt *debt = debt_find(blocks, block_key_of(lone->key));
    struct lone **link = &debt->first;
    while (*link != lone)
        link = &(*link)->next;
    *link = lone->next;
    *word_of(debt, lone->key) &= ~bit_of(lone->key);
    if (!debt->first)
        debt_unlink(blocks, debt);
}

void lones_drop(struct blocks *blocks)
{
    for (size_t i = 0; i < blocks->lone_count; i++) {
        struct lone *lone = blocks->lones[i];
        if (!lone->gone)
            lone_remove(blocks, lone);
        blocks->reload |= lone->owed; /* the row would not give the newest bytes back */
        lone_free(blocks, lone);
    }
    blocks->lone_count = 0;
}

void debt_put(struct blocks *blocks, uint64_t record_key, const void *record)
{
    struct lone *lone = lone_find(blocks, record_key);
    if (lone)
        memcpy(lone->data, record, record_bytes_of(record_key));
    else
        lone = lone_add(blocks, record_key, record);
    lone->owed = true;
}

/* --- blocks that go and come ------------------------------------------------------- */

void debt_keep(struct blocks *blocks, const struct block *block)
{
    const struct block_kind_of *kind = &block_kinds[block->key >> 56];
    uint64_t first = (block->key & NUMBER_MASK) * kind->per_block;
    for (size_t word = 0; word < CHANGED_MAX / 64; word++)
        for (uint64_t bits = block->behind[word]; bits; bits &= bits - 1) {
            uint64_t at = word * 64 + (uint64_t)__builtin_ctzll(bits);
            lone_add(blocks, block_key((enum block_kind)(block->key >> 56), first + at),
                     block->data + at * kind->record_bytes)
                ->owed = true;
        }
}

void debt_pay(struct blocks *blocks, struct block *block)
{
    struct debt *debt = debt_find(blocks, block->key);
    if (!debt)
        return;
    debt_lay(debt, block->data);
    for (const struct lone *lone = debt->first; lone; lone = lone->next) {
        uint64_t at = place_of(lone->key), bit = UINT64_C(1) << at % 64;
        block->behind[at / 64] |= lone->owed ? bit : 0;
        block->changed[at / 64] |= lone->touched ? bit : 0;
        block->owed |= lone->owed;
        if (lone->touched)
            block_mark(blocks, block);
    }
    debt_forget(blocks, debt);
}
