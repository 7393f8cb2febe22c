/*
 * zone_names.h - names of zones that somebody may have meant.
 *
 * Looked up in the list that comes with the system's zones (tzdata.zi), by the
 * whole name or by the place behind its last slash.
 */
#pragma once

#include "base/op.h"

#define ZONE_NAMES_NEAR     3
#define ZONE_LIST_BYTES_MAX (1 << 20)

/* At most ZONE_NAMES_NEAR names, nearest first, with commas between; "" when nothing is near or there is no list. */
struct str zone_names_near(struct op *op, struct str word);
