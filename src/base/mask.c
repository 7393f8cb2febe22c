#include "base/mask.h"

#include <string.h>

/* Bytes that may stand in a local part without quotes; beyond ASCII all may (RFC 6531). "/" ends it: paths hold
 * addresses. */
static bool is_local(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-=?^_`{|}~.", c) != NULL);
}

static bool is_domain(char c)
{
    return (unsigned char)c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           c == '[' || c == '_';
}

/* Bytes of "@" or of "%40" at i; 0 when something else stands there. */
static size_t sign_at(struct str text, size_t i)
{
    if (text.p[i] == '@')
        return 1;
    return text.n - i >= 3 && memcmp(text.p + i, "%40", 3) == 0 ? 3 : 0;
}

/* Where the local part in front of `sign` begins; `sign` itself when there is none. Does not go back before `from`. */
static size_t local_begin(struct str text, size_t from, size_t sign)
{
    size_t begin = sign;
    if (sign > from && text.p[sign - 1] == '"') {
        for (size_t quote = sign - 1; quote > from; quote--)
            if (text.p[quote - 1] == '"')
                return quote - 1;
        begin--; /* never opened: hide the word before it */
    }
    while (begin > from && is_local(text.p[begin - 1]))
        begin--;
    return begin;
}

/*
 * Where "user:password" of a URL begins, whose "@" stands at `sign`; `sign` itself when it is no URL. A password may
 * hold bytes that no address has.
 */
static size_t userinfo_begin(struct str text, size_t from, size_t sign)
{
    size_t begin = sign;
    while (begin > from && text.p[begin - 1] > ' ' && text.p[begin - 1] != '/' && text.p[begin - 1] != '"')
        begin--;
    return begin >= from + 3 && memcmp(text.p + begin - 3, "://", 3) == 0 ? begin : sign;
}

/* The first character of a local part, or nothing if it is quoted: what stands before "***". */
static size_t shown_bytes(struct str local)
{
    if (local.p[0] == '"')
        return 0;
    size_t n = 1;
    while (n < local.n && ((unsigned char)local.p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Where masked text grows; what does not fit is left out. */
struct output {
    char *p;
    size_t n, room;
};

static void put(struct output *out, const char *p, size_t n)
{
    if (n > out->room - out->n)
        n = str_clip((struct str){ p, n }, out->room - out->n).n;
    memcpy(out->p + out->n, p, n);
    out->n += n;
}

size_t mask_into(struct str text, char *ret_text, size_t room)
{
    struct output out = { ret_text, 0, room };
    size_t copied = 0; /* text before this place is in the output */
    for (size_t i = 0; i < text.n && out.n < room;) {
        size_t sign = sign_at(text, i);
        if (sign == 0) {
            i++;
            continue;
        }
        size_t userinfo = userinfo_begin(text, copied, i);
        size_t begin = userinfo < i ? userinfo : local_begin(text, copied, i);
        if (begin < i && i + sign < text.n && is_domain(text.p[i + sign])) {
            struct str local = { text.p + begin, i - begin };
            put(&out, text.p + copied, begin - copied);
            put(&out, local.p, userinfo < i ? 0 : shown_bytes(local));
            put(&out, "***", 3);
            copied = i;
        }
        i += sign;
    }
    put(&out, text.p + copied, text.n - copied);
    return out.n;
}

static bool has_sign(struct str text)
{
    if (str_find(text, '@') < text.n)
        return true;
    return str_search(text, S("%40")) < text.n;
}

struct str mask_text(struct arena *arena, struct str text)
{
    if (!has_sign(text))
        return text;
    size_t room = MASK_BYTES_MAX(text.n);
    char *masked = arena_alloc_raw(arena, room);
    if (!masked)
        return (struct str){ NULL, 0 };
    return (struct str){ masked, mask_into(text, masked, room) };
}
