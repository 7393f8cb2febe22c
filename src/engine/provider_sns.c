#include "engine/provider_sns.h"

#include "base/crypto.h"
#include "base/hex.h"

enum err sns_read(struct op *op, struct str body, struct sns_envelope *ret_envelope)
{
    struct sns_envelope envelope = { 0 };
    const struct {
        struct str name;
        struct str *field;
    } members[] = {
        { S("Type"), &envelope.type },
        { S("Message"), &envelope.message },
        { S("MessageId"), &envelope.message_id },
        { S("Timestamp"), &envelope.timestamp },
        { S("TopicArn"), &envelope.topic_arn },
        { S("Subject"), &envelope.subject },
        { S("Token"), &envelope.token },
        { S("SubscribeURL"), &envelope.subscribe_url },
        { S("SignatureVersion"), &envelope.version },
        { S("Signature"), &envelope.signature },
        { S("SigningCertURL"), &envelope.certificate_url },
        { S("SigningCertUrl"), &envelope.certificate_url }, /* as a Lambda hands it on (SRC-42) */
    };
    struct json j;
    struct str name;
    json_init(&j, op->arena, body, JSON_TOLERANT);
    if (!json_enter_object(&j))
        return fail(op, ERR_MALFORMED, "the envelope is no JSON object");
    while (json_next_member(&j, &name))
        for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
            if (str_eq(name, members[i].name)) {
                *members[i].field = item_string(&j);
                break;
            }
    TRY(json_finish(&j, op));
    *ret_envelope = envelope;
    return OK;
}

static void add_line(struct str *parts, size_t *n, const char *name, struct str value)
{
    parts[(*n)++] = str_of(name);
    parts[(*n)++] = S("\n");
    parts[(*n)++] = value;
    parts[(*n)++] = S("\n");
}

size_t sns_signed_parts(const struct sns_envelope *envelope, struct str parts[SNS_PARTS_MAX])
{
    bool is_notification = str_eq(envelope->type, S("Notification"));
    bool is_confirmation =
        str_eq(envelope->type, S("SubscriptionConfirmation")) || str_eq(envelope->type, S("UnsubscribeConfirmation"));
    size_t n = 0;
    if (!is_notification && !is_confirmation)
        return 0;
    add_line(parts, &n, "Message", envelope->message);
    add_line(parts, &n, "MessageId", envelope->message_id);
    if (is_notification && str_given(envelope->subject))
        add_line(parts, &n, "Subject", envelope->subject);
    if (is_confirmation)
        add_line(parts, &n, "SubscribeURL", envelope->subscribe_url);
    add_line(parts, &n, "Timestamp", envelope->timestamp);
    if (is_confirmation)
        add_line(parts, &n, "Token", envelope->token);
    add_line(parts, &n, "TopicArn", envelope->topic_arn);
    add_line(parts, &n, "Type", envelope->type);
    return n;
}

/* "eu-west-1": nothing that could end a host name or a label. */
static bool is_region(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return text.n > 0;
}

static bool is_host(struct str host)
{
    static const char *const ends[] = { ".amazonaws.com", ".amazonaws.com.cn" };
    if (!str_starts(host, S("sns.")))
        return false;
    struct str rest = { host.p + 4, host.n - 4 };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (str_ends(rest, str_of(ends[i])))
            return is_region((struct str){ rest.p, rest.n - str_of(ends[i]).n });
    return false;
}

bool sns_url_is_safe(struct str url, bool is_certificate)
{
    struct str scheme = S("https://");
    if (!str_starts(url, scheme))
        return false;
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\')
            return false; /* readers of URLs differ about these */

    struct str rest = { url.p + scheme.n, url.n - scheme.n };
    rest.n = str_find(rest, '#');
    size_t slash = str_find(rest, '/');
    if (slash == rest.n || !is_host((struct str){ rest.p, slash }))
        return false;
    struct str path = { rest.p + slash, str_find(rest, '?') };
    if (path.n <= slash)
        return false;
    path.n -= slash;
    return !is_certificate || str_ends(path, S(".pem"));
}

static bool is_topic(const struct provider_source *source, struct str arn)
{
    for (size_t i = 0; i < source->topic_n; i++)
        if (arn.n && str_eq(source->topics[i], arn))
            return true;
    return false;
}

/* NULL when everything that is known before the certificate is in order. */
static const char *fault_before(const struct provider_source *source, const struct sns_envelope *envelope)
{
    if (envelope->signature.n == 0)
        return "the signature is missing";
    if (!str_eq(envelope->version, S("1")) && !str_eq(envelope->version, S("2")))
        return "the signature has an unknown version";
    if (!is_topic(source, envelope->topic_arn))
        return "the topic is none of this source";
    if (source->signing_key.n == 0 && !sns_url_is_safe(envelope->certificate_url, true))
        return "the certificate would come from a host that is not SNS";
    return NULL;
}

static struct str find_certificate(const struct provider_source *source, struct str url)
{
    if (source->signing_key.n)
        return source->signing_key; /* then nothing is fetched */
    return source->certificate ? source->certificate(source->certificate_data, url) : (struct str){ NULL, 0 };
}

static enum err signature_holds(struct op *op, const struct sns_envelope *envelope, struct str pem, bool *ret_holds)
{
    struct str parts[SNS_PARTS_MAX];
    size_t n = sns_signed_parts(envelope, parts), bytes;
    char *raw = arena_alloc_raw(op->arena, BASE64_RAW_MAX(envelope->signature.n));
    if (!raw)
        return fail(op, ERR_TOO_LARGE, "no room for a signature");
    enum crypto_digest digest = str_eq(envelope->version, S("1")) ? CRYPTO_SHA1 : CRYPTO_SHA256;
    *ret_holds = n > 0 && base64_decode(envelope->signature, raw, &bytes) &&
                 crypto_rsa_verify(digest, pem, parts, n, (struct str){ raw, bytes });
    return OK;
}

enum err sns_verify(struct op *op, const struct provider_source *source, const struct sns_envelope *envelope,
                    struct provider_hook *hook)
{
    const char *fault = fault_before(source, envelope);
    bool holds;
    if (fault) {
        item_refuse(hook, HOOK_BAD_SIGNATURE, fault);
        return OK;
    }
    struct str pem = find_certificate(source, envelope->certificate_url);
    if (pem.n == 0) {
        item_refuse(hook, HOOK_NEEDS_CERTIFICATE, "the certificate is not known yet");
        hook->url = envelope->certificate_url;
        return OK;
    }
    TRY(signature_holds(op, envelope, pem, &holds));
    if (holds)
        *hook = (struct provider_hook){ .verdict = HOOK_ACCEPTED };
    else
        item_refuse(hook, HOOK_BAD_SIGNATURE, "the signature is wrong");
    return OK;
}
