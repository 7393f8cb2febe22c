/*
 * dedupe_bloom.h - how large a run is, where a key stands in it, and in its Bloom filter.
 *
 * Private to the runs. A filter has eleven bits for each key; the six of a key lie in one cache line.
 */
#pragma once

#include "store/dedupe_run.h"

#define BLOOM_BITS_PER_KEY 11
#define BLOOM_LINE_BYTES   64 /* a key's bits lie in one cache line */
#define BLOOM_BITS_SET     6

__extension__ typedef unsigned __int128 wide;

/* x of 2^64 as a place among n: keys spread evenly, and their order is kept. */
static inline uint32_t place_of(uint64_t x, uint64_t n)
{
    return (uint32_t)((wide)x * n >> 64);
}

/* The smallest x with place_of(x, n) == place. */
static inline uint64_t first_of(uint32_t place, uint64_t n)
{
    return (uint64_t)((((wide)place << 64) + n - 1) / n);
}

static inline uint64_t bloom_hash(struct run_key key)
{
    return (key.w[1] ^ (key.w[0] << 32 | key.w[0] >> 32)) * 0xD6E8FEB86659FD93u;
}

static inline uint8_t *bloom_line(uint8_t *bloom, size_t lines, struct run_key key)
{
    return bloom + place_of(bloom_hash(key), lines) * (size_t)BLOOM_LINE_BYTES;
}

/* Six times nine bits: the places of a key in its line. */
static inline uint64_t bloom_bits(struct run_key key)
{
    return run_key_hash(key) * 0xFF51AFD7ED558CCDu >> 10;
}

static inline void bloom_add(uint8_t *bloom, size_t lines, struct run_key key)
{
    uint8_t *line = bloom_line(bloom, lines, key);
    uint64_t bits = bloom_bits(key);
    for (int i = 0; i < BLOOM_BITS_SET; i++, bits >>= 9)
        line[bits >> 3 & 63] |= (uint8_t)(1u << (bits & 7));
}

static inline bool bloom_may_have(uint8_t *bloom, size_t lines, struct run_key key)
{
    const uint8_t *line = bloom_line(bloom, lines, key);
    uint64_t bits = bloom_bits(key);
    for (int i = 0; i < BLOOM_BITS_SET; i++, bits >>= 9)
        if (!(line[bits >> 3 & 63] & 1u << (bits & 7)))
            return false;
    return true;
}

static inline uint32_t buckets_for(int64_t keys)
{
    int64_t buckets = (keys + BUCKET_KEYS - 1) / BUCKET_KEYS;
    return buckets < 1 ? 1 : (uint32_t)buckets;
}

static inline size_t lines_for(int64_t keys)
{
    return (size_t)(keys * BLOOM_BITS_PER_KEY / (8 * BLOOM_LINE_BYTES)) + 1;
}

/* Runs of one tier differ in size by less than four times. */
static inline int tier_of(int64_t keys)
{
    return (63 - __builtin_clzll((unsigned long long)(keys | 1))) / 2;
}
