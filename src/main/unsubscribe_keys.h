/*
 * unsubscribe_keys.h - where the keys of unsubscribe tokens come from.
 *
 * The file of [links] unsubscribe_key_file, else DATA/unsubscribe.key; made
 * with a random key at the first start. Nodes of one PostgreSQL must be given
 * the same file, since a token may come back to any of them.
 */
#pragma once

#include "base/conf.h"
#include "engine/unsubscribe.h"

/* ERR_IO, ERR_INVALID with the file's name. */
enum err unsubscribe_keys_open(struct op *op, const struct conf *conf, struct unsubscribe_keys *ret);
