/*
 * What real services sent, and exactly what it means. The samples belong to
 * others and lie beside the project; where they are absent the tests skip.
 */
#include "provider_lab.h"

#define DATA "../shared/data/"

#define NOT INT64_MIN /* no code */

/* The event that a sample makes; NULL texts are not looked at. */
struct meaning {
    const char *file;
    enum event_kind kind;
    const char *type, *reason;
    int64_t at_us;
    const char *event_id, *recipient, *provider_message_id;
    int64_t code;
    const char *enhanced;
    const char *text; /* how it begins */
    size_t text_bytes;
    enum suppression_reason suppress;
    uint32_t bits;
};

/* A lab, or NULL after skip() where the samples are absent. */
static struct lab *data_lab(void)
{
    struct lab *lab = lab_new();
    if (!str_given(lab_file(lab, DATA "README.md"))) {
        lab_free(lab);
        skip();
    }
    lab->source.is_dev = true;
    return lab;
}

static struct str sample(struct lab *lab, const char *file)
{
    struct str text = lab_file(lab, arena_fmt(lab->arena, DATA "%s", file).p);
    if (!str_given(text))
        fprintf(stderr, "no sample %s\n", file);
    YES(str_given(text));
    return text;
}

static void text_is(struct str actual, const char *expected)
{
    if (expected)
        STR_EQ(actual, expected);
}

static void means(const struct provider_event *event, const struct meaning *m)
{
    if (event->kind != m->kind)
        fprintf(stderr, "%s\n", m->file);
    EQ(event->kind, m->kind);
    text_is(str_of(event->type), m->type);
    text_is(str_of(event->reason), m->reason);
    if (m->at_us)
        EQ(event->at_us, m->at_us);
    text_is(event->event_id, m->event_id);
    text_is(event->recipient, m->recipient);
    text_is(event->provider_message_id, m->provider_message_id);
    if (m->code)
        EQ(event->code, m->code == NOT ? EVENT_CODE_NONE : m->code);
    text_is(event->enhanced, m->enhanced);
    if (m->text) {
        EQ(event->text.n, m->text_bytes);
        YES(str_starts(event->text, str_of(m->text)));
    }
    if (event->kind != EVENT_UNHANDLED && event->kind != EVENT_MALFORMED)
        EQ(event->suppress, m->suppress);
    EQ(event->bits, m->bits);
}

#define MAILGUN_ID "20130503182626.18666.16540@app.symfony.com"

static const struct meaning mailgun_items[] = {
    { .file = "mailgun/events-api/accepted.json", .kind = EVENT_UNHANDLED, .type = "accepted" },
    { .file = "mailgun/events-api/accepted-nested-variables.json", .kind = EVENT_UNHANDLED, .type = "accepted" },
    { .file = "mailgun/events-api/variables-truncated.json", .kind = EVENT_UNHANDLED, .type = "accepted" },
    { .file = "mailgun/events-api/list-member-uploaded.json", .kind = EVENT_UNHANDLED, .type = "list_member_uploaded" },
    { .file = "mailgun/events-api/unknown-event.json", .kind = EVENT_UNHANDLED, .type = "unknown_event" },
    { .file = "mailgun/events-api/clicked.json",
      .kind = EVENT_CLICKED,
      .type = "clicked",
      .at_us = INT64_C(1377075564094891),
      .event_id = "G5zMz2ysS6OxZ2C8xb2Tqg",
      .recipient = "recipient@example.com",
      .provider_message_id = "20130821085807.30688.67706@samples.mailgun.org" },
    { .file = "mailgun/events-api/complained.json",
      .kind = EVENT_COMPLAINED,
      .at_us = INT64_C(1377214260049634),
      .recipient = "foo@example.com",
      .provider_message_id = "20130718032413.263EE2E0926@example.com",
      .suppress = SUPPRESS_COMPLAINT },
    { .file = "mailgun/events-api/delivered.json",
      .kind = EVENT_DELIVERED,
      .at_us = INT64_C(1529692199626182),
      .recipient = "john@example.com",
      .provider_message_id = "20180622182958.1.48906CB188F1A454@exmple.org" },
    { .file = "mailgun/events-api/failed-permanent-delayed-bounce.json",
      .kind = EVENT_FAILED,
      .type = "failed",
      .at_us = INT64_C(1666214138404667),
      .event_id = "ZDMqRgjLTDi6rQcy7K60aA",
      .recipient = "christest123@test.com",
      .provider_message_id = "20221019211537.93011d31ea99c5a8@test.com",
      .code = 550,
      .enhanced = "5.1.1",
      .text = "smtp; 550-5.",
      .text_bytes = 73,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "mailgun/events-api/failed-temporary.json",
      .kind = EVENT_DELAYED,
      .type = "failed",
      .at_us = INT64_C(1665066523871657),
      .recipient = "test@test.com",
      .code = 451,
      .enhanced = "4.7.652",
      .text = "4.7.652 The ",
      .text_bytes = 89 },
    { .file = "mailgun/events-api/opened-by-apple-proxy.json",
      .kind = EVENT_MALFORMED,
      .type = "opened",
      .reason = "no_message",
      .at_us = INT64_C(1652883435279025),
      .recipient = "bot@apple.com",
      .bits = BIT_PROVIDER | BIT_MAIL_PROXY },
    { .file = "mailgun/events-api/rejected.json",
      .kind = EVENT_FAILED,
      .type = "rejected",
      .at_us = INT64_C(1529704976104692),
      .recipient = "joan@example.org",
      .code = NOT,
      .text = "Sandbox subd",
      .text_bytes = 138 },
};

TEST(provider_data, reads_items_of_the_events_api)
{
    struct lab *lab = data_lab();
    for (size_t i = 0; lab && i < sizeof mailgun_items / sizeof mailgun_items[0]; i++)
        means(lab_item(lab, sample(lab, mailgun_items[i].file).p), &mailgun_items[i]);
    if (lab)
        lab_free(lab);
}

TEST(provider_data, reads_pages_of_the_events_api)
{
    struct lab *lab = data_lab();
    if (!lab)
        return;
    const struct provider_page *page =
        lab_page(lab, PROVIDER_API_EVENTS, sample(lab, "mailgun/events-api/page-ghost.json"));
    static const enum event_kind kinds[] = { EVENT_DELIVERED, EVENT_DELAYED, EVENT_FAILED, EVENT_UNSUBSCRIBED };
    EQ(page->n, 4);
    STR_EQ(page->next, "all-1-next");
    for (size_t i = 0; i < 4; i++) {
        EQ(page->events[i].kind, kinds[i]);
        STR_EQ(page->events[i].mailing, "5fbe5d9607bdfa3765dc3819");
        EQ(page->events[i].at_us, INT64_C(1606399301266528));
        for (size_t k = 0; k < i; k++)
            NO(page->events[i].key[0] == page->events[k].key[0]);
    }
    STR_EQ(page->events[1].text, "Error unknown");

    page = lab_page(lab, PROVIDER_API_EVENTS, sample(lab, "mailgun/events-api/page-accepted.json"));
    EQ(page->item_n, 1);
    EQ(page->events[0].kind, EVENT_UNHANDLED);
    STR_EQ(page->next, "W3siY...");

    page = lab_page(lab, PROVIDER_API_EVENTS, sample(lab, "mailgun/events-api/page-empty.json"));
    EQ(page->item_n, 0);
    EQ(page->next.n, 400);
    YES(str_starts(page->next, S("W3siYiI6ICIyMDE3")));
    YES(str_ends(page->next, S("XQ==")));
    lab_free(lab);
}

TEST(provider_data, reads_an_answer_of_the_logs_api)
{
    struct lab *lab = data_lab();
    if (!lab)
        return;
    const struct provider_page *page =
        lab_page(lab, PROVIDER_API_LOGS, sample(lab, "mailgun/logs-api/answer-accepted.json"));
    EQ(page->item_n, 1);
    EQ(page->events[0].kind, EVENT_UNHANDLED);
    EQ(page->events[0].at_us, INT64_C(1750871991166000));
    STR_EQ(page->events[0].provider_message_id, "123@example.mailgun.org");
    NO(str_given(page->next));
    lab_free(lab);
}

/* Posts the samples of one provider and compares the single event of each. */
static void post_samples(const char *type, const struct meaning *list, size_t n)
{
    struct lab *lab = data_lab();
    for (size_t i = 0; lab && i < n; i++) {
        lab_post(lab, type, NULL, sample(lab, list[i].file), NULL);
        EQ(lab->hook.n, 1);
        means(&lab->hook.events[0], &list[i]);
    }
    if (lab)
        lab_free(lab);
}

static const struct meaning mailgun_hooks[] = {
    { .file = "mailgun/webhook/accepted.json", .kind = EVENT_UNHANDLED },
    { .file = "mailgun/webhook/delivered.json",
      .kind = EVENT_DELIVERED,
      .at_us = INT64_C(1521472262000002),
      .recipient = "alice@example.com",
      .provider_message_id = MAILGUN_ID },
    { .file = "mailgun/webhook/failed-permanent.json",
      .kind = EVENT_FAILED,
      .at_us = INT64_C(1521233195375624),
      .code = 550,
      .enhanced = "",
      .text = "No Such User",
      .text_bytes = 17,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "mailgun/webhook/failed-suppressed-bounce.json",
      .kind = EVENT_FAILED,
      .code = 605,
      .enhanced = "",
      .text = "Not deliveri",
      .text_bytes = 44,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "mailgun/webhook/opened.json",
      .kind = EVENT_OPENED,
      .at_us = INT64_C(1521243339873676),
      .event_id = "Ase7i2zsRYeDXztHGENqRA",
      .recipient = "alice@example.com",
      .provider_message_id = MAILGUN_ID },
};

TEST(provider_data, reads_webhooks_of_mailgun)
{
    post_samples("mailgun", mailgun_hooks, sizeof mailgun_hooks / sizeof mailgun_hooks[0]);
}

/* Signatures that hold with this key, over all tolerances. */
static struct lab *signed_lab(void)
{
    struct lab *lab = data_lab();
    if (lab) {
        lab->source.signing_key = S("TEST_WEBHOOK_SIGNING_KEY");
        lab->source.tolerance_us = LAB_NOW;
    }
    return lab;
}

static const struct {
    struct meaning meaning;
    int status;
} signed_hooks[] = {
    { { .file = "mailgun/webhook/clicked-signed.json",
        .kind = EVENT_MALFORMED,
        .type = "clicked",
        .reason = "no_message",
        .at_us = INT64_C(1534109600089676),
        .recipient = "recipient@example.com" },
      406 },
    { { .file = "mailgun/webhook/complained-signed.json",
        .kind = EVENT_COMPLAINED,
        .provider_message_id = "20130718032413.263EE2E0926@example.org",
        .suppress = SUPPRESS_COMPLAINT },
      200 },
    { { .file = "mailgun/webhook/delivery-status-null-signed.json", .kind = EVENT_UNHANDLED, .type = "accepted" },
      200 },
    { { .file = "mailgun/webhook/failed-temporary-no-mx-signed.json",
        .kind = EVENT_DELAYED,
        .code = 498,
        .text = "No MX for no",
        .text_bytes = 26,
        .recipient = "undeliverable@nomx.example.com" },
      200 },
    { { .file = "mailgun/webhook/unsubscribed-signed.json",
        .kind = EVENT_UNSUBSCRIBED,
        .event_id = "W3X4JOhFT-OZidZGKKr9iA",
        .suppress = SUPPRESS_UNSUBSCRIBE },
      200 },
    { { .file = "mailgun/legacy-form/alt-smtp-code.form",
        .kind = EVENT_MALFORMED,
        .type = "failed",
        .reason = "no_message",
        .at_us = INT64_C(1234567890000000),
        .recipient = "noreply@example.com",
        .code = NOT,
        .enhanced = "5.1.1",
        .text = "smtp;550 5.1",
        .text_bytes = 52 },
      406 },
    { { .file = "mailgun/legacy-form/delivered.form",
        .kind = EVENT_DELIVERED,
        .at_us = INT64_C(1461261330000000),
        .event_id = "",
        .recipient = "recipient@example.com",
        .provider_message_id = "20160421175529.19495.89030.B3AE3728@example.com" },
      200 },
    { { .file = "mailgun/legacy-form/dropped-spam.form",
        .kind = EVENT_MALFORMED,
        .type = "failed",
        .code = 607,
        .text = "Not deliveri",
        .text_bytes = 57,
        .recipient = "complaint@example.com" },
      406 },
    { { .file = "mailgun/legacy-form/metadata-key-conflicts.form",
        .kind = EVENT_MALFORMED,
        .type = "clicked",
        .recipient = "actual-recipient@example.com" },
      406 },
    { { .file = "mailgun/legacy-form/metadata-post-fields.form", .kind = EVENT_MALFORMED, .type = "clicked" }, 406 },
    { { .file = "mailgun/legacy-form/x-tags.form", .kind = EVENT_MALFORMED, .type = "delivered" }, 406 },
};

TEST(provider_data, accepts_the_signatures_of_mailgun_and_refuses_another_key)
{
    struct lab *lab = signed_lab();
    for (size_t i = 0; lab && i < sizeof signed_hooks / sizeof signed_hooks[0]; i++) {
        struct str body = sample(lab, signed_hooks[i].meaning.file);
        EQ(lab_post(lab, "mailgun", NULL, body, NULL), signed_hooks[i].status);
        EQ(lab->hook.n, 1);
        means(&lab->hook.events[0], &signed_hooks[i].meaning);
        lab->source.signing_key = S("ANOTHER_WEBHOOK_SIGNING_KEY");
        EQ(lab_post(lab, "mailgun", NULL, body, NULL), 401);
        lab->source.signing_key = S("TEST_WEBHOOK_SIGNING_KEY");
    }
    if (lab)
        lab_free(lab);
}

static const struct meaning sendgrid_hooks[] = {
    { .file = "sendgrid/captured-bounce.json",
      .kind = EVENT_FAILED,
      .at_us = INT64_C(1461095250000000),
      .event_id = "lC0Rc-FuQmKbnxCWxX1jRQ",
      .recipient = "noreply@example.com",
      .provider_message_id = "Lli-03HcQ5-JLybO9fXsJg",
      .code = NOT,
      .enhanced = "5.1.1",
      .text = "550 5.1.1 Th",
      .text_bytes = 67,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "sendgrid/captured-delivered.json",
      .kind = EVENT_DELIVERED,
      .provider_message_id = "wrfRRvF7Q0GgwUo2CvDmEA" },
    { .file = "sendgrid/captured-dropped-invalid.json",
      .kind = EVENT_FAILED,
      .type = "dropped",
      .provider_message_id = "wrfRRvF7Q0GgwUo2CvDmEA",
      .enhanced = "",
      .text = "Invalid",
      .text_bytes = 7 },
    { .file = "sendgrid/captured-open.json",
      .kind = EVENT_OPENED,
      .recipient = "recipient@example.com",
      .provider_message_id = "wrfRRvF7Q0GgwUo2CvDmEA" },
    { .file = "sendgrid/captured-processed.json", .kind = EVENT_SENDING, .at_us = INT64_C(1461095246000000) },
    { .file = "sendgrid/docs-ab-test.json", .kind = EVENT_SENDING, .provider_message_id = "5lFl7Fr1Rjme_EyzNNB_5A" },
    { .file = "sendgrid/docs-bounce.json",
      .kind = EVENT_FAILED,
      .provider_message_id = "14c5d75ce93.dfd.64b469",
      .enhanced = "5.0.0",
      .text = "500 unknown ",
      .text_bytes = 21,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "sendgrid/docs-click.json", .kind = EVENT_CLICKED, .event_id = "kCAi1KttyQdEKHhdC-nuEA==" },
    { .file = "sendgrid/docs-deferred.json", .kind = EVENT_DELAYED, .text = "400 try agai", .text_bytes = 19 },
    { .file = "sendgrid/docs-dropped.json",
      .kind = EVENT_FAILED,
      .text = "Bounced Addr",
      .text_bytes = 15,
      .enhanced = "5.0.0" },
    { .file = "sendgrid/docs-newsletter.json",
      .kind = EVENT_OPENED,
      .at_us = INT64_C(1591726752372000),
      .provider_message_id = "sendgrid_internal_message_id" },
    { .file = "sendgrid/docs-unsubscribe.json", .kind = EVENT_UNSUBSCRIBED, .suppress = SUPPRESS_UNSUBSCRIBE },
};

TEST(provider_data, reads_batches_of_sendgrid)
{
    post_samples("sendgrid", sendgrid_hooks, sizeof sendgrid_hooks / sizeof sendgrid_hooks[0]);
}

TEST(provider_data, reads_a_batch_of_every_type_under_one_event_id)
{
    static const enum event_kind kinds[] = { EVENT_SENDING,      EVENT_DELAYED,      EVENT_DELIVERED, EVENT_OPENED,
                                             EVENT_CLICKED,      EVENT_FAILED,       EVENT_FAILED,    EVENT_COMPLAINED,
                                             EVENT_UNSUBSCRIBED, EVENT_UNSUBSCRIBED, EVENT_UNHANDLED };
    struct lab *lab = data_lab();
    if (!lab)
        return;
    lab_post(lab, "sendgrid", NULL, sample(lab, "sendgrid/docs-all-types.json"), NULL);
    EQ(lab->hook.n, 11);
    for (size_t i = 0; i < 11; i++) {
        EQ(lab->hook.events[i].kind, kinds[i]);
        for (size_t k = 0; k < i; k++)
            NO(lab->hook.events[i].key[0] == lab->hook.events[k].key[0]);
    }
    lab_free(lab);
}

/* The value of "Name: value" in the sample's headers, NUL-terminated. */
static const char *header_value(struct lab *lab, struct str text, const char *name)
{
    while (str_given(text)) {
        struct str line = str_cut(&text, '\n');
        struct str found = str_cut(&line, ':');
        if (str_eq(found, str_of(name)))
            return arena_str(lab->arena, str_trim(line)).p;
    }
    return NULL;
}

TEST(provider_data, accepts_what_sendgrid_really_signed_and_only_with_its_last_line_feed)
{
    struct lab *lab = data_lab();
    if (!lab)
        return;
    struct str text = sample(lab, "sendgrid/signed-dropped.headers");
    const char *headers[] = { "X-Twilio-Email-Event-Webhook-Signature",
                              header_value(lab, text, "X-Twilio-Email-Event-Webhook-Signature"),
                              "X-Twilio-Email-Event-Webhook-Timestamp",
                              header_value(lab, text, "X-Twilio-Email-Event-Webhook-Timestamp"), NULL };
    struct str body = sample(lab, "sendgrid/signed-dropped.body");
    lab->source.signing_key = str_of(header_value(lab, text, "Key"));
    YES(str_ends(body, S("\r\n")));
    EQ(lab_post(lab, "sendgrid", NULL, body, headers), 200);
    EQ(lab->hook.events[0].kind, EVENT_FAILED);
    STR_EQ(lab->hook.events[0].provider_message_id, "LRzXl_NHStOGhQ4kofSm_A");
    EQ(lab_post(lab, "sendgrid", NULL, str_trim(body), headers), 401);
    lab_free(lab);
}

static const struct meaning postmark_hooks[] = {
    { .file = "postmark/anymail-bounce.json",
      .kind = EVENT_FAILED,
      .at_us = INT64_C(1461788930396393),
      .event_id = "901542550",
      .recipient = "bounce@example.com",
      .provider_message_id = "2706ee8a-737c-4285-b032-ccd317af53ed",
      .code = NOT,
      .enhanced = "",
      .text = "smtp;550 5.1",
      .text_bytes = 72,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "postmark/anymail-delivered.json",
      .kind = EVENT_DELIVERED,
      .at_us = INT64_C(1406914090273539),
      .recipient = "recipient@example.com",
      .provider_message_id = "883953f4-6105-42a2-a16a-77a8eac79483" },
    { .file = "postmark/anymail-spam.json",
      .kind = EVENT_COMPLAINED,
      .recipient = "spam@example.com",
      .at_us = INT64_C(1461788930396393),
      .suppress = SUPPRESS_COMPLAINT },
    { .file = "postmark/anymail-subscription-change-bounce.json",
      .kind = EVENT_SUPPRESSED,
      .recipient = "john@example.com",
      .at_us = INT64_C(1654449452000000),
      .suppress = SUPPRESS_BOUNCE },
    { .file = "postmark/anymail-unsubscribe.json",
      .kind = EVENT_UNSUBSCRIBED,
      .recipient = "john@example.com",
      .suppress = SUPPRESS_UNSUBSCRIBE },
    { .file = "postmark/symfony-bounce.json",
      .kind = EVENT_FAILED,
      .at_us = INT64_C(1662128959123456),
      .text = "Test bounce ",
      .text_bytes = 19,
      .suppress = SUPPRESS_BOUNCE },
    { .file = "postmark/symfony-open.json",
      .kind = EVENT_OPENED,
      .at_us = INT64_C(1662129047000000),
      .recipient = "john@example.com" },
    { .file = "postmark/symfony-subscription-change.json", .kind = EVENT_SUPPRESSED, .suppress = SUPPRESS_BOUNCE },
};

TEST(provider_data, reads_webhooks_of_postmark)
{
    post_samples("postmark", postmark_hooks, sizeof postmark_hooks / sizeof postmark_hooks[0]);
}
