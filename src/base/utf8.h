/*
 * utf8.h - single characters of UTF-8 (RFC 3629), inline for the scanners.
 *
 * A character is well formed when it has the shortest form, is no surrogate
 * and lies at or below U+10FFFF. What is not, is replaced by U+FFFD one maximal
 * part at a time, as browsers do: the bytes that could still have become a
 * character count as one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define UTF8_REPLACEMENT       "\xEF\xBF\xBD"
#define UTF8_REPLACEMENT_BYTES 3

/*
 * Looks at the character at p, where n >= 1 bytes are. Returns its bytes (1 to 4) when it is well formed, else 0.
 * *ret_bad is then what one U+FFFD stands for (at least 1).
 */
static inline size_t utf8_length(const char *text, size_t n, size_t *ret_bad)
{
    const unsigned char *p = (const unsigned char *)text;
    if (p[0] < 0x80)
        return 1;

    *ret_bad = 1;
    if (p[0] < 0xC2 || p[0] > 0xF4)
        return 0;
    size_t bytes = p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;

    /* The second byte's range depends on the first (RFC 3629 section 4): it keeps out long forms and surrogates. */
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    for (size_t i = 1; i < bytes; i++) {
        if (i == n || p[i] < low || p[i] > high)
            return 0;
        *ret_bad = i + 1;
        low = 0x80;
        high = 0xBF;
    }
    return bytes;
}

/* Writes the character (a valid one) and returns its 1 to 4 bytes. */
static inline size_t utf8_put(char *out, uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}
