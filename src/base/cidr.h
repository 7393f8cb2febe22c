/*
 * cidr.h - is an IP address inside a list of networks?
 *
 * A list may hold thousands of networks (published ranges of cloud hosters),
 * so it is kept as sorted, disjoint ranges and searched by halving. IPv4 is
 * kept in its mapped form (::ffff:a.b.c.d), so both families share one list.
 *
 * Thread: a list never changes once made and may be read by all threads.
 */
#pragma once

#include "base/op.h"

#define CIDR_LIST_MAX 100000 /* networks in one list */

struct cidr_list;

/* Sixteen bytes of an address in text form, IPv4 mapped; false when it is none (no port, no zone, no brackets). */
bool cidr_ip_parse(struct str text, uint8_t ret_ip[16]);

/*
 * Reads networks ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7") separated by commas, blanks or lines; "#" begins a
 * comment. Bits behind the prefix are ignored. ERR_INVALID names the entry that is none, ERR_TOO_LARGE more than
 * CIDR_LIST_MAX of them. The caller frees the list.
 */
enum err cidr_list_new(struct op *op, struct str text, struct cidr_list **ret_list);
void cidr_list_free(struct cidr_list *list);

/* True when the address is in one of the networks; false when it is no address. */
bool cidr_list_has(const struct cidr_list *list, struct str ip);
