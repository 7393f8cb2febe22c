/*
 * store_secret.h - texts that all who share a store must have, and nobody else.
 *
 * What one node makes at its first start - the key that seals unsubscribe
 * addresses - every other must know, and a store that moves takes it along.
 * Secrets are never in answers, logs or errors.
 */
#pragma once

#include "store/tx.h"

#define SECRET_BYTES_MAX 4096

/* The secret of this name, in the op's arena; not given (str_given) when there is none. */
enum err store_secret_get(struct op *op, struct tx *tx, struct str name, struct str *ret);

/* Keeps `value`, at most SECRET_BYTES_MAX bytes, in place of what stands under the name. */
enum err store_secret_put(struct op *op, struct tx *tx, struct str name, struct str value);
