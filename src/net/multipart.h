/*
 * multipart.h - multipart/form-data (RFC 7578) of a body that is wholly in memory.
 *
 * Fields come in order, repeated ones again. Parts point into the body.
 * Bounded: at most MULTIPART_PARTS_MAX parts, headers of a part at most 4 KiB.
 */
#pragma once

#include "base/op.h"

#define MULTIPART_PARTS_MAX      1000
#define MULTIPART_HEAD_BYTES_MAX 4096
#define MULTIPART_BOUNDARY_MAX   70 /* RFC 2046 section 5.1.1 */

struct multipart {
    struct str rest;     /* what is not read yet */
    struct str boundary; /* without the leading "--" */
    int parts;
    bool ended; /* the closing boundary was read */
};

struct multipart_part {
    struct str name;         /* of Content-Disposition */
    struct str filename;     /* not given for a plain field */
    struct str content_type; /* not given when absent */
    struct str value;
};

/* content_type is the header of the request. ERR_MALFORMED when it is no multipart/form-data with a usable boundary. */
enum err multipart_init(struct op *op, struct multipart *multipart, struct str content_type, struct str body);

/* The next part; ret->name is not given at the end. ERR_MALFORMED for a body cut off or not shaped as RFC 7578 says,
 * ERR_TOO_LARGE over a maximum. */
enum err multipart_next(struct op *op, struct multipart *multipart, struct multipart_part *ret);
