/*
 * worker_password.h - the greeting's challenge, and who has answered it wrongly.
 *
 * The client proves that it knows the password without sending it: it hashes
 * password and salt, then the hash again and again. Old clients (version below
 * 2) hash once; `require_v2_auth` refuses them.
 *
 * A wrong answer is told late: 100 ms after the first of an address, doubling
 * to 2 s, forgotten after a minute without one. Guessing is slow then, and
 * nobody else waits.
 *
 * Thread: the door's loop.
 */
#pragma once

#include "net/addr.h"

#define PASSWORD_ITERATIONS_MIN 4000
#define PASSWORD_ITERATIONS_MAX 8095
#define PASSWORD_SALT_BYTES     17 /* 16 hexadecimal digits and a NUL */
#define PASSWORD_HASH_BYTES     64
#define PASSWORD_DELAY_MS_MAX   2000
#define PASSWORD_FORGET_MS      60000
#define PASSWORD_PEERS_MAX      1024 /* addresses remembered apart; those that share a place share their fate */

struct challenge {
    int iterations;
    char salt[PASSWORD_SALT_BYTES];
};

/* Fresh chance for one connection. */
void challenge_make(struct challenge *challenge);

/* Lower-case hexadecimal of SHA-256, `iterations` times. */
void password_hash(struct str password, struct str salt, int iterations, char ret_hex[PASSWORD_HASH_BYTES]);

/* Same time whatever the answer. */
bool challenge_is_met(const struct challenge *challenge, struct str password, int64_t version, struct str answer);

struct wrong_answers {
    struct {
        int64_t last_ms;
        int count;
    } peers[PASSWORD_PEERS_MAX];
};

/* One more wrong answer of this address: how long to wait before it is told so, ms. */
int64_t wrong_answers_note(struct wrong_answers *wrong, const struct addr *peer, int64_t now_ms);
