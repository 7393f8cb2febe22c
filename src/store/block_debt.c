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

#define SLAB_LONES 256

static size_t record_bytes_of(uint64_t key)
{
    return block_kinds[key >> 56].record_bytes;
}

static uint64_t place_of(uint64_t record_key)
{
    return (record_key & NUMBER_MASK) % block_kinds[record_key >> 56].per_block;
}

/* --- records ----------------------------------------------------------------------- */

static void lone_free(struct blocks *blocks, struct lone *lone)
{
    struct lone **free_of_kind = &blocks->free_lones[lone->key >> 56];
    lone->next = *free_of_kind;
    *free_of_kind = lone;
}

static void lones_grow(struct blocks *blocks, unsigned kind)
{
    size_t bytes = sizeof(struct lone) + block_kinds[kind].record_bytes;
    uint64_t key = (uint64_t)kind << 56;
    char *slab = malloc(SLAB_LONES * bytes);
    blocks->lone_slabs = realloc(blocks->lone_slabs, (blocks->lone_slab_count + 1) * sizeof *blocks->lone_slabs);
    if (!slab || !blocks->lone_slabs)
        abort();
    blocks->lone_slabs[blocks->lone_slab_count++] = slab;
    for (size_t i = 0; i < SLAB_LONES; i++) {
        struct lone *lone = (struct lone *)(void *)(slab + i * bytes);
        *lone = (struct lone){ .key = key & LONE_KEY_MASK };
        lone_free(blocks, lone);
    }
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
    for (size_t i = 0; i < blocks->lone_slab_count; i++)
        free(blocks->lone_slabs[i]);
    free(blocks->lone_slabs);
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
    struct lone **free_of_kind = &blocks->free_lones[record_key >> 56];
    if (!*free_of_kind)
        lones_grow(blocks, (unsigned)(record_key >> 56));
    struct lone *lone = *free_of_kind;
    *free_of_kind = lone->next;
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
