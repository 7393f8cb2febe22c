/*
 * fuzz_events.h - what every list of provider events must hold, whatever the bytes were.
 */
#pragma once

#include <stdlib.h>

#include "engine/provider.h"

#define HOLDS(promise)                                                                                                 \
    do {                                                                                                               \
        if (!(promise))                                                                                                \
            abort();                                                                                                   \
    } while (0)

#define NOW_US INT64_C(1795000000000000)

static inline size_t characters(struct str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++)
        n += ((uint8_t)text.p[i] & 0xC0) != 0x80;
    return n;
}

static inline void texts_hold(const struct provider_event *event)
{
    HOLDS(str_is_utf8(event->recipient) && event->recipient.n <= EVENT_RECIPIENT_BYTES_MAX);
    HOLDS(str_given(event->recipient) == str_given(event->folded) && str_is_utf8(event->folded));
    HOLDS(str_is_utf8(event->message) && event->message.n <= EVENT_ID_BYTES_MAX);
    HOLDS(str_is_utf8(event->mailing) && event->mailing.n <= EVENT_ID_BYTES_MAX);
    HOLDS(str_is_utf8(event->provider_message_id) && event->provider_message_id.n <= EVENT_REF_BYTES_MAX);
    HOLDS(str_is_utf8(event->text) && characters(event->text) <= EVENT_TEXT_CHARS_MAX);
    HOLDS(event->text.n == 0 || memchr(event->text.p, '\0', event->text.n) == NULL);
    HOLDS(str_is_utf8(event->enhanced) && event->enhanced.n <= EVENT_ENHANCED_BYTES_MAX);
    HOLDS(str_is_utf8(event->url) && str_is_utf8(event->ip) && str_is_utf8(event->agent));
    HOLDS(event->agent.n <= EVENT_AGENT_BYTES_MAX);
    HOLDS(event->type && strlen(event->type) <= EVENT_TYPE_BYTES_MAX);
}

static inline void event_holds(const struct provider_event *event)
{
    bool is_failure = event->kind == EVENT_FAILED || event->kind == EVENT_DELAYED || event->kind == EVENT_GAVE_UP ||
                      event->kind == EVENT_REFUSED;
    bool has_message = str_given(event->message) || str_given(event->provider_message_id) ||
                       (str_given(event->mailing) && str_given(event->recipient));
    texts_hold(event);
    HOLDS((event->kind == EVENT_MALFORMED) == (event->reason != NULL));
    HOLDS(event->is_reported || event->at_us == NOW_US);
    HOLDS(event->is_future == (event->at_us > NOW_US + EVENT_FUTURE_US));
    if (event->kind == EVENT_MALFORMED || event->kind == EVENT_UNHANDLED)
        return;
    HOLDS(event->key[0] != 0 || event->key[1] != 0);
    HOLDS(has_message || (event->kind == EVENT_SUPPRESSED && str_given(event->recipient)));
    HOLDS(!is_failure || event->text.n > 0);
    HOLDS(event->kind != EVENT_DELAYED || event->suppress == SUPPRESS_NOT);
    HOLDS(event->kind != EVENT_COMPLAINED || event->suppress == SUPPRESS_COMPLAINT);
    HOLDS(event->kind != EVENT_UNSUBSCRIBED || event->suppress == SUPPRESS_UNSUBSCRIBE);
}
