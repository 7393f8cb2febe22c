#include "sns_lab.h"

#define MAIL(destination)                                                                                              \
    "\"mail\":{\"timestamp\":\"2026-11-18T10:00:00.000Z\",\"messageId\":\"ses-1\",\"destination\":" destination "}"
#define ONE   MAIL("[\"jo@x.org\"]")
#define THREE MAIL("[\"jo@x.org\",\"mo@x.org\",\"Bo <bo@x.org>\"]")

static int post(struct lab *lab, const char *message)
{
    return sns_post(lab, sns_notification(str_of(message)));
}

/* The event of a notification that makes exactly one. */
static const struct provider_event *one(struct lab *lab, const char *message)
{
    EQ(post(lab, message), 200);
    EQ(lab->hook.n, 1);
    return &lab->hook.events[0];
}

TEST(ses, gives_each_type_its_kind)
{
    static const struct {
        const char *message;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "{\"eventType\":\"Send\",\"send\":{}," ONE "}", EVENT_SENDING, SUPPRESS_NOT },
        { "{\"eventType\":\"Delivery\",\"delivery\":{\"recipients\":[\"jo@x.org\"]}," ONE "}", EVENT_DELIVERED,
          SUPPRESS_NOT },
        { "{\"notificationType\":\"Delivery\",\"delivery\":{\"recipients\":[\"jo@x.org\"]}," ONE "}", EVENT_DELIVERED,
          SUPPRESS_NOT },
        { "{\"eventType\":\"DeliveryDelay\",\"deliveryDelay\":{\"delayedRecipients\":[{\"emailAddress\":\"jo@x.org\"}]}"
          "," ONE "}",
          EVENT_DELAYED, SUPPRESS_NOT },
        { "{\"eventType\":\"Reject\",\"reject\":{\"reason\":\"Bad content\"}," ONE "}", EVENT_REFUSED, SUPPRESS_NOT },
        { "{\"eventType\":\"Rendering Failure\",\"failure\":{\"errorMessage\":\"e\"}," ONE "}", EVENT_REFUSED,
          SUPPRESS_NOT },
        { "{\"notificationType\":\"Complaint\",\"complaint\":{\"complainedRecipients\":[{\"emailAddress\":\"jo@x.org\"}"
          "]"
          "}," ONE "}",
          EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
        { "{\"eventType\":\"Open\",\"open\":{}," ONE "}", EVENT_OPENED, SUPPRESS_NOT },
        { "{\"eventType\":\"Click\",\"click\":{\"link\":\"http://x\"}," ONE "}", EVENT_CLICKED, SUPPRESS_NOT },
        { "{\"eventType\":\"Open\",\"open\":{}," THREE "}", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "{\"eventType\":\"Click\",\"click\":{}," THREE "}", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "{\"eventType\":\"Subscription\",\"subscription\":{\"newTopicPreferences\":{\"unsubscribeAll\":true}}," ONE
          "}",
          EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "{\"eventType\":\"Subscription\",\"subscription\":{\"newTopicPreferences\":{\"unsubscribeAll\":true}}," THREE
          "}",
          EVENT_UNHANDLED, SUPPRESS_NOT },
        { "{\"eventType\":\"Subscription\",\"subscription\":{\"newTopicPreferences\":{\"unsubscribeAll\":false},"
          "\"oldTopicPreferences\":{\"unsubscribeAll\":true}}," ONE "}",
          EVENT_UNHANDLED, SUPPRESS_NOT },
        { "{\"notificationType\":\"Received\",\"receipt\":{}," THREE "}", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "{\"eventType\":\"Never Seen\"}", EVENT_UNHANDLED, SUPPRESS_NOT },
    };
    struct lab *lab = sns_lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct provider_event *event = one(lab, cases[i].message);
        EQ(event->kind, cases[i].kind);
        if (event->kind != EVENT_UNHANDLED) {
            EQ(event->suppress, cases[i].suppress);
            STR_EQ(event->provider_message_id, "ses-1");
            STR_EQ(event->recipient, "jo@x.org");
        }
    }
    lab_free(lab);
}

TEST(ses, lets_the_bounce_type_decide_and_not_the_status)
{
    static const struct {
        const char *type, *subtype, *status;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "Permanent", "General", "5.1.1", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "Permanent", "General", "", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "Permanent", "General", "5.7.1", EVENT_FAILED, SUPPRESS_NOT },
        { "Permanent", "OnAccountSuppressionList", "5.1.1", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "Permanent", "OnAccountSuppressionList", "5.7.1", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "Transient", "General", "5.1.1", EVENT_GAVE_UP, SUPPRESS_NOT },
        { "Transient", "MailboxFull", "5.2.2", EVENT_GAVE_UP, SUPPRESS_NOT },
        { "Undetermined", "Undetermined", "5.1.1", EVENT_GAVE_UP, SUPPRESS_NOT },
        { "Other", "", "", EVENT_GAVE_UP, SUPPRESS_NOT },
        { "", "", "", EVENT_GAVE_UP, SUPPRESS_NOT },
    };
    struct lab *lab = sns_lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str message =
            arena_fmt(lab->arena,
                      "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"%s\",\"bounceSubType\":\"%s\","
                      "\"bouncedRecipients\":[{\"emailAddress\":\"jo@x.org\",\"status\":\"%s\"}]}," ONE "}",
                      cases[i].type, cases[i].subtype, cases[i].status);
        const struct provider_event *event = one(lab, message.p);
        EQ(event->kind, cases[i].kind);
        EQ(event->suppress, cases[i].suppress);
        STR_EQ(event->enhanced, cases[i].status);
    }
    lab_free(lab);
}

TEST(ses, makes_one_event_with_its_own_key_for_each_listed_recipient)
{
    struct lab *lab = sns_lab_new();
    const char *bounce =
        "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\",\"bouncedRecipients\":["
        "{\"emailAddress\":\"jo@x.org\",\"diagnosticCode\":\"smtp; 550 no\"},"
        "{\"emailAddress\":\"MO@x.org\"}]}," THREE "}";
    EQ(post(lab, bounce), 200);
    EQ(lab->hook.n, 2);
    STR_EQ(lab->hook.events[0].recipient, "jo@x.org");
    STR_EQ(lab->hook.events[0].text, "smtp; 550 no");
    STR_EQ(lab->hook.events[1].folded, "mo@x.org");
    STR_EQ(lab->hook.events[1].text, "Error unknown");
    uint64_t first = lab->hook.events[0].key[0], second = lab->hook.events[1].key[0];
    NO(first == second);
    post(lab, bounce);
    YES(lab->hook.events[0].key[0] == first && lab->hook.events[1].key[0] == second);
    lab_free(lab);
}

TEST(ses, gives_what_concerns_the_whole_message_to_every_destination)
{
    static const char *const messages[] = {
        "{\"eventType\":\"Send\"," THREE "}",
        "{\"eventType\":\"Reject\",\"reject\":{\"reason\":\"r\"}," THREE "}",
        "{\"eventType\":\"Rendering Failure\",\"failure\":{\"errorMessage\":\"r\"}," THREE "}",
    };
    struct lab *lab = sns_lab_new();
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        EQ(post(lab, messages[i]), 200);
        EQ(lab->hook.n, 3);
        STR_EQ(lab->hook.events[0].recipient, "jo@x.org");
        STR_EQ(lab->hook.events[2].recipient, "bo@x.org");
        if (i > 0)
            STR_EQ(lab->hook.events[1].text, "r");
    }
    lab_free(lab);
}

TEST(ses, blames_nobody_for_a_bounce_that_names_nobody)
{
    struct lab *lab = sns_lab_new();
    const struct provider_event *event =
        one(lab, "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\"}," THREE "}");
    EQ(event->kind, EVENT_FAILED);
    NO(str_given(event->recipient));
    STR_EQ(event->provider_message_id, "ses-1");
    event = one(lab, "{\"notificationType\":\"Bounce\",\"bounce\":{\"bounceType\":\"Permanent\"}," ONE "}");
    STR_EQ(event->recipient, "jo@x.org");
    lab_free(lab);
}

TEST(ses, dates_events_by_their_own_time_then_the_mails_then_the_envelopes)
{
    static const struct {
        const char *message;
        int64_t at_us;
    } cases[] = {
        { "{\"eventType\":\"Open\",\"open\":{\"timestamp\":\"2026-11-18T10:30:00.570Z\"}," ONE "}",
          INT64_C(1794997800570000) },
        { "{\"eventType\":\"Reject\",\"reject\":{}," ONE "}", INT64_C(1794996000000000) },
        { "{\"eventType\":\"Open\",\"open\":{\"timestamp\":\"soon\"},\"mail\":{\"messageId\":\"a\"}}",
          INT64_C(1794999600000000) },
    };
    struct lab *lab = sns_lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EQ(one(lab, cases[i].message)->at_us, cases[i].at_us);
        YES(lab->hook.events[0].is_reported);
    }
    lab_free(lab);
}

TEST(ses, keeps_link_address_and_agent_of_a_click)
{
    struct lab *lab = sns_lab_new();
    const struct provider_event *event =
        one(lab, "{\"eventType\":\"Click\",\"click\":{\"ipAddress\":\"198.51.100.1\",\"link\":\"http://x.org/?a=1\","
                 "\"userAgent\":\"Mozilla/5.0\"}," ONE "}");
    STR_EQ(event->url, "http://x.org/?a=1");
    STR_EQ(event->agent, "Mozilla/5.0");
    EQ(event->bits, BIT_MAIL_PROXY | BIT_RANGE);
    lab_free(lab);
}

TEST(ses, takes_variables_from_the_tags_of_the_message)
{
    struct lab *lab = sns_lab_new();
    const struct provider_event *event =
        one(lab, "{\"eventType\":\"Open\",\"mail\":{\"messageId\":\"a\",\"destination\":[\"jo@x.org\"],\"tags\":{"
                 "\"ses:source-ip\":[\"192.0.2.0\"],\"posthouse-mailing\":[\"m-1\",\"m-2\"],\"posthouse-message\":[],"
                 "\"odd\":1}}}");
    STR_EQ(event->mailing, "m-1");
    NO(str_given(event->message));
    lab_free(lab);
}

TEST(ses, takes_plain_text_for_no_event_and_broken_json_for_a_malformed_one)
{
    static const struct {
        const char *message, *reason;
    } cases[] = {
        { "Successfully validated the topic.", NULL },
        { "", NULL },
        { "{\"eventType\":\"Open\",", "no_json" },
        { " {\"eventType\":\"Open\"}", "no_message" },
        { "{\"eventType\":\"Open\",\"mail\":{\"destination\":[\"jo@x.org\"]}}", "no_message" },
        { "{\"eventType\":\"Open\",\"mail\":null,\"open\":[]}", "no_message" },
        { "{}", "no_type" },
    };
    struct lab *lab = sns_lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct provider_event *event = one(lab, cases[i].message);
        EQ(event->kind, cases[i].reason ? EVENT_MALFORMED : EVENT_UNHANDLED);
        EQ(lab->hook.verdict, cases[i].reason ? HOOK_UNUSABLE : HOOK_ACCEPTED);
        if (cases[i].reason) {
            STR_EQ(str_of(event->reason), cases[i].reason);
            STR_EQ(event->raw, cases[i].message);
        }
    }
    lab_free(lab);
}

TEST(ses, reads_messages_that_end_in_a_line_feed)
{
    struct lab *lab = sns_lab_new();
    EQ(one(lab, "{\"eventType\":\"Open\",\"open\":{}," ONE "}\n")->kind, EVENT_OPENED);
    lab_free(lab);
}

TEST(ses, refuses_a_setting_that_is_no_certificate)
{
    struct lab *lab = sns_lab_new();
    const struct provider_format *format = provider_format_find(S("ses"));
    EQ(format->check_key(&lab->op, str_of(sns_pem)), OK);
    EQ(format->check_key(&lab->op, S("secret")), ERR_INVALID);
    lab_free(lab);
}
