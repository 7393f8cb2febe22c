/*
 * block_debt.c - records that are newer than their rows, of blocks that left the cache.
 *
 * When everybody reads a mailing at once, each click changes a record of
 * another block. Were blocks kept until they are settled, some hundred kilobytes
 * of changed records would hold tens of megabytes; were they written to make
 * room, a click would cost pages. So only the changed records stay.
 */
#include <stdlib.h>
#include <string.h>

#include "store/block_parts.h"

static struct debt **chain_of(struct blocks *blocks, uint64_t key)
{
    return &blocks->debts[key * 0x9E3779B97F4A7C15u >> 32 & (CHAINS - 1)];
}

static size_t record_bytes_of(uint64_t block_key)
{
    return block_kinds[block_key >> 56].record_bytes;
}

/* How many of its records stand before place `at`. */
static size_t rank(const struct debt *debt, uint64_t at)
{
    size_t n = 0;
    for (uint64_t word = 0; word < at / 64; word++)
        n += (size_t)__builtin_popcountll(debt->which[word]);
    return n + (size_t)__builtin_popcountll(debt->which[at / 64] & ((UINT64_C(1) << at % 64) - 1));
}

static size_t record_count(const struct debt *debt)
{
    size_t n = 0;
    for (size_t word = 0; word < CHANGED_MAX / 64; word++)
        n += (size_t)__builtin_popcountll(debt->which[word]);
    return n;
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
    struct debt **chain = chain_of(blocks, block_key), *debt = calloc(1, sizeof *debt);
    if (!debt)
        abort();
    debt->key = block_key;
    debt->chain = *chain;
    *chain = debt;
    blocks->debt_count++;
    return debt;
}

static void debt_fit(struct debt *debt, size_t records)
{
    debt->records = realloc(debt->records, records * record_bytes_of(debt->key));
    if (!debt->records)
        abort();
}

void debt_keep(struct blocks *blocks, const struct block *block)
{
    size_t bytes = record_bytes_of(block->key), n = 0;
    struct debt *debt = debt_add(blocks, block->key);
    memcpy(debt->which, block->behind, sizeof debt->which);
    debt_fit(debt, record_count(debt));
    for (uint64_t at = 0; at < CHANGED_MAX; at++)
        if (debt->which[at / 64] >> at % 64 & 1)
            memcpy(debt->records + n++ * bytes, block->data + at * bytes, bytes);
}

void debt_lay(const struct debt *debt, uint8_t *data)
{
    size_t bytes = record_bytes_of(debt->key), n = 0;
    for (uint64_t at = 0; at < CHANGED_MAX; at++)
        if (debt->which[at / 64] >> at % 64 & 1)
            memcpy(data + at * bytes, debt->records + n++ * bytes, bytes);
}

void debt_pay(struct blocks *blocks, struct block *block)
{
    struct debt *debt = debt_find(blocks, block->key);
    if (!debt)
        return;
    debt_lay(debt, block->data);
    memcpy(block->behind, debt->which, sizeof block->behind);
    block->owed = true;
    debt_forget(blocks, debt);
}

void debt_put(struct blocks *blocks, uint64_t block_key, uint64_t at, const void *record)
{
    struct debt *debt = debt_find(blocks, block_key);
    if (!debt)
        debt = debt_add(blocks, block_key);
    size_t bytes = record_bytes_of(block_key), before = rank(debt, at);
    if (!(debt->which[at / 64] >> at % 64 & 1)) {
        size_t behind = record_count(debt) - before;
        debt_fit(debt, before + behind + 1);
        memmove(debt->records + (before + 1) * bytes, debt->records + before * bytes, behind * bytes);
        debt->which[at / 64] |= UINT64_C(1) << at % 64;
    }
    memcpy(debt->records + before * bytes, record, bytes);
}

void debt_forget(struct blocks *blocks, struct debt *debt)
{
    struct debt **link = chain_of(blocks, debt->key);
    while (*link != debt)
        link = &(*link)->chain;
    *link = debt->chain;
    blocks->debt_count--;
    free(debt->records);
    free(debt);
}

void debts_clear(struct blocks *blocks)
{
    for (size_t i = 0; i < CHAINS && blocks->debt_count > 0; i++) {
        for (struct debt *debt = blocks->debts[i], *next; debt; debt = next) {
            next = debt->chain;
            free(debt->records);
            free(debt);
            blocks->debt_count--;
        }
        blocks->debts[i] = NULL;
    }
}
