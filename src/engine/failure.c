#include "engine/failure.h"

#include "store/block.h"

bool failure_wins(const struct failure_row *stands, const struct failure_row *next)
{
    if (!stands)
        return true;
    if (stands->severity != next->severity)
        return next->severity == FAILURE_PERMANENT;
    bool newest = next->severity == FAILURE_TEMPORARY;
    if (stands->at_us != next->at_us)
        return newest == (next->at_us > stands->at_us);
    int order = str_cmp(next->event_id, stands->event_id);
    /* Providers give one id to events of several types (SRC-13); the winner must not be the one that came first. */
    order = order ? order : str_cmp(next->text, stands->text);
    order = order ? order : str_cmp(next->enhanced, stands->enhanced);
    order = order ? order : (next->code > stands->code) - (next->code < stands->code);
    return newest == (order > 0);
}

enum err failure_apply(struct op *op, struct subject *subject, const struct provider_event *event,
                       enum failure_kind severity)
{
    struct failure_row next = { .message_no = subject->no,
                                .mailing_no = subject->fixed->mailing_no,
                                .severity = (uint8_t)severity,
                                .code = event->code,
                                .enhanced = event->enhanced,
                                .text = event->text,
                                .at_us = event->at_us,
                                .event_id = str_given(event->event_id) ? event->event_id : S("") };
    if (subject->delivery->failure != FAILURE_NONE) {
        struct failure_row stands;
        TRY(store_failure_get(op, subject->tx, subject->no, &stands));
        if (!failure_wins(&stands, &next))
            return OK;
    }
    TRY(store_failure_put(op, subject->tx, &next));
    subject->delivery->failure = (unsigned)next.severity & 0xfu;
    subject->changed = true;
    store_block_dirty(subject->tx, BLOCK_MESSAGE_DELIVERY, subject->no);
    return OK;
}
