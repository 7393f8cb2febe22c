/*
 * seen.h - when a member was last seen: at most one write per local day, never lowered, by people only (LED-13).
 */
#pragma once

#include "store/tx.h"

/* A person opened or clicked at at_us. *ret_changed (may be NULL) is set when that was written, else left alone. */
enum err member_seen(struct op *op, struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t at_us,
                     bool *ret_changed);
