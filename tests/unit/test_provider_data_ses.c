/*
 * What Amazon really sent through SNS, and exactly what it means. The original
 * signatures do not hold any more, so each message is signed anew by a topic of
 * our own. The samples lie beside the project; where they are absent the tests
 * skip.
 */
#include "sns_lab.h"

#define DATA "../shared/data/ses/"

struct meaning {
    const char *file;
    size_t n; /* events */
    enum event_kind kind;
    int64_t at_us;
    const char *recipient, *provider_message_id;
    const char *enhanced;
    const char *text; /* how it begins */
    size_t text_bytes;
    enum suppression_reason suppress;
};

static struct lab *data_lab(void)
{
    struct lab *lab = sns_lab_new();
    if (!str_given(lab_file(lab, DATA "README.md"))) {
        lab_free(lab);
        skip();
    }
    return lab;
}

static struct str sample(struct lab *lab, const char *file)
{
    struct str text = lab_file(lab, arena_fmt(lab->arena, DATA "%s", file).p);
    YES(str_given(text));
    return text;
}

static void means(struct lab *lab, const struct meaning *m)
{
    if (lab->hook.n != m->n || lab->hook.events[0].kind != m->kind)
        fprintf(stderr, "%s\n", m->file);
    EQ(lab->hook.n, m->n);
    const struct provider_event *event = &lab->hook.events[0];
    EQ(event->kind, m->kind);
    EQ(event->suppress, m->suppress);
    if (m->at_us)
        EQ(event->at_us, m->at_us);
    if (m->recipient)
        STR_EQ(event->recipient, m->recipient);
    if (m->provider_message_id)
        STR_EQ(event->provider_message_id, m->provider_message_id);
    if (m->enhanced)
        STR_EQ(event->enhanced, m->enhanced);
    if (m->text) {
        EQ(event->text.n, m->text_bytes);
        YES(str_starts(event->text, str_of(m->text)));
    }
}

#define EXAMPLE_ID "EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000"

static const struct meaning messages[] = {
    { "event/bounce.json", 1, EVENT_FAILED, INT64_C(1501893662669000), "recipient@example.com", EXAMPLE_ID, "5.1.1",
      "smtp; 550 5.", 28, SUPPRESS_BOUNCE },
    { "event/click.json", 1, EVENT_CLICKED, INT64_C(1502322685570000), "recipient@example.com", EXAMPLE_ID, NULL, NULL,
      0, SUPPRESS_NOT },
    { "event/delivery-delay.json", 1, EVENT_DELAYED, INT64_C(1592267140095000), "recipient@example.com", EXAMPLE_ID,
      "4.4.1", "smtp; 421 4.", 48, SUPPRESS_NOT },
    { "event/delivery.json", 1, EVENT_DELIVERED, INT64_C(1476919264133000), "recipient@example.com", EXAMPLE_ID, NULL,
      NULL, 0, SUPPRESS_NOT },
    { "event/reject.json", 1, EVENT_REFUSED, INT64_C(1476466695211000), "sender@example.com", EXAMPLE_ID, "",
      "Bad content", 11, SUPPRESS_NOT },
    { "event/subscription.json", 1, EVENT_UNSUBSCRIBED, INT64_C(1641949217910000), "recipient@example.com", NULL, NULL,
      NULL, 0, SUPPRESS_UNSUBSCRIBE },
    { "notification/bounce-with-dsn.json", 1, EVENT_FAILED, INT64_C(1453906778237000), "jane@example.com",
      "00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa0680-000000", "5.1.1", "smtp; 550 5.", 42, SUPPRESS_BOUNCE },
    { "notification/complaint-without-report.json", 1, EVENT_COMPLAINED, INT64_C(1453906778237000),
      "richard@example.com", "0000013786031775-163e3910-53eb-4c8e-a04a-f29debf88a84-000000", NULL, NULL, 0,
      SUPPRESS_COMPLAINT },
};

TEST(ses_data, reads_notifications_and_published_events)
{
    struct lab *lab = data_lab();
    for (size_t i = 0; lab && i < sizeof messages / sizeof messages[0]; i++) {
        EQ(sns_post(lab, sns_notification(sample(lab, messages[i].file))), 200);
        means(lab, &messages[i]);
    }
    if (lab)
        lab_free(lab);
}

static const struct meaning envelopes[] = {
    { "sns/bounce.json", 1, EVENT_FAILED, INT64_C(1453906784101000), "jane@example.com", NULL, "5.1.1", "smtp; 550 5.",
      50, SUPPRESS_BOUNCE },
    { "sns/delivery.json", 1, EVENT_DELIVERED, INT64_C(1453906778237000), "jane@example.com",
      "0000014644fe5ef6-9a483358-9170-4cb4-a269-f5dcdf415321-000000", NULL, NULL, 0, SUPPRESS_NOT },
    { "sns/multiple-bounce.json", 2, EVENT_FAILED, INT64_C(1522087139675000), "jane@example.com", NULL, "",
      "Error unknow", 13, SUPPRESS_BOUNCE },
    { "sns/notify-complaint.json", 1, EVENT_COMPLAINED, INT64_C(1528207198000000), "recipient1@example.com", "ref1",
      NULL, NULL, 0, SUPPRESS_COMPLAINT },
    { "sns/notify-delivery-2016.json", 1, EVENT_DELIVERED, INT64_C(1457958926567000), "testing@example.org", "ref1",
      NULL, NULL, 0, SUPPRESS_NOT },
    { "sns/open.json", 1, EVENT_OPENED, INT64_C(1502316019652000), "recipient@example.com",
      "7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000", NULL, NULL, 0, SUPPRESS_NOT },
    { "sns/relay-hard-bounce.json", 1, EVENT_FAILED, INT64_C(1642520794000000), "relayuser@test.com",
      "0100017e6dde5594-4912fac5-bd85-4358-98d4-7b8d8b89fc60-000000", "5.1.1", NULL, 0, SUPPRESS_BOUNCE },
    { "sns/relay-spam-bounce.json", 1, EVENT_GAVE_UP, INT64_C(1642520794000000), "relayuser@test.com", NULL, "5.1.1",
      "Message cons", 27, SUPPRESS_NOT },
    { "sns/relay-s3-stored-email.json", 1, EVENT_UNHANDLED, 0, NULL, NULL, NULL, NULL, 0, SUPPRESS_NOT },
    { "sns/relay-single-recipient-email.json", 1, EVENT_UNHANDLED, 0, NULL, NULL, NULL, NULL, 0, SUPPRESS_NOT },
    { "sns/rendering-failure.json", 1, EVENT_REFUSED, INT64_C(1522087139675000), "recipient@example.com", NULL, "",
      "Attribute 'a", 63, SUPPRESS_NOT },
    { "sns/validation-text.json", 1, EVENT_UNHANDLED, 0, NULL, NULL, NULL, NULL, 0, SUPPRESS_NOT },
};

/* The envelope of a sample, as if our topic had sent it. */
static struct sns_envelope adopt(struct lab *lab, const char *file)
{
    struct sns_envelope envelope = { 0 };
    SUCCEEDS(&lab->op, sns_read(&lab->op, sample(lab, file), &envelope));
    envelope.topic_arn = S(SNS_TOPIC);
    envelope.certificate_url = S(SNS_CERT);
    envelope.version = S("1");
    return envelope;
}

TEST(ses_data, reads_envelopes_as_posted)
{
    struct lab *lab = data_lab();
    for (size_t i = 0; lab && i < sizeof envelopes / sizeof envelopes[0]; i++) {
        EQ(sns_post(lab, adopt(lab, envelopes[i].file)), 200);
        means(lab, &envelopes[i]);
    }
    if (lab)
        lab_free(lab);
}

TEST(ses_data, refuses_envelopes_whose_certificate_is_gone)
{
    static const char *const files[] = { "sns/relay-hard-bounce.json", "sns/notify-delivery-2016.json",
                                         "sns/subscription-confirmation.json" };
    struct lab *lab = data_lab();
    for (size_t i = 0; lab && i < sizeof files / sizeof files[0]; i++) {
        struct sns_envelope envelope;
        struct str body = sample(lab, files[i]);
        lab->source.topic_n = 0;
        SUCCEEDS(&lab->op, sns_read(&lab->op, body, &envelope));
        EQ(lab_post(lab, "ses", "text/plain", body, NULL), 401); /* the topic is not ours */
        lab->source.topics = &envelope.topic_arn;
        lab->source.topic_n = 1;
        EQ(lab_post(lab, "ses", "text/plain", body, NULL), 503);
        YES(str_eq(lab->hook.url, envelope.certificate_url));
        lab->source.signing_key = str_of(sns_pem);
        EQ(lab_post(lab, "ses", "text/plain", body, NULL), 401);
        lab->source.signing_key = str_of(NULL);
    }
    if (lab)
        lab_free(lab);
}

TEST(ses_data, confirms_a_captured_subscription)
{
    struct lab *lab = data_lab();
    if (!lab)
        return;
    EQ(sns_post(lab, adopt(lab, "sns/subscription-confirmation.json")), 200);
    EQ(lab->hook.verdict, HOOK_CONFIRM);
    YES(str_starts(lab->hook.url, S("https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&")));
    lab_free(lab);
}

TEST(ses_data, keeps_the_agent_and_link_of_a_click)
{
    struct lab *lab = data_lab();
    if (!lab)
        return;
    sns_post(lab, sns_notification(sample(lab, "event/click.json")));
    STR_EQ(lab->hook.events[0].url, "http://docs.aws.amazon.com/ses/latest/DeveloperGuide/send-email-smtp.html");
    STR_EQ(lab->hook.events[0].ip, "192.0.2.1");
    YES(str_ends(lab->hook.events[0].agent, S("Chrome/60.0.3112.90 Safari/537.36")));
    lab_free(lab);
}
