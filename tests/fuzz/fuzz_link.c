/*
 * fuzz_link.c - destinations of links, what stands in them to be replaced, and the query of a click.
 *
 * The first line is a destination, the rest the query of a request. Whatever
 * both hold, the address a reader is sent to has the stored scheme and host and
 * no byte that could end a header line (LNK-16).
 */
#include <stdlib.h>

#include "engine/link_url.h"
#include "fuzz.h"

static void check(bool good)
{
    if (!good)
        abort();
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
    check(memcmp(location.p, url.p, (size_t)(host.p - url.p) + host.n) == 0);
    for (size_t i = 0; i < location.n; i++)
        check((unsigned char)location.p[i] > 0x20 && (unsigned char)location.p[i] < 0x7f);
    struct str again;
    check(location.n > LINK_URL_BYTES_MAX || link_url_read(op, location, &again) == OK || count > 0);
    free(out);
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
