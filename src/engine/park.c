#include "engine/park.h"

#include <string.h>

#include "engine/ledger.h"
#include "engine/names.h"
#include "store/dedupe.h"
#include "store/store_parked.h"

/* An event as it is kept: numbers, then texts with their lengths. A text that is not given has length UINT32_MAX. */
struct parked_head {
    uint32_t kind, suppress, bits;
    int32_t code;
};

#define PARKED_TEXTS 9

static void texts_of(struct provider_event *event, struct str source_id, struct str *texts[PARKED_TEXTS],
                     struct str *source)
{
    *source = source_id;
    struct str *all[PARKED_TEXTS] = { source,
                                      &event->message,
                                      &event->mailing,
                                      &event->provider_message_id,
                                      &event->recipient,
                                      &event->enhanced,
                                      &event->text,
                                      &event->event_id,
                                      &event->url };
    memcpy(texts, all, sizeof all);
}

/* The client's address is not kept (LED-24): evidence that needs it is settled before the event is parked. */
static enum err event_pack(struct op *op, const struct provider_event *event, struct str source_id, int64_t client,
                           struct str *ret)
{
    struct provider_event copy = *event;
    struct str *texts[PARKED_TEXTS], source;
    texts_of(&copy, source_id, texts, &source);
    size_t bytes = sizeof(struct parked_head) + sizeof client;
    for (int i = 0; i < PARKED_TEXTS; i++)
        bytes += sizeof(uint32_t) + texts[i]->n;
    char *p;
    TRY(op_alloc(op, bytes, &p));
    *ret = (struct str){ p, bytes };

    struct parked_head head = { event->kind, event->suppress, event->bits, event->code };
    memcpy(p, &head, sizeof head);
    p += sizeof head;
    memcpy(p, &client, sizeof client);
    p += sizeof client;
    for (int i = 0; i < PARKED_TEXTS; i++) {
        uint32_t n = str_given(*texts[i]) ? (uint32_t)texts[i]->n : UINT32_MAX;
        memcpy(p, &n, sizeof n);
        p += sizeof n;
        if (texts[i]->n)
            memcpy(p, texts[i]->p, texts[i]->n);
        p += texts[i]->n;
    }
    return OK;
}

static enum err event_unpack(struct op *op, const struct parked *parked, struct provider_event *ret,
                             struct str *ret_source_id)
{
    struct str left = parked->event;
    struct parked_head head;
    struct provider_event event = { .type = "parked", .at_us = parked->at_us, .day = parked->day };
    if (left.n < sizeof head + sizeof event.client)
        return fail(op, ERR_BUG, "parked event %lld is cut off", (long long)parked->seq);
    memcpy(&head, left.p, sizeof head);
    memcpy(&event.client, left.p + sizeof head, sizeof event.client);
    left.p += sizeof head + sizeof event.client;
    left.n -= sizeof head + sizeof event.client;

    struct str *texts[PARKED_TEXTS], source;
    texts_of(&event, (struct str){ 0 }, texts, &source);
    for (int i = 0; i < PARKED_TEXTS; i++) {
        uint32_t n;
        if (left.n < sizeof n)
            return fail(op, ERR_BUG, "parked event %lld is cut off", (long long)parked->seq);
        memcpy(&n, left.p, sizeof n);
        left.p += sizeof n;
        left.n -= sizeof n;
        if (n == UINT32_MAX)
            continue;
        if (n > left.n)
            return fail(op, ERR_BUG, "parked event %lld is cut off", (long long)parked->seq);
        *texts[i] = (struct str){ left.p, n };
        left.p += n;
        left.n -= n;
    }
    event.kind = (enum event_kind)head.kind;
    event.suppress = (enum suppression_reason)head.suppress;
    event.bits = head.bits;
    event.code = head.code;
    memcpy(event.key, parked->key, sizeof event.key);
    *ret = event;
    *ret_source_id = source;
    return OK;
}

static int refs_of(struct op *op, struct tx *tx, const struct provider_event *event, int64_t refs[PARKED_REFS_MAX])
{
    int count = 0;
    int64_t recipient = str_given(event->recipient) ? name_recipient(op, tx, CHANNEL_EMAIL, event->recipient) : 0;
    if (str_given(event->message))
        refs[count++] = name_ref_message(tx, event->message);
    if (str_given(event->mailing) && recipient)
        refs[count++] = name_ref_mailing(tx, event->mailing, recipient);
    if (str_given(event->provider_message_id))
        refs[count++] = name_ref_provider(tx, name_provider_id(tx, event->provider_message_id), recipient);
    return count;
}

enum err park_event(struct op *op, struct tx *tx, struct str source_id, uint32_t source_no, uint32_t tenant_no,
                    const struct provider_event *event)
{
    struct parked parked = { .source_no = source_no,
                             .tenant_no = tenant_no,
                             .at_us = event->at_us,
                             .parked_at_ms = op_now_ms(op),
                             .day = event->day };
    memcpy(parked.key, event->key, sizeof parked.key);
    TRY(event_pack(op, event, source_id, event->client, &parked.event));
    int64_t refs[PARKED_REFS_MAX];
    int count = refs_of(op, tx, event, refs);
    return store_parked_add(op, tx, &parked, refs, count);
}

/* What another tenant's source said goes on waiting: it speaks of a message of its own tenant. */
static enum err meet_ref(struct op *op, struct tx *tx, const struct message_row *row, int64_t ref)
{
    struct parked *parked;
    size_t count;
    TRY(store_parked_find(op, tx, ref, &parked, &count));
    for (size_t i = 0; i < count; i++) {
        if (parked[i].tenant_no && parked[i].tenant_no != row->tenant_no)
            continue;
        struct provider_event event;
        struct str source_id;
        TRY(event_unpack(op, &parked[i], &event, &source_id));
        TRY(store_parked_delete(op, tx, parked[i].seq));
        bool changed;
        TRY(ledger_apply_to(op, tx, source_id, parked[i].tenant_no, &event, row->no, &changed));
    }
    return OK;
}

enum err park_meet(struct op *op, struct tx *tx, const struct message_row *row, struct str mailing_id)
{
    bool empty;
    TRY(store_parked_is_empty(op, tx, &empty));
    if (empty)
        return OK;
    if (row->id_given) /* nobody can have named an id of ours before its row was there */
        TRY(meet_ref(op, tx, row, name_ref_message(tx, row->id)));
    if (str_given(mailing_id))
        TRY(meet_ref(op, tx, row, name_ref_mailing(tx, mailing_id, row->recipient_hash)));
    if (!row->provider_hash)
        return OK;
    TRY(meet_ref(op, tx, row, name_ref_provider(tx, row->provider_hash, row->recipient_hash)));
    return meet_ref(op, tx, row, name_ref_provider(tx, row->provider_hash, 0));
}

static enum err throw_away(struct op *op, struct tx *tx, const struct parked *parked, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        TRY(store_dedupe_forget(op, tx, parked[i].day, parked[i].key));
        TRY(store_parked_delete(op, tx, parked[i].seq));
    }
    return OK;
}

enum err park_shrink(struct op *op, struct tx *tx, int max, int *ret_gone)
{
    struct parked *parked;
    size_t count;
    TRY(store_parked_over(op, tx, max, &parked, &count));
    *ret_gone = (int)count;
    return throw_away(op, tx, parked, count);
}

enum err park_expire(struct op *op, struct tx *tx, uint32_t source_no, int64_t before_us, int max, int *ret_gone)
{
    struct parked *parked;
    size_t count;
    TRY(store_parked_of_source(op, tx, source_no, before_us / 1000, max, &parked, &count));
    *ret_gone = (int)count;
    return throw_away(op, tx, parked, count);
}
