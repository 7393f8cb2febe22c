/*
 * names.h - how addresses and references are compared.
 *
 * Rows keep text as it was given; look-ups go by a keyed 64-bit hash of the
 * folded form, the same everywhere: in indexes, in parked references and in
 * history rows that no longer hold the address (LED-1, LED-26). The key is the
 * store's own, so a hash tells nothing outside it.
 */
#pragma once

#include "engine/status.h"
#include "store/tx.h"

#define RECIPIENT_BYTES_MAX 320
#define NAME_BYTES_MAX      128

/* Of a recipient: e-mail and letter folded and trimmed, phone numbers as digits. Never 0. */
int64_t name_recipient(struct op *op, struct tx *tx, enum channel channel, struct str recipient);

/* Of a provider's message id, without <>. Never 0. */
int64_t name_provider_id(struct tx *tx, struct str provider_message_id);

/* References under which a report waits for its message (LED-14). */
int64_t name_ref_message(struct tx *tx, struct str message_id);
int64_t name_ref_mailing(struct tx *tx, struct str mailing_id, int64_t recipient_hash);
int64_t name_ref_provider(struct tx *tx, int64_t provider_hash, int64_t recipient_hash); /* 0 = no recipient given */
