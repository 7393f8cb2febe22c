#include "provider_lab.h"

#include "base/crypto.h"
#include "base/hex.h"

#define KEY   "key-posthouse-test"
#define TOKEN "a8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0"
#define FORM  "application/x-www-form-urlencoded"
#define JSON  "application/json"

/* The published vector of this scheme; its timestamp is of 2018. */
#define VECTOR_TIME      "1529006854"
#define VECTOR_SIGNATURE "dc48aade9d746758e940def8f084bd646b8c9f5c15ac1d6007adf742619e1b4e"

#define EVENT_DATA                                                                                                     \
    "{\"event\":\"delivered\",\"id\":\"d-1\",\"timestamp\":1794999990.25,\"recipient\":\"jo@x.org\",\"message\":{"     \
    "\"headers\":{\"message-id\":\"1@mg.example\"}}}"

static struct lab *hook_lab(void)
{
    struct lab *lab = lab_new();
    lab->source.signing_key = S(KEY);
    return lab;
}

static struct str sign(struct lab *lab, const char *timestamp, const char *token)
{
    uint8_t mac[CRYPTO_SHA256_BYTES];
    struct str parts[] = { str_of(timestamp), str_of(token) };
    crypto_hmac_sha256(S(KEY), parts, 2, mac);
    return hex_str(lab->arena, mac, sizeof mac);
}

/* Posts JSON that is signed at that second. */
static int post_at(struct lab *lab, int64_t at_s, const char *event_data)
{
    struct str time = arena_fmt(lab->arena, "%" PRId64, at_s);
    struct str body = arena_fmt(lab->arena,
                                "{\"signature\":{\"timestamp\":\"%s\",\"token\":\"" TOKEN "\",\"signature\":\"%s\"},"
                                "\"event-data\":%s}",
                                time.p, sign(lab, time.p, TOKEN).p, event_data);
    return lab_post(lab, "mailgun", JSON, body, NULL);
}

static int post_json(struct lab *lab, const char *event_data)
{
    return post_at(lab, LAB_NOW / SECOND, event_data);
}

/* Posts a form with the proof behind its fields. */
static int post_form(struct lab *lab, const char *fields)
{
    struct str body = arena_fmt(lab->arena, "%s&timestamp=1794999999&token=" TOKEN "&signature=%s", fields,
                                sign(lab, "1794999999", TOKEN).p);
    return lab_post(lab, "mailgun", FORM, body, NULL);
}

TEST(mailgun_hook, accepts_a_signed_event)
{
    struct lab *lab = hook_lab();
    EQ(post_json(lab, EVENT_DATA), 200);
    EQ(lab->hook.verdict, HOOK_ACCEPTED);
    EQ(lab->hook.n, 1);
    EQ(lab->hook.events[0].kind, EVENT_DELIVERED);
    STR_EQ(lab->hook.events[0].provider_message_id, "1@mg.example");
    EQ(lab->hook.events[0].at_us, 1794999990 * SECOND + 250000);
    lab_free(lab);
}

TEST(mailgun_hook, gives_the_key_that_a_page_gives)
{
    struct lab *lab = hook_lab();
    post_json(lab, EVENT_DATA);
    struct provider_event hooked = lab->hook.events[0];
    const struct provider_event *read = lab_item(lab, EVENT_DATA);
    EQ(read->day, hooked.day);
    YES(read->key[0] == hooked.key[0] && read->key[1] == hooked.key[1]);
    lab_free(lab);
}

TEST(mailgun_hook, accepts_the_published_vector_and_refuses_each_changed_byte)
{
    static const char *const proofs[][3] = {
        { VECTOR_TIME, TOKEN, VECTOR_SIGNATURE },
        { VECTOR_TIME, TOKEN, "ec48aade9d746758e940def8f084bd646b8c9f5c15ac1d6007adf742619e1b4e" },
        { VECTOR_TIME, "b8ce0edb2dd8301dee6c2405235584e45aa91d1e9f979f3de0", VECTOR_SIGNATURE },
        { "1529006855", TOKEN, VECTOR_SIGNATURE },
        { VECTOR_TIME, TOKEN, "dc48aade9d746758e940def8f084bd646b8c9f5c15ac1d6007adf742619e1b4" },
        { VECTOR_TIME, TOKEN, "" },
    };
    struct lab *lab = hook_lab();
    lab->source.tolerance_us = LAB_NOW; /* wide enough for a timestamp of 2018 */
    for (size_t i = 0; i < sizeof proofs / sizeof proofs[0]; i++) {
        struct str body =
            arena_fmt(lab->arena,
                      "{\"event-data\":%s,\"signature\":{\"signature\":\"%s\",\"token\":\"%s\",\"timestamp\":%s}}",
                      EVENT_DATA, proofs[i][2], proofs[i][1], proofs[i][0]);
        EQ(lab_post(lab, "mailgun", JSON, body, NULL), i == 0 ? 200 : 401);
        EQ(lab->hook.n, i == 0 ? 1 : 0);
    }
    lab_free(lab);
}

TEST(mailgun_hook, refuses_a_missing_signature)
{
    static const char *const bodies[] = {
        "{\"event-data\":" EVENT_DATA "}",
        "{\"signature\":null,\"event-data\":" EVENT_DATA "}",
        "{\"signature\":{\"timestamp\":\"1795000000\",\"token\":\"t\"},\"event-data\":" EVENT_DATA "}",
        "{}",
    };
    struct lab *lab = hook_lab();
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        EQ(lab_post(lab, "mailgun", JSON, str_of(bodies[i]), NULL), 401);
        YES(lab->hook.complaint != NULL);
        NO(str_given(lab->hook.replay_token));
    }
    EQ(lab_post(lab, "mailgun", FORM, S("event=delivered&recipient=jo%40x.org"), NULL), 401);
    lab_free(lab);
}

TEST(mailgun_hook, refuses_signatures_older_than_nine_hours_or_five_minutes_ahead)
{
    struct lab *lab = hook_lab();
    int64_t now_s = LAB_NOW / SECOND;
    EQ(post_at(lab, now_s - 9 * 3600, EVENT_DATA), 200);
    EQ(post_at(lab, now_s - 9 * 3600 - 1, EVENT_DATA), 401);
    EQ(post_at(lab, now_s + 300, EVENT_DATA), 200);
    EQ(post_at(lab, now_s + 301, EVENT_DATA), 401);
    lab->source.tolerance_us = 60 * SECOND;
    EQ(post_at(lab, now_s - 60, EVENT_DATA), 200);
    EQ(post_at(lab, now_s - 61, EVENT_DATA), 401);
    lab_free(lab);
}

TEST(mailgun_hook, says_which_token_and_body_to_remember_and_how_long)
{
    struct lab *lab = hook_lab();
    uint8_t first[PROVIDER_BODY_HASH_BYTES];
    post_json(lab, EVENT_DATA);
    STR_EQ(lab->hook.replay_token, TOKEN);
    memcpy(first, lab->hook.body_hash, sizeof first);
    YES(lab->hook.replay_until_us >= LAB_NOW + 24 * 3600 * SECOND);
    post_json(lab, EVENT_DATA);
    EQ(memcmp(first, lab->hook.body_hash, sizeof first), 0);
    post_json(lab, EVENT_DATA " ");
    NE(memcmp(first, lab->hook.body_hash, sizeof first), 0);
    lab->source.tolerance_us = 48 * 3600 * SECOND;
    post_json(lab, EVENT_DATA);
    YES(lab->hook.replay_until_us >= LAB_NOW + 48 * 3600 * SECOND);
    lab_free(lab);
}

TEST(mailgun_hook, answers_406_to_authentic_bodies_that_cannot_be_used)
{
    static const struct {
        const char *event_data, *reason;
    } cases[] = {
        { "null", "no_object" },
        { "[]", "no_object" },
        { "{}", "no_type" },
        { "{\"event\":\"clicked\",\"timestamp\":1}", "no_message" },
        { "{\"event\":\"clicked\",\"timestamp\":\"abc\"}", "no_time" },
    };
    struct lab *lab = hook_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        EQ(post_json(lab, cases[i].event_data), 406);
        EQ(lab->hook.verdict, HOOK_UNUSABLE);
        EQ(lab->hook.n, 1);
        STR_EQ(str_of(lab->hook.events[0].reason), cases[i].reason);
        YES(lab->hook.events[0].raw.n > 0);
    }
    lab_free(lab);
}

TEST(mailgun_hook, accepts_types_of_no_interest)
{
    struct lab *lab = hook_lab();
    EQ(post_json(lab, "{\"event\":\"accepted\",\"delivery-status\":null}"), 200);
    EQ(lab->hook.events[0].kind, EVENT_UNHANDLED);
    lab_free(lab);
}

TEST(mailgun_hook, answers_400_to_what_is_neither_json_nor_form)
{
    struct lab *lab = hook_lab();
    EQ(lab_post(lab, "mailgun", JSON, S("{\"signature\":"), NULL), 400);
    EQ(lab_post(lab, "mailgun", JSON, S("hello"), NULL), 400);
    EQ(lab_post(lab, "mailgun", "text/xml", S("<a b=\"c\"/>"), NULL), 400);
    EQ(lab_post(lab, "mailgun", NULL, S("hello"), NULL), 400);
    EQ(lab_post(lab, "mailgun", FORM, S(""), NULL), 400);
    lab_free(lab);
}

TEST(mailgun_hook, reads_json_whatever_the_content_type_says)
{
    struct lab *lab = hook_lab();
    struct str time = arena_fmt(lab->arena, "%" PRId64, LAB_NOW / SECOND);
    struct str body = arena_fmt(lab->arena,
                                "\n {\"signature\":{\"timestamp\":%s,\"token\":\"" TOKEN
                                "\",\"signature\":\"%s\"},\"event-data\":%s}",
                                time.p, sign(lab, time.p, TOKEN).p, EVENT_DATA);
    EQ(lab_post(lab, "mailgun", FORM, body, NULL), 200);
    EQ(lab_post(lab, "mailgun", NULL, body, NULL), 200);
    lab_free(lab);
}

TEST(mailgun_hook, needs_a_key_unless_in_dev_mode)
{
    struct lab *lab = lab_new();
    struct str body = S("{\"event-data\":" EVENT_DATA "}");
    EQ(lab_post(lab, "mailgun", JSON, body, NULL), 401);
    lab->source.is_dev = true;
    EQ(lab_post(lab, "mailgun", JSON, body, NULL), 200);
    EQ(lab->hook.n, 1);
    NO(str_given(lab->hook.replay_token));
    lab->source.signing_key = S(KEY);
    EQ(lab_post(lab, "mailgun", JSON, body, NULL), 401);
    lab_free(lab);
}

TEST(mailgun_form, gives_legacy_types_their_words_of_today)
{
    static const struct {
        const char *event;
        enum event_kind kind;
        const char *type;
    } cases[] = {
        { "delivered", EVENT_DELIVERED, "delivered" },
        { "opened", EVENT_OPENED, "opened" },
        { "clicked", EVENT_CLICKED, "clicked" },
        { "complained", EVENT_COMPLAINED, "complained" },
        { "unsubscribed", EVENT_UNSUBSCRIBED, "unsubscribed" },
        { "bounced", EVENT_FAILED, "failed" },
        { "dropped", EVENT_FAILED, "failed" },
        { "stored", EVENT_UNHANDLED, "stored" },
    };
    struct lab *lab = hook_lab();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str form =
            arena_fmt(lab->arena, "event=%s&recipient=jo%%40x.org&Message-Id=%%3C1%%40mg%%3E", cases[i].event);
        EQ(post_form(lab, form.p), 200);
        EQ(lab->hook.events[0].kind, cases[i].kind);
        STR_EQ(str_of(lab->hook.events[0].type), cases[i].type);
        STR_EQ(lab->hook.events[0].recipient, "jo@x.org");
        STR_EQ(lab->hook.events[0].provider_message_id, "1@mg");
        EQ(lab->hook.events[0].at_us, 1794999999 * SECOND);
        STR_EQ(lab->hook.replay_token, TOKEN);
    }
    lab_free(lab);
}

TEST(mailgun_form, reads_text_and_code_of_a_bounce)
{
    struct lab *lab = hook_lab();
    post_form(lab, "event=bounced&Message-Id=1&code=550&error=5.1.1+no+such+user&notification=n");
    EQ(lab->hook.events[0].code, 550);
    STR_EQ(lab->hook.events[0].text, "5.1.1 no such user");
    EQ(lab->hook.events[0].suppress, SUPPRESS_NOT);

    post_form(lab, "event=bounced&Message-Id=1&code=5.1.1&error=&notification=from+the+host");
    EQ(lab->hook.events[0].code, EVENT_CODE_NONE);
    STR_EQ(lab->hook.events[0].enhanced, "5.1.1");
    STR_EQ(lab->hook.events[0].text, "from the host");
    EQ(lab->hook.events[0].suppress, SUPPRESS_BOUNCE);
    lab_free(lab);
}

TEST(mailgun_form, takes_a_drop_for_permanent_and_its_code_before_its_reason)
{
    struct lab *lab = hook_lab();
    post_form(lab, "event=dropped&Message-Id=1&code=607&reason=hardfail&description=marked+as+spam&error=e");
    EQ(lab->hook.events[0].kind, EVENT_FAILED);
    EQ(lab->hook.events[0].suppress, SUPPRESS_COMPLAINT);
    STR_EQ(lab->hook.events[0].text, "marked as spam");

    post_form(lab, "event=dropped&Message-Id=1&reason=old&code=602&error=too+old");
    EQ(lab->hook.events[0].kind, EVENT_FAILED);
    EQ(lab->hook.events[0].suppress, SUPPRESS_NOT);
    STR_EQ(lab->hook.events[0].text, "too old");
    lab_free(lab);
}

TEST(mailgun_form, takes_the_last_proof_and_the_first_of_every_other_field)
{
    struct lab *lab = hook_lab();
    EQ(post_form(lab, "timestamp=1&token=mine&signature=00&event=clicked&event=opened&recipient=a%40x.org&"
                      "recipient=b%40x.org&url=http%3A%2F%2Fone&url=two&Message-Id=1&Message-Id=2"),
       200);
    EQ(lab->hook.events[0].kind, EVENT_CLICKED);
    STR_EQ(lab->hook.events[0].recipient, "a@x.org");
    STR_EQ(lab->hook.events[0].url, "http://one");
    STR_EQ(lab->hook.events[0].provider_message_id, "1");
    EQ(lab->hook.events[0].at_us, 1794999999 * SECOND);
    lab_free(lab);
}

TEST(mailgun_form, finds_variables_beside_the_other_fields)
{
    struct lab *lab = hook_lab();
    EQ(post_form(lab, "event=opened&recipient=a%40x.org&posthouse-mailing=m-1&email-id=e-1&tag=x&tag=y&"
                      "user-agent=curl%2F8&ip=198.51.100.3"),
       200);
    STR_EQ(lab->hook.events[0].mailing, "m-1");
    EQ(lab->hook.events[0].bits, BIT_AGENT | BIT_RANGE);
    EQ(post_form(lab, "event=opened&posthouse-message=msg-1"), 200);
    STR_EQ(lab->hook.events[0].message, "msg-1");
    lab_free(lab);
}

TEST(mailgun_form, looks_into_the_message_headers_for_what_is_missing)
{
    struct lab *lab = hook_lab();
    EQ(post_form(lab,
                 "event=delivered&message-headers=[[\"Sender\",\"x\"],[],[\"To\"],7,[\"X\",[\"a\",{}]],"
                 "[\"Message-Id\",\"<9@mg>\"],[\"X-Mailgun-Variables\",\"{\\\"posthouse-mailing\\\":\\\"m\\\"}\"]]"),
       200);
    STR_EQ(lab->hook.events[0].provider_message_id, "9@mg");
    STR_EQ(lab->hook.events[0].mailing, "m");
    EQ(post_form(lab, "event=delivered&Message-Id=1&message-headers=[[\"Message-Id\",\"<9@mg>\"]"), 200);
    STR_EQ(lab->hook.events[0].provider_message_id, "1");
    EQ(post_form(lab, "event=delivered&message-headers=nothing"), 406);
    lab_free(lab);
}

TEST(mailgun_form, mends_bytes_that_are_no_utf8)
{
    struct lab *lab = hook_lab();
    EQ(post_form(lab, "event=bounced&Message-Id=1&error=caf%E9+%C3%A9+%F0%9F&recipient=%FF%40x.org"), 200);
    STR_EQ(lab->hook.events[0].text, "caf\xEF\xBF\xBD \xC3\xA9 \xEF\xBF\xBD");
    STR_EQ(lab->hook.events[0].recipient, "\xEF\xBF\xBD@x.org");
    lab_free(lab);
}

TEST(mailgun_form, gives_equal_posts_equal_keys_without_an_id)
{
    struct lab *lab = hook_lab();
    post_form(lab, "event=opened&recipient=Jo%40X.org&Message-Id=1");
    uint64_t key = lab->hook.events[0].key[0];
    post_form(lab, "event=opened&recipient=jo%40x.org&Message-Id=%3C1%3E&tag=new");
    YES(lab->hook.events[0].key[0] == key);
    post_form(lab, "event=opened&recipient=mo%40x.org&Message-Id=1");
    NO(lab->hook.events[0].key[0] == key);
    lab_free(lab);
}
