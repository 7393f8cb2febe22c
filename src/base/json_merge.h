/*
 * json_merge.h - changes an object by another one, as a PATCH means it (RFC 7396).
 *
 *     had {"rate":{"limit":40,"per":"60s"},"weight":2}
 *     patch {"rate":{"limit":50},"weight":null}
 *     gives {"rate":{"limit":50,"per":"60s"}}
 *
 * Objects are merged member by member at every depth; any other value replaces what was there, and null removes it.
 * The same patch a second time gives the same text.
 */
#pragma once

#include "base/json_write.h"

/* Writes the members of `had` as `patch` changes them into the object that is open in w. ERR_MALFORMED: no objects. */
enum err json_merge(struct op *op, struct json_writer *w, struct str had, struct str patch);
