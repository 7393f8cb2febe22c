/* How often a server is asked and waited for: once for many things, whatever their number. */
#include "store/core.h"

#include "engine/check.h"
#include "engine/click.h"
#include "engine/links.h"
#include "source_lab.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

#define LINES  1000
#define EVENTS 300

static struct lab lab;
static struct import_line lines[LINES];
static struct provider_event events[EVENTS];

static void restart(void)
{
    fixture_reopen(&lab.ledger.fixture);
    lab.store = lab.ledger.fixture.store;
}

static uint64_t trips(void)
{
    return lab.ledger.fixture.store->conn->trips;
}

/* Of the connection that snapshots use. */
static uint64_t reading_trips(void)
{
    const struct conn *conn = lab.ledger.fixture.store->reader;
    return conn ? conn->trips : 0;
}

static struct str text_of(const char *format, int n)
{
    return arena_fmt(lab.op->arena, format, n);
}

static enum err import_lines(struct op *op, struct tx *tx, void *arg)
{
    return import_apply(op, tx, arg);
}

/* Lines with everything that is looked up. */
static uint64_t import_all(void)
{
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = S("m"), .lines = lines, .count = LINES };
    for (int i = 0; i < LINES; i++) {
        struct str text = arena_fmt(lab.op->arena,
                                    "{\"recipient\":\"r%d@x.org\",\"id\":\"id-%d\",\"member\":\"p%d\","
                                    "\"provider_message_id\":\"<%d@mg>\",\"template\":\"t%d\"}",
                                    i, i, i % 700, i, i % 5);
        struct json_line line = { .number = i + 1, .text = text };
        import_line_parse(lab.op, IMPORT_MAILING, &line, &lines[i]);
    }
    uint64_t before = trips();
    SUCCEEDS(lab.op, store_write(lab.op, lab.ledger.fixture.store, import_lines, &chunk));
    return trips() - before;
}

static struct provider_event event_no(int i)
{
    static const enum event_kind kinds[] = { EVENT_DELIVERED, EVENT_OPENED, EVENT_CLICKED, EVENT_CLICKED,
                                             EVENT_FAILED,    EVENT_OPENED, EVENT_DELAYED };
    struct provider_event event =
        lab_open(&lab, text_of("r%d@x.org", i * 3 % LINES).p, T0 + i * SECOND, text_of("e%d", i).p);
    event.kind = kinds[i % 7];
    event.ip = S("192.0.2.1");
    event.agent = S("Mozilla/5.0 (X11)");
    if (event.kind == EVENT_CLICKED)
        event.url = text_of("https://example.org/%d", i % 4);
    if (event.kind == EVENT_FAILED)
        event.suppress = SUPPRESS_BOUNCE;
    if (i % 4 == 1) { /* by the provider's id alone */
        event.mailing = (struct str){ 0 };
        event.provider_message_id = text_of("%d@mg", i * 3 % LINES);
    }
    provider_event_key(&event, store_hash_key(lab.ledger.fixture.store), lab.save.source_id);
    return event;
}

/* Says something bad of a message: each round of another event, and of an earlier instant, which wins. */
static struct provider_event bad_news(int i, int round)
{
    int64_t at_us = T0 + (60 - round) * SECOND;
    struct provider_event event =
        lab_open(&lab, text_of("r%d@x.org", i / 2).p, at_us, arena_fmt(lab.op->arena, "bad-%d-%d", round, i).p);
    event.kind = i % 2 ? EVENT_COMPLAINED : EVENT_FAILED;
    event.suppress = i % 2 ? SUPPRESS_COMPLAINT : SUPPRESS_BOUNCE;
    event.code = 550;
    event.text = text_of("round %d", round);
    provider_event_key(&event, store_hash_key(lab.ledger.fixture.store), lab.save.source_id);
    return event;
}

static uint64_t tell_events(void)
{
    lab.save.events = events;
    lab.save.event_count = EVENTS;
    uint64_t before = trips();
    SUCCEEDS(lab.op, lab_commit(&lab));
    return trips() - before;
}

static uint64_t tell_page(int from)
{
    for (int i = 0; i < EVENTS; i++)
        events[i] = event_no(from + i);
    return tell_events();
}

static uint64_t tell_bad_news(int round)
{
    for (int i = 0; i < EVENTS; i++)
        events[i] = bad_news(i, round);
    return tell_events();
}

/* Of the first line of the import. */
static enum err failure_look(struct op *op, struct tx *tx, void *arg)
{
    uint64_t newest;
    TRY(store_message_newest(op, tx, &newest));
    return store_failure_get(op, tx, newest - LINES + 1, arg);
}

#define START_LAB()                                                                                                    \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("there is no server to ask");                                                                         \
        lab_start(&lab);                                                                                               \
    } while (0)

TEST(trips, of_an_import_are_a_handful)
{
    START_LAB();
    uint64_t n = import_all();
    print_message("# %d lines: %d trips\n", LINES, (int)n);
    YES(n <= 16);
    n = import_all();
    print_message("# the same again: %d trips\n", (int)n);
    YES(n <= 8);
    lab_stop(&lab);
}

TEST(trips, of_a_page_of_events_are_a_handful_also_after_a_start)
{
    START_LAB();
    import_all();
    restart();
    uint64_t n = tell_page(0);
    print_message("# %d events after a start: %d trips\n", EVENTS, (int)n);
    EQ(lab.result.count[RESULT_APPLIED] + lab.result.count[RESULT_UNCHANGED], EVENTS);
    YES(n <= 30);
    n = tell_page(EVENTS);
    print_message("# %d more: %d trips\n", EVENTS, (int)n);
    YES(n <= 16);
    restart();
    n = tell_page(0);
    print_message("# %d known ones after a start: %d trips\n", EVENTS, (int)n);
    EQ(lab.result.count[RESULT_DUPLICATE], EVENTS);
    YES(n <= 12);
    lab_stop(&lab);
}

TEST(trips, of_bad_news_that_come_again_are_a_handful)
{
    START_LAB();
    import_all();
    tell_bad_news(0);
    for (int round = 1; round <= 2; round++) {
        uint64_t n = tell_bad_news(round);
        print_message("# %d failures and complaints again: %d trips\n", EVENTS, (int)n);
        EQ(lab.result.count[RESULT_APPLIED], EVENTS);
        YES(n <= 10);
    }
    struct failure_row failure;
    SUCCEEDS(lab.op, store_read(lab.op, lab.ledger.fixture.store, failure_look, &failure));
    EQ(failure.at_us, T0 + 58 * SECOND);
    EQ(failure.code, 550);
    STR_EQ(failure.text, "round 2");
    lab_stop(&lab);
}

/* Clicks of one node on links of mailing m, or of none, stored in order. */
struct clicking {
    struct str mailing;
    struct link links[4];
    struct click clicks[EVENTS];
    uint64_t stored;
};

static enum err put_links(struct op *op, struct tx *tx, void *arg)
{
    struct clicking *c = arg;
    struct link_put put = { .url = S("https://example.org/"), .tenant = S("acme"), .mailing = c->mailing };
    bool made;
    for (int i = 0; i < 4; i++)
        TRY(link_store(op, tx, arena_fmt(op->arena, "link-%d", i), &put, 0, &c->links[i], &made));
    return OK;
}

static enum err click_all(struct op *op, struct tx *tx, void *arg)
{
    struct clicking *c = arg;
    return click_apply_all(op, tx, S("test"), c->stored, c->clicks, EVENTS);
}

static uint64_t click_once(struct clicking *c, int64_t at_us)
{
    for (int i = 0; i < EVENTS; i++) {
        const struct link *link = &c->links[(i + at_us / SECOND) % 4];
        c->clicks[i] = (struct click){ .number = c->stored + (uint64_t)i + 1,
                                       .at_us = at_us,
                                       .message_no = link->mailing_no ? (uint64_t)(i * 3 % LINES + 1) : 0,
                                       .visitor_hash = link->mailing_no ? 0 : at_us / SECOND / 3600 * 1000 + i / 2,
                                       .link_no = link->no,
                                       .version = link->version,
                                       .tenant_no = lab.ledger.tenant_no,
                                       .mailing_no = link->mailing_no,
                                       .member_no = (uint32_t)(i * 3 % LINES % 700 + 1),
                                       .client = i + 1 };
    }
    uint64_t before = trips();
    SUCCEEDS(lab.op, store_write(lab.op, lab.ledger.fixture.store, click_all, c));
    c->stored += EVENTS;
    return trips() - before;
}

/* As many trips as for a few, however many click, right after a start, too. */
static void clicks_are_a_handful(struct str mailing)
{
    struct clicking c = { .mailing = mailing };
    import_all();
    SUCCEEDS(lab.op, store_write(lab.op, lab.ledger.fixture.store, put_links, &c));
    for (int round = 0; round < 3; round++) {
        restart();
        uint64_t n = click_once(&c, T0 + (3600 + round) * SECOND);
        print_message("# %d clicks after a start: %d trips\n", EVENTS, (int)n);
        YES(n <= 16);
        n = click_once(&c, T0 + (7200 + round) * SECOND);
        print_message("# %d more: %d trips\n", EVENTS, (int)n);
        YES(n <= 16);
    }
}

TEST(trips, of_clicks_do_not_grow_with_their_number)
{
    START_LAB();
    clicks_are_a_handful(S("m"));
    lab_stop(&lab);
}

TEST(trips, of_clicks_on_links_without_mailing_do_not_grow_with_their_number)
{
    START_LAB();
    clicks_are_a_handful((struct str){ 0 });
    lab_stop(&lab);
}

TEST(trips, of_a_check_do_not_grow_with_its_messages)
{
    START_LAB();
    import_all();
    tell_page(0);
    struct check check = { .store = lab.ledger.fixture.store };
    uint64_t before = reading_trips();
    SUCCEEDS(lab.op, check_run(lab.op, &check));
    uint64_t n = reading_trips() - before;
    print_message("# %d messages, %d facts: %d trips\n", LINES, (int)check.compared, (int)n);
    EQ(check.differ, 0);
    YES(n <= 100);
    lab_stop(&lab);
}
