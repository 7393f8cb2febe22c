/*
 * import_ahead.h - what a chunk of an import will ask of the store, asked together.
 *
 * Private to import.c. Nothing here decides, as in ledger_ahead.c.
 */
#pragma once

#include "engine/import.h"
#include "store/store_tenant.h"

/* Says that these lines will be stored soon; mailing is that of the path, its number 0 without one. */
enum err import_prefetch(struct op *op, struct tx *tx, const struct import_chunk *chunk, const struct mailing *mailing);
