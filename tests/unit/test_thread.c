#include "test.h"

#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/thread.h"

struct seen {
    char name[16];
    bool term_blocked;
};

static void look_around(void *context)
{
    struct seen *seen = context;
    sigset_t mask;
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->term_blocked = sigismember(&mask, SIGTERM);
}

TEST(thread, runs_under_its_name_with_signals_blocked)
{
    struct op op;
    struct thread thread;
    struct seen seen = { "", false };
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, thread_start(&op, &thread, "a name that is too long", look_around, &seen));
    thread_join(&thread);
    STR_EQ(str_of(seen.name), "a name that is ");
    YES(seen.term_blocked);
}

TEST(thread, leaves_the_starters_signals_as_they_were)
{
    struct op op;
    struct thread thread;
    struct seen seen, here;
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, thread_start(&op, &thread, "t", look_around, &seen));
    thread_join(&thread);
    look_around(&here);
    NO(here.term_blocked);
}

static void wants_the_processor(void *over)
{
    while (!atomic_load((atomic_bool *)over))
        continue;
}

/* Two threads that want the same processor: one of them stands in line. */
TEST(thread, knows_how_long_it_stood_in_line_for_a_processor)
{
    struct op op;
    struct thread other;
    atomic_bool over = false;
    cpu_set_t before, one;
    struct thread_times first, now;
    if (!thread_times(gettid(), &first))
        SKIP("this kernel does not tell");
    EQ(sched_getaffinity(0, sizeof before, &before), 0);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    EQ(sched_setaffinity(0, sizeof one, &one), 0);
    YES(thread_times(gettid(), &first));
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, thread_start(&op, &other, "other", wants_the_processor, &over));
    do
        YES(thread_times(gettid(), &now));
    while (now.queued_us <= first.queued_us);
    YES(now.ran_us > first.ran_us);
    atomic_store(&over, true);
    thread_join(&other);
    EQ(sched_setaffinity(0, sizeof before, &before), 0);
}
