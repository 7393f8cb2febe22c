/*
 * fold.h - the forms in which addresses and references are compared.
 *
 * A recipient is stored as it was given and compared in its folded form
 * (LED-1): trimmed, then Unicode simple case folding (one character becomes
 * one character; full folding would merge addresses that are distinct). ASCII
 * takes a fast path.
 */
#pragma once

#include "base/arena.h"

/* Folding may lengthen a character from two to three bytes. */
#define FOLD_BYTES_MAX(n) ((n) + (n) / 2)

/* Folds text into ret_text, which holds FOLD_BYTES_MAX(text.n) bytes; returns the bytes written. Bytes that are not
 * UTF-8 stay. */
size_t fold_text(struct str text, char *ret_text);

/* One character folded: C and S entries of CaseFolding.txt, else the same. */
uint32_t fold_char(uint32_t character);

/*
 * The comparison form of a mail address: trimmed and folded. Borrows from the
 * argument when nothing changes; not given when the arena is full.
 */
struct str fold_address(struct arena *arena, struct str address);

/* The comparison form of a phone number: the digits after '+', or all digits when there is none. */
struct str fold_phone(struct arena *arena, struct str number);

/* A provider's message id without one pair of surrounding <>; nothing else changes. Borrows. */
struct str fold_message_id(struct str id);
