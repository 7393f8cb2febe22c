#include <pthread.h>
#include <sched.h>
#include <semaphore.h>

#include "store/core.h"
#include "store/tally.h"
#include "store_test.h"

/* Posts go through the writer's thread, then a reader's, then home. */
struct trip {
    struct post post;
    struct mailing_stats seen;
    pthread_t reader; /* of a read alone */
    sem_t *home;
};

static enum err trip_write(struct post *post)
{
    store_mailing_count(post->tx, 3, MAILING_CLICKED, 1);
    return OK;
}

static enum err trip_read(struct post *post)
{
    struct trip *trip = (struct trip *)(void *)post;
    if (post->err != OK)
        return post->err;
    return store_mailing_stats_get(&post->op, post->tx, 3, &trip->seen);
}

static enum err trip_home(struct post *post)
{
    return post->err;
}

static const struct hop trip_route[] = {
    { trip_write, THREAD_WRITER },
    { trip_read, THREAD_READER },
    { trip_home, THREAD_CALLER },
    { 0 },
};

static void come_home(struct post *post)
{
    sem_post(((struct trip *)(void *)post)->home);
}

#define TRIPS 2000

static struct fixture f;
static struct trip trips[TRIPS];
static sem_t home;

static void start_threads(void)
{
    fixture_directory(&f);
    struct store_config config = fixture_config(&f);
    config.threads = true;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &f.store));
    sem_init(&home, 0, 0);
}

static void send_by(int i, const struct hop *route)
{
    trips[i] = (struct trip){ .home = &home };
    trips[i].post.hop = route;
    trips[i].post.home = come_home;
    op_init(&trips[i].post.op, f.arena, f.op.now_us);
    post_send(&trips[i].post);
}

static void send_trip(int i)
{
    send_by(i, trip_route);
}

static void await(int n)
{
    while (n > 0)
        if (sem_wait(&home) == 0)
            n--;
}

TEST(writer, lets_readers_see_what_it_has_answered)
{
    start_threads();
    for (int i = 0; i < 20; i++) {
        send_trip(i);
        await(1);
        EQ(trips[i].post.err, OK);
        EQ(trips[i].seen.figure[MAILING_CLICKED], i + 1);
    }
    fixture_end(&f);
}

static enum err note_reader(struct post *post)
{
    ((struct trip *)(void *)post)->reader = pthread_self();
    return OK;
}

static const struct hop read_route[] = { { note_reader, THREAD_READER }, { trip_home, THREAD_CALLER }, { 0 } };

/* What a connection has read before is then held in memory once. */
TEST(writer, lets_reads_that_come_one_by_one_be_read_by_the_same_reader)
{
    start_threads();
    int readers = f.store->config.readers;
    YES(readers > 1);
    for (int i = 0; i < 20; i++) {
        while (readers_resting(f.store->readers) < readers)
            sched_yield();
        send_by(i, read_route);
        await(1);
        YES(pthread_equal(trips[i].reader, trips[0].reader));
    }
    fixture_end(&f);
}

TEST(writer, gathers_waiting_commands_into_few_commits)
{
    start_threads();
    uint64_t before = store_figures(f.store).commits;
    for (int i = 0; i < TRIPS; i++)
        send_trip(i);
    await(TRIPS);
    for (int i = 0; i < TRIPS; i++)
        EQ(trips[i].post.err, OK);
    struct store_figures figures = store_figures(f.store);
    EQ(figures.reads, TRIPS);
    YES(figures.commits - before < TRIPS / 2);
    EQ(figures.writer_waiting, 0);
    fixture_end(&f);
}

static enum err clicked_of(struct op *op, struct tx *tx, void *arg)
{
    struct mailing_stats stats;
    TRY(store_mailing_stats_get(op, tx, 3, &stats));
    *(int64_t *)arg = stats.figure[MAILING_CLICKED];
    return OK;
}

static enum err click(struct op *op, struct tx *tx, void *arg)
{
    (void)op, (void)arg;
    store_mailing_count(tx, 3, MAILING_CLICKED, 1);
    return OK;
}

TEST(writer, serves_calls_that_wait_for_their_answer)
{
    start_threads();
    int64_t n = 0;
    WRITES(&f, click, NULL);
    READS(&f, clicked_of, &n);
    EQ(n, 1);
    fixture_end(&f);
}

TEST(writer, brings_everything_home_before_it_stops)
{
    start_threads();
    for (int i = 0; i < TRIPS; i++)
        send_trip(i);
    store_close(f.store); /* with posts waiting, running and between the threads */
    for (int i = 0; i < TRIPS; i++) {
        EQ(sem_trywait(&home), 0);
        EQ(trips[i].post.err, OK);
    }
    int64_t n = 0;
    fixture_open(&f);
    READS(&f, clicked_of, &n);
    EQ(n, TRIPS);
    fixture_end(&f);
}

TEST(writer, finds_out_by_itself_that_the_disk_takes_writes_again)
{
    start_threads();
    fixture_plan(&f, STORE_AT_COMMIT, STORE_FAIL_FULL, 1);
    send_trip(0);
    await(1);
    EQ(trips[0].post.err, ERR_UNAVAILABLE);
    YES(trips[0].post.op.retry_after_s > 0);
    /* No command comes, and still: only the probe can change it. The test ends when it does. */
    while (!store_is_ready(f.store))
        usleep(1000);
    EQ(store_figures(f.store).failures, 1);
    fixture_end(&f);
}

TEST(writer, refuses_commands_when_too_many_wait)
{
    fixture_start_file(&f); /* no thread takes them */
    static struct trip many[WRITER_QUEUE_MAX + 1];
    static const struct hop short_route[] = { { trip_write, THREAD_WRITER }, { trip_home, THREAD_CALLER }, { 0 } };
    sem_init(&home, 0, 0);
    for (int i = 0; i <= WRITER_QUEUE_MAX; i++) {
        many[i] = (struct trip){ .home = &home };
        many[i].post.hop = short_route;
        many[i].post.home = come_home;
        op_init(&many[i].post.op, f.arena, f.op.now_us);
        post_send(&many[i].post);
    }
    await(1);
    EQ(many[WRITER_QUEUE_MAX].post.err, ERR_BUSY);
    EQ(many[WRITER_QUEUE_MAX].post.op.retry_after_s, 1);
    int answered = 0;
    for (int n; (n = store_turn(f.store)) > 0;)
        answered += n;
    EQ(answered, WRITER_QUEUE_MAX);
    fixture_end(&f);
}

/* --- urgent commands --- */

#define ORDERED 700 /* more than a group */

struct ordered {
    struct post post;
    int number;
};

static struct ordered ordered[ORDERED];
static int order_run[ORDERED], run_count;

static enum err ordered_write(struct post *post)
{
    order_run[run_count++] = ((struct ordered *)(void *)post)->number;
    store_mailing_count(post->tx, 3, MAILING_CLICKED, 1);
    return OK;
}

static void stay(struct post *post)
{
    (void)post;
}

/* LNK-41 */
TEST(writer, takes_urgent_commands_first_but_leaves_half_of_a_group_to_others)
{
    static const struct hop route[] = { { ordered_write, THREAD_WRITER }, { trip_home, THREAD_CALLER }, { 0 } };
    fixture_start_file(&f); /* no thread takes them */
    run_count = 0;
    for (int i = 0; i < ORDERED; i++) {
        ordered[i] = (struct ordered){ .number = i };
        ordered[i].post.hop = route;
        ordered[i].post.home = stay;
        ordered[i].post.urgent = i >= 300; /* 300 others first, then 400 urgent ones */
        op_init(&ordered[i].post.op, f.arena, f.op.now_us);
        post_send(&ordered[i].post);
    }
    EQ(store_turn(f.store), GROUP_MAX);
    for (int i = 0; i < GROUP_MAX; i++) /* each kind in its order */
        EQ(order_run[i], i < GROUP_MAX / 2 ? 300 + i : i - GROUP_MAX / 2);
    while (store_turn(f.store) > 0)
        ;
    EQ(run_count, ORDERED);
    EQ(order_run[GROUP_MAX], 300 + GROUP_MAX / 2); /* the rest of the urgent ones, then of the others */
    EQ(order_run[ORDERED - 1], 299);
    fixture_end(&f);
}

/* --- bulk --- */

static void send_ordered(int i, const struct hop *route)
{
    ordered[i] = (struct ordered){ .number = i };
    ordered[i].post.hop = route;
    ordered[i].post.home = stay;
    op_init(&ordered[i].post.op, f.arena, f.op.now_us);
    post_send(&ordered[i].post);
}

static const struct hop bulk_route[] = { { .run = ordered_write, .thread = THREAD_WRITER, .bulk = true },
                                         { trip_home, THREAD_CALLER },
                                         { 0 } };

TEST(writer, lets_others_go_before_bulk_which_then_goes_one_by_one)
{
    static const struct hop route[] = { { ordered_write, THREAD_WRITER }, { trip_home, THREAD_CALLER }, { 0 } };
    fixture_start_file(&f); /* no thread takes them */
    run_count = 0;
    for (int i = 0; i < 8; i++)
        send_ordered(i, i < 4 ? bulk_route : route);
    EQ(store_turn(f.store), 4); /* the others, in a group of their own */
    for (int i = 0; i < 4; i++)
        EQ(order_run[i], 4 + i);
    EQ(store_turn(f.store), 1);
    EQ(order_run[4], 0);
    while (store_turn(f.store) > 0)
        ;
    EQ(run_count, 8);
    EQ(order_run[7], 3);
    fixture_end(&f);
}

TEST(writer, takes_bulk_together_when_nobody_else_came_lately)
{
    fixture_start_file(&f);
    run_count = 0;
    for (int i = 0; i < 4; i++)
        send_ordered(i, bulk_route);
    EQ(store_turn(f.store), 4);
    for (int i = 0; i < 4; i++)
        EQ(order_run[i], i);
    YES(ordered[0].post.crowded); /* by the three behind it */
    send_ordered(4, bulk_route);
    EQ(store_turn(f.store), 1);
    NO(ordered[4].post.crowded);
    fixture_end(&f);
}

/* --- a thread that lends itself --- */

/* Lending has no effect on PostgreSQL: there a write waits for a server, and for the turn. */
#define ON_ONE_MACHINE                                                                                                 \
    do {                                                                                                               \
        if (test_server())                                                                                             \
            SKIP("nothing is lent to a server");                                                                       \
    } while (0)

#define LENT 300

struct told {
    struct post post;
    int number;
    pthread_t ran_in;
};

static struct told told[LENT];
static int told_order[LENT], told_count;

static enum err told_write(struct post *post)
{
    struct told *command = (struct told *)(void *)post;
    store_mailing_count(post->tx, 3, MAILING_CLICKED, 1);
    command->ran_in = pthread_self();
    told_order[told_count++] = command->number;
    return OK;
}

static void told_home(struct post *post)
{
    (void)post;
    sem_post(&home);
}

static void tell(int number)
{
    static const struct hop route[] = { { told_write, THREAD_WRITER }, { trip_home, THREAD_CALLER }, { 0 } };
    told[number] = (struct told){ .number = number, .post = { .hop = route, .home = told_home } };
    op_init(&told[number].post.op, f.arena, f.op.now_us);
    post_send(&told[number].post);
}

static void lend(void)
{
    while (store_lend(f.store) >= 0)
        continue; /* the time it would wait for more passes */
}

TEST(writer, works_in_a_thread_that_lends_itself)
{
    int here = 0;
    int64_t n = 0;
    ON_ONE_MACHINE;
    start_threads();
    store_lend_begin(f.store);
    for (int i = 0; i < 20; i++) { /* the writer's thread may just be up to something, but not always */
        told_count = 0;
        tell(0);
        EQ(told_count, 0);
        lend();
        await(1);
        EQ(told_count, 1);
        EQ(told[0].post.err, OK);
        here += pthread_equal(told[0].ran_in, pthread_self()) != 0;
    }
    YES(here > 0);
    READS(&f, clicked_of, &n); /* committed */
    EQ(n, 20);
    store_lend_end(f.store);
    fixture_end(&f);
}

TEST(writer, lets_a_lender_wait_for_as_many_commands_as_came_before)
{
    ON_ONE_MACHINE;
    start_threads();
    told_count = 0;
    store_lend_begin(f.store);
    tell(0);
    tell(1);
    YES(store_lend(f.store) >= 0); /* a look first, always */
    lend();
    await(2);
    tell(2);
    YES(store_lend(f.store) > 0);
    EQ(told_count, 2);
    tell(3);
    EQ(store_lend(f.store), LEND_DONE);
    await(2);
    EQ(store_lend(f.store), LEND_NOTHING);
    EQ(told_count, 4);
    store_lend_end(f.store);
    fixture_end(&f);
}

TEST(writer, has_its_own_thread_for_many_commands_of_a_lender)
{
    ON_ONE_MACHINE;
    start_threads();
    told_count = 0;
    store_lend_begin(f.store);
    for (int i = 0; i < LENT; i++)
        tell(i);
    lend();
    await(LENT);
    for (int i = 0; i < LENT; i++)
        NO(pthread_equal(told[i].ran_in, pthread_self()));
    store_lend_end(f.store);
    fixture_end(&f);
}

static void *click_on(void *data)
{
    (void)data;
    for (int i = 0; i < 100; i++) {
        struct op op;
        op_init(&op, f.arena, 0);
        store_write(&op, f.store, click, NULL);
    }
    return NULL;
}

TEST(writer, keeps_commands_of_a_lender_in_order_whoever_runs_them)
{
    pthread_t other;
    ON_ONE_MACHINE;
    start_threads();
    told_count = 0;
    assert_int_equal(pthread_create(&other, NULL, click_on, NULL), 0);
    store_lend_begin(f.store);
    for (int i = 0; i < LENT; i++) {
        tell(i);
        if (i % 7 == 0 || i % 100 > 80)
            lend();
    }
    store_lend_end(f.store); /* what is left goes to the writer's thread */
    await(LENT);
    pthread_join(other, NULL);
    EQ(told_count, LENT);
    for (int i = 0; i < LENT; i++)
        EQ(told_order[i], i);
    fixture_end(&f);
}
