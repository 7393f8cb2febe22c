/*
 * addr.h - an IP address with its port, and which addresses are nobody's public business.
 *
 * Both families are kept as 16 bytes; IPv4 stands in its mapped form
 * (::ffff:a.b.c.d), as in base/cidr.h, so what is said about 10.0.0.1 also
 * holds for a name that resolves to ::ffff:10.0.0.1 (EVT-36).
 */
#pragma once

#include "base/op.h"

struct sockaddr;
struct sockaddr_storage;

#define ADDR_TEXT_BYTES_MAX 64 /* "[v6]:65535" with NUL */

struct addr {
    uint8_t ip[16];
    uint16_t port;
};

/* False for families other than IPv4 and IPv6. */
bool addr_of_sockaddr(const struct sockaddr *sockaddr, struct addr *ret);

/* Writes the socket address of its own family; returns its length. */
size_t addr_to_sockaddr(const struct addr *addr, struct sockaddr_storage *ret);

/* "127.0.0.1:7420", "[::1]:7420", "localhost:0": numbers and localhost only, no name is looked up. */
enum err addr_parse(struct op *op, struct str text, struct addr *ret);

/* "192.0.2.7" or "2001:db8::1" into buffer; the str points there. */
struct str addr_ip_text(const struct addr *addr, char buffer[ADDR_TEXT_BYTES_MAX]);

/* "192.0.2.7:80" or "[2001:db8::1]:80". */
struct str addr_text(const struct addr *addr, char buffer[ADDR_TEXT_BYTES_MAX]);

bool addr_is_loopback(const struct addr *addr);

/* Not a public host: unspecified, loopback, private (RFC 1918), link-local, shared (RFC 6598), unique local,
 * multicast, broadcast, documentation and reserved ranges, also inside IPv4-mapped, NAT64 and 6to4 addresses. */
bool addr_is_internal(const struct addr *addr);

/* Link-local addresses and those under which clouds tell secrets of their machines: no call of ours is ever meant for
 * them, whoever set it up. Also in their mapped forms. */
bool addr_is_never_meant(const struct addr *addr);
