/*
 * fuzz_hook.c - any posted body gets a verdict, and what is accepted can be stored.
 *
 * The first byte chooses the provider; the rest is the body. Signatures are off
 * (--dev without a key) but for SES, whose bodies come in two ways: raw, and as
 * the Message of an envelope that is signed here.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/hex.h"
#include "base/json_write.h"
#include "engine/provider_sns.h"
#include "fuzz.h"
#include "fuzz_events.h"

#define ARENA_BYTES_MAX (16 << 20)
#define TOPIC           "arn:aws:sns:eu-west-1:123456789012:ses"

static const uint8_t hash_key[16] = "fifteen letters";
static EVP_PKEY *key;
static char pem[4096];

static void make_key(void)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    key = EVP_RSA_gen(1024); /* small, because every input is signed */
    HOLDS(key && certificate && bio);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, key, EVP_sha256());
    PEM_write_bio_X509(bio, certificate);
    HOLDS(BIO_read(bio, pem, sizeof pem - 1) > 0);
    BIO_free(bio);
    X509_free(certificate);
}

static struct str sign(struct op *op, const struct sns_envelope *envelope)
{
    struct str parts[SNS_PARTS_MAX];
    unsigned char raw[512];
    size_t n = sns_signed_parts(envelope, parts), bytes = sizeof raw;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key);
    for (size_t i = 0; i < n; i++)
        EVP_DigestSignUpdate(context, parts[i].p, parts[i].n);
    HOLDS(EVP_DigestSignFinal(context, raw, &bytes) == 1);
    EVP_MD_CTX_free(context);
    return base64_str(op->arena, raw, bytes);
}

/* The input as the Message of a signed notification; not given when it is no text that JSON can carry. */
static struct str envelope_text(struct op *op, struct str message)
{
    struct sns_envelope envelope = { .type = S("Notification"),
                                     .message = message,
                                     .message_id = S("1"),
                                     .timestamp = S("2026-11-18T11:00:00Z"),
                                     .topic_arn = S(TOPIC),
                                     .version = S("2") };
    struct buf buf;
    struct json_writer w;
    if (!str_is_utf8(message))
        return str_of(NULL);
    buf_init_arena(&buf, op->arena, 1 << 20);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "Type", envelope.type);
    json_member_str(&w, "Message", envelope.message);
    json_member_str(&w, "MessageId", envelope.message_id);
    json_member_str(&w, "Timestamp", envelope.timestamp);
    json_member_str(&w, "TopicArn", envelope.topic_arn);
    json_member_str(&w, "SignatureVersion", envelope.version);
    json_member_str(&w, "Signature", sign(op, &envelope));
    json_object_end(&w);
    return buf.full ? str_of(NULL) : buf_str(&buf);
}

static struct str no_header(const void *data, struct str name)
{
    (void)data;
    (void)name;
    return str_of(NULL);
}

static void hook_holds(const struct provider_format *format, const struct provider_hook *hook)
{
    int status = provider_hook_status(format, hook->verdict);
    HOLDS(status == 200 || status == 400 || status == 401 || status == 406 || status == 503);
    HOLDS(hook->n == 0 || hook->verdict == HOOK_ACCEPTED || hook->verdict == HOOK_UNUSABLE);
    HOLDS((hook->verdict == HOOK_NEEDS_CERTIFICATE || hook->verdict == HOOK_CONFIRM) == str_given(hook->url));
    HOLDS(hook->verdict == HOOK_ACCEPTED || hook->verdict == HOOK_CONFIRM || hook->verdict == HOOK_UNUSABLE ||
          hook->complaint);
    for (size_t i = 0; i < hook->n; i++)
        event_holds(&hook->events[i]);
}

static void post(struct op *op, const char *type, struct str body, bool is_signed)
{
    const struct str topic = S(TOPIC);
    const struct provider_format *format = provider_format_find(str_of(type));
    struct provider_source source = {
        .id = S("fuzz"), .hash_key = hash_key, .is_dev = true, .topics = &topic, .topic_n = 1
    };
    struct provider_post request = { .body = body, .header = no_header };
    struct provider_hook hook;
    if (is_signed)
        source.signing_key = str_of(pem);
    enum err err = provider_hook_parse(op, format, &source, &request, &hook);
    HOLDS(err == OK || err == ERR_TOO_LARGE);
    if (err == OK)
        hook_holds(format, &hook);
    HOLDS(err != OK || !is_signed || hook.verdict == HOOK_ACCEPTED || hook.verdict == HOOK_UNUSABLE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char *const types[] = { "mailgun", "sendgrid", "postmark", "ses" };
    struct op op;
    if (bytes == 0)
        return 0;
    if (!key)
        make_key();
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    op_init(&op, arena, NOW_US);

    struct str body = { (const char *)data + 1, bytes - 1 };
    unsigned choice = (data[0] + 2u) % 5; /* '0' is the first */
    if (choice < 4)
        post(&op, types[choice], body, false);
    else if (str_given(body = envelope_text(&op, body)))
        post(&op, "ses", body, true);
    arena_free(arena);
    return 0;
}
