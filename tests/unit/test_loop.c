#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#include "net/loop.h"
#include "test.h"

struct count_errand {
    struct errand errand;
    struct loop *loop;
    int *order;
    int number;
};

static int order_at;

static void count_run(struct errand *errand)
{
    struct count_errand *count = (struct count_errand *)errand;
    assert_true(loop_is_mine(count->loop));
    count->order[order_at++] = count->number;
}

TEST(loop, runs_errands_of_one_sender_in_order)
{
    struct loop *loop = loop_start("test");
    NO(loop_is_mine(loop));
    int order[100];
    struct count_errand errands[100];
    order_at = 0;
    for (int i = 0; i < 100; i++) {
        errands[i] = (struct count_errand){ .errand.run = count_run, .loop = loop, .order = order, .number = i };
        loop_send(loop, &errands[i].errand);
    }
    loop_await(loop);
    for (int i = 0; i < 100; i++)
        EQ(order[i], i);
    loop_stop(loop);
}

TEST(loop, runs_what_was_sent_just_before_it_stops)
{
    struct loop *loop = loop_start("test");
    int order[1] = { 0 };
    order_at = 0;
    struct count_errand errand = { .errand.run = count_run, .loop = loop, .order = order, .number = 7 };
    loop_send(loop, &errand.errand);
    loop_stop(loop);
    EQ(order[0], 7);
}

#define SENDERS 4
#define EACH    2000

static _Atomic int arrived;

static void arrive(struct errand *errand)
{
    (void)errand;
    atomic_fetch_add(&arrived, 1);
}

static void *send_many(void *loop)
{
    static _Thread_local struct errand errands[EACH];
    for (int i = 0; i < EACH; i++) {
        errands[i].run = arrive;
        loop_send(loop, &errands[i]);
    }
    loop_await(loop); /* the errands live on this thread until they have run */
    return NULL;
}

TEST(loop, loses_no_errand_of_many_threads)
{
    struct loop *loop = loop_start("test");
    pthread_t threads[SENDERS];
    atomic_store(&arrived, 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_create(&threads[i], NULL, send_many, loop);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    EQ(atomic_load(&arrived), SENDERS * EACH);
    loop_stop(loop);
}

/* A post that goes home to the loop for both of its hops and is freed by the last one. */
struct tour {
    struct post post;
    struct loop *loop;
    int hops;
    _Atomic int *ret_hops;
};

static enum err tour_first(struct post *post)
{
    struct tour *tour = (struct tour *)post;
    assert_true(loop_is_mine(tour->loop));
    tour->hops++;
    return ERR_NOT_FOUND;
}

static enum err tour_last(struct post *post)
{
    struct tour *tour = (struct tour *)post;
    assert_true(loop_is_mine(tour->loop));
    assert_int_equal(post->err, ERR_NOT_FOUND);
    atomic_store(tour->ret_hops, tour->hops + 1);
    free(tour);
    return OK;
}

TEST(loop, is_the_home_of_a_post)
{
    static const struct hop route[] = { { tour_first, THREAD_CALLER }, { tour_last, THREAD_CALLER }, { 0 } };
    struct loop *loop = loop_start("test");
    _Atomic int hops = 0;
    struct tour *tour = calloc(1, sizeof *tour);
    tour->post.hop = route;
    tour->loop = loop;
    tour->ret_hops = &hops;
    loop_adopt(loop, &tour->post);
    post_send(&tour->post);
    loop_stop(loop);
    EQ(hops, 2);
}

struct bell {
    struct timer timer;
    struct loop *loop;
    int64_t set_ms, rang_ms;
    _Atomic int rings;
    int wanted;
};

static void bell_ring(struct timer *timer)
{
    struct bell *bell = (struct bell *)timer;
    bell->rang_ms = loop_now_ms(bell->loop);
    atomic_fetch_add(&bell->rings, 1);
    if (atomic_load(&bell->rings) < bell->wanted)
        loop_timer_set(bell->loop, timer, 0);
}

static void bell_set(void *data)
{
    struct bell *bell = data;
    bell->set_ms = loop_now_ms(bell->loop);
    loop_timer_set(bell->loop, &bell->timer, 20);
}

static void bell_clear(void *data)
{
    struct bell *bell = data;
    loop_timer_clear(bell->loop, &bell->timer);
}

static void wait_rings(struct bell *bell, int rings)
{
    while (atomic_load(&bell->rings) < rings)
        loop_await(bell->loop);
}

TEST(loop, wakes_a_timer_not_before_its_time)
{
    struct loop *loop = loop_start("test");
    struct bell bell = { .timer.run = bell_ring, .loop = loop };
    loop_call(loop, bell_set, &bell);
    wait_rings(&bell, 1);
    YES(bell.rang_ms - bell.set_ms >= 20);
    loop_stop(loop);
}

TEST(loop, goes_on_while_a_timer_sets_itself_to_now)
{
    struct loop *loop = loop_start("test");
    struct bell bell = { .timer.run = bell_ring, .loop = loop, .wanted = INT32_MAX };
    loop_call(loop, bell_set, &bell);
    wait_rings(&bell, 100); /* errands get their turn between */
    loop_call(loop, bell_clear, &bell);
    NO(timer_is_set(&bell.timer));
    loop_stop(loop);
}

static atomic_int end_seen, end_again; /* written on the loop, read here */

static void at_end_again(struct errand *errand)
{
    (void)errand;
    end_again++;
}

static void at_end(struct errand *errand)
{
    struct count_errand *end = (struct count_errand *)errand;
    end_seen++;
    end->errand.run = at_end_again;
    loop_at_turn_end(end->loop, &end->errand);
}

static void ask_for_end(void *data)
{
    struct count_errand *end = data;
    loop_at_turn_end(end->loop, &end->errand);
    assert_int_equal(end_seen, 0); /* not now, at the end of the turn */
}

TEST(loop, ends_each_turn_with_what_was_put_off)
{
    struct loop *loop = loop_start("test");
    struct count_errand end = { .errand.run = at_end, .loop = loop };
    end_seen = 0;
    end_again = 0;
    loop_call(loop, ask_for_end, &end);
    while (!end_again)
        loop_await(loop);
    EQ(end_seen, 1);
    EQ(end_again, 1);
    loop_stop(loop);
}

static void read_clock(void *data)
{
    struct bell *bell = data;
    bell->set_ms = loop_wall_us(bell->loop) / 1000;
    bell->rang_ms = loop_wall_us(bell->loop) / 1000;
}

TEST(loop, reads_the_wall_clock_once_per_turn)
{
    struct loop *loop = loop_start("test");
    struct bell bell = { .loop = loop };
    loop_call(loop, read_clock, &bell);
    EQ(bell.set_ms, bell.rang_ms);
    YES(bell.set_ms > INT64_C(1700000000000));
    loop_stop(loop);
}

/* --- settling --- */

struct settling {
    struct post post; /* comes home while the turn settles */
    struct count_errand end;
    int asked, seen_home, seen_end;
    atomic_bool is_home; /* the test waits for it */
};

static enum err settled_home(struct post *post)
{
    ((struct settling *)(void *)post)->is_home = true;
    return OK;
}

/* Wants to wait once, then sends the post home. */
static int64_t settle_it(void *data)
{
    struct settling *settling = data;
    static const struct hop home[] = { { settled_home, THREAD_CALLER }, { 0 } };
    if (++settling->asked == 1)
        return 100;
    if (settling->asked > 2)
        return SETTLE_NOTHING;
    settling->post.hop = home;
    post_send(&settling->post);
    return SETTLE_DONE;
}

static void end_of_settled(struct errand *errand)
{
    struct settling *settling = (struct settling *)(void *)((char *)errand - offsetof(struct settling, end));
    settling->seen_end = settling->asked;
    settling->seen_home = settling->is_home;
}

static void begin_to_settle(void *data)
{
    struct settling *settling = data;
    loop_adopt(settling->end.loop, &settling->post);
    loop_at_turn_end(settling->end.loop, &settling->end.errand);
    loop_settle(settling->end.loop, settle_it, settling);
}

static void end_settling(void *data)
{
    loop_settle(data, NULL, NULL);
}

TEST(loop, settles_before_the_one_write_and_asks_again_when_the_wait_is_over)
{
    struct loop *loop = loop_start("test");
    struct settling settling = { .end = { .errand.run = end_of_settled, .loop = loop } };
    loop_call(loop, begin_to_settle, &settling);
    loop_await(loop);
    loop_call(loop, end_settling, loop);
    YES(settling.seen_end >= 1);
    YES(settling.asked >= 2);
    EQ(settling.seen_home,
       settling.seen_end >= 2); /* a socket may have ended the wait: then the turn goes on without */
    YES(settling.is_home);
    loop_stop(loop);
}

static void post_to_itself(void *data)
{
    struct settling *settling = data;
    static const struct hop home[] = { { settled_home, THREAD_CALLER }, { 0 } };
    loop_adopt(settling->end.loop, &settling->post);
    settling->post.hop = home;
    settling->end.errand.run = end_of_settled;
    post_send(&settling->post);
    loop_at_turn_end(settling->end.loop, &settling->end.errand);
}

static void post_at_the_end(struct errand *errand)
{
    post_to_itself((char *)errand - offsetof(struct settling, end));
}

static void ask_for_post(void *data)
{
    struct settling *settling = data;
    settling->asked = 1;
    settling->end.errand.run = post_at_the_end;
    loop_at_turn_end(settling->end.loop, &settling->end.errand);
}

TEST(loop, does_not_sleep_over_what_it_sent_to_itself)
{
    struct loop *loop = loop_start("test");
    struct settling settling = { .end = { .loop = loop } };
    loop_call(loop, ask_for_post, &settling);
    while (!atomic_load(&settling.is_home))
        usleep(1000); /* nobody else wakes it */
    loop_stop(loop);
    EQ(settling.seen_end, 1);
}
