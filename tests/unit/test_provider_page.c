#include "provider_lab.h"

#include "base/json.h"

/* An item of the given type with a time, a recipient and a message; `more` are further members, each with a comma. */
#define ITEM(type, more)                                                                                               \
    "{\"event\":\"" type "\",\"id\":\"id-1\",\"timestamp\":1700000000.5,\"recipient\":\"jo@x.org\"," more              \
    "\"message\":{\"headers\":{\"message-id\":\"1@mg.example\"}}}"

#define FAILED(severity, status) ITEM("failed", severity "\"delivery-status\":" status ",")

static enum err parse(struct lab *lab, enum provider_api api, struct str bytes)
{
    struct provider_page page;
    return provider_page_parse(&lab->op, &lab->source, api, bytes, 0, LAB_NOW, &page);
}

static struct str next_of(struct lab *lab, const char *url)
{
    struct str bytes = arena_fmt(lab->arena, "{\"items\":[],\"paging\":{\"next\":\"%s\"}}", url);
    return lab_page(lab, PROVIDER_API_EVENTS, bytes)->next;
}

TEST(page, reads_items_token_and_count)
{
    struct lab *lab = lab_new();
    const struct provider_page *page =
        lab_page(lab, PROVIDER_API_EVENTS,
                 S("{\"items\":[" ITEM("delivered", "") "," ITEM("opened", "") "," ITEM(
                     "accepted",
                     "") "],\"paging\":{\"previous\":\"x/p\",\"next\":\"https://api.mailgun.net/v3/mg/events/tok\"}}"));
    EQ(page->n, 3);
    EQ(page->item_n, 3);
    EQ(page->dropped_n, 0);
    EQ(page->last_us, 1700000000 * SECOND + 500000);
    STR_EQ(page->next, "tok");
    EQ(page->events[0].kind, EVENT_DELIVERED);
    STR_EQ(page->events[0].provider_message_id, "1@mg.example");
    STR_EQ(page->events[0].recipient, "jo@x.org");
    STR_EQ(page->events[0].event_id, "id-1");
    EQ(page->events[1].kind, EVENT_OPENED);
    EQ(page->events[2].kind, EVENT_UNHANDLED);
    lab_free(lab);
}

TEST(page, gives_each_type_its_kind_and_word)
{
    static const struct {
        const char *item;
        enum event_kind kind;
        const char *type;
        enum suppression_reason suppress;
    } cases[] = {
        { ITEM("delivered", ""), EVENT_DELIVERED, "delivered", SUPPRESS_NOT },
        { ITEM("opened", ""), EVENT_OPENED, "opened", SUPPRESS_NOT },
        { ITEM("clicked", ""), EVENT_CLICKED, "clicked", SUPPRESS_NOT },
        { ITEM("complained", ""), EVENT_COMPLAINED, "complained", SUPPRESS_COMPLAINT },
        { ITEM("unsubscribed", ""), EVENT_UNSUBSCRIBED, "unsubscribed", SUPPRESS_UNSUBSCRIBE },
        { ITEM("rejected", ""), EVENT_FAILED, "rejected", SUPPRESS_NOT },
        { ITEM("failed", "\"severity\":\"permanent\","), EVENT_FAILED, "failed", SUPPRESS_NOT },
        { ITEM("failed", "\"severity\":\"temporary\","), EVENT_DELAYED, "failed", SUPPRESS_NOT },
        { ITEM("accepted", ""), EVENT_UNHANDLED, "accepted", SUPPRESS_NOT },
        { ITEM("stored", ""), EVENT_UNHANDLED, "stored", SUPPRESS_NOT },
        { ITEM("list_member_uploaded", ""), EVENT_UNHANDLED, "list_member_uploaded", SUPPRESS_NOT },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct provider_event *event = lab_item(lab, cases[i].item);
        EQ(event->kind, cases[i].kind);
        STR_EQ(str_of(event->type), cases[i].type);
        EQ(event->suppress, cases[i].suppress);
        YES((event->key[0] != 0) == (cases[i].kind != EVENT_UNHANDLED));
    }
    lab_free(lab);
}

TEST(page, decides_about_uninteresting_types_before_asking_for_anything_else)
{
    struct lab *lab = lab_new();
    EQ(lab_item(lab, "{\"event\":\"something_new\"}")->kind, EVENT_UNHANDLED);
    EQ(lab_item(lab, "{\"event\":\"stored\",\"message\":{\"recipients\":[\"a@x.org\"]},\"timestamp\":\"abc\"}")->kind,
       EVENT_UNHANDLED);
    lab_free(lab);
}

TEST(page, does_not_take_a_type_for_a_known_one_that_only_begins_like_it)
{
    struct lab *lab = lab_new();
    EQ(lab_item(lab, "{\"event\":\"open\"}")->kind, EVENT_UNHANDLED);
    EQ(lab_item(lab, "{\"event\":\"openedly\"}")->kind, EVENT_UNHANDLED);
    EQ(lab_item(lab, "{\"event\":\"opened\\u0000xyz\"}")->kind, EVENT_UNHANDLED);
    EQ(lab_item(lab, "{\"event\":\"Opened\"}")->kind, EVENT_UNHANDLED);
    lab_free(lab);
}

TEST(page, cuts_times_to_microseconds_whether_number_or_text)
{
    static const struct {
        const char *time;
        int64_t at_us;
    } cases[] = {
        { "1666214138.4046676", 1666214138404667 }, { "1666214138.9999999", 1666214138999999 },
        { "\"1666214138.40\"", 1666214138400000 },  { "1666214138", 1666214138000000 },
        { "\"1666214138\"", 1666214138000000 },     { "1666214138.000001", 1666214138000001 },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str item = arena_fmt(lab->arena, "{\"event\":\"opened\",\"timestamp\":%s}", cases[i].time);
        EQ(lab_item(lab, item.p)->at_us, cases[i].at_us);
        YES(lab_item(lab, item.p)->is_reported);
    }
    lab_free(lab);
}

TEST(page, keeps_the_window_closed_at_its_begin_and_open_at_its_end)
{
    struct lab *lab = lab_new();
    struct str bytes = S("{\"items\":["
                         "{\"event\":\"opened\",\"timestamp\":99.999999},"
                         "{\"event\":\"opened\",\"timestamp\":100},"
                         "{\"event\":\"accepted\",\"timestamp\":150},"
                         "{\"event\":\"opened\",\"timestamp\":199.9999999},"
                         "{\"event\":\"opened\",\"timestamp\":200},"
                         "{\"event\":\"accepted\",\"timestamp\":201},"
                         "{\"event\":\"opened\",\"timestamp\":\"abc\"}]}");
    struct provider_page page;
    SUCCEEDS(&lab->op, provider_page_parse(&lab->op, &lab->source, PROVIDER_API_EVENTS, bytes, 100 * SECOND,
                                           200 * SECOND, &page));
    EQ(page.item_n, 7);
    EQ(page.dropped_n, 3);
    EQ(page.n, 4);
    EQ(page.events[0].at_us, 100 * SECOND);
    EQ(page.events[2].at_us, 200 * SECOND - 1);
    EQ(page.events[3].kind, EVENT_MALFORMED);
    EQ(page.last_us, 200 * SECOND - 1);
    lab_free(lab);
}

TEST(page, marks_what_is_dated_more_than_a_minute_ahead)
{
    struct lab *lab = lab_new();
    struct str bytes = arena_fmt(lab->arena,
                                 "{\"items\":[{\"event\":\"opened\",\"timestamp\":%" PRId64
                                 ".000001},{\"event\":\"opened\",\"timestamp\":%" PRId64 "}]}",
                                 LAB_NOW / SECOND + 60, LAB_NOW / SECOND + 60);
    const struct provider_page *page = lab_page(lab, PROVIDER_API_EVENTS, bytes);
    EQ(page->n, 1); /* the second is not in the future, only outside of the window */
    YES(page->events[0].is_future);
    EQ(page->dropped_n, 1);
    EQ(page->last_us, INT64_MIN);
    lab_free(lab);
}

TEST(page, lets_one_bad_item_cost_itself)
{
    static const struct {
        const char *item, *reason;
    } cases[] = {
        { "null", "no_object" },
        { "[]", "no_object" },
        { "7", "no_object" },
        { "{}", "no_type" },
        { "{\"event\":null}", "no_type" },
        { "{\"event\":\"\"}", "no_type" },
        { "{\"event\":7}", "no_type" },
        { "{\"event\":\"opened\",\"recipient\":\"jo@x.org\"}", "no_time" },
        { "{\"event\":\"opened\",\"timestamp\":\"abc\"}", "no_time" },
        { "{\"event\":\"opened\",\"timestamp\":null}", "no_time" },
        { "{\"event\":\"opened\",\"timestamp\":-1}", "no_time" },
        { "{\"event\":\"opened\",\"timestamp\":1,\"message\":null}", "no_message" },
        { "{\"event\":\"opened\",\"timestamp\":1,\"message\":{\"headers\":null}}", "no_message" },
        { "{\"event\":\"opened\",\"timestamp\":1,\"message\":{\"headers\":{\"message-id\":\"\"}}}", "no_message" },
        { "{\"event\":\"opened\",\"timestamp\":1,\"recipient\":\"jo@x.org\",\"user-variables\":\"oops\"}",
          "no_message" },
        { "{\"event\":\"opened\",\"timestamp\":1,\"user-variables\":{\"posthouse-mailing\":\"m\"}}", "no_recipient" },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str bytes =
            arena_fmt(lab->arena, "{\"items\":[%s, %s ,%s]}", ITEM("opened", ""), cases[i].item, ITEM("clicked", ""));
        const struct provider_page *page = lab_page(lab, PROVIDER_API_EVENTS, bytes);
        EQ(page->n, 3);
        EQ(page->events[0].kind, EVENT_OPENED);
        EQ(page->events[1].kind, EVENT_MALFORMED);
        STR_EQ(str_of(page->events[1].reason), cases[i].reason);
        STR_EQ(page->events[1].raw, cases[i].item);
        EQ(page->events[1].key[0], 0);
        EQ(page->events[2].kind, EVENT_CLICKED);
    }
    lab_free(lab);
}

TEST(page, takes_an_item_with_a_mailing_and_a_recipient_but_no_message)
{
    struct lab *lab = lab_new();
    const struct provider_event *event =
        lab_item(lab, "{\"event\":\"opened\",\"timestamp\":1,\"recipient\":\" Jo@X.org\",\"message\":null,"
                      "\"user-variables\":{\"posthouse-mailing\":\"m-1\"}}");
    EQ(event->kind, EVENT_OPENED);
    STR_EQ(event->mailing, "m-1");
    STR_EQ(event->recipient, "Jo@X.org");
    STR_EQ(event->folded, "jo@x.org");
    lab_free(lab);
}

TEST(page, of_300_malformed_items_is_not_the_end_of_the_data)
{
    struct lab *lab = lab_new();
    char *text = arena_alloc(lab->arena, 20000);
    char *at = stpcpy(text, "{\"items\":[");
    for (int i = 0; i < 300; i++)
        at = stpcpy(at, i ? ",{\"event\":\"opened\",\"timestamp\":{}}" : "{\"event\":\"opened\",\"timestamp\":{}}");
    stpcpy(at, "],\"paging\":{\"next\":\"http://h/v3/d/events/more\"}}");
    const struct provider_page *page = lab_page(lab, PROVIDER_API_EVENTS, str_of(text));
    EQ(page->item_n, 300);
    EQ(page->n, 300);
    for (int i = 0; i < 300; i++)
        EQ(page->events[i].kind, EVENT_MALFORMED);
    STR_EQ(page->next, "more");
    lab_free(lab);
}

TEST(page, is_the_end_only_when_items_are_empty)
{
    struct lab *lab = lab_new();
    const struct provider_page *page =
        lab_page(lab, PROVIDER_API_EVENTS, S("{\"items\":[],\"paging\":{\"next\":\"http://h/v3/d/events/more\"}}"));
    EQ(page->item_n, 0);
    STR_EQ(page->next, "more");
    lab_free(lab);
}

TEST(page, that_is_no_page_is_refused_whole)
{
    static const char *const wrong[] = {
        "",
        "not json",
        "[]",
        "{}",
        "null",
        "{\"items\":null}",
        "{\"items\":{}}",
        "{\"items\":[" ITEM("opened", "") "]",
        "{\"items\":[{\"event\":\"opened\",\"times",
        "{\"items\":[{\"event\":\"opened\" \"timestamp\":1}]}",
        "{\"items\":[]} <html>",
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        EQ(parse(lab, PROVIDER_API_EVENTS, str_of(wrong[i])), ERR_MALFORMED);
    lab_free(lab);
}

TEST(page, cut_off_anywhere_is_refused_and_never_half_read)
{
    struct lab *lab = lab_new();
    struct str whole = S(
        "{\"items\":[" ITEM("opened",
                            "\"client-info\":{\"user-agent\":\"a\\u00e9\"},") "],"
                                                                              "\"paging\":{\"next\":\"http://h/x\"}}");
    SUCCEEDS(&lab->op, parse(lab, PROVIDER_API_EVENTS, whole));
    for (size_t n = 0; n < whole.n; n++)
        EQ(parse(lab, PROVIDER_API_EVENTS, (struct str){ whole.p, n }), ERR_MALFORMED);
    lab_free(lab);
}

TEST(page, over_eight_mebibytes_is_too_large)
{
    struct lab *lab = lab_new();
    size_t n = PROVIDER_PAGE_BYTES_MAX + 1;
    char *bytes = malloc(n);
    memset(bytes, ' ', n);
    memcpy(bytes, "{\"items\":[]}", 12);
    EQ(parse(lab, PROVIDER_API_EVENTS, (struct str){ bytes, n }), ERR_TOO_LARGE);
    EQ(parse(lab, PROVIDER_API_EVENTS, (struct str){ bytes, n - 1 }), OK);
    free(bytes);
    lab_free(lab);
}

TEST(page, that_does_not_fit_the_arena_is_too_large)
{
    struct lab *lab = lab_new();
    struct arena *small = arena_new(8192);
    char *text = arena_alloc(lab->arena, 20000);
    char *at = stpcpy(text, "{\"items\":[{}");
    for (int i = 0; i < 300; i++)
        at = stpcpy(at, ",{\"event\":\"op\\u0065ned\"}");
    stpcpy(at, "]}");
    lab->op.arena = small;
    EQ(parse(lab, PROVIDER_API_EVENTS, str_of(text)), ERR_TOO_LARGE);
    lab->op.arena = lab->arena;
    arena_free(small);
    lab_free(lab);
}

TEST(page, takes_only_the_last_path_segment_of_next)
{
    struct lab *lab = lab_new();
    STR_EQ(next_of(lab, "https://api.eu.mailgun.net/v3/mg.x.org/events/W3siYiI6==="), "W3siYiI6===");
    STR_EQ(next_of(lab, "http://evil.example/v3/x/events/tok"), "tok");
    STR_EQ(next_of(lab, "https://h/v3/d/events/tok?x=1/2#f/g"), "tok");
    STR_EQ(next_of(lab, "tok"), "tok");
    NO(str_given(next_of(lab, "https://h/v3/d/events/")));
    NO(str_given(next_of(lab, "")));
    lab_free(lab);
}

TEST(page, gives_no_token_that_could_leave_the_path)
{
    struct lab *lab = lab_new();
    NO(str_given(next_of(lab, "https://h/a b")));
    NO(str_given(next_of(lab, "https://h/tok\\r\\nX-Evil: 1")));
    NO(str_given(next_of(lab, "https://h/tok\\u0000")));
    NO(str_given(next_of(lab, "https://h/t\xC3\xA9")));
    char *text = arena_alloc(lab->arena, PROVIDER_TOKEN_BYTES_MAX + 2);
    memset(text, 'a', PROVIDER_TOKEN_BYTES_MAX);
    EQ(next_of(lab, text).n, PROVIDER_TOKEN_BYTES_MAX);
    text[PROVIDER_TOKEN_BYTES_MAX] = 'a';
    NO(str_given(next_of(lab, text)));
    lab_free(lab);
}

TEST(page, of_the_same_items_has_the_same_ids_whatever_its_token)
{
    struct lab *lab = lab_new();
    uint64_t one =
        lab_page(lab, PROVIDER_API_EVENTS,
                 S("{\"items\":[" ITEM("opened", "") "," ITEM("accepted", "") "],\"paging\":{\"next\":\"h/1\"}}"))
            ->ids;
    uint64_t same = lab_page(lab, PROVIDER_API_EVENTS,
                             S("{\"items\":[ " ITEM("opened", "") ", " ITEM(
                                 "accepted", "\"storage\":\"other\",") "],\"paging\":{\"next\":\"h/2\"}}"))
                        ->ids;
    uint64_t turned =
        lab_page(lab, PROVIDER_API_EVENTS, S("{\"items\":[" ITEM("accepted", "") "," ITEM("opened", "") "]}"))->ids;
    YES(one == same);
    NO(one == turned);
    lab_free(lab);
}

TEST(page, gives_the_same_id_on_other_days_and_types_other_keys)
{
    struct lab *lab = lab_new();
    struct str bytes =
        S("{\"items\":["
          "{\"event\":\"opened\",\"id\":\"a\",\"timestamp\":86399,\"message\":{\"headers\":{\"message-id\":\"m\"}}},"
          "{\"event\":\"opened\",\"id\":\"a\",\"timestamp\":86400,\"message\":{\"headers\":{\"message-id\":\"m\"}}},"
          "{\"event\":\"clicked\",\"id\":\"a\",\"timestamp\":86400,\"message\":{\"headers\":{\"message-id\":\"m\"}}},"
          "{\"event\":\"opened\",\"id\":\"a\",\"timestamp\":86401,\"message\":{\"headers\":{\"message-id\":\"m\"}}}]}");
    const struct provider_page *page = lab_page(lab, PROVIDER_API_EVENTS, bytes);
    EQ(page->events[0].day, 0);
    EQ(page->events[1].day, 1);
    NO(page->events[0].key[0] == page->events[1].key[0]);
    NO(page->events[1].key[0] == page->events[2].key[0]);
    YES(page->events[1].key[0] == page->events[3].key[0]);
    lab_free(lab);
}

TEST(page, of_the_logs_api_has_iso_times_and_variables_as_text)
{
    struct lab *lab = lab_new();
    struct str bytes = S("{\"items\":[{\"id\":\"l-1\",\"event\":\"opened\",\"@timestamp\":\"2025-06-25T17:19:51.166Z\","
                         "\"recipient\":\"jo@x.org\",\"user-variables\":\"{\\\"posthouse-mailing\\\":\\\"m-7\\\"}\"}],"
                         "\"pagination\":{\"next\":\"abc/def==\"},\"aggregates\":{}}");
    const struct provider_page *page = lab_page(lab, PROVIDER_API_LOGS, bytes);
    EQ(page->n, 1);
    EQ(page->events[0].kind, EVENT_OPENED);
    EQ(page->events[0].at_us, INT64_C(1750871991166000));
    STR_EQ(page->events[0].mailing, "m-7");
    STR_EQ(page->next, "abc/def==");
    NO(str_given(lab_page(lab, PROVIDER_API_LOGS, S("{\"items\":[],\"pagination\":{}}"))->next));
    lab_free(lab);
}

TEST(page, gives_one_event_one_key_through_both_apis)
{
    struct lab *lab = lab_new();
    uint64_t events = lab_item(lab, "{\"event\":\"opened\",\"id\":\"a\",\"timestamp\":1750871991.166,\"message\":{"
                                    "\"headers\":{\"message-id\":\"m\"}}}")
                          ->key[1];
    struct str logs = S("{\"items\":[{\"event\":\"opened\",\"id\":\"a\",\"@timestamp\":\"2025-06-25T17:19:51.166Z\","
                        "\"message\":{\"headers\":{\"message-id\":\"m\"}}}]}");
    YES(lab_page(lab, PROVIDER_API_LOGS, logs)->events[0].key[1] == events);
    lab_free(lab);
}

TEST(page, reads_code_enhanced_code_and_text_of_a_failure)
{
    struct lab *lab = lab_new();
    const struct provider_event *event =
        lab_item(lab, FAILED("\"severity\":\"permanent\",", "{\"code\":550,\"message\":\"No such\\nuser\","
                                                            "\"description\":\"d\",\"enhanced-code\":\"5.2.1\"}"));
    EQ(event->kind, EVENT_FAILED);
    EQ(event->code, 550);
    STR_EQ(event->enhanced, "5.2.1");
    STR_EQ(event->text, "No such\nuser");
    EQ(event->suppress, SUPPRESS_BOUNCE);

    event = lab_item(lab, FAILED("", "{\"code\":\"452\",\"message\":\"\",\"description\":\"later\","
                                     "\"enhanced-code\":4.2}"));
    EQ(event->kind, EVENT_DELAYED);
    EQ(event->code, 452);
    STR_EQ(event->enhanced, "4.2");
    STR_EQ(event->text, "later");

    event = lab_item(lab, FAILED("", "{\"code\":\"5.1.1\",\"message\":null}"));
    EQ(event->code, EVENT_CODE_NONE);
    STR_EQ(event->enhanced, "5.1.1");
    STR_EQ(event->text, "Error 5.1.1");

    STR_EQ(lab_item(lab, FAILED("", "null"))->text, "Error unknown");
    lab_free(lab);
}

TEST(page, decides_severity_by_word_then_retry_then_code)
{
    static const struct {
        const char *item;
        enum event_kind kind;
    } cases[] = {
        { FAILED("\"severity\":\"permanent\",", "{\"code\":421}"), EVENT_FAILED },
        { FAILED("\"severity\":\"temporary\",", "{\"code\":550}"), EVENT_DELAYED },
        { FAILED("", "{\"code\":550,\"retry-seconds\":600}"), EVENT_DELAYED },
        { FAILED("\"retry-seconds\":600,", "{\"code\":550}"), EVENT_DELAYED },
        { FAILED("", "{\"code\":550,\"retry-seconds\":null}"), EVENT_FAILED },
        { FAILED("", "{\"code\":500}"), EVENT_FAILED },
        { FAILED("", "{\"code\":599}"), EVENT_FAILED },
        { FAILED("", "{\"code\":499}"), EVENT_DELAYED },
        { FAILED("", "{\"code\":600}"), EVENT_DELAYED },
        { FAILED("", "{\"code\":604}"), EVENT_DELAYED },
        { FAILED("", "{\"code\":605}"), EVENT_FAILED },
        { FAILED("", "{\"code\":606}"), EVENT_FAILED },
        { FAILED("", "{\"code\":607}"), EVENT_FAILED },
        { FAILED("", "{\"code\":608}"), EVENT_DELAYED },
        { FAILED("", "{}"), EVENT_DELAYED },
        { FAILED("\"reason\":\"bounce\",", "{}"), EVENT_DELAYED },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EQ(lab_item(lab, cases[i].item)->kind, cases[i].kind);
    lab_free(lab);
}

TEST(page, suppresses_by_code_then_reason_then_enhanced_code)
{
    static const struct {
        const char *reason;
        const char *status;
        enum suppression_reason suppress;
    } cases[] = {
        { "generic", "{\"code\":605}", SUPPRESS_BOUNCE },
        { "generic", "{\"code\":606}", SUPPRESS_UNSUBSCRIBE },
        { "hardfail", "{\"code\":607}", SUPPRESS_COMPLAINT },
        { "suppress-bounce", "{\"code\":607}", SUPPRESS_COMPLAINT },
        { "suppress-bounce", "{}", SUPPRESS_BOUNCE },
        { "suppress-unsubscribe", "{}", SUPPRESS_UNSUBSCRIBE },
        { "suppress-complaint", "{}", SUPPRESS_COMPLAINT },
        { "bounce", "{\"code\":550}", SUPPRESS_BOUNCE },
        { "generic", "{\"code\":550,\"enhanced-code\":\"5.1.1\"}", SUPPRESS_BOUNCE },
        { "generic", "{\"code\":550,\"enhanced-code\":\"5.4.4\"}", SUPPRESS_BOUNCE },
        { "generic", "{\"code\":550}", SUPPRESS_NOT },
        { "bounce", "{\"code\":550,\"enhanced-code\":\"5.7.1\"}", SUPPRESS_NOT },
        { "bounce", "{\"code\":552,\"enhanced-code\":\"5.3.4\"}", SUPPRESS_NOT },
        { "espblock", "{\"code\":550,\"enhanced-code\":\"5.7.1\"}", SUPPRESS_NOT },
        { "old", "{\"code\":602}", SUPPRESS_NOT },
        { "never-seen-before", "{\"code\":550}", SUPPRESS_NOT },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str item =
            arena_fmt(lab->arena,
                      "{\"event\":\"failed\",\"timestamp\":1,\"severity\":\"permanent\",\"reason\":\"%s\","
                      "\"delivery-status\":%s,\"message\":{\"headers\":{\"message-id\":\"1\"}}}",
                      cases[i].reason, cases[i].status);
        const struct provider_event *event = lab_item(lab, item.p);
        EQ(event->kind, EVENT_FAILED);
        EQ(event->suppress, cases[i].suppress);
    }
    lab_free(lab);
}

TEST(page, suppresses_nobody_for_a_temporary_failure)
{
    struct lab *lab = lab_new();
    EQ(lab_item(lab, FAILED("\"severity\":\"temporary\",\"reason\":\"suppress-bounce\",",
                            "{\"code\":605,\"enhanced-code\":\"5.1.1\"}"))
           ->suppress,
       SUPPRESS_NOT);
    lab_free(lab);
}

TEST(page, finds_the_recipient_of_a_rejected_message_in_its_to_field)
{
    struct lab *lab = lab_new();
    const struct provider_event *event =
        lab_item(lab, "{\"event\":\"rejected\",\"timestamp\":1,\"reject\":{\"reason\":\"Sandbox only\",\"description\":"
                      "\"\"},\"message\":{\"headers\":{\"to\":\"Jo <Jo@x.org>\",\"message-id\":\"1@x\"}}}");
    EQ(event->kind, EVENT_FAILED);
    STR_EQ(event->recipient, "Jo@x.org");
    STR_EQ(event->text, "Sandbox only");
    EQ(event->suppress, SUPPRESS_NOT);

    event =
        lab_item(lab, "{\"event\":\"rejected\",\"timestamp\":1,\"reject\":{\"reason\":\"\",\"description\":\"why\"},"
                      "\"message\":{\"headers\":{\"to\":\"a@x.org, b@x.org\",\"message-id\":\"1@x\"}}}");
    EQ(event->kind, EVENT_FAILED);
    NO(str_given(event->recipient));
    STR_EQ(event->provider_message_id, "1@x");
    STR_EQ(event->text, "why");
    lab_free(lab);
}

TEST(page, takes_the_bounce_code_of_a_late_bounce)
{
    struct lab *lab = lab_new();
    const struct provider_event *event =
        lab_item(lab,
                 ITEM("failed", "\"severity\":\"permanent\",\"flags\":{\"is-delayed-bounce\":true},\"envelope\":{},"
                                "\"delivery-status\":{\"code\":550,\"enhanced-code\":\"\",\"bounce-code\":\"5.1.1\","
                                "\"message\":\"smtp; 550\\nno such user\"},"));
    STR_EQ(event->enhanced, "5.1.1");
    STR_EQ(event->text, "smtp; 550\nno such user");
    EQ(event->suppress, SUPPRESS_BOUNCE);
    lab_free(lab);
}

TEST(page, reads_variables_as_object_or_text_and_nothing_else)
{
    static const struct {
        const char *variables, *message, *mailing;
    } cases[] = {
        { "{\"posthouse-message\":\"a\",\"posthouse-mailing\":\"b\"}", "a", "b" },
        { "{\"deep\":{\"posthouse-message\":\"no\"},\"list\":[1,{}],\"posthouse-message\":17}", "17", "" },
        { "{\"email-id\":\"e-1\"}", "", "e-1" },
        { "{\"email-id\":\"e-1\",\"posthouse-mailing\":\"m\"}", "", "m" },
        { "{\"posthouse-message\":[\"a\"],\"posthouse-mailing\":null}", "", "" },
        { "\"{}\"", "", "" },
        { "\" {\\\"posthouse-message\\\":\\\"x\\\"} \"", "x", "" },
        { "\"{\\\"posthouse-message\\\":\\\"x\\\"\"", "", "" },
        { "\"[\\\"posthouse-message\\\"]\"", "", "" },
        { "\"Could not load user-variables.\"", "", "" },
        { "null", "", "" },
        { "[]", "", "" },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct str item = arena_fmt(lab->arena,
                                    "{\"event\":\"opened\",\"timestamp\":1,\"user-variables\":%s,\"message\":{"
                                    "\"headers\":{\"message-id\":\"<1@x>\"}}}",
                                    cases[i].variables);
        const struct provider_event *event = lab_item(lab, item.p);
        EQ(event->kind, EVENT_OPENED);
        STR_EQ(event->message, cases[i].message);
        STR_EQ(event->mailing, cases[i].mailing);
        STR_EQ(event->provider_message_id, "1@x");
    }
    lab_free(lab);
}

TEST(page, keeps_url_address_and_agent_of_a_click)
{
    struct lab *lab = lab_new();
    const struct provider_event *event =
        lab_item(lab,
                 ITEM("clicked", "\"url\":\"https://x.org/?a=1&b=%20#c\",\"ip\":\"203.0.113.9\",\"client-info\":{"
                                 "\"user-agent\":\"Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0\",\"bot\":\"\"},"));
    STR_EQ(event->url, "https://x.org/?a=1&b=%20#c");
    STR_EQ(event->ip, "203.0.113.9");
    STR_EQ(event->agent, "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0");
    EQ(event->bits, 0);
    NO(str_given(lab_item(lab, ITEM("clicked", "\"ip\":\"123.123.123.321\","))->ip));
    NO(str_given(lab_item(lab, ITEM("clicked", "\"ip\":\"\","))->ip));
    lab_free(lab);
}

TEST(page, collects_the_evidence_that_an_item_carries)
{
    static const struct {
        const char *item;
        uint32_t bits;
    } cases[] = {
        { ITEM("opened", "\"client-info\":{\"user-agent\":\"Mozilla/5.0\",\"bot\":\"apple\"},"),
          BIT_PROVIDER | BIT_MAIL_PROXY },
        { ITEM("opened", "\"client-info\":{\"user-agent\":\"Mozilla/5.0\",\"bot\":\"\"},"), BIT_MAIL_PROXY },
        { ITEM("clicked", "\"client-info\":{\"user-agent\":\"Mozilla/5.0\"},"), BIT_MAIL_PROXY },
        { ITEM("opened", "\"client-info\":{\"user-agent\":\"\",\"bot\":null},"), BIT_AGENT },
        { ITEM("opened", "\"client-info\":{\"user-agent\":null},"), 0 },
        { ITEM("opened", "\"client-info\":null,"), 0 },
        { ITEM("opened", ""), 0 },
        { ITEM("clicked", "\"client-info\":{\"user-agent\":\"curl/8.5.0\",\"bot\":\"generic\"},"),
          BIT_PROVIDER | BIT_AGENT },
        { ITEM("opened", "\"client-info\":{\"user-agent\":\"x (via ggpht.com GoogleImageProxy)\"},"), BIT_IMAGE_PROXY },
        { ITEM("clicked", "\"client-info\":{\"user-agent\":\"x (via ggpht.com GoogleImageProxy)\"},"), 0 },
        { ITEM("opened", "\"ip\":\"198.51.100.77\","), BIT_RANGE },
        { ITEM("opened", "\"ip\":\"198.51.101.77\","), 0 },
        { ITEM("delivered", "\"ip\":\"198.51.100.77\",\"client-info\":{\"bot\":\"x\"},"), 0 },
    };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        EQ(lab_item(lab, cases[i].item)->bits, cases[i].bits);
    lab_free(lab);
}

TEST(page, survives_any_type_where_another_was_expected)
{
    static const char *const names[] = { "event",       "id",      "timestamp",      "@timestamp",
                                         "recipient",   "message", "user-variables", "delivery-status",
                                         "client-info", "reject",  "severity",       "reason",
                                         "url",         "ip",      "retry-seconds" };
    static const char *const values[] = { "null", "true", "7", "\"\"", "\"x\"", "[]", "[{}]", "{}", "{\"a\":[1]}" };
    struct lab *lab = lab_new();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            struct str bytes = arena_fmt(lab->arena, "{\"items\":[{\"event\":\"failed\",\"timestamp\":1,\"%s\":%s}]}",
                                         names[i], values[k]);
            EQ(lab_page(lab, PROVIDER_API_EVENTS, bytes)->item_n, 1);
        }
    lab_free(lab);
}
