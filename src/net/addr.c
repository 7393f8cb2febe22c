#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cidr.h"

static const uint8_t mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

static bool is_mapped(const uint8_t ip[16])
{
    return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

static void set_ipv4(uint8_t ip[16], const void *four)
{
    memcpy(ip, mapped_prefix, sizeof mapped_prefix);
    memcpy(ip + 12, four, 4);
}

bool addr_of_sockaddr(const struct sockaddr *sockaddr, struct addr *ret)
{
    if (sockaddr->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sockaddr, sizeof in);
        set_ipv4(ret->ip, &in.sin_addr);
        ret->port = ntohs(in.sin_port);
        return true;
    }
    if (sockaddr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sockaddr, sizeof in6);
        memcpy(ret->ip, &in6.sin6_addr, 16);
        ret->port = ntohs(in6.sin6_port);
        return true;
    }
    return false;
}

size_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret)
{
    memset(ret, 0, sizeof *ret);
    if (is_mapped(addr->ip)) {
        struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(addr->port) };
        memcpy(&in.sin_addr, addr->ip + 12, 4);
        memcpy(ret, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(addr->port) };
    memcpy(&in6.sin6_addr, addr->ip, 16);
    memcpy(ret, &in6, sizeof in6);
    return sizeof in6;
}

enum err addr_parse(struct op *op, struct str text, struct addr *ret)
{
    struct str host = text, port = { NULL, 0 };
    size_t colon = text.n;
    while (colon && text.p[colon - 1] != ':')
        colon--;
    if (colon) {
        host = (struct str){ text.p, colon - 1 };
        port = (struct str){ text.p + colon, text.n - colon };
    }
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = (struct str){ host.p + 1, host.n - 2 };
    else if (str_find(host, ':') < host.n)
        return fail(op, ERR_INVALID, "%.*s: an IPv6 address stands in brackets, as in [::1]:7420", STR(text));

    struct addr addr;
    int64_t number;
    if (!str_to_int(port, 0, 65535, &number))
        return fail(op, ERR_INVALID, "%.*s: needs a port from 0 to 65535, as in 127.0.0.1:7420", STR(text));
    if (!cidr_ip_parse(str_eq(host, S("localhost")) ? S("127.0.0.1") : host, addr.ip))
        return fail(op, ERR_INVALID, "%.*s: is not an IP address and port, as in 127.0.0.1:7420", STR(text));
    addr.port = (uint16_t)number;
    *ret = addr;
    return OK;
}

static char *put_octet(char *at, unsigned octet)
{
    if (octet >= 100)
        *at++ = (char)('0' + octet / 100);
    if (octet >= 10)
        *at++ = (char)('0' + octet / 10 % 10);
    *at++ = (char)('0' + octet % 10);
    return at;
}

/* By hand: each click asks for it, and inet_ntop formats with snprintf. */
static struct str ipv4_text(const uint8_t four[4], char *buffer)
{
    char *at = buffer;
    for (int i = 0; i < 4; i++) {
        at = put_octet(at, four[i]);
        *at++ = '.';
    }
    *--at = '\0';
    return (struct str){ buffer, (size_t)(at - buffer) };
}

struct str addr_ip_text(const struct addr *addr, char buffer[ADDR_TEXT_BYTES_MAX])
{
    if (is_mapped(addr->ip))
        return ipv4_text(addr->ip + 12, buffer);
    inet_ntop(AF_INET6, addr->ip, buffer, ADDR_TEXT_BYTES_MAX);
    return str_of(buffer);
}

struct str addr_text(const struct addr *addr, char buffer[ADDR_TEXT_BYTES_MAX])
{
    char ip[ADDR_TEXT_BYTES_MAX];
    addr_ip_text(addr, ip);
    const char *format = is_mapped(addr->ip) ? "%.45s:%u" : "[%.45s]:%u";
    int n = snprintf(buffer, ADDR_TEXT_BYTES_MAX, format, ip, (unsigned)addr->port);
    return (struct str){ buffer, (size_t)n };
}

static bool same_bits(const uint8_t *a, const uint8_t *b, int bits)
{
    int bytes = bits / 8;
    if (memcmp(a, b, (size_t)bytes) != 0)
        return false;
    int rest = bits % 8;
    return rest == 0 || ((a[bytes] ^ b[bytes]) >> (8 - rest)) == 0;
}

bool addr_is_loopback(const struct addr *addr)
{
    static const uint8_t one[16] = { [15] = 1 };
    return (is_mapped(addr->ip) && addr->ip[12] == 127) || memcmp(addr->ip, one, 16) == 0;
}

/* Blocks that are not the public internet, from the IANA special-purpose address registries. */
static bool ipv4_is_internal(const uint8_t *ip)
{
    static const struct {
        uint8_t ip[4];
        int bits;
    } blocks[] = {
        { { 0, 0, 0, 0 }, 8 },       /* this network */
        { { 10, 0, 0, 0 }, 8 },      /* private */
        { { 100, 64, 0, 0 }, 10 },   /* shared by carriers */
        { { 127, 0, 0, 0 }, 8 },     /* loopback */
        { { 169, 254, 0, 0 }, 16 },  /* link-local, also cloud metadata */
        { { 172, 16, 0, 0 }, 12 },   /* private */
        { { 192, 0, 0, 0 }, 24 },    /* protocol assignments */
        { { 192, 0, 2, 0 }, 24 },    /* documentation */
        { { 192, 88, 99, 0 }, 24 },  /* old 6to4 relays */
        { { 192, 168, 0, 0 }, 16 },  /* private */
        { { 198, 18, 0, 0 }, 15 },   /* benchmarks */
        { { 198, 51, 100, 0 }, 24 }, /* documentation */
        { { 203, 0, 113, 0 }, 24 },  /* documentation */
        { { 224, 0, 0, 0 }, 3 },     /* multicast, reserved, broadcast */
    };
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++)
        if (same_bits(ip, blocks[i].ip, blocks[i].bits))
            return true;
    return false;
}

bool addr_is_internal(const struct addr *addr)
{
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const uint8_t sixtofour[2] = { 0x20, 0x02 };
    static const uint8_t documentation[4] = { 0x20, 0x01, 0x0d, 0xb8 };
    static const uint8_t teredo[4] = { 0x20, 0x01, 0x00, 0x00 };
    const uint8_t *ip = addr->ip;

    if (is_mapped(ip) || memcmp(ip, nat64, sizeof nat64) == 0)
        return ipv4_is_internal(ip + 12);
    if (memcmp(ip, sixtofour, sizeof sixtofour) == 0)
        return ipv4_is_internal(ip + 2);
    if (memcmp(ip, documentation, 4) == 0 || memcmp(ip, teredo, 4) == 0)
        return true;
    return (ip[0] & 0xe0) != 0x20; /* only 2000::/3 is public: everything else is local, multicast or unassigned */
}

static bool ipv4_is_never_meant(const uint8_t *ip)
{
    static const uint8_t link_local[2] = { 169, 254 }, alibaba[4] = { 100, 100, 100, 200 };
    return memcmp(ip, link_local, sizeof link_local) == 0 || memcmp(ip, alibaba, sizeof alibaba) == 0 ||
           (ip[0] == 0 || ip[0] >= 224);
}

bool addr_is_never_meant(const struct addr *addr)
{
    static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };
    static const uint8_t sixtofour[2] = { 0x20, 0x02 };
    static const uint8_t aws[16] = { 0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54 };
    static const uint8_t nowhere[16] = { 0 };
    const uint8_t *ip = addr->ip;

    if (is_mapped(ip) || memcmp(ip, nat64, sizeof nat64) == 0)
        return ipv4_is_never_meant(ip + 12);
    if (memcmp(ip, sixtofour, sizeof sixtofour) == 0)
        return ipv4_is_never_meant(ip + 2);
    bool link_local = ip[0] == 0xfe && (ip[1] & 0xc0) == 0x80, multicast = ip[0] == 0xff;
    return link_local || multicast || memcmp(ip, aws, 16) == 0 || memcmp(ip, nowhere, 16) == 0;
}
