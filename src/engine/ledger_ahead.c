/*
 * ledger_ahead.c - what a page of events will ask of the store, asked together.
 *
 * Nothing here decides: applying an event asks all of it again, one by one, and
 * is answered from RAM. So what is missing here only costs time.
 */
#include "base/op.h"
#include "engine/classify.h"
#include "engine/ledger.h"
#include "engine/names.h"
#include "store/block.h"
#include "store/dedupe.h"
#include "store/store_message.h"
#include "store/store_outcome.h"
#include "store/store_suppression.h"
#include "store/store_tenant.h"
#include "store/store_touch.h"

/* The events that may change something, and the messages they speak of. */
struct page {
    const struct provider_event **events;
    uint64_t *numbers; /* 0 = not known */
    size_t count;
};

static bool is_touch(const struct provider_event *event)
{
    return event->kind == EVENT_OPENED || event->kind == EVENT_CLICKED;
}

/* Events whose key was taken before change nothing more. */
static enum err page_open(struct op *op, struct tx *tx, const struct provider_event *events, size_t count,
                          struct page *page)
{
    struct dedupe_key *keys;
    size_t n = 0;
    TRY(op_alloc(op, count * sizeof *keys, &keys));
    TRY(op_alloc(op, count * sizeof *page->events, &page->events));
    TRY(op_alloc(op, count * sizeof *page->numbers, &page->numbers));
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == EVENT_MALFORMED || events[i].kind == EVENT_UNHANDLED)
            continue;
        keys[n] = (struct dedupe_key){ .day = events[i].day, .key = { events[i].key[0], events[i].key[1] } };
        page->events[n++] = &events[i];
    }
    TRY(store_dedupe_prefetch(op, tx, keys, n));
    page->count = 0;
    for (size_t i = 0; i < n; i++)
        if (!keys[i].known)
            page->events[page->count++] = page->events[i];
    return OK;
}

static int64_t recipient_of(struct op *op, struct tx *tx, const struct provider_event *event)
{
    return str_given(event->recipient) ? name_recipient(op, tx, CHANNEL_EMAIL, event->recipient) : 0;
}

/* The messages, and their records. */
static enum err find_messages(struct op *op, struct tx *tx, struct page *page)
{
    struct message_want *wants;
    TRY(op_alloc(op, page->count * sizeof *wants, &wants));
    for (size_t i = 0; i < page->count; i++) {
        const struct provider_event *event = page->events[i];
        wants[i].id = event->message;
        wants[i].recipient_hash = recipient_of(op, tx, event);
        if (str_given(event->mailing) && wants[i].recipient_hash)
            TRY(store_mailing_no(op, tx, event->mailing, &wants[i].mailing_no));
        if (str_given(event->provider_message_id))
            wants[i].provider_hash = name_provider_id(tx, event->provider_message_id);
    }
    TRY(store_message_prefetch(op, tx, wants, page->count));
    for (size_t i = 0; i < page->count; i++)
        TRY(ledger_find(op, tx, page->events[i], &page->numbers[i]));
    unsigned kinds = 1u << BLOCK_MESSAGE_FIXED | 1u << BLOCK_MESSAGE_DELIVERY | 1u << BLOCK_MESSAGE_ENGAGEMENT;
    return store_block_prefetch(op, tx, kinds, page->numbers, page->count);
}

/* The newest row of the chain that applying the event will read: clicks look for others of their link, what may make a
 * burst looks at all, and so does a delivery, which moves what "soon" counts from. */
static uint64_t chain_of(const struct provider_event *event, const struct message_engagement *engagement)
{
    bool has_clicks = engagement->click_human + engagement->click_machine > 0;
    return event->kind == EVENT_DELIVERED || (is_touch(event) && has_clicks) ? engagement->touch_last : 0;
}

static enum err find_touches(struct op *op, struct tx *tx, const struct page *page)
{
    uint64_t *members, *chains;
    size_t n = 0;
    TRY(op_alloc(op, page->count * sizeof *members, &members));
    TRY(op_alloc(op, page->count * sizeof *chains, &chains));
    for (size_t i = 0; i < page->count; i++) {
        const struct message_fixed *fixed;
        const struct message_engagement *engagement;
        if (!page->numbers[i])
            continue;
        TRY(store_block_get(op, tx, BLOCK_MESSAGE_FIXED, page->numbers[i], &fixed));
        TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, page->numbers[i], &engagement));
        members[n] = is_touch(page->events[i]) ? fixed->member_no : 0;
        chains[n++] = chain_of(page->events[i], engagement);
    }
    TRY(store_block_prefetch(op, tx, 1u << BLOCK_MEMBER, members, n));
    return store_touch_prefetch(op, tx, chains, n);
}

static bool is_failure(const struct provider_event *event)
{
    return event->kind == EVENT_FAILED || event->kind == EVENT_REFUSED || event->kind == EVENT_DELAYED ||
           event->kind == EVENT_GAVE_UP;
}

static bool is_word(const struct provider_event *event)
{
    return event->kind == EVENT_COMPLAINED || event->kind == EVENT_UNSUBSCRIBED;
}

/* What stands of messages that have failed or said something before. */
static enum err find_outcomes(struct op *op, struct tx *tx, const struct page *page)
{
    uint64_t *failed, *words;
    size_t failed_count = 0, word_count = 0;
    TRY(op_alloc(op, page->count * sizeof *failed, &failed));
    TRY(op_alloc(op, page->count * sizeof *words, &words));
    for (size_t i = 0; i < page->count; i++) {
        const struct message_delivery *delivery;
        bool may_fail = is_failure(page->events[i]), may_say = is_word(page->events[i]);
        if (!page->numbers[i] || !(may_fail || may_say))
            continue;
        TRY(store_block_get(op, tx, BLOCK_MESSAGE_DELIVERY, page->numbers[i], &delivery));
        if (may_fail && delivery->failure != FAILURE_NONE)
            failed[failed_count++] = page->numbers[i];
        if (may_say && delivery->words)
            words[word_count++] = page->numbers[i];
    }
    TRY(store_failure_prefetch(op, tx, failed, failed_count));
    return store_word_prefetch(op, tx, words, word_count);
}

static enum err find_suppressions(struct op *op, struct tx *tx, const struct page *page)
{
    int64_t *addresses;
    size_t n = 0;
    TRY(op_alloc(op, page->count * sizeof *addresses, &addresses));
    for (size_t i = 0; i < page->count; i++)
        if (page->events[i]->suppress != SUPPRESS_NOT && str_given(page->events[i]->recipient))
            addresses[n++] = recipient_of(op, tx, page->events[i]);
    return store_suppression_prefetch(op, tx, addresses, n);
}

enum err ledger_prefetch(struct op *op, struct tx *tx, const struct provider_event *events, size_t count)
{
    struct page page;
    if (count == 0 || !tx_asks_ahead(tx))
        return OK;
    TRY(page_open(op, tx, events, count, &page));
    if (page.count == 0)
        return OK;
    TRY(find_messages(op, tx, &page));
    TRY(find_touches(op, tx, &page));
    TRY(find_outcomes(op, tx, &page));
    return find_suppressions(op, tx, &page);
}
