/*
 * provider_ses.c - Amazon SES through SNS: feedback notifications and event publishing, which
 * differ in the name of the type only. The provider event is JSON text inside
 * the envelope's Message; one notification names several recipients and makes
 * one event for each.
 */
#include "engine/provider_sns.h"

#include "base/crypto.h"
#include "base/fold.h"
#include "base/instant.h"

static const struct item_type types[] = {
    { "Send", EVENT_SENDING, NULL },
    { "Delivery", EVENT_DELIVERED, NULL },
    { "Bounce", EVENT_GAVE_UP, NULL }, /* EVENT_FAILED when bounceType says so */
    { "Complaint", EVENT_COMPLAINED, NULL },
    { "DeliveryDelay", EVENT_DELAYED, NULL },
    { "Reject", EVENT_REFUSED, NULL },
    { "Rendering Failure", EVENT_REFUSED, NULL },
    { "Open", EVENT_OPENED, NULL },
    { "Click", EVENT_CLICKED, NULL },
    { "Subscription", EVENT_UNSUBSCRIBED, NULL },
    { "Received", EVENT_UNHANDLED, NULL }, /* inbound mail */
    { NULL, EVENT_MALFORMED, NULL },
};

struct addressee {
    struct str address, status, diagnostic;
};

struct addressees {
    struct addressee *items;
    size_t n, room;
};

/* One notification as read. Only one of its detail objects is there, so their members share the fields. */
struct notice {
    struct str type, message_id, mail_time, time;
    struct addressees listed, destination;
    struct str bounce_type, bounce_subtype, reason, error_message, delay_type;
    struct str ip, agent, link;
    bool unsubscribe_all;
    struct provider_event variables; /* only its references are used */
};

/* ---- Reading */

static enum err addressee_add(struct op *op, struct addressees *list, struct addressee addressee)
{
    if (list->n == list->room) {
        size_t room = list->room ? list->room * 2 : 4;
        struct addressee *items = arena_alloc_raw(op->arena, room * sizeof *items);
        if (!items)
            return fail(op, ERR_TOO_LARGE, "no room for %zu recipients", room);
        for (size_t i = 0; i < list->n; i++)
            items[i] = list->items[i];
        list->items = items;
        list->room = room;
    }
    list->items[list->n++] = addressee;
    return OK;
}

/* A recipient is a text or an object with an emailAddress. */
static struct addressee read_addressee(struct json *j)
{
    struct addressee found = { 0 };
    struct str name;
    if (json_type(j) == JSON_STRING) {
        found.address = item_string(j);
        return found;
    }
    if (!json_enter_object(j))
        return found;
    while (json_next_member(j, &name))
        if (str_eq(name, S("emailAddress")))
            found.address = item_string(j);
        else if (str_eq(name, S("status")))
            found.status = item_string(j);
        else if (str_eq(name, S("diagnosticCode")))
            found.diagnostic = item_string(j);
    return found;
}

static enum err read_addressees(struct op *op, struct json *j, struct addressees *list)
{
    if (!json_enter_array(j))
        return OK;
    while (json_next_item(j)) {
        struct addressee addressee = read_addressee(j);
        struct str bare = item_address(addressee.address); /* "Jo <jo@x.org>" where the sender wrote it so */
        addressee.address = str_given(bare) ? bare : addressee.address;
        if (addressee.address.n)
            TRY(addressee_add(op, list, addressee));
    }
    return OK;
}

/* {"posthouse-mailing": ["m-1"], ..}: message tags are SES's variables. */
static void read_tags(struct json *j, struct provider_event *variables)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name)) {
        if (!json_enter_array(j))
            continue;
        if (json_next_item(j)) {
            item_variable(variables, name, item_text(j));
            json_leave(j);
        }
    }
}

static enum err read_mail(struct op *op, struct json *j, struct notice *notice)
{
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("messageId")))
            notice->message_id = item_string(j);
        else if (str_eq(name, S("timestamp")))
            notice->mail_time = item_string(j);
        else if (str_eq(name, S("destination")))
            TRY(read_addressees(op, j, &notice->destination));
        else if (str_eq(name, S("tags")))
            read_tags(j, &notice->variables);
    }
    return OK;
}

static void read_preferences(struct json *j, struct notice *notice)
{
    struct str name;
    if (json_enter_object(j))
        while (json_next_member(j, &name))
            if (str_eq(name, S("unsubscribeAll")))
                notice->unsubscribe_all = item_true(j);
}

static bool is_listing(struct str name)
{
    return str_eq(name, S("recipients")) || str_eq(name, S("bouncedRecipients")) ||
           str_eq(name, S("complainedRecipients")) || str_eq(name, S("delayedRecipients"));
}

static enum err read_details(struct op *op, struct json *j, struct notice *notice)
{
    const struct {
        struct str name;
        struct str *field;
    } members[] = {
        { S("timestamp"), &notice->time },
        { S("bounceType"), &notice->bounce_type },
        { S("bounceSubType"), &notice->bounce_subtype },
        { S("reason"), &notice->reason },
        { S("errorMessage"), &notice->error_message },
        { S("delayType"), &notice->delay_type },
        { S("ipAddress"), &notice->ip },
        { S("userAgent"), &notice->agent },
        { S("link"), &notice->link },
    };
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name)) {
        if (is_listing(name)) {
            TRY(read_addressees(op, j, &notice->listed));
            continue;
        }
        if (str_eq(name, S("newTopicPreferences"))) {
            read_preferences(j, notice);
            continue;
        }
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            if (str_eq(name, members[i].name)) {
                *members[i].field = item_string(j);
                break;
            }
    }
    return OK;
}

static bool is_details(struct str name)
{
    static const char *const names[] = { "bounce",  "complaint", "delivery", "deliveryDelay", "reject",
                                         "failure", "open",      "click",    "subscription",  "send" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (str_eq(name, str_of(names[i])))
            return true;
    return false;
}

static enum err read_notice(struct op *op, struct json *j, struct notice *notice)
{
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("notificationType")) || str_eq(name, S("eventType")))
            notice->type = item_string(j);
        else if (str_eq(name, S("mail")))
            TRY(read_mail(op, j, notice));
        else if (is_details(name))
            TRY(read_details(op, j, notice));
    }
    return OK;
}

/* ---- What it means */

/* Events without a time of their own take the mail's, else the envelope's (SRC-44). */
static void set_time(const struct notice *notice, const struct sns_envelope *envelope, struct provider_event *event)
{
    struct str times[] = { notice->time, notice->mail_time, envelope->timestamp };
    struct civil local;
    int64_t at_us;
    for (size_t i = 0; i < sizeof times / sizeof times[0] && !event->is_reported; i++)
        if (instant_parse_loose(str_trim(times[i]), &at_us, &local) == INSTANT_FIXED)
            item_set_time(event, at_us);
}

/* bounceType decides, not the status: Transient with status 5.1.1 is temporary and suppresses nobody (SRC-44). */
static void set_bounce(const struct notice *notice, struct provider_event *event)
{
    if (!str_eq(notice->bounce_type, S("Permanent")))
        return;
    event->kind = EVENT_FAILED;
    bool was_suppressed = str_eq(notice->bounce_subtype, S("OnAccountSuppressionList")); /* SRC-45 */
    if (was_suppressed || !item_is_policy(event->enhanced))
        event->suppress = SUPPRESS_BOUNCE;
}

static enum err set_failure(struct op *op, const struct notice *notice, const struct addressee *addressee,
                            struct provider_event *event)
{
    struct str nothing = { NULL, 0 };
    struct str told = item_first(notice->error_message, notice->reason);
    struct str text = item_first(addressee->diagnostic, item_first(told, notice->delay_type));
    return item_set_failure(op, event, nothing, addressee->status, text);
}

static enum err set_by_kind(struct op *op, const struct notice *notice, const struct addressee *addressee,
                            struct provider_event *event)
{
    switch (event->kind) {
    case EVENT_GAVE_UP:
        TRY(set_failure(op, notice, addressee, event));
        set_bounce(notice, event);
        break;
    case EVENT_DELAYED:
    case EVENT_REFUSED:
        return set_failure(op, notice, addressee, event);
    case EVENT_COMPLAINED:
        event->suppress = SUPPRESS_COMPLAINT;
        break;
    case EVENT_UNSUBSCRIBED:
        event->suppress = SUPPRESS_UNSUBSCRIBE;
        break;
    case EVENT_CLICKED:
        event->url = notice->link;
        /* fall through */
    case EVENT_OPENED:
        event->ip = notice->ip;
        event->agent = notice->agent;
        break;
    case EVENT_MALFORMED:
    case EVENT_UNHANDLED:
    case EVENT_SENDING:
    case EVENT_DELIVERED:
    case EVENT_FAILED:
    case EVENT_SUPPRESSED:
        break;
    }
    return OK;
}

/* Which of several recipients opened, clicked or unsubscribed is not said, so only a single one can be counted. */
static bool needs_single(enum event_kind kind)
{
    return kind == EVENT_OPENED || kind == EVENT_CLICKED || kind == EVENT_UNSUBSCRIBED;
}

static void drop_uninteresting(const struct notice *notice, struct provider_event *event)
{
    bool is_ambiguous = needs_single(event->kind) && notice->destination.n > 1;
    bool is_partial = event->kind == EVENT_UNSUBSCRIBED && !notice->unsubscribe_all;
    if (is_ambiguous || is_partial)
        event->kind = EVENT_UNHANDLED;
}

/* The message's id and the recipient: one notification gives one key for each (SRC-13). */
static enum err set_event_id(struct op *op, const struct sns_envelope *envelope, struct provider_event *event)
{
    struct str folded = fold_address(op->arena, event->recipient);
    event->event_id = arena_fmt(op->arena, "%.*s %.*s", STR(envelope->message_id), STR(folded));
    if (!str_given(event->event_id))
        return fail(op, ERR_TOO_LARGE, "no room for the id of an event");
    return OK;
}

static enum err add_event(struct op *op, const struct provider_source *source, const struct sns_envelope *envelope,
                          const struct notice *notice, const struct addressee *addressee, struct item_list *list)
{
    const struct item_type *row;
    struct provider_event *event;
    TRY(item_add(op, list, &event));
    TRY(item_set_type(op, event, types, notice->type, &row));
    drop_uninteresting(notice, event);
    item_set_reference(event, notice->message_id);
    if (!str_given(event->provider_message_id))
        item_spoil(event, "no_message");
    item_set_recipient(event, addressee->address);
    event->message = notice->variables.message;
    event->mailing = notice->variables.mailing;
    set_time(notice, envelope, event);
    TRY(set_by_kind(op, notice, addressee, event));
    TRY(set_event_id(op, envelope, event));
    return item_finish(op, source, event, envelope->message, false);
}

/* Send, Reject and Rendering Failure list nobody, because they are about the whole message. */
static bool is_about_all(struct str type)
{
    return str_eq(type, S("Send")) || str_eq(type, S("Reject")) || str_eq(type, S("Rendering Failure"));
}

static enum err add_events(struct op *op, const struct provider_source *source, const struct sns_envelope *envelope,
                           const struct notice *notice, struct item_list *list)
{
    static const struct addressee nobody;
    const struct addressees *to = notice->listed.n ? &notice->listed : &notice->destination;
    /* A bounce that lists nobody is any of theirs: the message is found by its id alone or not at all (SRC-25). */
    bool is_unsure = notice->listed.n == 0 && notice->destination.n > 1 && !is_about_all(notice->type);
    if (to->n == 0 || is_unsure)
        return add_event(op, source, envelope, notice, &nobody, list);

    for (size_t i = 0; i < to->n; i++) {
        TRY(add_event(op, source, envelope, notice, &to->items[i], list));
        enum event_kind kind = list->events[list->n - 1].kind;
        if (kind == EVENT_UNHANDLED || kind == EVENT_MALFORMED)
            break; /* one notification is one item in the counters */
    }
    return OK;
}

static enum err add_plain(struct op *op, const struct sns_envelope *envelope, enum event_kind kind, const char *word,
                          struct item_list *list)
{
    struct provider_event *event;
    TRY(item_add(op, list, &event));
    if (kind == EVENT_MALFORMED) {
        item_spoil(event, word);
        event->raw = envelope->message;
    } else {
        event->kind = kind;
        event->type = word;
    }
    return OK;
}

/* Text that is no JSON is what SNS says when a topic is set up (SRC-42). */
static enum err parse_message(struct op *op, const struct provider_source *source, const struct sns_envelope *envelope,
                              struct item_list *list)
{
    struct notice notice = { 0 };
    struct json j;
    struct str text = str_trim(envelope->message);
    if (text.n == 0 || text.p[0] != '{')
        return add_plain(op, envelope, EVENT_UNHANDLED, "text", list);

    json_init(&j, op->arena, envelope->message, JSON_TOLERANT);
    TRY(read_notice(op, &j, &notice));
    enum err err = json_finish(&j, op);
    if (err == ERR_TOO_LARGE)
        return err;
    if (err != OK)
        return add_plain(op, envelope, EVENT_MALFORMED, "no_json", list);
    return add_events(op, source, envelope, &notice, list);
}

static enum err parse(struct op *op, const struct provider_source *source, const struct provider_post *post,
                      struct provider_hook *ret_hook)
{
    struct sns_envelope envelope;
    struct item_list list = { 0 };
    enum err err = sns_read(op, post->body, &envelope);
    if (err == ERR_MALFORMED) {
        item_refuse(ret_hook, HOOK_UNREADABLE, "the envelope is no JSON object");
        return OK;
    }
    TRY(err);
    TRY(sns_verify(op, source, &envelope, ret_hook));
    if (ret_hook->verdict != HOOK_ACCEPTED)
        return OK;

    if (str_eq(envelope.type, S("SubscriptionConfirmation"))) {
        if (!sns_url_is_safe(envelope.subscribe_url, false)) {
            item_refuse(ret_hook, HOOK_BAD_SIGNATURE, "the subscription would be confirmed at a host that is not SNS");
            return OK;
        }
        *ret_hook = (struct provider_hook){ .verdict = HOOK_CONFIRM, .url = envelope.subscribe_url };
        return OK;
    }
    if (str_eq(envelope.type, S("UnsubscribeConfirmation")))
        TRY(add_plain(op, &envelope, EVENT_UNHANDLED, "UnsubscribeConfirmation", &list));
    else
        TRY(parse_message(op, source, &envelope, &list));
    item_verdict(&list, ret_hook);
    return OK;
}

static enum err check_key(struct op *op, struct str key)
{
    if (crypto_certificate_valid(key))
        return OK;
    return fail(op, ERR_INVALID, "signing_key of an ses source is a PEM certificate with an RSA key, or absent");
}

const struct provider_format provider_ses = {
    .type = "ses", .unusable_status = 200, .needs_key = false, .parse = parse, .check_key = check_key
};
