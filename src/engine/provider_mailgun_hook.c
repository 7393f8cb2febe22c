/*
 * provider_mailgun_hook.c - Mailgun's webhooks: JSON as of today, form posts of the years before 2018 (SRC-28).
 */
#include "engine/provider_mailgun.h"

#include "base/crypto.h"
#include "base/form.h"
#include "base/hex.h"

#define TOKEN_BYTES_MAX 256 /* Mailgun's have 50 */

/* The three fields that authenticate a post; they say nothing about the body (SRC-28). */
struct proof {
    struct str timestamp, token, signature;
};

/* NULL when the proof holds, else why not. */
static const char *proof_fault(const struct op *op, const struct provider_source *source, const struct proof *proof)
{
    uint8_t wanted[CRYPTO_SHA256_BYTES], given[CRYPTO_SHA256_BYTES];
    struct str parts[] = { proof->timestamp, proof->token };
    int64_t signed_s;
    if (proof->timestamp.n == 0 || proof->token.n == 0 || proof->signature.n == 0)
        return "the signature is missing";
    if (proof->token.n > TOKEN_BYTES_MAX)
        return "the token is too long";

    crypto_hmac_sha256(source->signing_key, parts, 2, wanted);
    if (!hex_decode(proof->signature, given, sizeof given) ||
        !str_eq_secret((struct str){ (const char *)wanted, sizeof wanted },
                       (struct str){ (const char *)given, sizeof given }))
        return "the signature is wrong";

    int64_t tolerance_us = source->tolerance_us > 0 ? source->tolerance_us : PROVIDER_TOLERANCE_US;
    if (!str_to_int(proof->timestamp, 0, INT64_C(253402300799), &signed_s))
        return "the signed timestamp is no time";
    if (signed_s * 1000000 < op->now_us - tolerance_us)
        return "the signature is too old";
    if (signed_s * 1000000 > op->now_us + PROVIDER_AHEAD_US)
        return "the signature is dated in the future";
    return NULL;
}

static void remember_token(const struct op *op, const struct provider_source *source, struct str token, struct str body,
                           struct provider_hook *hook)
{
    int64_t keep_us = source->tolerance_us > PROVIDER_REPLAY_US ? source->tolerance_us : PROVIDER_REPLAY_US;
    if (token.n == 0)
        return; /* --dev without a key */
    hook->replay_token = token;
    /* An age of tolerance_us is still accepted, and the provider's clock may be ahead of ours meanwhile. */
    hook->replay_until_us = op->now_us + keep_us + PROVIDER_AHEAD_US;
    crypto_sha256(&body, 1, hook->body_hash);
}

static void judge(const struct op *op, const struct provider_source *source, const struct proof *proof, struct str body,
                  const struct item_list *list, struct provider_hook *hook)
{
    bool is_open = source->is_dev && source->signing_key.n == 0;
    const char *fault = is_open ? NULL : proof_fault(op, source, proof);
    if (fault) {
        item_refuse(hook, HOOK_BAD_SIGNATURE, fault);
        return;
    }
    item_verdict(list, hook);
    remember_token(op, source, proof->token, body, hook);
}

/* ---- JSON: {"signature": {..}, "event-data": {..}} */

static void read_proof(struct json *j, struct proof *proof)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("timestamp")))
            proof->timestamp = item_text(j);
        else if (str_eq(name, S("token")))
            proof->token = item_string(j);
        else if (str_eq(name, S("signature")))
            proof->signature = item_string(j);
}

static enum err read_event(struct op *op, const struct provider_source *source, struct json *j,
                           struct provider_event *event)
{
    struct mailgun_item item;
    const char *begin = json_at(j);
    *event = (struct provider_event){ .type = "", .at_us = op->now_us, .code = EVENT_CODE_NONE };
    if (!mailgun_item_read(op, j, &item, event))
        item_spoil(event, "no_object");
    return mailgun_item_make(op, source, &item, (struct str){ begin, (size_t)(json_at(j) - begin) }, event);
}

static enum err read_body(struct op *op, const struct provider_source *source, struct json *j, struct proof *proof,
                          struct provider_event *event)
{
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name))
        if (str_eq(name, S("signature")))
            read_proof(j, proof);
        else if (str_eq(name, S("event-data")))
            TRY(read_event(op, source, j, event));
    return OK;
}

static enum err parse_json(struct op *op, const struct provider_source *source, struct str body,
                           struct provider_hook *hook)
{
    struct item_list list = { 0 };
    struct proof proof = { 0 };
    struct provider_event *event;
    struct json j;
    TRY(item_add(op, &list, &event));
    event->raw = body;
    item_spoil(event, "no_object");

    json_init(&j, op->arena, body, JSON_TOLERANT);
    TRY(read_body(op, source, &j, &proof, event));
    enum err err = json_finish(&j, op);
    if (err == ERR_TOO_LARGE)
        return err;
    if (err != OK)
        item_refuse(hook, HOOK_UNREADABLE, "the body is no JSON");
    else
        judge(op, source, &proof, body, &list, hook);
    return OK;
}

/* ---- Form posts of the years before 2018 (SRC-40) */

struct legacy {
    struct proof proof;
    struct mailgun_item item;
    struct str error, notification, headers;
    struct provider_event variables; /* only its references are used */
    size_t fields;
};

/* For every field but the proof the first value counts: Mailgun appends its own behind the application's. */
static void take_first(struct str *field, struct str value)
{
    if (!str_given(*field))
        *field = value;
}

static void read_field(struct legacy *legacy, struct str name, struct str value)
{
    struct mailgun_item *item = &legacy->item;
    struct {
        struct str name;
        struct str *field;
    } firsts[] = {
        { S("event"), &item->event },
        { S("recipient"), &item->recipient },
        { S("Message-Id"), &item->message_id },
        { S("code"), &item->code },
        { S("error"), &legacy->error },
        { S("reason"), &item->reason },
        { S("description"), &item->description },
        { S("notification"), &legacy->notification },
        { S("url"), &item->url },
        { S("ip"), &item->ip },
        { S("user-agent"), &item->agent },
        { S("message-headers"), &legacy->headers },
        { S("posthouse-message"), &legacy->variables.message },
        { S("posthouse-mailing"), &legacy->variables.mailing },
        { S("email-id"), &legacy->variables.event_id },
    };
    if (str_eq(name, S("timestamp")))
        legacy->proof.timestamp = value;
    else if (str_eq(name, S("token")))
        legacy->proof.token = value;
    else if (str_eq(name, S("signature")))
        legacy->proof.signature = value;
    for (size_t i = 0; i < sizeof firsts / sizeof firsts[0]; i++)
        if (str_eq_nocase(name, firsts[i].name))
            take_first(firsts[i].field, value);
}

static enum err read_form(struct op *op, struct str body, struct legacy *legacy)
{
    struct form_field field;
    *legacy = (struct legacy){ 0 };
    while (form_next(op->arena, &body, &field)) {
        if (!str_given(field.name))
            return fail(op, ERR_TOO_LARGE, "no room for the fields of a form");
        TRY(item_mend(op, field.value, &field.value));
        read_field(legacy, field.name, field.value);
        legacy->fields++;
    }
    return OK;
}

/* ["Message-Id", "<..>"]: a header that fills what the fields left open. */
static void read_header(struct op *op, struct json *j, struct legacy *legacy, struct provider_event *event)
{
    if (!json_enter_array(j) || !json_next_item(j))
        return;
    struct str name = item_string(j);
    if (!json_next_item(j))
        return;
    struct str value = item_string(j);
    json_leave(j);
    if (str_eq_nocase(name, S("Message-Id")))
        take_first(&legacy->item.message_id, value);
    else if (str_eq_nocase(name, S("X-Mailgun-Variables")))
        item_variables_text(op, event, value);
}

/* message-headers is JSON text: a list of such pairs. Half a list is as good as what stands in it. */
static void read_message_headers(struct op *op, struct legacy *legacy, struct provider_event *event)
{
    struct json j;
    json_init(&j, op->arena, legacy->headers, JSON_TOLERANT);
    if (!json_enter_array(&j))
        return;
    while (json_next_item(&j))
        read_header(op, &j, legacy, event);
}

static void take_variables(const struct legacy *legacy, struct provider_event *event)
{
    item_variable(event, S("posthouse-message"), legacy->variables.message);
    item_variable(event, S("email-id"), legacy->variables.event_id);
    item_variable(event, S("posthouse-mailing"), legacy->variables.mailing);
}

/* A bounce or a drop is the provider's last word, whatever its reason says. */
static void settle_failure(struct legacy *legacy)
{
    struct mailgun_item *item = &legacy->item;
    bool is_bounce = str_eq(item->event, S("bounced")), is_drop = str_eq(item->event, S("dropped"));
    if (!is_bounce && !is_drop)
        return;
    item->severity = S("permanent");
    item->text =
        is_bounce ? item_first(legacy->error, legacy->notification) : item_first(item->description, legacy->error);
    item->description = (struct str){ NULL, 0 };
}

static enum err parse_form(struct op *op, const struct provider_source *source, struct str body,
                           struct provider_hook *hook)
{
    struct item_list list = { 0 };
    struct provider_event *event;
    struct legacy legacy;
    TRY(read_form(op, body, &legacy));
    TRY(item_add(op, &list, &event));
    read_message_headers(op, &legacy, event);
    take_variables(&legacy, event);
    settle_failure(&legacy);
    legacy.item.time = legacy.proof.timestamp;
    TRY(mailgun_item_make(op, source, &legacy.item, body, event));
    judge(op, source, &legacy.proof, body, &list, hook);
    return OK;
}

static bool is_form(const struct provider_post *post)
{
    struct str type = post->content_type;
    struct str media = str_trim(str_cut(&type, ';'));
    if (str_given(post->content_type))
        return str_eq_nocase(media, S("application/x-www-form-urlencoded"));
    return str_find(post->body, '=') < post->body.n;
}

static enum err parse(struct op *op, const struct provider_source *source, const struct provider_post *post,
                      struct provider_hook *ret_hook)
{
    /* The first byte decides, because programs that post JSON by hand often name it a form. */
    struct str body = str_trim(post->body);
    if (body.n && body.p[0] == '{')
        return parse_json(op, source, post->body, ret_hook);
    if (body.n && is_form(post))
        return parse_form(op, source, post->body, ret_hook);
    item_refuse(ret_hook, HOOK_UNREADABLE, "the body is neither JSON nor a form");
    return OK;
}

const struct provider_format provider_mailgun = {
    .type = "mailgun", .unusable_status = 406, .needs_key = true, .parse = parse
};
