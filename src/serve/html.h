/*
 * html.h - text in pages: nothing of it can become markup.
 */
#pragma once

#include "base/buf.h"

/* Appends the text with & < > " ' replaced, for content and for quoted attributes. */
void html_escape(struct buf *out, struct str text);
