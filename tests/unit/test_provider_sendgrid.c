#include "provider_lab.h"

#include "base/crypto.h"

/* The published vector of this scheme. */
#define KEY                                                                                                            \
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEjYO8hD470/g94+XsIXH3qDsKsxFfTIlymY1WLrLbic/pkgUYFqk1ubAlIjlT+byILR4gbc+EZj1"  \
    "TAsDorZV5Yw=="
#define SIGNATURE "MEUCIQDB9NxWFQ9c2joNsPFmapheNoy4iWGFEKcyx/+30RpGIQIgL9mTBIUNUoo07TTJjKcXyHBSUdfDlPjHNdgY/6nJfxo="
#define BODY      "[{\"event\":\"delivered\"}]"

#define SIGNATURE_HEADER "X-Twilio-Email-Event-Webhook-Signature"
#define TIMESTAMP_HEADER "X-Twilio-Email-Event-Webhook-Timestamp"

/* Everything but authentication: a source without a key in dev mode. */
static struct lab *open_lab(void)
{
    struct lab *lab = lab_new();
    lab->source.is_dev = true;
    return lab;
}

static const struct provider_event *post_item(struct lab *lab, const char *members)
{
    struct str body = arena_fmt(lab->arena,
                                "[{\"email\":\"Jo@x.org\",\"timestamp\":1712345678,\"sg_message_id\":\"abc.filter1.2\","
                                "\"sg_event_id\":\"e-1\",%s}]",
                                members);
    EQ(lab_post(lab, "sendgrid", "application/json", body, NULL), 200);
    EQ(lab->hook.n, 1);
    return &lab->hook.events[0];
}

static struct str reference(struct lab *lab, const char *members)
{
    struct str body =
        arena_fmt(lab->arena, "[{\"event\":\"dropped\",\"timestamp\":1,\"email\":\"jo@x.org\"%s}]", members);
    lab_post(lab, "sendgrid", NULL, body, NULL);
    return lab->hook.events[0].provider_message_id;
}

TEST(sendgrid, accepts_the_published_vector_and_refuses_changed_ones)
{
    static const struct {
        const char *headers[5];
        const char *body;
        int status;
    } cases[] = {
        { { SIGNATURE_HEADER, SIGNATURE, TIMESTAMP_HEADER, "1763751600", NULL }, BODY, 200 },
        { { SIGNATURE_HEADER, SIGNATURE, TIMESTAMP_HEADER, "1763751601", NULL }, BODY, 401 },
        { { SIGNATURE_HEADER, SIGNATURE, TIMESTAMP_HEADER, "1763751600", NULL }, BODY "\r\n", 401 },
        { { SIGNATURE_HEADER, SIGNATURE, TIMESTAMP_HEADER, "1763751600", NULL }, "[{\"event\":\"Delivered\"}]", 401 },
        { { SIGNATURE_HEADER, "MEUC", TIMESTAMP_HEADER, "1763751600", NULL }, BODY, 401 },
        { { SIGNATURE_HEADER, "not base64", TIMESTAMP_HEADER, "1763751600", NULL }, BODY, 401 },
        { { SIGNATURE_HEADER, SIGNATURE, NULL }, BODY, 401 },
        { { TIMESTAMP_HEADER, "1763751600", NULL }, BODY, 401 },
        { { NULL }, BODY, 401 },
    };
    struct lab *lab = lab_new();
    lab->source.signing_key = S(KEY);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EQ(lab_post(lab, "sendgrid", "application/json", str_of(cases[i].body), cases[i].headers), cases[i].status);
        EQ(lab->hook.n, cases[i].status == 200 ? 1 : 0);
    }
    lab_free(lab);
}

TEST(sendgrid, needs_a_key_unless_in_dev_mode)
{
    struct lab *lab = lab_new();
    EQ(lab_post(lab, "sendgrid", NULL, S("[]"), NULL), 401);
    lab->source.is_dev = true;
    EQ(lab_post(lab, "sendgrid", NULL, S("[]"), NULL), 200);
    lab_free(lab);
}

TEST(sendgrid, gives_each_type_its_kind)
{
    static const struct {
        const char *members;
        enum event_kind kind;
        enum suppression_reason suppress;
    } cases[] = {
        { "\"event\":\"processed\"", EVENT_SENDING, SUPPRESS_NOT },
        { "\"event\":\"deferred\",\"response\":\"400 try again\"", EVENT_DELAYED, SUPPRESS_NOT },
        { "\"event\":\"delivered\"", EVENT_DELIVERED, SUPPRESS_NOT },
        { "\"event\":\"bounce\",\"type\":\"bounce\"", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "\"event\":\"bounce\"", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "\"event\":\"bounce\",\"status\":\"5.7.1\"", EVENT_FAILED, SUPPRESS_NOT },
        { "\"event\":\"bounce\",\"type\":\"blocked\",\"status\":\"5.1.1\"", EVENT_GAVE_UP, SUPPRESS_NOT },
        { "\"event\":\"bounce\",\"type\":\"never-seen\"", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "\"event\":\"dropped\",\"reason\":\"Bounced Address\"", EVENT_FAILED, SUPPRESS_NOT },
        { "\"event\":\"dropped\",\"status\":\"5.1.1\"", EVENT_FAILED, SUPPRESS_BOUNCE },
        { "\"event\":\"open\"", EVENT_OPENED, SUPPRESS_NOT },
        { "\"event\":\"click\"", EVENT_CLICKED, SUPPRESS_NOT },
        { "\"event\":\"spamreport\"", EVENT_COMPLAINED, SUPPRESS_COMPLAINT },
        { "\"event\":\"unsubscribe\"", EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "\"event\":\"group_unsubscribe\"", EVENT_UNSUBSCRIBED, SUPPRESS_UNSUBSCRIBE },
        { "\"event\":\"group_resubscribe\"", EVENT_UNHANDLED, SUPPRESS_NOT },
        { "\"event\":\"account_status_change\"", EVENT_UNHANDLED, SUPPRESS_NOT },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct provider_event *event = post_item(lab, cases[i].members);
        EQ(event->kind, cases[i].kind);
        EQ(event->suppress, cases[i].suppress);
        STR_EQ(event->provider_message_id, "abc");
        STR_EQ(event->folded, "jo@x.org");
        EQ(event->at_us, 1712345678 * SECOND);
    }
    lab_free(lab);
}

TEST(sendgrid, reads_text_and_status_of_a_failure)
{
    struct lab *lab = open_lab();
    const struct provider_event *event =
        post_item(lab, "\"event\":\"bounce\",\"reason\":\"550 5.1.1 no such user\",\"status\":\"5.1.1\"");
    STR_EQ(event->text, "550 5.1.1 no such user");
    STR_EQ(event->enhanced, "5.1.1");
    EQ(event->code, EVENT_CODE_NONE);
    STR_EQ(post_item(lab, "\"event\":\"deferred\",\"response\":\"400 later\",\"attempt\":\"5\"")->text, "400 later");
    STR_EQ(post_item(lab, "\"event\":\"bounce\"")->text, "Error unknown");
    lab_free(lab);
}

TEST(sendgrid, keeps_url_agent_and_evidence_of_opens_and_clicks)
{
    struct lab *lab = open_lab();
    const struct provider_event *event =
        post_item(lab, "\"event\":\"click\",\"url\":\"http://x.org/\",\"ip\":\"203.0.113.9\",\"useragent\":\"A/1\"");
    STR_EQ(event->url, "http://x.org/");
    STR_EQ(event->ip, "203.0.113.9");
    STR_EQ(event->agent, "A/1");
    EQ(event->bits, 0);
    EQ(post_item(lab, "\"event\":\"open\",\"sg_machine_open\":true")->bits, BIT_PROVIDER);
    EQ(post_item(lab, "\"event\":\"open\",\"sg_machine_open\":false")->bits, 0);
    EQ(post_item(lab, "\"event\":\"open\",\"useragent\":\"Mozilla/5.0\"")->bits, BIT_MAIL_PROXY);
    EQ(post_item(lab, "\"event\":\"open\",\"useragent\":\"\"")->bits, BIT_AGENT);
    lab_free(lab);
}

TEST(sendgrid, cuts_message_ids_before_the_marks_of_its_machines)
{
    static const struct {
        const char *members, *id;
    } cases[] = {
        { ",\"sg_message_id\":\"Qm_Vl9dT0x-Ab.filterdrecv-h7m2-75.0\"", "Qm_Vl9dT0x-Ab" },
        { ",\"sg_message_id\":\"7f21a.ee.90b4.filter0003.20117.0\"", "7f21a.ee.90b4" },
        { ",\"sg_message_id\":\"Zk3v0.stfilter-007.41.0\"", "Zk3v0" },
        { ",\"sg_message_id\":\"abc.recvd-5bb.filter1\"", "abc" },
        { ",\"sg_message_id\":\"whole_text\"", "whole_text" },
        { ",\"sg_message_id\":\"filter0041h2.77.0\",\"smtp-id\":\"<Tq8s@host.example>\"", "Tq8s" },
        { ",\"sg_message_id\":\"filter..x\",\"smtp-id\":\"<Tq8s@host.example>\"", "Tq8s" },
        { ",\"sg_message_id\":\".filter..x\",\"smtp-id\":\"Tq8s@host\"", "Tq8s" },
        { ",\"smtp-id\":\"<7f21a.ee.90b4@host-12>\"", "7f21a.ee.90b4" },
        { ",\"sg_message_id\":\"filter1\"", "" },
        { "", "" },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        STR_EQ(reference(lab, cases[i].members), cases[i].id);
    lab_free(lab);
}

TEST(sendgrid, takes_own_arguments_from_the_top_level)
{
    struct lab *lab = open_lab();
    struct str body = S("[{\"event\":\"open\",\"timestamp\":1,\"email\":\"jo@x.org\",\"posthouse-mailing\":\"m-1\"},"
                        "{\"event\":\"open\",\"timestamp\":1,\"email\":\"jo@x.org\",\"newsletter\":{\"id\":\"1\"}},"
                        "{\"event\":\"open\",\"timestamp\":1,\"posthouse-message\":5}]");
    EQ(lab_post(lab, "sendgrid", NULL, body, NULL), 200);
    EQ(lab->hook.n, 3);
    EQ(lab->hook.events[0].kind, EVENT_OPENED);
    STR_EQ(lab->hook.events[0].mailing, "m-1");
    EQ(lab->hook.events[1].kind, EVENT_MALFORMED);
    STR_EQ(str_of(lab->hook.events[1].reason), "no_message");
    STR_EQ(lab->hook.events[2].message, "5");
    lab_free(lab);
}

TEST(sendgrid, takes_large_timestamps_for_milliseconds_and_bad_ones_for_none)
{
    static const struct {
        const char *time;
        int64_t at_us;
    } cases[] = {
        { "1701234567890", INT64_C(1701234567890000) },
        { "\"1701234567890\"", INT64_C(1701234567890000) },
        { "99999999999", INT64_C(99999999999000000) },
        { "100000000000", INT64_C(100000000000000) },
        { "1712345678.5", INT64_C(1712345678500000) },
        { "\"abc\"", LAB_NOW },
        { "null", LAB_NOW },
        { "99999999999999999999999", LAB_NOW },
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str body =
            arena_fmt(lab->arena, "[{\"event\":\"open\",\"sg_message_id\":\"a\",\"timestamp\":%s}]", cases[i].time);
        lab_post(lab, "sendgrid", NULL, body, NULL);
        EQ(lab->hook.events[0].kind, EVENT_OPENED);
        EQ(lab->hook.events[0].at_us, cases[i].at_us);
        EQ(lab->hook.events[0].is_reported, cases[i].at_us != LAB_NOW);
    }
    lab_free(lab);
}

TEST(sendgrid, gives_one_event_id_under_several_types_several_keys)
{
    struct lab *lab = open_lab();
    uint64_t open = post_item(lab, "\"event\":\"open\"")->key[0];
    uint64_t click = post_item(lab, "\"event\":\"click\"")->key[0];
    NO(open == click);
    YES(post_item(lab, "\"event\":\"open\",\"category\":[\"x\"]")->key[0] == open);
    lab_free(lab);
}

TEST(sendgrid, counts_what_it_cannot_use_and_answers_200)
{
    static const char *const bodies[] = {
        "", "no json", "[{\"event\":\"open\"", "7", "[null]", "[{\"event\":\"open\"}]"
    };
    struct lab *lab = open_lab();
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        EQ(lab_post(lab, "sendgrid", NULL, str_of(bodies[i]), NULL), 200);
        EQ(lab->hook.verdict, HOOK_UNUSABLE);
        EQ(lab->hook.n, 1);
        EQ(lab->hook.events[0].kind, EVENT_MALFORMED);
    }
    EQ(lab_post(lab, "sendgrid", NULL, S("[{\"event\":\"open\",\"sg_message_id\":\"a\"},[]]"), NULL), 200);
    EQ(lab->hook.verdict, HOOK_ACCEPTED);
    EQ(lab->hook.events[1].kind, EVENT_MALFORMED);
    lab_free(lab);
}

TEST(sendgrid, marks_events_dated_in_the_future)
{
    struct lab *lab = open_lab();
    struct str body = arena_fmt(lab->arena,
                                "[{\"event\":\"open\",\"sg_message_id\":\"a\",\"timestamp\":%" PRId64
                                "},{\"event\":\"open\",\"sg_message_id\":\"a\",\"timestamp\":%" PRId64 "}]",
                                LAB_NOW / SECOND + 60, LAB_NOW / SECOND + 61);
    lab_post(lab, "sendgrid", NULL, body, NULL);
    NO(lab->hook.events[0].is_future);
    YES(lab->hook.events[1].is_future);
    lab_free(lab);
}

TEST(sendgrid, refuses_a_setting_that_is_no_public_key)
{
    struct lab *lab = lab_new();
    const struct provider_format *format = provider_format_find(S("sendgrid"));
    EQ(format->check_key(&lab->op, S(KEY)), OK);
    EQ(format->check_key(&lab->op, S("secret")), ERR_INVALID);
    lab_free(lab);
}
