#include "test.h"

#include "engine/agent.h"
#include "engine/provider.h"
#include "engine/simulate_fact.h"
#include "engine/simulate_render.h"

#define START_US (INT64_C(1795287600) * 1000000) /* 2026-11-21T19:00:00Z */
#define END_US   (START_US + INT64_C(3) * 86400000000)

static struct op op;
static struct agent_list *agents;

static struct sim *opened(void)
{
    struct sim_config config = {
        .seed = 31,
        .mailing = S("m-1"),
        .recipients = 20000,
        .start_us = START_US,
        .garbage_ppm = 50000,
    };
    arena_free(op.arena);
    op_init(&op, arena_new(64 << 20), START_US);
    struct sim *sim = NULL;
    SUCCEEDS(&op, sim_open(&op, &config, &sim));
    agent_list_free(agents);
    SUCCEEDS(&op, agent_list_new(&op, (struct str){ NULL, 0 }, &agents));
    return sim;
}

static void same_text(const char *what, struct str direct, struct str parsed)
{
    if (str_given(direct) == str_given(parsed) && str_eq(direct, parsed))
        return;
    fprintf(stderr, "%s: \"%.*s\" against \"%.*s\" of the parser\n", what, STR(direct), STR(parsed));
    YES(false);
}

static void same_event(const struct provider_event *direct, const struct provider_event *parsed)
{
    EQ(direct->kind, parsed->kind);
    if (direct->kind == EVENT_MALFORMED || direct->kind == EVENT_UNHANDLED)
        return;
    STR_EQ(str_of(direct->type), parsed->type);
    EQ(direct->at_us, parsed->at_us);
    same_text("event_id", direct->event_id, parsed->event_id);
    same_text("message", direct->message, parsed->message);
    same_text("mailing", direct->mailing, parsed->mailing);
    same_text("provider_message_id", direct->provider_message_id, parsed->provider_message_id);
    same_text("recipient", direct->recipient, parsed->recipient);
    EQ(direct->suppress, parsed->suppress);
    if (direct->kind == EVENT_FAILED || direct->kind == EVENT_DELAYED) {
        EQ(direct->code, parsed->code);
        same_text("enhanced", direct->enhanced, parsed->enhanced);
        same_text("text", direct->text, parsed->text);
    }
    if (direct->kind == EVENT_OPENED || direct->kind == EVENT_CLICKED) {
        same_text("url", direct->url, parsed->url);
        same_text("ip", direct->ip, parsed->ip);
        same_text("agent", direct->agent, parsed->agent);
        EQ(direct->bits, parsed->bits);
    }
}

/* The page of one recipient's items goes through the real parser. */
static struct provider_page parse(const struct sim *sim, const struct sim_event *events, size_t count,
                                  enum sim_style style)
{
    struct buf buf;
    static const uint8_t hash_key[16] = { 1 };
    struct provider_source source = { .id = S("mg"), .hash_key = hash_key, .agents = agents };
    struct provider_page page;
    buf_init_arena(&buf, op.arena, 4 << 20);
    buf_add_str(&buf, S("{\"items\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&buf, ',');
        sim_render_item(sim, &events[i], style, &buf);
    }
    buf_add_str(&buf, S("]}"));
    SUCCEEDS(&op, provider_page_parse(&op, &source, style == SIM_STYLE_LOGS ? PROVIDER_API_LOGS : PROVIDER_API_EVENTS,
                                      buf_str(&buf), START_US, END_US, &page));
    EQ(page.n, count);
    return page;
}

TEST(simulate_event, is_what_the_parser_reads_from_the_events_api)
{
    struct sim *sim = opened();
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 20000; no++) {
        size_t count = sim_events(sim, no, events);
        struct provider_page page = parse(sim, events, count, SIM_STYLE_EVENTS);
        for (size_t i = 0; i < count; i++) {
            struct provider_event direct;
            SUCCEEDS(&op, sim_provider_event(&op, sim, &events[i], &direct));
            same_event(&direct, &page.events[i]);
        }
        arena_reset(op.arena);
    }
    sim_close(sim);
}

TEST(simulate_event, is_what_the_parser_reads_from_the_logs_api_but_for_the_microseconds)
{
    struct sim *sim = opened();
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 20000; no++) {
        size_t count = sim_events(sim, no, events);
        struct provider_page page = parse(sim, events, count, SIM_STYLE_LOGS);
        for (size_t i = 0; i < count; i++) {
            struct provider_event direct;
            SUCCEEDS(&op, sim_provider_event(&op, sim, &events[i], &direct));
            direct.at_us = direct.at_us / 1000 * 1000;
            same_event(&direct, &page.events[i]);
        }
        arena_reset(op.arena);
    }
    sim_close(sim);
}

TEST(simulate_event, comes_from_people_whom_no_list_of_scanners_knows)
{
    struct sim *sim = opened();
    for (int client = SIM_PEOPLE; client < SIM_PEOPLE_COUNT; client++)
        EQ(agent_bits(agents, str_of(sim_clients[client].agent), true), 0);
    for (int client = SIM_GATEWAY_BURST; client < SIM_GATEWAY_BURST + 2; client++)
        EQ(agent_bits(agents, str_of(sim_clients[client].agent), false), 0);
    sim_close(sim);
}
