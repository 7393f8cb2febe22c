#include "engine/provider_mailgun.h"

#include "base/instant.h"

#define CODE_SUPPRESSED_BOUNCE      605 /* not sent: bounced before */
#define CODE_SUPPRESSED_UNSUBSCRIBE 606 /* not sent: unsubscribed before */
#define CODE_SUPPRESSED_COMPLAINT   607 /* not sent: complained before */

/* EVENT_FAILED is settled by the severity. Words that are not here (accepted, stored, list_*) are unhandled. */
static const struct item_type types[] = {
    { "delivered", EVENT_DELIVERED, NULL },
    { "failed", EVENT_FAILED, NULL },
    { "rejected", EVENT_FAILED, NULL },
    { "opened", EVENT_OPENED, NULL },
    { "clicked", EVENT_CLICKED, NULL },
    { "unsubscribed", EVENT_UNSUBSCRIBED, NULL },
    { "complained", EVENT_COMPLAINED, NULL },
    /* before 2018 (SRC-40) */
    { "bounced", EVENT_FAILED, "failed" },
    { "dropped", EVENT_FAILED, "failed" },
    { NULL, EVENT_MALFORMED, NULL },
};

static void read_headers(struct json *j, struct mailgun_item *item)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("message-id")))
            item->message_id = item_text(j);
        else if (str_eq(name, S("to")))
            item->to = item_string(j);
}

static void read_message(struct json *j, struct mailgun_item *item)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("headers")))
            read_headers(j, item);
}

static void read_delivery_status(struct json *j, struct mailgun_item *item)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("code")))
            item->code = item_text(j);
        else if (str_eq(name, S("message")))
            item->text = item_text(j);
        else if (str_eq(name, S("description")))
            item->description = item_text(j);
        else if (str_eq(name, S("enhanced-code")))
            item->enhanced = item_text(j);
        else if (str_eq(name, S("bounce-code")))
            item->bounce_code = item_text(j);
        else if (str_eq(name, S("retry-seconds")))
            item->is_retried = !json_null(j);
    }
}

static void read_reject(struct json *j, struct mailgun_item *item)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("reason")))
            item->reject_reason = item_text(j);
        else if (str_eq(name, S("description")))
            item->reject_description = item_text(j);
}

static void read_client_info(struct json *j, struct mailgun_item *item)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("user-agent")))
            item->agent = item_string(j);
        else if (str_eq(name, S("bot")))
            item->bot = item_string(j);
}

static void read_variables(struct op *op, struct json *j, struct provider_event *event)
{
    if (json_type(j) == JSON_STRING)
        item_variables_text(op, event, item_string(j));
    else
        item_variables(j, event);
}

static void read_member(struct op *op, struct json *j, struct str name, struct mailgun_item *item,
                        struct provider_event *event)
{
    switch (name.n) { /* most members are none of ours, and their length says so */
    case 2:
        if (str_eq(name, S("id")))
            item->id = item_text(j);
        else if (str_eq(name, S("ip")))
            item->ip = item_string(j);
        break;
    case 3:
        if (str_eq(name, S("url")))
            item->url = item_string(j);
        break;
    case 5:
        if (str_eq(name, S("event")))
            item->event = item_string(j);
        break;
    case 6:
        if (str_eq(name, S("reason")))
            item->reason = item_string(j);
        else if (str_eq(name, S("reject")))
            read_reject(j, item);
        break;
    case 7:
        if (str_eq(name, S("message")))
            read_message(j, item);
        break;
    case 8:
        if (str_eq(name, S("severity")))
            item->severity = item_string(j);
        break;
    case 9:
        if (str_eq(name, S("timestamp")))
            item->time = item_text(j);
        else if (str_eq(name, S("recipient")))
            item->recipient = item_string(j);
        break;
    case 10:
        if (str_eq(name, S("@timestamp")))
            item->iso_time = item_string(j);
        break;
    case 11:
        if (str_eq(name, S("client-info")))
            read_client_info(j, item);
        break;
    case 13:
        if (str_eq(name, S("retry-seconds")))
            item->is_retried = !json_null(j);
        break;
    case 14:
        if (str_eq(name, S("user-variables")))
            read_variables(op, j, event);
        break;
    case 15:
        if (str_eq(name, S("delivery-status")))
            read_delivery_status(j, item);
        break;
    default:
        break;
    }
}

bool mailgun_item_read(struct op *op, struct json *j, struct mailgun_item *item, struct provider_event *event)
{
    struct str name;
    *item = (struct mailgun_item){ 0 };
    if (!json_enter_object(j))
        return false;
    while (json_next_member(j, &name))
        read_member(op, j, name, item, event);
    return true;
}

static void set_time(const struct mailgun_item *item, struct provider_event *event)
{
    int64_t at_us;
    struct civil local;
    if (instant_parse_seconds(str_trim(item->time), &at_us)) {
        item_set_time(event, at_us);
        return;
    }
    switch (instant_parse_loose(str_trim(item->iso_time), &at_us, &local)) {
    case INSTANT_FIXED:
        item_set_time(event, at_us);
        break;
    case INSTANT_LOCAL: /* the Logs API counts in UTC whether it says so or not */
        item_set_time(event, instant_from_civil(&local));
        break;
    case INSTANT_NONE:
        break;
    }
}

/*
 * SRC-35: the word decides where it stands. Without it a retry to come says temporary; of the codes only those say
 * permanent that no message under way can have: some of the provider's own above 599 are still being retried.
 */
static bool is_permanent(const struct mailgun_item *item, const struct provider_event *event)
{
    if (str_eq(item->severity, S("permanent")))
        return true;
    if (item->severity.n || item->is_retried)
        return false;
    return (event->code >= 500 && event->code <= 599) ||
           (event->code >= CODE_SUPPRESSED_BOUNCE && event->code <= CODE_SUPPRESSED_COMPLAINT);
}

/* SRC-37 and ledger.md section 5. The provider's own codes beat its reasons: a code is exact, reasons are an open set.
 */
static enum suppression_reason suppression_of(const struct mailgun_item *item, const struct provider_event *event)
{
    if (event->code == CODE_SUPPRESSED_BOUNCE)
        return SUPPRESS_BOUNCE;
    if (event->code == CODE_SUPPRESSED_UNSUBSCRIBE)
        return SUPPRESS_UNSUBSCRIBE;
    if (event->code == CODE_SUPPRESSED_COMPLAINT)
        return SUPPRESS_COMPLAINT;
    if (str_eq(item->reason, S("suppress-bounce")))
        return SUPPRESS_BOUNCE;
    if (str_eq(item->reason, S("suppress-unsubscribe")))
        return SUPPRESS_UNSUBSCRIBE;
    if (str_eq(item->reason, S("suppress-complaint")))
        return SUPPRESS_COMPLAINT;
    if (item_is_dead_address(event->enhanced))
        return SUPPRESS_BOUNCE;
    bool is_bounce = str_eq(item->reason, S("bounce")) && !item_is_policy(event->enhanced);
    return is_bounce ? SUPPRESS_BOUNCE : SUPPRESS_NOT;
}

static enum err set_failure(struct op *op, const struct mailgun_item *item, struct provider_event *event)
{
    struct str enhanced = item_first(item->enhanced, item->bounce_code); /* SRC-38 */
    TRY(item_set_failure(op, event, item->code, enhanced, item_first(item->text, item->description)));
    if (is_permanent(item, event))
        event->suppress = suppression_of(item, event);
    else
        event->kind = EVENT_DELAYED;
    return OK;
}

/* The message never left the provider: permanent whatever else stands there. */
static enum err set_rejection(struct op *op, const struct mailgun_item *item, struct provider_event *event)
{
    struct str nothing = { NULL, 0 };
    if (!str_given(event->recipient))
        item_set_recipient(event, item_address(item->to));
    return item_set_failure(op, event, nothing, nothing, item_first(item->reject_reason, item->reject_description));
}

static void set_touch(const struct mailgun_item *item, struct provider_event *event)
{
    event->url = event->kind == EVENT_CLICKED ? item->url : (struct str){ NULL, 0 };
    event->ip = item->ip;
    event->agent = item->agent;
    if (item->bot.n)
        event->bits |= BIT_PROVIDER;
}

enum err mailgun_item_make(struct op *op, const struct provider_source *source, const struct mailgun_item *item,
                           struct str raw, struct provider_event *event)
{
    const struct item_type *row;
    TRY(item_set_type(op, event, types, item->event, &row));
    event->event_id = str_clip(item->id, EVENT_REF_BYTES_MAX);
    set_time(item, event);
    item_set_recipient(event, item->recipient);
    item_set_reference(event, item->message_id);

    if (event->kind == EVENT_FAILED)
        TRY(str_eq(item->event, S("rejected")) ? set_rejection(op, item, event) : set_failure(op, item, event));
    else if (event->kind == EVENT_OPENED || event->kind == EVENT_CLICKED)
        set_touch(item, event);
    else if (event->kind == EVENT_COMPLAINED)
        event->suppress = SUPPRESS_COMPLAINT;
    else if (event->kind == EVENT_UNSUBSCRIBED)
        event->suppress = SUPPRESS_UNSUBSCRIBE;
    return item_finish(op, source, event, raw, true);
}
