#include "test.h"

#include <openssl/evp.h>
#include <openssl/params.h>

#include "base/siphash.h"

#define LONGEST 64

/* Key and message of the published vectors: the bytes 00, 01, 02, ... */
static void counting(uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)i;
}

static struct siphash_key counting_key(void)
{
    uint8_t bytes[SIPHASH_KEY_BYTES];
    counting(bytes, sizeof bytes);
    return siphash_key_from(bytes);
}

TEST(siphash, gives_the_published_64_bit_results)
{
    uint8_t message[15];
    counting(message, sizeof message);
    YES(siphash64(counting_key(), message, 0) == UINT64_C(0x726fdb47dd0e0e31));
    YES(siphash64(counting_key(), message, 1) == UINT64_C(0x74f839c593dc67fd));
    YES(siphash64(counting_key(), message, 15) == UINT64_C(0xa129ca6149be45e5));
}

TEST(siphash, gives_the_published_128_bit_results)
{
    uint8_t message[1] = { 0 };
    struct hash128 empty = { UINT64_C(0xe6a825ba047f81a3), UINT64_C(0x930255c71472f66d) };
    struct hash128 one = { UINT64_C(0x44af996bd8c187da), UINT64_C(0x45fc229b11597634) };
    YES(hash128_eq(siphash128(counting_key(), message, 0), empty));
    YES(hash128_eq(siphash128(counting_key(), message, 1), one));
    NO(hash128_eq(empty, one));
}

/* What OpenSSL's SipHash makes of the counting key and message. */
static void peer(const uint8_t *message, size_t n, size_t size, uint8_t *ret)
{
    uint8_t key[SIPHASH_KEY_BYTES];
    size_t got;
    counting(key, sizeof key);
    OSSL_PARAM params[] = { OSSL_PARAM_construct_size_t("size", &size), OSSL_PARAM_construct_end() };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    EQ(EVP_MAC_init(context, key, sizeof key, params), 1);
    EQ(EVP_MAC_update(context, message, n), 1);
    EQ(EVP_MAC_final(context, ret, &got, size), 1);
    EQ(got, size);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

TEST(siphash, agrees_with_openssl_at_every_length)
{
    uint8_t message[LONGEST];
    counting(message, sizeof message);
    for (size_t n = 0; n <= LONGEST; n++) {
        uint64_t narrow;
        struct hash128 wide;
        peer(message, n, 8, (uint8_t *)&narrow);
        peer(message, n, 16, (uint8_t *)&wide);
        YES(siphash64(counting_key(), message, n) == narrow);
        YES(hash128_eq(siphash128(counting_key(), message, n), wide));
    }
}

TEST(siphash, gives_the_same_however_the_bytes_are_cut)
{
    uint8_t message[LONGEST];
    counting(message, sizeof message);
    uint64_t whole = siphash64(counting_key(), message, LONGEST);
    for (size_t first = 0; first <= LONGEST; first++) {
        struct siphash hash;
        siphash_init64(&hash, counting_key());
        siphash_add(&hash, message, first);
        siphash_add(&hash, message + first, (LONGEST - first) / 2);
        siphash_add(&hash, message + first + (LONGEST - first) / 2, LONGEST - first - (LONGEST - first) / 2);
        YES(siphash_end64(&hash) == whole);
    }
}

static struct hash128 hash_of(struct str a, struct str b)
{
    struct siphash hash;
    siphash_init128(&hash, counting_key());
    siphash_add_str(&hash, a);
    siphash_add_str(&hash, b);
    return siphash_end128(&hash);
}

TEST(siphash, keeps_neighbouring_texts_apart)
{
    NO(hash128_eq(hash_of(S("ab"), S("c")), hash_of(S("a"), S("bc"))));
    NO(hash128_eq(hash_of(S(""), S("a")), hash_of(S("a"), S(""))));
    YES(hash128_eq(hash_of(S("a"), S("b")), hash_of(S("a"), S("b"))));
}
