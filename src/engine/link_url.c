#include "engine/link_url.h"

#include <idn2.h>

#include "base/buf.h"

#define WORD_BYTES_MAX 16 /* longer words between braces are no fill-in */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Bytes of some kind, a bit each, because clicks ask for every byte they bring. */
struct byte_set {
    uint64_t bits[4];
};

static bool has_byte(const struct byte_set *set, char c)
{
    return set->bits[(unsigned char)c / 64] >> ((unsigned char)c % 64) & 1;
}

/* Letters, digits and "-._~": never encoded (RFC 3986). */
static bool is_plain(char c)
{
    static const struct byte_set plain = { { 0x03ff600000000000, 0x47fffffe87fffffe } };
    return has_byte(&plain, c);
}

static bool is_hex(char c)
{
    static const struct byte_set hex = { { 0x03ff000000000000, 0x0000007e0000007e } };
    return has_byte(&hex, c);
}

/* Of one that is_hex. */
static int hex_value(char c)
{
    return is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static enum err refuse(struct op *op, const char *why)
{
    return fail_at(op, ERR_INVALID, "/url", "%s", why);
}

/* --- the parts ------------------------------------------------------------ */

struct parts {
    struct str scheme; /* "https://" */
    struct str host;
    struct str port; /* not given without one */
    struct str rest; /* path, query and fragment as given; may be empty */
};

static enum err check_bytes(struct op *op, struct str text)
{
    if (text.n == 0)
        return refuse(op, "url is empty");
    if (text.n > LINK_URL_BYTES_MAX)
        return refuse(op, "url is longer than 8192 bytes");
    if (!str_is_utf8(text))
        return refuse(op, "url is no UTF-8");
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c < 0x20 || c == 0x7f)
            return refuse(op, "url holds a control character");
        if (c == ' ' || c == '\\')
            return refuse(op, c == ' ' ? "url holds a blank" : "url holds a backslash");
    }
    return OK;
}

/* Where the authority ends: at the first of "/?#". */
static size_t authority_bytes(struct str text)
{
    size_t n = 0;
    while (n < text.n && text.p[n] != '/' && text.p[n] != '?' && text.p[n] != '#')
        n++;
    return n;
}

static enum err split_port(struct op *op, struct str authority, struct parts *parts)
{
    size_t colon;
    if (authority.n && authority.p[0] == '[') { /* an IPv6 address has colons of its own */
        size_t end = str_find(authority, ']');
        if (end == authority.n)
            return refuse(op, "url has a host that begins with '[' and does not end");
        if (end + 1 < authority.n && authority.p[end + 1] != ':')
            return refuse(op, "url has something behind its host");
        colon = end + 1;
    } else {
        colon = str_find(authority, ':');
    }
    parts->host = (struct str){ authority.p, colon };
    parts->port = (struct str){ NULL, 0 };
    if (colon == authority.n)
        return OK;
    int64_t port;
    parts->port = (struct str){ authority.p + colon + 1, authority.n - colon - 1 };
    if (parts->port.n > 5 || !str_to_int(parts->port, 1, 65535, &port))
        return refuse(op, "url has a port that is not 1 to 65535");
    return OK;
}

static enum err split(struct op *op, struct str text, struct parts *parts)
{
    if (text.n >= 8 && str_eq_nocase((struct str){ text.p, 8 }, S("https://")))
        parts->scheme = S("https://");
    else if (text.n >= 7 && str_eq_nocase((struct str){ text.p, 7 }, S("http://")))
        parts->scheme = S("http://");
    else
        return refuse(op, "url must begin with http:// or https://");
    struct str rest = { text.p + parts->scheme.n, text.n - parts->scheme.n };
    struct str authority = { rest.p, authority_bytes(rest) };
    parts->rest = (struct str){ rest.p + authority.n, rest.n - authority.n };
    if (str_find(authority, '@') != authority.n)
        return refuse(op, "url has a user part, which is not allowed");
    TRY(split_port(op, authority, parts));
    return parts->host.n ? OK : refuse(op, "url has no host");
}

/* --- the host ------------------------------------------------------------- */

static enum err check_ipv6(struct op *op, struct str host)
{
    for (size_t i = 1; i + 1 < host.n; i++)
        if (!is_hex(host.p[i]) && host.p[i] != ':' && host.p[i] != '.')
            return refuse(op, "url has an address in brackets that is no IPv6 address");
    return host.n > 3 ? OK : refuse(op, "url has an address in brackets that is no IPv6 address");
}

/* Escapes in a host are read once; what they hide must be as good as the rest. */
static enum err decode_host(struct op *op, struct str host, struct str *ret)
{
    char *out;
    size_t n = 0;
    TRY(op_alloc(op, host.n + 1, &out));
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] != '%') {
            out[n++] = host.p[i];
            continue;
        }
        if (i + 1 < host.n && (host.p[i + 1] == '%' || host.p[i + 1] == '{'))
            return refuse(op, "url has a fill-in in its host");
        if (i + 2 >= host.n || !is_hex(host.p[i + 1]) || !is_hex(host.p[i + 2]))
            return refuse(op, "url has a percent sign in its host that two hex digits do not follow");
        out[n++] = (char)(hex_value(host.p[i + 1]) << 4 | hex_value(host.p[i + 2]));
        i += 2;
    }
    *ret = (struct str){ out, n };
    return OK;
}

/* What a name server could know, apart from letters outside of ASCII. */
static enum err check_name(struct op *op, struct str host, bool *ret_ascii)
{
    *ret_ascii = true;
    for (size_t i = 0; i < host.n; i++) {
        char c = host.p[i];
        *ret_ascii &= (signed char)c > 0;
        if ((signed char)c >= 0 && !is_letter(c) && !is_digit(c) && c != '-' && c != '.' && c != '_')
            return refuse(op, "url has a character in its host that no host has");
    }
    if (host.n > 253 || host.p[0] == '.' || str_search(host, S("..")) != host.n)
        return refuse(op, "url has a host that no name server could know");
    return OK;
}

/* Lower case and IDNA: letters outside ASCII become xn-- (UTS 46, not transitional). Some of them become signs that end
 * a host or begin another one, so what came of them is checked like what was given. */
static enum err host_normal(struct op *op, struct str host, struct str *ret)
{
    if (host.p[0] == '[') {
        TRY(check_ipv6(op, host));
        *ret = host;
        return OK;
    }
    bool ascii;
    TRY(decode_host(op, host, ret));
    TRY(check_name(op, *ret, &ascii));
    if (ascii)
        return OK;
    char *ace = NULL;
    struct str terminated = arena_str(op->arena, *ret);
    int result = str_is_utf8(*ret) ? idn2_to_ascii_8z(terminated.p, &ace, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT)
                                   : IDN2_ENCODING_ERROR;
    if (result != IDN2_OK)
        return refuse(op, "url has a host that is no international domain name");
    *ret = arena_str(op->arena, str_of(ace));
    idn2_free(ace);
    return check_name(op, *ret, &ascii);
}

/* --- the whole ------------------------------------------------------------ */

static void add_lower(struct buf *buf, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(buf, s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i]);
}

static void add_rest(struct buf *buf, struct str rest)
{
    if (rest.n == 0 || rest.p[0] != '/')
        buf_add_char(buf, '/');
    for (size_t i = 0; i < rest.n; i++) {
        unsigned char c = (unsigned char)rest.p[i];
        if (c < 0x80)
            buf_add_char(buf, rest.p[i]);
        else
            buf_add_fmt(buf, "%%%02X", c);
    }
}

enum err link_url_read(struct op *op, struct str text, struct str *ret_url)
{
    struct parts parts = { 0 };
    struct str host = { 0 };
    struct buf buf;
    TRY(check_bytes(op, text));
    TRY(split(op, text, &parts));
    TRY(host_normal(op, parts.host, &host));
    buf_init_arena(&buf, op->arena, LINK_URL_BYTES_MAX);
    buf_add_str(&buf, parts.scheme);
    add_lower(&buf, host);
    if (str_given(parts.port)) {
        buf_add_char(&buf, ':');
        buf_add_str(&buf, parts.port);
    }
    add_rest(&buf, parts.rest);
    if (buf.full)
        return refuse(op, "url is longer than 8192 bytes");
    struct link_cut cuts[LINK_CUTS_MAX + 1];
    if (link_url_cuts(buf_str(&buf), cuts) == LINK_CUTS_MAX)
        return refuse(op, "url has 64 fill-ins or more");
    *ret_url = buf_str(&buf);
    return OK;
}

struct str link_url_host(struct str url)
{
    size_t scheme = str_search(url, S("://")) + 3;
    struct str rest = { url.p + scheme, url.n - scheme };
    struct str authority = { rest.p, authority_bytes(rest) };
    size_t end = authority.n && authority.p[0] == '[' ? str_find(authority, ']') + 1 : str_find(authority, ':');
    return (struct str){ authority.p, end };
}

bool link_host_may(struct str host, const struct str *hosts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq_nocase(host, hosts[i]))
            return true;
        if (!str_starts(hosts[i], S("*.")) || host.n < hosts[i].n)
            continue;
        struct str tail = { host.p + host.n - (hosts[i].n - 1), hosts[i].n - 1 };
        if (str_eq_nocase(tail, (struct str){ hosts[i].p + 1, hosts[i].n - 1 }))
            return true;
    }
    return false;
}

/* --- fill-ins ----------------------------------------------------------- */

/* Bytes of one sign at `at` in any of its spellings: "%" or "%25"; "{", "%7B" or "%257B". 0 = it is not there. */
static size_t percent_at(struct str s, size_t at)
{
    struct str rest = { s.p + at, s.n - at };
    return str_starts(rest, S("%25")) ? 3 : str_starts(rest, S("%")) ? 1 : 0;
}

static size_t brace_at(struct str s, size_t at, char brace, char digit)
{
    struct str rest = { s.p + at, s.n - at };
    if (rest.n && rest.p[0] == brace)
        return 1;
    size_t lead = str_starts(rest, S("%257")) ? 4 : str_starts(rest, S("%7")) ? 2 : 0;
    return lead && rest.n > lead && (rest.p[lead] | 0x20) == (digit | 0x20) ? lead + 1 : 0;
}

/* Both percents, which may be spelled differently. A "%25" is one sign, unless it is "%" followed by a brace "%7B" or
 * another sign; so both readings are tried. */
static size_t opening_at(struct str s, size_t at)
{
    static const size_t ways[][2] = { { 3, 3 }, { 3, 1 }, { 1, 3 }, { 1, 1 } };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        size_t first = percent_at(s, at), place = at + ways[i][0];
        if (first < ways[i][0] || place >= s.n || percent_at(s, place) < ways[i][1])
            continue;
        place += ways[i][1];
        size_t brace = place < s.n ? brace_at(s, place, '{', 'B') : 0;
        if (brace)
            return place + brace - at;
    }
    return 0;
}

static size_t closing_at(struct str s, size_t at)
{
    size_t brace = at < s.n ? brace_at(s, at, '}', 'D') : 0;
    if (!brace || at + brace >= s.n)
        return 0;
    size_t first = percent_at(s, at + brace), place = at + brace + first;
    size_t second = first && place < s.n ? percent_at(s, place) : 0;
    return second ? brace + first + second : 0;
}

/* The fill-in that begins at `at`; its n is 0 when none does. */
static struct link_cut cut_at(struct str url, size_t at)
{
    static const struct {
        struct str word;
        enum link_word is;
    } words[] = { { { "uuid", 4 }, LINK_WORD_UUID }, { { "member", 6 }, LINK_WORD_MEMBER } };
    struct link_cut none = { 0 };
    size_t opening = opening_at(url, at), word = at + opening, n = 0;
    if (!opening)
        return none;
    while (word + n < url.n && n < WORD_BYTES_MAX && is_letter(url.p[word + n]))
        n++;
    size_t closing = closing_at(url, word + n);
    for (size_t i = 0; closing && i < sizeof words / sizeof *words; i++)
        if (str_eq((struct str){ url.p + word, n }, words[i].word))
            return (struct link_cut){ (uint16_t)at, (uint16_t)(opening + n + closing), (uint16_t)words[i].is };
    return none;
}

size_t link_url_cuts(struct str url, struct link_cut ret_cuts[LINK_CUTS_MAX])
{
    size_t count = 0;
    struct str host = link_url_host(url);
    for (size_t at = (size_t)(host.p - url.p) + host.n; at < url.n && count < LINK_CUTS_MAX; at++) {
        if (url.p[at] != '%')
            continue;
        struct link_cut cut = cut_at(url, at);
        if (!cut.n)
            continue;
        ret_cuts[count++] = cut;
        at += cut.n - 1u;
    }
    return count;
}

static bool is_uuid(struct str s)
{
    if (s.n != 36)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? s.p[i] != '-' : !is_hex(s.p[i]))
            return false;
    }
    return true;
}

size_t link_url_room(struct str url, const struct link_cut *cuts, size_t count, struct str member)
{
    (void)cuts;
    return url.n + count * 3 * member.n;
}

static char *put_encoded(char *at, struct str s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (is_plain(s.p[i])) {
            *at++ = s.p[i];
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    return at;
}

size_t link_url_expand(struct str url, const struct link_cut *cuts, size_t count, struct str member, char *out)
{
    char *at = out;
    size_t from = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(at, url.p + from, cuts[i].at - from);
        at += cuts[i].at - from;
        if (cuts[i].word == LINK_WORD_MEMBER)
            at = put_encoded(at, member);
        else if (is_uuid(member))
            at = mempcpy(at, member.p, member.n);
        from = (size_t)cuts[i].at + cuts[i].n;
    }
    memcpy(at, url.p + from, url.n - from);
    return (size_t)(at - out) + url.n - from;
}

/* --- what a request holds --------------------------------------------------- */

/* One byte of a query value, '+' being a blank; false at a broken escape. */
static bool next_byte(struct str s, size_t *at, char *ret)
{
    *ret = s.p[(*at)++];
    if (*ret == '+')
        *ret = ' ';
    if (*ret != '%')
        return true;
    if (*at + 1 >= s.n || !is_hex(s.p[*at]) || !is_hex(s.p[*at + 1]))
        return false;
    *ret = (char)(hex_value(s.p[*at]) << 4 | hex_value(s.p[*at + 1]));
    *at += 2;
    return true;
}

bool link_member_read(struct str query, char ret_member[LINK_MEMBER_BYTES_MAX], size_t *ret_n)
{
    struct str field = { NULL, 0 };
    while (str_given(query)) {
        field = str_cut(&query, '&');
        if (field.n > 2 && field.p[0] == 'm' && field.p[1] == '=')
            break;
        if (str_eq(field, S("m")) || str_eq(field, S("m=")))
            return false; /* the first one counts, and it is empty */
        field.p = NULL;
    }
    if (!str_given(field))
        return false;
    size_t n = 0, at = 2;
    bool ascii = true;
    while (at < field.n) {
        char c;
        if (n == LINK_MEMBER_BYTES_MAX)
            return false;
        if (is_plain(field.p[at])) {
            ret_member[n++] = field.p[at++];
            continue;
        }
        if (!next_byte(field, &at, &c))
            return false;
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        ascii &= (signed char)c > 0;
        ret_member[n++] = c;
    }
    *ret_n = n;
    return n > 0 && (ascii || str_is_utf8((struct str){ ret_member, n }));
}

bool link_code_valid(struct str code)
{
    if (code.n == 0 || code.n > 128 || str_eq(code, S(".")) || str_eq(code, S("..")))
        return false;
    for (size_t i = 0; i < code.n; i++)
        if (!is_plain(code.p[i]))
            return false;
    return true;
}
