/*
 * sns_lab.h - a topic of our own that signs like SNS, with a key and certificate made for the run.
 */
#pragma once

#include "provider_lab.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/hex.h"
#include "base/json_write.h"
#include "engine/provider_sns.h"

#define SNS_TOPIC "arn:aws:sns:eu-west-1:123456789012:ses"
#define SNS_CERT  "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1a2b.pem"

static EVP_PKEY *sns_key;
static char sns_pem[4096];

static inline void sns_make_key(void)
{
    X509 *certificate = X509_new();
    BIO *bio = BIO_new(BIO_s_mem());
    sns_key = EVP_RSA_gen(2048);
    YES(sns_key && certificate && bio);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, sns_key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               (const unsigned char *)"sns.amazonaws.com", -1, -1, 0);
    X509_sign(certificate, sns_key, EVP_sha256());
    PEM_write_bio_X509(bio, certificate);
    int n = BIO_read(bio, sns_pem, sizeof sns_pem - 1);
    YES(n > 0);
    sns_pem[n] = '\0';
    BIO_free(bio);
    X509_free(certificate);
}

/* The certificate for the one URL that the lab knows. */
static inline struct str sns_certificate(void *data, struct str url)
{
    (void)data;
    return str_eq(url, S(SNS_CERT)) ? str_of(sns_pem) : str_of(NULL);
}

/* A source that hears SNS_TOPIC. */
static inline struct lab *sns_lab_new(void)
{
    static const struct str topics[] = { { "arn:aws:sns:eu-west-1:123456789012:other", 40 },
                                         { SNS_TOPIC, sizeof SNS_TOPIC - 1 } };
    struct lab *lab = lab_new();
    if (!sns_key)
        sns_make_key();
    lab->source.topics = topics;
    lab->source.topic_n = 2;
    lab->source.certificate = sns_certificate;
    return lab;
}

static inline struct sns_envelope sns_notification(struct str message)
{
    return (struct sns_envelope){
        .type = S("Notification"),
        .message = message,
        .message_id = S("11111111-2222-3333-4444-555555555555"),
        .timestamp = S("2026-11-18T11:00:00.000Z"),
        .topic_arn = S(SNS_TOPIC),
        .version = S("2"),
        .certificate_url = S(SNS_CERT),
    };
}

/* Base64 of the topic's signature over the envelope. */
static inline struct str sns_sign(struct lab *lab, const struct sns_envelope *envelope)
{
    struct str parts[SNS_PARTS_MAX];
    size_t n = sns_signed_parts(envelope, parts), bytes = 512;
    unsigned char raw[512];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, NULL, str_eq(envelope->version, S("1")) ? EVP_sha1() : EVP_sha256(), NULL, sns_key);
    for (size_t i = 0; i < n; i++)
        EVP_DigestSignUpdate(context, parts[i].p, parts[i].n);
    EQ(EVP_DigestSignFinal(context, raw, &bytes), 1);
    EVP_MD_CTX_free(context);
    return base64_str(lab->arena, raw, bytes);
}

/* The envelope as JSON; what is not given is left out. */
static inline struct str sns_text(struct lab *lab, const struct sns_envelope *e)
{
    const struct {
        const char *name;
        struct str value;
    } members[] = {
        { "Type", e->type },
        { "MessageId", e->message_id },
        { "TopicArn", e->topic_arn },
        { "Subject", e->subject },
        { "Message", e->message },
        { "Token", e->token },
        { "SubscribeURL", e->subscribe_url },
        { "Timestamp", e->timestamp },
        { "SignatureVersion", e->version },
        { "Signature", e->signature },
        { "SigningCertURL", e->certificate_url },
    };
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, lab->arena, 1 << 20);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++)
        if (str_given(members[i].value))
            json_member_str(&w, members[i].name, members[i].value);
    json_object_end(&w);
    NO(buf.full);
    return buf_str(&buf);
}

/* Signs and posts. */
static inline int sns_post(struct lab *lab, struct sns_envelope envelope)
{
    envelope.signature = sns_sign(lab, &envelope);
    return lab_post(lab, "ses", "text/plain; charset=UTF-8", sns_text(lab, &envelope), NULL);
}
