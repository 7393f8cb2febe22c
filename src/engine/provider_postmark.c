/*
 * provider_postmark.c - Postmark's webhooks: one object per post, Basic authentication, a type in
 * RecordType and, for bounces, a second one in Type.
 */
#include "engine/provider_item.h"

#include "base/hex.h"
#include "base/instant.h"

static const struct item_type record_types[] = {
    { "Delivery", EVENT_DELIVERED, NULL },
    { "Bounce", EVENT_FAILED, NULL }, /* what kind of, says bounce_types */
    { "Open", EVENT_OPENED, NULL },
    { "Click", EVENT_CLICKED, NULL },
    { "SpamComplaint", EVENT_COMPLAINED, NULL },
    { "SubscriptionChange", EVENT_UNSUBSCRIBED, NULL }, /* what kind of, says set_subscription */
    { NULL, EVENT_MALFORMED, NULL },
};

/* AutoResponder, AddressChange, ChallengeVerification and what is not here are no bounces. */
static const struct {
    const char *type;
    int64_t code; /* TypeCode, read only where Type is missing (SRC-49) */
    enum event_kind kind;
    enum suppression_reason suppress;
} bounce_types[] = {
    { "HardBounce", 1, EVENT_FAILED, SUPPRESS_BOUNCE },
    { "Transient", 2, EVENT_DELAYED, SUPPRESS_NOT },
    { "Unsubscribe", 16, EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
    { "DnsError", 256, EVENT_DELAYED, SUPPRESS_NOT },
    { "SpamNotification", 512, EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
    { "SoftBounce", 4096, EVENT_DELAYED, SUPPRESS_NOT },
    { "VirusNotification", 8192, EVENT_FAILED, SUPPRESS_NOT },
    { "BadEmailAddress", 100000, EVENT_FAILED, SUPPRESS_BOUNCE },
    { "SpamComplaint", 100001, EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
    { "ManuallyDeactivated", 100002, EVENT_FAILED, SUPPRESS_NOT },
    { "Blocked", 100006, EVENT_FAILED, SUPPRESS_NOT },
    { "DMARCPolicy", 100009, EVENT_FAILED, SUPPRESS_NOT },
};

struct record {
    struct str record_type, id, message_id;
    struct str email, recipient;
    struct str type, type_code;
    struct str name, description, details;
    struct str delivered_at, bounced_at, received_at, changed_at;
    struct str agent, link, ip;
    struct str suppression_reason;
    bool suppress_sending;
};

static void read_geo(struct json *j, struct record *record)
{
    struct str name;
    if (json_enter_object(j))
        while (json_next_member(j, &name))
            if (str_eq(name, S("IP")))
                record->ip = item_string(j);
}

static void read_member(struct json *j, struct str name, struct record *record, struct provider_event *event)
{
    const struct {
        struct str name;
        struct str *field;
    } members[] = {
        { S("RecordType"), &record->record_type },
        { S("ID"), &record->id },
        { S("MessageID"), &record->message_id },
        { S("Email"), &record->email },
        { S("Recipient"), &record->recipient },
        { S("Type"), &record->type },
        { S("TypeCode"), &record->type_code },
        { S("Name"), &record->name },
        { S("Description"), &record->description },
        { S("Details"), &record->details },
        { S("DeliveredAt"), &record->delivered_at },
        { S("BouncedAt"), &record->bounced_at },
        { S("ReceivedAt"), &record->received_at },
        { S("ChangedAt"), &record->changed_at },
        { S("UserAgent"), &record->agent },
        { S("OriginalLink"), &record->link },
        { S("SuppressionReason"), &record->suppression_reason },
    };
    if (str_eq(name, S("Metadata")))
        item_variables(j, event);
    else if (str_eq(name, S("Geo")))
        read_geo(j, record);
    else if (str_eq(name, S("SuppressSending")))
        record->suppress_sending = item_true(j);
    else
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            if (str_eq(name, members[i].name)) {
                *members[i].field = item_text(j);
                return;
            }
}

static void set_time(const struct record *record, struct provider_event *event)
{
    struct str times[] = { record->delivered_at, record->bounced_at, record->received_at, record->changed_at };
    struct civil local;
    int64_t at_us;
    for (size_t i = 0; i < sizeof times / sizeof times[0] && !event->is_reported; i++)
        if (instant_parse_loose(str_trim(times[i]), &at_us, &local) == INSTANT_FIXED)
            item_set_time(event, at_us);
}

static bool is_bounce_type(const struct record *record, size_t row)
{
    int64_t code;
    if (record->type.n)
        return str_eq(record->type, str_of(bounce_types[row].type));
    return str_to_int(record->type_code, 0, INT32_MAX, &code) && code == bounce_types[row].code;
}

static enum err set_bounce(struct op *op, const struct record *record, struct provider_event *event)
{
    struct str nothing = { NULL, 0 };
    struct str text = item_first(record->details, item_first(record->description, record->name));
    event->kind = EVENT_UNHANDLED;
    for (size_t row = 0; row < sizeof bounce_types / sizeof bounce_types[0]; row++)
        if (is_bounce_type(record, row)) {
            event->kind = bounce_types[row].kind;
            event->suppress = bounce_types[row].suppress;
        }
    if (event->kind == EVENT_FAILED || event->kind == EVENT_DELAYED)
        return item_set_failure(op, event, nothing, nothing, text);
    return OK;
}

/* SRC-48. A hard bounce is told by the Bounce itself; here it only suppresses. */
static void set_subscription(const struct record *record, struct provider_event *event)
{
    struct str reason = record->suppression_reason;
    event->kind = EVENT_UNHANDLED;
    if (!record->suppress_sending)
        return;
    if (reason.n == 0 || str_eq(reason, S("ManualSuppression"))) {
        event->kind = EVENT_UNSUBSCRIBED;
        event->suppress = SUPPRESS_UNSUBSCRIBE;
    } else if (str_eq(reason, S("SpamComplaint"))) {
        event->kind = EVENT_COMPLAINED;
        event->suppress = SUPPRESS_COMPLAINT;
    } else if (str_eq(reason, S("HardBounce"))) {
        event->kind = EVENT_SUPPRESSED;
        event->suppress = SUPPRESS_BOUNCE;
    }
    /* Without any message there is still an address that wants no more mail. */
    bool has_message = str_given(event->provider_message_id) || str_given(event->message) || str_given(event->mailing);
    if (event->kind != EVENT_UNHANDLED && !has_message)
        event->kind = EVENT_SUPPRESSED;
}

static enum err set_by_record_type(struct op *op, const struct record *record, struct provider_event *event)
{
    if (str_eq(record->record_type, S("Bounce")))
        return set_bounce(op, record, event);
    if (str_eq(record->record_type, S("SubscriptionChange")))
        set_subscription(record, event);
    else if (event->kind == EVENT_COMPLAINED)
        event->suppress = SUPPRESS_COMPLAINT;
    if (event->kind != EVENT_OPENED && event->kind != EVENT_CLICKED)
        return OK;
    if (event->kind == EVENT_CLICKED)
        event->url = record->link;
    event->ip = record->ip;
    event->agent = record->agent;
    return OK;
}

static enum err make_event(struct op *op, const struct provider_source *source, const struct record *record,
                           struct str raw, struct provider_event *event)
{
    const struct item_type *row;
    TRY(item_set_type(op, event, record_types, record->record_type, &row));
    event->event_id = str_clip(record->id, EVENT_REF_BYTES_MAX);
    set_time(record, event);
    item_set_recipient(event, item_first(record->recipient, record->email));
    item_set_reference(event, record->message_id);
    TRY(set_by_record_type(op, record, event));
    return item_finish(op, source, event, raw, false);
}

static enum err parse_body(struct op *op, const struct provider_source *source, struct str body,
                           struct provider_hook *hook)
{
    struct item_list list = { 0 };
    struct record record = { 0 };
    struct provider_event *event;
    struct json j;
    struct str name;
    TRY(item_add(op, &list, &event));
    json_init(&j, op->arena, body, JSON_TOLERANT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            read_member(&j, name, &record, event);
    else
        item_spoil(event, "no_object");
    enum err err = json_finish(&j, op);
    if (err == ERR_TOO_LARGE)
        return err;
    if (err != OK) {
        record = (struct record){ 0 };
        item_spoil(event, "no_json");
    }
    TRY(make_event(op, source, &record, body, event));
    item_verdict(&list, hook);
    return OK;
}

/* "Basic " and the base64 text of user:password. */
static enum err password_fault(struct op *op, const struct provider_source *source, const struct provider_post *post,
                               const char **ret_fault)
{
    struct str header = str_trim(post->header(post->header_data, S("Authorization")));
    struct str scheme = str_cut(&header, ' ');
    size_t bytes;
    *ret_fault = "user and password are missing";
    if (!str_eq_nocase(scheme, S("Basic")))
        return OK;

    struct str text = str_trim(header);
    char *raw = arena_alloc_raw(op->arena, BASE64_RAW_MAX(text.n));
    if (!raw)
        return fail(op, ERR_TOO_LARGE, "no room for a password");
    bool holds = base64_decode(text, raw, &bytes) && str_eq_secret((struct str){ raw, bytes }, source->signing_key);
    *ret_fault = holds ? NULL : "user or password is wrong";
    return OK;
}

static enum err parse(struct op *op, const struct provider_source *source, const struct provider_post *post,
                      struct provider_hook *ret_hook)
{
    const char *fault = NULL;
    if (source->signing_key.n)
        TRY(password_fault(op, source, post, &fault));
    if (fault) {
        item_refuse(ret_hook, HOOK_BAD_SIGNATURE, fault);
        return OK;
    }
    return parse_body(op, source, post->body, ret_hook);
}

static enum err check_key(struct op *op, struct str key)
{
    if (str_find(key, ':') < key.n)
        return OK;
    return fail(op, ERR_INVALID, "signing_key of a postmark source is \"user:password\"");
}

const struct provider_format provider_postmark = {
    .type = "postmark", .unusable_status = 200, .needs_key = true, .parse = parse, .check_key = check_key
};
