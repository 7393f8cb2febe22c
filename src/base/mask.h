/*
 * mask.h - mail addresses made unreadable for logs (LED-27).
 *
 * "550 <john@example.org> unknown" becomes "550 <j***@example.org> unknown".
 * Whatever looks like an address is masked, also with "%40" for "@" as in
 * paths, and the user and password of a URL vanish wholly (SRC-21); it is better to mask a message id than to print a
 * person.
 */
#pragma once

#include "base/arena.h"

/* Bytes a masked text may need: each "@" with a byte before it may add three. */
#define MASK_BYTES_MAX(n) (3 * (n) + 4)

/* Masks text into ret_text of room bytes, cut at room (between characters); returns the bytes written. */
size_t mask_into(struct str text, char *ret_text, size_t room);

/* The masked text in the arena; the text itself when it holds no address; not given when the arena is full. */
struct str mask_text(struct arena *arena, struct str text);
