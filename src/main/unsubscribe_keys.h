/*
 * unsubscribe_keys.h - where the keys of unsubscribe tokens come from.
 *
 * The file of [links] unsubscribe_key_file; else the store's own keys, made at
 * the first start. A token may come back to any node, so on PostgreSQL they lie
 * in the database. Beside a database file they are DATA/unsubscribe.key, where
 * an administrator can add a newer one; the store keeps a copy, which goes
 * along when the store moves to another engine and back.
 */
#pragma once

#include "base/conf.h"
#include "engine/unsubscribe.h"

/* ERR_IO, ERR_INVALID with the file's name; errors of the store. */
enum err unsubscribe_keys_open(struct op *op, struct store *store, const struct conf *conf,
                               struct unsubscribe_keys *ret);
