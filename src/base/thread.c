#include "base/thread.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define NICE       10
#define PATH_BYTES 64

static void *thread_main(void *argument)
{
    struct thread *thread = argument;
    pthread_setname_np(pthread_self(), thread->name);
    thread->run(thread->context);
    return NULL;
}

enum err thread_start(struct op *op, struct thread *thread, const char *name, void (*run)(void *context), void *context)
{
    snprintf(thread->name, sizeof thread->name, "%s", name);
    thread->run = run;
    thread->context = context;

    /* The new thread inherits the mask, so it never runs with signals open. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&thread->handle, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (error)
        return fail(op, ERR_UNAVAILABLE, "thread %s cannot start: %s", name, strerror(error));
    return OK;
}

void thread_join(struct thread *thread)
{
    int error = pthread_join(thread->handle, NULL);
    assert(!error); /* started by thread_start and joined once */
}

void thread_give_way(void)
{
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICE); /* on Linux of the thread; where it is refused nothing is lost */
}

int64_t thread_ran_us(const struct thread *thread)
{
    clockid_t clock;
    struct timespec ran = { 0 };
    if (pthread_getcpuclockid(thread->handle, &clock) == 0)
        clock_gettime(clock, &ran);
    return (int64_t)ran.tv_sec * 1000000 + ran.tv_nsec / 1000;
}

bool thread_times(pid_t id, struct thread_times *ret)
{
    char path[PATH_BYTES], line[PATH_BYTES], *queued; /* "RAN QUEUED SLICES", times in ns */
    snprintf(path, sizeof path, "/proc/self/task/%d/schedstat", (int)id);
    FILE *file = fopen(path, "re");
    bool is_told = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    if (!is_told)
        return false;
    ret->ran_us = strtoll(line, &queued, 10) / 1000;
    ret->queued_us = strtoll(queued, NULL, 10) / 1000;
    return true;
}

void short_lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t adaptive;
    pthread_mutexattr_init(&adaptive);
    pthread_mutexattr_settype(&adaptive, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(lock, &adaptive);
    pthread_mutexattr_destroy(&adaptive);
}
