#include "base/hex.h"

static const char hex_digits[] = "0123456789abcdef";
static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void hex_encode(const void *bytes, size_t n, char *ret_text)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++) {
        ret_text[2 * i] = hex_digits[p[i] >> 4];
        ret_text[2 * i + 1] = hex_digits[p[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool hex_decode(struct str text, void *ret_bytes, size_t n)
{
    uint8_t *to = ret_bytes;
    if (text.n != HEX_BYTES(n))
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (hex_value(text.p[i]) < 0)
            return false; /* before the first byte is written */
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)((unsigned)hex_value(text.p[2 * i]) << 4 | (unsigned)hex_value(text.p[2 * i + 1]));
    return true;
}

/* Whole groups of three and what is left of the last one, without padding. */
static char *encode(const uint8_t *p, size_t n, const char *alphabet, char *to)
{
    for (; n >= 3; n -= 3, p += 3) {
        *to++ = alphabet[p[0] >> 2];
        *to++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = alphabet[p[2] & 63];
    }
    if (n > 0) {
        *to++ = alphabet[p[0] >> 2];
        *to++ = alphabet[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
    }
    if (n == 2)
        *to++ = alphabet[(p[1] & 15) << 2];
    return to;
}

void base64_encode(const void *bytes, size_t n, char *ret_text)
{
    char *end = encode(bytes, n, standard, ret_text);
    while (end < ret_text + BASE64_BYTES(n))
        *end++ = '=';
}

void base64url_encode(const void *bytes, size_t n, char *ret_text)
{
    encode(bytes, n, url, ret_text);
}

static int base64_value(char c, const char *alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == alphabet[62] ? 62 : c == alphabet[63] ? 63 : -1;
}

/* Text without its padding. */
static bool decode(struct str text, const char *alphabet, uint8_t *to, size_t *ret_n)
{
    uint32_t bits = 0;
    int held = 0; /* bits read and not yet written */
    size_t n = 0;
    if (text.n % 4 == 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64_value(text.p[i], alphabet);
        if (value < 0)
            return false;
        bits = (bits << 6 | (uint32_t)value) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            to[n++] = (uint8_t)(bits >> held);
        }
    }
    if (bits & ((1U << held) - 1))
        return false; /* bits nobody reads could be varied freely */
    *ret_n = n;
    return true;
}

/* Takes the padding off; false when there is more or less of it than the length asks for. */
static bool unpad(struct str *text)
{
    if (text->n % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text->n > 0 && text->p[text->n - 1] == '='; i++)
        text->n--;
    return true;
}

bool base64_decode(struct str text, void *ret_bytes, size_t *ret_n)
{
    return unpad(&text) && decode(text, standard, ret_bytes, ret_n);
}

bool base64url_decode(struct str text, void *ret_bytes, size_t *ret_n)
{
    if (text.n > 0 && text.p[text.n - 1] == '=' && !unpad(&text))
        return false;
    return decode(text, url, ret_bytes, ret_n);
}

/* Room for n bytes of text and a NUL behind them; not given when the arena is full. */
static struct str room_for(struct arena *arena, size_t n, char **ret_text)
{
    char *text = arena_alloc_raw(arena, n + 1);
    if (!text)
        return (struct str){ NULL, 0 };
    text[n] = '\0';
    *ret_text = text;
    return (struct str){ text, n };
}

struct str hex_str(struct arena *arena, const void *bytes, size_t n)
{
    char *text;
    struct str result = room_for(arena, HEX_BYTES(n), &text);
    if (str_given(result))
        hex_encode(bytes, n, text);
    return result;
}

struct str base64_str(struct arena *arena, const void *bytes, size_t n)
{
    char *text;
    struct str result = room_for(arena, BASE64_BYTES(n), &text);
    if (str_given(result))
        base64_encode(bytes, n, text);
    return result;
}

struct str base64url_str(struct arena *arena, const void *bytes, size_t n)
{
    char *text;
    struct str result = room_for(arena, BASE64URL_BYTES(n), &text);
    if (str_given(result))
        base64url_encode(bytes, n, text);
    return result;
}
