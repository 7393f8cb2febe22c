#include "base/siphash.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

static uint64_t load_le64(const void *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

static uint64_t load_le32(const void *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return le32toh(value);
}

static inline uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline void sip_round(struct siphash *h)
{
    h->v0 += h->v1;
    h->v2 += h->v3;
    h->v1 = rotate(h->v1, 13) ^ h->v0;
    h->v3 = rotate(h->v3, 16) ^ h->v2;
    h->v0 = rotate(h->v0, 32);
    h->v2 += h->v1;
    h->v0 += h->v3;
    h->v1 = rotate(h->v1, 17) ^ h->v2;
    h->v3 = rotate(h->v3, 21) ^ h->v0;
    h->v2 = rotate(h->v2, 32);
}

static inline void mix(struct siphash *h, uint64_t word)
{
    h->v3 ^= word;
    sip_round(h);
    sip_round(h);
    h->v0 ^= word;
}

struct siphash_key siphash_key_from(const uint8_t bytes[SIPHASH_KEY_BYTES])
{
    return (struct siphash_key){ load_le64(bytes), load_le64(bytes + 8) };
}

static void init(struct siphash *hash, struct siphash_key key, bool wide)
{
    /* The constants are "somepseudorandomlygeneratedbytes". */
    *hash = (struct siphash){
        .v0 = key.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = key.k1 ^ UINT64_C(0x646f72616e646f6d) ^ (wide ? 0xee : 0),
        .v2 = key.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key.k1 ^ UINT64_C(0x7465646279746573),
        .wide = wide,
    };
}

void siphash_init64(struct siphash *hash, struct siphash_key key)
{
    init(hash, key, false);
}

void siphash_init128(struct siphash *hash, struct siphash_key key)
{
    init(hash, key, true);
}

/* Fewer than eight bytes, the first one lowest, without a loop: the pieces may overlap. */
static uint64_t load_few(const uint8_t *p, size_t n)
{
    if (n >= 4)
        return load_le32(p) | load_le32(p + n - 4) << (n - 4) * 8;
    if (n > 0)
        return p[0] | (uint64_t)p[n / 2] << n / 2 * 8 | (uint64_t)p[n - 1] << (n - 1) * 8;
    return 0;
}

/* The bytes that wait and the first ones of the word are eight; the rest of the word waits. In two shifts, because none
 * may wait. */
static inline void mix_behind(struct siphash *h, uint64_t word, unsigned waiting_bits)
{
    mix(h, h->tail | word << waiting_bits);
    h->tail = word >> 1 >> (63 - waiting_bits);
}

void siphash_add(struct siphash *hash, const void *bytes, size_t n)
{
    struct siphash h = *hash; /* in registers: the bytes might be those of *hash, for all the compiler knows */
    const uint8_t *p = bytes;
    unsigned waiting_bits = h.bytes % 8 * 8;
    h.bytes += n;
    for (; n >= 8; n -= 8, p += 8)
        mix_behind(&h, load_le64(p), waiting_bits);
    uint64_t few = load_few(p, n);
    if (waiting_bits + n * 8 >= 64)
        mix_behind(&h, few, waiting_bits);
    else
        h.tail |= few << waiting_bits;
    *hash = h;
}

void siphash_add_u64(struct siphash *hash, uint64_t value)
{
    uint64_t le = htole64(value);
    siphash_add(hash, &le, sizeof le);
}

void siphash_add_str(struct siphash *hash, struct str s)
{
    siphash_add_u64(hash, s.n);
    siphash_add(hash, s.p, s.n);
}

static uint64_t finish(struct siphash *hash)
{
    for (int i = 0; i < 4; i++)
        sip_round(hash);
    return hash->v0 ^ hash->v1 ^ hash->v2 ^ hash->v3;
}

/* The last word carries the low byte of the length, so that trailing zeros count. */
static void mix_last(struct siphash *hash)
{
    mix(hash, hash->tail | hash->bytes << 56);
}

uint64_t siphash_end64(struct siphash *hash)
{
    assert(!hash->wide);
    mix_last(hash);
    hash->v2 ^= 0xff;
    return finish(hash);
}

struct hash128 siphash_end128(struct siphash *hash)
{
    struct hash128 result;
    assert(hash->wide);
    mix_last(hash);
    hash->v2 ^= 0xee;
    result.lo = finish(hash);
    hash->v1 ^= 0xdd;
    result.hi = finish(hash);
    return result;
}

uint64_t siphash64(struct siphash_key key, const void *bytes, size_t n)
{
    struct siphash hash;
    siphash_init64(&hash, key);
    siphash_add(&hash, bytes, n);
    return siphash_end64(&hash);
}

struct hash128 siphash128(struct siphash_key key, const void *bytes, size_t n)
{
    struct siphash hash;
    siphash_init128(&hash, key);
    siphash_add(&hash, bytes, n);
    return siphash_end128(&hash);
}
