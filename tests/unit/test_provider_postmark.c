#include "provider_lab.h"

static struct lab *open_lab(void)
{
    struct lab *lab = lab_new();
    lab->source.is_dev = true;
    return lab;
}

static const struct provider_event *post(struct lab *lab, const char *members)
{
    struct str body = arena_fmt(lab->arena, "{%s}", members);
    EQ(lab_post(lab, "postmark", "application/json", body, NULL), 200);
    EQ(lab->hook.n, 1);
    return &lab->hook.events[0];
}

static const struct provider_event *bounce(struct lab *lab, const char *members)
{
    struct str all =
        arena_fmt(lab->arena, "\"RecordType\":\"Bounce\",\"MessageID\":\"m-1\",\"Email\":\"jo@x.org\",%s", members);
    return post(lab, all.p);
}

static const struct provider_event *change(struct lab *lab, const char *members)
{
    struct str all = arena_fmt(lab->arena,
                               "\"RecordType\":\"SubscriptionChange\",\"Recipient\":\"jo@x.org\","
                               "\"ChangedAt\":\"2022-06-05T17:17:32Z\",%s",
                               members);
    return post(lab, all.p);
}

TEST(postmark, checks_user_and_password)
{
    static const struct {
        const char *headers[3];
        int status;
    } cases[] = {
        { { "Authorization", "Basic am86c2VjcmV0", NULL }, 200 }, /* jo:secret */
        { { "authorization", "basic  am86c2VjcmV0", NULL }, 200 },
        { { "Authorization", "Basic am86c2VjcmV1", NULL }, 401 },
        { { "Authorization", "Basic am86c2VjcmV", NULL }, 401 },
        { { "Authorization", "Basic ", NULL }, 401 },
        { { "Authorization", "Bearer am86c2VjcmV0", NULL }, 401 },
        { { NULL }, 401 },
    };
    struct lab *lab = lab_new();
    struct str body = S("{\"RecordType\":\"Delivery\",\"MessageID\":\"m-1\",\"Recipient\":\"jo@x.org\"}");
    lab->source.signing_key = S("jo:secret");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EQ(lab_post(lab, "postmark", NULL, body, cases[i].headers), cases[i].status);
        EQ(lab->hook.n, cases[i].status == 200 ? 1 : 0);
    }
    lab->source.signing_key = str_of(NULL);
    EQ(lab_post(lab, "postmark", NULL, body, cases[0].headers), 401);
    lab_free(lab);
}

TEST(postmark, gives_each_record_type_its_kind)
{
    static const struct {
        const char *type;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "Delivery", EVENT_DELIVERED, SUPPRESS_NOT }, { "Open", EVENT_OPENED, SUPPRESS_NOT },
        { "Click", EVENT_CLICKED, SUPPRESS_NOT },      { "SpamComplaint", EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
        { "Inbound", EVENT_UNHANDLED, SUPPRESS_NOT },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str members =
            arena_fmt(lab->arena, "\"RecordType\":\"%s\",\"MessageID\":\"m-1\",\"Recipient\":\"Jo@x.org\"",
                      cases[i].type);
        const struct provider_event *event = post(lab, members.p);
        EQ(event->kind, cases[i].kind);
        EQ(event->suppress, cases[i].suppress);
        STR_EQ(event->provider_message_id, "m-1");
        STR_EQ(event->folded, "jo@x.org");
    }
    lab_free(lab);
}

TEST(postmark, gives_each_bounce_type_its_kind)
{
    static const struct {
        const char *type;
        int64_t code;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "Unsubscribe", 16, EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "HardBounce", 1, EVENT_FAILED, SUPPRESS_BOUNCE },
        { "BadEmailAddress", 100000, EVENT_FAILED, SUPPRESS_BOUNCE },
        { "Blocked", 100006, EVENT_FAILED, SUPPRESS_NOT },
        { "ManuallyDeactivated", 100002, EVENT_FAILED, SUPPRESS_NOT },
        { "DMARCPolicy", 100009, EVENT_FAILED, SUPPRESS_NOT },
        { "VirusNotification", 8192, EVENT_FAILED, SUPPRESS_NOT },
        { "SoftBounce", 4096, EVENT_DELAYED, SUPPRESS_NOT },
        { "Transient", 2, EVENT_DELAYED, SUPPRESS_NOT },
        { "DnsError", 256, EVENT_DELAYED, SUPPRESS_NOT },
        { "SpamNotification", 512, EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
        { "SpamComplaint", 100001, EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
        { "AutoResponder", 64, EVENT_UNHANDLED, SUPPRESS_NOT },
        { "AddressChange", 128, EVENT_UNHANDLED, SUPPRESS_NOT },
        { "ChallengeVerification", 16384, EVENT_UNHANDLED, SUPPRESS_NOT },
        { "NeverSeen", 7, EVENT_UNHANDLED, SUPPRESS_NOT },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str named = arena_fmt(lab->arena, "\"Type\":\"%s\",\"TypeCode\":1", cases[i].type);
        EQ(bounce(lab, named.p)->kind, cases[i].kind);
        EQ(lab->hook.events[0].suppress, cases[i].suppress);
        struct str coded = arena_fmt(lab->arena, "\"TypeCode\":%" PRId64, cases[i].code);
        EQ(bounce(lab, coded.p)->kind, cases[i].kind);
        EQ(lab->hook.events[0].suppress, cases[i].suppress);
    }
    lab_free(lab);
}

TEST(postmark, lets_the_type_beat_its_code)
{
    struct lab *lab = open_lab();
    EQ(bounce(lab, "\"Type\":\"SoftBounce\",\"TypeCode\":1")->kind, EVENT_DELAYED);
    EQ(bounce(lab, "\"TypeCode\":\"1\"")->kind, EVENT_FAILED);
    EQ(post(lab, "\"RecordType\":\"SpamComplaint\",\"Type\":\"SpamComplaint\",\"TypeCode\":512,\"MessageID\":\"m\"")
           ->kind,
       EVENT_COMPLAINED);
    lab_free(lab);
}

TEST(postmark, prefers_the_details_of_a_failure)
{
    struct lab *lab = open_lab();
    STR_EQ(bounce(lab, "\"Type\":\"HardBounce\",\"Details\":\"550 no\",\"Description\":\"d\"")->text, "550 no");
    STR_EQ(bounce(lab, "\"Type\":\"HardBounce\",\"Details\":\"\",\"Description\":\"d\"")->text, "d");
    STR_EQ(bounce(lab, "\"Type\":\"HardBounce\"")->text, "Error unknown");
    EQ(lab->hook.events[0].code, EVENT_CODE_NONE);
    lab_free(lab);
}

TEST(postmark, reads_times_with_any_decimals_and_offset)
{
    static const struct {
        const char *member;
        int64_t at_us;
    } cases[] = {
        { "\"DeliveredAt\":\"2014-08-01T13:28:10.2735393-04:00\"", INT64_C(1406914090273539) },
        { "\"BouncedAt\":\"2022-09-02T14:29:19.1234567Z\"", INT64_C(1662128959123456) },
        { "\"ReceivedAt\":\"2022-09-02T14:30:47Z\"", INT64_C(1662129047000000) },
        { "\"ChangedAt\":\"2022-09-02T14:32:30.000001+00:00\"", INT64_C(1662129150000001) },
        { "\"BouncedAt\":\"soon\"", LAB_NOW },
        { "\"BouncedAt\":null", LAB_NOW },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str members =
            arena_fmt(lab->arena, "\"RecordType\":\"Delivery\",\"MessageID\":\"m\",%s", cases[i].member);
        EQ(post(lab, members.p)->at_us, cases[i].at_us);
        EQ(lab->hook.events[0].is_reported, cases[i].at_us != LAB_NOW);
    }
    lab_free(lab);
}

TEST(postmark, finds_a_bounce_that_is_an_unsubscribe_by_its_message_alone)
{
    struct lab *lab = open_lab();
    const struct provider_event *event =
        post(lab, "\"RecordType\":\"Bounce\",\"Type\":\"Unsubscribe\",\"ID\":42,\"MessageID\":\"m-1\"");
    EQ(event->kind, EVENT_UNSUBSCRIBED);
    STR_EQ(event->provider_message_id, "m-1");
    NO(str_given(event->recipient));
    NO(str_given(event->text));
    EQ(event->at_us, LAB_NOW);
    lab_free(lab);
}

TEST(postmark, settles_subscription_changes_by_their_reason)
{
    static const struct {
        const char *members;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "\"SuppressSending\":true,\"SuppressionReason\":\"ManualSuppression\",\"MessageID\":\"m\"",
          EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "\"SuppressSending\":true,\"MessageID\":\"m\"", EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "\"SuppressSending\":true,\"SuppressionReason\":null,\"MessageID\":\"m\"", EVENT_UNSUBSCRIBED,
          SUPPRESS_UNSUBSCRIBE },
        { "\"SuppressSending\":true,\"SuppressionReason\":\"SpamComplaint\",\"MessageID\":\"m\"", EVENT_COMPLAINED,
          SUPPRESS_COMPLAINT },
        { "\"SuppressSending\":true,\"SuppressionReason\":\"HardBounce\",\"MessageID\":\"m\"", EVENT_SUPPRESSED,
          SUPPRESS_BOUNCE },
        { "\"SuppressSending\":true,\"SuppressionReason\":\"Other\",\"MessageID\":\"m\"", EVENT_UNHANDLED,
          SUPPRESS_NOT },
        { "\"SuppressSending\":false,\"SuppressionReason\":null,\"MessageID\":\"m\"", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "\"SuppressSending\":true,\"Metadata\":{\"posthouse-mailing\":\"n\"}", EVENT_UNSUBSCRIBED,
          SUPPRESS_UNSUBSCRIBE },
        { "\"SuppressSending\":true", EVENT_SUPPRESSED, SUPPRESS_UNSUBSCRIBE },
        { "\"SuppressSending\":true,\"SuppressionReason\":\"SpamComplaint\"", EVENT_SUPPRESSED, SUPPRESS_COMPLAINT },
        { "\"SuppressSending\":true,\"SuppressionReason\":\"HardBounce\"", EVENT_SUPPRESSED, SUPPRESS_BOUNCE },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct provider_event *event = change(lab, cases[i].members);
        EQ(event->kind, cases[i].kind);
        EQ(event->suppress, cases[i].suppress);
        STR_EQ(event->recipient, "jo@x.org");
    }
    lab_free(lab);
}

TEST(postmark, keeps_link_address_and_agent_of_a_click)
{
    struct lab *lab = open_lab();
    const struct provider_event *event = post(
        lab,
        "\"RecordType\":\"Click\",\"MessageID\":\"m\",\"Recipient\":\"jo@x.org\",\"OriginalLink\":\"http:\\/\\/x\","
        "\"UserAgent\":\"Mozilla\\/5.0\",\"Geo\":{\"IP\":\"198.51.100.1\",\"City\":\"x\"}");
    STR_EQ(event->url, "http://x");
    STR_EQ(event->ip, "198.51.100.1");
    EQ(event->bits, BIT_MAIL_PROXY | BIT_RANGE);
    lab_free(lab);
}

TEST(postmark, tells_opens_of_one_message_apart_by_their_time)
{
    struct lab *lab = open_lab();
    uint64_t first =
        post(lab, "\"RecordType\":\"Open\",\"MessageID\":\"m\",\"ReceivedAt\":\"2022-09-02T14:30:47Z\"")->key[0];
    uint64_t second =
        post(lab, "\"RecordType\":\"Open\",\"MessageID\":\"m\",\"ReceivedAt\":\"2022-09-02T14:30:48Z\"")->key[0];
    uint64_t again =
        post(lab, "\"RecordType\":\"Open\",\"MessageID\":\"m\",\"ReceivedAt\":\"2022-09-02T16:30:47+02:00\"")->key[0];
    NO(first == second);
    YES(first == again);
    lab_free(lab);
}

TEST(postmark, counts_what_it_cannot_use_and_answers_200)
{
    static const struct {
        const char *body, *reason;
    } cases[] = {
        { "", "no_object" },
        { "[]", "no_object" },
        { "{\"RecordType\":\"Open\"", "no_json" },
        { "{}", "no_type" },
        { "{\"RecordType\":\"Delivery\",\"Recipient\":\"jo@x.org\"}", "no_message" },
        { "{\"RecordType\":\"SubscriptionChange\",\"SuppressSending\":true}", "no_message" },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EQ(lab_post(lab, "postmark", NULL, str_of(cases[i].body), NULL), 200);
        EQ(lab->hook.verdict, HOOK_UNUSABLE);
        STR_EQ(str_of(lab->hook.events[0].reason), cases[i].reason);
    }
    lab_free(lab);
}

TEST(postmark, refuses_a_setting_without_a_colon)
{
    struct lab *lab = lab_new();
    const struct provider_format *format = provider_format_find(S("postmark"));
    EQ(format->check_key(&lab->op, S("user:password")), OK);
    EQ(format->check_key(&lab->op, S("password")), ERR_INVALID);
    lab_free(lab);
}
