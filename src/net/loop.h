/*
 * loop.h - a thread that waits for sockets, and the door for work from other threads.
 *
 * A turn of a loop is always: wait, ready sockets, mailbox, due timers, one
 * write per connection. Whatever a loop owns (sockets, requests, timers) is
 * touched by its own thread only; other threads send a post or an errand.
 *
 *     post    travels a route (base/post.h); its THREAD_CALLER hops run here
 *     errand  one function to run here once, without op or route
 *     timer   runs here when its time comes
 *
 * The mailbox has no maximum of its own: what may be under way is bounded where
 * it enters (connections of a server, fetches of a source).
 */
#pragma once

#include "base/post.h"
#include "base/queue.h"
#include "net/timer.h"

struct loop;

/* One function to run on a loop; embed it in what the function works on. Owned by the loop until it runs. */
struct errand {
    struct mail mail;
    void (*run)(struct errand *errand);
};

/* A running thread with its loop; the name (at most 15 bytes) shows in top and gdb. Aborts when the system has no
 * thread or descriptor left, which at start means a broken machine. */
struct loop *loop_start(const char *name);

/* Runs what is in the mailbox, ends the thread and frees the loop. Servers and clients of the loop are closed before,
 * and no thread may send to it any more. */
void loop_stop(struct loop *loop);

/* Any thread: the errand runs in the loop's mailbox phase. Errands of one sender run in the order sent. */
void loop_send(struct loop *loop, struct errand *errand);

/* Any thread: runs the post's next hop on the loop, then sends it on along its route. */
void loop_post(struct loop *loop, struct post *post);

/* Makes the loop the home of a post, so that post_send brings its THREAD_CALLER hops here. */
void loop_adopt(struct loop *loop, struct post *post);

/* Any other thread: runs fn(data) on the loop and returns when it has run. For start, stop and tests. */
void loop_call(struct loop *loop, void (*fn)(void *data), void *data);

/* Any other thread: returns when the loop has run what was sent to it before, and what it did by then. */
void loop_await(struct loop *loop);

/* Processor time the loop's thread has had, microseconds. Any thread. */
int64_t loop_ran_us(const struct loop *loop);

/* Everything below: the loop's own thread only. */

bool loop_is_mine(const struct loop *loop);

/* Monotonic milliseconds, read once per turn: leases, time-outs, rates. */
int64_t loop_now_ms(const struct loop *loop);

/* Instant UTC in microseconds, read once per turn. */
int64_t loop_wall_us(struct loop *loop);

/* Sets the timer to run once after delay_ms (0: in this turn or the next); a timer that is set moves. The memory is
 * the caller's; it stays until the timer has run or was cleared. */
void loop_timer_set(struct loop *loop, struct timer *timer, int64_t delay_ms);
void loop_timer_clear(struct loop *loop, struct timer *timer);

/* Runs the errand at the end of this turn, after sockets, mailbox and timers: the place of the one write. */
void loop_at_turn_end(struct loop *loop, struct errand *errand);

/*
 * Has `settle` called in every turn between timers and the one write; posts that come home by it are in time for that
 * write. It tells whether there was anything, or for how many microseconds it would rather have the sockets looked at
 * (0: only those that are ready): then it is called again when they were served, or after that time. NULL ends it.
 */
enum { SETTLE_DONE = -1, SETTLE_NOTHING = -2 };
void loop_settle(struct loop *loop, int64_t (*settle)(void *data), void *data);

/* The libuv loop, for handles of this folder. */
struct uv_loop_s *loop_uv(struct loop *loop);
