#include "test.h"

#include "base/crypto.h"
#include "base/hex.h"

/* Made for this test with the openssl program: a certificate, and signatures of its key over "hello, ledger". */
static const char certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                  "MIIDDzCCAfegAwIBAgIUJj+HFC0ik48dZ+7ocWRxxwoAt9QwDQYJKoZIhvcNAQEL\n"
                                  "BQAwFjEUMBIGA1UEAwwLc25zLmV4YW1wbGUwIBcNMjYxMTIyMDEyMDQxWhgPMjEy\n"
                                  "NjEwMjkwMTIwNDFaMBYxFDASBgNVBAMMC3Nucy5leGFtcGxlMIIBIjANBgkqhkiG\n"
                                  "9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwo/oiPqkVGtX62z99zLB1FuV5sajGa+iZOD9\n"
                                  "kzMmfOeDr9Vh/8uQ34b4WIVr9Gzx4dbfcUnuXL+SU+t41AP7W6rLLdhpUeWxbVi8\n"
                                  "gzXVSc5ai50uXfHc+pJG91U7DwFjzmc0ERYgt8kLoaw/maCdcYStXBBjmOPNyzEG\n"
                                  "jJji5hJNZNXlCGMzqylA7LVG976iBgqrpmFGddb0TFXYN+BSh60V7tWQeU7sH50I\n"
                                  "cNyored++fuYwrhORuo+Xi1J4XhSVrGfkp2R7v7MK/cm4qxkhjFkY8T4S4mG3TDk\n"
                                  "yJ5/d3wNiDt5P/T96sk1sDl/UcBvmMdej3oumajXToDdvLr8aQIDAQABo1MwUTAd\n"
                                  "BgNVHQ4EFgQUUkt5XeSFJ/AHfjTk++5hMD8QETMwHwYDVR0jBBgwFoAUUkt5XeSF\n"
                                  "J/AHfjTk++5hMD8QETMwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOC\n"
                                  "AQEAmmIPhPs5B6VyuE7bALHhj/hl3EZP3365LDJc104HQIi1eIdJN2nnSsn9zwa6\n"
                                  "A53jako33JH4PBk5C1khmfqO4bLDVIsm68jYsMeY+BUPqKf7/8D/vvqzn0US/y/2\n"
                                  "BR6Cm8r1tWjOuYryanVK21RGQGBebTVyW74BRSftpXS0vvDdUCBPZyWXav7KhV9i\n"
                                  "rtbTZYsa4M5xbbZcF+t8HMfvzAoiYthh9V8X/6TptFe7VS19Qx7Qyzq+j65LmXca\n"
                                  "LkUO7n/k0EewZG8/Dv8Rp4jkv+tF64zu6W5Z4lTjaCH9Czl/mLdkSO66wXLiZmRs\n"
                                  "/ID0jt0w07guykIvwZcfLP/qvA==\n"
                                  "-----END CERTIFICATE-----\n";
static const char sha1_signature[] =
    "wovVGQJj6DukUJXp5M97wpC1wNo3vzVL9aoNjzhh6LOmR48UQcK5OBXQTCato8itG60QdaIX3on2zcvDtSxaF4IwBO"
    "Uan7acjyF1W+cCjbz6FfQK7bRFx2a4+DL6elTSHz2+y3Sb1AbsOHB1dXofEcju2TtzCQMJ99y/KMotAEEPC7LTrXSo"
    "pKXMbajDdeQcTlAcTof9UKqBJdtvFiC1kwI6M6nsMU4tC3QImjaP6yed14BV5UrEI+2P0MRnkjFweU3NHL8ZKCsICV"
    "ATdmRFojlhRY1AO1CdvclvuVy6NkgWe5iirVOklqKFPdHRek+F3/2i06CbSG0uMIbrJ1x7MA==";
static const char sha256_signature[] =
    "GGx7WFebliVmWzwMPNdP7R7/ZpKmAxwpGlFygYBtgNam0daDuI25wDcksY4+1eDgRboda22hv/lb/PEGZomxNnkCue"
    "GnUXn+0gDiNI8sc6pSseZNIu67VfOljH9R/1P4syKTyt2umHgTq0vDySGQ2Ih9Uf+1wiNknu7/I4nP5/P92S2ro9sK"
    "65r48sLkgMrYD7g0iC61ruXybJtNFBzyAPiFnQETNIVnJ+jzIeSonz4xPLSNHegregP/dK9p2+Sz5kbtcyAraFiHPG"
    "FOgf700abYbjILl8Or0M+ivIMmIxrnvo3kQ4KVUQ/ku3eBOkLXuXmjF4JoELgEUitQ4wMCpQ==";

/* A certificate over an elliptic curve, and public keys that are none of P-256. */
static const char ec_certificate[] = "-----BEGIN CERTIFICATE-----\n"
                                     "MIIBgTCCASegAwIBAgIUFmG/a5B8XBPXVMj+XVQ0WvmsoNIwCgYIKoZIzj0EAwIw\n"
                                     "FTETMBEGA1UEAwwKZWMuZXhhbXBsZTAgFw0yNjExMjIwMTIwNDJaGA8yMTI2MTAy\n"
                                     "OTAxMjA0MlowFTETMBEGA1UEAwwKZWMuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG\n"
                                     "SM49AwEHA0IABB7ShoioxQqF2toThBfiohb8NFeGueRj1JIL8uBxGzXGjdmWfY/f\n"
                                     "Tu9B/jXsEpBMzT3qNn5cbcobAElWE5HlYT6jUzBRMB0GA1UdDgQWBBTuOuV0CB7k\n"
                                     "mFBnV4V0plDgoVSDCzAfBgNVHSMEGDAWgBTuOuV0CB7kmFBnV4V0plDgoVSDCzAP\n"
                                     "BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIDlC1PI9+udSvqIs9htq\n"
                                     "m3SQhmy2OB5hVR8/9+f2I8eyAiEA1GTfQE869WVux9sW0eMoaZoFGIfW4kHLTgST\n"
                                     "rrzwzLI=\n"
                                     "-----END CERTIFICATE-----\n";
static const char p384_key[] =
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAExL6qoRtYToo0sxYBUWNMWTdUF6Dfl+6RdRkZnz5hfzvugC13siywn+t805"
    "CdyERiA+8Q65XXTSLP8jTI93sTSM/pBRvdLZCwrIPkl5s9Vu5fFgD4vUn+86i2shf5r3tg";
static const char rsa_key[] =
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwo/oiPqkVGtX62z99zLB1FuV5sajGa+iZOD9kzMmfOeDr9"
    "Vh/8uQ34b4WIVr9Gzx4dbfcUnuXL+SU+t41AP7W6rLLdhpUeWxbVi8gzXVSc5ai50uXfHc+pJG91U7DwFjzmc0ERYg"
    "t8kLoaw/maCdcYStXBBjmOPNyzEGjJji5hJNZNXlCGMzqylA7LVG976iBgqrpmFGddb0TFXYN+BSh60V7tWQeU7sH5"
    "0IcNyored++fuYwrhORuo+Xi1J4XhSVrGfkp2R7v7MK/cm4qxkhjFkY8T4S4mG3TDkyJ5/d3wNiDt5P/T96sk1sDl/"
    "UcBvmMdej3oumajXToDdvLr8aQIDAQAB";

/* The published vector of SendGrid's scheme. */
#define SENDGRID_KEY                                                                                                   \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjYO8hD470/g94+XsIXH3qDsKsxFfTIlymY1WLrLbic/pkgUYFqk1ubAlIjlT+byILR4gbc+EZj1"  \
    "TAsDorZV5Yw=="
#define SENDGRID_SIGNATURE                                                                                             \
    "MEUCIQDB9NxWFQ9c2joNsPFmapheNoy4iWGFEKcyx/+30RpGIQIgL9mTBIUNUoo07TTJjKcXyHBSUdfDlPjHNdgY/6nJfxo="

static void decode(const char *text, uint8_t *ret_bytes, struct str *ret)
{
    size_t n;
    YES(base64_decode(str_of(text), ret_bytes, &n));
    *ret = (struct str){ (const char *)ret_bytes, n };
}

static void hex_eq(const uint8_t *bytes, size_t n, const char *expected)
{
    char text[HEX_BYTES(CRYPTO_SHA256_BYTES)];
    hex_encode(bytes, n, text);
    STR_EQ(((struct str){ text, HEX_BYTES(n) }), expected);
}

TEST(crypto, digests_known_texts)
{
    uint8_t out[CRYPTO_SHA256_BYTES];
    struct str parts[] = { S("a"), S(""), S("bc") };
    crypto_sha1(parts, 3, out);
    hex_eq(out, CRYPTO_SHA1_BYTES, "a9993e364706816aba3e25717850c26c9cd0d89d");
    crypto_sha256(parts, 3, out);
    hex_eq(out, CRYPTO_SHA256_BYTES, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    crypto_sha256(NULL, 0, out);
    hex_eq(out, CRYPTO_SHA256_BYTES, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST(crypto, signs_mailguns_vector_with_hmac_sha256)
{
    uint8_t out[CRYPTO_SHA256_BYTES];
    struct str parts[] = { S("1529006854"), S("a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0") };
    crypto_hmac_sha256(S("key-posthouse-test"), parts, 2, out);
    hex_eq(out, sizeof out, "dc48aade9d746758e940def8f084bd646b8c9f5c15ac1d6007adf742619e1b4e");
}

TEST(crypto, signs_twilios_vectors_with_hmac_sha1)
{
    uint8_t out[CRYPTO_SHA1_BYTES];
    char text[BASE64_BYTES(CRYPTO_SHA1_BYTES)];
    struct str sms[] = { S("https://post.example/v1/hooks/tw"), S("MessageSidSM0123456789abcdef0123456789abcdef"),
                         S("MessageStatusdelivered"), S("To+447700900123") };
    crypto_hmac_sha1(S("twilio-token-test"), sms, 4, out);
    base64_encode(out, sizeof out, text);
    STR_EQ(((struct str){ text, sizeof text }), "Cj9qBqqQ7iwShKHPDlQtH8ezs18=");

    struct str call[] = { S("https://mycompany.com/myapp.php?foo=1&bar=2"),
                          S("CallSidCA1234567890ABCDE"),
                          S("Caller+14158675309"),
                          S("Digits1234"),
                          S("From+14158675309"),
                          S("To+18005551212") };
    crypto_hmac_sha1(S("12345"), call, 6, out);
    base64_encode(out, sizeof out, text);
    STR_EQ(((struct str){ text, sizeof text }), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
}

TEST(crypto, signs_dvlas_vector_with_hmac_sha256)
{
    uint8_t out[CRYPTO_SHA256_BYTES];
    struct str id = S("6d3c0a52-6a44-4a4c-9d8e-0b8c0a1f7e55");
    crypto_hmac_sha256(S("dvla-key-test"), &id, 1, out);
    hex_eq(out, sizeof out, "7f4ca51a357b3c61b0fc380d47cb55f6d460c419c7aa86eca8f3a12c28dd5d9b");
}

TEST(crypto, gives_another_signature_for_each_changed_byte_of_key_and_text)
{
    char key[] = "dvla-key-test", text[] = "6d3c0a52-6a44-4a4c-9d8e-0b8c0a1f7e55";
    uint8_t first[CRYPTO_SHA256_BYTES], other[CRYPTO_SHA256_BYTES];
    struct str part = str_of(text);
    crypto_hmac_sha256(str_of(key), &part, 1, first);
    for (size_t i = 0; i < strlen(key); i++) {
        key[i] ^= 1;
        crypto_hmac_sha256(str_of(key), &part, 1, other);
        NE(memcmp(first, other, sizeof first), 0);
        key[i] ^= 1;
    }
    for (size_t i = 0; i < strlen(text); i++) {
        text[i] ^= 1;
        crypto_hmac_sha256(str_of(key), &part, 1, other);
        NE(memcmp(first, other, sizeof first), 0);
        crypto_hmac_sha1(str_of(key), &part, 1, other);
        text[i] ^= 1;
        crypto_hmac_sha1(str_of(key), &part, 1, first);
        NE(memcmp(first, other, CRYPTO_SHA1_BYTES), 0);
        crypto_hmac_sha256(str_of(key), &part, 1, first);
    }
}

TEST(crypto, takes_an_empty_key_as_a_key)
{
    uint8_t out[CRYPTO_SHA256_BYTES];
    crypto_hmac_sha256(str_of(NULL), NULL, 0, out);
    hex_eq(out, sizeof out, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(crypto, accepts_sendgrids_vector_and_refuses_each_changed_byte)
{
    uint8_t bytes[BASE64_RAW_MAX(sizeof SENDGRID_SIGNATURE)];
    struct str signature;
    decode(SENDGRID_SIGNATURE, bytes, &signature);
    struct str parts[] = { S("1763751600"), S("[{\"event\":\"delivered\"}]") };
    YES(crypto_ecdsa_verify(S(SENDGRID_KEY), parts, 2, signature));

    struct str later[] = { S("1763751601"), parts[1] };
    NO(crypto_ecdsa_verify(S(SENDGRID_KEY), later, 2, signature));
    struct str longer[] = { parts[0], S("[{\"event\":\"delivered\"}]\r\n") };
    NO(crypto_ecdsa_verify(S(SENDGRID_KEY), longer, 2, signature));
    for (size_t i = 0; i < signature.n; i++) {
        bytes[i] ^= 1;
        NO(crypto_ecdsa_verify(S(SENDGRID_KEY), parts, 2, signature));
        bytes[i] ^= 1;
    }
    NO(crypto_ecdsa_verify(S(SENDGRID_KEY), parts, 2, S("")));
}

TEST(crypto, tells_a_p256_key_from_everything_else)
{
    YES(crypto_ecdsa_key_valid(S(SENDGRID_KEY)));
    NO(crypto_ecdsa_key_valid(S("")));
    NO(crypto_ecdsa_key_valid(S("not base64")));
    NO(crypto_ecdsa_key_valid(S("AAAA")));
    NO(crypto_ecdsa_key_valid(str_of(p384_key)));
    NO(crypto_ecdsa_key_valid(str_of(rsa_key)));
}

TEST(crypto, accepts_rsa_signatures_of_a_certificate_and_refuses_changed_ones)
{
    static const struct {
        enum crypto_digest digest, other;
        const char *signature;
    } cases[] = { { CRYPTO_SHA1, CRYPTO_SHA256, sha1_signature }, { CRYPTO_SHA256, CRYPTO_SHA1, sha256_signature } };
    struct str pem = str_of(certificate);
    struct str parts[] = { S("hello, "), S("ledger") };
    struct str changed[] = { S("hello, "), S("Ledger") };

    for (size_t i = 0; i < 2; i++) {
        uint8_t bytes[BASE64_RAW_MAX(sizeof sha256_signature)];
        struct str signature;
        decode(cases[i].signature, bytes, &signature);
        YES(crypto_rsa_verify(cases[i].digest, pem, parts, 2, signature));
        NO(crypto_rsa_verify(cases[i].other, pem, parts, 2, signature));
        NO(crypto_rsa_verify(cases[i].digest, pem, changed, 2, signature));
        bytes[100] ^= 1;
        NO(crypto_rsa_verify(cases[i].digest, pem, parts, 2, signature));
    }
}

TEST(crypto, tells_an_rsa_certificate_from_everything_else)
{
    YES(crypto_certificate_valid(str_of(certificate)));
    NO(crypto_certificate_valid(str_of(ec_certificate)));
    NO(crypto_certificate_valid(S("")));
    NO(crypto_certificate_valid(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")));
    struct str part = S("hello");
    NO(crypto_rsa_verify(CRYPTO_SHA256, str_of(ec_certificate), &part, 1, S("x")));
    NO(crypto_rsa_verify(CRYPTO_SHA256, str_of(NULL), &part, 1, S("x")));
}
