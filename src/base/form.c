#include "base/form.h"

#include <string.h>

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool needs_decoding(struct str s, bool plus)
{
    return memchr(s.p, '%', s.n) || (plus && memchr(s.p, '+', s.n));
}

struct str form_decode(struct arena *arena, struct str s, bool plus)
{
    if (!s.n || !needs_decoding(s, plus))
        return s;
    char *out = arena_alloc_raw(arena, s.n);
    if (!out)
        return (struct str){ NULL, 0 };

    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        int high = -1, low = -1;
        if (s.p[i] == '%' && i + 2 < s.n) {
            high = hex_value(s.p[i + 1]);
            low = hex_value(s.p[i + 2]);
        }
        if (high >= 0 && low >= 0) {
            out[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            out[n++] = plus && s.p[i] == '+' ? ' ' : s.p[i];
        }
    }
    return (struct str){ out, n };
}

bool form_next(struct arena *arena, struct str *rest, struct form_field *ret)
{
    struct str pair = { NULL, 0 };
    while (str_given(*rest) && !pair.n)
        pair = str_cut(rest, '&'); /* "a&&b" has no field in the middle */
    if (!pair.n)
        return false;

    size_t equals = str_find(pair, '=');
    struct str name = { pair.p, equals };
    struct str value = equals < pair.n ? (struct str){ pair.p + equals + 1, pair.n - equals - 1 } : S("");
    ret->name = form_decode(arena, name, true);
    ret->value = form_decode(arena, value, true);
    if (!str_given(ret->value))
        ret->name = (struct str){ NULL, 0 };
    return true;
}

struct str form_get(struct arena *arena, struct str form, struct str name)
{
    struct form_field field;
    while (form_next(arena, &form, &field))
        if (str_given(field.name) && str_eq(field.name, name))
            return field.value;
    return (struct str){ NULL, 0 };
}

static bool is_unreserved(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

struct str form_encode(struct arena *arena, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc_raw(arena, 3 * s.n + 1);
    if (!out)
        return (struct str){ NULL, 0 };
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_unreserved(s.p[i])) {
            out[n++] = s.p[i];
        } else {
            out[n++] = '%';
            out[n++] = digits[c >> 4];
            out[n++] = digits[c & 15];
        }
    }
    out[n] = '\0';
    return (struct str){ out, n };
}
