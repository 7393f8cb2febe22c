#include "engine/ledger.h"

#include "engine/classify.h"
#include "engine/failure.h"
#include "engine/names.h"
#include "engine/park.h"
#include "engine/seen.h"
#include "engine/suppress.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/dedupe.h"
#include "store/store_click.h"
#include "store/store_message.h"
#include "store/store_outcome.h"
#include "store/tally.h"

/* One event being applied to one message. */
struct applying {
    const struct provider_event *event;
    struct str source_id;
    struct str cause; /* "receipt SOURCE" */
    struct subject subject;
};

static enum err find_in_mailing(struct op *op, struct tx *tx, const struct provider_event *event, int64_t recipient,
                                uint64_t *ret_no)
{
    uint32_t mailing_no;
    TRY(store_mailing_no(op, tx, event->mailing, &mailing_no));
    return mailing_no ? store_message_find_recipient(op, tx, mailing_no, recipient, ret_no) : OK;
}

static enum err find_by_provider_id(struct op *op, struct tx *tx, const struct provider_event *event, int64_t recipient,
                                    uint64_t *ret_no)
{
    int64_t provider_hash = name_provider_id(tx, event->provider_message_id);
    uint64_t nos[2];
    int count;
    if (recipient) {
        TRY(store_message_find_provider(op, tx, provider_hash, true, recipient, nos, &count));
        if (count > 0) {
            *ret_no = nos[0];
            return OK;
        }
    }
    TRY(store_message_find_provider(op, tx, provider_hash, false, 0, nos, &count));
    if (count == 1)
        *ret_no = nos[0];
    return OK;
}

enum err ledger_find(struct op *op, struct tx *tx, const struct provider_event *event, uint64_t *ret_no)
{
    *ret_no = 0;
    if (str_given(event->message)) {
        enum err err = store_message_find_id(op, tx, event->message, ret_no);
        if (err != ERR_NOT_FOUND)
            return err;
    }
    int64_t recipient = str_given(event->recipient) ? name_recipient(op, tx, CHANNEL_EMAIL, event->recipient) : 0;
    if (str_given(event->mailing) && recipient) {
        TRY(find_in_mailing(op, tx, event, recipient, ret_no));
        if (*ret_no)
            return OK;
    }
    if (str_given(event->provider_message_id))
        return find_by_provider_id(op, tx, event, recipient, ret_no);
    return OK;
}

static enum err move_to(struct op *op, struct applying *a, enum status to)
{
    enum status_answer answer;
    return subject_move(op, &a->subject, to, a->cause, &answer);
}

static void delivery_changed(struct applying *a)
{
    store_block_dirty(a->subject.tx, BLOCK_MESSAGE_DELIVERY, a->subject.no);
}

static enum err apply_delivered(struct op *op, struct applying *a)
{
    struct subject *s = &a->subject;
    int64_t before = s->delivery->delivered_at_us;
    subject_earliest(s, &s->delivery->delivered_at_us, a->event->at_us);
    if (s->delivery->delivered_at_us != before) {
        delivery_changed(a);
        s->reclassify = s->engagement->touch_last != 0; /* what "soon" counts from has moved */
        TRY(store_mailing_young(op, s->tx, s->fixed->mailing_no, s->delivery->delivered_at_us));
    }
    return move_to(op, a, STATUS_DELIVERED);
}

static enum err apply_failed(struct op *op, struct applying *a, enum status to)
{
    struct subject *s = &a->subject;
    int64_t before = s->delivery->failed_at_us;
    subject_earliest(s, &s->delivery->failed_at_us, a->event->at_us);
    if (s->delivery->failed_at_us != before)
        delivery_changed(a);
    TRY(failure_apply(op, s, a->event, FAILURE_PERMANENT));
    return move_to(op, a, to);
}

static enum err apply_touch(struct op *op, struct applying *a, enum touch_kind kind)
{
    struct subject *s = &a->subject;
    struct message_engagement *engagement = s->engagement;
    struct touch touch = { .kind = kind, .at_us = a->event->at_us, .bits = a->event->bits, .client = a->event->client };
    if (kind == TOUCH_CLICK && str_given(a->event->url) && s->in_mailing)
        TRY(store_link_meet(op, s->tx, s->fixed->mailing_no, a->event->url, &touch.link_no));

    bool first_of_link;
    TRY(touches_add(op, s, &touch, &first_of_link));
    if (touch.link_no)
        TRY(store_link_count(op, s->tx, touch.link_no, first_of_link ? 1 : 0, 1));
    subject_earliest(s, kind == TOUCH_OPEN ? &engagement->opened_at_us : &engagement->clicked_at_us, a->event->at_us);
    store_block_dirty(s->tx, BLOCK_MESSAGE_ENGAGEMENT, s->no);
    if (classify_is_machine(touch.bits) || !s->fixed->member_no)
        return OK;
    return member_seen(op, s->tx, s->cohort.tenant_no, s->fixed->member_no, a->event->at_us, &s->changed);
}

/* Complaint or unsubscription: the instant, and the flag its figure counts. */
static enum err apply_word(struct op *op, struct applying *a, enum word_flag flag)
{
    struct subject *s = &a->subject;
    struct word_row row = { 0 };
    if (s->delivery->words)
        TRY(store_word_get(op, s->tx, s->no, &row));
    int64_t *field = flag == WORD_COMPLAINED ? &row.complained_at_us : &row.unsubscribed_at_us;
    int64_t before = *field;
    subject_earliest(s, field, a->event->at_us);
    if (*field == before)
        return OK;
    TRY(store_word_put(op, s->tx, s->no, &row));
    s->delivery->words |= (unsigned)flag & 0xf;
    delivery_changed(a);
    return OK;
}

static enum err apply_kind(struct op *op, struct applying *a)
{
    switch (a->event->kind) {
    case EVENT_SENDING:
        return move_to(op, a, STATUS_SENDING);
    case EVENT_DELIVERED:
        return apply_delivered(op, a);
    case EVENT_FAILED:
        return apply_failed(op, a, STATUS_PERMANENT_FAILURE);
    case EVENT_REFUSED:
        return apply_failed(op, a, STATUS_TECHNICAL_FAILURE);
    case EVENT_DELAYED:
        return failure_apply(op, &a->subject, a->event, FAILURE_TEMPORARY);
    case EVENT_GAVE_UP:
        TRY(failure_apply(op, &a->subject, a->event, FAILURE_TEMPORARY));
        return move_to(op, a, STATUS_TEMPORARY_FAILURE);
    case EVENT_OPENED:
        return apply_touch(op, a, TOUCH_OPEN);
    case EVENT_CLICKED:
        return apply_touch(op, a, TOUCH_CLICK);
    case EVENT_COMPLAINED:
        return apply_word(op, a, WORD_COMPLAINED);
    case EVENT_UNSUBSCRIBED:
        return apply_word(op, a, WORD_UNSUBSCRIBED);
    case EVENT_SUPPRESSED:
    case EVENT_UNHANDLED:
    case EVENT_MALFORMED:
        break;
    }
    return OK;
}

/* The address the event names, else the one its message was sent to. */
static enum err suppress_event(struct op *op, struct applying *a)
{
    struct str address = a->event->recipient;
    if (!str_given(address)) {
        struct message_row row;
        TRY(store_message_get(op, a->subject.tx, a->subject.no, &row));
        address = row.recipient;
    }
    bool changed;
    TRY(suppress_add(op, a->subject.tx, a->subject.cohort.tenant_no, address, a->event->suppress, a->event->at_us,
                     a->subject.no, a->source_id, &changed));
    a->subject.changed |= changed;
    return OK;
}

enum err ledger_apply_to(struct op *op, struct tx *tx, struct str source_id, uint32_t tenant_no,
                         const struct provider_event *event, uint64_t message_no, bool *ret_changed)
{
    *ret_changed = false;
    struct applying a = { .event = event, .source_id = source_id };
    TRY(subject_open(op, tx, message_no, &a.subject));
    if (tenant_no && tenant_no != a.subject.cohort.tenant_no)
        return OK;
    a.cause = arena_fmt(op->arena, "receipt %.*s", STR(source_id));
    if (a.subject.in_mailing && a.subject.cohort.key != KEY_TEST)
        store_mailing_seen(tx, a.subject.fixed->mailing_no, event->at_us);
    TRY(apply_kind(op, &a));
    if (event->suppress != SUPPRESS_NOT)
        TRY(suppress_event(op, &a));
    TRY(subject_close(op, &a.subject));
    *ret_changed = a.subject.changed;
    return OK;
}

/* A message of another tenant is not known to this source. */
static enum err find_own(struct op *op, struct tx *tx, uint32_t tenant_no, const struct provider_event *event,
                         uint64_t *ret_no)
{
    uint64_t no;
    TRY(ledger_find(op, tx, event, &no));
    if (no && tenant_no) {
        const struct message_fixed *fixed;
        struct cohort cohort;
        TRY(store_block_get(op, tx, BLOCK_MESSAGE_FIXED, no, &fixed));
        TRY(store_cohort_brief(op, tx, fixed->cohort_no, &cohort));
        if (cohort.tenant_no != tenant_no)
            no = 0;
    }
    *ret_no = no;
    return OK;
}

static bool has_reference(const struct provider_event *event)
{
    return str_given(event->message) || str_given(event->mailing) || str_given(event->provider_message_id);
}

enum err ledger_apply(struct op *op, struct tx *tx, struct str source_id, uint32_t source_no, uint32_t tenant_no,
                      const struct provider_event *event, enum event_result *ret_result)
{
    if (event->kind == EVENT_MALFORMED || event->kind == EVENT_UNHANDLED) {
        *ret_result = event->kind == EVENT_MALFORMED ? RESULT_MALFORMED : RESULT_UNHANDLED;
        return OK;
    }
    bool is_new;
    TRY(store_dedupe_take(op, tx, event->day, event->key, &is_new));
    if (!is_new) {
        *ret_result = RESULT_DUPLICATE;
        return OK;
    }

    struct provider_event known = *event;
    if (event->kind == EVENT_OPENED || event->kind == EVENT_CLICKED)
        TRY(touches_client(op, tx, event->ip, event->agent, event->at_us, &known.client));
    uint64_t no;
    TRY(find_own(op, tx, tenant_no, event, &no));
    if (no) {
        bool changed;
        TRY(ledger_apply_to(op, tx, source_id, tenant_no, &known, no, &changed));
        *ret_result = changed ? RESULT_APPLIED : RESULT_UNCHANGED;
        return OK;
    }
    if (event->kind == EVENT_SUPPRESSED && tenant_no && str_given(event->recipient)) {
        /* The address is known without its message; the message, if it comes, still hears of it. */
        TRY(suppress_add(op, tx, tenant_no, event->recipient, event->suppress, event->at_us, 0, source_id, NULL));
        *ret_result = RESULT_APPLIED;
        return has_reference(event) ? park_event(op, tx, source_id, source_no, tenant_no, &known) : OK;
    }
    TRY(park_event(op, tx, source_id, source_no, tenant_no, &known));
    *ret_result = RESULT_PARKED;
    return OK;
}
