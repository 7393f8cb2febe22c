#include "serve/click_line.h"

#include <sched.h>

#include "base/clock.h"
#include "engine/links.h"
#include "ledger_test.h"
#include "store/spool.h"
#include "store/store_click.h"

#define WAITS (CLICK_BATCH_MAX + 3)
#define ROOM  (10 * CLICK_BATCH_MAX)
#define CROWD (ROOM + 100)

#define GATHER_MS 1000 /* so that what gathers is looked at meanwhile */

/* A line on a loop of its own; the writer's turns are the test's. */
struct scene {
    struct ledger ledger;
    struct loop *loop;
    struct click_line *line;
    struct link link;
    struct wait {
        struct click_wait wait; /* first */
        int stored, refused;
        int turn; /* in which it was answered */
    } waits[WAITS];
    int64_t waiting;
    uint32_t clicks;
    char directory[64], spool[96];
    struct click_reader reader;
    int readers_passed, readers_seen;
    struct wait crowd[CROWD];
    int joined, upto;
    int64_t wait_ms, waited_ms; /* clicks may wait so long; one did */
    int64_t fence_ms;           /* and readers */
};

static int turns; /* the loop's */

static void wait_done(struct click_wait *wait, bool stored)
{
    struct wait *w = (struct wait *)wait;
    w->turn = ++turns;
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
        .store = fixture->store, .loop = s->loop, .node = S("test"), .max_waiting = max_waiting, .gather_ms = GATHER_MS
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
static void join(struct scene *s, struct wait *wait, int who)
{
    wait->wait.done = wait_done;
    wait->wait.click = (struct click){ .at_us = T0,
                                       .visitor_hash = who,
                                       .link_no = s->link.no,
                                       .version = s->link.version,
                                       .tenant_no = s->ledger.tenant_no,
                                       .client = who };
    click_line_add(s->line, &wait->wait);
}

static void add(struct scene *s, int i)
{
    join(s, &s->waits[i], i + 1);
}

/* What was begun in one turn has ended, and what that called for in the next. */
static void pass_turns(struct scene *s)
{
    for (int i = 0; i < 4; i++)
        loop_await(s->loop);
}

/* What was sent is stored, and its answers have come; so is what waited for that. */
static void settle(struct scene *s)
{
    pass_turns(s);
    while (store_turn(s->ledger.fixture.store) > 0)
        pass_turns(s);
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

/* --- the journal ---------------------------------------------------------------- */

static void open_line(struct scene *s)
{
    struct fixture *fixture = &s->ledger.fixture;
    struct click_line_config config = { .store = fixture->store,
                                        .loop = s->loop,
                                        .node = S("test"),
                                        .spool_path = s->spool,
                                        .stall_ms = INT64_MAX,
                                        .wait_ms = s->wait_ms,
                                        .fence_ms = s->fence_ms,
                                        .room = ROOM };
    SUCCEEDS(&fixture->op, click_line_open(&fixture->op, &config, &s->line));
}

/* A line whose spool was made before. */
static void start_journal(struct scene *s)
{
    struct spool *spool;
    size_t count;
    start(s, 0);
    click_line_close(s->line);
    if (store_is_shared(s->ledger.fixture.store)) {
        s->line = NULL;
        end(s);
        SKIP("a database of several nodes has no journal");
    }
    snprintf(s->directory, sizeof s->directory, "/tmp/posthouse-test-XXXXXX");
    YES(mkdtemp(s->directory) != NULL);
    snprintf(s->spool, sizeof s->spool, "%s/spool", s->directory);
    SUCCEEDS(&s->ledger.fixture.op, spool_open(&s->ledger.fixture.op, s->spool, S("test"), ROOM, &spool, &count));
    spool_close(spool);
    open_line(s);
}

static void end_journal(struct scene *s)
{
    end(s);
    unlink(s->spool);
    rmdir(s->directory);
}

struct look {
    const struct wait *wait;
    int answers;
};

static void look(void *data)
{
    struct look *look = data;
    look->answers = look->wait->stored + look->wait->refused;
}

/* The loop has nothing to do with the store here, so what is answered was synced in the spool. */
static void await_answers(struct scene *s, const struct wait *wait, int count)
{
    struct look at = { .wait = wait };
    while (at.answers < count) {
        sched_yield();
        loop_call(s->loop, look, &at);
    }
}

static void add_three(void *data)
{
    for (int i = 0; i < 3; i++)
        add(data, i);
}

static void reader_passed(struct click_reader *reader)
{
    struct scene *s = MAIL_OF(reader, struct scene, reader);
    s->readers_passed++;
}

static void read_behind(void *data)
{
    struct scene *s = data;
    s->reader.passed = reader_passed;
    click_line_read(s->line, &s->reader);
}

/* LNK-11 */
TEST(click_line, answers_from_the_journal_and_lets_readers_wait_for_the_store)
{
    struct scene s;
    start_journal(&s);
    loop_call(s.loop, read_behind, &s);
    EQ(s.readers_passed, 1); /* nothing was answered yet */
    loop_call(s.loop, add_three, &s);
    await_answers(&s, &s.waits[2], 1);
    EQ(s.waits[0].stored + s.waits[1].stored + s.waits[2].stored, 3);
    EQ(click_line_spooled(s.line), 0); /* a journal ahead of the store is no trouble */
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 0);
    loop_call(s.loop, read_behind, &s);
    EQ(s.readers_passed, 1);
    settle(&s);
    EQ(s.readers_passed, 2);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 3);
    end_journal(&s);
}

static void restart_line(struct scene *s)
{
    loop_stop(s->loop);
    click_line_close(s->line);
    s->loop = loop_start("line");
    open_line(s);
}

static void note_passed(void *data)
{
    struct scene *s = data;
    s->readers_seen = s->readers_passed;
}

/* LNK-11 */
TEST(click_line, lets_readers_wait_for_a_while_only_and_says_what_they_do_not_see)
{
    struct scene s;
    start_journal(&s);
    s.fence_ms = 20;
    restart_line(&s);
    loop_call(s.loop, add_three, &s);
    await_answers(&s, &s.waits[2], 1);
    loop_call(s.loop, read_behind, &s);
    while (s.readers_seen < 1) { /* the store does nothing meanwhile */
        sched_yield();
        loop_call(s.loop, note_passed, &s);
    }
    EQ(s.reader.behind, 3);
    settle(&s);
    loop_call(s.loop, read_behind, &s);
    loop_call(s.loop, note_passed, &s);
    EQ(s.readers_seen, 2);
    EQ(s.reader.behind, 0);
    end_journal(&s);
}

/* As a process that was killed left them. */
static void write_journal(struct scene *s, int clicks)
{
    struct op *op = &s->ledger.fixture.op;
    struct spool *spool;
    size_t count;
    SUCCEEDS(op, spool_open(op, s->spool, S("test"), ROOM, &spool, &count));
    for (int i = 0; i < clicks; i++) {
        struct click click = { .number = (uint64_t)i + 1,
                               .at_us = T0,
                               .visitor_hash = i + 1,
                               .link_no = s->link.no,
                               .version = s->link.version,
                               .tenant_no = s->ledger.tenant_no };
        SUCCEEDS(op, spool_append(op, spool, &click, sizeof click));
    }
    SUCCEEDS(op, spool_sync(op, spool));
    spool_close(spool);
}

/* LNK-12 */
TEST(click_line, stores_what_a_crash_left_in_the_journal_before_anything_else)
{
    struct scene s;
    start_journal(&s);
    write_journal(&s, 1200);
    for (int round = 0; round < 2; round++) {
        restart_line(&s);
        READS(&s.ledger.fixture, read_clicks, &s);
        EQ(s.clicks, 1200);
    }
    end_journal(&s);
}

/* LNK-42 */
TEST(click_line, keeps_clicks_in_the_journal_while_the_store_refuses_and_readers_do_not_wait_for_it)
{
    struct scene s;
    start_journal(&s);
    fixture_plan(&s.ledger.fixture, STORE_AT_COMMIT, STORE_FAIL_IO, 1);
    loop_call(s.loop, add_three, &s);
    await_answers(&s, &s.waits[2], 1);
    loop_call(s.loop, read_behind, &s);
    EQ(s.readers_passed, 0);
    settle(&s);
    EQ(s.readers_passed, 1);
    EQ(click_line_spooled(s.line), 3);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 0);
    loop_call(s.loop, add_three, &s);
    await_answers(&s, &s.waits[2], 2);
    EQ(s.waits[2].stored, 2);
    restart_line(&s);
    EQ(click_line_spooled(s.line), 0);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 6);
    end_journal(&s);
}

static void crowd_joins(void *data)
{
    struct scene *s = data;
    for (; s->joined < s->upto; s->joined++)
        join(s, &s->crowd[s->joined], 1 + s->joined);
}

/* LNK-40 */
TEST(click_line, lets_clicks_wait_for_room_when_the_journal_is_full)
{
    struct scene s;
    start_journal(&s);
    s.upto = ROOM;
    loop_call(s.loop, crowd_joins, &s);
    await_answers(&s, &s.crowd[ROOM - 1], 1);
    s.upto = CROWD;
    loop_call(s.loop, crowd_joins, &s);
    loop_await(s.loop);
    EQ(click_line_waiting(s.line), CROWD - ROOM);
    while (s.clicks < CROWD) {
        settle(&s);
        READS(&s.ledger.fixture, read_clicks, &s);
    }
    EQ(s.crowd[CROWD - 1].stored, 1);
    EQ(s.clicks, CROWD);
    end_journal(&s);
}

static struct wait stuck[CLICK_WAITING_MAX + 1];

static void all_get_stuck(void *data)
{
    struct scene *s = data;
    for (int i = 0; i <= CLICK_WAITING_MAX; i++)
        join(s, &stuck[i], i % 100 + 1);
}

static void half_of_them_leave(void *data)
{
    struct scene *s = data;
    for (int i = 0; i < CLICK_WAITING_MAX; i += 2)
        click_line_leave(s->line, &stuck[i].wait, true);
}

/* LNK-40 */
TEST(click_line, answers_in_order_who_stays_when_twenty_thousand_are_stuck_and_half_of_them_leave)
{
    struct scene s;
    start_journal(&s);
    s.upto = ROOM;
    loop_call(s.loop, crowd_joins, &s);
    await_answers(&s, &s.crowd[ROOM - 1], 1);
    loop_call(s.loop, all_get_stuck, &s);
    EQ(stuck[CLICK_WAITING_MAX].refused, 1); /* one too many */
    loop_await(s.loop);
    EQ(click_line_waiting(s.line), CLICK_WAITING_MAX);
    loop_call(s.loop, half_of_them_leave, &s);
    EQ(click_line_waiting(s.line), CLICK_WAITING_MAX / 2);
    while (s.clicks < ROOM + CLICK_WAITING_MAX / 2) {
        settle(&s);
        READS(&s.ledger.fixture, read_clicks, &s);
    }
    EQ(s.clicks, ROOM + CLICK_WAITING_MAX / 2);
    for (int i = 0; i < CLICK_WAITING_MAX; i++)
        EQ(stuck[i].stored, i % 2);
    for (int i = 3; i < CLICK_WAITING_MAX; i += 2)
        YES(stuck[i].turn > stuck[i - 2].turn);
    EQ(click_line_waiting(s.line), 0);
    end_journal(&s);
}

static void let_wait(void *data)
{
    struct scene *s = data;
    s->waited_ms = -loop_now_ms(s->loop);
    crowd_joins(s);
}

static void note_waited(void *data)
{
    struct scene *s = data;
    s->waited_ms += loop_now_ms(s->loop);
}

/* LNK-43 */
TEST(click_line, refuses_who_has_waited_as_long_as_it_is_told)
{
    struct scene s;
    start_journal(&s);
    s.wait_ms = 300;
    restart_line(&s);
    s.upto = ROOM;
    loop_call(s.loop, crowd_joins, &s);
    await_answers(&s, &s.crowd[ROOM - 1], 1);
    s.upto = CROWD;
    loop_call(s.loop, let_wait, &s);
    await_answers(&s, &s.crowd[CROWD - 1], 1);
    loop_call(s.loop, note_waited, &s);
    EQ(s.crowd[CROWD - 1].refused, 1);
    YES(s.waited_ms >= s.wait_ms);
    EQ(click_line_waiting(s.line), 0);
    settle(&s);
    end_journal(&s);
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

static void add_first(void *data)
{
    add(data, 0);
}

static void add_second(void *data)
{
    add(data, 1);
}

static void add_third(void *data)
{
    add(data, 2);
}

static void add_in_turns(struct scene *s)
{
    loop_call(s->loop, add_first, s);
    pass_turns(s);
    loop_call(s->loop, add_second, s);
    pass_turns(s);
    loop_call(s->loop, add_third, s);
    pass_turns(s);
}

/* LNK-41 */
TEST(click_line, clicks_that_come_while_others_are_with_the_writer_go_together)
{
    struct scene s;
    start(&s, 0);
    add_in_turns(&s);
    EQ(store_turn(s.ledger.fixture.store), 1);
    pass_turns(&s);
    EQ(s.waits[0].stored, 1);
    EQ(s.waits[1].stored + s.waits[2].stored, 0);
    EQ(store_turn(s.ledger.fixture.store), 1); /* one command of two clicks */
    pass_turns(&s);
    EQ(s.waits[1].stored + s.waits[2].stored, 2);
    READS(&s.ledger.fixture, read_clicks, &s);
    EQ(s.clicks, 3);
    end(&s);
}

#define LONG_US 20000 /* of a group, after which people rest */

static enum err take_long(struct post *post)
{
    int64_t until_us = clock_mono_us() + LONG_US;
    while (clock_mono_us() < until_us)
        continue;
    return post->err;
}

static enum err answer(struct post *post)
{
    return post->err;
}

static void stay(struct post *post)
{
    (void)post;
}

/* People and a worker want the writer, and people have it for long. */
static void have_people_rest(struct scene *s, struct post posts[2])
{
    static const struct hop route[] = { { take_long, THREAD_WRITER }, { answer, THREAD_CALLER }, { 0 } };
    for (int i = 0; i < 2; i++) {
        posts[i] = (struct post){ .hop = route, .home = stay, .urgent = i == 0 };
        op_init(&posts[i].op, s->ledger.fixture.arena, 0);
        post_send(&posts[i]);
    }
    EQ(store_turn(s->ledger.fixture.store), 2);
}

/* LNK-41 */
TEST(click_line, clicks_that_leave_the_writer_to_others_go_with_those_who_click_again)
{
    struct scene s;
    struct post posts[2];
    start(&s, 0);
    have_people_rest(&s, posts);
    loop_call(s.loop, add_first, &s);
    pass_turns(&s);
    EQ(store_turn(s.ledger.fixture.store), 1);
    pass_turns(&s);
    EQ(s.waits[0].stored, 1);
    loop_call(s.loop, add_second, &s);
    pass_turns(&s);
    EQ(store_turn(s.ledger.fixture.store), 0); /* it waits for more */
    loop_call(s.loop, add_third, &s);
    while (store_turn(s.ledger.fixture.store) == 0)
        sched_yield();
    pass_turns(&s);
    EQ(s.waits[1].stored + s.waits[2].stored, 2); /* of one command */
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
