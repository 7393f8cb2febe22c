/*
 * conf_line.h - the syntax of one line of a configuration file.
 *
 * Empty, "# comment", "[section]", "[section name]", "key = value". A value is
 * bare text up to a "#" behind a blank, or in double quotes with \" \\ \n \t;
 * a list has such values between commas. A key may hold dots and quoted parts:
 * keep."order.paid".
 */
#pragma once

#include "base/op.h"

enum conf_line_kind { CONF_LINE_EMPTY, CONF_LINE_SECTION, CONF_LINE_KEY };

struct conf_line {
    enum conf_line_kind kind;
    struct str section, name; /* of a section; the name may not be given */
    struct str key;           /* without quotes */
    struct str value;         /* raw: quotes still there, comment gone */
};

/* Reads a line without its line feed; texts borrow from it or live in the op's arena. ERR_INVALID with a sentence. */
enum err conf_line_parse(struct op *op, struct str line, struct conf_line *ret_line);

/* A raw value as one text: quotes taken off if there are any. */
enum err conf_line_unquote(struct op *op, struct str raw, struct str *ret_text);

/* A raw value as a list: commas outside quotes part it, blanks around items fall away, an empty value is an empty list.
 */
enum err conf_line_items(struct op *op, struct str raw, struct str **ret_items, size_t *ret_count);
