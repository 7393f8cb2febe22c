/*
 * store_message_own.h - the table of messages as its own files see it: store_message.c one row, store_message_ahead.c
 * many look-ups at once, store_message_list.c many rows.
 */
#pragma once

#include "store/db.h"
#include "store/store_message.h"

#define MESSAGE_COLUMNS                                                                                                \
    "no, id, given, tenant_no, mailing_no, member_no, channel, key, first_status, imported, recipient,"                \
    " recipient_hash, provider, provider_message_id, provider_hash, template, reference, created_at_ms, added_at_ms,"  \
    " sent_at_us, local_day"

/* The columns above, in the memory of op. */
struct message_row message_columns(struct op *op, struct stmt *stmt);

/* A statement that reads or changes the table: rows that wait to be inserted together are inserted first. */
enum err message_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt);

/* The message of the mailing to the recipient is known without asking. */
bool message_is_remembered(struct tx *tx, uint32_t mailing_no, int64_t recipient_hash);
