#include "provider_lab.h"

#include "engine/provider_item.h"

static struct provider_event failure(struct lab *lab, struct str code, struct str enhanced, struct str text)
{
    struct provider_event event = { .code = EVENT_CODE_NONE };
    SUCCEEDS(&lab->op, item_set_failure(&lab->op, &event, code, enhanced, text));
    return event;
}

TEST(provider_item, takes_the_one_address_of_a_to_field)
{
    STR_EQ(item_address(S("jo@x.org")), "jo@x.org");
    STR_EQ(item_address(S("Jo <jo@x.org>")), "jo@x.org");
    STR_EQ(item_address(S(" \"Doe, Jo <a@b.c>\" <jo@x.org> ")), "jo@x.org");
    STR_EQ(item_address(S("Jo (home, not work) <jo@x.org>,")), "jo@x.org");
    STR_EQ(item_address(S("\"a \\\" , b\" <jo@x.org>")), "jo@x.org");
}

TEST(provider_item, takes_no_address_of_a_field_with_several_or_none)
{
    NO(str_given(item_address(S("jo@x.org, mo@x.org"))));
    NO(str_given(item_address(S("Jo <jo@x.org>, Mo <mo@x.org>"))));
    NO(str_given(item_address(S("undisclosed-recipients:;"))));
    NO(str_given(item_address(S("Jo"))));
    NO(str_given(item_address(S(""))));
    NO(str_given(item_address(str_of(NULL))));
    NO(str_given(item_address(S("\"never closed <jo@x.org>"))));
}

TEST(provider_item, reads_a_code_that_is_an_integer)
{
    struct lab *lab = lab_new();
    struct provider_event event = failure(lab, S("550"), S("5.1.1"), S("no such user"));
    EQ(event.code, 550);
    STR_EQ(event.enhanced, "5.1.1");
    STR_EQ(event.text, "no such user");
    lab_free(lab);
}

TEST(provider_item, takes_a_dotted_code_for_an_enhanced_one)
{
    struct lab *lab = lab_new();
    struct provider_event event = failure(lab, S("5.1.1"), str_of(NULL), S("gone"));
    EQ(event.code, EVENT_CODE_NONE);
    STR_EQ(event.enhanced, "5.1.1");
    STR_EQ(event.text, "gone");
    lab_free(lab);
}

TEST(provider_item, puts_a_code_that_is_no_integer_in_front_of_the_text)
{
    struct lab *lab = lab_new();
    struct provider_event event = failure(lab, S("5xx"), str_of(NULL), S("gone"));
    EQ(event.code, EVENT_CODE_NONE);
    STR_EQ(event.text, "5xx gone");
    STR_EQ(failure(lab, S("550.5"), S(""), S("")).text, "550.5");
    STR_EQ(failure(lab, S("99999999999"), S(""), S("x")).text, "99999999999 x");
    lab_free(lab);
}

TEST(provider_item, gives_a_failure_without_text_the_fallback)
{
    struct lab *lab = lab_new();
    STR_EQ(failure(lab, S("550"), S("5.1.1"), S("")).text, "Error 5.1.1");
    STR_EQ(failure(lab, S("550"), str_of(NULL), str_of(NULL)).text, "Error 550");
    STR_EQ(failure(lab, str_of(NULL), str_of(NULL), S(" \n")).text, "Error unknown");
    lab_free(lab);
}

TEST(provider_item, cuts_texts_at_2000_characters_and_enhanced_codes_at_50_bytes)
{
    struct lab *lab = lab_new();
    char text[3 * EVENT_TEXT_CHARS_MAX];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "\xC3\xA9", 2);
    struct provider_event event = failure(lab, S(""), S(""), (struct str){ text, sizeof text });
    EQ(event.text.n, 2 * EVENT_TEXT_CHARS_MAX);
    event = failure(lab, S(""), (struct str){ text, 60 }, (struct str){ text, 2 * EVENT_TEXT_CHARS_MAX });
    EQ(event.enhanced.n, EVENT_ENHANCED_BYTES_MAX);
    EQ(event.text.n, 2 * EVENT_TEXT_CHARS_MAX);
    lab_free(lab);
}

TEST(provider_item, keeps_line_feeds_inside_texts_and_makes_nul_a_blank)
{
    struct lab *lab = lab_new();
    STR_EQ(failure(lab, S(""), S(""), S("one\ntwo")).text, "one\ntwo");
    STR_EQ(failure(lab, S(""), S(""), S("one\0two")).text, "one two");
    lab_free(lab);
}

TEST(provider_item, knows_which_enhanced_codes_condemn_an_address)
{
    static const char *const dead[] = { "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4" };
    static const char *const alive[] = { "5.1.0", "5.1.11", "5.2.2", "5.7.1", "4.1.1", "5.0.0", "" };
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++)
        YES(item_is_dead_address(str_of(dead[i])));
    for (size_t i = 0; i < sizeof alive / sizeof alive[0]; i++)
        NO(item_is_dead_address(str_of(alive[i])));
    YES(item_is_policy(S("5.7.26")));
    YES(item_is_policy(S("5.3.4")));
    YES(item_is_policy(S("5.6.0")));
    NO(item_is_policy(S("5.1.1")));
}

TEST(provider_item, lets_posthouse_mailing_beat_email_id_in_any_order)
{
    struct provider_event event = { 0 };
    item_variable(&event, S("email-id"), S("e-1"));
    item_variable(&event, S("posthouse-mailing"), S("m-1"));
    item_variable(&event, S("email-id"), S("e-2"));
    item_variable(&event, S("posthouse-message"), S("msg-1"));
    item_variable(&event, S("posthouse-other"), S("x"));
    STR_EQ(event.mailing, "m-1");
    STR_EQ(event.message, "msg-1");
}

TEST(provider_item, ignores_references_that_no_message_can_have)
{
    struct provider_event event = { 0 };
    char text[1100];
    memset(text, 'a', sizeof text);
    item_variable(&event, S("posthouse-message"), S(""));
    item_variable(&event, S("posthouse-message"), (struct str){ text, EVENT_ID_BYTES_MAX + 1 });
    item_variable(&event, S("posthouse-message"), S("a\0b"));
    item_set_recipient(&event, (struct str){ text, EVENT_RECIPIENT_BYTES_MAX + 1 });
    item_set_recipient(&event, S("  "));
    item_set_reference(&event, S("<>"));
    item_set_reference(&event, (struct str){ text, EVENT_REF_BYTES_MAX + 1 });
    NO(str_given(event.message));
    NO(str_given(event.recipient));
    NO(str_given(event.provider_message_id));
    item_variable(&event, S("posthouse-message"), (struct str){ text, EVENT_ID_BYTES_MAX });
    item_set_recipient(&event, (struct str){ text, EVENT_RECIPIENT_BYTES_MAX });
    item_set_reference(&event, S("<1@x>"));
    EQ(event.message.n, EVENT_ID_BYTES_MAX);
    EQ(event.recipient.n, EVENT_RECIPIENT_BYTES_MAX);
    STR_EQ(event.provider_message_id, "1@x");
}
