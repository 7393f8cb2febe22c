#include "serve/worker_password.h"

#include <string.h>

#include "base/crypto.h"
#include "base/hex.h"
#include "base/random.h"

void challenge_make(struct challenge *challenge)
{
    uint8_t bytes[(PASSWORD_SALT_BYTES - 1) / 2];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, challenge->salt);
    challenge->salt[PASSWORD_SALT_BYTES - 1] = '\0';
    int span = PASSWORD_ITERATIONS_MAX - PASSWORD_ITERATIONS_MIN + 1;
    challenge->iterations = PASSWORD_ITERATIONS_MIN + (int)(random_u64() % (uint64_t)span);
}

void password_hash(struct str password, struct str salt, int iterations, char ret_hex[PASSWORD_HASH_BYTES])
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    crypto_sha256((struct str[]){ password, salt }, 2, hash);
    crypto_sha256_again(hash, iterations - 1);
    hex_encode(hash, sizeof hash, ret_hex);
}

bool challenge_is_met(const struct challenge *challenge, struct str password, int64_t version, struct str answer)
{
    char expected[PASSWORD_HASH_BYTES];
    int iterations = version < 2 ? 1 : challenge->iterations;
    password_hash(password, (struct str){ challenge->salt, PASSWORD_SALT_BYTES - 1 }, iterations, expected);
    return str_eq_secret(answer, (struct str){ expected, sizeof expected });
}

/* Of an IPv6 address its network: one customer has 2^64 of them. */
static size_t place_of(const struct addr *peer)
{
    uint32_t hash = 2166136261u;
    bool v4 = memcmp(peer->ip, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0;
    for (size_t i = 0; i < (v4 ? 16u : 8u); i++)
        hash = (hash ^ peer->ip[i]) * 16777619u;
    return hash % PASSWORD_PEERS_MAX;
}

int64_t wrong_answers_note(struct wrong_answers *wrong, const struct addr *peer, int64_t now_ms)
{
    size_t place = place_of(peer);
    bool forgotten = now_ms - wrong->peers[place].last_ms >= PASSWORD_FORGET_MS;
    int count = forgotten ? 0 : wrong->peers[place].count;
    int64_t delay_ms = count < 5 ? INT64_C(100) << count : PASSWORD_DELAY_MS_MAX;
    wrong->peers[place].last_ms = now_ms;
    wrong->peers[place].count = count + 1;
    return delay_ms < PASSWORD_DELAY_MS_MAX ? delay_ms : PASSWORD_DELAY_MS_MAX;
}
