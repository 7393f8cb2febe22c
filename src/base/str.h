/*
 * str.h - a borrowed run of bytes, and the few things we do with text.
 *
 * A struct str never owns its bytes and need not end in NUL. It lives as long
 * as what it points into, usually the arena of the operation. Text from the
 * wire is UTF-8 by the time it is a str that engine code sees.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* NULL means "not given", which differs from empty */
    size_t n;      /* bytes */
};

/* For "%.*s". */
#define STR(s) (int)(s).n, (s).p ? (s).p : ""

/* A str of a string literal, and one of a NUL-terminated text (NULL stays NULL). */
#define S(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
struct str str_of(const char *text);

static inline bool str_given(struct str s)
{
    return s.p != NULL;
}

/* Inline, so that a comparison with S("literal") costs a length and a few words: JSON names, header names. */
static inline bool str_eq(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII letters compare without case: header names, schemes, keywords. Addresses use fold.h. */
bool str_eq_nocase(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Same time whatever the contents; for secrets. Lengths may differ and are no secret. */
bool str_eq_secret(struct str a, struct str b);

/* <0, 0, >0 by bytes, as memcmp; a prefix sorts before the longer text. */
int str_cmp(struct str a, struct str b);

/* Without blanks, tabs, CR and LF at both ends. */
struct str str_trim(struct str s);

/* First place of a byte or a text in s; s.n when it is not there. */
size_t str_find(struct str s, char byte);
size_t str_search(struct str s, struct str needle);

/* Cuts s at the first `sep`: returns what stands before it and leaves the rest in *s (given.p == NULL when used up). */
struct str str_cut(struct str *s, char sep);

/* Takes the byte from the front of *s; false when another one, or none, stands there. */
static inline bool str_eat(struct str *s, char byte)
{
    if (s->n == 0 || s->p[0] != byte)
        return false;
    s->p++;
    s->n--;
    return true;
}

/* Whole text is a decimal integer in [min, max]; false leaves *ret untouched. No blanks, no plus sign. */
bool str_to_int(struct str s, int64_t min, int64_t max, int64_t *ret);

/* True when s is well-formed UTF-8 (RFC 3629: no surrogates, nothing above U+10FFFF, shortest form). */
bool str_is_utf8(struct str s);

/* The longest prefix of at most max_bytes that does not cut a UTF-8 character. */
struct str str_clip(struct str s, size_t max_bytes);
