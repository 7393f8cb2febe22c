#include "test.h"

#include "engine/simulate_fact.h"
#include "engine/simulate_truth.h"

#define START_US (INT64_C(1795287600) * 1000000) /* 2026-11-21T19:00:00Z */
#define DAY_US   INT64_C(86400000000)

static struct op op;

static struct sim_config usual(uint32_t recipients)
{
    return (struct sim_config){
        .seed = 7,
        .mailing = S("m-1"),
        .recipients = recipients,
        .start_us = START_US,
        .late_ppm = 50000,
        .late_by_us = INT64_C(2400) * 1000000,
        .duplicate_ppm = 50000,
        .garbage_ppm = 10000,
    };
}

static struct sim *opened(struct sim_config config)
{
    op_init(&op, NULL, START_US);
    struct sim *sim = NULL;
    SUCCEEDS(&op, sim_open(&op, &config, &sim));
    return sim;
}

static struct sim_truth truth_of(struct sim_config config)
{
    struct sim *sim = opened(config);
    struct sim_truth truth;
    sim_truth(sim, &truth);
    sim_close(sim);
    return truth;
}

/* Within five standard deviations of a share in millionths. */
static void near_share(int64_t count, int64_t of, int64_t ppm)
{
    int64_t expected = of * ppm / 1000000;
    int64_t off = count - expected;
    if (off * off > 25 * (expected + 4))
        fprintf(stderr, "%" PRId64 " of %" PRId64 ", expected %" PRId64 "\n", count, of, expected);
    YES(off * off <= 25 * (expected + 4));
}

static void same_figures(const struct sim_truth *a, const struct sim_truth *b)
{
    EQ(a->messages, b->messages);
    EQ(a->delivered, b->delivered);
    EQ(a->opened, b->opened);
    EQ(a->opened_human, b->opened_human);
    EQ(a->opened_machine, b->opened_machine);
    EQ(a->clicked, b->clicked);
    EQ(a->clicked_human, b->clicked_human);
    EQ(a->clicked_machine, b->clicked_machine);
    EQ(a->failed_permanent, b->failed_permanent);
    EQ(a->failed_temporary, b->failed_temporary);
    EQ(a->complained, b->complained);
    EQ(a->unsubscribed, b->unsubscribed);
    EQ(a->suppressed_bounce, b->suppressed_bounce);
    EQ(a->suppressed_complaint, b->suppressed_complaint);
    EQ(a->suppressed_unsubscribe, b->suppressed_unsubscribe);
    EQ(a->real, b->real);
    EQ(memcmp(a->link_clicks, b->link_clicks, sizeof a->link_clicks), 0);
    EQ(memcmp(a->link_members, b->link_members, sizeof a->link_members), 0);
}

TEST(simulate, gives_the_shares_it_promises)
{
    struct sim_truth truth = truth_of(usual(100000));
    EQ(truth.messages, 100000);
    near_share(truth.delivered, 100000, 970000);
    near_share(truth.failed_permanent, 100000, 20000);
    near_share(truth.failed_temporary, 100000, 10000);
    near_share(truth.opened_human, truth.delivered, 450000);
    near_share(truth.clicked_human, truth.delivered, 120000);
    near_share(truth.opened_machine, truth.delivered, 80000);
    near_share(truth.unsubscribed, truth.delivered, 2000);
    near_share(truth.complained, truth.delivered, 500);
    near_share(truth.late, truth.real, 50000);
    near_share(truth.duplicate, truth.real, 50000);
    near_share(truth.malformed + truth.unhandled, truth.real, 10000);
}

TEST(simulate, gives_the_same_figures_for_the_same_seed_at_any_speed)
{
    struct sim_config config = usual(5000);
    struct sim_truth slow = truth_of(config);
    config.compress_milli = 1440 * 1000;
    struct sim_truth fast = truth_of(config);
    config.compress_milli = INT64_C(1000000000);
    struct sim_truth at_once = truth_of(config);
    same_figures(&slow, &fast);
    same_figures(&slow, &at_once);
    YES(slow.last_event_us - START_US > 20 * INT64_C(3600000000));
    YES(fast.last_event_us - START_US < 62 * INT64_C(1000000));
}

TEST(simulate, gives_the_same_figures_whatever_is_late_twice_or_garbage)
{
    struct sim_config config = usual(5000);
    struct sim_truth some = truth_of(config);
    config.late_ppm = config.duplicate_ppm = config.garbage_ppm = 0;
    struct sim_truth none = truth_of(config);
    config.late_ppm = config.duplicate_ppm = config.garbage_ppm = 1000000;
    struct sim_truth all = truth_of(config);
    same_figures(&some, &none);
    same_figures(&some, &all);
    EQ(none.late + none.duplicate + none.malformed + none.unhandled, 0);
    EQ(all.late, all.real);
    EQ(all.duplicate, all.real);
    EQ(all.malformed + all.unhandled, all.real);
}

TEST(simulate, gives_other_figures_for_another_seed)
{
    struct sim_config config = usual(5000);
    struct sim_truth seven = truth_of(config);
    config.seed = 8;
    struct sim_truth eight = truth_of(config);
    YES(seven.opened != eight.opened || seven.clicked != eight.clicked);
}

TEST(simulate, begins_a_larger_mailing_like_a_smaller_one)
{
    struct sim *small = opened(usual(100));
    struct sim *large = opened(usual(200));
    struct sim_event a[SIM_EVENTS_MAX], b[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 100; no++) {
        size_t count = sim_events(small, no, a);
        EQ(sim_events(large, no, b), count);
        for (size_t i = 0; i < count; i++)
            EQ(a[i].type, b[i].type);
    }
    sim_close(small);
    sim_close(large);
}

TEST(simulate, keeps_every_message_within_what_it_may_do)
{
    struct sim *sim = opened(usual(20000));
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 20000; no++) {
        size_t count = sim_events(sim, no, events);
        int64_t delivered_us = INT64_MAX;
        for (size_t i = 0; i < count; i++) {
            const struct sim_event *event = &events[i];
            EQ(event->n, i);
            EQ(event->no, no);
            YES(event->at_us >= START_US);
            YES(event->visible_at_us >= event->at_us);
            if (event->flags & SIM_GARBAGE)
                continue;
            if (event->type == SIM_DELIVERED)
                delivered_us = event->at_us;
            if (event->type == SIM_OPENED || event->type == SIM_CLICKED || event->type == SIM_COMPLAINED ||
                event->type == SIM_UNSUBSCRIBED)
                YES(event->at_us >= delivered_us);
        }
    }
    sim_close(sim);
}

/* The ids of one type and day differ, all over the mailing; across types and days they repeat. */
TEST(simulate, repeats_ids_across_types_and_days_but_not_within)
{
    struct sim_config config = usual(3000);
    config.duplicate_ppm = 0;
    config.garbage_ppm = 0;
    struct sim *sim = opened(config);
    struct {
        char id[SIM_ID_BYTES];
        const char *word;
        int64_t day;
    } seen[20000];
    size_t count = 0;
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 3000; no++) {
        size_t n = sim_events(sim, no, events);
        for (size_t i = 0; i < n; i++) {
            sim_event_id(sim, &events[i], seen[count].id);
            seen[count].word = sim_type_word((enum sim_type)events[i].type).p;
            seen[count++].day = events[i].at_us / DAY_US;
        }
    }
    size_t across_types = 0, across_days = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++) {
            if (memcmp(seen[i].id, seen[k].id, SIM_ID_BYTES) != 0)
                continue;
            bool same_word = strcmp(seen[i].word, seen[k].word) == 0;
            NO(same_word && seen[i].day == seen[k].day);
            across_types += !same_word;
            across_days += seen[i].day != seen[k].day;
        }
    YES(across_types > 1000);
    YES(across_days > 100);
    sim_close(sim);
}

TEST(simulate, keeps_first_and_last_instant_on_whole_milliseconds)
{
    struct sim_truth truth = truth_of(usual(2000));
    EQ(truth.first_event_us % 1000, 0);
    EQ(truth.last_event_us % 1000, 0);
}

TEST(simulate, lets_nothing_happen_before_the_mailing_was_sent)
{
    struct sim_config config = usual(500);
    config.start_us = START_US + 911459;
    config.compress_milli = INT64_C(1000000000000);
    struct sim *sim = opened(config);
    EQ(sim_config(sim)->start_us, START_US + 911000);
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = 0; no < 500; no++) {
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++)
            YES(events[i].visible_at_us >= START_US + 911000);
    }
    sim_close(sim);
}

TEST(simulate, shows_late_events_late_and_the_others_within_seconds)
{
    struct sim_config config = usual(2000);
    config.compress_milli = 10000;
    struct sim *sim = opened(config);
    struct sim_event events[SIM_EVENTS_MAX];
    size_t late = 0;
    for (uint32_t no = 0; no < 2000; no++) {
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++) {
            int64_t behind_us = events[i].visible_at_us - events[i].at_us;
            late += (events[i].flags & SIM_LATE) != 0;
            if (events[i].flags & SIM_LATE && !(events[i].flags & SIM_AGAIN))
                EQ(behind_us, 240 * 1000000);
            if (!(events[i].flags & SIM_SLOW))
                YES(behind_us < 800000);
        }
    }
    YES(late > 100);
    sim_close(sim);
}

TEST(simulate, refuses_a_config_without_sense)
{
    struct sim *sim = NULL;
    op_init(&op, NULL, START_US);
    struct sim_config config = usual(10);
    config.late_ppm = 1000001;
    EQ(sim_open(&op, &config, &sim), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/late_share");
    config = usual(10);
    config.mailing = (struct str){ NULL, 0 };
    EQ(sim_open(&op, &config, &sim), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/mailing");
    config = usual(SIM_RECIPIENTS_MAX + 1u);
    EQ(sim_open(&op, &config, &sim), ERR_INVALID);
    config = usual(10);
    config.mailing = S("a\"b");
    EQ(sim_open(&op, &config, &sim), ERR_INVALID);
    config = usual(10);
    config.compress_milli = -1;
    EQ(sim_open(&op, &config, &sim), ERR_INVALID);
    YES(sim == NULL);
}

TEST(simulate, plays_what_is_posted)
{
    struct sim_config config = { .seed = 3, .start_us = START_US };
    struct sim *sim = opened(config);
    EQ(sim_recipients(sim), 0);
    struct sim_posting posting = { .message_id = S("1@mg.sim.example"),
                                   .from = S("a@x.org"),
                                   .subject = S("Hello"),
                                   .tags = S("[\"one\"]"),
                                   .start_us = START_US };
    struct sim_posted_to to[500];
    char addresses[500][24];
    for (int i = 0; i < 500; i++)
        to[i] = (struct sim_posted_to){ { addresses[i], (size_t)snprintf(addresses[i], 24, "p%d@x.org", i) }, S("{}") };
    SUCCEEDS(&op, sim_post(&op, sim, &posting, to, 500));
    posting.start_us += DAY_US;
    SUCCEEDS(&op, sim_post(&op, sim, &posting, to, 500));
    EQ(sim_recipients(sim), 1000);

    struct sim_recipient who;
    sim_recipient(sim, 501, &who);
    STR_EQ(who.address, "p1@x.org");
    EQ(who.start_us, START_US + DAY_US);
    struct sim_event events[SIM_EVENTS_MAX];
    YES(sim_events(sim, 501, events) >= 1);
    EQ(events[0].type, SIM_ACCEPTED);
    EQ(events[0].at_us, START_US + DAY_US);

    struct sim_truth truth;
    sim_truth(sim, &truth);
    EQ(truth.messages, 1000);
    YES(truth.delivered > 900);
    EQ(truth.unhandled, 1000);
    sim_close(sim);
}

TEST(simulate, reads_shares_and_factors_without_floating_point)
{
    int64_t value = -1;
    YES(sim_parse_decimal(S("0.05"), 6, 1000000, &value));
    EQ(value, 50000);
    YES(sim_parse_decimal(S("1"), 6, 1000000, &value));
    EQ(value, 1000000);
    YES(sim_parse_decimal(S("1440"), 3, 1000000000, &value));
    EQ(value, 1440000);
    YES(sim_parse_decimal(S("2.5"), 3, 1000000000, &value));
    EQ(value, 2500);
    NO(sim_parse_decimal(S("1.000001"), 6, 1000000, &value));
    NO(sim_parse_decimal(S("0.1234567"), 6, 1000000, &value));
    NO(sim_parse_decimal(S("0.-5"), 6, 1000000, &value));
    NO(sim_parse_decimal(S("5."), 6, 10000000, &value));
    NO(sim_parse_decimal(S(".5"), 6, 10000000, &value));
    NO(sim_parse_decimal(S("1e3"), 6, 10000000, &value));
    NO(sim_parse_decimal(S(""), 6, 10000000, &value));
    EQ(value, 2500);
}

TEST(simulate, takes_events_by_hand_into_lists_and_truth)
{
    struct sim *sim = opened(usual(100));
    struct sim_truth before, after;
    struct sim_event events[SIM_EVENTS_MAX], page[300];
    sim_truth(sim, &before);
    size_t had = sim_events(sim, 17, events);
    int64_t at_us = START_US + 2 * DAY_US;
    SUCCEEDS(&op, sim_issue(&op, sim, 17, SIM_COMPLAINED, at_us + 5, at_us));
    SUCCEEDS(&op, sim_issue(&op, sim, 17, SIM_OPENED, at_us, at_us + DAY_US));
    EQ(sim_events(sim, 17, events), had + 2);
    char first[SIM_ID_BYTES], second[SIM_ID_BYTES];
    sim_event_id(sim, &events[had], first);
    sim_event_id(sim, &events[had + 1], second);
    NE(memcmp(first, second, SIM_ID_BYTES), 0);

    struct sim_query query = { .begin_us = at_us, .end_us = at_us + DAY_US, .types = SIM_TYPES_ALL };
    EQ(sim_page(sim, &query, at_us + 5, page, 300), 1);
    EQ(page[0].type, SIM_COMPLAINED);
    EQ(sim_page(sim, &query, at_us + DAY_US, page, 300), 2);

    sim_truth(sim, &after);
    EQ(after.complained, before.complained + 1);
    EQ(after.real, before.real + 2);
    EQ(after.last_event_us, at_us);
    EQ(sim_issue(&op, sim, 100, SIM_OPENED, at_us, at_us), ERR_NOT_FOUND);
    sim_close(sim);
}
