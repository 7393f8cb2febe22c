/*
 * hex.h - bytes as text: hexadecimal and base64.
 *
 * Encoders write exactly the size their macro names and no NUL. Decoders
 * take exact forms only (right padding, no blanks, unused bits zero), so one
 * value has one spelling and signatures cannot be varied. What a refused text
 * leaves in ret_bytes means nothing.
 */
#pragma once

#include "base/arena.h"

#define HEX_BYTES(n)       (2 * (n))           /* text bytes for n bytes */
#define BASE64_BYTES(n)    (((n) + 2) / 3 * 4) /* standard alphabet, with padding */
#define BASE64URL_BYTES(n) (((n)*4 + 2) / 3)   /* URL alphabet, no padding */
#define BASE64_RAW_MAX(n)  ((n) / 4 * 3 + 2)   /* most bytes that n base64 bytes decode to */

/* Lower case. */
void hex_encode(const void *bytes, size_t n, char *ret_text);

/* Either case; exactly 2 * n digits. */
bool hex_decode(struct str text, void *ret_bytes, size_t n);

void base64_encode(const void *bytes, size_t n, char *ret_text);
void base64url_encode(const void *bytes, size_t n, char *ret_text);

/* ret_bytes holds BASE64_RAW_MAX(text.n); the standard form needs its padding. */
bool base64_decode(struct str text, void *ret_bytes, size_t *ret_n);

/* Padding optional. */
bool base64url_decode(struct str text, void *ret_bytes, size_t *ret_n);

/* Copies in an arena, NUL behind them; not given when the arena is full. */
struct str hex_str(struct arena *arena, const void *bytes, size_t n);
struct str base64_str(struct arena *arena, const void *bytes, size_t n);
struct str base64url_str(struct arena *arena, const void *bytes, size_t n);
