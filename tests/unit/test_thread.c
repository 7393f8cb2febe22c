#include "test.h"

#include <signal.h>

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
