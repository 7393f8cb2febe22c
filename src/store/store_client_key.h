/*
 * store_client_key.h - the daily key that makes clients comparable for a day and unknowable after (LED-24).
 *
 * A key is made when its day is first asked for and thrown away when the day is
 * three days old: by then the last planned look at its events is over. An event
 * that comes still later gets a key that is made and thrown away the same way.
 */
#pragma once

#include "store/tx.h"

#define CLIENT_KEY_DAYS 3

/* The 16-byte key of a UTC day (days since 1970-01-01). */
enum err store_client_key(struct op *op, struct tx *tx, int32_t day, uint8_t ret_key[16]);

/* Throws away the keys of days before before_day. */
enum err store_client_key_expire(struct op *op, struct tx *tx, int32_t before_day);
