/*
 * fuzz_link.c - destinations of links, what stands in them to be replaced, and the query of a click.
 *
 * The first line is a destination, the rest the query of a request. Whatever
 * both hold, the address a reader is sent to has the stored scheme and host,
 * also as a browser reads it, and no byte that could end a header line (LNK-16).
 * Inputs of our own are put together from what open redirects and header
 * injections are made of.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "engine/link_url.h"
#include "fuzz.h"

static size_t followed, filled; /* inputs that led somewhere, and those that had something to fill in */

static void check(bool good)
{
    if (!good)
        abort();
}

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

/* Where a browser goes: tabs and line ends are not there, backslashes are slashes, as many as there are, and what
 * stands before the last "@" of the authority is a user. With its port. */
static struct str browser_host(struct op *op, struct str location)
{
    char *out = arena_alloc(op->arena, location.n + 1);
    size_t n = 0, at = 0, from = 0;
    check(out != NULL);
    for (size_t i = 0; i < location.n; i++)
        if (!is_one_of(location.p[i], "\t\r\n"))
            out[n++] = location.p[i];
    while (at < n && out[at] != ':')
        at++;
    for (at++; at < n && is_one_of(out[at], "/\\");)
        at++;
    for (from = at; at < n && !is_one_of(out[at], "/\\?#"); at++)
        if (out[at] == '@')
            from = at + 1;
    return (struct str){ out + from, at - from };
}

static void check_host(struct op *op, struct str host, struct str location)
{
    struct str seen = browser_host(op, location);
    check(str_starts(seen, host));
    check(seen.n == host.n || seen.p[host.n] == ':');
    for (size_t i = 0; i < host.n; i++)
        check(is_one_of(host.p[i], "abcdefghijklmnopqrstuvwxyz0123456789-._[]:"));
}

static void follow(struct op *op, struct str url, struct str member)
{
    struct link_cut cuts[LINK_CUTS_MAX];
    size_t count = link_url_cuts(url, cuts), room = link_url_room(url, cuts, count, member);
    char *out = malloc(room);
    check(out != NULL);
    struct str location = { out, link_url_expand(url, cuts, count, member, out) };
    struct str host = link_url_host(url), sent = link_url_host(location);
    check(location.n <= room);
    check(str_eq(host, sent));
    check_host(op, host, location);
    check(memcmp(location.p, url.p, (size_t)(host.p - url.p) + host.n) == 0);
    for (size_t i = 0; i < location.n; i++)
        check((unsigned char)location.p[i] > 0x20 && (unsigned char)location.p[i] < 0x7f);
    struct str again;
    check(location.n > LINK_URL_BYTES_MAX || link_url_read(op, location, &again) == OK || count > 0);
    free(out);
    followed++;
    filled += count > 0 && member.n > 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct op op;
    struct str rest = { (const char *)data, size }, url;
    op_init(&op, arena_new(1 << 20), 0);
    struct str first = str_cut(&rest, '\n');
    char member[LINK_MEMBER_BYTES_MAX];
    size_t n = 0;
    bool has = link_member_read(str_given(rest) ? rest : S(""), member, &n);
    check(!has || (n > 0 && n <= sizeof member));
    link_code_valid(first);
    if (link_url_read(&op, first, &url) == OK)
        follow(&op, url, has ? (struct str){ member, n } : S(""));
    arena_free(op.arena);
    return 0;
}

/* --- inputs of our own ------------------------------------------------------------ */

#define EVIL "evil.example"

static const char *const schemes[] = {
    "https://",   "https://", "https://",    "http://",         "HtTpS://", "//",        "https:/",
    "https:\\\\", "https:",   "javascript:", "data:text/html,", "ftp://",   "https:///", ""
};
/* Also letters that become "/", "?", "#", "@", ":", "." or "a/c" when a host is brought into one form. */
static const char *const hosts[] = { "shop.example.org",
                                     "shop.example.org",
                                     "x.example:8443",
                                     "[2001:db8::1]:80",
                                     "SHOP.Example.ORG",
                                     "b\xc3\xbc"
                                     "cher.example",
                                     "e\xcc\x81.example",
                                     "xn--bcher-kva.example",
                                     "ex%41mple.org",
                                     "x.example\xef\xbc\x8f." EVIL,
                                     "x.example\xef\xbc\x9f." EVIL,
                                     "x.example\xef\xbc\x83." EVIL,
                                     "x.example\xef\xbc\xa0" EVIL,
                                     "x.example\xef\xbc\x9a"
                                     "80." EVIL,
                                     "x.example\xe3\x80\x82" EVIL,
                                     "x.example\xe2\x84\x80" EVIL,
                                     "x.example\xe2\x88\x95" EVIL,
                                     "\xe2\x93\x94vil.example",
                                     "user@" EVIL,
                                     "x.example\\@" EVIL,
                                     "x.example%2f@" EVIL,
                                     "x.example%2f." EVIL,
                                     "x.example%00." EVIL,
                                     "x.example%c3%bc",
                                     "x.example%ef%bc%8f" EVIL,
                                     "x.example#@" EVIL,
                                     "x.example?@" EVIL,
                                     "x.example:80@" EVIL,
                                     "x.example\t." EVIL,
                                     "x.example\r\nX: y",
                                     "%%{member}%%.example",
                                     "x.example:%%{member}%%",
                                     "127.1",
                                     "." };
static const char *const paths[] = { "",
                                     "/",
                                     "/p/%%{member}%%",
                                     "/p/%%{member}%%",
                                     "?u=%%{uuid}%%&m=%%{member}%%",
                                     "#%%{member}%%",
                                     "/%25%25%7Bmember%7D%25%25",
                                     "/%25%25%257buuid%257d%%",
                                     "//" EVIL "/%%{member}%%",
                                     "/%2f%2f" EVIL,
                                     "/\\" EVIL,
                                     "/..//%%{member}%%",
                                     "@" EVIL,
                                     ":80@" EVIL,
                                     "/\xc3\xa4?\xe2\x80\xa8",
                                     "/%",
                                     "/%%",
                                     "/%%{member",
                                     "/%0d%0aSet-Cookie:x=1",
                                     "\r\nLocation: //" EVIL };
static const char *const names[] = { "m=", "m=", "m=", "x=1&m=", "m=&m=", "url=//" EVIL "&m=", "M=", "m%3d", "m", "" };
static const char *const members[] = { "ann",
                                       "2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a10",
                                       "",
                                       "%0d%0aLocation:%20//" EVIL,
                                       "a%0aX:y",
                                       "%00",
                                       "..%2f..%2f",
                                       "%2f%2f" EVIL,
                                       "//" EVIL,
                                       "@" EVIL,
                                       "%40" EVIL,
                                       "%5c%5c" EVIL,
                                       "\\\\" EVIL,
                                       "%252f%252f" EVIL,
                                       "%25%30%64",
                                       "%e2%80%a8",
                                       "%c0%af",
                                       "%ff",
                                       "%",
                                       "%4",
                                       "%zz",
                                       "+",
                                       "a&m=b",
                                       "%%{uuid}%%",
                                       "%25%25%7Bmember%7D%25%25",
                                       "\xc3\xa4",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };

#define ANY(words) (words)[rng_below(&rng, sizeof(words) / sizeof *(words))]

/* Now and then one byte is another one, so that no spelling is left out for good. */
static void spoil(struct rng *rng, uint8_t *data, size_t n)
{
    static const char bait[] = "/\\@:?#%.[]{}\r\n\t \x01\x7f\xc3\xff&=";
    if (n > 0 && rng_below(rng, 3) == 0)
        data[rng_below(rng, n)] = (uint8_t)bait[rng_below(rng, sizeof bait)];
}

size_t fuzz_make(uint64_t n, uint8_t *ret_data, size_t room)
{
    struct rng rng;
    rng_init(&rng, n + 1);
    const char *scheme = ANY(schemes), *host = ANY(hosts), *path = ANY(paths), *name = ANY(names),
               *member = ANY(members);
    const char *more = rng_below(&rng, 4) == 0 ? ANY(paths) : "";
    const char *twice = rng_below(&rng, 3) == 0 ? ANY(members) : "";
    int bytes = snprintf((char *)ret_data, room, "%s%s%s%s\n%s%s%s", scheme, host, path, more, name, member, twice);
    spoil(&rng, ret_data, (size_t)bytes);
    if (n == FUZZ_MADE - 1) /* too few that come so far would prove nothing */
        check(followed > FUZZ_MADE / 20 && filled > FUZZ_MADE / 100);
    return (size_t)bytes;
}
