#include "base/queue.h"

#include <assert.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/*
 * The futex word of an owner that waits itself:
 *
 *     AWAKE --box is empty--> ASLEEP --a post--> AWAKE
 *       |                       |
 *       +--nudge--> NUDGED <----+   until the owner has looked
 *
 * The poster that finds ASLEEP makes the one system call. The owner goes to
 * sleep only if the box is still empty after it wrote ASLEEP, and a poster
 * reads the word after its mail is in the box: in the total order of these
 * steps one of the two always sees the other.
 */
enum { AWAKE, ASLEEP, NUDGED };

void mailbox_init(struct mailbox *box, int64_t max, void (*wake)(void *context), void *context)
{
    assert(max > 0);
    atomic_init(&box->newest, NULL);
    atomic_init(&box->sleeper, AWAKE);
    atomic_init(&box->depth, 0);
    box->max = max;
    box->wake = wake;
    box->context = context;
}

static void futex_wake(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* Returns when the word has left ASLEEP, at the deadline of the monotonic clock, or for no reason. */
static void futex_wait(_Atomic uint32_t *word, int64_t deadline_us)
{
    struct timespec until = { .tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000 };
    syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, ASLEEP, deadline_us < 0 ? NULL : &until, NULL,
            FUTEX_BITSET_MATCH_ANY);
}

void mailbox_nudge(struct mailbox *box)
{
    if (box->wake)
        box->wake(box->context);
    else if (atomic_exchange(&box->sleeper, NUDGED) == ASLEEP)
        futex_wake(&box->sleeper);
}

static void call_owner(struct mailbox *box)
{
    if (box->wake) {
        box->wake(box->context);
        return;
    }
    uint32_t asleep = ASLEEP;
    if (atomic_load(&box->sleeper) == ASLEEP && atomic_compare_exchange_strong(&box->sleeper, &asleep, AWAKE))
        futex_wake(&box->sleeper);
}

static void push(struct mailbox *box, struct mail *mail)
{
    struct mail *newest = atomic_load_explicit(&box->newest, memory_order_relaxed);
    do {
        mail->next = newest;
    } while (!atomic_compare_exchange_weak(&box->newest, &newest, mail));

    /* From here on the mail may be taken and gone. Only the first into an empty box needs to call the owner. */
    if (!newest)
        call_owner(box);
}

bool mailbox_post(struct mailbox *box, struct mail *mail)
{
    if (atomic_fetch_add_explicit(&box->depth, 1, memory_order_relaxed) >= box->max) {
        atomic_fetch_sub_explicit(&box->depth, 1, memory_order_relaxed);
        return false;
    }
    push(box, mail);
    return true;
}

void mailbox_post_always(struct mailbox *box, struct mail *mail)
{
    atomic_fetch_add_explicit(&box->depth, 1, memory_order_relaxed);
    push(box, mail);
}

struct mail *mailbox_take_all(struct mailbox *box)
{
    if (!atomic_load(&box->newest))
        return NULL; /* an exchange would take the cache line from the posters for nothing */

    struct mail *mail = atomic_exchange(&box->newest, NULL);
    struct mail *oldest = NULL;
    int64_t count = 0;
    while (mail) {
        struct mail *next = mail->next;
        mail->next = oldest;
        oldest = mail;
        mail = next;
        count++;
    }
    atomic_fetch_sub_explicit(&box->depth, count, memory_order_relaxed);
    return oldest;
}

/* Sleeps at most once; false when the owner was nudged and should return. */
static bool sleep_until(struct mailbox *box, int64_t deadline_us)
{
    uint32_t awake = AWAKE;
    if (atomic_compare_exchange_strong(&box->sleeper, &awake, ASLEEP) && !atomic_load(&box->newest))
        futex_wait(&box->sleeper, deadline_us);
    return atomic_exchange(&box->sleeper, AWAKE) != NUDGED;
}

bool mailbox_await(struct mailbox *box, int64_t timeout_us)
{
    int64_t deadline_us = timeout_us < 0 ? -1 : clock_mono_us() + timeout_us;
    while (!atomic_load(&box->newest)) {
        if (deadline_us >= 0 && clock_mono_us() >= deadline_us)
            return false;
        if (!sleep_until(box, deadline_us))
            break;
    }
    return atomic_load(&box->newest) != NULL;
}

struct mail *mailbox_wait(struct mailbox *box, int64_t timeout_us)
{
    mailbox_await(box, timeout_us);
    return mailbox_take_all(box);
}

int64_t mailbox_depth(const struct mailbox *box)
{
    return atomic_load_explicit(&box->depth, memory_order_relaxed);
}
