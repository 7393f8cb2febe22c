/*
 * provider_sendgrid.c - SendGrid's event webhook: a list of events, signed over a header and the raw
 * body. Arguments that the sender attached stand beside the provider's own.
 */
#include "engine/provider_item.h"

#include "base/crypto.h"
#include "base/hex.h"
#include "base/instant.h"

#define MILLISECONDS_FROM INT64_C(99999999999) /* a larger timestamp is in milliseconds (SRC-47): year 5138 */

static const struct item_type types[] = {
    { "processed", EVENT_SENDING, NULL },
    { "deferred", EVENT_DELAYED, NULL },
    { "delivered", EVENT_DELIVERED, NULL },
    { "bounce", EVENT_FAILED, NULL }, /* EVENT_GAVE_UP when blocked */
    { "dropped", EVENT_FAILED, NULL },
    { "open", EVENT_OPENED, NULL },
    { "click", EVENT_CLICKED, NULL },
    { "spamreport", EVENT_COMPLAINED, NULL },
    { "unsubscribe", EVENT_UNSUBSCRIBED, NULL },
    { "group_unsubscribe", EVENT_UNSUBSCRIBED, NULL },
    { "group_resubscribe", EVENT_UNHANDLED, NULL },
    { NULL, EVENT_MALFORMED, NULL },
};

struct sendgrid_item {
    struct str event, id, time, email;
    struct str message_id, smtp_id;
    struct str reason, response, status, type;
    struct str url, ip, agent;
    bool is_machine;
};

static void read_item(struct json *j, struct sendgrid_item *item, struct provider_event *event)
{
    const struct {
        struct str name;
        struct str *field;
    } members[] = {
        { S("event"), &item->event },
        { S("email"), &item->email },
        { S("timestamp"), &item->time },
        { S("sg_event_id"), &item->id },
        { S("sg_message_id"), &item->message_id },
        { S("smtp-id"), &item->smtp_id },
        { S("reason"), &item->reason },
        { S("response"), &item->response },
        { S("status"), &item->status },
        { S("type"), &item->type },
        { S("url"), &item->url },
        { S("ip"), &item->ip },
        { S("useragent"), &item->agent },
    };
    struct str name;
    while (json_next_member(j, &name)) {
        bool is_ours = str_eq(name, S("email-id")) || str_starts(name, S("posthouse-"));
        if (is_ours)
            item_variable(event, name, item_text(j));
        else if (str_eq(name, S("sg_machine_open")))
            item->is_machine = item_true(j);
        for (size_t i = 0; i < sizeof members / sizeof members[0] && !is_ours; i++)
            if (str_eq(name, members[i].name)) {
                *members[i].field = item_text(j);
                break;
            }
    }
}

static void set_time(struct str text, struct provider_event *event)
{
    struct str rest = str_trim(text);
    struct str whole = str_cut(&rest, '.');
    int64_t number, at_us;
    if (str_to_int(whole, MILLISECONDS_FROM + 1, INSTANT_US_MAX / 1000, &number))
        item_set_time(event, number * 1000);
    else if (instant_parse_seconds(str_trim(text), &at_us))
        item_set_time(event, at_us);
}

/* Before the first of the marks that SendGrid's own machines append (SRC-46). */
static struct str before_marks(struct str id)
{
    static const char *const marks[] = { ".filter", ".stfilter", ".recv" };
    if (str_starts(id, S("filter")) || str_starts(id, S("stfilter")))
        return (struct str){ NULL, 0 }; /* a drop: nothing stands before the mark */
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        id.n = str_search(id, str_of(marks[i]));
    return id;
}

static struct str message_reference(const struct sendgrid_item *item)
{
    struct str id = before_marks(str_trim(item->message_id));
    if (id.n)
        return id;
    id = str_trim(item->smtp_id);
    if (id.n && id.p[0] == '<')
        id = (struct str){ id.p + 1, id.n - 1 };
    id.n = str_find(id, '@');
    return id;
}

static enum err set_failure(struct op *op, const struct sendgrid_item *item, struct provider_event *event)
{
    struct str nothing = { NULL, 0 };
    bool is_bounce = str_eq(item->event, S("bounce"));
    TRY(item_set_failure(op, event, nothing, item->status, item_first(item->reason, item->response)));
    if (event->kind == EVENT_DELAYED)
        return OK;

    if (is_bounce && str_eq(item->type, S("blocked")))
        event->kind = EVENT_GAVE_UP;
    else if (is_bounce && item->type.n && !str_eq(item->type, S("bounce")))
        event->kind = EVENT_UNHANDLED; /* an unknown status of a known provider */
    else if (item_is_dead_address(event->enhanced) || (is_bounce && !item_is_policy(event->enhanced)))
        event->suppress = SUPPRESS_BOUNCE;
    return OK;
}

static enum err set_by_kind(struct op *op, const struct sendgrid_item *item, struct provider_event *event)
{
    if (event->kind == EVENT_FAILED || event->kind == EVENT_DELAYED)
        return set_failure(op, item, event);
    if (event->kind == EVENT_COMPLAINED)
        event->suppress = SUPPRESS_COMPLAINT;
    if (event->kind == EVENT_UNSUBSCRIBED)
        event->suppress = SUPPRESS_UNSUBSCRIBE;
    if (event->kind != EVENT_OPENED && event->kind != EVENT_CLICKED)
        return OK;
    if (event->kind == EVENT_CLICKED)
        event->url = item->url;
    event->ip = item->ip;
    event->agent = item->agent;
    event->bits = item->is_machine ? BIT_PROVIDER : 0;
    return OK;
}

static enum err add_event(struct op *op, const struct provider_source *source, struct json *j, struct item_list *list)
{
    struct sendgrid_item item = { 0 };
    const struct item_type *row;
    struct provider_event *event;
    const char *begin = json_at(j);
    TRY(item_add(op, list, &event));
    if (json_enter_object(j))
        read_item(j, &item, event);
    else
        item_spoil(event, "no_object");
    struct str raw = { begin, (size_t)(json_at(j) - begin) };

    TRY(item_set_type(op, event, types, item.event, &row));
    event->event_id = str_clip(item.id, EVENT_REF_BYTES_MAX);
    set_time(item.time, event);
    item_set_recipient(event, item.email);
    item_set_reference(event, message_reference(&item));
    TRY(set_by_kind(op, &item, event));
    return item_finish(op, source, event, raw, false);
}

/* A list; also a single object, as the documentation prints them. */
static enum err add_events(struct op *op, const struct provider_source *source, struct json *j, struct item_list *list)
{
    if (json_type(j) == JSON_OBJECT)
        return add_event(op, source, j, list);
    if (!json_enter_array(j))
        return OK;
    while (json_next_item(j))
        TRY(add_event(op, source, j, list));
    return OK;
}

static enum err parse_body(struct op *op, const struct provider_source *source, struct str body,
                           struct provider_hook *hook)
{
    struct item_list list = { 0 };
    struct provider_event *event;
    struct json j;
    json_init(&j, op->arena, body, JSON_TOLERANT);
    bool is_known = json_type(&j) == JSON_OBJECT || json_type(&j) == JSON_ARRAY;
    TRY(add_events(op, source, &j, &list));
    enum err err = json_finish(&j, op);
    if (err == ERR_TOO_LARGE)
        return err;
    if (err != OK || !is_known) {
        list.n = 0; /* half a batch would be counted again when it comes whole */
        TRY(item_add(op, &list, &event));
        item_spoil(event, "no_json");
        event->raw = body;
    }
    item_verdict(&list, hook);
    return OK;
}

static enum err signature_fault(struct op *op, const struct provider_source *source, const struct provider_post *post,
                                const char **ret_fault)
{
    struct str signature = post->header(post->header_data, S("X-Twilio-Email-Event-Webhook-Signature"));
    struct str timestamp = post->header(post->header_data, S("X-Twilio-Email-Event-Webhook-Timestamp"));
    struct str parts[] = { timestamp, post->body };
    size_t bytes;
    *ret_fault = "the signature is missing";
    if (signature.n == 0 || timestamp.n == 0)
        return OK;

    char *raw = arena_alloc_raw(op->arena, BASE64_RAW_MAX(signature.n));
    if (!raw)
        return fail(op, ERR_TOO_LARGE, "no room for a signature");
    bool holds = base64_decode(str_trim(signature), raw, &bytes) &&
                 crypto_ecdsa_verify(source->signing_key, parts, 2, (struct str){ raw, bytes });
    *ret_fault = holds ? NULL : "the signature is wrong";
    return OK;
}

static enum err parse(struct op *op, const struct provider_source *source, const struct provider_post *post,
                      struct provider_hook *ret_hook)
{
    const char *fault = NULL;
    if (source->signing_key.n)
        TRY(signature_fault(op, source, post, &fault));
    if (fault) {
        item_refuse(ret_hook, HOOK_BAD_SIGNATURE, fault);
        return OK;
    }
    return parse_body(op, source, post->body, ret_hook);
}

static enum err check_key(struct op *op, struct str key)
{
    if (crypto_ecdsa_key_valid(key))
        return OK;
    return fail(op, ERR_INVALID, "signing_key of a sendgrid source is the base64 text of its P-256 public key");
}

const struct provider_format provider_sendgrid = {
    .type = "sendgrid", .unusable_status = 200, .needs_key = true, .parse = parse, .check_key = check_key
};
