/*
 * form.h - application/x-www-form-urlencoded, and the query of a URL (the same rules).
 *
 * Fields come in order, repeated ones again, so that a signature over all of
 * them can be computed. '+' is a blank; a blank that a provider forgot to
 * encode is a blank too (SRC-50); a '%' without two hex digits stands for
 * itself. Nothing is copied unless something had to be decoded.
 */
#pragma once

#include "base/op.h"

struct form_field {
    struct str name;  /* decoded; may hold any byte */
    struct str value; /* decoded; empty, but given, without '=' */
};

/* Takes the next field off *rest; false at the end. ERR_TOO_LARGE cannot be told apart here: a field that does not fit
 * the arena comes out not given (name.p == NULL), which no real field is. */
bool form_next(struct arena *arena, struct str *rest, struct form_field *ret);

/* The first field of that name, not given when there is none. */
struct str form_get(struct arena *arena, struct str form, struct str name);

/* Decodes %XX (and '+' when plus is true); returns s itself when there is nothing to decode. Not given when the arena
 * is full. */
struct str form_decode(struct arena *arena, struct str s, bool plus);

/* Percent-encodes all but letters, digits and "-._~" (RFC 3986), for building queries and paths. */
struct str form_encode(struct arena *arena, struct str s);
