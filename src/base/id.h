/*
 * id.h - ids we make: fixed length, sorted by time, and readable back.
 *
 * An id is 23 characters of a base 32 alphabet whose order is that of ASCII
 * (0-9, a-z without i l o u): 10 for the milliseconds since 1970, 13 for a
 * 64-bit number. Text order is time order, then number order. The number is the
 * key of the row the id names, so finding the row needs no index over text.
 */
#pragma once

#include "base/str.h"

#define ID_TEXT_BYTES 24 /* 23 characters and a NUL */

/* now_ms from 0 to 2^48 - 1; the text is NUL-terminated. */
struct str id_make(int64_t now_ms, uint64_t number, char ret_text[ID_TEXT_BYTES]);

/* Takes exactly what id_make writes; false for every other text (an id chosen by a caller). */
bool id_parse(struct str text, int64_t *ret_ms, uint64_t *ret_number);
