#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "base/thread.h"
#include "engine/links.h"
#include "ledger_test.h"
#include "serve/click_line.h"
#include "store/spool.h"
#include "store/store_click.h"

#define LOOPS   3
#define CLIENTS 40 /* of a loop */
#define ROOM    4096

struct scene;

/* Who clicks again and again on one loop. */
struct client {
    struct click_wait wait; /* first */
    struct scene *scene;
    struct loop *loop;
    int clicks_left, stored, refused;
    bool waits;
};

/* One line, clicks of several loops; the writer's turns are the test's. */
struct scene {
    struct ledger ledger;
    struct link link;
    struct loop *loops[LOOPS];
    struct click_line *line;
    char directory[64], spool[96];
    struct client clients[LOOPS][CLIENTS];
    int clicks_each;
    atomic_int clients_left;
    atomic_bool drained;
    struct click_fence fence;
    bool passed;
    uint32_t clicks;
};

static enum err put_link(struct op *op, struct tx *tx, void *arg)
{
    struct scene *s = arg;
    bool made;
    struct link_put put = { .url = S("https://x/"), .tenant = S("acme") };
    return link_store(op, tx, S("a"), &put, 0, &s->link, &made);
}

static void make_spool(struct scene *s)
{
    struct op *op = &s->ledger.fixture.op;
    struct spool *spool;
    size_t count;
    snprintf(s->directory, sizeof s->directory, "/tmp/posthouse-test-XXXXXX");
    YES(mkdtemp(s->directory) != NULL);
    snprintf(s->spool, sizeof s->spool, "%s/spool", s->directory);
    SUCCEEDS(op, spool_open(op, s->spool, S("test"), ROOM, &spool, &count));
    spool_close(spool);
}

static void start(struct scene *s, bool journal, int64_t max_waiting)
{
    static const char *const names[LOOPS] = { "line", "line-2", "line-3" };
    memset(s, 0, sizeof *s);
    ledger_start(&s->ledger);
    struct fixture *fixture = &s->ledger.fixture;
    WRITES(fixture, put_link, s);
    if (journal && store_is_shared(fixture->store)) {
        ledger_stop(&s->ledger);
        SKIP("a database of several nodes has no journal");
    }
    for (int i = 0; i < LOOPS; i++)
        s->loops[i] = loop_start(names[i]);
    if (journal)
        make_spool(s);
    struct click_line_config config = { .store = fixture->store,
                                        .loop = s->loops[0],
                                        .also = s->loops + 1,
                                        .also_count = LOOPS - 1,
                                        .node = S("test"),
                                        .spool_path = journal ? s->spool : NULL,
                                        .stall_ms = INT64_MAX,
                                        .max_waiting = max_waiting,
                                        .room = ROOM };
    SUCCEEDS(&fixture->op, click_line_open(&fixture->op, &config, &s->line));
}

static void drain(void *context)
{
    struct scene *s = context;
    click_line_drain(s->line);
    atomic_store(&s->drained, true);
}

/* As the daemon does before its loops end; the writer's turns are given meanwhile. */
static void await_drained(struct scene *s)
{
    struct thread thread;
    SUCCEEDS(&s->ledger.fixture.op, thread_start(&s->ledger.fixture.op, &thread, "drain", drain, s));
    while (!atomic_load(&s->drained) && store_turn(s->ledger.fixture.store) >= 0)
        sched_yield();
    thread_join(&thread);
}

static void end(struct scene *s)
{
    await_drained(s);
    for (int i = LOOPS - 1; i >= 0; i--)
        loop_stop(s->loops[i]);
    click_line_close(s->line);
    ledger_stop(&s->ledger);
    if (s->spool[0])
        unlink(s->spool);
    if (s->directory[0])
        rmdir(s->directory);
}

static void join(struct client *client)
{
    struct scene *s = client->scene;
    client->wait.click = (struct click){ .at_us = T0,
                                         .visitor_hash = 1 + (client - s->clients[0]),
                                         .link_no = s->link.no,
                                         .version = s->link.version,
                                         .tenant_no = s->ledger.tenant_no };
    client->waits = true;
    client->clicks_left--;
    click_line_add(s->line, &client->wait);
}

/* Answered once, on his own loop; then he clicks again, or is done. */
static void done(struct click_wait *wait, bool stored)
{
    struct client *client = (struct client *)wait;
    YES(loop_is_mine(client->loop));
    YES(client->waits);
    client->waits = false;
    client->stored += stored;
    client->refused += !stored;
    if (client->clicks_left > 0)
        join(client);
    else
        atomic_fetch_sub(&client->scene->clients_left, 1);
}

struct comers {
    struct scene *scene;
    int loop, count;
};

static void come(void *data)
{
    const struct comers *comers = data;
    struct scene *s = comers->scene;
    for (int i = 0; i < comers->count; i++) {
        struct client *client = &s->clients[comers->loop][i];
        client->scene = s;
        client->loop = s->loops[comers->loop];
        client->wait.done = done;
        client->clicks_left = s->clicks_each;
        join(client);
    }
}

/* So many clients on one loop, each of whom clicks scene->clicks_each times. */
static void clients_come(struct scene *s, int loop, int count)
{
    struct comers comers = { s, loop, count };
    atomic_fetch_add(&s->clients_left, count);
    loop_call(s->loops[loop], come, &comers);
}

static enum err read_clicks(struct op *op, struct tx *tx, void *arg)
{
    struct scene *s = arg;
    const struct link_state *state;
    TRY(store_link_state(op, tx, s->link.no, &state));
    s->clicks = state->clicks;
    return OK;
}

static uint32_t clicks_of(struct scene *s)
{
    READS(&s->ledger.fixture, read_clicks, s);
    return s->clicks;
}

static void await_all(struct scene *s)
{
    while (atomic_load(&s->clients_left) > 0 && store_turn(s->ledger.fixture.store) >= 0)
        sched_yield();
}

static void await_stored(struct scene *s, uint32_t clicks)
{
    while (clicks_of(s) < clicks) {
        store_turn(s->ledger.fixture.store);
        loop_await(s->loops[0]);
    }
}

static int sum_of(const struct scene *s, bool stored)
{
    int sum = 0;
    for (int i = 0; i < LOOPS; i++)
        for (int k = 0; k < CLIENTS; k++)
            sum += stored ? s->clients[i][k].stored : s->clients[i][k].refused;
    return sum;
}

/* LNK-10 LNK-12: numbers without holes, or the store would refuse what comes behind one. */
TEST(click_loops, clicks_of_all_loops_are_answered_once_on_their_own_and_stored_in_one_order)
{
    static struct scene s;
    start(&s, true, 0);
    s.clicks_each = 200;
    for (int i = 0; i < LOOPS; i++)
        clients_come(&s, i, CLIENTS);
    await_all(&s);
    EQ(sum_of(&s, true), LOOPS * CLIENTS * 200);
    EQ(click_line_waiting(s.line), 0);
    await_stored(&s, LOOPS * CLIENTS * 200);
    EQ(clicks_of(&s), LOOPS * CLIENTS * 200);
    end(&s);
}

TEST(click_loops, clicks_of_all_loops_go_to_the_store_in_order_where_there_is_no_journal)
{
    static struct scene s;
    start(&s, false, 0);
    s.clicks_each = 20;
    for (int i = 0; i < LOOPS; i++)
        clients_come(&s, i, CLIENTS);
    await_all(&s);
    EQ(sum_of(&s, true), LOOPS * CLIENTS * 20);
    EQ(clicks_of(&s), LOOPS * CLIENTS * 20);
    end(&s);
}

/* LNK-40 */
TEST(click_loops, places_are_those_of_all_loops_together)
{
    static struct scene s;
    start(&s, false, 3);
    s.clicks_each = 1;
    clients_come(&s, 0, 1);
    clients_come(&s, 1, 1);
    clients_come(&s, 2, 2);
    EQ(click_line_waiting(s.line), 3);
    EQ(s.clients[2][1].refused, 1);
    await_all(&s);
    EQ(sum_of(&s, true), 3);
    end(&s);
}

static void fence_passed(struct click_fence *fence)
{
    struct scene *s = MAIL_OF(fence, struct scene, fence);
    YES(loop_is_mine(s->loops[0]));
    s->passed = true;
}

static void put_fence(void *data)
{
    struct scene *s = data;
    s->fence.passed = fence_passed;
    click_line_fence(s->line, &s->fence);
}

static void every_loop_has_its_turn(struct scene *s)
{
    for (int round = 0; round < 2; round++)
        for (int i = LOOPS - 1; i >= 0; i--) {
            loop_await(s->loops[i]);
            loop_await(s->loops[i]);
        }
}

/* LNK-20 */
TEST(click_loops, fence_waits_for_the_clicks_of_all_loops_and_for_none_that_came_behind_it)
{
    static struct scene s;
    start(&s, false, 3);
    s.clicks_each = 1;
    loop_call(s.loops[0], put_fence, &s);
    every_loop_has_its_turn(&s);
    YES(s.passed);
    s.passed = false;
    clients_come(&s, 1, 1);
    clients_come(&s, 2, 1);
    loop_call(s.loops[0], put_fence, &s);
    every_loop_has_its_turn(&s);
    clients_come(&s, 0, 4); /* of whom three are refused at once: they do not count for those before */
    every_loop_has_its_turn(&s);
    NO(s.passed);
    await_all(&s);
    every_loop_has_its_turn(&s);
    YES(s.passed);
    end(&s);
}

static void half_leave(void *data)
{
    const struct comers *comers = data;
    struct scene *s = comers->scene;
    for (int i = 0; i < comers->count; i += 2) {
        struct client *client = &s->clients[comers->loop][i];
        client->clicks_left = 0;
        if (client->waits)
            click_line_leave(s->line, &client->wait, true);
    }
}

/* LNK-40 */
TEST(click_loops, clients_may_leave_while_another_loop_writes_their_clicks)
{
    static struct scene s;
    start(&s, true, 0);
    s.clicks_each = 300;
    for (int i = 0; i < LOOPS; i++)
        clients_come(&s, i, CLIENTS);
    for (int round = 0; round < LOOPS; round++) {
        struct comers comers = { &s, round, CLIENTS };
        store_turn(s.ledger.fixture.store);
        loop_call(s.loops[round], half_leave, &comers);
    }
    await_all(&s);
    EQ(click_line_waiting(s.line), 0);
    await_stored(&s, (uint32_t)sum_of(&s, true));
    int left = sum_of(&s, false); /* of those who have left the click may have been written */
    YES(clicks_of(&s) >= (uint32_t)sum_of(&s, true) && clicks_of(&s) <= (uint32_t)(sum_of(&s, true) + left));
    end(&s);
}

/* Writes behind this offset of a file fail from now on. */
static void limit_files(rlim_t bytes)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN);
    EQ(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* LNK-43 */
TEST(click_loops, disk_that_fails_refuses_a_group_once_and_the_store_takes_over_for_all_loops)
{
    static struct scene s;
    start(&s, true, 0);
    s.clicks_each = 1;
    limit_files(SPOOL_HEADER_BYTES);
    for (int i = 0; i < LOOPS; i++)
        clients_come(&s, i, CLIENTS);
    await_all(&s);
    limit_files(RLIM_INFINITY);
    int refused = sum_of(&s, false);
    YES(refused > 0);
    EQ(refused + sum_of(&s, true), LOOPS * CLIENTS);
    s.clicks_each = 5;
    for (int i = 0; i < LOOPS; i++)
        clients_come(&s, i, CLIENTS);
    await_all(&s);
    EQ(sum_of(&s, false), refused);
    EQ(click_line_waiting(s.line), 0);
    EQ(clicks_of(&s), sum_of(&s, true));
    end(&s);
}
