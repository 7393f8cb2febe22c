#include "net/loop.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include <uv.h>

#include "base/clock.h"
#include "base/thread.h"

/*
 * libuv's own turn is: timers, prepare, wait and sockets, check. Ours begins
 * with the wait, so the mailbox is emptied in `check`, own timers follow there,
 * and `prepare`, the last thing before the next wait, ends the turn.
 */
struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_check_t after_sockets;
    uv_prepare_t before_wait;
    uv_timer_t alarm; /* ends the wait when the next own timer is due */
    int64_t alarm_ms; /* what the alarm is set to; INT64_MAX = off */
    struct thread thread;
    bool stopping;
    int64_t wall_us; /* 0 = not read in this turn */
    struct timers timers;
    int64_t (*settle)(void *data);
    void *settle_data;
    uv_idle_t at_once; /* active: the next wait does not wait */
    struct mail *at_end;
    struct mail **at_end_tail;

    struct mailbox errands;
    struct mailbox posts;
};

static _Thread_local struct loop *loop_of_thread;

bool loop_is_mine(const struct loop *loop)
{
    return loop_of_thread == loop;
}

/* --- mailbox ------------------------------------------------------------ */

static void loop_wake(void *context)
{
    struct loop *loop = context;
    if (!loop_is_mine(loop)) /* its own mail the loop sees before it waits */
        uv_async_send(&loop->wake);
}

void loop_send(struct loop *loop, struct errand *errand)
{
    mailbox_post_always(&loop->errands, &errand->mail);
}

void loop_post(struct loop *loop, struct post *post)
{
    mailbox_post_always(&loop->posts, (struct mail *)post);
}

static void post_goes_home(struct post *post)
{
    loop_post(post->home_data, post);
}

void loop_adopt(struct loop *loop, struct post *post)
{
    post->home = post_goes_home;
    post->home_data = loop;
}

static bool loop_run_errands(struct loop *loop)
{
    struct mail *mail = mailbox_take_all(&loop->errands);
    bool any = mail != NULL;
    while (mail) {
        struct errand *errand = MAIL_OF(mail, struct errand, mail);
        mail = mail->next; /* before it runs: the errand may free itself or be sent again */
        errand->run(errand);
    }
    return any;
}

static bool loop_run_posts(struct loop *loop)
{
    struct mail *mail = mailbox_take_all(&loop->posts);
    bool any = mail != NULL;
    while (mail) {
        struct post *post = (struct post *)mail;
        mail = mail->next;
        bool last = post->hop[1].run == NULL; /* asked before: the last hop may free the post */
        post_run(post);
        if (!last)
            post_send(post);
    }
    return any;
}

/* --- the turn ----------------------------------------------------------- */

static void loop_run_timers(struct loop *loop)
{
    int64_t now_ms = loop_now_ms(loop);
    uint64_t newer = loop->timers.orders; /* what is set from here on waits for the next turn */
    struct timer *timer;
    while ((timer = timers_take_due(&loop->timers, now_ms, newer)) != NULL)
        timer->run(timer);
}

static void on_alarm(uv_timer_t *handle)
{
    struct loop *loop = handle->data;
    loop->alarm_ms = INT64_MAX; /* it only ended the wait */
}

static void loop_set_alarm(struct loop *loop)
{
    int64_t next_ms = timers_next_ms(&loop->timers);
    if (next_ms == loop->alarm_ms)
        return;
    loop->alarm_ms = next_ms;
    if (next_ms == INT64_MAX) {
        uv_timer_stop(&loop->alarm);
        return;
    }
    int64_t wait_ms = next_ms - loop_now_ms(loop);
    uv_timer_start(&loop->alarm, on_alarm, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

static void on_wake(uv_async_t *handle)
{
    (void)handle; /* the wait is over, which is all that was wanted; on_after_sockets does the work */
}

static void on_at_once(uv_idle_t *handle)
{
    uv_idle_stop(handle);
}

static void on_after_sockets(uv_check_t *handle)
{
    struct loop *loop = handle->data;
    loop_run_errands(loop);
    loop_run_posts(loop);
}

static void loop_run_at_end(struct loop *loop)
{
    struct mail *mail = loop->at_end;
    loop->at_end = NULL;
    loop->at_end_tail = &loop->at_end;
    while (mail) {
        struct errand *errand = MAIL_OF(mail, struct errand, mail);
        mail = mail->next;
        errand->run(errand);
    }
}

/* True when something was settled. While it would rather wait, sockets that are ready are served first. */
static bool loop_run_settle(struct loop *loop)
{
    struct pollfd sockets = { .fd = uv_backend_fd(&loop->uv), .events = POLLIN };
    int64_t wait_us = SETTLE_NOTHING;
    while (loop->settle && (wait_us = loop->settle(loop->settle_data)) >= 0) {
        struct timespec wait = { .tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000 };
        if (ppoll(&sockets, 1, &wait, NULL) > 0) {
            uv_idle_start(&loop->at_once, on_at_once);
            return false;
        }
    }
    if (wait_us == SETTLE_DONE)
        loop_run_posts(loop);
    return wait_us == SETTLE_DONE;
}

static void on_before_wait(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    loop_run_timers(loop);
    bool settled;
    do {
        settled = loop_run_settle(loop);
        loop_run_at_end(loop); /* which may give the next round something to settle */
    } while (settled);
    loop_set_alarm(loop);
    bool more = loop->at_end || mailbox_depth(&loop->errands) > 0 || mailbox_depth(&loop->posts) > 0;
    if (more) /* asked for while the turn ended: there will be a next one at once */
        uv_idle_start(&loop->at_once, on_at_once);
    loop->wall_us = 0;
    if (loop->stopping)
        uv_stop(&loop->uv);
}

void loop_at_turn_end(struct loop *loop, struct errand *errand)
{
    assert(loop_is_mine(loop));
    errand->mail.next = NULL;
    *loop->at_end_tail = &errand->mail;
    loop->at_end_tail = &errand->mail.next;
}

void loop_settle(struct loop *loop, int64_t (*settle)(void *data), void *data)
{
    assert(loop_is_mine(loop));
    loop->settle = settle;
    loop->settle_data = data;
}

/* --- clock and timers --------------------------------------------------- */

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

int64_t loop_wall_us(struct loop *loop)
{
    if (!loop->wall_us)
        loop->wall_us = clock_wall_us();
    return loop->wall_us;
}

void loop_timer_set(struct loop *loop, struct timer *timer, int64_t delay_ms)
{
    assert(loop_is_mine(loop));
    timers_set(&loop->timers, timer, loop_now_ms(loop) + (delay_ms > 0 ? delay_ms : 0));
}

void loop_timer_clear(struct loop *loop, struct timer *timer)
{
    assert(loop_is_mine(loop));
    timers_clear(&loop->timers, timer);
}

int64_t loop_ran_us(const struct loop *loop)
{
    return thread_ran_us(&loop->thread);
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

/* --- start and stop ----------------------------------------------------- */

static void loop_thread(void *data)
{
    struct loop *loop = data;
    loop_of_thread = loop;
    uv_run(&loop->uv, UV_RUN_DEFAULT);

    /* What was sent just before the end still runs, and what that sends too. */
    for (;;) {
        bool errands_ran = loop_run_errands(loop);
        bool posts_ran = loop_run_posts(loop);
        if (!errands_ran && !posts_ran)
            break;
    }
    uv_close((uv_handle_t *)&loop->wake, NULL);
    uv_close((uv_handle_t *)&loop->after_sockets, NULL);
    uv_close((uv_handle_t *)&loop->before_wait, NULL);
    uv_close((uv_handle_t *)&loop->alarm, NULL);
    uv_close((uv_handle_t *)&loop->at_once, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT); /* runs the closing; loop_stop asserts that nothing else was open */
}

struct loop *loop_start(const char *name)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop || uv_loop_init(&loop->uv) || uv_async_init(&loop->uv, &loop->wake, on_wake))
        abort();
    uv_check_init(&loop->uv, &loop->after_sockets);
    uv_prepare_init(&loop->uv, &loop->before_wait);
    uv_timer_init(&loop->uv, &loop->alarm);
    uv_idle_init(&loop->uv, &loop->at_once);
    loop->after_sockets.data = loop->before_wait.data = loop->alarm.data = loop;
    uv_check_start(&loop->after_sockets, on_after_sockets);
    uv_prepare_start(&loop->before_wait, on_before_wait);
    loop->alarm_ms = INT64_MAX;
    loop->at_end_tail = &loop->at_end;
    timers_init(&loop->timers);
    mailbox_init(&loop->errands, INT64_MAX, loop_wake, loop);
    mailbox_init(&loop->posts, INT64_MAX, loop_wake, loop);

    /* Signals are blocked in it, SIGPIPE among them: a client that has left is an error of the write, nothing more. */
    struct op op;
    op_init(&op, NULL, 0);
    if (thread_start(&op, &loop->thread, name, loop_thread, loop) != OK)
        abort();
    return loop;
}

struct stop_errand {
    struct errand errand;
    struct loop *loop;
};

static void stop_run(struct errand *errand)
{
    ((struct stop_errand *)errand)->loop->stopping = true;
}

void loop_stop(struct loop *loop)
{
    assert(!loop_is_mine(loop));
    struct stop_errand stop = { { .run = stop_run }, loop };
    loop_send(loop, &stop.errand);
    thread_join(&loop->thread);
    int busy = uv_loop_close(&loop->uv);
    assert(busy == 0); /* a server or client of this loop was not closed before it */
    timers_done(&loop->timers);
    free(loop);
}

struct call_errand {
    struct errand errand;
    void (*fn)(void *data);
    void *data;
    uv_sem_t done;
};

static void call_run(struct errand *errand)
{
    struct call_errand *call = (struct call_errand *)errand;
    call->fn(call->data);
    uv_sem_post(&call->done);
}

void loop_call(struct loop *loop, void (*fn)(void *data), void *data)
{
    assert(!loop_is_mine(loop));
    struct call_errand call = { .errand = { .run = call_run }, .fn = fn, .data = data };
    if (uv_sem_init(&call.done, 0))
        abort();
    loop_send(loop, &call.errand);
    uv_sem_wait(&call.done);
    uv_sem_destroy(&call.done);
}

static void nothing(void *data)
{
    (void)data;
}

void loop_await(struct loop *loop)
{
    loop_call(loop, nothing, NULL);
}
