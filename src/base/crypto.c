#include "base/crypto.h"

#include <stdlib.h>
#include <limits.h>
#include <assert.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/hex.h"

#define KEY_BASE64_BYTES_MAX 1024 /* a P-256 SubjectPublicKeyInfo takes 124 */
#define PEM_BYTES_MAX        65536

static const EVP_MD *digest_of(enum crypto_digest digest)
{
    return digest == CRYPTO_SHA1 ? EVP_sha1() : EVP_sha256();
}

/* Digests and MACs of memory fail only when the machine has none left or OpenSSL is broken: nothing can go on then. */
static void digest_parts(const EVP_MD *md, const struct str *parts, size_t n, uint8_t *ret)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int good = context && EVP_DigestInit_ex(context, md, NULL);
    for (size_t i = 0; i < n; i++)
        good = good && EVP_DigestUpdate(context, parts[i].p, parts[i].n);
    good = good && EVP_DigestFinal_ex(context, ret, NULL);
    assert(good);
    EVP_MD_CTX_free(context);
}

void crypto_sha1(const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA1_BYTES])
{
    digest_parts(EVP_sha1(), parts, n, ret);
}

void crypto_sha256(const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA256_BYTES])
{
    digest_parts(EVP_sha256(), parts, n, ret);
}

void crypto_sha256_again(uint8_t hash[CRYPTO_SHA256_BYTES], int times)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new(); /* one for all of them: making it costs more than a digest */
    int good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    for (int i = 0; i < times && good; i++)
        good = EVP_DigestUpdate(context, hash, CRYPTO_SHA256_BYTES) && EVP_DigestFinal_ex(context, hash, NULL) &&
               EVP_DigestInit_ex(context, NULL, NULL);
    assert(good);
    EVP_MD_CTX_free(context);
}

static void hmac_parts(const char *digest, struct str key, const struct str *parts, size_t n, uint8_t *ret, size_t size)
{
    char name[16];
    strcpy(name, digest);
    const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                                  OSSL_PARAM_construct_end() };
    /* A key of no bytes still needs an address: NULL would mean "keep the key of before". */
    const unsigned char *key_bytes = (const unsigned char *)(key.p ? key.p : "");
    size_t written = 0;

    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;
    int good = context && EVP_MAC_init(context, key_bytes, key.n, params);
    for (size_t i = 0; i < n; i++)
        good = good && EVP_MAC_update(context, (const unsigned char *)parts[i].p, parts[i].n);
    good = good && EVP_MAC_final(context, ret, &written, size);
    assert(good && written == size);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

void crypto_hmac_sha1(struct str key, const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA1_BYTES])
{
    hmac_parts("SHA1", key, parts, n, ret, CRYPTO_SHA1_BYTES);
}

void crypto_hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA256_BYTES])
{
    hmac_parts("SHA256", key, parts, n, ret, CRYPTO_SHA256_BYTES);
}

static bool verify_parts(EVP_PKEY *key, const EVP_MD *md, const struct str *parts, size_t n, struct str signature)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestVerifyInit(context, NULL, md, NULL, key) == 1;
    for (size_t i = 0; i < n; i++)
        good = good && EVP_DigestVerifyUpdate(context, parts[i].p, parts[i].n) == 1;
    good = good && EVP_DigestVerifyFinal(context, (const unsigned char *)signature.p, signature.n) == 1;
    EVP_MD_CTX_free(context);
    return good;
}

static bool key_is_p256(EVP_PKEY *key)
{
    char curve[64];
    size_t n;
    return EVP_PKEY_get_base_id(key) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key, curve, sizeof curve, &n) == 1 &&
           strcmp(curve, SN_X9_62_prime256v1) == 0;
}

/* The caller frees the key; NULL when the text holds none of this curve. */
static EVP_PKEY *ecdsa_key(struct str key_base64)
{
    unsigned char der[BASE64_RAW_MAX(KEY_BASE64_BYTES_MAX)];
    size_t n;
    if (key_base64.n > KEY_BASE64_BYTES_MAX || !base64_decode(key_base64, der, &n))
        return NULL;

    const unsigned char *at = der;
    EVP_PKEY *key = d2i_PUBKEY(NULL, &at, (long)n);
    if (key && at == der + n && key_is_p256(key))
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

bool crypto_ecdsa_verify(struct str key_base64, const struct str *parts, size_t n, struct str signature)
{
    EVP_PKEY *key = ecdsa_key(key_base64);
    bool good = key && verify_parts(key, EVP_sha256(), parts, n, signature);
    EVP_PKEY_free(key);
    return good;
}

bool crypto_ecdsa_key_valid(struct str key_base64)
{
    EVP_PKEY *key = ecdsa_key(key_base64);
    EVP_PKEY_free(key);
    return key != NULL;
}

/* The caller frees the key; NULL when pem holds no certificate with an RSA key. */
static EVP_PKEY *certificate_key(struct str pem)
{
    if (pem.n == 0 || pem.n > PEM_BYTES_MAX)
        return NULL;
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    BIO_free(bio);

    if (key && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

bool crypto_rsa_verify(enum crypto_digest digest, struct str pem, const struct str *parts, size_t n,
                       struct str signature)
{
    EVP_PKEY *key = certificate_key(pem);
    bool good = key && verify_parts(key, digest_of(digest), parts, n, signature);
    EVP_PKEY_free(key);
    return good;
}

bool crypto_certificate_valid(struct str pem)
{
    EVP_PKEY *key = certificate_key(pem);
    EVP_PKEY_free(key);
    return key != NULL;
}

/* --- AES-256-GCM --- */

void crypto_gcm_seal(const uint8_t key[CRYPTO_GCM_KEY_BYTES], const uint8_t nonce[CRYPTO_GCM_NONCE_BYTES],
                     struct str also, struct str text, uint8_t *ret, uint8_t ret_tag[CRYPTO_GCM_TAG_BYTES])
{
    int n = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert(text.n <= INT_MAX && also.n <= INT_MAX);
    if (!context || EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) != 1 ||
        EVP_EncryptUpdate(context, NULL, &n, (const uint8_t *)also.p, (int)also.n) != 1 ||
        EVP_EncryptUpdate(context, ret, &n, (const uint8_t *)text.p, (int)text.n) != 1 ||
        EVP_EncryptFinal_ex(context, ret + n, &n) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, CRYPTO_GCM_TAG_BYTES, ret_tag) != 1)
        abort(); /* no memory: there is no text that cannot be sealed */
    EVP_CIPHER_CTX_free(context);
}

bool crypto_gcm_open(const uint8_t key[CRYPTO_GCM_KEY_BYTES], const uint8_t nonce[CRYPTO_GCM_NONCE_BYTES],
                     struct str also, struct str sealed, const uint8_t tag[CRYPTO_GCM_TAG_BYTES], uint8_t *ret)
{
    int n = 0;
    uint8_t expected[CRYPTO_GCM_TAG_BYTES];
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    assert(sealed.n <= INT_MAX && also.n <= INT_MAX);
    memcpy(expected, tag, sizeof expected); /* OpenSSL wants it writable */
    bool good = context && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, nonce) == 1 &&
                EVP_DecryptUpdate(context, NULL, &n, (const uint8_t *)also.p, (int)also.n) == 1 &&
                EVP_DecryptUpdate(context, ret, &n, (const uint8_t *)sealed.p, (int)sealed.n) == 1 &&
                EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, CRYPTO_GCM_TAG_BYTES, expected) == 1 &&
                EVP_DecryptFinal_ex(context, ret + n, &n) == 1;
    EVP_CIPHER_CTX_free(context);
    return good;
}
