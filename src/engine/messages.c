#include "engine/messages.h"

#include <string.h>

#include "base/fold.h"
#include "base/instant.h"
#include "engine/names.h"
#include "engine/park.h"
#include "store/block.h"
#include "store/store_click.h"

/* Moves besides the first entry lie in the log, newest first; the first follows from the row. */
static enum err read_history(struct op *op, struct tx *tx, struct message_view *view)
{
    struct history_entry *entries;
    TRY(op_alloc(op, HISTORY_ENTRIES_MAX * sizeof *entries, &entries));
    size_t moves = 0;
    for (uint64_t seq = view->delivery.history_last; seq && moves < HISTORY_ENTRIES_MAX - 1; moves++)
        TRY(store_history_get(op, tx, seq, &entries[HISTORY_ENTRIES_MAX - 1 - moves], &seq));
    view->history = &entries[HISTORY_ENTRIES_MAX - 1 - moves];
    view->history_count = moves + 1;
    view->history[0] = (struct history_entry){ .at_ms = view->row.added_at_ms,
                                               .from = STATUS_NONE,
                                               .to = view->row.first_status,
                                               .cause = view->row.imported ? S("import") : S("created") };
    return OK;
}

enum err message_view(struct op *op, struct tx *tx, uint64_t no, struct message_view *ret)
{
    const struct message_delivery *delivery;
    const struct message_engagement *engagement;
    struct message_view view = { 0 };
    TRY(store_message_get(op, tx, no, &view.row));
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_DELIVERY, no, &delivery));
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, no, &engagement));
    view.delivery = *delivery;
    view.engagement = *engagement;
    if (view.delivery.words)
        TRY(store_word_get(op, tx, no, &view.word));
    TRY(read_history(op, tx, &view));
    *ret = view;
    return OK;
}

/* Fills *field when it is empty; another value than the one that stands is a conflict. */
static enum err fill_text(struct op *op, const char *name, struct str *field, struct str value, bool *filled)
{
    if (!str_given(value) || str_eq(*field, value))
        return OK;
    if (field->n > 0)
        return fail_at(op, ERR_CONFLICT, arena_fmt(op->arena, "/%s", name).p, "%s is '%.*s' already", name,
                       STR(*field));
    *field = value;
    *filled = true;
    return OK;
}

static enum err fill_sent_at(struct op *op, struct message_row *row, struct str text, bool *filled)
{
    int64_t at_us;
    if (!str_given(text))
        return OK;
    if (!instant_parse(text, &at_us) || at_us <= 0)
        return fail_at(op, ERR_INVALID, "/sent_at", "must be an RFC 3339 instant");
    if (row->sent_at_us == at_us)
        return OK;
    if (row->sent_at_us)
        return fail_at(op, ERR_CONFLICT, "/sent_at", "sent_at is set already");
    row->sent_at_us = at_us;
    *filled = true;
    return OK;
}

static enum err fill_row(struct op *op, struct tx *tx, struct subject *subject, struct message_row *row)
{
    row->provider_hash = row->provider_message_id.n ? name_provider_id(tx, row->provider_message_id) : 0;
    TRY(store_message_fill(op, tx, row));
    if (row->sent_at_us && subject->fixed->sent_at_us != row->sent_at_us) {
        subject->fixed->sent_at_us = row->sent_at_us;
        TRY(store_mailing_young(op, tx, subject->fixed->mailing_no, row->sent_at_us));
        store_block_dirty(tx, BLOCK_MESSAGE_FIXED, row->no);
        subject->reclassify = subject->engagement->touch_last != 0;
    }
    return OK;
}

static enum err patch_status(struct op *op, struct subject *subject, struct str word, enum status *ret_current)
{
    enum status wanted;
    enum status_answer answer;
    if (!str_given(word))
        return OK;
    if (!status_of(word, &wanted))
        return fail_at(op, ERR_INVALID, "/status", "there is no status '%.*s'", STR(word));
    *ret_current = (enum status)subject->delivery->status;
    TRY(subject_move(op, subject, wanted, S("patch"), &answer));
    if (answer == STATUS_REFUSED)
        return fail_at(op, ERR_CONFLICT, "/status", "current status is %s, it cannot become %.*s",
                       status_name(*ret_current), STR(word));
    *ret_current = (enum status)subject->delivery->status;
    return OK;
}

enum err message_patch(struct op *op, struct tx *tx, uint64_t no, const struct message_patch *patch,
                       enum status *ret_current)
{
    struct subject subject;
    struct message_row row;
    bool filled = false;
    TRY(subject_open(op, tx, no, &subject));
    TRY(store_message_get(op, tx, no, &row));
    *ret_current = (enum status)subject.delivery->status;
    struct str provider_id =
        str_given(patch->provider_message_id) ? fold_message_id(patch->provider_message_id) : (struct str){ 0 };
    bool met = provider_id.n > 0 && row.provider_message_id.n == 0;
    TRY(fill_text(op, "provider", &row.provider, patch->provider, &filled));
    TRY(fill_text(op, "provider_message_id", &row.provider_message_id, provider_id, &filled));
    TRY(fill_sent_at(op, &row, patch->sent_at, &filled));
    TRY(patch_status(op, &subject, patch->status, ret_current));
    if (filled)
        TRY(fill_row(op, tx, &subject, &row));
    TRY(subject_close(op, &subject));
    if (met)
        TRY(park_meet(op, tx, &row, (struct str){ 0 }));
    return OK;
}
