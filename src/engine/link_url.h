/*
 * link_url.h - where a tracked link may lead, and the address a click is sent to.
 *
 * A destination is checked and brought into one form when the link is saved
 * (LNK-3), and its fill-ins are found then (LNK-15): what a click does is
 * copying pieces. Scheme, host and port always come from the stored text and
 * values are percent-encoded on their way in, so no request can steer them
 * (LNK-16).
 *
 *     https://shop.example.org/new?u=%%{uuid}%%&v=2
 *     |--------- piece -----------|--- cut ---|-piece-|
 */
#pragma once

#include "base/op.h"

#define LINK_URL_BYTES_MAX    8192 /* after normalising */
#define LINK_MEMBER_BYTES_MAX 128  /* of ?m=, decoded */
#define LINK_CUTS_MAX         64   /* fill-ins in one destination */

enum link_word { LINK_WORD_UUID = 1, LINK_WORD_MEMBER = 2 };

/* One fill-in: bytes [at, at + n) of the destination. */
struct link_cut {
    uint16_t at;
    uint16_t n;
    uint16_t word; /* enum link_word */
};

/* The normalised form in the op's arena; ERR_INVALID at /url with the reason. */
enum err link_url_read(struct op *op, struct str text, struct str *ret_url);

/* The host of a normalised destination, without port. */
struct str link_url_host(struct str url);

/* True when the host is one of the hosts, "example.org" or "*.example.org" (which does not mean example.org itself). */
bool link_host_may(struct str host, const struct str *hosts, size_t count);

/* The fill-ins of a normalised destination, in order; returns their number. */
size_t link_url_cuts(struct str url, struct link_cut ret_cuts[LINK_CUTS_MAX]);

/* The largest address that expanding can give. */
size_t link_url_room(struct str url, const struct link_cut *cuts, size_t count, struct str member);

/* Writes the destination with its fill-ins replaced; member may be empty. Returns the bytes written, which hold
 * neither control characters nor anything but the stored text and letters, digits, "-._~%" of the member. */
size_t link_url_expand(struct str url, const struct link_cut *cuts, size_t count, struct str member, char *out);

/* The member of a query: the first m, decoded; false when there is none or it is not 1 to 128 printable bytes
 * (LNK-14). */
bool link_member_read(struct str query, char ret_member[LINK_MEMBER_BYTES_MAX], size_t *ret_n);

/* True for 1 to 128 of A-Z a-z 0-9 . _ ~ -, but not "." or ".." (LNK-2). */
bool link_code_valid(struct str code);
