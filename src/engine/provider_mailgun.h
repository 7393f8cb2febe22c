/*
 * provider_mailgun.h - one event of Mailgun, whichever door brought it.
 *
 * A page of the Events API, one of the Logs API, a webhook and a form post of
 * the years before 2018 say the same things with small differences. Each is
 * read into a struct mailgun_item, and one function makes the event of it, so
 * that the same event seen through two doors gives the same key (SRC-13).
 */
#pragma once

#include "engine/provider_item.h"

/* What an item said; texts are not given where it said nothing. */
struct mailgun_item {
    struct str event, id;
    struct str time;     /* seconds with decimals */
    struct str iso_time; /* "@timestamp" of the Logs API */
    struct str recipient, message_id;
    struct str to; /* the To field of the message */
    struct str severity, reason;
    struct str code, enhanced, bounce_code, text, description;
    bool is_retried; /* retry-seconds stand there: it will be tried again */
    struct str reject_reason, reject_description;
    struct str url, ip, agent, bot;
};

/* Reads the object in front; variables of ours go into the event at once. False when it is no object. */
bool mailgun_item_read(struct op *op, struct json *j, struct mailgun_item *item, struct provider_event *event);

/* Makes the event of what was read. `raw` are the item's own bytes. */
enum err mailgun_item_make(struct op *op, const struct provider_source *source, const struct mailgun_item *item,
                           struct str raw, struct provider_event *event);
