#include "sns_lab.h"

#include "base/crypto.h"

static struct str signed_text(struct lab *lab, const struct sns_envelope *envelope)
{
    struct str parts[SNS_PARTS_MAX], text = S("");
    size_t n = sns_signed_parts(envelope, parts);
    for (size_t i = 0; i < n; i++)
        text = arena_fmt(lab->arena, "%.*s%.*s", STR(text), STR(parts[i]));
    return text;
}

TEST(sns, signs_the_published_string_of_162_bytes)
{
    struct lab *lab = lab_new();
    struct sns_envelope envelope = {
        .type = S("Notification"),
        .message = S("hello"),
        .message_id = S("11111111-2222-3333-4444-555555555555"),
        .timestamp = S("2026-11-21T19:00:00.000Z"),
        .topic_arn = S("arn:aws:sns:eu-west-1:123456789012:ses"),
    };
    uint8_t sum[CRYPTO_SHA256_BYTES];
    struct str text = signed_text(lab, &envelope);
    EQ(text.n, 162);
    crypto_sha256(&text, 1, sum);
    STR_EQ(hex_str(lab->arena, sum, sizeof sum), "b473a24560f4164c418a555f02acde3727958489c3d81c57e239f0bd5053b038");
    lab_free(lab);
}

TEST(sns, signs_the_lines_of_each_type_in_their_order)
{
    struct lab *lab = lab_new();
    struct sns_envelope envelope = {
        .type = S("Notification"),
        .message = S("m"),
        .message_id = S("i"),
        .subject = S("s"),
        .timestamp = S("t"),
        .topic_arn = S("a"),
        .token = S("k"),
        .subscribe_url = S("u"),
    };
    STR_EQ(signed_text(lab, &envelope),
           "Message\nm\nMessageId\ni\nSubject\ns\nTimestamp\nt\nTopicArn\na\nType\nNotification\n");
    envelope.type = S("SubscriptionConfirmation");
    STR_EQ(signed_text(lab, &envelope),
           "Message\nm\nMessageId\ni\nSubscribeURL\nu\nTimestamp\nt\nToken\nk\nTopicArn\na\n"
           "Type\nSubscriptionConfirmation\n");
    envelope.type = S("UnsubscribeConfirmation");
    STR_EQ(signed_text(lab, &envelope),
           "Message\nm\nMessageId\ni\nSubscribeURL\nu\nTimestamp\nt\nToken\nk\nTopicArn\na\n"
           "Type\nUnsubscribeConfirmation\n");
    envelope.type = S("Other");
    EQ(signed_text(lab, &envelope).n, 0);
    lab_free(lab);
}

TEST(sns, reads_a_null_subject_as_absent_and_both_spellings_of_the_certificate)
{
    struct lab *lab = lab_new();
    struct sns_envelope envelope;
    SUCCEEDS(&lab->op, sns_read(&lab->op, S("{\"Type\" : \"Notification\",\"Subject\":null,\"SigningCertUrl\":\"u\"}"),
                                &envelope));
    NO(str_given(envelope.subject));
    STR_EQ(envelope.certificate_url, "u");
    SUCCEEDS(&lab->op, sns_read(&lab->op, S("{\"Subject\":\"\",\"SigningCertURL\":\"v\"}"), &envelope));
    YES(str_given(envelope.subject));
    STR_EQ(envelope.certificate_url, "v");
    EQ(sns_read(&lab->op, S("[]"), &envelope), ERR_MALFORMED);
    EQ(sns_read(&lab->op, S("{\"Type\":"), &envelope), ERR_MALFORMED);
    EQ(sns_read(&lab->op, S(""), &envelope), ERR_MALFORMED);
    lab_free(lab);
}

TEST(sns, trusts_urls_of_its_own_hosts_only)
{
    static const char *const good[] = {
        "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/x.pem",
        "https://sns.us-gov-west-1.amazonaws.com/a/b.pem?v=1#x",
    };
    static const char *const bad[] = {
        "http://sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.amazonaws.com/x.pem",
        "https://sns..amazonaws.com/x.pem",
        "https://sns.a.b.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem",
        "https://evil.example#sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem",
        "https://user@sns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
        "https://sns.evil.example\\.amazonaws.com/x.pem",
        "https://sns.evil/.amazonaws.com/x.pem",
        "https://sns.evil?.amazonaws.com/x.pem",
        "https://s3.eu-west-1.amazonaws.com/x.pem",
        "https://xsns.eu-west-1.amazonaws.com/x.pem",
        "https://sns.eu-west-1.amazonaws.com/x.pem ",
        "https://sns.eu-west-1.amazonaws.com",
        "https://sns.pem",
        "https://",
        "",
    };
    static const char *const no_certificate[] = {
        "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&x=.pem",
        "https://sns.eu-west-1.amazonaws.com/x.pem/",
        "https://sns.eu-west-1.amazonaws.com/x#.pem",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        YES(sns_url_is_safe(str_of(good[i]), true));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        NO(sns_url_is_safe(str_of(bad[i]), true));
        NO(sns_url_is_safe(str_of(bad[i]), false));
    }
    for (size_t i = 0; i < sizeof no_certificate / sizeof no_certificate[0]; i++) {
        NO(sns_url_is_safe(str_of(no_certificate[i]), true));
        YES(sns_url_is_safe(str_of(no_certificate[i]), false));
    }
}

TEST(sns, accepts_both_versions_of_the_signature)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text"));
    EQ(sns_post(lab, envelope), 200);
    envelope.version = S("1");
    EQ(sns_post(lab, envelope), 200);
    envelope.subject = S("Amazon SES Email Event Notification");
    EQ(sns_post(lab, envelope), 200);
    EQ(lab->hook.verdict, HOOK_ACCEPTED);
    envelope.version = S("3");
    EQ(sns_post(lab, envelope), 401);
    lab_free(lab);
}

TEST(sns, refuses_each_signed_field_that_was_changed)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text"));
    envelope.subject = S("s");
    envelope.signature = sns_sign(lab, &envelope);
    struct str *fields[] = { &envelope.message, &envelope.message_id, &envelope.timestamp, &envelope.subject };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct str kept = *fields[i];
        EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 200);
        *fields[i] = arena_fmt(lab->arena, "%.*sx", STR(kept));
        EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 401);
        EQ(lab->hook.n, 0);
        *fields[i] = kept;
    }
    envelope.subject = str_of(NULL);
    EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 401);
    envelope.signature = S("bm90IGEgc2lnbmF0dXJl");
    EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 401);
    envelope.signature = str_of(NULL);
    EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 401);
    lab_free(lab);
}

TEST(sns, signs_the_line_feed_at_the_end_of_a_message)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text\n"));
    envelope.signature = sns_sign(lab, &envelope);
    EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 200);
    envelope.message = S("plain text");
    EQ(lab_post(lab, "ses", NULL, sns_text(lab, &envelope), NULL), 401);
    lab_free(lab);
}

TEST(sns, refuses_topics_that_are_not_of_the_source)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text"));
    envelope.topic_arn = S("arn:aws:sns:eu-west-1:999999999999:attacker");
    EQ(sns_post(lab, envelope), 401);
    envelope.topic_arn = str_of(NULL);
    EQ(sns_post(lab, envelope), 401);
    lab->source.topic_n = 0;
    EQ(sns_post(lab, sns_notification(S("plain text"))), 401);
    lab_free(lab);
}

TEST(sns, asks_for_a_certificate_only_from_its_own_hosts_and_only_for_its_topics)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text"));
    envelope.certificate_url = S("https://sns.eu-west-1.amazonaws.com/new.pem");
    EQ(sns_post(lab, envelope), 503);
    EQ(lab->hook.verdict, HOOK_NEEDS_CERTIFICATE);
    STR_EQ(lab->hook.url, "https://sns.eu-west-1.amazonaws.com/new.pem");

    envelope.certificate_url = S("https://evil.example/new.pem");
    EQ(sns_post(lab, envelope), 401);
    envelope.certificate_url = str_of(NULL);
    EQ(sns_post(lab, envelope), 401);
    NO(str_given(lab->hook.url));

    lab->source.certificate = NULL;
    EQ(sns_post(lab, sns_notification(S("plain text"))), 503);
    lab_free(lab);
}

TEST(sns, takes_the_certificate_of_the_setting_and_then_fetches_nothing)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("plain text"));
    lab->source.certificate = NULL;
    lab->source.signing_key = str_of(sns_pem);
    envelope.certificate_url = S("https://sns.pem");
    EQ(sns_post(lab, envelope), 200);
    lab->source.signing_key = S("no certificate");
    EQ(sns_post(lab, envelope), 401);
    lab_free(lab);
}

TEST(sns, asks_to_confirm_subscriptions_of_its_topics_at_its_own_hosts)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("You have chosen to subscribe"));
    envelope.type = S("SubscriptionConfirmation");
    envelope.token = S("5f0c81d2aa");
    envelope.subscribe_url = S("https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=5f0c81d2aa");
    EQ(sns_post(lab, envelope), 200);
    EQ(lab->hook.verdict, HOOK_CONFIRM);
    STR_EQ(lab->hook.url, "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=5f0c81d2aa");
    EQ(lab->hook.n, 0);

    envelope.subscribe_url = S("https://evil.example/?Action=ConfirmSubscription");
    EQ(sns_post(lab, envelope), 401);
    NO(str_given(lab->hook.url));
    lab_free(lab);
}

TEST(sns, takes_the_end_of_a_subscription_for_an_event_of_no_interest)
{
    struct lab *lab = sns_lab_new();
    struct sns_envelope envelope = sns_notification(S("You have chosen to deactivate"));
    envelope.type = S("UnsubscribeConfirmation");
    envelope.token = S("t");
    envelope.subscribe_url = S("https://sns.eu-west-1.amazonaws.com/?x");
    EQ(sns_post(lab, envelope), 200);
    EQ(lab->hook.n, 1);
    EQ(lab->hook.events[0].kind, EVENT_UNHANDLED);
    envelope.type = S("Surprise");
    EQ(sns_post(lab, envelope), 401);
    lab_free(lab);
}

TEST(sns, answers_400_to_what_is_no_envelope_and_401_to_an_unsigned_one)
{
    struct lab *lab = sns_lab_new();
    EQ(lab_post(lab, "ses", NULL, S("hello"), NULL), 400);
    EQ(lab_post(lab, "ses", NULL, S("[]"), NULL), 400);
    EQ(lab_post(lab, "ses", NULL, S("{}"), NULL), 401);
    lab_free(lab);
}
