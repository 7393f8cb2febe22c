/*
 * conf_value.h - a value of the configuration, checked against its declaration.
 */
#pragma once

#include "base/conf.h"

/*
 * Reads a value into type, range and form of value->key, whose text, number,
 * items and count it sets. `quotes` tells whether quotes are syntax (a file)
 * or bytes (environment, flags); in lists they always are. A relative path
 * counts from `directory`, if given. ERR_INVALID says what is expected and
 * never repeats a secret.
 */
enum err conf_value_read(struct op *op, struct str raw, bool quotes, struct str directory, struct conf_value *value);

/* "40MiB" or plain bytes. */
bool conf_size_parse(struct str text, int64_t *ret_bytes);
