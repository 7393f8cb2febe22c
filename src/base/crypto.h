/*
 * crypto.h - digests and signatures, a thin skin over OpenSSL.
 *
 * Everything here answers about bytes as they were received. What is signed is
 * often put together from pieces ("timestamp + body"), so the calls take parts
 * and nobody has to copy a body of megabytes. Comparing secrets is str.h's
 * str_eq_secret; hexadecimal and base64 are hex.h's.
 *
 * Thread: all functions may be called from any thread.
 */
#pragma once

#include "base/str.h"

#define CRYPTO_SHA1_BYTES   20
#define CRYPTO_SHA256_BYTES 32

enum crypto_digest { CRYPTO_SHA1, CRYPTO_SHA256 };

/* Digest over all parts, one behind the other. */
void crypto_sha1(const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA1_BYTES]);
void crypto_sha256(const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA256_BYTES]);

/* The digest of the digest, so many times: what makes guessing a password slow. */
void crypto_sha256_again(uint8_t hash[CRYPTO_SHA256_BYTES], int times);

/* HMAC (RFC 2104) over all parts; an empty key is a key. */
void crypto_hmac_sha1(struct str key, const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA1_BYTES]);
void crypto_hmac_sha256(struct str key, const struct str *parts, size_t n, uint8_t ret[CRYPTO_SHA256_BYTES]);

/*
 * True when `signature` (DER) is an ECDSA signature over SHA-256 of all parts, made with the key whose public half
 * is `key_base64` (base64 of a SubjectPublicKeyInfo on curve P-256). False also when key or signature do not parse.
 */
bool crypto_ecdsa_verify(struct str key_base64, const struct str *parts, size_t n, struct str signature);

/* True when key_base64 is such a key; for refusing a wrong setting before the first webhook comes. */
bool crypto_ecdsa_key_valid(struct str key_base64);

/*
 * True when `signature` is an RSA signature (PKCS #1 v1.5) over all parts, made by the owner of the first certificate
 * in `pem`. Says nothing about who issued the certificate or how long it is valid: trust comes from where it was
 * fetched. False also when the certificate does not parse or holds another kind of key.
 */
bool crypto_rsa_verify(enum crypto_digest digest, struct str pem, const struct str *parts, size_t n,
                       struct str signature);

/* True when pem holds a certificate with an RSA key. */
bool crypto_certificate_valid(struct str pem);

#define CRYPTO_GCM_KEY_BYTES   32
#define CRYPTO_GCM_NONCE_BYTES 12
#define CRYPTO_GCM_TAG_BYTES   16

/* AES-256-GCM. ret holds text.n bytes. A nonce must not be used twice for two texts under one key. */
void crypto_gcm_seal(const uint8_t key[CRYPTO_GCM_KEY_BYTES], const uint8_t nonce[CRYPTO_GCM_NONCE_BYTES],
                     struct str also, struct str text, uint8_t *ret, uint8_t ret_tag[CRYPTO_GCM_TAG_BYTES]);

/* False when text, tag or `also` is not what was sealed; ret then means nothing. */
bool crypto_gcm_open(const uint8_t key[CRYPTO_GCM_KEY_BYTES], const uint8_t nonce[CRYPTO_GCM_NONCE_BYTES],
                     struct str also, struct str sealed, const uint8_t tag[CRYPTO_GCM_TAG_BYTES], uint8_t *ret);
