/*
 * messages.h - one message as the application sees it and may change it.
 */
#pragma once

#include "engine/subject.h"
#include "store/store_history.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

#define HISTORY_ENTRIES_MAX 100

/* Everything stored of a message. Texts and history live in the op's arena. */
struct message_view {
    struct message_row row;
    struct message_delivery delivery;
    struct message_engagement engagement;
    struct word_row word;
    struct history_entry *history; /* oldest first */
    size_t history_count;
};

/* ERR_NOT_FOUND when there is no such message. Works in a snapshot and in the writer. */
enum err message_view(struct op *op, struct tx *tx, uint64_t no, struct message_view *ret);

/* What PATCH may set; not given = untouched. */
struct message_patch {
    struct str status, provider, provider_message_id, sent_at;
};

/* Compare and set (LED-7): an allowed move 200, the same status 200 without history, a refused one ERR_CONFLICT with
 * *ret_current filled and nothing of the patch applied. provider, provider_message_id and sent_at are filled when
 * empty; another value than the stored one is ERR_CONFLICT. A provider id that becomes known brings parked receipts. */
enum err message_patch(struct op *op, struct tx *tx, uint64_t no, const struct message_patch *patch,
                       enum status *ret_current);
