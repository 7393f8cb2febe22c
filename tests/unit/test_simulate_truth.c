#include "test.h"

#include "base/json.h"
#include "engine/simulate_render.h"
#include "engine/simulate_truth.h"

#define START_US (INT64_C(1795287600) * 1000000) /* 2026-11-21T19:00:00Z */

static struct op op;

static struct sim *opened(uint32_t recipients, int64_t compress_milli)
{
    struct sim_config config = {
        .seed = 11,
        .mailing = S("m-1"),
        .recipients = recipients,
        .start_us = START_US,
        .compress_milli = compress_milli,
        .late_ppm = 50000,
        .late_by_us = INT64_C(2400) * 1000000,
        .duplicate_ppm = 50000,
        .garbage_ppm = 20000,
    };
    arena_free(op.arena);
    op_init(&op, arena_new(16 << 20), START_US);
    struct sim *sim = NULL;
    SUCCEEDS(&op, sim_open(&op, &config, &sim));
    return sim;
}

/*
 * The second way to the figures: nothing of what the model meant, only what the items say - their kind, agent,
 * address, link and time - by the rules of the ledger written down once more, as plainly as possible.
 */
struct heard {
    struct provider_event events[SIM_EVENTS_MAX];
    size_t count;
};

static struct heard hear(const struct sim *sim, uint32_t no)
{
    struct heard heard = { .count = 0 };
    struct sim_event events[SIM_EVENTS_MAX];
    size_t count = sim_events(sim, no, events);
    for (size_t i = 0; i < count; i++) {
        struct provider_event event;
        SUCCEEDS(&op, sim_provider_event(&op, sim, &events[i], &event));
        bool known = event.kind == EVENT_MALFORMED || event.kind == EVENT_UNHANDLED;
        for (size_t k = 0; k < heard.count && !known; k++)
            known = str_eq(heard.events[k].event_id, event.event_id) && strcmp(heard.events[k].type, event.type) == 0 &&
                    heard.events[k].at_us / 86400000000 == event.at_us / 86400000000;
        if (!known)
            heard.events[heard.count++] = event;
    }
    return heard;
}

static bool same_client(const struct provider_event *a, const struct provider_event *b)
{
    return str_given(a->ip) && str_eq(a->ip, b->ip) && str_eq(a->agent, b->agent);
}

/* Does a burst begin with the click `first`, and does it take in the touch `other`? */
static bool burst_takes(const struct heard *heard, const struct provider_event *first,
                        const struct provider_event *other)
{
    struct str links[3];
    size_t distinct = 0;
    int64_t last_us = first->at_us;
    for (size_t i = 0; i < heard->count; i++) {
        const struct provider_event *click = &heard->events[i];
        if (click->kind != EVENT_CLICKED || !same_client(first, click) || click->at_us < first->at_us ||
            click->at_us - first->at_us > 2000000)
            continue;
        last_us = click->at_us > last_us ? click->at_us : last_us;
        bool known = false;
        for (size_t k = 0; k < distinct; k++)
            known |= str_eq(links[k], click->url);
        if (!known && distinct < 3)
            links[distinct++] = click->url;
    }
    int64_t from_us = other->kind == EVENT_CLICKED ? first->at_us : first->at_us - 60000000;
    return distinct == 3 && same_client(first, other) && other->at_us >= from_us && other->at_us <= last_us;
}

static bool is_machine(const struct heard *heard, const struct provider_event *touch, int64_t delivered_us)
{
    if (touch->bits & (BIT_PROVIDER | BIT_AGENT | BIT_MAIL_PROXY))
        return true;
    if (touch->bits & BIT_IMAGE_PROXY && touch->at_us < delivered_us + 10000000)
        return true;
    for (size_t i = 0; i < heard->count; i++)
        if (heard->events[i].kind == EVENT_CLICKED && burst_takes(heard, &heard->events[i], touch))
            return true;
    return false;
}

static int64_t delivered_at(const struct heard *heard)
{
    int64_t delivered_us = INT64_MAX;
    for (size_t i = 0; i < heard->count; i++)
        if (heard->events[i].kind == EVENT_DELIVERED && heard->events[i].at_us < delivered_us)
            delivered_us = heard->events[i].at_us;
    return delivered_us;
}

static void recount(const struct sim *sim, uint32_t no, struct sim_truth *truth)
{
    struct heard heard = hear(sim, no);
    int64_t delivered_us = delivered_at(&heard);
    bool had[EVENT_SUPPRESSED + 1] = { false }, people[2] = { false }, machines[2] = { false };
    bool suppressed[4] = { false };
    for (size_t i = 0; i < heard.count; i++) {
        const struct provider_event *event = &heard.events[i];
        had[event->kind] = true;
        suppressed[event->suppress] = true;
        if (event->at_us < truth->first_event_us)
            truth->first_event_us = event->at_us;
        if (event->at_us > truth->last_event_us)
            truth->last_event_us = event->at_us;
        if (event->kind == EVENT_OPENED || event->kind == EVENT_CLICKED)
            (is_machine(&heard, event, delivered_us) ? machines : people)[event->kind == EVENT_CLICKED] = true;
    }
    truth->real += (int64_t)heard.count;
    truth->delivered += had[EVENT_DELIVERED];
    truth->failed_permanent += had[EVENT_FAILED];
    truth->failed_temporary += had[EVENT_DELAYED] && !had[EVENT_DELIVERED] && !had[EVENT_FAILED];
    truth->opened += had[EVENT_OPENED];
    truth->clicked += had[EVENT_CLICKED];
    truth->opened_human += people[0];
    truth->opened_machine += machines[0];
    truth->clicked_human += people[1];
    truth->clicked_machine += machines[1];
    truth->complained += had[EVENT_COMPLAINED];
    truth->unsubscribed += had[EVENT_UNSUBSCRIBED];
    truth->suppressed_bounce += suppressed[SUPPRESS_BOUNCE];
    truth->suppressed_complaint += suppressed[SUPPRESS_COMPLAINT];
    truth->suppressed_unsubscribe += suppressed[SUPPRESS_UNSUBSCRIBE];
}

static void expect_truth_from_items(int64_t compress_milli)
{
    struct sim *sim = opened(30000, compress_milli);
    struct sim_truth truth, recounted = { .first_event_us = INT64_MAX, .last_event_us = INT64_MIN };
    sim_truth(sim, &truth);
    for (uint32_t no = 0; no < 30000; no++) {
        recount(sim, no, &recounted);
        arena_reset(op.arena);
    }
    EQ(truth.real, recounted.real);
    EQ(truth.delivered, recounted.delivered);
    EQ(truth.failed_permanent, recounted.failed_permanent);
    EQ(truth.failed_temporary, recounted.failed_temporary);
    EQ(truth.opened, recounted.opened);
    EQ(truth.opened_human, recounted.opened_human);
    EQ(truth.opened_machine, recounted.opened_machine);
    EQ(truth.clicked, recounted.clicked);
    EQ(truth.clicked_human, recounted.clicked_human);
    EQ(truth.clicked_machine, recounted.clicked_machine);
    EQ(truth.complained, recounted.complained);
    EQ(truth.unsubscribed, recounted.unsubscribed);
    EQ(truth.suppressed_bounce, recounted.suppressed_bounce);
    EQ(truth.suppressed_complaint, recounted.suppressed_complaint);
    EQ(truth.suppressed_unsubscribe, recounted.suppressed_unsubscribe);
    EQ(truth.first_event_us, recounted.first_event_us);
    EQ(truth.last_event_us, recounted.last_event_us);
    YES(truth.opened_machine > 1000 && truth.clicked_machine > 500 && truth.suppressed_bounce > 100);
    sim_close(sim);
}

TEST(simulate_truth, is_what_the_items_say_when_time_runs_as_it_does)
{
    expect_truth_from_items(1000);
}

TEST(simulate_truth, is_what_the_items_say_when_a_day_takes_a_minute)
{
    expect_truth_from_items(1440 * 1000);
}

TEST(simulate_truth, is_what_the_items_say_when_all_happens_at_once)
{
    expect_truth_from_items(INT64_C(100000000000));
}

static struct str truth_json(struct buf *buf, uint32_t recipients)
{
    struct sim *sim = opened(recipients, 1000);
    struct sim_truth truth;
    sim_truth(sim, &truth);
    sim_truth_json(sim, &truth, buf);
    sim_close(sim);
    return buf_str(buf);
}

TEST(simulate_truth, is_written_with_every_figure_of_the_stats)
{
    static const char *const names[] = { "messages",         "delivered",        "opened",         "opened_human",
                                         "opened_machine",   "clicked",          "clicked_human",  "clicked_machine",
                                         "failed_permanent", "failed_temporary", "complained",     "unsubscribed",
                                         "open_rate",        "click_rate",       "first_event_at", "last_event_at" };
    struct buf buf;
    buf_init(&buf, 1 << 20);
    struct str text = truth_json(&buf, 1000);
    struct json j;
    struct str name, value;
    size_t figures = 0;
    json_init(&j, op.arena, text, JSON_STRICT);
    YES(json_enter_object(&j));
    while (json_next_member(&j, &name)) {
        if (!str_eq(name, S("stats")) || !json_enter_object(&j))
            continue;
        while (json_next_member(&j, &name)) {
            STR_EQ(name, names[figures++]);
            if (str_eq(name, S("open_rate"))) {
                YES(json_number_text(&j, &value));
                YES(value.n <= 6);
            }
        }
    }
    SUCCEEDS(&op, json_finish(&j, &op));
    EQ(figures, 16);
    buf_done(&buf);
}

TEST(simulate_truth, has_no_rates_and_instants_for_nobody)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    STR_EQ(truth_json(&buf, 0),
           "{\"mailing\":\"m-1\",\"seed\":11,\"recipients\":0,\"stats\":{\"messages\":0,\"delivered\":0,\"opened\":0,"
           "\"opened_human\":0,\"opened_machine\":0,\"clicked\":0,\"clicked_human\":0,\"clicked_machine\":0,"
           "\"failed_permanent\":0,\"failed_temporary\":0,\"complained\":0,\"unsubscribed\":0,\"open_rate\":null,"
           "\"click_rate\":null,\"first_event_at\":null,\"last_event_at\":null},\"links\":{},\"suppressed\":{"
           "\"bounce\":0,\"complaint\":0,\"unsubscribe\":0},\"events\":{\"real\":0,\"late\":0,\"duplicate\":0,"
           "\"malformed\":0,\"unhandled\":0},\"last_visible_at\":null}");
    buf_done(&buf);
}
