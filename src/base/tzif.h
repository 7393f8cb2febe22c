/*
 * tzif.h - the bytes of a zone file (RFC 8536), read with suspicion.
 *
 * A file holds the instants at which the offset of a zone changed and, from
 * version 2 on, a rule for the time after the last of them. Files with leap
 * seconds ("right/...") count differently and are refused.
 */
#pragma once

#include "base/op.h"
#include "base/tzrule.h"

#define TZIF_CHANGES_MAX  2000                  /* tzcode's own bound */
#define TZIF_OFFSET_S_MIN (-89999)              /* RFC 8536: above -25 h */
#define TZIF_OFFSET_S_MAX 93599                 /* and below 26 h */
#define TZIF_AT_S_MIN     (-(INT64_C(1) << 59)) /* "since ever" */
#define TZIF_AT_S_MAX     INT64_C(17000000000)  /* about the year 2508 */

struct tzif_change {
    int64_t at_s;     /* seconds since 1970 UTC */
    int32_t offset_s; /* from then on */
};

struct tzif {
    int32_t first_offset_s; /* before the first change */
    struct tzif_change *changes;
    size_t count;
    bool has_rule;
    struct tzrule rule; /* from the last change on */
};

/* Reads a whole file into the op's arena. ERR_MALFORMED when it breaks the format or the bounds above. */
enum err tzif_parse(struct op *op, struct str bytes, struct tzif *ret_file);
