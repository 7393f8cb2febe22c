#include "test.h"

#include "base/instant.h"
#include "base/json.h"
#include "engine/simulate_fact.h"
#include "engine/simulate_render.h"

#define START_US (INT64_C(1795287600) * 1000000) /* 2026-11-21T19:00:00Z */

static struct op op;
static struct buf buf;

static struct sim *opened(uint32_t recipients, int64_t garbage_ppm)
{
    struct sim_config config = {
        .seed = 21,
        .mailing = S("m-1"),
        .recipients = recipients,
        .start_us = START_US,
        .garbage_ppm = garbage_ppm,
    };
    arena_free(op.arena);
    op_init(&op, arena_new(16 << 20), START_US);
    buf_done(&buf);
    buf_init(&buf, 64 << 20);
    struct sim *sim = NULL;
    SUCCEEDS(&op, sim_open(&op, &config, &sim));
    return sim;
}

static struct str item(const struct sim *sim, const struct sim_event *event, enum sim_style style)
{
    buf_reset(&buf);
    sim_render_item(sim, event, style, &buf);
    return buf_str(&buf);
}

/* Raw bytes of a member of a JSON object; not given when it is not there. */
static struct str member(struct str object, const char *wanted)
{
    struct json j;
    struct str name, value = { NULL, 0 };
    json_init(&j, op.arena, object, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, str_of(wanted)))
                json_raw(&j, &value);
    SUCCEEDS(&op, json_finish(&j, &op));
    return value;
}

static struct str text(struct str json)
{
    struct json j;
    struct str value = { NULL, 0 };
    json_init(&j, op.arena, json, JSON_STRICT);
    json_string(&j, &value);
    return value;
}

/* Calls back for every item of every recipient. */
static void each(const struct sim *sim, void (*check)(const struct sim *sim, const struct sim_event *event))
{
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < sim_recipients(sim); no++) {
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++)
            check(sim, &events[i]);
        arena_reset(op.arena);
    }
}

static size_t bytes, items;

static void check_events(const struct sim *sim, const struct sim_event *event)
{
    char id[SIM_ID_BYTES];
    struct str json = item(sim, event, SIM_STYLE_EVENTS);
    YES(json.n <= SIM_ITEM_BYTES_MAX / 2);
    bytes += json.n;
    items++;
    STR_EQ(sim_type_word((enum sim_type)event->type), arena_str(op.arena, text(member(json, "event"))).p);
    YES(str_eq(text(member(json, "id")), sim_event_id(sim, event, id)));
    struct str time = member(json, "timestamp");
    int64_t at_us = 0;
    YES(instant_parse_seconds(time.p[0] == '"' ? text(time) : time, &at_us));
    EQ(at_us, event->at_us);
}

TEST(simulate_render, writes_json_with_id_time_and_type_of_about_a_kilobyte)
{
    struct sim *sim = opened(5000, 0);
    bytes = items = 0;
    each(sim, check_events);
    YES(bytes / items > 900 && bytes / items < 1500);
    sim_close(sim);
}

static void check_logs(const struct sim *sim, const struct sim_event *event)
{
    struct str json = item(sim, event, SIM_STYLE_LOGS);
    int64_t at_us = 0;
    YES(instant_parse(text(member(json, "@timestamp")), &at_us));
    EQ(at_us, event->at_us / 1000 * 1000);
    NO(str_given(member(json, "timestamp")));
    EQ(member(json, "user-variables").p[0], '"');
    STR_EQ(text(member(member(json, "domain"), "name")), "mg.sim.example");
}

TEST(simulate_render, writes_the_logs_api_with_milliseconds_and_variables_as_text)
{
    struct sim *sim = opened(2000, 0);
    each(sim, check_logs);
    sim_close(sim);
}

static size_t kinds[GARBAGE_KINDS];

static void check_garbage(const struct sim *sim, const struct sim_event *event)
{
    if (!(event->flags & SIM_GARBAGE))
        return;
    struct str json = item(sim, event, SIM_STYLE_EVENTS);
    struct json j;
    json_init(&j, op.arena, json, JSON_STRICT);
    json_skip(&j);
    SUCCEEDS(&op, json_finish(&j, &op));
    kinds[event->detail]++;
}

TEST(simulate_render, writes_every_kind_of_garbage_as_good_json)
{
    struct sim *sim = opened(3000, 1000000);
    memset(kinds, 0, sizeof kinds);
    each(sim, check_garbage);
    for (size_t i = 0; i < GARBAGE_KINDS; i++)
        YES(kinds[i] > 0);
    sim_close(sim);
}

static size_t with_severity, without_severity;

static void check_severity(const struct sim *sim, const struct sim_event *event)
{
    if (event->type != SIM_FAILED && event->type != SIM_DELAYED)
        return;
    struct str json = item(sim, event, SIM_STYLE_LOGS);
    struct str severity = member(json, "severity");
    int64_t code = 0;
    *(str_given(severity) ? &with_severity : &without_severity) += 1;
    if (str_given(severity))
        return;
    struct str status = member(json, "delivery-status");
    bool retries = str_given(member(status, "retry-seconds"));
    struct str digits = member(status, "code");
    YES(retries || str_to_int(digits.p[0] == '"' ? text(digits) : digits, 500, 607, &code));
    if (!retries)
        YES(code <= 599 || code >= 605);
    EQ(retries, event->type == SIM_DELAYED);
}

TEST(simulate_render, leaves_the_severity_out_only_where_it_follows_from_the_rest)
{
    struct sim *sim = opened(20000, 0);
    with_severity = without_severity = 0;
    each(sim, check_severity);
    YES(with_severity > 500 && without_severity > 200);
    sim_close(sim);
}

TEST(simulate_render, names_a_rejected_recipient_only_in_the_headers)
{
    struct sim *sim = opened(1, 0);
    struct sim_event event = { .at_us = START_US, .type = SIM_REJECTED, .detail = SIM_REJECTION };
    struct str json = item(sim, &event, SIM_STYLE_EVENTS);
    NO(str_given(member(json, "recipient")));
    STR_EQ(text(member(member(member(json, "message"), "headers"), "to")), "A Reader <reader-0@example.org>");
    YES(str_given(member(json, "reject")));
    sim_close(sim);
}

TEST(simulate_render, writes_a_late_bounce_with_an_empty_envelope_and_a_bounce_code)
{
    struct sim *sim = opened(1, 0);
    struct sim_event event = { .at_us = START_US, .type = SIM_FAILED, .detail = SIM_LATE_BOUNCE };
    struct str json = item(sim, &event, SIM_STYLE_EVENTS);
    STR_EQ(member(json, "envelope"), "{}");
    STR_EQ(member(json, "flags"), "{\"is-delayed-bounce\":true}");
    NO(str_given(member(json, "tags")));
    NO(str_given(member(json, "recipient-domain")));
    struct str status = member(json, "delivery-status");
    STR_EQ(text(member(status, "bounce-code")), "5.1.1");
    NO(str_given(member(status, "enhanced-code")));
    NO(str_given(member(status, "attempt-no")));
    sim_close(sim);
}

TEST(simulate_render, twists_shapes_without_touching_their_meaning)
{
    struct sim *sim = opened(1000, 0);
    struct sim_event event = { .at_us = START_US + 404667, .no = 996, .type = SIM_DELIVERED };
    event.twist = TWIST_SEVEN_DECIMALS;
    STR_EQ(member(item(sim, &event, SIM_STYLE_EVENTS), "timestamp"), "1795287600.4046679");
    event.twist = TWIST_TIME_AS_TEXT;
    STR_EQ(member(item(sim, &event, SIM_STYLE_EVENTS), "timestamp"), "\"1795287600.404667\"");
    event.twist = TWIST_OTHER_CASE;
    STR_EQ(text(member(item(sim, &event, SIM_STYLE_EVENTS), "recipient")), "J\xC3\x9CRGEN-996@EXAMPLE.ORG");
    event.twist = TWIST_NULL_STATUS;
    STR_EQ(member(item(sim, &event, SIM_STYLE_EVENTS), "delivery-status"), "null");
    event.twist = TWIST_NO_MESSAGE;
    STR_EQ(member(item(sim, &event, SIM_STYLE_EVENTS), "message"), "null");
    sim_close(sim);
}

TEST(simulate_render, writes_one_line_per_recipient_for_the_import)
{
    struct sim *sim = opened(4, 0);
    buf_reset(&buf);
    sim_render_message(sim, 2, &buf);
    struct str line = buf_str(&buf);
    EQ(line.p[line.n - 1], '\n');
    STR_EQ(text(member(line, "recipient")), "reader-2@mail.example.com");
    STR_EQ(text(member(line, "member")), "m-2");
    YES(str_ends(text(member(line, "provider_message_id")), S("@mg.sim.example")));
    buf_reset(&buf);
    sim_render_message(sim, 3, &buf);
    YES(str_starts(text(member(buf_str(&buf), "provider_message_id")), S("<")));
    sim_close(sim);
}

TEST(simulate_render, escapes_what_an_application_posted)
{
    struct sim *sim = opened(0, 0);
    struct sim_posting posting = { .message_id = S("1@x"),
                                   .from = S("\"A\\B\" <a@x.org>"),
                                   .subject = S("a\nb\t\"c\""),
                                   .tags = S("[\"t\"]"),
                                   .links = { S("https://x.org/?a=1&b=\"2\"") },
                                   .link_count = 1,
                                   .start_us = START_US };
    struct sim_posted_to to = { S("\"q\"@x.org"), S("{\"a\":\"\\u00e9\"}") };
    SUCCEEDS(&op, sim_post(&op, sim, &posting, &to, 1));
    struct sim_event event = { .at_us = START_US, .type = SIM_DELIVERED };
    struct str json = item(sim, &event, SIM_STYLE_LOGS);
    struct str headers = member(member(json, "message"), "headers");
    STR_EQ(text(member(headers, "from")), "\"A\\B\" <a@x.org>");
    STR_EQ(text(member(headers, "subject")), "a\nb\t\"c\"");
    STR_EQ(text(member(json, "user-variables")), "{\"a\":\"\\u00e9\"}");
    STR_EQ(text(member(json, "recipient")), "\"q\"@x.org");
    event.type = SIM_CLICKED;
    STR_EQ(text(member(item(sim, &event, SIM_STYLE_EVENTS), "url")), "https://x.org/?a=1&b=\"2\"");
    sim_close(sim);
}
