#include "serve/click_line.h"

#include "engine/links.h"
#include "ledger_test.h"
#include "store/store_click.h"

#define WAITS (CLICK_BATCH_MAX + 3)

/* A line on a loop of its own; the writer's turns are the test's. */
struct scene {
    struct ledger ledger;
    struct loop *loop;
    struct click_line *line;
    struct link link;
    struct wait {
        struct click_wait wait; /* first */
        int stored, refused;
    } waits[WAITS];
    int64_t waiting;
    uint32_t clicks;
};

static void wait_done(struct click_wait *wait, bool stored)
{
    struct wait *w = (struct wait *)wait;
    w->stored += stored;
    w->refused += !stored;
}

static enum err put_link(struct op *op, struct tx *tx, void *arg)
{
    struct scene *s = arg;
    bool made;
    struct link_put put = { .url = S("https://x/"), .tenant = S("acme") };
    return link_store(op, tx, S("a"), &put, 0, &s->link, &made);
}

static void start(struct scene *s, int64_t max_waiting)
{
    memset(s, 0, sizeof *s);
    ledger_start(&s->ledger);
    struct fixture *fixture = &s->ledger.fixture;
    WRITES(fixture, put_link, s);
    s->loop = loop_start("line");
    struct click_line_config config = {
        .store = fixture->store, .loop = s->loop, .node = S("test"), .max_waiting = max_waiting
    };
    SUCCEEDS(&fixture->op, click_line_open(&fixture->op, &config, &s->line));
}

static void end(struct scene *s)
{
    loop_stop(s->loop);
    click_line_close(s->line);
    ledger_stop(&s->ledger);
}

/* On the loop. */
static void add(struct scene *s, int i)
{
    s->waits[i].wait.done = wait_done;
    s->waits[i].wait.click = (struct click){ .at_us = T0,
                                             .visitor_hash = i + 1,
                                             .link_no = s->link.no,
                                             .version = s->link.version,
                                             .tenant_no = s->ledger.tenant_no,
                                             .client = i + 1 };
    click_line_add(s->line, &s->waits[i].wait);
}

static void nothing(void *data)
{
    (void)data;
}

/* What was sent is stored, and its answers have come. */
static void settle(struct scene *s)
{
    loop_call(s->loop, nothing, NULL); /* the turn that sends it has ended when the next one runs this */
    loop_call(s->loop, nothing, NULL);
    while (store_turn(s->ledger.fixture.store) > 0)
        continue;
    loop_call(s->loop, nothing, NULL);
    loop_call(s->loop, nothing, NULL);
}

static enum err read_clicks(struct op *op, struct tx *tx, void *arg)
{
    struct scene *s = arg;
    const struct link_state *state;
    TRY(store_link_state(op, tx, s->link.no, &state));
    s->clicks = state->clicks;
    return OK;
}

static void one_more_than_may_wait(void *data)
{
    struct scene *s = data;
    for (int i = 0; i < 3; i++)
        add(s, i);
    s->waiting = click_line_waiting(s->line);
}

/* LNK-43 */
TEST(click_line, refuses_at_once_who_is_one_too_many)
{
    struct scene s;
    start(&s, 2);
    loop_call(s.loop, one_more_than_may_wait, &s);
    EQ(s.waiting, 2);
    EQ(s.waits[2].refused, 1);
    settle(&s);
    EQ(s.waits[0].stored + s.waits[1].stored, 2);
    EQ(s.waits[2].stored, 0);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 2);
    end(&s);
}

/* The first batch is with the writer, one more click waits for the end of the turn. */
static void some_leave(void *data)
{
    struct scene *s = data;
    for (int i = 0; i < CLICK_BATCH_MAX + 1; i++)
        add(s, i);
    EQ(click_line_waiting(s->line), CLICK_BATCH_MAX + 1);
    click_line_leave(s->line, &s->waits[0].wait, false);
    click_line_leave(s->line, &s->waits[0].wait, false); /* told twice, one place */
    EQ(click_line_waiting(s->line), CLICK_BATCH_MAX);
    click_line_leave(s->line, &s->waits[0].wait, true);
    click_line_leave(s->line, &s->waits[1].wait, true);
    click_line_leave(s->line, &s->waits[CLICK_BATCH_MAX].wait, true);
    EQ(click_line_waiting(s->line), CLICK_BATCH_MAX - 2);
    add(s, CLICK_BATCH_MAX + 1);
    add(s, CLICK_BATCH_MAX + 2);
    click_line_leave(s->line, &s->waits[CLICK_BATCH_MAX + 2].wait, false); /* may still hear its answer */
    s->waiting = click_line_waiting(s->line);
}

/* LNK-40 */
TEST(click_line, client_that_leaves_frees_its_place_once_and_its_click_is_dropped_if_no_group_has_it)
{
    struct scene s;
    start(&s, CLICK_BATCH_MAX + 1);
    loop_call(s.loop, some_leave, &s);
    EQ(s.waiting, CLICK_BATCH_MAX - 1);
    settle(&s);
    int stored = 0, refused = 0;
    for (int i = 0; i < WAITS; i++) {
        EQ(s.waits[i].stored + s.waits[i].refused, 1);
        stored += s.waits[i].stored;
        refused += s.waits[i].refused;
    }
    EQ(refused, 3);
    EQ(stored, CLICK_BATCH_MAX);
    EQ(s.waits[CLICK_BATCH_MAX + 2].stored, 1);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, CLICK_BATCH_MAX + 2); /* all but the one that no group had */
    EQ(click_line_waiting(s.line), 0);
    end(&s);
}
