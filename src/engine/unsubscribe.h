/*
 * unsubscribe.h - the token of a one-click unsubscribe address (RFC 8058), and what it does.
 *
 *     base64url( version | key number | nonce 12 | ciphertext | tag 16 )
 *
 * The text inside is tenant, scope and recipient, sealed with AES-256-GCM, so a
 * URL shows no address, needs no row and does not expire. The nonce is a MAC of
 * the text: the same request gives the same token. Keys have numbers; the
 * newest one seals, older ones still open what was sent long ago (UNS-2). A
 * suppression by it holds for the scope in the token only (UNS-5).
 */
#pragma once

#include "store/tx.h"

#define UNSUBSCRIBE_KEY_BYTES       32
#define UNSUBSCRIBE_KEYS_MAX        16
#define UNSUBSCRIBE_TOKEN_BYTES_MAX 1200
#define UNSUBSCRIBE_SCOPE_BYTES_MAX 140

struct unsubscribe_keys {
    struct {
        uint8_t number; /* from 1 */
        uint8_t key[UNSUBSCRIBE_KEY_BYTES];
    } keys[UNSUBSCRIBE_KEYS_MAX];
    size_t count; /* the last one seals */
};

struct unsubscribe {
    struct str tenant;
    struct str scope; /* "mailings" or "report:ID" */
    struct str recipient;
};

/* Reads a key file: 32 raw bytes, or lines "HEX" or "NUMBER HEX", the newest last. ERR_INVALID. */
enum err unsubscribe_keys_read(struct op *op, struct str text, struct unsubscribe_keys *ret);

/* ERR_INVALID at /tenant, /scope or /recipient. */
enum err unsubscribe_check(struct op *op, const struct unsubscribe *what);

/* The token in the op's arena; `what` was checked. */
enum err unsubscribe_seal(struct op *op, const struct unsubscribe_keys *keys, const struct unsubscribe *what,
                          struct str *ret_token);

/* False for a token that is not ours; the texts live in the op's arena. */
bool unsubscribe_open(struct op *op, const struct unsubscribe_keys *keys, struct str token, struct unsubscribe *ret);

/* Suppresses the recipient with the token's scope; when that is news it is in the log of events, too, as
 * `message.unsubscribed` with via, "one-click" or "page" (UNS-4). A tenant that is not known (any more) changes
 * nothing. */
enum err unsubscribe_apply(struct op *op, struct tx *tx, const struct unsubscribe *what, struct str via);
