/*
 * siphash.h - SipHash-2-4, a keyed hash that strangers cannot steer.
 *
 * 64 bits for hash tables over names from outside, 128 bits where equal hashes
 * must mean equal things (dedupe keys, SRC-13). The one-shot calls and the
 * stream give the same result for the same bytes.
 */
#pragma once

#include "base/str.h"

#define SIPHASH_KEY_BYTES 16

struct siphash_key {
    uint64_t k0, k1;
};

struct hash128 {
    uint64_t lo, hi; /* lo holds output bytes 0..7, little-endian */
};

struct siphash {
    uint64_t v0, v1, v2, v3;
    uint64_t tail;  /* bytes not yet mixed, lowest first */
    uint64_t bytes; /* added so far */
    bool wide;
};

struct siphash_key siphash_key_from(const uint8_t bytes[SIPHASH_KEY_BYTES]);

uint64_t siphash64(struct siphash_key key, const void *bytes, size_t n);
struct hash128 siphash128(struct siphash_key key, const void *bytes, size_t n);

/* A stream for keys of several parts: init, add as often as needed, then the one end that fits. */
void siphash_init64(struct siphash *hash, struct siphash_key key);
void siphash_init128(struct siphash *hash, struct siphash_key key);
void siphash_add(struct siphash *hash, const void *bytes, size_t n);
uint64_t siphash_end64(struct siphash *hash);
struct hash128 siphash_end128(struct siphash *hash);

/* Adds the length and then the text, so that ("ab","c") and ("a","bc") differ. */
void siphash_add_str(struct siphash *hash, struct str s);
void siphash_add_u64(struct siphash *hash, uint64_t value);

static inline bool hash128_eq(struct hash128 a, struct hash128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}
