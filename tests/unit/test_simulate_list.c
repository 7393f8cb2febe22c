#include "test.h"

#include "engine/simulate.h"

#define START_US (INT64_C(1795287600) * 1000000) /* 2026-11-21T19:00:00Z */
#define END_US   (START_US + INT64_C(3) * 86400000000)
#define HOUR_US  INT64_C(3600000000)
#define ALL_MAX  20000

static struct op op;
static struct sim_event all[ALL_MAX], page[300];

static struct sim *opened(void)
{
    struct sim_config config = {
        .seed = 5,
        .mailing = S("m-1"),
        .recipients = 3000,
        .start_us = START_US,
        .late_ppm = 50000,
        .late_by_us = INT64_C(2400) * 1000000,
        .duplicate_ppm = 50000,
        .garbage_ppm = 20000,
    };
    op_init(&op, NULL, START_US);
    struct sim *sim = NULL;
    SUCCEEDS(&op, sim_open(&op, &config, &sim));
    return sim;
}

static struct sim_query everything(void)
{
    return (struct sim_query){ .begin_us = START_US, .end_us = END_US, .types = SIM_TYPES_ALL };
}

/* Every page of the query in turn, put into all; returns how many items. */
static size_t read_pages(struct sim *sim, struct sim_query query, int64_t now_us, size_t limit)
{
    size_t count = 0, n;
    while ((n = sim_page(sim, &query, now_us, page, limit)) > 0) {
        YES(n <= limit);
        for (size_t i = 0; i < n; i++)
            all[count++] = page[i];
        query.place = sim_place_of(&page[n - 1]);
        query.from_place = true;
    }
    return count;
}

/* What the recipients' own lists hold, counted without the index. */
static size_t count_visible(const struct sim *sim, int64_t now_us, uint32_t types)
{
    struct sim_event events[SIM_EVENTS_MAX];
    size_t visible = 0;
    for (uint32_t no = 0; no < sim_recipients(sim); no++) {
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++)
            visible += events[i].visible_at_us <= now_us && types >> events[i].type & 1;
    }
    return visible;
}

TEST(simulate_list, gives_every_item_once_in_time_order)
{
    struct sim *sim = opened();
    size_t count = read_pages(sim, everything(), END_US, 300);
    EQ(count, count_visible(sim, END_US, SIM_TYPES_ALL));
    for (size_t i = 1; i < count; i++) {
        YES(all[i - 1].at_us <= all[i].at_us);
        NO(all[i - 1].no == all[i].no && all[i - 1].n == all[i].n);
    }
    EQ(read_pages(sim, everything(), END_US, 1), count);
    sim_close(sim);
}

TEST(simulate_list, gives_the_same_backwards)
{
    struct sim *sim = opened();
    size_t count = read_pages(sim, everything(), END_US, 300);
    struct sim_event first = all[0], last = all[count - 1];
    struct sim_query query = everything();
    query.descending = true;
    EQ(read_pages(sim, query, END_US, 7), count);
    EQ(all[0].no, last.no);
    EQ(all[0].n, last.n);
    EQ(all[count - 1].no, first.no);
    EQ(all[count - 1].n, first.n);
    sim_close(sim);
}

TEST(simulate_list, keeps_to_the_window_and_the_types)
{
    struct sim *sim = opened();
    struct sim_query query = everything();
    query.types = 1u << SIM_OPENED | 1u << SIM_CLICKED;
    EQ(read_pages(sim, query, END_US, 300), count_visible(sim, END_US, query.types));
    query.begin_us = START_US + HOUR_US;
    query.end_us = START_US + 2 * HOUR_US;
    size_t count = read_pages(sim, query, END_US, 300);
    YES(count > 50);
    for (size_t i = 0; i < count; i++) {
        YES(all[i].at_us >= query.begin_us && all[i].at_us < query.end_us);
        YES(all[i].type == SIM_OPENED || all[i].type == SIM_CLICKED);
    }
    query.begin_us = all[0].at_us;
    query.end_us = all[0].at_us + 1;
    YES(read_pages(sim, query, END_US, 300) >= 1);
    query.end_us = all[0].at_us;
    EQ(read_pages(sim, query, END_US, 300), 0);
    sim_close(sim);
}

TEST(simulate_list, shows_late_items_behind_what_was_read)
{
    struct sim *sim = opened();
    struct sim_query query = everything();
    int64_t now_us = START_US + HOUR_US;
    size_t early = read_pages(sim, query, now_us, 300);
    EQ(early, count_visible(sim, now_us, SIM_TYPES_ALL));
    struct sim_place reached = sim_place_of(&all[early - 1]);
    size_t later = read_pages(sim, query, now_us + HOUR_US, 300);
    size_t behind = 0;
    for (size_t i = 0; i < later; i++)
        behind += all[i].at_us < reached.at_us && all[i].visible_at_us > now_us;
    YES(behind > 10);
    sim_close(sim);
}

TEST(simulate_list, goes_on_where_an_empty_page_ended)
{
    struct sim *sim = opened();
    struct sim_query query = everything();
    int64_t now_us = START_US + HOUR_US;
    size_t count = read_pages(sim, query, now_us, 300);
    query.place = sim_place_of(&all[count - 1]);
    query.from_place = true;
    EQ(sim_page(sim, &query, now_us, page, 300), 0);
    YES(sim_page(sim, &query, now_us + HOUR_US, page, 300) > 0);
    sim_close(sim);
}

TEST(simulate_list, narrows_by_tags_and_recipient)
{
    struct sim *sim = opened();
    struct sim_query query = everything();
    size_t count = read_pages(sim, query, END_US, 300);
    query.tags[0] = S("simulated");
    query.tags[1] = S("newsletter");
    query.tag_count = 2;
    EQ(read_pages(sim, query, END_US, 300), count);
    query.tags[1] = S("newslette");
    EQ(read_pages(sim, query, END_US, 300), 0);
    query.tag_count = 0;
    struct sim_recipient who;
    struct sim_event events[SIM_EVENTS_MAX];
    sim_recipient(sim, 17, &who);
    query.recipient = who.address;
    EQ(read_pages(sim, query, END_US, 300), sim_events(sim, 17, events));
    sim_close(sim);
}

struct seen {
    size_t count;
    uint8_t times[3000][SIM_EVENTS_MAX];
};

static void take(void *data, const struct sim_event *event)
{
    struct seen *seen = data;
    seen->count++;
    seen->times[event->no][event->n]++;
}

TEST(simulate_list, tells_each_item_that_became_visible_once)
{
    struct sim *sim = opened();
    static struct seen seen;
    memset(&seen, 0, sizeof seen);
    int64_t step_us = 7 * 60 * INT64_C(1000000) + 13;
    for (int64_t at_us = START_US - 1; at_us < END_US; at_us += step_us)
        sim_became_visible(sim, SIM_TYPES_ALL, at_us, at_us + step_us, take, &seen);
    EQ(seen.count, count_visible(sim, END_US, SIM_TYPES_ALL));
    for (uint32_t no = 0; no < 3000; no++)
        for (size_t n = 0; n < SIM_EVENTS_MAX; n++)
            YES(seen.times[no][n] <= 1);
    sim_close(sim);
}

TEST(simulate_list, takes_in_what_is_posted_later)
{
    struct sim *sim = opened();
    size_t before = read_pages(sim, everything(), END_US, 300);
    struct sim_posting posting = { .message_id = S("x@y"),
                                   .from = S("f"),
                                   .subject = S("s"),
                                   .tags = S("[\"special\"]"),
                                   .start_us = START_US + HOUR_US };
    struct sim_posted_to to[2] = { { S("a@x.org"), S("{}") }, { S("b@x.org"), S("{}") } };
    SUCCEEDS(&op, sim_post(&op, sim, &posting, to, 2));
    struct sim_query query = everything();
    size_t after = read_pages(sim, query, END_US, 300);
    EQ(after, count_visible(sim, END_US, SIM_TYPES_ALL));
    YES(after >= before + 2);
    for (size_t i = 1; i < after; i++)
        YES(all[i - 1].at_us <= all[i].at_us);
    query.tags[0] = S("special");
    query.tag_count = 1;
    EQ(read_pages(sim, query, END_US, 300), after - before);
    sim_close(sim);
}
