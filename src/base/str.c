#include "base/str.h"
#include "base/utf8.h"

struct str str_of(const char *text)
{
    return (struct str){ text, text ? strlen(text) : 0 };
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i]))
            return false;
    return true;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.n >= prefix.n && str_eq((struct str){ s.p, prefix.n }, prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    /* The empty suffix first: a str that is not given has no end to point at. */
    return suffix.n == 0 || (s.n >= suffix.n && memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

bool str_eq_secret(struct str a, struct str b)
{
    if (a.n != b.n)
        return false;
    /* volatile keeps the compiler from leaving the loop at the first difference. */
    volatile unsigned char differ = 0;
    for (size_t i = 0; i < a.n; i++)
        differ = (unsigned char)(differ | (a.p[i] ^ b.p[i]));
    return differ == 0;
}

int str_cmp(struct str a, struct str b)
{
    size_t common = a.n < b.n ? a.n : b.n;
    int order = common ? memcmp(a.p, b.p, common) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct str str_trim(struct str s)
{
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    while (s.n && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    return s;
}

size_t str_find(struct str s, char byte)
{
    const char *at = s.n ? memchr(s.p, byte, s.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

size_t str_search(struct str s, struct str needle)
{
    if (needle.n == 0)
        return 0;
    const char *at = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return at ? (size_t)(at - s.p) : s.n;
}

struct str str_cut(struct str *s, char sep)
{
    size_t at = str_find(*s, sep);
    struct str head = { s->p, at };
    *s = at < s->n ? (struct str){ s->p + at + 1, s->n - at - 1 } : (struct str){ NULL, 0 };
    return head;
}

bool str_to_int(struct str s, int64_t min, int64_t max, int64_t *ret)
{
    bool minus = s.n && s.p[0] == '-';
    size_t i = minus ? 1 : 0;
    if (i == s.n)
        return false;

    /* Collected below zero, because INT64_MIN has no positive twin. */
    int64_t value = 0;
    for (; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, s.p[i] - '0', &value))
            return false;
    }
    if (!minus && value == INT64_MIN)
        return false;
    if (!minus)
        value = -value;
    if (value < min || value > max)
        return false;
    *ret = value;
    return true;
}

bool str_is_utf8(struct str s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t word;
        size_t bad;
        if (s.n - i >= sizeof word) { /* most text is ASCII: eight bytes at a step */
            memcpy(&word, s.p + i, sizeof word);
            if ((word & 0x8080808080808080u) == 0) {
                i += sizeof word;
                continue;
            }
        }
        size_t bytes = utf8_length(s.p + i, s.n - i, &bad);
        if (bytes == 0)
            return false;
        i += bytes;
    }
    return true;
}

struct str str_clip(struct str s, size_t max_bytes)
{
    if (s.n <= max_bytes)
        return s;
    size_t n = max_bytes;
    /* Step back from the middle of a character to its first byte; at most three steps, for bytes that are no UTF-8. */
    for (int i = 0; i < 3 && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80; i++)
        n--;
    return (struct str){ s.p, n };
}
